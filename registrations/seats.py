"""Seats in sessions and their waitlists, decided under the sessions' row locks.

To avoid deadlocks, registrations are locked before sessions, and all sessions at once.
"""

import datetime as dt
import logging
from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import Count, Min, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone

from events.models import Event, Session
from events.people import Counts
from registrations.mail import enqueue
from registrations.models import Registration, Seat, SeatQuerySet
from registrations.zoom import personal_links

logger = logging.getLogger(__name__)

# A spot that opens within this time before the start is late; see Event.late_spots.
LATE_WINDOW = dt.timedelta(hours=1)
# A spot of someone who may not exist; see `SeatQuerySet.with_idle_flags`.
IDLE = Q(has_bounced=True) | Q(is_unused=True)


class SeatCounts(NamedTuple):
    """How many people have a spot in a session, and how many are on its waitlist."""

    seated: int = 0
    waiting: int = 0


def seat_counts(sessions: Iterable[Session]) -> dict[int, SeatCounts]:
    """The counts of the sessions that have a limited capacity, by session id."""
    limited = [session.pk for session in sessions if session.capacity is not None]
    if not limited:
        # Building a query takes a few milliseconds, even one that is known to be empty.
        return {}
    return counts_by_session(limited)


def counts_by_session(ids: Collection[int]) -> dict[int, SeatCounts]:
    """The counts of these sessions, with or without a limit."""
    seats = Seat.objects.occupying().filter(session__in=ids).order_by()
    rows = seats.values_list("session").annotate(
        seated=Count("pk", filter=Q(state=Seat.State.SEATED)),
        waiting=Count("pk", filter=Q(state=Seat.State.WAITING)),
    )
    return dict.fromkeys(ids, SeatCounts()) | {pk: SeatCounts(*counts) for pk, *counts in rows}


class People(NamedTuple):
    """How many people have a spot, are only on a waitlist, or wait for approval.

    `is_anyone` also counts people who have canceled or were declined.
    """

    seated: int
    waiting: int
    pending: int
    is_anyone: bool

    @property
    def registered(self) -> int:
        return self.seated + self.waiting + self.pending


def people_in(sessions: Iterable[Session]) -> People:
    """The people in these sessions, each counted once."""
    seats = Seat.objects.filter(session__in=[session.pk for session in sessions])
    people = Registration.objects.active().filter(pk__in=seats.values("registration"))
    admitted = people.admitted()
    seated = admitted.filter(pk__in=seats.seated().values("registration")).count()
    pending = people.filter(approval=Registration.Approval.PENDING).count()
    return People(seated, admitted.count() - seated, pending, seats.exists())


def people_of(event: Event) -> People:
    """The people of an event, also those without a session."""
    everyone = Registration.objects.filter(event=event)
    admitted = everyone.admitted().count()
    pending = everyone.active().filter(approval=Registration.Approval.PENDING).count()
    waiting = people_in(event.sessions.all()).waiting
    return People(admitted - waiting, waiting, pending, everyone.exists())


# For the admin of `events`.
COUNTS = Counts(
    registered=lambda event: people_of(event).registered,
    seated=lambda sessions: people_in(sessions).seated,
    chose=lambda track: Registration.objects.filter(strategies=track).count(),
)


def idle_counts(sessions: Iterable[Session | int], now: dt.datetime) -> dict[int, int]:
    """How many spots in each session (or ids) may be of no use to anyone, by session id."""
    seated = Seat.objects.occupying().seated().filter(session__in=sessions)
    idle = seated.with_idle_flags(now).filter(IDLE).order_by()
    return dict(idle.values_list("session").annotate(Count("pk")))


def full_sessions(sessions: Iterable[Session]) -> set[Session]:
    """The sessions where one more person would have to wait, also behind those who wait already."""
    sessions = list(sessions)
    counts = seat_counts(sessions)
    return {
        session
        for session in sessions
        if session.capacity is not None and sum(counts[session.pk]) >= session.capacity
    }


