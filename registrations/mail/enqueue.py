"""Queue the emails that answer a registration, a promotion or a confirmed need."""

import datetime as dt
from collections.abc import Collection, Iterable, Mapping

from django.db import transaction
from django.utils import timezone

from registrations.models import (
    OutgoingMail,
    Registration,
    Seat,
)
from registrations.outbox import mail_queue
from registrations.zoom import personal_links

Kind = OutgoingMail.Kind
# Seconds in which those who register are registered at Zoom together.
GATHER_SECONDS = 1


def queue_links(
    registrations: Iterable[Registration], *, before: Mapping[int, int] | None = None
) -> None:
    """Owe people their links; `before` says by registration id how often they were mailed."""
    _queue_confirmation(Kind.LINKS, registrations, before)


def queue_received(
    registrations: Iterable[Registration], *, before: Mapping[int, int] | None = None
) -> None:
    """Owe people word that the organizers look at their registration; `before` as for links."""
    _queue_confirmation(Kind.RECEIVED, registrations, before)


def _queue_confirmation(
    kind: Kind, registrations: Iterable[Registration], before: Mapping[int, int] | None
) -> None:
    registrations = list(registrations)
    now = timezone.now()
    waiting = _waiting_for_links(registrations) if kind == Kind.LINKS else set()
    mail_queue.queue(
        OutgoingMail(
            key=f"{kind}/{registration.pk}/{(before or {}).get(registration.pk, 0)}",
            kind=kind,
            registration=registration,
            due_at=now + personal_links.EMAIL_HOLD if registration.pk in waiting else now,
        )
        for registration in registrations
    )


def _waiting_for_links(registrations: Iterable[Registration]) -> set[int]:
    """The ids of those whose personal links are on their way; a worker hears of them."""
    ids = [each.pk for each in registrations if each.event.has_personal_links]
    waiting = personal_links.awaiting_links(ids) if ids else set()
    if waiting:
        transaction.on_commit(
            lambda: mail_queue.wake_workers("issue_links", delay_seconds=GATHER_SECONDS)
        )
    return waiting


def queue_access(registrations: Iterable[Registration], confirmed_at: dt.datetime) -> None:
    """Owe people word of the needs that were confirmed at this moment."""
    mail_queue.queue(
        OutgoingMail(
            key=access_key(registration.pk, confirmed_at),
            kind=Kind.ACCESS,
            registration=registration,
        )
        for registration in registrations
    )


def queue_promoted(seats: Collection[Seat]) -> None:
    """Owe people word that they have a place now."""
    now = timezone.now()
    waiting = _waiting_for_links([seat.registration for seat in seats])
    mail_queue.queue(
        OutgoingMail(
            key=f"promoted/{seat.pk}/{now.timestamp():.0f}",
            kind=Kind.PROMOTED,
            registration=seat.registration,
            session=seat.session,
            due_at=now + personal_links.EMAIL_HOLD if seat.registration_id in waiting else now,
        )
        for seat in seats
    )


def access_key(registration_id: int, confirmed_at: dt.datetime | None) -> str:
    """Of the mail that tells someone of the needs confirmed at this moment."""
    moment = confirmed_at.astimezone(dt.UTC).isoformat() if confirmed_at else ""
    return f"{Kind.ACCESS}/{registration_id}/{moment}"
