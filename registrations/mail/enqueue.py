"""Queue the emails that answer a registration, a promotion or a confirmed need."""

import datetime as dt
from collections.abc import Collection, Iterable, Mapping

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from events.clock import Now, database_time
from registrations.mail_kinds import MailKind
from registrations.models import OutgoingMail, Registration, Seat, SeatQuerySet
from registrations.outbox import mail_queue
from registrations.zoom import personal_links

# The most emails with which a registration is confirmed: the links, and the detailed schedule.
EMAILS_PER_CONFIRMATION = 2
# People who register within this many seconds are registered at Zoom in one call.
GATHER_SECONDS = 1


def queue_confirmation(
    kind: MailKind,
    registrations: Iterable[Registration],
    *,
    before: Mapping[int, int] | None = None,
    new_seats: SeatQuerySet | None = None,
) -> None:
    """Queue the email that confirms a registration, and the one with the detailed schedule.

    `before`: by registration ID, how many emails of this kind the person had before. `new_seats`
    are those that no email has shown yet. If one of them is in a session with an agenda, its person
    gets the schedule right after the links.
    """
    registrations = list(registrations)
    is_links = kind == MailKind.LINKS
    waiting = _waiting_for_links(registrations) if is_links else set()
    with_agenda = _with_agenda(new_seats) if is_links and new_seats is not None else set()
    # Thousands of rows that each ask for it take longer than reading it once.
    now = Now() if len(registrations) == 1 else database_time()
    mail_queue.queue(
        OutgoingMail(
            key=f"{each}/{registration.pk}/{(before or {}).get(registration.pk, 0)}",
            kind=each,
            registration=registration,
            due_at=now + personal_links.EMAIL_HOLD if registration.pk in waiting else now,
        )
        for registration in registrations
        for each in ((kind, MailKind.SCHEDULE) if registration.pk in with_agenda else (kind,))
    )


def _with_agenda(seats: SeatQuerySet) -> set[int]:
    """The IDs of people with one of these seats in a session that has an agenda.

    If none of these sessions is still to come, the email is dropped when it is due.
    """
    seated = seats.order_by().filter(state=Seat.State.SEATED, session__agenda__isnull=False)
    return set(seated.values_list("registration", flat=True))


def _waiting_for_links(registrations: Iterable[Registration]) -> set[int]:
    """The IDs of people whose personal links are still to be issued; wakes a worker for them."""
    ids = [each.pk for each in registrations if each.event.has_personal_links]
    waiting = personal_links.awaiting_links(ids) if ids else set()
    if waiting:
        transaction.on_commit(
            lambda: mail_queue.wake_workers("issue_links", delay_seconds=GATHER_SECONDS)
        )
    return waiting


def queue_access(registrations: Iterable[Registration], confirmed_at: dt.datetime) -> None:
    """Queue an email about the needs that were confirmed at this moment."""
    mail_queue.queue(
        OutgoingMail(
            key=access_key(registration.pk, confirmed_at),
            kind=MailKind.ACCESS,
            registration=registration,
        )
        for registration in registrations
    )


def queue_left(seats: Collection[Seat]) -> None:
    """Queue an email that takes a session out of the calendar, where an earlier one put it in.

    These are the seats that people have left, or are about to.
    """
    now = timezone.now()
    with_entry = _sent_calendar_entries({seat.registration_id for seat in seats})
    mail_queue.queue(
        OutgoingMail(
            key=f"{MailKind.LEFT}/{seat.pk}/{now.timestamp():.0f}",
            kind=MailKind.LEFT,
            registration=seat.registration,
            session=seat.session,
        )
        for seat in seats
        if seat.session.ends_at > now
        and any(
            session in (None, seat.session_id) and (sent_at or now) > seat.created_at
            for session, sent_at in with_entry.get(seat.registration_id, ())
        )
    )


def _sent_calendar_entries(
    registration_ids: Collection[int],
) -> dict[int, list[tuple[int | None, dt.datetime | None]]]:
    """By registration: the emails with calendar entries that their mailbox has, or may have.

    Each as its session (None: all that the person had then) and when it was sent (None: it may be
    on its way).
    """
    entries: dict[int, list[tuple[int | None, dt.datetime | None]]] = {}
    mails = OutgoingMail.objects.filter(
        registration__in=registration_ids,
        kind__in=[kind for kind in MailKind if kind.spec.has_calendar],
        claimed_at__isnull=False,
        created_at__gte=F("registration__email_changed_at"),
    )
    for person, session, sent_at in mails.values_list("registration", "session", "sent_at"):
        entries.setdefault(person, []).append((session, sent_at))
    return entries


def queue_promoted(seats: Collection[Seat]) -> None:
    """Queue the email that people have a seat now."""
    now = timezone.now()
    waiting = _waiting_for_links([seat.registration for seat in seats])
    mail_queue.queue(
        OutgoingMail(
            key=f"{MailKind.PROMOTED}/{seat.pk}/{now.timestamp():.0f}",
            kind=MailKind.PROMOTED,
            registration=seat.registration,
            session=seat.session,
            due_at=Now() + personal_links.EMAIL_HOLD if seat.registration_id in waiting else Now(),
        )
        for seat in seats
    )


def access_key(registration_id: int, confirmed_at: dt.datetime | None) -> str:
    """The key of the email about the needs that were confirmed at this moment."""
    moment = confirmed_at.astimezone(dt.UTC).isoformat() if confirmed_at else ""
    return f"{MailKind.ACCESS}/{registration_id}/{moment}"
