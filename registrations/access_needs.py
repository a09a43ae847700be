"""What people need to take part: requested, arranged, and confirmed to them by email."""

import datetime as dt
import itertools
from collections.abc import Iterable
from typing import NamedTuple

from django.db import transaction
from django.db.models import Count, F, OuterRef, Q, QuerySet, Subquery
from django.utils import timezone
from django.utils.translation import ngettext

from events.models import Session
from events.templatetags import times
from events.text.search import search_key
from registrations.mail import enqueue
from registrations.models import OTHER_NEED, AccessNeed, Registration, Seat


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
        needs.filter(kind=OTHER_NEED).exclude(text=registration.needs_other).update(
            text=registration.needs_other,
            search_key=search_key(registration.needs_other),
            state=AccessNeed.State.REQUESTED,
            requested_at=now,
            arranged_at=None,
            confirmed_at=None,
        )
    pairs = itertools.product(seats if requested else (), requested.items())
    wanted = [AccessNeed(seat=seat, kind=kind, text=text) for seat, (kind, text) in pairs]
    AccessNeed.objects.bulk_create(wanted, ignore_conflicts=True)


def active_needs(now: dt.datetime) -> QuerySet[AccessNeed]:
    """The needs of people who come to sessions that aren't over, or are on their waitlists."""
    return AccessNeed.objects.filter(
        seat__registration__canceled_at=None,
        seat__registration__approval=Registration.Approval.APPROVED,
        seat__session__in=Session.objects.open_to_register(now),
    )


@transaction.atomic
def arrange(*, needs: Iterable[AccessNeed]) -> int:
    """Mark requested needs as arranged. Returns how many were."""
    requested = AccessNeed.objects.filter(pk__in=_ids(needs), state=AccessNeed.State.REQUESTED)
    starts = Session.objects.filter(seats=OuterRef("seat")).values("starts_at")
    return requested.update(
        state=AccessNeed.State.ARRANGED, arranged_at=timezone.now(), arranged_for=Subquery(starts)
    )


def reopen(*, needs: Iterable[AccessNeed]) -> int:
    """Set needs back to requested. Returns how many were arranged or confirmed."""
    requested = AccessNeed.State.REQUESTED
    handled = AccessNeed.objects.filter(pk__in=_ids(needs)).exclude(state=requested)
    return handled.update(state=requested, arranged_at=None, confirmed_at=None)


def reopen_moved(now: dt.datetime) -> None:
    """Set needs back to requested if their session has moved since they were arranged."""
    handled = active_needs(now).exclude(state=AccessNeed.State.REQUESTED)
    reopen(needs=handled.exclude(arranged_for=F("seat__session__starts_at")))


@transaction.atomic
def confirm(*, needs: Iterable[AccessNeed]) -> int:
    """Tell people by email what is arranged for them, one email each. Returns how many people.

    People on a waitlist are left out: an organizer confirms their needs once they have a spot.
    """
    now = timezone.now()
    arranged = active_needs(now).filter(
        pk__in=_ids(needs), state=AccessNeed.State.ARRANGED, seat__state=Seat.State.SEATED
    )
    locked = arranged.select_for_update(of=("self",)).order_by("pk")
    confirmed = list(locked.select_related("seat__registration"))
    AccessNeed.objects.filter(pk__in=_ids(confirmed)).update(
        state=AccessNeed.State.CONFIRMED, confirmed_at=now
    )
    people = {need.seat.registration for need in confirmed}
    enqueue.queue_access(people, now)
    return len(people)


def _ids(needs: Iterable[AccessNeed]) -> list[int]:
    return [need.pk for need in needs]


class NeedTally(NamedTuple):
    """A session's needs, counted by state. People on its waitlist are counted separately."""

    session: Session
    requested: int
    arranged: int
    confirmed: int
    waiting: int

    @property
    def day(self) -> str:
        """The session's day in the event's time zone: Tuesday, October 19."""
        return times.day(self.session.starts_at, self.session.event.zone)

    @property
    def rest(self) -> str:
        """Such as: 2 arranged but not confirmed yet; 1 confirmed."""
        texts = (
            (
                self.arranged,
                ngettext(
                    "%(count)s arranged but not confirmed yet",
                    "%(count)s arranged but not confirmed yet",
                    self.arranged,
                ),
            ),
            (
                self.confirmed,
                ngettext("%(count)s confirmed", "%(count)s confirmed", self.confirmed),
            ),
            (
                self.waiting,
                ngettext(
                    "%(count)s from people on the waitlist",
                    "%(count)s from people on the waitlist",
                    self.waiting,
                ),
            ),
        )
        return "; ".join(text % {"count": count} for count, text in texts if count)


def tallies(needs: QuerySet[AccessNeed]) -> list[NeedTally]:
    """The needs of each session that has any, the next session first."""
    seated = Q(seat__state=Seat.State.SEATED)
    rows = (
        needs.order_by()
        .values_list("seat__session")
        .annotate(
            **{state: Count("pk", filter=seated & Q(state=state)) for state in AccessNeed.State},
            waiting=Count("pk", filter=~seated),
        )
    )
    counts = {pk: found for pk, *found in rows}
    sessions = Session.objects.filter(pk__in=counts).select_related("event")
    return [NeedTally(session, *counts[session.pk]) for session in sessions]
