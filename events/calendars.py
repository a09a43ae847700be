"""Sessions as calendar entries: the same entry wherever it appears, with or without secrets."""

import datetime as dt
from collections.abc import Iterable

from . import ical
from .links import absolute, organizer_email
from .models import Event, Session

ALARMS = (dt.timedelta(days=1), dt.timedelta(minutes=15))


def public_calendar(event: Event, sessions: Iterable[Session]) -> bytes:
    """The event's calendar for anyone: no link to Zoom, no agenda."""
    return _calendar(
        event,
        [
            _entry(session, url=absolute(session.get_absolute_url()), description=session.summary)
            for session in sessions
        ],
    )


def personal_calendar(event: Event, join_urls: Iterable[tuple[Session, str]]) -> bytes:
    """An attendee's calendar: each session with the link that lets this person in."""
    return _calendar(
        event,
        [
            _entry(
                session,
                url=url,
                location=url,
                description=_how_to_join(session, url),
                alarms=ALARMS,
            )
            for session, url in join_urls
        ],
    )


def _calendar(event: Event, entries: list[ical.Entry]) -> bytes:
    return ical.calendar(
        name=event.name,
        entries=entries,
        organizer_name=event.host,
        organizer_email=organizer_email(event),
    )


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
        cancelled=session.is_cancelled,
        alarms=alarms,
    )


def _how_to_join(session: Session, url: str) -> str:
    lines = [f"Join: {url}"]
    if meeting := session.meeting_or_none:
        if meeting.meeting_id:
            lines.append(f"Zoom meeting ID: {meeting.meeting_id}")
        if meeting.passcode:
            lines.append(f"Passcode: {meeting.passcode}")
        lines += [f"By phone: {number.text}" for number in meeting.dial_in_numbers()]
    return "\n".join(lines)
