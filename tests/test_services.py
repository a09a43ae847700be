"""The plumbing itself: a run talks to the servers that it claims to, and to nothing else."""

import os
import smtplib
import socket
import sqlite3
import sys
import urllib.request
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psutil
import pytest
import redis
from django.core.mail import EmailMessage
from django.db import connection, transaction
from kombu import Connection
from playwright.sync_api import Page
from pytest_django.live_server_helper import LiveServer

from strategyweek import celery_app
from tests.conftest import NetworkBlocked, Start, watch
from tests.services.mail import SmtpSink
from tests.services.process import Process, eventually

MESSAGES, WRITERS = 900, 3


# A process of its own. Its messages are long: a half-written one would be seen.
WRITER = """
import sys
from kombu import Connection
options = {"folder": sys.argv[1]}
first, end, step = map(int, sys.argv[2:])
with (
    Connection(
        transport="strategyweek.embedded_broker:Transport", transport_options=options
    ) as broker,
    broker.SimpleQueue("celery") as queue,
):
    for number in range(first, end, step):
        queue.put({"number": number, "words": "x" * 20_000})
"""


@pytest.mark.served
@pytest.mark.django_db
def test_served_run_is_on_postgresql() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT version()")
        version = cursor.fetchone()[0]
    assert connection.vendor == "postgresql"
    assert version.startswith("PostgreSQL ")


@pytest.mark.served
def test_served_run_is_on_redis() -> None:
    assert celery_app.connection().transport_cls == "redis"
    with closing(redis.Redis.from_url(celery_app.conf.broker_url)) as client:
        assert client.ping()


@pytest.mark.embedded
def test_embedded_run_has_no_servers() -> None:
    assert {"DATABASE_URL", "REDIS_URL"}.isdisjoint(os.environ)
    assert celery_app.connection().transport_cls == "embedded"


@pytest.mark.embedded
@pytest.mark.django_db(transaction=True)
def test_embedded_transaction_takes_the_write_lock_at_once() -> None:
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA journal_mode")
            assert cursor.fetchone() == ("wal",)
        with (
            closing(sqlite3.connect(connection.settings_dict["NAME"], timeout=0)) as other,
            pytest.raises(sqlite3.OperationalError, match="database is locked"),
        ):
            other.execute("BEGIN IMMEDIATE")


@pytest.mark.parametrize("address", [("192.0.2.1", 80), ("example.org", 443)])
def test_network_beyond_this_machine_is_blocked(address: tuple[str, int]) -> None:
    with closing(socket.socket()) as outward, pytest.raises(NetworkBlocked):
        outward.connect(address)


def test_worker_takes_a_task_from_the_broker(worker: Start) -> None:
    running = worker()
    celery_app.send_task("registrations.tasks.deliver_mails")
    running.wait_for_log(r"Task registrations\.tasks\.deliver_mails\[.*\] succeeded")


def test_worker_waits_for_a_task_published_before_it_started(worker: Start) -> None:
    celery_app.send_task("registrations.tasks.deliver_mails")
    worker().wait_for_log(r"Task registrations\.tasks\.deliver_mails\[.*\] succeeded")


def test_killed_worker_is_gone_whole(worker: Start) -> None:
    running = worker()
    children = psutil.Process(running.pid).children(recursive=True)
    assert children
    running.kill()
    assert not running.is_running()
    eventually(lambda: all(map(is_gone, children)), "no child of the worker is left")


