"""What people need to take part: requested, arranged, and confirmed to them by mail."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Count, F, OuterRef, Q, QuerySet, Subquery
from django.utils import timezone

from events.models import Session
from events.templatetags import times
from registrations.mail import enqueue
from registrations.models import OTHER_NEED, AccessNeed, Registration, Seat

State = AccessNeed.State

# Needs of sessions within this time stand on the organizers' first page.
SOON = dt.timedelta(days=7)


@transaction.atomic
def update(*, registration: Registration, restart: bool = False) -> None:
    """Bring someone's access needs in line with what they ask for, in their upcoming sessions.

    A need that is no longer asked for is deleted, even if it was arranged. New text of the other
    need is a new request. `restart`: forget what was arranged, as when someone comes back.
    """
    requested = dict.fromkeys(registration.needs, "")
    if registration.needs_other:
        requested[OTHER_NEED] = registration.needs_other
    now = timezone.now()
    seats = registration.seats.filter(session__in=Session.objects.open_to_register(now))
    needs = AccessNeed.objects.filter(seat__in=seats)
    (needs if restart else needs.exclude(kind__in=requested)).delete()
    if registration.needs_other:
        needs.filter(kind=OTHER_NEED).exclude(words=registration.needs_other).update(
            words=registration.needs_other,
            state=AccessNeed.State.REQUESTED,
            requested_at=now,
            arranged_at=None,
            confirmed_at=None,
        )
    AccessNeed.objects.bulk_create(
        [
            AccessNeed(seat=seat, kind=kind, words=words)
            for seat in (seats if requested else ())
            for kind, words in requested.items()
        ],
        ignore_conflicts=True,
    )


def active_needs(now: dt.datetime) -> QuerySet[AccessNeed]:
    """The needs that count: of people who come to sessions that are not over, or wait for them."""
    return AccessNeed.objects.filter(
        seat__registration__canceled_at=None,
        seat__registration__approval=Registration.Approval.APPROVED,
        seat__session__in=Session.objects.open_to_register(now),
    )


@transaction.atomic
def arrange(*, needs: Iterable[AccessNeed]) -> int:
    """Note that what was requested is arranged. Returns how many it was."""
    requested = AccessNeed.objects.filter(pk__in=_ids(needs), state=State.REQUESTED)
    starts = Session.objects.filter(seats=OuterRef("seat")).values("starts_at")
    return requested.update(
        state=State.ARRANGED, arranged_at=timezone.now(), arranged_for=Subquery(starts)
    )


@transaction.atomic
def reopen(*, needs: Iterable[AccessNeed]) -> int:
    """Note that something is to be arranged after all, or once more. Returns how many it was."""
    return _reopen(AccessNeed.objects.filter(pk__in=_ids(needs)))


def reopen_moved(now: dt.datetime) -> None:
    """Ask anew for what was arranged for an hour to which the session does not begin any more."""
    moved = ~Q(arranged_for=F("seat__session__starts_at"))
    _reopen(active_needs(now).filter(moved))


def _reopen(needs: QuerySet[AccessNeed]) -> int:
    others = AccessNeed.objects.filter(pk__in=needs.exclude(state=State.REQUESTED).values("pk"))
    return others.update(state=State.REQUESTED, arranged_at=None, confirmed_at=None)


@transaction.atomic
def confirm(*, needs: Iterable[AccessNeed]) -> int:
    """Tell people by mail what is arranged for them, one mail each. Returns to how many.

    Who is on a waiting list is told when they have a place and an organizer confirms then.
    """
    now = timezone.now()
    arranged = active_needs(now).filter(
        pk__in=_ids(needs), state=State.ARRANGED, seat__state=Seat.State.SEATED
    )
    held = arranged.select_for_update(of=("self",)).order_by("pk")
    found = list(held.select_related("seat__registration"))
    AccessNeed.objects.filter(pk__in=_ids(found)).update(state=State.CONFIRMED, confirmed_at=now)
    people = {need.seat.registration for need in found}
    enqueue.queue_access(people, now)
    return len(people)


def _ids(needs: Iterable[AccessNeed]) -> list[int]:
    return [need.pk for need in needs]


def day(session: Session) -> str:
    """Tuesday, October 19, by the event's clock"""
    return times.day(session.starts_at, session.event.zone)


@dataclass(frozen=True)
class Tally:
    """How many needs of a session are in which state; those on its waiting list stand apart."""

    session: Session
    requested: int = 0
    arranged: int = 0
    confirmed: int = 0
    waiting: int = 0

    @property
    def day(self) -> str:
        return day(self.session)

    @property
    def rest(self) -> str:
        """2 arranged, to be confirmed; 1 confirmed; 1 on the waiting list"""
        words = (
            (self.arranged, "arranged, to be confirmed"),
            (self.confirmed, "confirmed"),
            (self.waiting, "of people on the waiting list"),
        )
        return "; ".join(f"{count} {what}" for count, what in words if count)


def tallies(needs: QuerySet[AccessNeed]) -> list[Tally]:
    """How things stand in each session of which there are needs, the next one first."""
    seated = Q(seat__state=Seat.State.SEATED)
    figures: dict[str, Count] = {
        state.value: Count("pk", filter=seated & Q(state=state)) for state in State
    }
    figures["waiting"] = Count("pk", filter=~seated)
    rows = needs.order_by().values_list("seat__session").annotate(**figures)
    counts = {pk: found for pk, *found in rows}
    sessions = Session.objects.filter(pk__in=counts).select_related("event")
    return [Tally(session, *counts[session.pk]) for session in sessions]


def upcoming(now: dt.datetime) -> list[Tally]:
    """Sessions of the next days with something left to arrange or to confirm."""
    near = active_needs(now).filter(seat__session__starts_at__lte=now + SOON)
    return [tally for tally in tallies(near) if tally.requested or tally.arranged]
