"""Registering for an event that requires approval, and reading the emails."""

import datetime as dt

from django.test import Client

from events.models import Event
from registrations.mail import writer
from registrations.models import Registration
from registrations.outbox import delivery
from tests.people import filled_form, without_token

HOUR = dt.timedelta(hours=1)
MINUTE = dt.timedelta(minutes=1)


def post(week: Event, **changes) -> bytes:
    answer = Client().post(f"/{week.slug}/register/", filled_form(week, **changes), follow=True)
    assert answer.status_code == 200
    return without_token(answer).encode()


def queued(person: Registration) -> list[tuple[str, str]]:
    """The kind and state of each of someone's emails, in the order they were queued."""
    return list(person.mails.order_by("pk").values_list("kind", "state"))


def deliver() -> None:
    delivery.deliver_due(writer.writer_for)


def parts(message) -> tuple[str, str]:
    """An email's text and its HTML, each on one line."""
    bodies = (message.get_body((kind,)).get_content() for kind in ("plain", "html"))
    text, html = (" ".join(body.split()) for body in bodies)
    return text, html


def secrets_in(text: str, week: Event) -> list[str]:
    """What this text contains although it is only for admitted people."""
    known = ["zoom.example", "/join/", "calendar.ics", "+1 669 900"]
    for session in week.sessions.with_details():
        known += [session.meeting.meeting_id, session.meeting.passcode]
        known += [item.description for item in session.agenda.all() if item.description]
    return [secret for secret in known if secret in text]
