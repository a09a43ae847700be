"""A person's sessions as a calendar file and as a calendar feed."""

from collections.abc import Iterable

from events.calendar import ical
from events.calendar.entries import feed_entry, seat_entry, waitlist_entry
from events.links import absolute
from events.models import Session
from registrations.models import Registration, Seat
from registrations.models.registration import join_url


def personal_calendar_for(registration: Registration, sessions: Iterable[Session]) -> bytes:
    """The calendar file of a person's sessions, with their own links."""
    token = registration.token
    entries = [ical.entry(seat_entry(session, join_url(token, session))) for session in sessions]
    calendar = ical.calendar(name=registration.event.name, entries=entries)
    return ical.for_person(calendar, registration.mailbox_number)


def feed_for(registration: Registration, seats: Iterable[Seat]) -> bytes:
    """The calendar that a person subscribes to, which has their waitlists too."""
    entries = [_feed_entry(registration, seat) for seat in seats]
    calendar = ical.calendar(name=registration.event.name, entries=entries, method="")
    return ical.for_person(calendar, registration.mailbox_number)


def _feed_entry(registration: Registration, seat: Seat) -> bytes:
    if seat.waiting_since:
        entry = waitlist_entry(seat.session, absolute(registration.get_absolute_url()))
    else:
        entry = seat_entry(seat.session, join_url(registration.token, seat.session))
    return feed_entry(entry, seat.waiting_since or seat.seated_at)
