"""Sessions as calendar entries. Public and personal entries of a session share a UID."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import replace

from django.utils.translation import gettext as _

from events.calendar import ical
from events.links import absolute, organizer_email
from events.models import Event, Session
from events.models.session import joining_text
from events.phone.dial_in import DialIn, for_reader

ALARMS = (dt.timedelta(days=1), dt.timedelta(minutes=15))


def public_calendar(event: Event, sessions: Iterable[Session]) -> bytes:
    """The public calendar: no Zoom links, no agenda."""
    entries = [
        ical.entry(_entry(each, absolute(each.get_absolute_url()), each.summary))
        for each in sessions
    ]
    return ical.calendar(name=event.name, entries=entries)


def seat_entry(session: Session, url: str) -> ical.Entry:
    """A session in an attendee's calendar; `url` is their personal join link."""
    # Some meetings have dozens. One entry serves readers in all countries.
    numbers = for_reader(session.dial_in_numbers(), "").first
    lines = [_("Join: %(url)s") % {"url": url}]
    lines += [*map(joining_text, session.joining_lines(numbers)), *_calling_lines(numbers)]
    return replace(_entry(session, url, "\n".join(lines)), location=url, alarms=ALARMS)


def _calling_lines(numbers: Iterable[DialIn]) -> list[str]:
    """How to call from a cell phone: the calendars there make a link of what "one tap" dials."""
    taps = [each.one_tap for each in numbers if "#" in each.one_tap][:1]
    keys = [_("On the phone, press *6 to unmute, *9 to raise your hand.")] if numbers else []
    return [_("Call with one tap: %(number)s") % {"number": tap} for tap in taps] + keys


def waitlist_entry(session: Session, url: str) -> ical.Entry:
    """A session in the calendar of someone on its waitlist; `url` is their own page."""
    description = _("You're on the waitlist. See your place in line: %(url)s") % {"url": url}
    entry = _entry(session, url, description)
    return replace(entry, title=_("Waitlist: %(title)s") % {"title": session.title}, tentative=True)


def removed_entry(session: Session) -> ical.Entry:
    """Takes the session out of the calendar of someone who left it."""
    return replace(_entry(session, absolute(session.get_absolute_url()), ""), attendee_left=True)


def _entry(session: Session, url: str, description: str) -> ical.Entry:
    return ical.Entry(
        uid=f"{session.uid}@strategyweek",
        sequence=session.revision,
        title=session.title,
        starts_at=session.starts_at,
        ends_at=session.ends_at,
        changed_at=session.updated_at,
        description="\n\n".join(filter(None, [_why_canceled(session), description])),
        location=_("Online, on Zoom"),
        url=url,
        organizer_name=session.event.host,
        organizer_email=organizer_email(session.event),
        canceled=not session.takes_place,
    )


def _why_canceled(session: Session) -> str:
    if not (session.is_canceled and session.cancel_reason):
        return ""
    return _("Canceled: %(reason)s") % {"reason": session.cancel_reason}


def feed_entry(entry: ical.Entry, since: dt.datetime) -> bytes:
    """An entry in a feed; `since` is when this reader got their seat or joined the waitlist.

    LAST-MODIFIED is when the entry last changed for this reader: some programs ignore an entry
    that was not modified. SEQUENCE and DTSTAMP stay the same as in emails; otherwise a later
    email would count as older than the feed.
    """
    return ical.entry(replace(entry, modified_at=max(entry.changed_at, since)))


def invitation(
    entry: ical.Entry, attendee_email: str, since: dt.datetime | None = None
) -> tuple[bytes, str]:
    """A calendar to email (iMIP, RFC 6047) that adds or updates the entry; and its METHOD.

    `since` is when the attendee's wait on the waitlist ended, or when they left. It makes this
    entry newer than the one they have: with equal SEQUENCE, the later DTSTAMP wins (RFC 5546,
    2.1.5).
    """
    changed_at = max(entry.changed_at, since) if since else entry.changed_at
    component = ical.entry(replace(entry, attendee_email=attendee_email, changed_at=changed_at))
    method = "CANCEL" if entry.canceled or entry.attendee_left else "REQUEST"
    return ical.calendar(entries=[component], method=method), method
