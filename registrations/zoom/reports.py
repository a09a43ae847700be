"""What becomes of a session's meeting at Zoom, as Zoom reports it: started, ended, recorded, gone.

Reports come late, twice and in any order: what is newer by Zoom's own times stands.
"""

import datetime as dt
import logging
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode, urlsplit

from django.db.models import F, Q

from events.models import Meeting, Session, ZoomReport
from events.zoom.client import parse_time
from events.zoom.sync import mark_gone

logger = logging.getLogger(__name__)

# What Zoom says of a meeting, the report's `object`.
Details = dict[str, Any]

LONGEST_URL = Session._meta.get_field("recording_url").max_length or 0


def meeting_of(report: ZoomReport) -> Meeting | None:
    """The meeting that a report is about, if it is a session's."""
    if report.zoom_id is None:
        return None
    meetings = Meeting.objects.filter(zoom_id=report.zoom_id, session__isnull=False)
    return meetings.select_related("session__event").first()


def apply(report: ZoomReport) -> None:
    """Write down what a report says of a session's meeting; the same again is harmless."""
    meeting = meeting_of(report)
    if meeting is None:
        return
    HANDLERS[report.kind](meeting, report.payload["object"], report.received_at)


def _started(meeting: Meeting, details: Details, received_at: dt.datetime) -> None:
    """It runs, unless this is an instance that is known already, or over."""
    started_at = parse_time(details.get("start_time")) or received_at
    newer = Q(started_at=None) | Q(started_at__lt=started_at)
    not_over = Q(ended_at=None) | Q(ended_at__lt=started_at)
    meetings = Meeting.objects.filter(newer, not_over, pk=meeting.pk)
    meetings.update(started_at=started_at, ended_at=None)


def _ended(meeting: Meeting, details: Details, received_at: dt.datetime) -> None:
    """It is over, unless it was started anew since."""
    started_at = parse_time(details.get("start_time")) or F("started_at")
    ended_at = parse_time(details.get("end_time")) or received_at
    not_anew = Q(started_at=None) | Q(started_at__lte=ended_at)
    meetings = Meeting.objects.filter(not_anew, pk=meeting.pk)
    meetings.update(started_at=started_at, ended_at=ended_at)


def _deleted(meeting: Meeting, details: Details, received_at: dt.datetime) -> None:
    """Somebody deleted it by hand. Of a session that is canceled it was perhaps ourselves."""
    if meeting.session and not meeting.session.canceled_at and meeting.zoom_id:
        mark_gone(meeting.zoom_id)


def _recorded(meeting: Meeting, details: Details, received_at: dt.datetime) -> None:
    """The recording can be watched. A link that is there already stays."""
    session, url = meeting.session, _recording_url(details)
    if session is None or not url:
        return
    if not _is_session_itself(session, details):
        # Of a rehearsal, say: the link would be mailed to everyone.
        logger.info("A recording was not made while session %s was held", session.pk)
        return
    Session.objects.filter(pk=session.pk, recording_url="").update(recording_url=url)


def _recording_url(details: Details) -> str:
    """Where it can be watched, without typing a passcode where Zoom gives one for links."""
    url = str(details.get("share_url") or "")
    if passcode := details.get("recording_play_passcode"):
        url += ("&" if "?" in url else "?") + urlencode({"pwd": passcode})
    return url if urlsplit(url).scheme in {"http", "https"} and len(url) <= LONGEST_URL else ""


def _is_session_itself(session: Session, details: Details) -> bool:
    """Whether the recorded instance of the meeting ran between doors and end of the session."""
    started_at = parse_time(details.get("start_time"))
    if started_at is None:
        return False
    ended_at = started_at + dt.timedelta(minutes=int(details.get("duration") or 0))
    return started_at <= session.ends_at and ended_at >= session.doors_open_at


HANDLERS: dict[str, Callable[[Meeting, Details, dt.datetime], None]] = {
    "meeting.started": _started,
    "meeting.ended": _ended,
    "meeting.deleted": _deleted,
    "recording.completed": _recorded,
}
# Those of people are for `registrations.attendance`.
PRESENCES = JOINED, LEFT = "meeting.participant_joined", "meeting.participant_left"
KINDS = (*HANDLERS, *PRESENCES)
