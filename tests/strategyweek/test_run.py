"""The command of `make run` starts the whole site, and Ctrl-C stops all of it."""

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from http.cookiejar import CookieJar
from io import StringIO
from pathlib import Path
from urllib.parse import urlencode

import psutil
import pytest
from django.core.management import CommandError

from strategyweek.management.commands.run import Command
from tests.services.process import Process, eventually, free_port

pytestmark = [pytest.mark.timeout(180), pytest.mark.once]


class Running:
    """The embedded site, as `make run` starts it."""

    def __init__(self, folder: Path, port: int, **variables: str) -> None:
        self.site = f"http://localhost:{port}"
        self.process = Process(
            *(sys.executable, "manage.py", "run"),
            log=folder / f"run-{port}.log",
            environment={
                "PATH": os.environ["PATH"],
                "DEBUG": "true",
                "VAR_DIR": str(folder),
                "PORT": str(port),
                **variables,
            },
        )
        self.process.ready_when(lambda: "mailbox   " in self.process.log, 60)
        parent = psutil.Process(self.process.pid)
        self.processes = [parent, *parent.children(recursive=True)]

    def interrupt(self) -> None:
        self.process.stop(signal.SIGINT)

    def alive(self) -> list[psutil.Process]:
        return [each for each in self.processes if each.is_running() and each.status() != "zombie"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("run")


@pytest.fixture(scope="module")
def start(folder) -> Iterator:
    started: list[Running] = []

    def start(where: Path = folder, **variables: str) -> Running:
        started.append(Running(where, free_port(), **variables))
        return started[-1]

    yield start
    for each in started:
        each.process.stop()
        print(each.process.log)
        for process in each.alive():
            process.kill()


@pytest.fixture(scope="module")
def running(start) -> Running:
    """Started once for the tests of this file. The last one stops it."""
    return start()


def test_run_serves_the_site_and_shows_the_email_of_a_registration(running):
    for name in ("site", "admin", "mailbox"):
        assert re.search(rf"{name} +{running.site}/", running.process.log)
    zoom = re.search(
        r"zoom +(http://localhost:\d+/) +\(test mode: not real Zoom\)", running.process.log
    )
    with urllib.request.urlopen(zoom[1], timeout=20) as response:
        assert "Test mode: not real Zoom." in response.read().decode()
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))

    def page(path: str, fields: dict | None = None) -> str:
        data = urlencode(fields, doseq=True).encode() if fields else None
        return browser.open(f"{running.site}{path}", data, timeout=20).read().decode()

    form_path = re.search(r'href="(/[\w-]+/register/)"', page("/"))[1]
    form = page(form_path)
    page(
        form_path,
        {
            "csrfmiddlewaretoken": re.search(r'csrfmiddlewaretoken" value="(\w+)"', form)[1],
            "name": "Alice Adams",
            "email": "alice@example.org",
            "time_zone": "America/New_York",
            "sessions": re.findall(r'name="sessions"[^>]*value="(\d+)"', form),
        },
    )
    eventually(lambda: "alice@example.org" in page("/mailbox/"), "an email in the mailbox")
    mailbox = page("/mailbox/")
    # The oldest is last: the links, which the detailed schedule follows.
    message = re.findall(r'href="(/mailbox/\d+/)"', mailbox)[-1]
    for part in (message, f"{message}html/"):
        assert f"{running.site}/join/" in page(part)
    assert "BEGIN:VCALENDAR" in page(f"{message}0/")
    assert "sample-token" in page("/mailbox/preview/links/")
    assert "sample-token" in page("/mailbox/preview/links/html/")


def test_empty_start_has_no_week_but_an_account(start, tmp_path):
    empty = start(tmp_path, EMPTY="1")
    log = empty.process.log
    assert "No week was loaded. Sign in to the admin, and it shows what to do." in log
    assert re.search(r"name: organizer +password: \S+", log)
    with urllib.request.urlopen(empty.site, timeout=20) as response:
        assert "We're planning the next Strategy Week" in response.read().decode()
    empty.interrupt()


def test_port_in_use_is_an_error(running, tmp_path):
    port = running.site.rpartition(":")[2]
    second = Process(
        *(sys.executable, "manage.py", "run"),
        log=tmp_path / "second.log",
        environment={
            "PATH": os.environ["PATH"],
            "DEBUG": "true",
            "VAR_DIR": str(tmp_path),
            "PORT": port,
        },
    )
    eventually(lambda: not second.is_running(), "ended")
    assert f"Port {port} is in use. Choose another: PORT={int(port) + 1} make run" in second.log


def test_fake_zoom_gets_the_next_free_port(monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        assert Command().fake_zoom_port(port - 1) not in (port - 1, port)
    monkeypatch.setenv("ZOOM_CLIENT_ID", "of-a-real-account")
    assert Command().fake_zoom_port(port) is None


def test_run_without_the_tests_folder_has_no_fake_zoom(settings, tmp_path):
    settings.BASE_DIR = tmp_path
    output = StringIO()
    assert Command(stdout=output).fake_zoom_port(8000) is None
    assert output.getvalue() == "There's no fake Zoom here: the tests/ folder isn't installed.\n"


@pytest.mark.parametrize("port", ["abc", "0", "65536", "-1"])
def test_port_must_be_valid(port):
    with pytest.raises(CommandError) as error:
        Command().free_port(port)
    assert str(error.value) == f"PORT must be a number from 1 to 65535, not '{port}'."


def test_invalid_port_is_a_one_line_error(tmp_path):
    result = subprocess.run(
        [sys.executable, "manage.py", "run"],
        env={"DEBUG": "true", "VAR_DIR": str(tmp_path), "PORT": "abc"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.stderr == "CommandError: PORT must be a number from 1 to 65535, not 'abc'.\n"


def test_interrupt_stops_every_process_and_a_second_run_keeps_the_data(running, start, folder):
    password = re.search(r"name: organizer +password: (\S+)", running.process.log)[1]
    assert len(running.processes) >= 5
    running.interrupt()
    eventually(lambda: not running.alive(), f"ended: {running.alive()}", 10)
    assert (folder / "fake-zoom.json").exists()
    second = start()
    assert "Nothing was changed" in second.process.log
    assert "password" not in second.process.log
    assert password not in second.process.log
