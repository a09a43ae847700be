"""A worker's clock that jumps ahead and back leaves no email waiting longer than a lease.

The database's clock is right all the time.
"""

import datetime as dt
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import time_machine
from django.utils import timezone

from events import schedule
from events.clock import Now, database_time
from registrations import tasks
from registrations.mail import announcements, change_notices, reminders, stored_messages, writer
from registrations.models import Announcement, MailThrottle, OutgoingMail, Registration, Seat
from registrations.outbox import delivery, mail_queue
from strategyweek import celery_app
from tests.people import sign_up
from tests.registrations.outbox.test_delivery import plain, plain_after
from tests.services import process, wrong_clock
from tests.services.mail import FastSink
from tests.services.process import eventually

pytestmark = [pytest.mark.django_db, pytest.mark.clock_alone]

HOUR = dt.timedelta(hours=1)
WAITING, SENT = "waiting", "sent"


@pytest.fixture
def people(week) -> list[Registration]:
    return [sign_up(week, name) for name in ("Alice A", "Bob B", "Charlie C", "Dora D")]


def ahead(delta: dt.timedelta = HOUR) -> time_machine.travel:
    return time_machine.travel(timezone.now() + delta)


def latest() -> dt.datetime:
    """When the last of the waiting emails is due."""
    return max(OutgoingMail.objects.filter(state=WAITING).values_list("due_at", flat=True))


# Claims


def test_email_is_due_in_the_very_moment_that_it_is_queued_for(people):
    mails = OutgoingMail.objects.filter(registration=people[0])
    # Again and again, because both must come within one millisecond: SQLite's clock has no more.
    for _ in range(100):
        mails.update(due_at=database_time())
        assert mails.due(Now()).exists()


def test_email_claimed_by_a_clock_that_was_ahead_is_due_again_within_a_lease(people):
    with ahead():
        assert len(mail_queue.claim()) == 4
    assert database_time() < latest() <= database_time() + mail_queue.lease()


def test_email_claimed_by_another_worker_is_left_to_it_although_the_clock_is_ahead(people):
    mail_queue.claim()
    with ahead():
        assert mail_queue.claim() == []


@pytest.mark.parametrize("jump", [HOUR, -HOUR], ids=["ahead", "back"])
def test_clock_that_jumps_does_not_end_a_run(people, smtp, jump):
    with ahead(dt.timedelta()) as clock:
        leaps = iter([jump])
        leap = plain_after(lambda mail: clock.shift(next(leaps, dt.timedelta())))
        assert delivery.deliver_due(leap) is False
    assert {mail.state for mail in OutgoingMail.objects.all()} == {SENT}
    assert len(smtp.messages) == 4
    now = database_time()
    for mail in OutgoingMail.objects.all():
        assert mail.claimed_at <= mail.sent_at <= now + dt.timedelta(seconds=1)


def test_emails_handed_back_after_a_jump_are_due_at_once(people, smtp):
    with ahead() as clock:

        def jump_back(mail):
            clock.shift(-HOUR)
            time.sleep(0.2)

        assert delivery.deliver_due(plain_after(jump_back), run_seconds=0.1) is True
    assert OutgoingMail.objects.filter(state=WAITING, attempts=0).count() == 3
    assert latest() <= database_time()


def test_emails_that_yielded_to_more_urgent_ones_are_due_at_once(week, people, smtp):
    OutgoingMail.objects.update(priority=OutgoingMail.Priority.BULK)
    rendered = []

    def sign_zora_up(mail):
        rendered.append(mail.registration.name)
        if len(rendered) == 1:
            sign_up(week, "Zora Z")

    with ahead():
        delivery.deliver_due(plain_after(sign_zora_up), recheck_seconds=0)
    assert rendered == ["Alice A", "Zora Z", "Bob B", "Charlie C", "Dora D"]


@pytest.mark.parametrize("fault", ["busy", "away"])
def test_retries_wait_no_longer_although_the_clock_is_ahead(people, smtp, fault):
    if fault == "busy":
        for person in people:
            smtp.temporarily_refuse(person.email)
    else:
        smtp.stop()
    with ahead():
        delivery.deliver_due(plain)
    now = database_time()
    assert OutgoingMail.objects.filter(state=WAITING).count() == 4
    assert now < latest() <= now + delivery.RETRY_DELAYS[0] + dt.timedelta(seconds=1)


def test_slots_of_mail_per_minute_are_shared_with_a_clock_that_is_ahead(people, smtp, settings):
    settings.MAIL_PER_MINUTE = 4
    with ahead(dt.timedelta(seconds=100)):
        delivery.deliver_due(plain)
    assert len(smtp.messages) == 1
    free_in = MailThrottle.objects.get().free_at - database_time()
    assert free_in <= dt.timedelta(seconds=15)
    assert latest() <= database_time() + free_in


# Queueing


def queue_one(week):
    sign_up(week, "Alice A")


def queue_many(week):
    sign_up(week, "Alice A")
    OutgoingMail.objects.all().delete()
    mail_queue.queue_all(Registration.objects.all(), key="links", kind="links")


def resend(week):
    sign_up(week, "Alice A")
    OutgoingMail.objects.update(state="failed")
    mail_queue.resend(OutgoingMail.objects.all())


