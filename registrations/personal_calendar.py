"""A person's sessions as a calendar file and as a calendar feed."""

from collections.abc import Iterable

from events.calendars import personal_calendar, personal_entry, personal_feed, waiting_entry
from events.links import absolute
from events.models import Session
from registrations.models import Registration, Seat
from registrations.models.registration import join_url


def personal_calendar_for(registration: Registration, sessions: Iterable[Session]) -> bytes:
    """The calendar file of a person's sessions, with their own links."""
    token = registration.token
    entries = [personal_entry(session, join_url(token, session)) for session in sessions]
    return personal_calendar(registration.event, entries)


def feed_for(registration: Registration, seats: Iterable[Seat]) -> bytes:
    """The calendar that a person subscribes to, which has their waiting lists too."""
    return personal_feed(registration.event, [_feed_entry(registration, seat) for seat in seats])


def _feed_entry(registration: Registration, seat: Seat) -> bytes:
    if seat.waiting_since:
        own_page = absolute(registration.get_absolute_url())
        return waiting_entry(seat.session, own_page, since=seat.waiting_since)
    url = join_url(registration.token, seat.session)
    return personal_entry(seat.session, url, since=seat.seated_at)
