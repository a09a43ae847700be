"""Workers are killed or stopped during a mailing, or work on the same one.

Everyone gets the email, and no one gets it twice. One exception: the email that a worker was
sending when it was killed may be sent again, with the same Message-ID.
"""

import datetime as dt
import os
import random
import re
import signal
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from events.schedule import edit_session
from registrations.models import Announcement, OutgoingMail, Registration
from registrations.outbox import mail_queue
from strategyweek import celery_app
from tests.services.process import Process, eventually
from tests.walks.mail_faults.mailing import (
    SENT,
    WAITING,
    announce,
    assert_served,
    crowd,
    emails,
    eventually_with_wakeups,
    has_taken,
    have_ended,
    states,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(180)]


@pytest.mark.served
@pytest.mark.once
def test_wakeup_that_a_busy_worker_cannot_take_is_left_to_an_idle_one(week, sink, worker):
    crowd(week, emails(300, "slow.example"))
    worker()
    announce(week)
    sink.wait_for(5)
    mail_queue.wake_workers()
    idle = worker()
    idle.wait_for_log(r"deliver_mails\[.*received", timeout=4)
    eventually(lambda: max(mail.in_progress for mail in sink.taken()) == 2, "both send", 4)


@pytest.mark.once
def test_worker_that_is_stopped_hands_back_what_it_has_not_sent(week, sink, worker):
    people = crowd(week, emails(230, "slow.example"))
    # Its lease would last for fifteen minutes.
    stopping = worker(EMAIL_TIMEOUT="60")
    announce(week)
    sink.wait_for(20)
    os.kill(stopping.pid, signal.SIGTERM)
    assert stopping.wait(mail_queue.DELIVERY_RUN_SECONDS + 5) == 0
    rest = OutgoingMail.objects.filter(state=WAITING)
    assert len(rest) == 230 - sink.count() > 0
    assert {mail.attempts for mail in rest} == {0}
    assert max(mail.due_at for mail in rest) <= timezone.now()
    worker(EMAIL_TIMEOUT="60")
    eventually(have_ended(230), "the next worker serves the others", 30)
    assert assert_served(sink, [person.email for person in people]) == []


# On PostgreSQL twenty of them are killed, at the end of this file.
@pytest.mark.embedded
def test_killed_workers_double_at_most_one_email_each(week, sink, worker):
    people = crowd(week, emails(300))
    announce(week)
    for _time in range(3):
        dying = worker()
        mail_queue.wake_workers()
        sink.wait_for(sink.count() + random.randrange(5, 60))
        dying.kill()
        assert states()[WAITING] > 0
        # Its lease has expired, as it would some minutes later.
        OutgoingMail.objects.filter(state=WAITING).update(due_at=timezone.now())
    worker()
    eventually_with_wakeups(have_ended(300), "everyone is served")
    assert_served(sink, [person.email for person in people], doubles=3)


@pytest.mark.served
@pytest.mark.once
def test_killed_child_of_a_worker_does_not_take_the_wakeup_with_it(week, sink, worker, postgresql):
    people = crowd(week, emails(20))
    announce(week)
    # So that the child has taken the wake-up, but claimed no email.
    postgresql.execute("BEGIN; LOCK TABLE registrations_outgoingmail")
    running = worker()
    waiting = "SELECT 1 FROM pg_locks WHERE relation = 'registrations_outgoingmail'::regclass"
    eventually(lambda: is_any(postgresql, f"{waiting} AND NOT granted"), "the child waits", 10)
    (child,) = running.children()
    os.kill(child, signal.SIGKILL)
    postgresql.execute("COMMIT")
    # Without the wake-up it would wait for beat.
    sink.wait_for(1, timeout=2)
    eventually(have_ended(20), "everyone is served")
    assert assert_served(sink, [person.email for person in people]) == []


@pytest.mark.once
@pytest.mark.parametrize("children", [1, 2])
def test_mailing_goes_on_at_once_when_a_child_of_a_worker_is_killed(week, sink, worker, children):
    crowd(week, emails(2000))
    announce(week)
    running = worker(f"--concurrency={children}")
    mail_queue.wake_workers()
    sink.wait_for(20 * children)
    os.kill(running.children()[0], signal.SIGKILL)
    # The mail server may still be working on one of the killed child's.
    sink.wait_for(sink.count() + 2, timeout=2)


