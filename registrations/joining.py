"""The phase of a session for one person, and the Zoom link that lets them in."""

import datetime as dt
import enum
import logging
import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.db import DatabaseError
from django.db.models import Prefetch
from django.utils import timezone

from events.models import Session
from registrations import seats
from registrations.models import PersonalLink, Registration, Seat

logger = logging.getLogger(__name__)

# A session may run over: for this long its Zoom link stays available to people who dropped out.
OVERRUN = dt.timedelta(hours=1)
# An open page checks again at least this often, so that it notices a session that has moved.
JOIN_PAGE_MAX_WAIT = 300
JOIN_PAGE_WAIT_WITHOUT_LINK = 15
MY_PAGE_MAX_WAIT = dt.timedelta(minutes=10)
MY_PAGE_WAIT_WITHOUT_LINK = dt.timedelta(minutes=1)
# From here on the page says in how many minutes a session opens. Rounded, this is an hour.
SOON_SECONDS = 59.5 * 60
# The page's script reloads within this many seconds of the opening, to spread the load.
JITTER = 2


class SessionPhase(enum.StrEnum):
    """The phase of a session for someone who has a seat in it or is on its waitlist."""

    WAITLISTED = "waitlisted"
    UPCOMING = "upcoming"
    DOORS_OPEN = "doors open"
    RUNNING = "running"
    # Zoom reports that the meeting ended before the session's end: the hosts may restart it.
    PAUSED = "paused"
    ENDED = "ended"
    CANCELED = "canceled"


@dataclass(frozen=True)
class SeatStatus:
    """A seat at one moment."""

    seat: Seat
    now: dt.datetime

    @property
    def session(self) -> Session:
        return self.seat.session

    @cached_property
    def zoom_url(self) -> str:
        """The Zoom link that lets this person in, or "" while there is none."""
        seat, session, meeting = self.seat, self.session, self.session.meeting_or_none
        if seat.state == Seat.State.WAITING:
            return ""
        is_made = meeting is not None and meeting.state == meeting.State.MADE
        if meeting is None or not is_made or not session.event.has_personal_links:
            return session.join_url
        link: PersonalLink | None = getattr(seat, "personal_link", None)
        current = (meeting.zoom_id, seat.registration.zoom_email)
        if link and link.state == link.State.ISSUED and (link.zoom_id, link.email) == current:
            return link.join_url
        is_refused = link is not None and link.state == link.State.REFUSED
        # Zoom's own registration form is better than no way in.
        return session.join_url if is_refused or self.now >= session.starts_at else ""

    @cached_property
    def phase(self) -> SessionPhase:
        """By the clock, unless Zoom reports that the meeting is running or has ended."""
        session, now, is_running = self.session, self.now, _is_running_at_zoom(self.session)
        if session.is_canceled:
            return SessionPhase.CANCELED
        if now >= session.ends_at:
            overruns = is_running and self.zoom_url and now < session.ends_at + OVERRUN
            return SessionPhase.RUNNING if overruns else SessionPhase.ENDED
        if self.seat.state == Seat.State.WAITING:
            return SessionPhase.WAITLISTED
        if now < session.doors_open_at:
            return SessionPhase.UPCOMING
        has_started = now >= session.starts_at
        if is_running is False and has_started:
            return SessionPhase.PAUSED
        return SessionPhase.RUNNING if is_running or has_started else SessionPhase.DOORS_OPEN

    @property
    def is_joinable(self) -> bool:
        """Whether the doors are open, with or without a Zoom link."""
        return self.phase in {SessionPhase.DOORS_OPEN, SessionPhase.RUNNING, SessionPhase.PAUSED}

    @property
    def leads_to_zoom(self) -> bool:
        """Whether the join page takes this person to Zoom now. Hosts have to sign in first."""
        return self.is_joinable and bool(self.zoom_url) and not self.is_host

    @property
    def is_ahead(self) -> bool:
        """Whether the person can still join."""
        return self.is_joinable or self.phase == SessionPhase.UPCOMING

    @property
    def is_over(self) -> bool:
        """Whether its time is past, canceled or not."""
        return self.phase == SessionPhase.ENDED or (
            self.phase == SessionPhase.CANCELED and self.now >= self.session.ends_at
        )

    @property
    def opens_soon(self) -> bool:
        """Whether this is the last hour before the doors open, as in live.js."""
        return self.phase == SessionPhase.UPCOMING and self.seconds_to_doors < SOON_SECONDS

    @property
    def seconds_to_doors(self) -> int:
        return max(0, math.ceil((self.session.doors_open_at - self.now).total_seconds()))

    @property
    def minutes_to_doors(self) -> int:
        return max(1, round(self.seconds_to_doors / 60))

    @property
    def is_host(self) -> bool:
        """Whether Zoom gives this person no link of their own because they host the meeting."""
        link: PersonalLink | None = getattr(self.seat, "personal_link", None)
        is_refused = link is not None and link.state == link.State.REFUSED and link.is_host
        return is_refused and self.session.event.has_personal_links

    @property
    def join_page_refresh(self) -> int | None:
        """Seconds until the join page should reload; None when there is nothing to wait for."""
        if self.phase == SessionPhase.UPCOMING:
            return min(self.seconds_to_doors + JITTER, JOIN_PAGE_MAX_WAIT)
        return JOIN_PAGE_WAIT_WITHOUT_LINK if self.is_joinable and not self.zoom_url else None

    @property
    def overrun_url(self) -> str:
        """The Zoom link of a session that has just ended, in case people are still talking."""
        recently = self.now < self.session.ends_at + OVERRUN
        return self.zoom_url if self.phase == SessionPhase.ENDED and recently else ""

    @cached_property
    def waitlist_position(self) -> Any:
        seat = Seat.objects.filter(pk=self.seat.pk)
        return seats.with_waitlist_position(seat).get().waitlist_position

    @cached_property
    def is_bouncing(self) -> bool:
        """Whether our emails to this person come back."""
        seat = Seat.objects.filter(pk=self.seat.pk).with_idle_flags(self.now)
        return bool(seat.get().has_bounced)

    @property
    def is_waitlist_closed(self) -> bool:
        return seats.is_waitlist_closed(self.session, self.now)


