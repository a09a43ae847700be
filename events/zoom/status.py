"""Where a session's meeting at Zoom stands, in words for organizers."""

import datetime as dt
from typing import NamedTuple

from django.db.models import Q
from django.utils.dateformat import format as date_format

from events.models import Event, Meeting, Session
from events.zoom import client as zoom_client
from events.zoom import sync


class MeetingStatus(NamedTuple):
    """A short label for a list of sessions, and a text for a session's own page."""

    label: str
    text: str
    is_problem: bool = False
    is_running: bool = False


def needs_attention(now: dt.datetime) -> Q:
    """Upcoming sessions that an organizer must look at, because people could not join."""
    upcoming = Q(canceled_at=None, ends_at__gt=now)
    pasted = Q(event__zoom_mode=Event.ZoomMode.PASTED)
    no_link = Q(meeting=None) | Q(meeting__join_url="")
    problem = Q(meeting__state=Meeting.State.GONE) | Q(meeting__problem__gt="")
    if not zoom_client.is_configured():
        problem |= no_link
    return upcoming & (pasted & no_link | ~pasted & problem)


def meeting_status(session: Session, now: dt.datetime) -> MeetingStatus:
    """The status of a session's meeting, whether organizers paste its link or we create it."""
    meeting = session.meeting_or_none
    is_past = session.ends_at <= now
    is_at_zoom = meeting is not None and meeting.state == Meeting.State.MADE
    if not session.event.creates_meetings:
        if session.join_url:
            return MeetingStatus("there", "Link pasted")
        is_missing = not (is_past or session.is_canceled)
        label = "missing" if is_missing else "not needed"
        return MeetingStatus(label, "No Zoom link yet", is_problem=is_missing)
    if meeting and (status := _activity(session, meeting, now)):
        return status
    if is_past:
        text = f"{'At Zoom' if is_at_zoom else 'None'}: the session is over"
        return MeetingStatus("not needed", text)
    if session.is_canceled:
        is_deleting = meeting is not None and meeting.state == Meeting.State.DELETING
        text = "At Zoom, deleted there soon" if is_at_zoom or is_deleting else "None"
        return MeetingStatus("not needed", f"{text}: the session is canceled")
    if meeting and meeting.state == Meeting.State.GONE:
        return MeetingStatus("deleted at Zoom", str(Meeting.State.GONE.label), is_problem=True)
    if meeting and is_at_zoom:
        return _created_status(session, meeting)
    return _pending_status(session, meeting)


def _activity(session: Session, meeting: Meeting, now: dt.datetime) -> MeetingStatus | None:
    """Whether it is running or has ended, as reported by Zoom. A rehearsal doesn't count."""
    if meeting.started_at is None:
        return None
    moment = meeting.ended_at or meeting.started_at
    clock = date_format(moment.astimezone(session.event.zone), "g:i A")
    if meeting.ended_at is not None:
        ended = MeetingStatus("ended", f"Ended at {clock}")
        return ended if meeting.ended_at > session.starts_at else None
    running = MeetingStatus("running now", f"Running since {clock}", is_running=True)
    return running if now - meeting.started_at < sync.LONGEST_MEETING else None


def _created_status(session: Session, meeting: Meeting) -> MeetingStatus:
    if not zoom_client.is_configured():
        text = "At Zoom, but not kept in step: the site has no Zoom credentials"
        return MeetingStatus("there, no Zoom credentials", text, is_problem=True)
    if meeting.problem:
        return MeetingStatus("there, with a problem", "At Zoom, with a problem", is_problem=True)
    is_synced = sync.is_synced(session)
    return MeetingStatus("there", "At Zoom, in step" if is_synced else "Being put in step")


def _pending_status(session: Session, meeting: Meeting | None) -> MeetingStatus:
    if not session.takes_place:
        return MeetingStatus("not made yet", "Not made yet: when the session is published")
    if not zoom_client.is_configured():
        text = "Not made: the site has no Zoom credentials"
        return MeetingStatus("no Zoom credentials", text, is_problem=True)
    if meeting and meeting.problem:
        text = "Not made yet: it is tried again by itself"
        return MeetingStatus("not made: a problem", text, is_problem=True)
    if sync.is_paused():
        return MeetingStatus("being made", "Not made yet: as soon as Zoom can be reached again")
    return MeetingStatus("being made", "Not made yet: within a minute")
