"""Editing sessions, and reading the notices about it."""

import datetime as dt
import email.policy
from email import message_from_bytes

from django.utils import timezone

from events.models import Session
from events.schedule import edit_session
from registrations.mail import enqueue, writer
from registrations.models import OutgoingMail, Registration

NOW = dt.datetime(2026, 9, 1, 12, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)

ALICE = "alice@example.org"
BOB = "bob@example.org"


def send_all() -> None:
    """All waiting emails are sent now."""
    now = timezone.now()
    OutgoingMail.objects.filter(state="waiting").update(state="sent", sent_at=now, claimed_at=now)


def move(session: Session, **by: float) -> None:
    with edit_session(session.pk) as current:
        current.starts_at += dt.timedelta(**by)
        current.ends_at += dt.timedelta(**by)
        current.save()


def rename(session: Session, title: str) -> None:
    with edit_session(session.pk) as current:
        current.title = title
        current.save()


def written(kind: str, name: str = ""):
    """The newest email of this kind, maybe to this person, as it is sent, parsed again."""
    to = {"registration__name": name} if name else {}
    mail = OutgoingMail.objects.filter(kind=kind, **to).latest("pk")
    message = writer.writer_for([mail])(mail)
    mail_id = {"Message-ID": "<1@localhost>"}
    message.extra_headers |= mail_id
    return message_from_bytes(message.message().as_bytes(), policy=email.policy.default)


def texts(message) -> tuple[str, str]:
    return (
        " ".join(message.get_body(("plain",)).get_content().split()),
        " ".join(message.get_body(("html",)).get_content().split()),
    )


def calendar_parts(message) -> list:
    return [part for part in message.walk() if part.get_content_type() == "text/calendar"]


def send(clock, kind: str, name: str = "Alice Adams") -> None:
    """Someone's newest email of this kind is sent, a few seconds after the last edit."""
    clock.shift(3)
    mail = OutgoingMail.objects.filter(kind=kind, registration__name=name).latest("pk")
    assert writer.writer_for([mail])(mail)
    now = timezone.now()
    OutgoingMail.objects.filter(pk=mail.pk).update(state="sent", sent_at=now, claimed_at=now)


def links_again(clock, person: Registration) -> None:
    """Someone asks for the links again, and gets them."""
    enqueue.queue_confirmation(
        OutgoingMail.Kind.LINKS, [person], before={person.pk: person.mails.count()}
    )
    send(clock, "links", person.name)
