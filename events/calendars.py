"""Sessions as calendar entries. Public and personal entries of a session share a UID."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import replace

from events import ical
from events.links import absolute, organizer_email
from events.models import Event, Session

ALARMS = (dt.timedelta(days=1), dt.timedelta(minutes=15))


def public_calendar(event: Event, sessions: Iterable[Session]) -> bytes:
    """The public calendar: no Zoom links, no agenda."""
    entries = [
        ical.entry(
            _entry(session, url=absolute(session.get_absolute_url()), description=session.summary)
        )
        for session in sessions
    ]
    return ical.calendar(name=event.name, entries=entries)


def personal_calendar(event: Event, entries: Iterable[bytes]) -> bytes:
    """An attendee's calendar file, from the results of `personal_entry`."""
    return ical.calendar(name=event.name, entries=entries)


def personal_feed(event: Event, entries: Iterable[bytes]) -> bytes:
    """An attendee's calendar to subscribe to: the same, without a METHOD."""
    return ical.calendar(name=event.name, entries=entries, method="")


def personal_entry(session: Session, url: str, *, since: dt.datetime | None = None) -> bytes:
    """A session in an attendee's calendar; `url` is their personal join link.

    `since` is when they got their seat, if the calendar had a `waiting_entry` before.
    """
    entry = _seat_entry(session, url)
    return ical.entry(_modified(entry, since) if since else entry)


def waiting_entry(session: Session, url: str, *, since: dt.datetime | None = None) -> bytes:
    """A session in the calendar of someone on its waitlist; `url` is their own page.

    `since` is when they joined it.
    """
    entry = _waitlist_entry(session, url)
    return ical.entry(_modified(entry, since) if since else entry)


def invitation(
    session: Session, url: str, attendee_email: str, since: dt.datetime | None = None
) -> tuple[bytes, str]:
    """A calendar to email (iMIP, RFC 6047) that adds or updates the session; and its METHOD.

    `since` is when the attendee's wait on the waitlist ended. It makes this entry newer than
    their `waiting_entry`: with equal SEQUENCE, the later DTSTAMP wins (RFC 5546, 2.1.5).
    """
    entry = _seat_entry(session, url)
    if since:
        entry = replace(entry, changed_at=max(entry.changed_at, since))
    return _message(entry, attendee_email)


def waiting_invitation(session: Session, url: str, attendee_email: str) -> tuple[bytes, str]:
    """The same for someone on the waitlist; `url` is their own page."""
    return _message(_waitlist_entry(session, url), attendee_email)


def removal(session: Session, attendee_email: str, left_at: dt.datetime) -> tuple[bytes, str]:
    """The same for someone who left the session: it takes the entry out of their calendar."""
    entry = _entry(session, url=absolute(session.get_absolute_url()), description="")
    changed_at = max(entry.changed_at, left_at)
    entry = replace(entry, attendee_email=attendee_email, attendee_left=True, changed_at=changed_at)
    return ical.calendar(entries=[ical.entry(entry)], method="CANCEL"), "CANCEL"


def _message(entry: ical.Entry, attendee_email: str) -> tuple[bytes, str]:
    method = "CANCEL" if entry.canceled else "REQUEST"
    event = ical.entry(replace(entry, attendee_email=attendee_email))
    return ical.calendar(entries=[event], method=method), method


def _modified(entry: ical.Entry, since: dt.datetime) -> ical.Entry:
    """Set LAST-MODIFIED to when the entry last changed for this reader.

    Some programs ignore an entry that was not modified. SEQUENCE and DTSTAMP stay the same as
    in emails; otherwise a later email would count as older than the feed.
    """
    return replace(entry, modified_at=max(entry.changed_at, since))


def _seat_entry(session: Session, url: str) -> ical.Entry:
    return _entry(
        session, url=url, location=url, description=_how_to_join(session, url), alarms=ALARMS
    )


def _waitlist_entry(session: Session, url: str) -> ical.Entry:
    description = f"You are on the waiting list. Your place in line: {url}"
    entry = _entry(session, url=url, description=description)
    return replace(entry, title=f"Waiting list: {session.title}", tentative=True)


def _entry(
    session: Session,
    *,
    url: str,
    description: str,
    location: str = "",
    alarms: tuple[dt.timedelta, ...] = (),
) -> ical.Entry:
    return ical.Entry(
        uid=f"{session.uid}@strategyweek",
        sequence=session.revision,
        title=session.title,
        starts_at=session.starts_at,
        ends_at=session.ends_at,
        changed_at=session.updated_at,
        description=description,
        location=location or "Online, on Zoom",
        url=url,
        organizer_name=session.event.host,
        organizer_email=organizer_email(session.event),
        canceled=not session.takes_place,
        alarms=alarms,
    )


def _how_to_join(session: Session, url: str) -> str:
    return "\n".join([f"Join: {url}", *session.joining_lines()])
