"""Register people, and change, approve, decline, cancel or restore their registrations."""

import datetime as dt
import logging
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from django.db import transaction
from django.db.models import Case, Exists, F, OuterRef, Q, QuerySet, Subquery, Value, When
from django.utils import timezone

from events.models import Event, Session, Track
from events.timezones import all_time_zones
from registrations import access_needs, mailboxes, questions, seats
from registrations.mail import enqueue, mailbox_full, unsubscribe
from registrations.models import (
    OutgoingMail,
    PersonalLink,
    Question,
    Registration,
    Seat,
    SeatQuerySet,
    new_token,
)
from registrations.models.access_needs import need_choices
from registrations.outbox import mail_queue
from registrations.validators import email_key
from registrations.zoom import personal_links

logger = logging.getLogger(__name__)

Approval = Registration.Approval
# The email that confirms a registration, by approval. Declined people get none.
CONFIRMATIONS: dict[str, OutgoingMail.Kind] = {
    Approval.APPROVED: OutgoingMail.Kind.LINKS,
    Approval.PENDING: OutgoingMail.Kind.RECEIVED,
}
# What people who register together have in common, besides their address and their sessions.
SHARED_DETAILS = {
    *("time_zone", "language", "us_state", "wants_doors_email"),
    *("claim", "verified_at"),
}
RESEND_PAUSE = dt.timedelta(minutes=10)


@transaction.atomic(savepoint=False)
def register(
    *,
    event: Event,
    email: str,
    name: str,
    other_names: Iterable[str] = (),
    sessions: Collection[Session],
    strategies: Collection[Track] = (),
    answers: Mapping[Question, questions.Value | None] | None = None,
    **details: Any,
) -> list[Registration]:
    """Register people, give each a seat in each session, and queue the emails that confirm it.

    If the same name is registered at the address already, that registration stays as it is, and its
    confirmation is sent again (none if it was declined): only the owner of the mailbox learns about
    it. The same goes for a mailbox that is full: an email says so, and no registration is returned.

    `answers` are to the organizers' questions, and `details` are other fields of Registration:
    time_zone, organization, us_state, the access needs, and verified_at if an organizer enters it.
    The people called `other_names` share the address and the sessions, and of the details only
    those in SHARED_DETAILS.
    """
    shared = {key: value for key, value in details.items() if key in SHARED_DETAILS}
    own_details = {name: details, **dict.fromkeys(other_names, shared)}
    approval = Approval.PENDING if event.requires_approval else Approval.APPROVED
    address = {"email": email.strip(), "email_key": email_key(email)}
    # All of them before a session is locked: who registers at the same mailbox may wait for one.
    people = [
        Registration(event=event, name=each, approval=approval, **address, **of_each)
        for each, of_each in own_details.items()
    ]
    saved = list(map(_insert, people))
    if left_out := [person for person, row in zip(people, saved, strict=True) if row is None]:
        mailbox_full.queue(registrations=left_out)
    new = [person for person in people if person in saved]
    for person in new:
        seats.assign(registration=person, sessions=sessions)
    if people[0] in new:
        people[0].strategies.add(*strategies)
        questions.save_answers(registration=people[0], answers=answers or {})
        if people[0].needs or people[0].needs_other:
            access_needs.update(registration=people[0])
    _confirm(new)
    return [person for person in saved if person]


def _confirm(people: Iterable[Registration]) -> None:
    """Queue the emails that confirm new registrations, or that say they wait for approval."""
    for state, kind in CONFIRMATIONS.items():
        if matching := [person for person in people if person.approval == state]:
            new_seats = Seat.objects.filter(registration__in=matching)
            enqueue.queue_confirmation(kind, matching, new_seats=new_seats)


