"""Places in sessions and their waiting lists, decided under the sessions' row locks.

Whoever needs several sessions holds them all at once, and people before sessions: so nobody
waits for somebody who waits for them.
"""

import datetime as dt
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Count, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone

from events.models import Event, Session
from registrations.mail import enqueue
from registrations.models import Registration, Seat, SeatQuerySet
from registrations.zoom import personal_links

State = Seat.State

# Within this time of the start a place that frees is a late one; see Event.late_places.
LATE_WINDOW = dt.timedelta(hours=1)


@dataclass(frozen=True)
class Demand:
    """How many people have a place in a session, and how many wait for one."""

    seated: int = 0
    waiting: int = 0

    def fills(self, capacity: int | None) -> bool:
        """Whether one more would have to wait. Those who wait already come first."""
        return capacity is not None and self.seated + self.waiting >= capacity


def demand(sessions: Iterable[Session]) -> dict[int, Demand]:
    """By id, how things stand in those of the sessions whose places are counted."""
    limited = [session.pk for session in sessions if session.capacity is not None]
    if not limited:
        return {}
    seats = Seat.objects.occupying().filter(session__in=limited).order_by()
    rows = seats.values_list("session").annotate(
        seated=Count("pk", filter=Q(state=State.SEATED)),
        waiting=Count("pk", filter=Q(state=State.WAITING)),
    )
    counted = {pk: Demand(seated, waiting) for pk, seated, waiting in rows}
    return {pk: counted.get(pk, Demand()) for pk in limited}


def full_sessions(sessions: Iterable[Session]) -> set[Session]:
    """Those of the sessions where one more would have to wait."""
    sessions = list(sessions)
    counts = demand(sessions)
    return {
        session
        for session in sessions
        if session.pk in counts and counts[session.pk].fills(session.capacity)
    }


def waitlist_position(seat: Seat) -> int:
    """1 for whoever is called next."""
    numbered = with_waitlist_position(Seat.objects.filter(pk=seat.pk))
    return int(numbered.values_list("waitlist_position", flat=True).get())


def with_waitlist_position(seats: SeatQuerySet) -> Any:
    """Annotate `waitlist_position`; it says something of those who wait only."""
    begun = OuterRef("waiting_since")
    earlier = Q(waiting_since__lt=begun) | Q(waiting_since=begun, pk__lt=OuterRef("pk"))
    ahead = Seat.objects.waitlist().filter(earlier, session=OuterRef("session"))
    counted = ahead.order_by().values("session").annotate(count=Count("pk")).values("count")
    return seats.annotate(waitlist_position=Coalesce(Subquery(counted), 0) + 1)


def lock_sessions(ids: Iterable[int]) -> list[Session]:
    """The sessions as they stand now, in one order for everyone, held until the commit."""
    held = Session.objects.select_for_update(of=("self",), no_key=True)
    return list(held.filter(pk__in=set(ids)).select_related("event").order_by("pk"))


@transaction.atomic
def assign(*, registration: Registration, sessions: Iterable[Session]) -> list[Seat]:
    """Give someone a place in each session, or where it is full one at the end of the line."""
    sessions = list(sessions)
    taken = full_sessions(
        lock_sessions(session.pk for session in sessions if session.capacity is not None)
    )
    now = timezone.now()
    return Seat.objects.bulk_create(
        Seat(
            registration=registration,
            session=session,
            notified_revision=session.revision,
            state=State.WAITING if session in taken else State.SEATED,
            waiting_since=now if session in taken else None,
        )
        for session in sessions
    )


@transaction.atomic
def reassign(*, registration: Registration) -> None:
    """Let someone who comes back have their places; where it is full now they wait like others.

    To be called while their seats do not count, and followed by what makes them count.
    """
    seats = list(registration.seats.select_related("session"))
    now = timezone.now()
    # Also of sessions that are canceled or drafts for now.
    open_seats = [seat for seat in seats if seat.session.ends_at > now]
    taken = full_sessions(lock_sessions(seat.session_id for seat in open_seats))
    now = timezone.now()
    for seat in open_seats:
        is_full = seat.session in taken
        seat.state = State.WAITING if is_full else State.SEATED
        seat.waiting_since = now if is_full else None
        seat.seated_at = now
        seat.notified_revision = seat.session.revision
    Seat.objects.bulk_update(
        open_seats, ["state", "waiting_since", "seated_at", "notified_revision"], batch_size=100
    )


