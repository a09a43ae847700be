"""WHAT we say: one function a kind, two templates (txt, html).

A mail is rendered once for all who get the same words: same event, same sessions, same
time zone. Stand-ins for what is personal, the name and the token, are then filled in
for each person.
"""

import zoneinfo
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import escape

from events import ical
from events.calendars import personal_calendar
from events.links import absolute
from events.models import Event, Session

from . import outbox
from .models import TOKEN_LENGTH, OutgoingMail, Registration, Seat

# Private-use characters, which no form lets in; the token's stand-in must fit a URL.
NAME = "\ue000name\ue000"
TOKEN = "PERSONAL-TOKEN".ljust(TOKEN_LENGTH, "-")
SAMPLE_TOKEN = "sample-token-for-a-preview".ljust(TOKEN_LENGTH, "-")


def queue_links(
    registrations: Iterable[Registration], *, before: Mapping[int, int] | None = None
) -> None:
    """Owe people their links; `before` says by registration id how often they were mailed."""
    kind = OutgoingMail.Kind.LINKS
    outbox.queue(
        OutgoingMail(
            key=f"links/{registration.pk}/{(before or {}).get(registration.pk, 0)}",
            kind=kind,
            registration=registration,
        )
        for registration in registrations
    )


def join_url(token: str, session: Session) -> str:
    """The personal address that leads to the session's Zoom link valid at that time."""
    return absolute(reverse("join", args=[token, session.slug]))


@dataclass(frozen=True)
class Draft:
    """A mail to all who get the same words, with stand-ins where it is personal."""

    subject: str
    text: str
    html: str
    calendar: bytes
    reply_to: tuple[str, ...]

    def address_to(self, registration: Registration) -> EmailMultiAlternatives:
        """Fill in what is personal."""
        name, token = registration.name, registration.token
        message = EmailMultiAlternatives(
            subject=self.subject,
            body=self.text.replace(TOKEN, token).replace(NAME, name),
            to=[registration.email],
            reply_to=self.reply_to,
            headers={"Auto-Submitted": "auto-generated"},
        )
        html = self.html.replace(TOKEN, token).replace(NAME, escape(name))
        message.attach_alternative(html, "text/html")
        calendar = ical.replace(self.calendar, TOKEN, token)
        message.attach("strategy-week.ics", calendar, "text/calendar; method=PUBLISH")
        return message


def links(*, event: Event, sessions: Sequence[Session], zone: zoneinfo.ZoneInfo) -> Draft:
    """Every link, the detailed schedule and the calendar: the answer to a registration."""
    join_urls = [(session, join_url(TOKEN, session)) for session in sessions]
    context = {
        "name": NAME,
        "event": event,
        "zone": zone,
        "join_urls": join_urls,
        "me_url": absolute(reverse("me", args=[TOKEN])),
        "site_url": absolute(event.get_absolute_url()),
    }
    return Draft(
        subject=f"Your links for {event.name}",
        text=render_to_string("mails/links.txt", context),
        html=render_to_string("mails/links.html", context),
        calendar=personal_calendar(event, join_urls),
        reply_to=(event.contact_email,) if event.contact_email else (),
    )


DRAFTS = {OutgoingMail.Kind.LINKS: links}


def prepare(mails: Sequence[OutgoingMail]) -> outbox.Writer:
    """Fetch what a batch of mails speaks of, and return what writes each one.

    A mail whose registration was cancelled meanwhile is written as None: not needed.
    """
    seats = _seats(mails)
    sessions = {
        session.pk: session
        for session in Session.objects.published()
        .filter(pk__in={pk for pks in seats.values() for pk in pks})
        .with_details()
    }
    events = Event.objects.in_bulk({mail.registration.event_id for mail in mails})
    drafts: dict[tuple[Any, ...], Draft] = {}

    def write(mail: OutgoingMail) -> EmailMultiAlternatives | None:
        registration = mail.registration
        if registration.cancelled_at:
            return None
        attended = tuple(pk for pk in sessions if pk in seats[registration.pk])
        same = (mail.kind, registration.event_id, registration.time_zone, attended)
        if same not in drafts:
            drafts[same] = DRAFTS[OutgoingMail.Kind(mail.kind)](
                event=events[registration.event_id],
                sessions=[sessions[pk] for pk in attended],
                zone=registration.zone,
            )
        return drafts[same].address_to(registration)

    return write


def sample(kind: OutgoingMail.Kind, event: Event) -> EmailMultiAlternatives:
    """A mail of this kind to a made-up attendee of a real event, for previews."""
    attendee = Registration(
        event=event,
        name="Siobhán O'Brien & Co",
        email="siobhan@example.org",
        time_zone="America/New_York",
        token=SAMPLE_TOKEN,
    )
    sessions = list(event.sessions.published().with_details())
    return DRAFTS[kind](event=event, sessions=sessions, zone=attendee.zone).address_to(attendee)


def _seats(mails: Sequence[OutgoingMail]) -> dict[int, set[int]]:
    """The ids of each registration's sessions."""
    seats: dict[int, set[int]] = {mail.registration_id: set() for mail in mails}
    rows = Seat.objects.filter(registration__in=seats).values_list("registration_id", "session_id")
    for registration_id, session_id in rows:
        seats[registration_id].add(session_id)
    return seats