def _insert(registration: Registration) -> Registration | None:
    """Insert someone new. To someone known, send their confirmation again. None: no room."""
    try:
        *others, saved = mailboxes.insert(registration)
    except mailboxes.MailboxFull:
        return None
    if saved.token != registration.token:
        resend_links(registrations=[saved], approval=saved.approval)
        return saved
    registration.pk = saved.pk
    if _is_turned_away(others):
        registration.approval = Approval.PENDING
        registration.save(update_fields=["approval"])
    if any(each.unsubscribed_at for each in others):
        unsubscribe.follow_mailbox(registration=registration)
    return registration


def _is_turned_away(others: Iterable[Registration]) -> bool:
    """Whether an organizer canceled or declined someone at the mailbox, or had yet to approve them.

    Of several registrations of the same person, ordered by age, the last one counts.
    """
    last = {each.name_key: each for each in others}
    return any(
        each.canceled_by_organizer or each.approval != Approval.APPROVED for each in last.values()
    )


@transaction.atomic
def approve(*, registrations: Iterable[Registration]) -> int:
    """Approve people who are pending or declined, and email their links. Returns how many."""
    people = _lock(registrations, Approval.PENDING, Approval.DECLINED)
    now = timezone.now()
    declined = [each for each in people if each.approval == Approval.DECLINED]
    declined_seats = Seat.objects.filter(registration__in=declined)
    seats.lock_sessions(declined_seats.values_list("session", flat=True))
    for registration in declined:
        seats.reassign(registration=registration)
        access_needs.update(registration=registration, restart=True)
        # From now on their seats count, also for the next person in this loop.
        Registration.objects.filter(pk=registration.pk).update(approval=Approval.APPROVED)
    ids = [registration.pk for registration in people]
    Registration.objects.filter(pk__in=ids).update(approval=Approval.APPROVED, decided_at=now)
    # Their email shows the sessions as they are now, so earlier changes need no notice.
    approved_seats = Seat.objects.filter(registration__in=ids)
    seated_at = Case(When(state=Seat.State.SEATED, then=Value(now)), default=F("seated_at"))
    approved_seats.update(notified_revision=_newest_revision(), seated_at=seated_at)
    _queue_confirmation(Approval.APPROVED, people, new_seats=approved_seats)
    return len(people)


@transaction.atomic
def decline(*, registrations: Iterable[Registration]) -> int:
    """Decline people: their links stop working, and they get no email. Returns how many.

    This includes people who have canceled, and could return. Their seats don't count, but if
    approved later they get the spots open then, with new links.
    """
    people = _lock(registrations, Approval.PENDING, Approval.APPROVED, with_canceled=True)
    ids = [registration.pk for registration in people]
    now = timezone.now()
    Registration.objects.filter(pk__in=ids).update(approval=Approval.DECLINED, decided_at=now)
    seated = Seat.objects.seated().filter(registration__in=ids)
    seats.promote_waiting(sessions=seated.values_list("session", flat=True))
    _renew_tokens(people)
    personal_links.sync_links_soon()
    _drop_unsent(OutgoingMail.objects.filter(registration__in=ids))
    return len(people)


def switch_language(*, registration: Registration, language: str) -> None:
    """Set the language of someone's page, calendar and emails, also of those already queued."""
    Registration.objects.filter(pk=registration.pk).update(language=language)


@transaction.atomic
def renew_links(*, registrations: Iterable[Registration]) -> int:
    """Replace people's links, such as after one was leaked, and email the new ones.

    Pending people only have the link to their own page, declined ones none. Returns how many.
    """
    people = _lock(registrations, *CONFIRMATIONS)
    _renew_tokens(people)
    personal_links.detach(PersonalLink.objects.filter(seat__registration__in=people))
    _send_new_confirmation(people)
    return len(people)


def _renew_tokens(people: list[Registration]) -> None:
    for registration in people:
        registration.token = new_token()
    Registration.objects.bulk_update(people, ["token"], batch_size=100)