def _is_running_at_zoom(session: Session) -> bool | None:
    """None when Zoom hasn't reported anything since the doors opened: a rehearsal doesn't count."""
    meeting = session.meeting_or_none
    if meeting is None or not meeting.started_at or meeting.started_at < session.doors_open_at:
        return None
    return meeting.ended_at is None


def shown_seats(registration: Registration) -> list[Seat]:
    """The person's seats and waitlist entries in published sessions, with all that pages show."""
    sessions = Prefetch("session", queryset=Session.objects.with_details())
    shown = registration.seats.filter(session__status=Session.Status.PUBLISHED)
    return list(shown.select_related("personal_link").prefetch_related(sessions, "access_needs"))


def sessions_ahead(registration: Registration, now: dt.datetime) -> list[Session]:
    """The sessions where the person has a spot that take place and aren't over."""
    seats = (seat for seat in shown_seats(registration) if not seat.waiting_since)
    sessions = (seat.session for seat in seats)
    return [each for each in sessions if each.takes_place and each.ends_at > now]


def my_page_refresh(statuses: Iterable[SeatStatus], now: dt.datetime) -> int | None:
    """Seconds until an open page should look again; None when nothing will change anymore."""
    waits = []
    for status in statuses:
        session = status.session
        moments = (
            session.starts_at - seats.LATE_WINDOW,
            session.doors_open_at,
            session.starts_at,
            session.ends_at,
            session.ends_at + OVERRUN,
        )
        waits += [moment - now for moment in moments if moment > now]
        if status.is_joinable and not status.zoom_url:
            waits.append(MY_PAGE_WAIT_WITHOUT_LINK)
    return math.ceil(min(*waits, MY_PAGE_MAX_WAIT).total_seconds()) if waits else None


def record_use(registration: Registration) -> None:
    """Record that a person, not a mail scanner, used one of their links. It must never fail."""
    if registration.verified_at:
        return
    try:
        unverified = Registration.objects.filter(pk=registration.pk, verified_at=None)
        unverified.update(verified_at=timezone.now())
    except DatabaseError as error:
        logger.warning("Could not record that someone used a link: %s", error)


def record_fetched(seat: Seat) -> None:
    """Record that someone, or a mail scanner, got a join page that leads to Zoom."""
    _record_first(seat, "link_fetched_at")


def record_opened(seat: Seat) -> None:
    """Record that the person was sent on to Zoom."""
    _record_first(seat, "opened_at")


def _record_first(seat: Seat, field: str) -> None:
    """Set a time that isn't set yet. A database error must not keep the person out."""
    if getattr(seat, field):
        return
    try:
        Seat.objects.filter(pk=seat.pk, **{field: None}).update(**{field: timezone.now()})
    except DatabaseError as error:
        logger.warning("Could not record %s of seat %s: %s", field, seat.pk, error)
