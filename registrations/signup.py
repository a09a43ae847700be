"""The verbs: register, change, approve, decline, mail links again, correct an address, cancel."""

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery
from django.utils import timezone

from events.models import Event, Session, Track
from registrations import access_needs, questions, seats
from registrations.mail import enqueue
from registrations.models import (
    OutgoingMail,
    OutgoingMailQuerySet,
    PersonalLink,
    Question,
    Registration,
    Seat,
    email_key,
    new_token,
)
from registrations.outbox import mail_queue
from registrations.zoom import personal_links

Kind = OutgoingMail.Kind
Approval = Registration.Approval
# What a mail with all links says as well.
SUPERSEDED_KINDS = [kind for kind in Kind if kind.spec.superseded_by_links]
# The mail that answers a registration. The declined get none.
CONFIRMATIONS = {
    Approval.APPROVED: (Kind.LINKS, enqueue.queue_links),
    Approval.PENDING: (Kind.RECEIVED, enqueue.queue_received),
}
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
    answers: Mapping[Question, questions.Value | None] | None = None,
    **details: Any,
) -> Registration:
    """Register someone, give them a seat in each session, and owe them their links.

    Where the event requires approval, they are owed word that the organizers look at it first.
    Whoever is registered already keeps that registration as it is and is mailed the same
    again: only the owner of the mailbox learns anything, and of a no not even they. `answers`
    are those to the organizers' questions, `details` the other fields of Registration: name,
    time_zone, organization, state and the access needs.
    """
    approval = Approval.PENDING if event.requires_approval else Approval.APPROVED
    registration = Registration(
        event=event,
        email=email.strip(),
        email_key=email_key(email),
        approval=approval,
        **details,
    )
    live = Registration.objects.active().filter(event=event, email_key=registration.email_key)
    found = None
    # The constraint decides who is first, also between two requests at the same moment. Nothing
    # is found when the one that was first is canceled just now: then it is our turn.
    while found is None:
        Registration.objects.bulk_create([registration], ignore_conflicts=True)
        found = live.values_list("pk", "token").first()
    if found[1] != registration.token:
        earlier = Registration.objects.get(pk=found[0])
        _resend_confirmation(Approval(earlier.approval), [earlier])
        return earlier
    registration.pk = found[0]
    seats.assign(registration=registration, sessions=sessions)
    if strategies := list(strategies):
        interest = Registration.strategies.through
        interest.objects.bulk_create(
            [interest(registration=registration, track=strategy) for strategy in strategies]
        )
    questions.save_answers(registration=registration, answers=answers or {})
    if access_needs.requested_kinds(registration):
        access_needs.update(registration=registration)
    _kind, queue = CONFIRMATIONS[approval]
    queue([registration])
    return registration


@transaction.atomic
def approve(*, registrations: Iterable[Registration]) -> int:
    """Say yes to people, who wait or were declined, and owe them links. Returns to how many."""
    people = _lock(registrations, Approval.PENDING, Approval.DECLINED)
    ids = [registration.pk for registration in people]
    now = timezone.now()
    declined = [each for each in people if each.approval == Approval.DECLINED]
    if declined:
        chosen = Seat.objects.filter(registration__in=declined)
        seats.lock_sessions(chosen.values_list("session", flat=True))
    for registration in declined:
        seats.reassign(registration=registration)
        access_needs.update(registration=registration, anew=True)
        # From now on their places count.
        Registration.objects.filter(pk=registration.pk).update(approval=Approval.APPROVED)
    Registration.objects.filter(pk__in=ids).update(approval=Approval.APPROVED, decided_at=now)
    # They are told everything now, and need not hear of what was before.
    told = Seat.objects.filter(registration__in=ids)
    told.update(notified_revision=_newest_revision(), seated_at=now)
    links = OutgoingMail.objects.filter(registration__in=ids, kind=Kind.LINKS)
    enqueue.queue_links(people, before=_counted(links))
    return len(people)


@transaction.atomic
def decline(*, registrations: Iterable[Registration]) -> int:
    """Say no to people: their links stop working, and nothing is mailed. Returns to how many.

    What they chose is kept, their places are not: a later yes gives them places that are free
    then, with new links.
    """
    people = _lock(registrations, Approval.PENDING, Approval.APPROVED)
    ids = [registration.pk for registration in people]
    now = timezone.now()
    Registration.objects.filter(pk__in=ids).update(approval=Approval.DECLINED, decided_at=now)
    freed = Seat.objects.seated().filter(registration__in=ids).values_list("session", flat=True)
    seats.promote_waiting(sessions=set(freed))
    _renew_tokens(people)
    personal_links.sync_links_soon()
    waiting = OutgoingMail.objects.filter(state=OutgoingMail.State.WAITING)
    waiting.filter(registration__in=ids).update(state=OutgoingMail.State.DROPPED)
    return len(people)


