"""The door of a session: closed, open, over, and when to knock again."""

import datetime as dt
import enum
import logging
import math
from dataclasses import dataclass

from django.db import DatabaseError
from django.utils import timezone

from events.models import Session
from registrations.models import PersonalLink, Seat

logger = logging.getLogger(__name__)

# A waiting page asks again at least this often, so that it learns of a session moved earlier.
LONGEST_WAIT = 300
RETRY_WITHOUT_LINK = 15
# The page's script knocks within two seconds of the opening, everyone at another moment.
GRACE = 2
# A session may run over: for a while its link stays at hand for whoever dropped out.
OVERRUN = dt.timedelta(hours=1)


class DoorState(enum.StrEnum):
    WAITING = "waiting"
    NO_LINK = "no link"
    OPEN = "open"
    ENDED = "ended"
    CANCELED = "canceled"


@dataclass(frozen=True)
class Door:
    """Where a session stands at one moment; `seconds` is the time until its doors open."""

    session: Session
    state: DoorState
    now: dt.datetime
    seconds: int
    zoom_url: str

    @property
    def started(self) -> bool:
        return self.now >= self.session.starts_at

    @property
    def ask_again_after(self) -> int | None:
        """Seconds until the page should look again; None when there is nothing to wait for."""
        if self.state == DoorState.WAITING:
            return min(self.seconds + GRACE, LONGEST_WAIT)
        return RETRY_WITHOUT_LINK if self.state == DoorState.NO_LINK else None

    @property
    def overrun_url(self) -> str:
        """The Zoom link of a session that has just ended, should it still be going."""
        recently = self.now < self.session.ends_at + OVERRUN
        return self.zoom_url if self.state == DoorState.ENDED and recently else ""


def door(seat: Seat, now: dt.datetime) -> Door:
    """The state of a session's door, for whoever has this seat, at an (aware) moment."""
    session, zoom_url = seat.session, zoom_url_for(seat, now)
    seconds = max(0, math.ceil((session.doors_open_at - now).total_seconds()))
    if session.is_canceled:
        state = DoorState.CANCELED
    elif now >= session.ends_at:
        state = DoorState.ENDED
    elif seconds:
        state = DoorState.WAITING
    elif not zoom_url:
        state = DoorState.NO_LINK
    else:
        state = DoorState.OPEN
    return Door(session=session, state=state, now=now, seconds=seconds, zoom_url=zoom_url)


def zoom_url_for(seat: Seat, now: dt.datetime) -> str:
    """The Zoom link that lets this person in, or "" while there is none."""
    session, meeting = seat.session, seat.session.meeting_or_none
    if meeting is None or meeting.state != meeting.State.MADE:
        return session.join_url
    if not session.event.has_personal_links:
        return session.join_url
    link: PersonalLink | None = getattr(seat, "personal_link", None)
    about = (meeting.zoom_id, seat.registration.email)
    if link and link.state == link.State.ISSUED and (link.zoom_id, link.email) == about:
        return link.join_url
    is_refused = link is not None and link.state == link.State.REFUSED
    # Rather by Zoom's own form of registration than not at all.
    return session.join_url if is_refused or now >= session.starts_at else ""


def record_opened(seat: Seat) -> None:
    """Remember that someone was led on to Zoom. That it cannot be noted keeps nobody out."""
    if seat.opened_at:
        return
    try:
        Seat.objects.filter(pk=seat.pk, opened_at=None).update(opened_at=timezone.now())
    except DatabaseError as error:
        logger.warning("That seat %s was opened could not be noted: %s", seat.pk, error)
