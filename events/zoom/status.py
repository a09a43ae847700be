"""How sessions stand with Zoom, in words for organizers, where the meetings are made for them."""

import datetime as dt
import enum
from typing import NamedTuple

from django.db.models import Q

from events.models import Event, Meeting, Session
from events.zoom import sync

State = Meeting.State

# Zoom ends a meeting after thirty hours; without word of an end it is over by then.
LONGEST_MEETING = dt.timedelta(hours=30)


class MeetingActivity(enum.StrEnum):
    RUNNING = "running now"
    ENDED = "ended"


class MeetingStatus(NamedTuple):
    words: str
    is_trouble: bool = False


def activity(session: Session, now: dt.datetime) -> MeetingActivity | None:
    """Whether its meeting runs or has ended, as far as Zoom told. One ended before it was a try."""
    meeting = session.meeting_or_none
    if meeting is None or meeting.started_at is None:
        return None
    if meeting.ended_at is not None:
        return MeetingActivity.ENDED if meeting.ended_at > session.starts_at else None
    return MeetingActivity.RUNNING if now - meeting.started_at < LONGEST_MEETING else None


def needs_attention(now: dt.datetime) -> Q:
    """Sessions still to come that an organizer should look at, or nobody gets in."""
    ahead = Q(canceled_at=None, ends_at__gt=now)
    pasted = Q(event__zoom_mode=Event.ZoomMode.PASTED)
    no_link = Q(meeting=None) | Q(meeting__join_url="")
    trouble = Q(meeting__state=State.GONE) | Q(meeting__problem__gt="")
    if not sync.is_configured():
        trouble |= no_link
    return ahead & (pasted & no_link | ~pasted & trouble)


def meeting_status(session: Session, now: dt.datetime) -> MeetingStatus:
    """At Zoom, in step; Not made yet: within a minute; Deleted at Zoom by someone"""
    meeting = session.meeting_or_none
    if meeting and meeting.state == State.GONE:
        return MeetingStatus(str(State.GONE.label), is_trouble=True)
    if meeting and meeting.state == State.MADE:
        return _status_of_created(session, meeting, now)
    if session.is_canceled:
        return MeetingStatus("None: the session is canceled")
    if session.ends_at <= now:
        return MeetingStatus("None: the session is over")
    if not session.takes_place:
        return MeetingStatus("Not made yet: when the session is published")
    if not sync.is_configured():
        return MeetingStatus("Not made: the site has no Zoom credentials", is_trouble=True)
    if meeting and meeting.problem:
        return MeetingStatus("Not made yet: it is tried again by itself", is_trouble=True)
    if sync.is_paused():
        return MeetingStatus("Not made yet: as soon as Zoom can be reached again")
    return MeetingStatus("Not made yet: within a minute")


def _status_of_created(session: Session, meeting: Meeting, now: dt.datetime) -> MeetingStatus:
    if session.ends_at <= now:
        return MeetingStatus("At Zoom: the session is over")
    if session.is_canceled:
        return MeetingStatus("At Zoom, deleted there soon: the session is canceled")
    if not sync.is_configured():
        words = "At Zoom, but not kept in step: the site has no Zoom credentials"
        return MeetingStatus(words, is_trouble=True)
    if meeting.problem:
        return MeetingStatus("At Zoom, with a problem", is_trouble=True)
    in_step = sync.is_synced(session)
    return MeetingStatus("At Zoom, in step" if in_step else "Being put in step")
