"""A mailing to many people, and whether everyone got the email, and no one twice."""

import datetime as dt
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from django.db import connection
from django.utils import timezone

from events.models import Event
from registrations.mail import announcements
from registrations.models import Announcement, OutgoingMail, Registration, Seat
from registrations.outbox import mail_queue
from tests.services.mail import FastSink
from tests.services.process import eventually

WAITING, PAUSED, SENT, FAILED, DROPPED = "waiting", "paused", "sent", "failed", "dropped"
ZONES = ["America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles"]


def emails(count: int, domain: str = "example.org") -> list[str]:
    return [f"p{number}@{domain}" for number in range(count)]


def crowd(week: Event, addresses: Iterable[str]) -> list[Registration]:
    """Register many people for two sessions, as if they got their links long ago."""
    people = Registration.objects.bulk_create(
        Registration(
            event=week,
            name=f"Person {number}",
            email=address,
            email_key=address,
            zoom_email=address,
            time_zone=ZONES[number % len(ZONES)],
        )
        for number, address in enumerate(addresses)
    )
    sessions = list(week.sessions.all()[:2])
    long_ago = timezone.now() - dt.timedelta(days=30)
    Seat.objects.bulk_create(
        Seat(
            registration=person,
            session=session,
            seated_at=long_ago,
            notified_revision=session.revision,
        )
        for person in people
        for session in sessions
    )
    return people


def announce(week: Event) -> Announcement:
    """Send an announcement to everyone who is registered now."""
    announcement = Announcement.objects.create(event=week, subject="News", body="Dear {name}, hi.")
    announcements.send_now(announcement=announcement)
    return announcement


def eventually_with_wakeups(condition: Callable[[], Any], what: str, timeout: float = 60) -> Any:
    """Wait like `eventually`, and wake the workers every second, as beat does every ten."""
    next_wakeup = 0.0

    def wake_and_check() -> Any:
        nonlocal next_wakeup
        if time.monotonic() > next_wakeup:
            mail_queue.wake_workers()
            next_wakeup = time.monotonic() + 1
        return condition()

    try:
        return eventually(wake_and_check, what, timeout, every=0.05)
    except TimeoutError as error:
        error.add_note(f"Emails by state: {states()}. Statements: {running_statements()}")
        raise


def running_statements() -> list[tuple[str, ...]]:
    """What the database is doing: each statement, for how long, and what it waits for."""
    if connection.vendor != "postgresql":
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT state, now() - query_start, wait_event_type, wait_event, query "
            "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        return list(cursor.fetchall())


def have_ended(count: int) -> Callable[[], bool]:
    """Whether there are at least `count` emails, and none of them is waiting."""
    waiting = OutgoingMail.objects.filter(state__in=[WAITING, PAUSED])
    return lambda: OutgoingMail.objects.count() >= count and not waiting.exists()


def has_taken(sink: FastSink, count: int) -> bool:
    return sink.count() >= count


def states() -> dict[str, int]:
    return Counter(OutgoingMail.objects.values_list("state", flat=True))


def addresses_in(state: str) -> list[str]:
    mails = OutgoingMail.objects.filter(state=state)
    return sorted(mails.values_list("registration__email", flat=True))


def assert_served(sink: FastSink, addresses: list[str], *, doubles: int = 0) -> list[str]:
    """Everyone got their email, and it is recorded as sent. Returns who got the same one twice."""
    taken = sink.taken()
    served = {mail.recipient for mail in taken}
    assert served == set(addresses)
    # Each has one Message-ID, and no two the same.
    assert len({mail[2:] for mail in taken}) == len({mail.message_id for mail in taken})
    assert len({mail.message_id for mail in taken}) == len(addresses)
    assert addresses_in(SENT) == sorted(addresses)
    assert len(taken) - len(addresses) <= doubles
    return [address for address, times in Counter(sink.recipients()).items() if times > 1]
