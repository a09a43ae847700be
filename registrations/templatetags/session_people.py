"""How many people are in a session or an event: for pages that cancel or delete it."""

import datetime as dt
from collections.abc import Iterable

from django import template
from django.utils import timezone

from events.models import Event, Session
from registrations import seats
from registrations.mail import change_notices

register = template.Library()


@register.simple_tag
def people_in(found: Event | Session | Iterable[Session]) -> seats.People:
    """The people in an event, in a session, or in any of several sessions."""
    if isinstance(found, Event):
        return seats.people_of(found)
    return seats.people_in([found] if isinstance(found, Session) else found)


@register.simple_tag
def seat_counts_of(sessions: Iterable[Session]) -> dict[int, seats.SeatCounts]:
    """How many people have a spot and how many wait for one, by session id: see `of`."""
    return seats.counts_by_session([session.pk for session in sessions])


@register.filter
def of(counts: dict[int, seats.SeatCounts], session: Session) -> seats.SeatCounts:
    return counts[session.pk]


@register.simple_tag
def with_people(found: Iterable[Event | Session]) -> list[tuple[Event | Session, seats.People]]:
    """Those events or sessions that people have ever registered for."""
    counted = [(each, people_in(each)) for each in found if isinstance(each, Event | Session)]
    return [(each, people) for each, people in counted if people.is_anyone]


@register.simple_tag
def cancellation_wait(session: Session) -> dt.timedelta | None:
    """How long people would wait for an email about it. None if no one would get one."""
    return change_notices.cancellation_wait(session, timezone.now())
