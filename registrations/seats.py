"""Seats in sessions and their waitlists, decided under the sessions' row locks.

To avoid deadlocks, registrations are locked before sessions, and all sessions at once.
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

# A spot that opens within this time before the start is late; see Event.late_places.
LATE_WINDOW = dt.timedelta(hours=1)


@dataclass(frozen=True)
class SeatCounts:
    """How many people have a spot in a session, and how many are on its waitlist."""

    seated: int = 0
    waiting: int = 0


def seat_counts(sessions: Iterable[Session]) -> dict[int, SeatCounts]:
    """The counts of the sessions that have a limited capacity, by session id."""
    limited = [session.pk for session in sessions if session.capacity is not None]
    if not limited:
        return {}
    seats = Seat.objects.occupying().filter(session__in=limited).order_by()
    rows = seats.values_list("session").annotate(
        seated=Count("pk", filter=Q(state=Seat.State.SEATED)),
        waiting=Count("pk", filter=Q(state=Seat.State.WAITING)),
    )
    counts = {pk: SeatCounts(seated, waiting) for pk, seated, waiting in rows}
    return {pk: counts.get(pk, SeatCounts()) for pk in limited}


def full_sessions(sessions: Iterable[Session]) -> set[Session]:
    """The sessions where one more person would have to wait, also behind those who wait already."""
    sessions = list(sessions)
    counts = seat_counts(sessions)
    return {
        session
        for session in sessions
        if session.capacity is not None
        and counts[session.pk].seated + counts[session.pk].waiting >= session.capacity
    }


def waitlist_position(seat: Seat) -> int:
    """1 for the person who is promoted next."""
    position: int = with_waitlist_position(Seat.objects.filter(pk=seat.pk)).get().waitlist_position
    return position


def with_waitlist_position(seats: SeatQuerySet) -> Any:
    """Annotate `waitlist_position`. It is meaningless for people who have a spot."""
    since = OuterRef("waiting_since")
    earlier = Q(waiting_since__lt=since) | Q(waiting_since=since, pk__lt=OuterRef("pk"))
    ahead = Seat.objects.waitlist().filter(earlier, session=OuterRef("session"))
    counted = ahead.order_by().values("session").annotate(count=Count("pk")).values("count")
    return seats.annotate(waitlist_position=Coalesce(Subquery(counted), 0) + 1)


def lock_sessions(ids: Iterable[int]) -> list[Session]:
    """Lock sessions until the transaction ends, always in the same order, and return them."""
    sessions = Session.objects.select_for_update(of=("self",), no_key=True)
    return list(sessions.filter(pk__in=set(ids)).select_related("event").order_by("pk"))


@transaction.atomic
def assign(*, registration: Registration, sessions: Iterable[Session]) -> list[Seat]:
    """Give someone a seat in each session: a spot, or if it is full, the end of the waitlist."""
    sessions = list(sessions)
    limited = [session.pk for session in sessions if session.capacity is not None]
    full = full_sessions(lock_sessions(limited))
    now = timezone.now()
    return Seat.objects.bulk_create(
        Seat(
            registration=registration,
            session=session,
            notified_revision=session.revision,
            state=Seat.State.WAITING if session in full else Seat.State.SEATED,
            waiting_since=now if session in full else None,
        )
        for session in sessions
    )


@transaction.atomic
def reassign(*, registration: Registration) -> None:
    """Give someone who returns their spots again. Where a session is full now, they wait.

    Call it while their seats don't count yet (canceled or declined), then make them count.
    """
    # Also in sessions that are canceled, or drafts for now.
    seats = [
        seat
        for seat in registration.seats.select_related("session")
        if seat.session.ends_at > timezone.now()
    ]
    full = full_sessions(lock_sessions(seat.session_id for seat in seats))
    # Read under the lock: it decides the order of the waitlist.
    now = timezone.now()
    for seat in seats:
        is_full = seat.session in full
        seat.state = Seat.State.WAITING if is_full else Seat.State.SEATED
        seat.waiting_since = now if is_full else None
        seat.seated_at = now
        seat.notified_revision = seat.session.revision
    changed = ["state", "waiting_since", "seated_at", "notified_revision"]
    Seat.objects.bulk_update(seats, changed, batch_size=100)


@transaction.atomic
def release(*, seats: Collection[Seat]) -> None:
    """Take people out of sessions, revoke their links there, and promote those who wait.

    Those who got a calendar entry by email get another one that takes it out.
    """
    sessions = {seat.session_id for seat in seats}
    lock_sessions(sessions)
    enqueue.queue_left(seats)
    Seat.objects.filter(pk__in=[seat.pk for seat in seats]).delete()
    personal_links.sync_links_soon()
    promote_waiting(sessions=sessions)


@transaction.atomic
def move_to_waiting(*, seat: Seat) -> bool:
    """Move someone to the end of the waitlist, and promote the first person on it.

    Returns False if nothing changed: they wait already, or would get the spot right back.
    """
    (session,) = lock_sessions([seat.session_id])
    if session.capacity is None:
        return False
    counts = seat_counts([session])[session.pk]
    if not counts.waiting and counts.seated <= session.capacity:
        return False
    seated = Seat.objects.seated().filter(pk=seat.pk)
    if not seated.update(state=Seat.State.WAITING, waiting_since=timezone.now()):
        return False
    personal_links.sync_links_soon()
    promote_waiting(sessions=[session.pk])
    return True


@transaction.atomic
def promote(*, seat: Seat) -> bool:
    """Give someone who waits a spot, even in a full session, and email them.

    Returns False if they have a spot already.
    """
    (session,) = lock_sessions([seat.session_id])
    waiting = Seat.objects.filter(pk=seat.pk, state=Seat.State.WAITING)
    return bool(_promote(session, waiting))


@transaction.atomic
def promote_waiting(*, sessions: Iterable[int]) -> int:
    """Give the open spots in these sessions (ids) to the first people who wait, and email them.

    Returns how many were promoted. If the event says so, late spots stay open.
    """
    promoted = 0
    locked = lock_sessions(sessions)
    waitlist = Seat.objects.waitlist().filter(session__in=locked)
    waited_for = set(waitlist.values_list("session", flat=True))
    now = timezone.now()
    for session in locked:
        if session.pk not in waited_for or not _promotes_now(session, now):
            continue
        waiting = waitlist.filter(session=session)
        if session.capacity is not None:
            seated = Seat.objects.occupying().seated().filter(session=session).count()
            waiting = waiting[: max(0, session.capacity - seated)]
        promoted += _promote(session, waiting)
    return promoted


def _promotes_now(session: Session, now: dt.datetime) -> bool:
    is_late = now > session.starts_at - LATE_WINDOW
    keeps_late = session.event.late_places == Event.LatePlaces.KEEP
    return session.is_open_to_register(now) and not (is_late and keeps_late)


def promote_all_waiting(now: dt.datetime) -> None:
    """Fill every session that has both a waitlist and open spots: its capacity may have grown."""
    sessions = Session.objects.open_to_register(now).filter(
        pk__in=Seat.objects.waitlist().order_by().values("session")
    )
    counts = seat_counts(sessions)
    for session in sessions:
        if session.capacity is None or counts[session.pk].seated < session.capacity:
            promote_waiting(sessions=[session.pk])


def _promote(session: Session, waiting: SeatQuerySet) -> int:
    """Give these people their spots, and email those who are admitted."""
    promoted = list(waiting.select_related("registration__event"))
    Seat.objects.filter(pk__in=[seat.pk for seat in promoted]).update(
        state=Seat.State.SEATED,
        waiting_since=None,
        seated_at=timezone.now(),
        notified_revision=session.revision,
    )
    for seat in promoted:
        seat.session = session
    if admitted := [seat for seat in promoted if seat.registration.is_admitted]:
        enqueue.queue_promoted(admitted)
    return len(promoted)