def _lock(
    registrations: Iterable[Registration], *approvals: str, with_canceled: bool = False
) -> list[Registration]:
    """Re-read the active ones with one of these approvals, locked until the transaction ends."""
    ids = [registration.pk for registration in registrations]
    people = Registration.objects.filter(pk__in=ids, approval__in=approvals, erased_at=None)
    people = people if with_canceled else people.active()
    locked = people.select_for_update(of=("self",), no_key=True).order_by("pk")
    return list(locked.select_related("event"))


def _newest_revision() -> Subquery:
    """The current revision of a seat's session."""
    return Subquery(Session.objects.filter(pk=OuterRef("session")).values("revision"))


@transaction.atomic
def resend_lost_links(*, event: Event, email: str) -> None:
    """Send the person registered with this address their confirmation again.

    At most once in ten minutes. Neither the result nor the time it takes reveals if the address is
    registered: in both cases it runs the same queries, writes, commits and wakes a worker.
    """
    # Taking a lock is a write, also if no one is registered. No one waits for this one.
    list(Event.objects.select_for_update(skip_locked=True, no_key=True).filter(pk=event.pk))
    people = Registration.objects.active().filter(event=event, email_key=email_key(email))
    list(people.select_for_update(no_key=True).values_list("pk"))
    queued = 0
    for approval, kind in CONFIRMATIONS.items():
        due = people.filter(~Exists(_recent(kind)), approval=approval)
        key = f"{kind}/found/{timezone.now().timestamp():.0f}"
        queued += mail_queue.queue_all(due, key=key, kind=kind)
    if not queued:
        transaction.on_commit(mail_queue.wake_workers)


@transaction.atomic
def resend_links(
    *, registrations: Iterable[Registration], approval: str = Approval.APPROVED
) -> int:
    """Email people with this approval their confirmation again, at most once in ten minutes each.

    Declined people get none. Returns how many were emailed.
    """
    if approval not in CONFIRMATIONS:
        return 0
    people = _lock(registrations, approval)
    locked = Registration.objects.filter(pk__in=[each.pk for each in people])
    due = set(locked.filter(~Exists(_recent(CONFIRMATIONS[approval]))).values_list("pk", flat=True))
    _queue_confirmation(approval, [each for each in people if each.pk in due])
    return len(due)


def _recent(kind: OutgoingMail.Kind) -> QuerySet[OutgoingMail]:
    """A person's emails of this kind that will arrive or just have: no one needs them again."""
    recent = Q(created_at__gt=timezone.now() - RESEND_PAUSE) | Q(state=OutgoingMail.State.WAITING)
    mails = OutgoingMail.objects.filter(recent, registration=OuterRef("pk"), kind=kind)
    return mails.exclude(state=OutgoingMail.State.FAILED)


def _send_new_confirmation(
    people: list[Registration], *, new_seats: SeatQuerySet | None = None
) -> None:
    """Queue people's confirmations as of now, replacing unsent ones.

    So is an unsent schedule, if there are new seats that it should show.
    """
    if new_seats is not None:
        schedules = OutgoingMail.objects.filter(
            registration__in=people,
            kind=OutgoingMail.Kind.SCHEDULE,
            state=OutgoingMail.State.WAITING,
        )
        replaced = list(schedules.values_list("registration", flat=True))
        _drop_unsent(schedules)
        new_seats |= Seat.objects.filter(registration__in=replaced)
    for approval, kind in CONFIRMATIONS.items():
        matching = [registration for registration in people if registration.approval == approval]
        _drop_unsent(OutgoingMail.objects.filter(registration__in=matching, kind=kind))
        _queue_confirmation(approval, matching, new_seats=new_seats)


def _queue_confirmation(
    approval: str, people: list[Registration], *, new_seats: SeatQuerySet | None = None
) -> None:
    if people:
        kind = CONFIRMATIONS[approval]
        earlier = OutgoingMail.objects.filter(registration__in=people, kind=kind)
        before = Counter(earlier.values_list("registration_id", flat=True))
        enqueue.queue_confirmation(kind, people, before=before, new_seats=new_seats)


