"""Where a session's meeting at Zoom stands, in words for organizers."""

import datetime as dt
from typing import NamedTuple

from django.db.models import Q
from django.utils.translation import gettext as _

from events.models import Event, Meeting, Session
from events.templatetags.times import clock
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
            return MeetingStatus(_("Ready"), _("Link pasted"))
        is_missing = not (is_past or session.is_canceled)
        label = _("Missing") if is_missing else "-"
        return MeetingStatus(label, _("No Zoom link yet"), is_problem=is_missing)
    if meeting and (status := _activity(session, meeting, now)):
        return status
    if is_past:
        return MeetingStatus("-", _("The session is over"))
    if session.is_canceled:
        is_deleting = meeting is not None and meeting.state == Meeting.State.DELETING
        if is_at_zoom or is_deleting:
            return MeetingStatus("-", _deletion_text(session, now))
        return MeetingStatus("-", _("The session is canceled"))
    if meeting and meeting.state == Meeting.State.GONE:
        text = str(Meeting.State.GONE.label)
        return MeetingStatus(_("Deleted in Zoom"), text, is_problem=True)
    if meeting and is_at_zoom:
        return _created_status(session, meeting)
    return _pending_status(session, meeting)


def _deletion_text(session: Session, now: dt.datetime) -> str:
    if session.notices_held_at and now < session.doors_open_at:
        return _("The session is canceled. While its emails are on hold, its Zoom meeting stays")
    return _("The session is canceled. We'll delete the Zoom meeting soon")


def _activity(session: Session, meeting: Meeting, now: dt.datetime) -> MeetingStatus | None:
    """Whether it is running or has ended, as reported by Zoom. A rehearsal doesn't count."""
    if meeting.started_at is None:
        return None
    moment = meeting.ended_at or meeting.started_at
    values = {"time": clock(moment, session.event.zone)}
    if meeting.ended_at is not None:
        ended = MeetingStatus(_("Ended"), _("Ended at %(time)s") % values)
        return ended if meeting.ended_at > session.starts_at else None
    text = _("Running since %(time)s") % values
    running = MeetingStatus(_("Running now"), text, is_running=True)
    return running if now - meeting.started_at < sync.LONGEST_MEETING else None


def _created_status(session: Session, meeting: Meeting) -> MeetingStatus:
    if not zoom_client.is_configured():
        text = _("Created, but not updated: the site has no Zoom credentials")
        return MeetingStatus(_("Ready, no Zoom credentials"), text, is_problem=True)
    if meeting.problem:
        text = _("Created, with a problem")
        return MeetingStatus(_("Ready, with a problem"), text, is_problem=True)
    return MeetingStatus(_("Ready"), _("Up to date") if sync.is_synced(session) else _("Updating"))


def _pending_status(session: Session, meeting: Meeting | None) -> MeetingStatus:
    if not session.takes_place:
        return MeetingStatus(
            _("Not created yet"), _("We'll create it when you publish the session")
        )
    if not zoom_client.is_configured():
        text = _("Not created: the site has no Zoom credentials")
        return MeetingStatus(_("No Zoom credentials"), text, is_problem=True)
    if meeting and meeting.problem:
        text = _("Not created yet. We'll try again automatically")
        return MeetingStatus(_("Not created: a problem"), text, is_problem=True)
    if sync.is_paused():
        return MeetingStatus(_("Being created"), _("We'll create it when we can reach Zoom again"))
    return MeetingStatus(_("Being created"), _("We'll create it within a minute"))
