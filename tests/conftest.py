"""Fixtures that are real parts: a mail server, Celery workers, a browser.

Nothing in a test reaches beyond this machine, and nothing is left for the next test.
"""

import ipaddress
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, urlsplit

import pytest
import time_machine
from django.conf import settings as django_settings
from django.core.cache import caches
from django.core.management.color import Style
from django.db import connection
from django.db.models import DateTimeField, Value
from django.test import Client, override_settings
from django.utils import timezone
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, WebError
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from events import clock, site_settings
from events.clock import Now
from events.models import Event, Session
from strategyweek import celery_app
from tests import people
from tests.browser import DESK, PHONE, launched
from tests.fake_zoom import FakeZoom
from tests.services.database import Broker
from tests.services.mail import SmtpSink
from tests.services.process import Process


class NetworkBlocked(Exception):
    """A test tried to talk to another machine."""


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


@pytest.fixture(scope="session", autouse=True)
def _loopback_only() -> Iterator[None]:
    def guarded(connect: Callable[..., Any]) -> Callable[..., Any]:
        def guard(self: socket.socket, address: Any) -> Any:
            internet = self.family in (socket.AF_INET, socket.AF_INET6)
            if internet and not is_loopback(address[0]):
                raise NetworkBlocked(f"tests talk to this machine only, not to {address}")
            return connect(self, address)

        return guard

    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex"):
            patch.setattr(socket.socket, name, guarded(getattr(socket.socket, name)))
        yield


@pytest.fixture(scope="session", autouse=True)
def _static_files_from_their_folders() -> Iterator[None]:
    """No collectstatic, no manifest: `{% static %}` names the files as they lie in the tree."""
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    with override_settings(
        STORAGES={**django_settings.STORAGES, "staticfiles": plain},
        WHITENOISE_AUTOREFRESH=True,
        WHITENOISE_USE_FINDERS=True,
        # Production's takes its time on purpose.
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    ):
        yield


@pytest.fixture(scope="session", autouse=True)
def _tables_are_emptied_fast() -> Iterator[None]:
    """TRUNCATE has PostgreSQL make new files for each table: for few rows DELETE is far faster.

    In one transaction, at whose end the foreign keys are checked.
    """

    def sql_flush(style: Style, tables: Iterable[str], **options: Any) -> list[str]:
        quoted = map(connection.ops.quote_name, tables)
        return ["; ".join(f"DELETE FROM {table}" for table in quoted)]  # noqa: S608  # Ours.

    with pytest.MonkeyPatch.context() as patch:
        if connection.vendor == "postgresql":
            patch.setattr(connection.ops, "sql_flush", sql_flush)
        yield


@pytest.fixture(autouse=True)
def _empty_caches() -> Iterator[None]:
    """Rate limits and kept pages end with their test."""
    yield
    for alias in django_settings.CACHES:
        caches[alias].clear()