def _drop_unsent(mails: QuerySet[OutgoingMail]) -> None:
    mails.filter(state=OutgoingMail.State.WAITING).update(state=OutgoingMail.State.DROPPED)


@transaction.atomic
def correct_email(*, registration: Registration, email: str) -> list[Seat]:
    """Correct a mistyped address, and send a new confirmation there. Raises CannotRegister.

    The old links, sent to the wrong address, stop working. Declined people get no email. Spots
    that were lost meanwhile are given back as in `seats.give_back`; returns those seats.
    """
    # The mailbox comes before the sessions, as in `register`. A new token locks the row against
    # emails to it, so the sessions come before the token: who holds their locks may be promoting
    # this person, and queueing the email about it.
    Registration.objects.select_for_update(no_key=True).get(pk=registration.pk)
    registration.email = email.strip()
    registration.email_key = email_key(email)
    registration.email_changed_at = timezone.now()
    mailboxes.save(registration, ["email", "email_key", "email_changed_at"])
    unsubscribe.follow_mailbox(registration=registration)
    seats.lock_sessions(registration.seats.values_list("session", flat=True))
    _renew_tokens([registration])
    personal_links.readdress(registration=registration)
    # Unsent reminders stay: they are addressed when they are sent.
    superseded = [kind for kind in OutgoingMail.Kind if kind.spec.superseded_by_links]
    _drop_unsent(registration.mails.filter(kind__in=superseded))
    registration.refresh_from_db(fields=["approval", "canceled_at"])
    if not (registration.is_admitted or registration.is_pending):
        return []
    given_back = seats.give_back(registration=registration)
    # The new mailbox gets no notices about changes of what it never saw.
    registration.seats.update(notified_revision=_newest_revision())
    new_seats = Seat.objects.filter(registration=registration)
    _queue_confirmation(registration.approval, [registration], new_seats=new_seats)
    return given_back


@transaction.atomic
def change(
    *,
    registration: Registration,
    offered: Iterable[Session],
    sessions: Iterable[Session],
    strategies: Iterable[Track] | None = None,
    answers: Mapping[Question, questions.Value | None] | None = None,
    changed_needs: Mapping[str, bool] | None = None,
    **details: Any,
) -> bool:
    """Save what someone changed in their registration. Returns whether their sessions changed.

    Of the sessions `offered`, they chose `sessions`; their other sessions stay as they are. If
    their sessions changed, they get a new confirmation. `strategies`, `answers` and `details` are
    as for `register`: what isn't given stays as it is, and an answer of None is deleted.
    `changed_needs`: the kinds of needs they now ask for, or no longer. Raises
    Registration.DoesNotExist if the registration has been canceled or declined, and
    AlreadyRegistered if the name is now that of someone else at the mailbox.
    """
    active = Registration.objects.active().exclude(approval=Approval.DECLINED)
    registration = active.select_for_update(of=("self",), no_key=True).get(pk=registration.pk)
    if changed_needs:
        needs = {kind: kind in registration.needs for kind, _label in need_choices()}
        needs |= changed_needs
        details["needs"] = [kind for kind, is_needed in needs.items() if is_needed]
    for name, value in details.items():
        setattr(registration, name, value)
    mailboxes.save(registration, list(details))
    if strategies is not None:
        registration.strategies.set(strategies)
    removed, added = _change_sessions(registration, list(offered), sessions)
    questions.save_answers(registration=registration, answers=answers or {})
    questions.delete_inapplicable(registration=registration)
    access_needs.update(registration=registration)
    if removed or added:
        new_seats = Seat.objects.filter(registration=registration, session__in=added)
        _send_new_confirmation([registration], new_seats=new_seats if added else None)
    return bool(removed or added)