@transaction.atomic
def renew_links(*, registrations: Iterable[Registration]) -> int:
    """Take people's links away, say because one got into wrong hands, and mail new ones.

    Who waits for a yes has one link only, to their own page. Of those who are declined none is
    renewed. Returns to how many.
    """
    people = _lock(registrations, *CONFIRMATIONS)
    ids = [registration.pk for registration in people]
    _renew_tokens(people)
    personal_links.detach(PersonalLink.objects.filter(seat__registration__in=ids))
    _send_new_confirmation(people)
    return len(people)


def _renew_tokens(people: list[Registration]) -> None:
    for registration in people:
        registration.token = new_token()
    Registration.objects.bulk_update(people, ["token"], batch_size=100)


def _lock(registrations: Iterable[Registration], *approvals: Approval) -> list[Registration]:
    """Those of them who stand so, as the database says, held until the transaction ends.

    Whoever asks for the same people meanwhile waits, and finds them as they stand then.
    """
    ids = [registration.pk for registration in registrations]
    people = (
        Registration.objects.active().select_for_update(of=("self",), no_key=True).order_by("pk")
    )
    return list(people.filter(pk__in=ids, approval__in=approvals).select_related("event"))


def _newest_revision() -> Subquery:
    """Of a seat's session."""
    return Subquery(Session.objects.filter(pk=OuterRef("session")).values("revision"))


@transaction.atomic
def resend_links(*, registrations: Iterable[Registration]) -> int:
    """Mail people their links again, each at most once in ten minutes. Returns to how many."""
    return _resend_confirmation(Approval.APPROVED, registrations)


@transaction.atomic
def find(*, event: Event, email: str) -> None:
    """Mail whoever is registered with this address the answer to it again, as `resend_links` does.

    Nothing tells the caller whether there is anybody, nor does the time it takes: whatever the
    address, the database is asked the same, there is a commit to write, and a worker is nudged.
    """
    # A lock is written too. Nobody waits for one that others hold.
    list(Event.objects.select_for_update(skip_locked=True, no_key=True).filter(pk=event.pk))
    asking = Registration.objects.active().filter(event=event, email_key=email_key(email))
    list(asking.select_for_update(no_key=True).values_list("pk"))
    queued = 0
    for approval, (kind, _queue) in CONFIRMATIONS.items():
        earlier = OutgoingMail.objects.filter(registration=OuterRef("pk"), kind=kind)
        owed = asking.filter(~Exists(_recent(earlier)), approval=approval)
        key = f"{kind}/found/{timezone.now().timestamp():.0f}"
        queued += mail_queue.queue_all(owed, key=key, kind=kind)
    if not queued:
        transaction.on_commit(mail_queue.wake_workers)


def _resend_confirmation(approval: Approval, registrations: Iterable[Registration]) -> int:
    """Mail those who stand so the answer to their registration again, as `resend_links` does."""
    if approval not in CONFIRMATIONS:
        return 0
    kind, queue = CONFIRMATIONS[approval]
    people = _lock(registrations, approval)
    ids = [registration.pk for registration in people]
    earlier = OutgoingMail.objects.filter(registration__in=ids, kind=kind)
    served = set(_recent(earlier).values_list("registration_id", flat=True))
    owed = [registration for registration in people if registration.pk not in served]
    if owed:
        queue(owed, before=_counted(earlier))
    return len(owed)


def _recent(mails: OutgoingMailQuerySet) -> OutgoingMailQuerySet:
    """Those of them that will arrive, or have just done so: nobody needs the same again."""
    recent = Q(created_at__gt=timezone.now() - RESEND_PAUSE)
    return mails.exclude(state=OutgoingMail.State.FAILED).filter(
        recent | Q(state=OutgoingMail.State.WAITING)
    )


def _counted(sent: QuerySet[OutgoingMail]) -> Counter[int]:
    """How many of these mails belong to each registration."""
    return Counter(sent.values_list("registration_id", flat=True))


