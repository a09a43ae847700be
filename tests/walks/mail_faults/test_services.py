"""The broker, the database or the mail server fails during a mailing.

Everyone gets the email, and no one gets it twice.
"""

import os
import signal
import statistics
from contextlib import closing
from functools import partial
from typing import Any

import psycopg2
import pytest
from django.db import connection, transaction
from django.utils import timezone

from registrations.models import Heartbeat, OutgoingMail
from registrations.outbox import mail_queue
from strategyweek import celery_app
from tests.conftest import database_url
from tests.people import sign_up
from tests.services.database import Broker
from tests.services.process import eventually
from tests.walks.mail_faults.mailing import (
    FAILED,
    WAITING,
    addresses_in,
    announce,
    assert_served,
    crowd,
    emails,
    eventually_with_wakeups,
    has_taken,
    have_ended,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(180)]


# The broker


def tick(broker: Broker) -> None:
    """Do what beat does."""
    with celery_app.connection_for_write(broker.url) as connection_to_broker:
        for task in ("queue_due_mails", "deliver_mails"):
            celery_app.send_task(f"registrations.tasks.{task}", connection=connection_to_broker)


@pytest.mark.served
def test_broker_that_dies_during_a_mailing_loses_no_email(week, sink, broker, worker):
    people = crowd(week, emails(100, "slowish.example"))
    worker(REDIS_URL=broker.url)
    announce(week)
    tick(broker)
    sink.wait_for(20)
    broker.kill()
    # Without it the worker goes on until its delivery run ends.
    sink.wait_for(sink.count() + 20)
    late = [sign_up(week, f"Late{number} L").email for number in range(5)]
    broker.start()
    tick(broker)
    eventually(have_ended(105), "everyone is served", 60)
    assert assert_served(sink, [person.email for person in people] + late) == []


# The database


RECORDING = "wait_event_type = 'Lock' AND query LIKE 'UPDATE%'"


def cut(postgresql: Any, condition: str = "true") -> int:
    """Cut the workers' database connections; returns how many there were."""
    connections = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    postgresql.execute(f"{connections} WHERE application_name = 'a worker' AND {condition}")
    return postgresql.rowcount


@pytest.mark.served
def test_cut_database_connections_lose_and_double_no_email(week, sink, worker, postgresql):
    people = crowd(week, emails(100, "slowish.example"))
    worker(EMAIL_TIMEOUT="1", PGAPPNAME="a worker")
    announce(week)
    for count in (20, 35, 50):
        eventually_with_wakeups(partial(has_taken, sink, count), f"{count} mails")
        eventually(lambda: cut(postgresql), "the worker is back at the database")
    for _time in range(2):
        with transaction.atomic():
            # Recording an outcome waits for these locks. The connection is cut meanwhile.
            waiting = OutgoingMail.objects.select_for_update().filter(state=WAITING)
            assert len(waiting) > 20
            eventually_with_wakeups(
                partial(cut, postgresql, RECORDING), "an outcome is being recorded"
            )
    eventually_with_wakeups(have_ended(100), "everyone is served")
    assert assert_served(sink, [person.email for person in people]) == []


@pytest.mark.served
@pytest.mark.crashes
def test_database_that_crashes_during_a_mailing_loses_and_doubles_no_email(
    week, sink, worker, postgresql
):
    people = crowd(week, emails(150, "slowish.example"))
    # The tests' server may lose commits in a crash, but not those of this worker.
    worker(EMAIL_TIMEOUT="1", PGAPPNAME="a worker", PGOPTIONS="-c synchronous_commit=on")
    announce(week)
    sink.wait_for(40)
    postgresql.execute("CHECKPOINT")
    postgresql.execute("SELECT pid FROM pg_stat_activity WHERE application_name = 'a worker'")
    (backend,) = postgresql.fetchone()
    # When one of its processes is killed, the server ends all of them and recovers.
    os.kill(backend, signal.SIGKILL)
    eventually(lambda: is_cut(postgresql), "the server has ended its processes")
    eventually(has_recovered, "the database has recovered")
    connection.close()
    eventually_with_wakeups(have_ended(150), "everyone is served")
    assert assert_served(sink, [person.email for person in people]) == []


def is_cut(cursor: Any) -> bool:
    try:
        cursor.execute("SELECT 1")
    except psycopg2.Error:
        return True
    return False


def has_recovered() -> bool:
    try:
        with closing(psycopg2.connect(database_url())):
            return True
    except psycopg2.OperationalError:
        return False


# The mail server


@pytest.mark.once
def test_mail_server_that_misbehaves_gets_every_email_and_twice_only_those_it_did_not_answer(
    week, sink, worker
):
    domains = ["busy.example", "gone.example", "mute.example", "cut.example", "deaf.example"]
    addresses = [
        f"{name}{number}@{domain}"
        for number in range(2)
        for domain in domains
        for name, domain in [("odd", domain), (domain[:4], "example.org")]
    ]
    people = crowd(week, addresses)
    assert len(people) == 20
    worker(EMAIL_TIMEOUT="1")
    announce(week)
    untried = OutgoingMail.objects.filter(state=WAITING, last_error="")
    eventually(lambda: OutgoingMail.objects.exists() and not untried.exists(), "each was tried")
    to_come = {"busy.example", "mute.example", "cut.example", "deaf.example"}
    assert {address.partition("@")[2] for address in addresses_in(WAITING)} == to_come
    # The retry delay is over, as it would be ten seconds later.
    OutgoingMail.objects.filter(state=WAITING).update(due_at=timezone.now())
    mail_queue.wake_workers()
    eventually(have_ended(20), "each was tried again")

    refused = [address for address in addresses if address.endswith("@gone.example")]
    assert addresses_in(FAILED) == sorted(refused)
    errors = set(OutgoingMail.objects.filter(state=FAILED).values_list("last_error", flat=True))
    assert errors == {"550 5.1.1 No such user"}
    served = [address for address in addresses if address not in refused]
    doubled = assert_served(sink, served, doubles=2)
    assert sorted(doubled) == ["odd0@deaf.example", "odd1@deaf.example"]


@pytest.mark.once
@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_slots_of_a_worker_send_in_parallel_from_the_start_of_a_mailing(week, sink, worker, pool):
    people = crowd(week, emails(400, "slow.example"))
    worker(f"--pool={pool}", "--concurrency=4")
    announce(week)
    eventually(have_ended(400), "everyone is served", 60)
    assert assert_served(sink, [person.email for person in people]) == []
    at_a_time = [mail.in_progress for mail in sink.taken()]
    assert max(at_a_time) == 4
    assert statistics.median(at_a_time) >= 3
    assert Heartbeat.objects.filter(process="worker").exists()