def _change_sessions(
    registration: Registration, offered: list[Session], sessions: Iterable[Session]
) -> tuple[list[Seat], list[Session]]:
    """Returns the seats that were removed, and the sessions that were added."""
    chosen = {session.pk: session for session in sessions}
    offered_seats = registration.seats.filter(session__in=offered).select_related("session")
    had = {seat.session_id: seat for seat in offered_seats}
    seats.lock_sessions(chosen.keys() ^ had.keys())
    if removed := [seat for pk, seat in had.items() if pk not in chosen]:
        seats.release(seats=removed)
    added = [session for pk, session in chosen.items() if pk not in had]
    seats.assign(registration=registration, sessions=added)
    return removed, added


@transaction.atomic
def cancel(*, registration: Registration, by_organizer: bool = False) -> bool:
    """Cancel a registration: its links stop working, unsent emails stay unsent, its spots open up.

    Sessions that someone got into their calendar by email are taken out of it by email.
    `by_organizer` also keeps someone who canceled from returning. Returns False if nothing changed.
    """
    rows = Registration.objects.filter(pk=registration.pk)
    if not rows.active().update(canceled_at=timezone.now(), canceled_by_organizer=by_organizer):
        returnable = rows.filter(erased_at=None, canceled_by_organizer=False)
        return by_organizer and bool(returnable.update(canceled_by_organizer=True))
    enqueue.queue_left(list(registration.seats.select_related("session")))
    seated = registration.seats.seated()
    seats.promote_waiting(sessions=seated.values_list("session", flat=True))
    personal_links.sync_links_soon()
    return True


@transaction.atomic
def withdraw(*, registration: Registration) -> None:
    """Cancel someone whose address was mistyped, and who is registered at the right one already.

    From outside it looks as if they had been moved there: the old links lead nowhere, and no email
    tells of it.
    """
    cancel(registration=registration)
    _renew_tokens([registration])
    _drop_unsent(OutgoingMail.objects.filter(registration=registration))


@transaction.atomic
def restore(*, registration: Registration, by_organizer: bool = False) -> bool:
    """Undo a cancellation, and send a new confirmation. Raises CannotRegister.

    Where a session is full now, they wait. People who return to an event that requires approval
    need it again. Returns False if it isn't canceled, was erased, or an organizer canceled it and
    this isn't `by_organizer`.
    """
    canceled = Registration.objects.filter(erased_at=None).exclude(canceled_at=None)
    if not by_organizer:
        canceled = canceled.filter(canceled_by_organizer=False)
    locked = canceled.filter(pk=registration.pk).select_for_update(of=("self",), no_key=True)
    if (found := locked.select_related("event").first()) is None:
        return False
    decision = (found.approval, found.decided_at)
    if found.approval == Approval.APPROVED and found.event.requires_approval and not by_organizer:
        decision = (Approval.PENDING, None)
    # The mailbox comes before the sessions, as in `register`. Seats of the declined don't count.
    found.canceled_at, found.canceled_by_organizer = None, False
    found.approval, found.decided_at = Approval.DECLINED, timezone.now()
    decided = ["approval", "decided_at"]
    mailboxes.save(found, ["canceled_at", "canceled_by_organizer", *decided])
    seats.reassign(registration=found)
    access_needs.update(registration=found, restart=True)
    found.approval, found.decided_at = decision
    found.save(update_fields=decided)
    _send_new_confirmation([found], new_seats=Seat.objects.filter(registration=found))
    return True


def repair_time_zones() -> None:
    """Replace stored time zones that the system no longer knows: they are removed at times.

    Until then, `zone` of an event or registration falls back to the same ones.
    """
    for event in Event.objects.exclude(time_zone__in=all_time_zones()):
        logger.warning("%s has an unknown time zone: %s", event, event.time_zone)
        Event.objects.filter(pk=event.pk).update(time_zone=event.zone.key)
    stored = Registration.objects.order_by().values_list("time_zone", flat=True).distinct()
    people = Registration.objects.filter(time_zone__in=set(stored) - all_time_zones())
    event_zones = Event.objects.filter(pk=OuterRef("event")).values("time_zone")
    people.update(time_zone=Subquery(event_zones))
