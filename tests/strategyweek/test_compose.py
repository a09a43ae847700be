"""docker-compose.yml's commands, with its environment, from a registration to an email.

Docker is not needed: the files that the Dockerfile copies go into a folder, and Compose's
commands run there. Only the host names are replaced by those of this machine.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import psycopg2
import pytest
import yaml

from tests.services.mail import SmtpSink
from tests.services.process import BASE_DIR, Process, eventually, free_port

pytestmark = pytest.mark.served

# As in docker-compose.yml, before the password is filled in.
DATABASE_URL = (
    "postgres://strategyweek:${POSTGRES_PASSWORD:?is missing in .env}@db:5432/strategyweek"
)
SITE = "https://week.example.org"
FILLED_IN = {"SECRET_KEY": "s3cret" * 10, "POSTGRES_PASSWORD": "pa55"}


def env_example() -> dict[str, str]:
    lines = (BASE_DIR / ".env.example").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def interpolated(text: str, variables: dict[str, str]) -> str:
    """Replace Compose's ${NAME}, ${NAME:-default} and ${NAME:?message}."""

    def value(match: re.Match[str]) -> str:
        name, operator, text = match[1], match[2], match[3]
        if found := variables.get(name):
            return found
        assert operator != ":?", f"{name} {text}"
        return text or ""

    return re.sub(r"\$\{(\w+)(?:(:[-?])([^}]*))?\}", value, text)


@pytest.fixture
def database() -> Iterator[str]:
    """The URL of an empty database on the run's PostgreSQL."""
    server, name = os.environ["DATABASE_URL"], f"compose_{os.getpid()}"
    with closing(psycopg2.connect(server)) as connection:
        connection.autocommit = True
        connection.cursor().execute(f"CREATE DATABASE {name}")
        yield urlsplit(server)._replace(path=f"/{name}").geturl()
        connection.cursor().execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def image(tmp_path) -> Path:
    """The image's files, from the COPY and RUN lines of the Dockerfile."""
    dockerfile = (BASE_DIR / "Dockerfile").read_text().replace("\\\n", " ")
    app = tmp_path / "app"
    app.mkdir()
    for sources, target in re.findall(r"^COPY (.+) (\S+)$", dockerfile, re.M):
        for source in sources.split():
            if (BASE_DIR / source).is_dir():
                shutil.copytree(BASE_DIR / source, app / target)
            else:
                shutil.copy(BASE_DIR / source, app / target)
    (collect,) = re.findall(r"^RUN (SECRET_KEY=.+collectstatic --noinput)", dockerfile, re.M)
    shell = ["sh", "-c", collect]
    subprocess.run(shell, check=True, cwd=app, env=bare_environment(), timeout=120)
    return app


def bare_environment() -> dict[str, str]:
    return {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


def compose_services() -> dict[str, dict[str, Any]]:
    return yaml.safe_load((BASE_DIR / "docker-compose.yml").read_text())["services"]


class Compose:
    """The services of docker-compose.yml on this machine."""

    def __init__(self, image: Path, hosts: dict[str, str], email_url: str) -> None:
        variables = {**env_example(), **FILLED_IN, "EMAIL_URL": email_url}
        unused = list(hosts)
        self.services: dict[str, dict[str, Any]] = {}
        for name, service in compose_services().items():
            environment = service.get("environment", {})
            for host, local in hosts.items():
                environment = {key: text.replace(host, local) for key, text in environment.items()}
            self.services[name] = {
                "command": interpolated(service.get("command", ""), variables),
                "environment": {
                    key: interpolated(value, variables) for key, value in environment.items()
                },
            }
            unused = [name for name in unused if name not in str(service)]
        assert unused == [], "docker-compose.yml does not have these"
        self.image = image

    def start(self, name: str) -> Process:
        command = shlex.split(self.services[name]["command"])
        environment = bare_environment() | self.services[name]["environment"]
        program = shutil.which(command[0], path=environment["PATH"])
        assert program, command
        return Process(
            *(program, *command[1:]),
            log=self.image.parent / f"{name}.log",
            environment=environment,
            folder=self.image,
        )


class NoRedirects(urllib.request.HTTPRedirectHandler):
    """They would lose the cookies that are set on the way."""

    def redirect_request(self, *_args: object) -> None:
        return None


class Visitor:
    """A browser behind the TLS proxy, with the headers that the proxy adds."""

    def __init__(self, port: int) -> None:
        self.port, self.cookies = port, SimpleCookie()

    def open(self, path: str, fields: dict | None = None) -> str:
        data = urlencode(fields, doseq=True).encode() if fields else None
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data)
        for name, value in {
            "Host": urlsplit(SITE).hostname,
            "X-Forwarded-Proto": "https",
            "X-Forwarded-For": "127.0.0.1",
            "Origin": SITE,
            "Cookie": "; ".join(f"{name}={each.value}" for name, each in self.cookies.items()),
        }.items():
            request.add_header(name, value)
        try:
            response = urllib.request.build_opener(NoRedirects).open(request, timeout=20)
        except urllib.error.HTTPError as error:
            if error.code != 302:
                raise
            response = error
        with response:
            for cookie in response.headers.get_all("Set-Cookie", []):
                self.cookies.load(cookie)
            if response.status == 302:
                return self.open(response.headers["Location"])
            self.headers = response.headers
            return response.read().decode()

    def answers(self) -> bool:
        try:
            self.open("/")
        except OSError:
            return False
        return True