@transaction.atomic
def correct_email(*, registration: Registration, email: str) -> None:
    """Put a mistyped address right and mail new links there. Raises AddressTaken.

    The old links die: whoever owns the wrong address may hold them. Who waits for an organizer's
    yes is told so again; who was declined, nothing.
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
    personal_links.detach(PersonalLink.objects.filter(seat__registration=registration))
    # The new mailbox is told everything anew; reminders that wait will find it when written.
    registration.mails.filter(state=OutgoingMail.State.WAITING, kind__in=SUPERSEDED_KINDS).update(
        state=OutgoingMail.State.DROPPED
    )
    registration.refresh_from_db(fields=["approval", "canceled_at"])
    if registration.is_admitted or registration.is_pending:
        # The new mailbox is told everything anew, and not of changes of what it never knew.
        registration.seats.update(notified_revision=_newest_revision())
        kind, queue = CONFIRMATIONS[Approval(registration.approval)]
        queue([registration], before=_counted(registration.mails.filter(kind=kind)))


@transaction.atomic
def change(
    *,
    registration: Registration,
    offered: Iterable[Session],
    sessions: Iterable[Session],
    strategies: Iterable[Track] | None = None,
    answers: Mapping[Question, questions.Value | None] | None = None,
    **details: Any,
) -> bool:
    """Write what someone changed of their registration. Returns whether their sessions did.

    Of the sessions `offered` they come to `sessions`; the others they have stay as they are. When
    any is another now they are owed their links anew. `strategies`, `answers` and `details` as for
    `register`: what is not given stays as it is, and an answer that is None is taken back. Raises
    Registration.DoesNotExist when the registration was canceled or declined meanwhile.
    """
    live = Registration.objects.active().exclude(approval=Approval.DECLINED)
    registration = live.select_for_update(of=("self",), no_key=True).get(pk=registration.pk)
    for name, value in details.items():
        setattr(registration, name, value)
    registration.save(update_fields=list(details))
    if strategies is not None:
        registration.strategies.set(strategies)
    chosen = {session.pk: session for session in sessions}
    had = {seat.session_id: seat for seat in registration.seats.filter(session__in=list(offered))}
    left = [seat for pk, seat in had.items() if pk not in chosen]
    added = [session for pk, session in chosen.items() if pk not in had]
    seats.lock_sessions([*(seat.session_id for seat in left), *(session.pk for session in added)])
    if left:
        seats.release(seats=left)
    if added:
        seats.assign(registration=registration, sessions=added)
    questions.save_answers(registration=registration, answers=answers or {})
    questions.delete_inapplicable(registration=registration)
    access_needs.update(registration=registration)
    if not (left or added):
        return False
    _send_new_confirmation([registration])
    return True


def _send_new_confirmation(people: list[Registration]) -> None:
    """Owe people the answer to their registrations as they are now; one that waits is dropped."""
    for approval, (kind, queue) in CONFIRMATIONS.items():
        theirs = [registration for registration in people if registration.approval == approval]
        earlier = OutgoingMail.objects.filter(registration__in=theirs, kind=kind)
        earlier.filter(state=OutgoingMail.State.WAITING).update(state=OutgoingMail.State.DROPPED)
        if theirs:
            queue(theirs, before=_counted(earlier))


@transaction.atomic
def cancel(*, registration: Registration) -> bool:
    """End a registration: its links stop working, mails still waiting are not sent, places free.

    False: it was canceled before.
    """
    found = Registration.objects.active().filter(pk=registration.pk)
    if not found.update(canceled_at=timezone.now()):
        return False
    taken = registration.seats.seated().values_list("session", flat=True)
    seats.promote_waiting(sessions=list(taken))
    personal_links.sync_links_soon()
    return True


@transaction.atomic
def restore(*, registration: Registration) -> bool:
    """Take a cancellation back; links go out anew. Raises AddressTaken. False: nothing to do.

    Places that others have by now are waited for. What was erased stays so.
    """
    gone = Registration.objects.filter(erased_at=None).exclude(canceled_at=None)
    found = gone.select_for_update(of=("self",), no_key=True).filter(pk=registration.pk).first()
    if found is None:
        return False
    seats.reassign(registration=found)
    access_needs.update(registration=found, anew=True)
    found.canceled_at = None
    try:
        with transaction.atomic():
            found.save(update_fields=["canceled_at"])
    except IntegrityError as error:
        raise AddressTaken from error
    _send_new_confirmation([found])
    return True