def is_any(postgresql: Any, query: str) -> bool:
    postgresql.execute(query)
    return bool(postgresql.fetchone())


def test_concurrent_claims_share_no_email(week):
    crowd(week, emails(10))
    mail_queue.queue_all(Registration.objects.all(), key="links", kind="links")
    with ThreadPoolExecutor(1) as elsewhere:
        with transaction.atomic():
            ours = mail_queue.claim(limit=5)
            claiming = elsewhere.submit(claim_elsewhere)
            if connection.vendor == "postgresql":
                # It does not wait for the first claim. (SQLite has one writer at a time.)
                claiming.result(timeout=10)
        theirs = claiming.result()
    assert len({mail.pk for mail in ours + theirs}) == 10


def claim_elsewhere() -> list[OutgoingMail]:
    try:
        return mail_queue.claim(limit=5)
    finally:
        connection.close()


@pytest.mark.once
def test_two_beats_and_two_workers_send_everything_once(week, sink, worker, beat):
    people = crowd(week, emails(40))
    soon, changed = week.sessions.all()[:2]
    starts_at = timezone.now() + dt.timedelta(minutes=30)
    week.sessions.filter(pk=soon.pk).update(starts_at=starts_at)
    with edit_session(changed.pk) as session:
        session.title = "Another title"
        session.save()
    week.sessions.filter(pk=changed.pk).update(revised_at=timezone.now() - dt.timedelta(hours=1))
    Announcement.objects.create(
        event=week, subject="News", body="Hi.", state="scheduled", send_at=timezone.now()
    )
    started = [start(wait=False) for start in (beat, beat, worker, worker)]
    eventually(have_ended(3 * 40), "the beats' first sweep", 60)
    for _time in range(4):
        celery_app.send_task("registrations.tasks.queue_due_mails")
    eventually(lambda: times_asked(started) >= 2 + 4, "asked again and again")
    kinds = OutgoingMail.objects.values_list("kind", flat=True)
    assert Counter(kinds) == {"hour": 40, "changed": 40, "announcement": 40}
    assert states() == {SENT: 120}
    assert Counter(sink.recipients()) == {person.email: 3 for person in people}


def times_asked(workers: Iterable[Process]) -> int:
    """How often these workers have queued what is due."""
    return sum(len(re.findall(r"queue_due_mails\[.*succeeded", each.log)) for each in workers)


@pytest.mark.long
@pytest.mark.served
@pytest.mark.timeout(300)
def test_twenty_killed_workers_lose_no_email_to_four_thousand_people(week, sink, worker):
    people = crowd(week, emails(4_000))
    start = partial(worker, wait=False, EMAIL_TIMEOUT="1")
    workers = [start(), start()]
    announce(week)
    began_at = time.monotonic()
    for count in sorted(random.sample(range(100, 2_800), 20)):
        eventually_with_wakeups(partial(has_taken, sink, count), f"{count} mails")
        sending = eventually_with_wakeups(partial(all_sending, workers), "a worker sends")
        time.sleep(random.random() / 10)
        dying = random.choice(sending)
        dying.kill()
        workers.remove(dying)
        workers.append(start())
    for living in workers:
        living.stop()
    # The leases of the dead expire, as they would half a minute later.
    OutgoingMail.objects.filter(state=WAITING).update(due_at=timezone.now())
    start()
    eventually_with_wakeups(have_ended(4_000), "everyone is served", 120)
    doubled = assert_served(sink, [person.email for person in people], doubles=20)
    seconds = time.monotonic() - began_at
    print(f"{4_000 / seconds:.0f} mails/s in {seconds:.0f} s, {len(doubled)} doubled")


def all_sending(workers: Iterable[Process]) -> list[Process]:
    """The workers that have received a task."""
    return [each for each in workers if "deliver_mails" in each.log.partition(" ready.")[2]]
