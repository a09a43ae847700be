"""A clock to let edits settle, two people who have their links, and a worker."""

import pytest
import time_machine

from registrations import tasks
from registrations.mail import writer
from registrations.models import OutgoingMail
from registrations.outbox import delivery
from tests.people import sign_up
from tests.registrations.mail.change_notices.edits import MINUTE, NOW, send_all


@pytest.fixture(autouse=True)
def clock():
    """A clock that starts at the same moment in each test."""
    with time_machine.travel(NOW) as clock:
        yield clock


@pytest.fixture
def settled(clock):
    """Let ten minutes pass, and list what is queued."""

    def settled(minutes: float = 10) -> list[tuple[str, str]]:
        clock.shift(minutes * MINUTE)
        tasks.queue_due_mails()
        queued = OutgoingMail.objects.exclude(kind="links").order_by("pk")
        return [(mail.kind, mail.registration.name) for mail in queued]

    return settled


@pytest.fixture
def two(week):
    """Alice and Bob, who have their links."""
    people = [sign_up(week, name) for name in ("Alice Adams", "Bob B")]
    send_all()
    return people


@pytest.fixture
def sent(clock, mailoutbox):
    """A minute or more later a worker sends what is waiting. Lists subjects and recipients."""

    def sent(minutes: float = 1) -> list[tuple[str, str]]:
        mailoutbox.clear()
        clock.shift(minutes * MINUTE)
        delivery.deliver_due(writer.writer_for)
        return sorted((mail.subject.partition(":")[0], mail.to[0]) for mail in mailoutbox)

    return sent