@transaction.atomic
def release(*, seats: Collection[Seat]) -> None:
    """Take people out of sessions; the places go to those who wait. Their links there end."""
    sessions = {seat.session_id for seat in seats}
    lock_sessions(sessions)
    Seat.objects.filter(pk__in=[seat.pk for seat in seats]).delete()
    personal_links.sync_links_soon()
    promote_waiting(sessions=sessions)


@transaction.atomic
def move_to_waiting(*, seat: Seat) -> bool:
    """Put someone at the end of the line, and call its first. False: nobody would gain by it.

    That is so when the seat waits already, and when the place would come straight back.
    """
    (session,) = lock_sessions([seat.session_id])
    now_at = demand([session]).get(session.pk)
    if now_at is None or (not now_at.waiting and now_at.seated <= (session.capacity or 0)):
        return False
    found = Seat.objects.seated().filter(pk=seat.pk)
    if not found.update(state=State.WAITING, waiting_since=timezone.now()):
        return False
    personal_links.sync_links_soon()
    promote_waiting(sessions=[session.pk])
    return True


@transaction.atomic
def promote(*, seat: Seat) -> bool:
    """Give someone who waits a place, and mail it. False: they have one.

    An organizer may call anyone, also into a session that is full.
    """
    (session,) = lock_sessions([seat.session_id])
    waiting = Seat.objects.filter(pk=seat.pk, state=State.WAITING)
    return bool(_seat(session, waiting.select_related("registration__event")))


@transaction.atomic
def promote_waiting(*, sessions: Iterable[int]) -> int:
    """Give free places in these sessions, by id, to those first in line, and mail them.

    Returns how many. A late place stays free where the event says so.
    """
    called = 0
    held = lock_sessions(sessions)
    waiting = Seat.objects.waitlist().filter(session__in=held)
    waited_for = set(waiting.values_list("session", flat=True))
    now = timezone.now()
    for session in held:
        if session.pk not in waited_for or not _promotes_now(session, now):
            continue
        line = waiting.filter(session=session).select_related("registration__event")
        if session.capacity is not None:
            seated = Seat.objects.occupying().seated().filter(session=session).count()
            line = line[: max(0, session.capacity - seated)]
        called += _seat(session, line)
    return called


def _promotes_now(session: Session, now: dt.datetime) -> bool:
    """Whether a place that is free goes to the first in line at this moment."""
    keeps_late = session.event.late_places == Event.LatePlaces.KEEP
    is_late = now > session.starts_at - LATE_WINDOW
    return session.is_open_to_register(now) and not (is_late and keeps_late)


def promote_all_waiting(now: dt.datetime) -> None:
    """Fill every session where somebody waits although there is room: places may be added."""
    waited_for = Session.objects.open_to_register(now).filter(
        pk__in=Seat.objects.waitlist().order_by().values("session")
    )
    sessions = list(waited_for)
    counts = demand(sessions)
    for session in sessions:
        if session.capacity is None or counts[session.pk].seated < session.capacity:
            promote_waiting(sessions=[session.pk])


def _seat(session: Session, line: SeatQuerySet) -> int:
    """Give these people their places; those who are admitted are mailed."""
    called = list(line)
    Seat.objects.filter(pk__in=[seat.pk for seat in called]).update(
        state=State.SEATED,
        waiting_since=None,
        seated_at=timezone.now(),
        notified_revision=session.revision,
    )
    for seat in called:
        seat.session = session
    if admitted := [seat for seat in called if seat.registration.is_admitted]:
        enqueue.queue_promoted(admitted)
    return len(called)