def announce(week):
    sign_up(week, "Alice A")
    OutgoingMail.objects.all().delete()
    announcement = Announcement.objects.create(event=week, subject="News", body="Hi.")
    with ahead():
        announcements.send_now(announcement=announcement)
    tasks.queue_due_mails()


@pytest.mark.parametrize("queue", [queue_one, queue_many, resend, announce])
def test_email_queued_by_a_clock_that_is_ahead_is_sent_at_once(week, smtp, queue):
    with ahead():
        queue(week)
    delivery.deliver_due(plain)
    assert len(smtp.messages) == 1


def test_reminder_is_not_queued_early_by_a_clock_that_is_ahead(week, opening):
    sign_up(week)
    with ahead(opening.hour_reminder_at - timezone.now()):
        tasks.queue_due_mails()
    assert not OutgoingMail.objects.filter(kind="hour").exists()


# What is no longer needed


def test_email_is_not_taken_for_late_by_a_clock_that_is_ahead(week, opening, smtp):
    soon = timezone.now() + HOUR / 2
    week.sessions.filter(pk=opening.pk).update(starts_at=soon, ends_at=soon + HOUR)
    sign_up(week)
    Seat.objects.update(seated_at=soon - 24 * HOUR)
    reminders.queue_reminders(timezone.now())
    with ahead():
        delivery.deliver_due(writer.writer_for)
    assert OutgoingMail.objects.get(kind="hour").state == SENT


def test_sign_in_code_is_not_taken_for_expired_by_a_clock_that_is_ahead(mailoutbox):
    stored_messages.queue(
        recipient="alice@example.org",
        subject="Your code",
        text="ABCD-EFGH",
        valid_for=dt.timedelta(minutes=15),
    )
    with ahead():
        tasks.queue_due_mails()
        delivery.deliver_due(writer.writer_for)
    assert [mail.subject for mail in mailoutbox] == ["Your code"]


def test_notice_that_is_being_sent_is_not_replaced_by_a_clock_that_is_ahead(week, opening):
    sign_up(week)
    OutgoingMail.objects.update(state="dropped")
    _rename(opening, "Other")
    (claimed,) = mail_queue.claim()
    with ahead():
        _rename(opening, "Another")
    claimed.refresh_from_db()
    assert (claimed.kind, claimed.state) == ("changed", WAITING)


def _rename(session, title: str) -> None:
    with schedule.edit_session(session.pk) as current:
        current.title = title
        current.save()
    change_notices.queue_changes(timezone.now() + HOUR)


# Real workers


@pytest.fixture
def sink(tmp_path) -> Iterator[FastSink]:
    sink = FastSink(tmp_path)
    yield sink
    sink.stop()


class WrongClock:
    """How many seconds a worker's clock is ahead."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "ahead"
        self.set(0)

    def set(self, seconds: float) -> None:
        new = self.file.with_suffix(".new")
        new.write_text(str(seconds))
        new.rename(self.file)

    @property
    def variables(self) -> dict[str, str]:
        return {"CLOCK_AHEAD": str(self.file), "PYTHONPATH": str(Path(*wrong_clock.__path__))}


@pytest.fixture
def wrong(tmp_path) -> WrongClock:
    return WrongClock(tmp_path)


@pytest.fixture
def start(worker, sink, wrong) -> Callable[[], process.Process]:
    """Start a worker whose clock the test sets, and let it send what is due.

    The wake-up has no time at which it expires, since the worker would take it for expired.
    """

    def start() -> process.Process:
        started = worker("--pool=solo", EMAIL_URL=sink.url, EMAIL_TIMEOUT="1", **wrong.variables)
        celery_app.send_task("registrations.tasks.deliver_mails")
        return started

    return start


def crowd(week, count: int) -> list[str]:
    addresses = [f"p{number}@slow.example" for number in range(count)]
    Registration.objects.bulk_create(
        Registration(event=week, name="Alice A", email=address, email_key=address)
        for address in addresses
    )
    mail_queue.queue_all(Registration.objects.all(), key="links", kind="links")
    return addresses


@pytest.mark.django_db(transaction=True)
def test_worker_that_dies_while_its_clock_is_ahead_leaves_its_emails_for_a_lease(
    week, sink, wrong, start, settings
):
    settings.EMAIL_TIMEOUT = 1
    crowd(week, 100)
    wrong.set(HOUR.total_seconds())
    dying = start()
    sink.wait_for(10)
    dying.kill()
    assert OutgoingMail.objects.filter(state=WAITING, attempts=1).count() > 50
    assert latest() <= database_time() + mail_queue.lease()


@pytest.mark.django_db(transaction=True)
def test_clock_that_jumps_ahead_and_back_during_a_mailing_delays_and_doubles_no_email(
    week, sink, wrong, start
):
    """Its first run ends after ten seconds, and hands back what it claimed."""
    addresses = crowd(week, 260)
    wrong.set(HOUR.total_seconds())
    start()
    sink.wait_for(20)
    for seconds in (0, 3600, -3600, 0):
        wrong.set(seconds)
        sink.wait_for(sink.count() + 10)
    waiting = OutgoingMail.objects.filter(state=WAITING)
    eventually(lambda: not waiting.exists(), "everyone is served", 40)
    assert sorted(sink.recipients()) == sorted(addresses)