@pytest.fixture(autouse=True)
def _database_travels(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """`time_machine` moves the database's clock too, and the seconds that a lease has lasted."""
    if request.node.get_closest_marker("clock_alone"):
        return

    def follow(name: str) -> None:
        real = getattr(Now, name)

        def as_sql(self: Now, compiler: Any, connection: Any, **context: Any) -> Any:
            if not time_machine.escape_hatch.is_travelling():
                return real(self, compiler, connection, **context)
            return compiler.compile(Value(timezone.now(), output_field=DateTimeField()))

        monkeypatch.setattr(Now, name, as_sql)

    follow("as_postgresql")
    follow("as_sqlite")
    seconds = clock.seconds

    def travelled() -> float:
        return time.time() if time_machine.escape_hatch.is_travelling() else seconds()

    monkeypatch.setattr(clock, "seconds", travelled)


# Mail


@pytest.fixture
def smtp_sink() -> Iterator[SmtpSink]:
    """A real SMTP server; the worker's mail goes there, `smtp` sends the test's own there too."""
    sink = SmtpSink()
    sink.start()
    yield sink
    sink.stop()


@pytest.fixture
def smtp(smtp_sink: SmtpSink, settings: Settings) -> SmtpSink:
    """The sink, with this process's mail sent to it in place of django.core.mail.outbox."""
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST = smtp_sink.host
    settings.EMAIL_PORT = smtp_sink.port
    settings.EMAIL_TIMEOUT = 1
    return smtp_sink


# Celery


def database_url() -> str:
    """The DATABASE_URL of the test database, for a process beside the test."""
    name = connection.settings_dict["NAME"]
    if connection.vendor == "sqlite":
        return f"sqlite:///{name}"
    return urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{quote(name)}").geturl()


class Start(Protocol):
    """Start a process and wait until it is ready, or not; it is stopped at the end of the test.

    `options` are its command line's, `variables` go to its environment.
    """

    def __call__(self, *options: str, wait: bool = True, **variables: str) -> Process: ...


@pytest.fixture
def celery_process(
    transactional_db: None, smtp_sink: SmtpSink, tmp_path: Path
) -> Iterator[Callable[..., Process]]:
    """What `worker` and `beat` share: the test's database, broker and mail server."""
    started: list[Process] = []

    def start(ready: str, *command: str, wait: bool, **variables: str) -> Process:
        process = Process(
            *(sys.executable, "-m", "celery", "-A", "strategyweek", *command, "--loglevel=INFO"),
            log=tmp_path / f"celery-{len(started)}.log",
            environment={
                **os.environ,
                "DATABASE_URL": database_url(),
                "EMAIL_URL": smtp_sink.url,
                # Those of docker-compose.yml, in tests/strategyweek/test_compose.py, check first.
                "CELERY_SKIP_CHECKS": "1",
                **variables,
            },
        )
        started.append(process)
        if wait:
            process.ready_when(lambda: ready in process.log)
        return process

    celery_app.control.purge()
    yield start
    for process in started:
        process.kill()
        # Pytest shows it when the test failed.
        print(f"--- {process.log_file.name}\n{process.log}")
    celery_app.control.purge()


@pytest.fixture
def worker(celery_process: Callable[..., Process]) -> Start:
    """Start a Celery worker: worker(), worker("--concurrency=4"), worker(EMAIL_TIMEOUT="1")."""
    names = (f"--hostname=test{number}@localhost" for number in range(100))

    # Alone in its broker: greeting other workers only takes time.
    alone = ("--without-mingle", "--without-gossip", "--without-heartbeat", "--concurrency=1")

    def start(*options: str, wait: bool = True, **variables: str) -> Process:
        command = ("worker", next(names), *alone, *options)
        return celery_process(" ready.", *command, wait=wait, **variables)

    return start


@pytest.fixture
def beat(celery_process: Callable[..., Process], tmp_path: Path) -> Start:
    """Start Celery's beat, on a schedule that no other has used."""
    schedules = (f"beat-schedule-{number}" for number in range(100))

    def start(*options: str, wait: bool = True, **variables: str) -> Process:
        command = ("beat", "--pidfile=", f"--schedule={tmp_path / next(schedules)}", *options)
        return celery_process("beat: Starting", *command, wait=wait, **variables)

    return start


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """A Redis of the test's own, to kill, to freeze and to bring back."""
    broker = Broker(tmp_path)
    broker.start()
    yield broker
    broker.kill()


# The browser


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    # Playwright keeps an event loop in this thread, in which Django would refuse the database.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with launched() as browser:
        yield browser


def watch(context: BrowserContext, origin: str) -> list[str]:
    """A list that fills with what a visitor's browser would complain of, CSP's blocks too."""
    complaints: list[str] = []

    def console(said: ConsoleMessage) -> None:
        if said.type == "error":
            complaints.append(f"console: {said.text}")

    def page_error(raised: WebError) -> None:
        complaints.append(f"page: {raised.error}")

    def request(asked: Request) -> None:
        if not asked.url.startswith((f"{origin}/", "data:", "blob:")):
            complaints.append(f"request: {asked.url}")

    context.on("console", console)
    context.on("weberror", page_error)
    context.on("request", request)
    return complaints


@pytest.fixture
def new_page(
    browser: Browser, live_server: LiveServer, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Page]]:
    """Open a fresh visitor's page, relative to the live server: new_page(color_scheme="dark").

    Takes the options of Playwright's browser.new_context(), where DESK is the default.
    At the end the page must have caused no console or page error and no request to another
    origin, but for those with words that `@pytest.mark.browser_may("...", ...)` names.
    """
    mark = request.node.get_closest_marker("browser_may")
    allowed = mark.args if mark else ()
    contexts: list[tuple[BrowserContext, list[str]]] = []

    def open_page(**options: Any) -> Page:
        options = {**DESK, "base_url": live_server.url, **options}
        context = browser.new_context(**options)
        context.set_default_timeout(10_000)
        contexts.append((context, watch(context, options["base_url"])))
        return context.new_page()

    yield open_page
    complaints = []
    for context, heard in contexts:
        context.close()
        complaints += heard
    assert [said for said in complaints if not any(words in said for words in allowed)] == []


@pytest.fixture
def desk(new_page: Callable[..., Page]) -> Page:
    """A page in a window of 1280 by 900."""
    return new_page()


@pytest.fixture
def phone(new_page: Callable[..., Page]) -> Page:
    """A page on a phone of 390 by 844, with touch."""
    return new_page(**PHONE)


@pytest.fixture
def page(desk: Page) -> Page:
    """A page where the device does not matter."""
    return desk


@pytest.fixture
def zoom() -> Iterator[str]:
    """A server in Zoom's place: the address of a page that is "The meeting".

    As at Zoom, the address of a room, `/my/...`, redirects there from another host: localhost.
    """

    class Meeting(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.startswith("/my/"):
                self.send_response(302)
                self.send_header("Location", url)
                self.end_headers()
                return
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>Zoom</title><link rel=icon href='data:,'>")
            self.wfile.write(b"<h1>The meeting</h1>")

        def log_message(self, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Meeting) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/j/1?pwd=secret1"
        yield url
        server.shutdown()


# The world


@pytest.fixture
def week(db: None) -> Event:
    """The Strategy Week, a few weeks ahead, with every Zoom link pasted in."""
    # Each process reads them once a minute. Tests count their queries without that one.
    site_settings.load()
    return people.coming_week_from_memory()


@pytest.fixture
def opening(week: Event) -> Session:
    """The week's first session, on its first Saturday."""
    return week.sessions.get(slug="opening")


@pytest.fixture
def later(week: Event) -> Session:
    """The session that comes next."""
    return week.sessions.all()[1]


@pytest.fixture
def organizer(admin_client: Client) -> Client:
    """The browser of someone who may do everything in the admin."""
    return admin_client


# Zoom


@pytest.fixture
def zoom_account(settings: Settings) -> Iterator[FakeZoom]:
    """A fake Zoom account, with its credentials in the settings."""
    with FakeZoom() as zoom:
        settings.ZOOM_ACCOUNT_ID = zoom.account.id
        settings.ZOOM_CLIENT_ID, settings.ZOOM_CLIENT_SECRET = zoom.account.client
        settings.ZOOM_API_URL, settings.ZOOM_OAUTH_URL = zoom.api_url, zoom.oauth_url
        settings.ZOOM_WEBHOOK_SECRET = "webhook-secret"
        settings.ZOOM_PLAN, settings.ZOOM_IS_FAKE = "business", True
        yield zoom
