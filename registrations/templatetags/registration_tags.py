"""Tags for the public pages about a registration."""

import datetime as dt
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from django import template
from django.urls import reverse
from django.utils import timezone

from events.links import absolute
from events.models import Event, Session
from registrations import questions, seats
from registrations.models import Question, Registration
from registrations.models.access_needs import NEED_KINDS

register = template.Library()

# How the paths of emailed links start.
EMAILED_PATHS = ("/me/", "/join/", "/calendar/")
# People may still look for recordings this long after an event.
RECENT = dt.timedelta(days=90)


@register.simple_tag(takes_context=True)
def events_of_lost_link(context: template.Context) -> list[Any]:
    """On the error page of an emailed link, return the events that it may belong to."""
    if not str(context.get("request_path", "")).startswith(EMAILED_PATHS):
        return []
    events = Event.objects.published().with_times().order_by("first_starts_at", "pk")
    return list(events.filter(last_ends_at__gt=timezone.now() - RECENT))


class Spots(NamedTuple):
    """The sessions that are full, and whether all are."""

    full: set[Session]
    are_gone: bool


@register.simple_tag
def spots_in(sessions: list[Session], phase: str) -> Spots:
    """Which of these sessions people can register for, but only for the waitlist.

    `phase` is the event's. A session without a limit is never full, and asks no query.
    """
    full = seats.full_sessions(sessions) if phase == Event.Phase.OPEN else set()
    return Spots(full, are_gone=bool(full) and len(full) == len(sessions))


@register.simple_tag
def needs_to_ask_for(event: Event) -> str:
    """What an event doesn't have for everyone: captions, ASL, interpretation."""
    has = {
        "captions": event.shows_captions,
        "asl": event.has_asl,
        "interpretation": event.has_interpretation,
    }
    missing = (kind for kind in NEED_KINDS if not has.get(kind.value, True))
    return ", ".join(str(kind.short_label) for kind in missing)


@register.simple_tag
def answers_of(registration: Registration) -> list[tuple[Question, str]]:
    """Return each question that someone answered, and the answer."""
    answers = registration.answers.select_related("question")
    return [(answer.question, questions.answer_text(answer)) for answer in answers]


@register.simple_tag
def subscription(registration: Registration) -> dict[str, str]:
    """Return the links that subscribe to someone's calendar feed, by calendar."""
    address = absolute(reverse("feed", args=[registration.token]))
    # This scheme opens the device's own calendar. Google accepts no other for a feed.
    webcal = f"webcal://{address.partition('://')[2]}"
    microsoft = urlencode({"url": address, "name": registration.event.name}, quote_via=quote)
    return {
        "address": address,
        "device": webcal,
        "google": f"https://calendar.google.com/calendar/render?{urlencode({'cid': webcal})}",
        "outlook": f"https://outlook.live.com/calendar/0/addfromweb?{microsoft}",
        "office": f"https://outlook.office.com/calendar/0/addfromweb?{microsoft}",
    }
