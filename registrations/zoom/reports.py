"""What Zoom reports about a session's meeting: started, ended, deleted, recorded.

Reports arrive late, twice and in any order: Zoom's own times decide which one is newer. Applying
one twice is harmless.
"""

import datetime as dt
import logging
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from django.db.models import F, Q

from events.models import Meeting, Session
from events.text import parsing
from events.zoom.sync import LONGEST_MEETING, mark_gone

logger = logging.getLogger(__name__)

# A report's `object`: the meeting it is about.
Details = dict[str, Any]

MAX_URL_LENGTH = Session._meta.get_field("recording_url").max_length or 0


def _started(meeting: Meeting, details: Details, received_at: dt.datetime) -> None:
    """Save the start, unless this instance is known already or over."""
    started_at = parsing.time(details.get("start_time")) or received_at
    newer = Q(started_at=None) | Q(started_at__lt=started_at)
    not_over = Q(ended_at=None) | Q(ended_at__lt=started_at)
    meetings = Meeting.objects.filter(newer, not_over, pk=meeting.pk)
    meetings.update(started_at=started_at, ended_at=None)


def _ended(meeting: Meeting, details: Details, received_at: dt.datetime) -> None:
    """Save the end, unless the meeting was started again since."""
    started_at = parsing.time(details.get("start_time")) or F("started_at")
    ended_at = parsing.time(details.get("end_time")) or received_at
    not_restarted = Q(started_at=None) | Q(started_at__lte=ended_at)
    meetings = Meeting.objects.filter(not_restarted, pk=meeting.pk)
    meetings.update(started_at=started_at, ended_at=ended_at)


def _deleted(meeting: Meeting, details: Details, received_at: dt.datetime) -> None:
    """Someone deleted the meeting by hand. If the session is canceled, it may have been us."""
    if meeting.session and not meeting.session.canceled_at and meeting.zoom_id:
        mark_gone(meeting.zoom_id)


def _recorded(meeting: Meeting, details: Details, received_at: dt.datetime) -> None:
    """Save the link to the recording, unless the session has one already."""
    session, url = meeting.session, _recording_url(details)
    if session is None or not url:
        return
    if not _is_of_session(session, details):
        # A rehearsal, for example. The link would be emailed to everyone.
        logger.info("A recording was not made during session %s", session.pk)
        return
    Session.objects.filter(pk=session.pk, recording_url="").update(recording_url=url)


def _recording_url(details: Details) -> str:
    """The page to watch it on, with the passcode in the link if Zoom gives one for links."""
    url = parsing.url(details.get("share_url"), MAX_URL_LENGTH)
    passcode = parsing.text(details.get("recording_play_passcode"))
    if url and passcode:
        url += ("&" if "?" in url else "?") + urlencode({"pwd": passcode})
    return url if len(url) <= MAX_URL_LENGTH else ""


def _is_of_session(session: Session, details: Details) -> bool:
    """Whether the recorded meeting ran between the session's doors and its end."""
    started_at = parsing.time(details.get("start_time"))
    if started_at is None:
        return False
    minutes = min(parsing.integer(details.get("duration"), 0), 10**6)
    ended_at = started_at + min(dt.timedelta(minutes=minutes), LONGEST_MEETING)
    return started_at <= session.ends_at and ended_at >= session.doors_open_at


HANDLERS: dict[str, Callable[[Meeting, Details, dt.datetime], None]] = {
    "meeting.started": _started,
    "meeting.ended": _ended,
    "meeting.deleted": _deleted,
    "recording.completed": _recorded,
}
# Reports about people; `attendance` applies these.
PRESENCE_KINDS = JOINED, LEFT = "meeting.participant_joined", "meeting.participant_left"
KINDS = (*HANDLERS, *PRESENCE_KINDS)
