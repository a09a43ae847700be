"""Sessions as calendar entries: the same entry wherever it appears, with or without secrets."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import replace

from events import ical
from events.links import absolute, organizer_email
from events.models import Event, Session

ALARMS = (dt.timedelta(days=1), dt.timedelta(minutes=15))


def public_calendar(event: Event, sessions: Iterable[Session]) -> bytes:
    """The event's calendar for anyone: no link to Zoom, no agenda."""
    entries = [
        ical.entry(
            _entry(session, url=absolute(session.get_absolute_url()), description=session.summary)
        )
        for session in sessions
    ]
    return ical.calendar(name=event.name, entries=entries)


def personal_calendar(event: Event, entries: Iterable[bytes]) -> bytes:
    """An attendee's calendar, of entries that `personal_entry` has built."""
    return ical.calendar(name=event.name, entries=entries)


def personal_feed(event: Event, entries: Iterable[bytes]) -> bytes:
    """An attendee's calendar to subscribe to: the same entries, and no message to act on."""
    return ical.calendar(name=event.name, entries=entries, method="")


def personal_entry(session: Session, url: str, *, since: dt.datetime | None = None) -> bytes:
    """A session in an attendee's calendar; `url` is the link that lets this person in.

    `since` is when they got their place, for a calendar in which they waited for it before.
    """
    entry = _personal(session, url)
    return ical.entry(_modified(entry, since) if since else entry)


def waiting_entry(session: Session, url: str, *, since: dt.datetime) -> bytes:
    """A session that someone waits for, until its entry is replaced by the one of their place.

    `url` is their own page: there is no link into the session yet, and no alarm.
    """
    return ical.entry(_modified(_waiting(session, url), since))


def invitation(
    session: Session, url: str, attendee_email: str, since: dt.datetime | None = None
) -> tuple[bytes, str]:
    """An iMIP object that puts the session right in the attendee's calendar, and its method.

    With `since` it is newer than the entry of someone who waited until that moment: of two with
    the same SEQUENCE the later DTSTAMP holds (RFC 5546, 2.1.5).
    """
    entry = _personal(session, url)
    if since:
        entry = replace(entry, changed_at=max(entry.changed_at, since))
    return _message(entry, attendee_email)


def waiting_invitation(session: Session, url: str, attendee_email: str) -> tuple[bytes, str]:
    """The same for someone who waits for a place; `url` as for `waiting_entry`."""
    return _message(_waiting(session, url), attendee_email)


def _message(entry: ical.Entry, attendee_email: str) -> tuple[bytes, str]:
    method = "CANCEL" if entry.canceled else "REQUEST"
    built = ical.entry(replace(entry, attendee_email=attendee_email))
    return ical.calendar(entries=[built], method=method), method


def _modified(entry: ical.Entry, since: dt.datetime) -> ical.Entry:
    """The entry as of when it last changed for its reader.

    Some programs pass over one that was not modified since they read it. SEQUENCE and DTSTAMP
    stay those of the mails, or a mail that comes later would pass for an older one.
    """
    return replace(entry, modified_at=max(entry.changed_at, since))


def _personal(session: Session, url: str) -> ical.Entry:
    return _entry(
        session, url=url, location=url, description=_how_to_join(session, url), alarms=ALARMS
    )


def _waiting(session: Session, url: str) -> ical.Entry:
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