@pytest.mark.timeout(180)
def test_compose_commands_lead_from_registration_to_email(image, database, smtp_sink: SmtpSink):
    port = free_port()
    compose = Compose(
        image,
        {
            DATABASE_URL: database,
            "redis://redis:6379/0": os.environ["REDIS_URL"],
            "0.0.0.0:8000": f"127.0.0.1:{port}",
        },
        smtp_sink.url,
    )
    running = []
    try:
        migrate = compose.start("migrate")
        running.append(migrate)
        eventually(lambda: not migrate.is_running(), "migrated", 60)
        assert "Applying registrations.0001_initial... OK" in migrate.log
        load = [sys.executable, "manage.py", "load_strategy_week"]
        environment = bare_environment() | compose.services["web"]["environment"]
        subprocess.run(load, check=True, cwd=image, env=environment, timeout=60)

        running += [compose.start(name) for name in ("web", "worker", "beat")]
        visitor = Visitor(port)
        eventually(visitor.answers, "the site answers", 30)

        home = visitor.open("/")
        assert "Influencing and Countering DAs" in home
        assert visitor.headers["Strict-Transport-Security"] == "max-age=31536000"
        style = re.search(r"/static/css/site\.[0-9a-f]{12}\.css", home)
        assert style, "static files have hashed names"
        assert "{" in visitor.open(style[0])
        assert "immutable" in visitor.headers["Cache-Control"]

        form_path = re.search(r'href="(/[\w-]+/register/)"', home)[1]
        form = visitor.open(form_path)
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', form)[1]
        page = visitor.open(
            form_path,
            {
                "csrfmiddlewaretoken": token,
                "name": "Alice Adams",
                "email": "alice@example.org",
                "time_zone": "America/New_York",
                "sessions": re.findall(r'name="sessions"[^>]*value="(\d+)"', form),
            },
        )
        assert "alice@example.org" in page

        smtp_sink.wait_for(1, timeout=30)
        # The schedule may have followed by now.
        message, *_others = smtp_sink.to("alice@example.org")
        text = message.get_body(("plain",)).get_content()
        link = re.search(rf"{SITE}(/join/\S+/opening/)", text)
        assert link
        assert "This session opens" in visitor.open(link[1])
        assert visitor.headers["Referrer-Policy"] == "no-referrer"
        token = link[1].split("/")[2]
        assert [process.log for process in running if token in process.log] == []
    finally:
        for process in running:
            process.stop()
            print(f"--- {process.log_file.name}\n{process.log}")


def test_compose_requires_every_secret(image):
    for missing in ("SECRET_KEY", "POSTGRES_PASSWORD", "SITE_URL"):
        variables = {**env_example(), **FILLED_IN, missing: ""}
        with pytest.raises(AssertionError, match=missing):
            interpolated((BASE_DIR / "docker-compose.yml").read_text(), variables)


def test_compose_passes_every_variable_of_env_example():
    explained = set(
        re.findall(r"^(?:# )?([A-Z_]+)=", (BASE_DIR / ".env.example").read_text(), re.M)
    )
    passed = set(compose_services()["web"]["environment"])
    # For the database container, for sites without Compose, and for development.
    not_passed = {"POSTGRES_PASSWORD", "VAR_DIR", "DEBUG"}
    assert explained - not_passed - passed == set()


def test_every_service_is_hardened():
    for name, service in compose_services().items():
        assert service["read_only"] is True, name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["cap_drop"] == ["ALL"], name
    added = {
        name: each["cap_add"] for name, each in compose_services().items() if "cap_add" in each
    }
    # Those that start as root: what their entrypoints need, and nothing for our own containers.
    assert added == {
        "db": ["CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"],
        "proxy": ["NET_BIND_SERVICE"],
    }
    for name in ("web", "worker", "beat", "migrate"):
        assert compose_services()[name]["tmpfs"] == ["/tmp", "/app/var"]  # noqa: S108


@pytest.mark.parametrize(
    ("path", "is_public"),
    [
        ("/", True),
        ("/drop-lwop-2021/", True),
        ("/drop-lwop-2021/sessions/opening/", True),
        ("/drop-lwop-2021/register/", False),
        ("/drop-lwop-2021/find/", False),
        ("/me/a-secret/", False),
        ("/me/a-secret/change/", False),
        ("/join/a-secret/opening/", False),
        ("/calendar/a-secret/", False),
        ("/unsubscribe/a-secret/", False),
        ("/accounts/login/", False),
        ("/admin/auth/user/", False),
    ],
)
def test_proxy_compresses_only_pages_without_secrets(path, is_public):
    """Visitors with a cookie never get compressed pages: see the other lines of @public."""
    caddyfile = yaml.safe_load((BASE_DIR / "docker-compose.yml").read_text())
    text = caddyfile["configs"]["caddyfile"]["content"]
    (pattern,) = re.findall(r"path_regexp (\S+)", text)
    assert bool(re.match(pattern.replace("$$", "$"), path)) == is_public
    assert "not header Cookie *" in text
    assert "encode @public" in text


def test_only_the_proxy_is_public_and_beat_runs_once():
    services = compose_services()
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert published == {
        "proxy": ["80:80", "443:443", "443:443/udp"],
        "mail": ["127.0.0.1:8025:8025"],
    }
    commands = [service.get("command", "") for service in services.values()]
    assert sum("beat" in command for command in commands) == 1