def with_waitlist_position(seats: SeatQuerySet) -> Any:
    """Annotate `waitlist_position`: 1 for who is promoted next, meaningless for the seated."""
    since = OuterRef("waiting_since")
    earlier = Q(waiting_since__lt=since) | Q(waiting_since=since, pk__lt=OuterRef("pk"))
    ahead = Seat.objects.waitlist().filter(earlier, session=OuterRef("session"))
    counted = ahead.order_by().values("session").annotate(count=Count("pk")).values("count")
    return seats.annotate(waitlist_position=Coalesce(Subquery(counted), 0) + 1)


def lock_sessions(ids: Iterable[int]) -> list[Session]:
    """Lock sessions until the transaction ends, always in the same order, and return them."""
    if not (chosen := set(ids)):
        return []
    sessions = Session.objects.select_for_update(of=("self",), no_key=True)
    return list(sessions.filter(pk__in=chosen).select_related("event").order_by("pk"))


@transaction.atomic(savepoint=False)
def assign(*, registration: Registration, sessions: Iterable[Session]) -> list[Seat]:
    """Give someone a seat in each session: a spot, or if it is full, the end of the waitlist."""
    return Seat.objects.bulk_create(_new_seats(registration, list(sessions)))


@transaction.atomic
def reassign(*, registration: Registration) -> None:
    """Give someone who returns their spots again. Where a session is full now, they wait.

    Call it while their seats don't count yet (canceled or declined), then make them count.
    """
    # Also in sessions that are canceled, or drafts for now.
    sessions = Session.objects.filter(seats__registration=registration, ends_at__gt=timezone.now())
    Seat.objects.bulk_create(
        _new_seats(registration, list(sessions)),
        update_conflicts=True,
        unique_fields=["registration", "session"],
        update_fields=["state", "waiting_since", "seated_at", "notified_revision"],
    )


def _new_seats(registration: Registration, sessions: list[Session]) -> list[Seat]:
    full = full_sessions(lock_sessions(each.pk for each in sessions if each.capacity is not None))
    # Read under the lock: it decides the order of the waitlist.
    now = timezone.now()
    return [
        Seat(
            registration=registration,
            session=session,
            state=Seat.State.WAITING if session in full else Seat.State.SEATED,
            seated_at=now,
            waiting_since=now if session in full else None,
            notified_revision=session.revision,
        )
        for session in sessions
    ]


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
def move_to_waiting(*, seats: SeatQuerySet) -> list[Seat]:
    """Move people to the end of the waitlists, and promote the first ones on them.

    In each session no more people than others wait for: they would get the spot right back. The
    newest spots are freed first. Returns the seats that were moved.
    """
    moved: list[Seat] = []
    sessions = lock_sessions(seats.order_by().values_list("session", flat=True))
    for session in sessions:
        seated = Seat.objects.occupying().seated().filter(session=session)
        # Read again under the lock: someone's address may have been corrected meanwhile.
        chosen = seated.filter(pk__in=seats.order_by().values("pk")).order_by("-seated_at", "-pk")
        if session.capacity is not None:
            waiting = Seat.objects.promotable().filter(session=session).count()
            excess = waiting + seated.count() - session.capacity
            moved += chosen.select_related("registration", "session")[: max(0, excess)]
    if not moved:
        return []
    Seat.objects.filter(pk__in=[seat.pk for seat in moved]).update(
        state=Seat.State.WAITING, waiting_since=timezone.now()
    )
    personal_links.sync_links_soon()
    promote_waiting(sessions=[session.pk for session in sessions])
    return moved


def free_bounced(now: dt.datetime) -> None:
    """Where people wait, free the spots of those whose address turned out not to exist."""
    waited_for = Seat.objects.promotable().order_by().values("session")
    sessions = Session.objects.open_to_register(now).exclude(capacity=None)
    for session in sessions.filter(pk__in=waited_for).select_related("event"):
        bounced = Seat.objects.lost_to_bounce().filter(session=session)
        if bounced.exists() and not is_waitlist_closed(session, now):
            moved = move_to_waiting(seats=bounced)
            logger.info("Spots freed in session %s after bounces: %s", session.pk, len(moved))


