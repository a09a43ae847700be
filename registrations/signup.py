"""The verbs: register, mail the links again, correct an address, promote, cancel."""

import datetime as dt
from collections import Counter
from collections.abc import Iterable
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.utils import timezone

from events.models import Event, Session, Track

from . import mails, outbox
from .models import OutgoingMail, Registration, Seat, email_key, new_token

Kind = OutgoingMail.Kind
# What a mail with all links says as well.
TOLD_ANEW = (Kind.LINKS, Kind.SCHEDULE, Kind.CHANGED, Kind.CANCELLED)
RESEND_PAUSE = dt.timedelta(minutes=10)


class AddressTaken(Exception):
    """Another live registration of the event has this address."""


@transaction.atomic
def register(
    *,
    event: Event,
    email: str,
    sessions: Iterable[Session],
    strategies: Iterable[Track] = (),
    **details: Any,
) -> Registration:
    """Register someone, give them a seat in each session, and owe them their links.

    Whoever is registered already keeps that registration as it is and is mailed the
    links again: only the owner of the mailbox learns anything. `details` are the other
    fields of Registration: name, time_zone, organization, state and the access needs.
    """
    registration = Registration(
        event=event, email=email.strip(), email_key=email_key(email), **details
    )
    live = Registration.objects.live().filter(event=event, email_key=registration.email_key)
    found = None
    # The constraint decides who is first, also between two requests at the same moment. Nothing
    # is found when the one that was first is cancelled just now: then it is our turn.
    while found is None:
        Registration.objects.bulk_create([registration], ignore_conflicts=True)
        found = live.values_list("pk", "token").first()
    if found[1] != registration.token:
        earlier = Registration.objects.get(pk=found[0])
        resend_links(registrations=[earlier])
        return earlier
    registration.pk = found[0]
    Seat.objects.bulk_create(
        [
            Seat(registration=registration, session=session, told_revision=session.revision)
            for session in sessions
        ]
    )
    if strategies := list(strategies):
        interest = Registration.strategies.through
        interest.objects.bulk_create(
            [interest(registration=registration, track=strategy) for strategy in strategies]
        )
    mails.queue_links([registration])
    return registration


@transaction.atomic
def resend_links(*, registrations: Iterable[Registration]) -> int:
    """Mail people their links again, each at most once in ten minutes. Returns to how many."""
    ids = [registration.pk for registration in registrations]
    people = list(Registration.objects.live().select_for_update().filter(pk__in=ids).order_by("pk"))
    earlier = OutgoingMail.objects.filter(registration__in=ids, kind=OutgoingMail.Kind.LINKS)
    recent = Q(created_at__gt=timezone.now() - RESEND_PAUSE)
    under_way = earlier.exclude(state=OutgoingMail.State.FAILED).filter(
        recent | Q(state=OutgoingMail.State.WAITING)
    )
    served = set(under_way.values_list("registration_id", flat=True))
    owed = [registration for registration in people if registration.pk not in served]
    if owed:
        mails.queue_links(owed, before=_counted(earlier))
    return len(owed)


def _counted(sent: QuerySet[OutgoingMail]) -> Counter[int]:
    """How many of these mails belong to each registration."""
    return Counter(sent.values_list("registration_id", flat=True))


@transaction.atomic
def correct_email(*, registration: Registration, email: str) -> None:
    """Put a mistyped address right and mail new links there. Raises AddressTaken.

    The old links die: whoever owns the wrong address may hold them.
    """
    registration.email = email.strip()
    registration.email_key = email_key(email)
    registration.email_since = timezone.now()
    registration.token = new_token()
    try:
        with transaction.atomic():
            registration.save(update_fields=["email", "email_key", "email_since", "token"])
    except IntegrityError as error:
        raise AddressTaken from error
    # The new mailbox is told everything anew; reminders that wait will find it when written.
    registration.mails.filter(state=OutgoingMail.State.WAITING, kind__in=TOLD_ANEW).update(
        state=OutgoingMail.State.DROPPED
    )
    links = registration.mails.filter(kind=OutgoingMail.Kind.LINKS)
    if registration.cancelled_at is None:
        # The new mailbox is told everything anew, and not of changes of what it never knew.
        newest = Session.objects.filter(pk=OuterRef("session")).values("revision")
        registration.seats.update(told_revision=Subquery(newest))
        mails.queue_links([registration], before=_counted(links))


@transaction.atomic
def promote(*, seat: Seat) -> bool:
    """Give someone on a session's waiting list a place, and mail it. False: they have one."""
    session = seat.session
    found = Seat.objects.filter(pk=seat.pk, state=Seat.State.WAITING)
    now = timezone.now()
    if not found.update(state=Seat.State.SEATED, seated_at=now, told_revision=session.revision):
        return False
    outbox.queue(
        [
            OutgoingMail(
                key=f"promoted/{seat.pk}/{now.timestamp():.0f}",
                kind=OutgoingMail.Kind.PROMOTED,
                registration_id=seat.registration_id,
                session=session,
            )
        ]
    )
    return True


@transaction.atomic
def cancel(*, registration: Registration) -> None:
    """End a registration: its links stop working, and mails still waiting are not sent."""
    Registration.objects.live().filter(pk=registration.pk).update(cancelled_at=timezone.now())
