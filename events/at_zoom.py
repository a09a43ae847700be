"""How sessions stand with Zoom, in words for organizers, where the meetings are made for them."""

import datetime as dt
import enum
from typing import NamedTuple

from django.db.models import Q

from . import meetings
from .models import Event, Meeting, Session

State = Meeting.State

# Zoom ends a meeting after thirty hours; without word of an end it is over by then.
LONGEST_MEETING = dt.timedelta(hours=30)


class Live(enum.StrEnum):
    RUNNING = "running now"
    ENDED = "ended"


class Standing(NamedTuple):
    words: str
    is_trouble: bool = False


def live(session: Session, now: dt.datetime) -> Live | None:
    """Whether its meeting runs or has ended, as far as Zoom told. One ended before it was a try."""
    meeting = session.meeting_or_none
    if meeting is None or meeting.started_at is None:
        return None
    if meeting.ended_at is not None:
        return Live.ENDED if meeting.ended_at > session.starts_at else None
    return Live.RUNNING if now - meeting.started_at < LONGEST_MEETING else None


def needs_attention(now: dt.datetime) -> Q:
    """Sessions still to come that an organizer should look at, or nobody gets in."""
    ahead = Q(cancelled_at=None, ends_at__gt=now)
    pasted = Q(event__zoom_mode=Event.ZoomMode.PASTED)
    no_link = Q(meeting=None) | Q(meeting__join_url="")
    trouble = Q(meeting__state=State.GONE) | Q(meeting__problem__gt="")
    if not meetings.is_configured():
        trouble |= no_link
    return ahead & (pasted & no_link | ~pasted & trouble)


def standing(session: Session, now: dt.datetime) -> Standing:
    """At Zoom, in step; Not made yet: within a minute; Deleted at Zoom by someone"""
    meeting = session.meeting_or_none
    if meeting and meeting.state == State.GONE:
        return Standing(str(State.GONE.label), is_trouble=True)
    if meeting and meeting.state == State.MADE:
        return _standing_of_made(session, meeting, now)
    if session.is_cancelled:
        return Standing("None: the session is cancelled")
    if session.ends_at <= now:
        return Standing("None: the session is over")
    if not session.is_held:
        return Standing("Not made yet: when the session is published")
    if not meetings.is_configured():
        return Standing("Not made: the site has no Zoom credentials", is_trouble=True)
    if meeting and meeting.problem:
        return Standing("Not made yet: it is tried again by itself", is_trouble=True)
    if meetings.is_paused():
        return Standing("Not made yet: as soon as Zoom can be reached again")
    return Standing("Not made yet: within a minute")


def _standing_of_made(session: Session, meeting: Meeting, now: dt.datetime) -> Standing:
    if session.ends_at <= now:
        return Standing("At Zoom: the session is over")
    if session.is_cancelled:
        return Standing("At Zoom, deleted there soon: the session is cancelled")
    if not meetings.is_configured():
        words = "At Zoom, but not kept in step: the site has no Zoom credentials"
        return Standing(words, is_trouble=True)
    if meeting.problem:
        return Standing("At Zoom, with a problem", is_trouble=True)
    in_step = meetings.is_in_step(session)
    return Standing("At Zoom, in step" if in_step else "Being put in step")