@transaction.atomic
def give_back(*, registration: Registration) -> list[Seat]:
    """Give someone the spots back that they lost, or where none is open, put them first in line.

    Returns those seats. No email is queued: call it before one with all links is.
    """
    lost = registration.seats.had_spot().filter(session__ends_at__gt=timezone.now())
    sessions = lock_sessions(lost.values_list("session", flat=True))
    # Read under the lock.
    changed = list(lost.filter(session__in=sessions).select_related("session__event"))
    for seat in changed:
        seated = Seat.objects.occupying().seated().filter(session=seat.session).count()
        if seat.session.capacity is None or seated < seat.session.capacity:
            seat.state, seat.waiting_since = Seat.State.SEATED, None
            seat.seated_at = timezone.now()
        else:
            waitlist = Seat.objects.waitlist().filter(session=seat.session)
            ahead = waitlist.filter(waiting_since__lte=seat.waiting_since).exclude(pk=seat.pk)
            if first := ahead.aggregate(first=Min("waiting_since"))["first"]:
                seat.waiting_since = first - dt.timedelta(microseconds=1)
        seat.save(update_fields=["state", "waiting_since", "seated_at"])
    return changed


@transaction.atomic
def promote(*, seat: Seat) -> bool:
    """Give someone who waits a spot, even in a full session, and email them. False if seated."""
    (session,) = lock_sessions([seat.session_id])
    waiting = Seat.objects.filter(pk=seat.pk, state=Seat.State.WAITING)
    return bool(_promote(session, waiting))


@transaction.atomic
def promote_waiting(*, sessions: Iterable[int]) -> int:
    """Give the open spots in these sessions (ids) to the first people who wait, and email them.

    They wait in the order of `SeatQuerySet.waitlist`, without those that `promotable` leaves out.
    Returns how many were promoted. If the event says so, late spots stay open.
    """
    promoted, now = 0, timezone.now()
    locked = lock_sessions(sessions)
    waitlist = Seat.objects.promotable().filter(session__in=locked)
    waited_for = set(waitlist.values_list("session", flat=True))
    for session in locked:
        if session.pk in waited_for:
            promoted += _promote(session, _next_in_line(session, now))
    return promoted


def _next_in_line(session: Session, now: dt.datetime) -> SeatQuerySet:
    """The people who get the session's open spots, in their order."""
    waiting = Seat.objects.promotable().filter(session=session)
    if not session.is_open_to_register(now) or is_waitlist_closed(session, now):
        return waiting.none()
    if session.capacity is not None:
        seated = Seat.objects.occupying().seated().filter(session=session).count()
        waiting = waiting[: max(0, session.capacity - seated)]
    return waiting


def people_to_promote(session: Session, now: dt.datetime) -> list[int]:
    """Who gets an email about an open spot when `promote_all_waiting` runs next."""
    seats = _next_in_line(session, now).select_related("registration")
    return [seat.registration_id for seat in seats if seat.registration.is_admitted]


def is_waitlist_closed(session: Session, now: dt.datetime) -> bool:
    """Whether it's too late for anyone to be promoted from the waitlist."""
    keeps_late_spots = session.event.late_spots == Event.LateSpots.KEEP
    return keeps_late_spots and now > session.starts_at - LATE_WINDOW


def promote_all_waiting(now: dt.datetime) -> None:
    """Fill every session that has both a waitlist and open spots: its capacity may have grown."""
    waited_for = Seat.objects.promotable().order_by().values("session")
    sessions = Session.objects.open_to_register(now).filter(pk__in=waited_for)
    counts = seat_counts(sessions)
    for session in sessions:
        if session.capacity is None or counts[session.pk].seated < session.capacity:
            promote_waiting(sessions=[session.pk])


def _promote(session: Session, waiting: SeatQuerySet) -> int:
    """Give these people their spots, and email those who are admitted."""
    promoted = list(waiting.select_related("registration__event", "session"))
    Seat.objects.filter(pk__in=[seat.pk for seat in promoted]).update(
        state=Seat.State.SEATED,
        waiting_since=None,
        seated_at=timezone.now(),
        notified_revision=session.revision,
    )
    if admitted := [seat for seat in promoted if seat.registration.is_admitted]:
        enqueue.queue_promoted(admitted)
    return len(promoted)