def is_gone(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_embedded_broker_loses_no_message_between_processes(tmp_path: Path) -> None:
    folder = tmp_path / "broker"
    received: list[int] = []
    with (
        Connection(
            transport="strategyweek.embedded_broker:Transport",
            transport_options={"folder": str(folder), "polling_interval": 0.01},
        ) as broker,
        broker.SimpleQueue("celery") as queue,
    ):
        writers = [
            Process(
                *(sys.executable, "-c", WRITER, folder, str(first), str(MESSAGES), str(WRITERS)),
                log=tmp_path / f"writer-{first}.log",
            )
            for first in range(WRITERS)
        ]
        while len(received) < MESSAGES:
            message = queue.get(timeout=30)
            received.append(message.payload["number"])
            message.ack()
    for writer in writers:
        writer.wait()
    assert [writer.log for writer in writers] == [""] * WRITERS
    assert sorted(received) == list(range(MESSAGES))


def test_embedded_broker_throws_a_broken_message_away(tmp_path: Path) -> None:
    (tmp_path / "1-broken.celery.msg").write_text("")
    with (
        Connection(
            transport="strategyweek.embedded_broker:Transport",
            transport_options={"folder": str(tmp_path)},
        ) as broker,
        broker.SimpleQueue("celery") as queue,
    ):
        queue.put("whole")
        assert queue.get(timeout=10).payload == "whole"
    assert list(tmp_path.glob("*broken*")) == []


# The mail server


def send(address: str, sink: SmtpSink) -> None:
    EmailMessage("Día uno", "¡Hola!", "week@example.org", [address]).send()


def test_sink_keeps_what_was_sent(smtp: SmtpSink) -> None:
    send("alice@example.org", smtp)
    (mail,) = smtp.wait_for(1)
    assert (mail.sender, mail.recipients) == ("week@example.org", ["alice@example.org"])
    assert mail.message["Subject"] == "Día uno"
    assert mail.message.get_content().strip() == "¡Hola!"


def test_sink_refuses_one_recipient_until_told_otherwise(smtp: SmtpSink) -> None:
    smtp.refuse("bob@example.org")
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refusal:
        send("bob@example.org", smtp)
    assert refusal.value.recipients == {"bob@example.org": (550, b"5.1.1 No such user")}
    send("alice@example.org", smtp)
    smtp.accept("bob@example.org")
    send("bob@example.org", smtp)
    assert [mail.recipients[0] for mail in smtp.messages] == [
        "alice@example.org",
        "bob@example.org",
    ]


def test_sink_closes_in_place_of_an_answer(smtp: SmtpSink) -> None:
    smtp.close_after_data()
    with pytest.raises(smtplib.SMTPServerDisconnected):
        send("alice@example.org", smtp)
    assert smtp.messages == []
    assert len(smtp.unanswered) == 1


@pytest.mark.once
def test_sink_hangs_refuses_and_comes_back(smtp: SmtpSink) -> None:
    smtp.hang()
    with pytest.raises(smtplib.SMTPServerDisconnected, match="timed out"):
        send("alice@example.org", smtp)
    smtp.wait_for_hanging()
    smtp.stop()
    with pytest.raises(ConnectionRefusedError):
        send("alice@example.org", smtp)
    smtp.start()
    send("alice@example.org", smtp)
    assert len(smtp.to("alice@example.org")) == 1


# The browser


def test_phone_and_desk_open_the_site(desk: Page, phone: Page) -> None:
    for page, width in [(desk, 1280), (phone, 390)]:
        response = page.goto("/accounts/login/")
        assert response
        assert response.status == 200
        assert page.evaluate("innerWidth") == width


@pytest.mark.browser_may("said aloud", "Content Security Policy")
def test_watch_hears_errors_and_what_the_policy_blocks(page: Page, live_server: LiveServer) -> None:
    page.goto("/accounts/login/")
    complaints = watch(page.context, live_server.url)
    page.evaluate("console.error('said aloud')")
    page.evaluate("fetch('https://example.org/').catch(() => 0)")
    assert complaints[0] == "console: said aloud"
    assert any("Content Security Policy" in said for said in complaints[1:])


@pytest.mark.browser_may("https://example.org/", "ERR_NAME_NOT_RESOLVED")
def test_watch_hears_requests_to_strangers(
    new_page: Callable[..., Page], live_server: LiveServer
) -> None:
    page = new_page(bypass_csp=True)
    page.goto("/accounts/login/")
    complaints = watch(page.context, live_server.url)
    with page.expect_event("requestfailed"):
        page.evaluate("fetch('https://example.org/').catch(() => 0)")
    assert complaints[0] == "request: https://example.org/"


@pytest.mark.django_db
def test_live_server_serves_static_files(live_server: LiveServer) -> None:
    with urllib.request.urlopen(f"{live_server}/static/admin/css/base.css") as answer:
        assert answer.status == 200
