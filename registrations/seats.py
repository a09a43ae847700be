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

from . import mails, personal_links
from .models import Registration, Seat, SeatQuerySet

State = Seat.State

# Within this time of the start a place that frees is a late one; see Event.late_places.
LATE = dt.timedelta(hours=1)


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
    seats = Seat.objects.counting().filter(session__in=limited).order_by()
    rows = seats.values_list("session").annotate(
        seated=Count("pk", filter=Q(state=State.SEATED)),
        waiting=Count("pk", filter=Q(state=State.WAITING)),
    )
    counted = {pk: Demand(seated, waiting) for pk, seated, waiting in rows}
    return {pk: counted.get(pk, Demand()) for pk in limited}


def full(sessions: Iterable[Session]) -> set[Session]:
    """Those of the sessions where one more would have to wait."""
    sessions = list(sessions)
    counts = demand(sessions)
    return {
        session
        for session in sessions
        if session.pk in counts and counts[session.pk].fills(session.capacity)
    }


def place_in_line(seat: Seat) -> int:
    """1 for whoever is called next."""
    numbered = with_place_in_line(Seat.objects.filter(pk=seat.pk))
    return int(numbered.values_list("place_in_line", flat=True).get())


def with_place_in_line(seats: SeatQuerySet) -> Any:
    """Annotate `place_in_line`; it says something of those who wait only."""
    begun = OuterRef("waiting_since")
    earlier = Q(waiting_since__lt=begun) | Q(waiting_since=begun, pk__lt=OuterRef("pk"))
    ahead = Seat.objects.in_line().filter(earlier, session=OuterRef("session"))
    counted = ahead.order_by().values("session").annotate(count=Count("pk")).values("count")
    return seats.annotate(place_in_line=Coalesce(Subquery(counted), 0) + 1)


def hold(ids: Iterable[int]) -> list[Session]:
    """The sessions as they stand now, in one order for everyone, held until the commit."""
    held = Session.objects.select_for_update(of=("self",), no_key=True)
    return list(held.filter(pk__in=set(ids)).select_related("event").order_by("pk"))


@transaction.atomic
def take(*, registration: Registration, sessions: Iterable[Session]) -> list[Seat]:
    """Give someone a place in each session, or where it is full one at the end of the line."""
    sessions = list(sessions)
    taken = full(hold(session.pk for session in sessions if session.capacity is not None))
    now = timezone.now()
    return Seat.objects.bulk_create(
        Seat(
            registration=registration,
            session=session,
            told_revision=session.revision,
            state=State.WAITING if session in taken else State.SEATED,
            waiting_since=now if session in taken else None,
        )
        for session in sessions
    )


@transaction.atomic
def take_again(*, registration: Registration) -> None:
    """Let someone who comes back have their places; where it is full now they wait like others.

    To be called while their seats do not count, and followed by what makes them count.
    """
    seats = list(registration.seats.select_related("session"))
    now = timezone.now()
    # Also of sessions that are cancelled or drafts for now.
    open_seats = [seat for seat in seats if seat.session.ends_at > now]
    taken = full(hold(seat.session_id for seat in open_seats))
    now = timezone.now()
    for seat in open_seats:
        is_full = seat.session in taken
        seat.state = State.WAITING if is_full else State.SEATED
        seat.waiting_since = now if is_full else None
        seat.seated_at = now
        seat.told_revision = seat.session.revision
    Seat.objects.bulk_update(
        open_seats, ["state", "waiting_since", "seated_at", "told_revision"], batch_size=100
    )


@transaction.atomic
def leave(*, seats: Collection[Seat]) -> None:
    """Take people out of sessions; the places go to those who wait. Their links there end."""
    sessions = {seat.session_id for seat in seats}
    hold(sessions)
    Seat.objects.filter(pk__in=[seat.pk for seat in seats]).delete()
    personal_links.keep_up_soon()
    fill(sessions=sessions)


@transaction.atomic
def move_to_waiting(*, seat: Seat) -> bool:
    """Put someone at the end of the line, and call its first. False: nobody would gain by it.

    That is so when the seat waits already, and when the place would come straight back.
    """
    (session,) = hold([seat.session_id])
    now_at = demand([session]).get(session.pk)
    if now_at is None or (not now_at.waiting and now_at.seated <= (session.capacity or 0)):
        return False
    found = Seat.objects.seated().filter(pk=seat.pk)
    if not found.update(state=State.WAITING, waiting_since=timezone.now()):
        return False
    personal_links.keep_up_soon()
    fill(sessions=[session.pk])
    return True


@transaction.atomic
def promote(*, seat: Seat) -> bool:
    """Give someone who waits a place, and mail it. False: they have one.

    An organizer may call anyone, also into a session that is full.
    """
    (session,) = hold([seat.session_id])
    waiting = Seat.objects.filter(pk=seat.pk, state=State.WAITING)
    return bool(_seat(session, waiting.select_related("registration__event")))


@transaction.atomic
def fill(*, sessions: Iterable[int]) -> int:
    """Give free places in these sessions, by id, to those first in line, and mail them.

    Returns how many. A late place stays free where the event says so.
    """
    called = 0
    held = hold(sessions)
    waiting = Seat.objects.in_line().filter(session__in=held)
    waited_for = set(waiting.values_list("session", flat=True))
    now = timezone.now()
    for session in held:
        if session.pk not in waited_for or not _calls_now(session, now):
            continue
        line = waiting.filter(session=session).select_related("registration__event")
        if session.capacity is not None:
            seated = Seat.objects.counting().seated().filter(session=session).count()
            line = line[: max(0, session.capacity - seated)]
        called += _seat(session, line)
    return called


def _calls_now(session: Session, now: dt.datetime) -> bool:
    """Whether a place that is free goes to the first in line at this moment."""
    keeps_late = session.event.late_places == Event.LatePlaces.KEEP
    is_late = now > session.starts_at - LATE
    return session.is_open_to_register(now) and not (is_late and keeps_late)


def fill_all(now: dt.datetime) -> None:
    """Fill every session where somebody waits although there is room: places may be added."""
    waited_for = Session.objects.open_to_register(now).filter(
        pk__in=Seat.objects.in_line().order_by().values("session")
    )
    sessions = list(waited_for)
    counts = demand(sessions)
    for session in sessions:
        if session.capacity is None or counts[session.pk].seated < session.capacity:
            fill(sessions=[session.pk])


def _seat(session: Session, line: SeatQuerySet) -> int:
    """Give these people their places; those who are admitted are mailed."""
    called = list(line)
    Seat.objects.filter(pk__in=[seat.pk for seat in called]).update(
        state=State.SEATED,
        waiting_since=None,
        seated_at=timezone.now(),
        told_revision=session.revision,
    )
    for seat in called:
        seat.session = session
    if admitted := [seat for seat in called if seat.registration.is_admitted]:
        mails.queue_promoted(admitted)
    return len(called)
