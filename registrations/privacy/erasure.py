"""Erase people's personal data: on request, by an organizer, and automatically after the event.

Erasing someone cancels the registration and then, in one transaction and in this order:

1. admin log: names, changes and their values, in entries about the person's rows and about deleted
   rows
2. Attendance, ZoomReport: name, email and registrant ID, also of unmatched people who seem the same
3. PersonalLink: revoked at Zoom and then deleted; if the meeting is over, the row stays, emptied
4. Answer, AccessNeed, the chosen strategies: deleted
5. OutgoingMail: unsent ones dropped, errors and provider IDs emptied
6. Registration: personal fields emptied, token renewed; the row and its seats stay as statistics
7. accounts with the person's address: deleted with their sign-ins, also unfinished ones
8. stored messages to that address, also without an account

Canceled registrations of the same name and address for the event are erased too. Others at the
address stay, with what is about them: people may share a mailbox.
"""

import datetime as dt
import logging
from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

from allauth.account.models import EmailAddress
from django.contrib.admin.models import LogEntry
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.models import Session as SignIn
from django.db import transaction
from django.db.models import BigIntegerField, Count, Exists, Max, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Cast, Coalesce
from django.utils import timezone

from events.models import Event, HistoryEntry, Meeting, ZoomReport
from registrations import signup
from registrations.formatting import moment
from registrations.models import (
    AccessNeed,
    Answer,
    Attendance,
    OutgoingMail,
    PersonalLink,
    Registration,
    Seat,
    email_key_or_blank,
)
from registrations.outbox import mail_queue, mailbox_limit
from registrations.validators import name_key
from registrations.zoom import personal_links

# What stays of a registration: that someone registered, when, and what was decided.
KEPT = {
    *("id", "event", "email_changed_at", "created_at"),
    *("canceled_at", "canceled_by_organizer", "approval", "decided_at"),
}
# `erase_expired` runs every ten minutes, so anyone left after this failed many times.
OVERDUE = dt.timedelta(days=1)
# How long before an event is erased organizers are warned.
WARNING_PERIOD = dt.timedelta(days=7)
ERASED = "Erased"
NEVER = dt.datetime.max.replace(tzinfo=dt.UTC)

logger = logging.getLogger(__name__)


@transaction.atomic
def erase(*, registration: Registration) -> bool:
    """Erase one person now. Returns False if they were erased before.

    Links to upcoming meetings are kept until a worker has revoked them at Zoom, soon after.
    """
    return bool(erase_all(registrations=[registration]))


def erase_all(*, registrations: Iterable[Registration]) -> list[Registration]:
    """Erase people one by one. Returns those who weren't erased before."""
    _anonymize_log_of_deleted_rows()
    return [registration for registration in registrations if _erase(registration)]


@transaction.atomic
def _erase(registration: Registration) -> bool:
    rows = Registration.objects.filter(erased_at=None, event=registration.event_id)
    earlier = {"email_key": registration.email_key, "name_key": registration.name_key}
    same = Q(pk=registration.pk) | Q(**earlier, canceled_at__isnull=False)
    locked = rows.select_for_update(of=("self",), no_key=True).select_related("event")
    people = list(locked.filter(same).order_by("pk"))
    if registration.pk not in {person.pk for person in people}:
        return False
    for person in people:
        signup.cancel(registration=person)
        _anonymize(person)
    emails = {person.email for person in people}
    _erase_accounts(emails)
    _erase_stored_mails_to_unregistered(emails)
    return True


def _anonymize(person: Registration) -> None:
    """Steps 1 to 6 of the list above."""
    now = timezone.now()
    links = PersonalLink.objects.filter(seat__registration=person).exclude(registrant_id="")
    registrant_ids = list(links.values_list("registrant_id", flat=True))
    attendances = _attendances(person, registrant_ids)
    registration = Registration.objects.filter(pk=person.pk)
    answers = Answer.objects.filter(registration=person)
    needs = AccessNeed.objects.filter(seat__registration=person)
    for rows in (registration, person.seats.all(), attendances, answers, needs):
        anonymize_log(rows)
    attendances.update(name="", email="", registrant_id="", search_key="")
    _anonymize_reports(person, registrant_ids)
    _revoke_links(person, now)
    answers.delete()
    needs.delete()
    person.strategies.clear()
    # The new `due_at` ends any worker's claim, so nothing is recorded afterwards.
    unsent = person.mails.filter(state__in=mail_queue.OPEN_STATES)
    unsent.update(state=OutgoingMail.State.DROPPED, due_at=now)
    person.mails.update(last_error="", provider_id="")
    values = {field.name: field.get_default() for field in erased_fields()}
    values |= {"email_key": f"erased/{person.pk}", "time_zone": person.event.zone.key}
    registration.update(**values | {"erased_at": now})


def erased_fields() -> list[Any]:
    """The fields of a registration that erasing sets to their defaults, new ones too."""
    return [field for field in Registration._meta.concrete_fields if field.name not in KEPT]


def anonymize_log(rows: QuerySet[Any]) -> None:
    """Keep that organizers did something, but not to whom."""
    content_type = ContentType.objects.get_for_model(rows.model)
    ids = list(map(str, rows.values_list("pk", flat=True)))
    _blank(LogEntry.objects.filter(content_type=content_type, object_id__in=ids))


def anonymize_log_of(event: Event) -> None:
    """Keep that organizers did something, but not what."""
    _blank(LogEntry.objects.filter(details__event=event))


def _anonymize_log_of_deleted_rows() -> None:
    """For deleted rows, no one can say whom the log entry is about, so all are anonymized."""
    for model in (Answer, AccessNeed, Seat):
        content_type = ContentType.objects.get_for_model(model)
        entries = LogEntry.objects.filter(content_type=content_type).exclude(object_repr=ERASED)
        row = model._default_manager.filter(pk=Cast(OuterRef("object_id"), BigIntegerField()))
        _blank(entries.filter(~Exists(row)))


def _blank(entries: QuerySet[LogEntry]) -> None:
    # Searched once: the conditions may be slow.
    if ids := list(entries.values_list("pk", flat=True)):
        HistoryEntry.objects.filter(log__in=ids).update(changes=[], sealed="")
        LogEntry.objects.filter(pk__in=ids).update(object_repr=ERASED, change_message="")


def _attendances(person: Registration, registrant_ids: Collection[str]) -> QuerySet[Attendance]:
    """The person's attendances, and unmatched ones that seem to be theirs."""
    own = _own_addresses(person)
    similar = Q(email__iexact=person.email) | Q(name__iexact=person.name)
    similar |= Q(email__iexact=person.zoom_email)
    similar |= Q(registrant_id__in=registrant_ids)
    unmatched = Attendance.objects.filter(similar, seat=None, session__event=person.event_id)
    ids = [
        row.pk
        for row in unmatched
        if row.email.lower() in own
        or row.registrant_id in registrant_ids
        or name_key(row.name) == person.name_key
    ]
    ids += Attendance.objects.filter(seat__registration=person).values_list("pk", flat=True)
    # By id, because the updates change what was searched for.
    return Attendance.objects.filter(pk__in=ids)


def _own_addresses(person: Registration) -> set[str]:
    """The addresses, in lower case, that are no one else's in the event."""
    unerased = Registration.objects.filter(erased_at=None, event=person.event_id)
    others = unerased.filter(email_key=person.email_key).exclude(pk=person.pk)
    shared = {person.email.lower()} if others.exists() else set()
    return {person.email.lower(), person.zoom_email.lower()} - shared


def _anonymize_reports(person: Registration, registrant_ids: Collection[str]) -> None:
    """Zoom's reports are kept for a day after they were applied."""
    path = "payload__object__participant__"
    own = _own_addresses(person)
    same = Q(**{f"{path}email__iexact": person.email})
    same |= Q(**{f"{path}email__iexact": person.zoom_email})
    if registrant_ids:
        same |= Q(**{f"{path}registrant_id__in": registrant_ids})
    meetings = Meeting.objects.filter(session__event=person.event_id).values("zoom_id")
    same_name = Q(**{f"{path}user_name__iexact": person.name}, zoom_id__in=meetings)
    for report in ZoomReport.objects.filter(same | same_name):
        participant = report.payload["object"]["participant"]
        email = str(participant.get("email") or "")
        registrant_id = str(participant.get("registrant_id") or "")
        is_same = email.lower() in own or registrant_id in registrant_ids
        if email.lower() == person.email.lower():
            is_same |= name_key(str(participant.get("user_name") or "")) == person.name_key
        if (email or registrant_id) and not is_same:
            # Someone else with the same name or address.
            continue
        participant |= dict.fromkeys(("user_name", "email", "registrant_id"), "")
        report.save(update_fields=["payload"])


def _revoke_links(person: Registration, now: dt.datetime) -> None:
    links = PersonalLink.objects.filter(seat__registration=person)
    over = links.exclude(meeting__session__ends_at__gt=now)
    over.update(email="", registrant_id="", problem="")
    over.exclude(join_url="").update(join_url=ERASED)
    upcoming = links.filter(meeting__session__ends_at__gt=now)
    if upcoming.exists():
        personal_links.detach(upcoming)
        personal_links.sync_links_soon()
    _delete_past_detached_links(now)


def _delete_past_detached_links(now: dt.datetime) -> None:
    """Links that were to be revoked at Zoom, but their meeting is over."""
    PersonalLink.objects.filter(seat=None).exclude(meeting__session__ends_at__gt=now).delete()


def _erase_accounts(emails: Iterable[str]) -> None:
    """Delete the accounts with these addresses, except organizers' and those still registered.

    An account that has such an address unverified, besides others, only loses that address.
    """
    for email in emails:
        # Not `iexact`: PostgreSQL takes gıthub.com for github.com.
        spellings = [email.lower(), email_key_or_blank(email)]
        found = EmailAddress.objects.filter(email__in=spellings, user__is_staff=False)
        for address in found.select_related("user"):
            owned = EmailAddress.objects.filter(user=address.user)
            addresses = list(owned.values_list("email", flat=True))
            keys = list(map(email_key_or_blank, addresses))
            if not address.verified and len(addresses) > 1:
                address.delete()
            elif not Registration.objects.active().filter(email_key__in=keys).exists():
                _erase_account(address.user, addresses)
        if not EmailAddress.objects.filter(email__in=spellings).exists():
            _delete_sign_ins(spellings)


def _erase_account(user: User, emails: Iterable[str]) -> None:
    """Delete an account, its sign-ins, and the emails to it."""
    anonymize_log(User.objects.filter(pk=user.pk))
    _erase_mails(OutgoingMail.objects.filter(registration=None), emails)
    _delete_sign_ins(emails, user)
    user.delete()


def _erase_stored_mails_to_unregistered(emails: Iterable[str]) -> None:
    """Erase the stored emails to these addresses, except those that someone registered has."""
    for email in emails:
        key = email_key_or_blank(email)
        if Registration.objects.active().filter(email_key=key).exists():
            continue
        mails = OutgoingMail.objects.filter(registration=None)
        if EmailAddress.objects.filter(email__in=[email.lower(), key]).exists():
            # The account that stays, such as an organizer's, needs its sign-in codes and tests.
            mails = mails.filter(kind=OutgoingMail.Kind.MAILBOX_FULL)
        _erase_mails(mails, [email])


def _erase_mails(mails: QuerySet[OutgoingMail], emails: Iterable[str]) -> None:
    """Drop those of the stored emails that go to these addresses, however spelled; clear them."""
    keys = {*map(email_key_or_blank, emails)} - {""}
    stored = mails.filter(message__isnull=False).values_list("pk", "message__recipient")
    ids = [pk for pk, recipient in stored if email_key_or_blank(recipient) in keys]
    theirs = mails.filter(pk__in=ids)
    unsent = theirs.filter(state__in=mail_queue.OPEN_STATES)
    unsent.update(state=OutgoingMail.State.DROPPED, due_at=timezone.now())
    theirs.update(message=None, last_error="", provider_id="")
    # Those that were sent have no address, except in what servers said.
    for spelling in {*emails} | keys:
        named = mails.filter(last_error__icontains=spelling)
        named.update(last_error="", provider_id="")


def _delete_sign_ins(emails: Iterable[str], user: User | None = None) -> None:
    """Delete the user's sign-ins, and unfinished ones: they have the address and its code."""
    addresses = {email.lower() for email in emails}
    for sign_in in SignIn.objects.iterator():
        content = sign_in.get_decoded()
        is_users = user is not None and content.get(SESSION_KEY) == str(user.pk)
        if is_users or addresses & _texts_in(content):
            sign_in.delete()


def _texts_in(content: Any) -> set[str]:
    """All texts in a JSON value, in lower case."""
    if isinstance(content, str):
        return {content.lower()}
    values = content.values() if isinstance(content, dict) else content
    return set().union(*map(_texts_in, values)) if isinstance(content, dict | list) else set()


# After the event


def erase_expired(now: dt.datetime | None = None, limit: int = 100) -> bool:
    """Erase up to `limit` people of the events that are due for it.

    Everyone who was in their meetings is anonymized too, known or not. Returns whether there may
    be more to do.
    """
    now, done = now or timezone.now(), 0
    _clean_up(now)
    expired = _expired_events(now)
    if any(event.people for event in expired):
        _anonymize_log_of_deleted_rows()
    for event in expired:
        for registration in event.registrations.filter(erased_at=None).order_by("pk"):
            try:
                done += _erase(registration)
            except Exception:
                # The others are still erased.
                logger.exception("Registration %s could not be erased", registration.pk)
            if done >= limit:
                logger.info("Erased the personal data of %s people of past events.", done)
                return True
        attendances = Attendance.objects.filter(session__event=event)
        named = attendances.exclude(name="", email="", registrant_id="")
        anonymize_log(named)
        named.update(name="", email="", registrant_id="", search_key="")
    if done:
        logger.info("Erased the personal data of %s people of past events.", done)
    return False


def overdue(now: dt.datetime) -> int:
    """How many people should have been erased a day ago or earlier."""
    return sum(event.people for event in _expired_events(now - OVERDUE))


def _clean_up(now: dt.datetime) -> None:
    """Delete what was recorded about people after they were erased, and what has expired."""
    late = OutgoingMail.objects.filter(registration__erased_at__isnull=False)
    late.exclude(last_error="", provider_id="").update(last_error="", provider_id="")
    _delete_past_detached_links(now)
    SignIn.objects.filter(expire_date__lt=now).delete()
    mailbox_limit.forget_old(now)


def _expired_events(now: dt.datetime) -> list[Any]:
    return [event for event in _events() if event.erase_at <= now]


def _events() -> list[Any]:
    """All events, the next to be erased first, with `erase_at` and the number of `people` left.

    Without sessions, `last_ended_at` is None and `erase_at` is NEVER.
    """
    left = Registration.objects.filter(event=OuterRef("pk"), erased_at=None).order_by()
    counts = left.values("event").annotate(count=Count("pk")).values("count")
    events: list[Any] = list(
        Event.objects.annotate(
            last_ended_at=Max("sessions__ends_at"), people=Coalesce(Subquery(counts), 0)
        )
    )
    for event in events:
        event.erase_at = NEVER
        if event.last_ended_at:
            days = dt.timedelta(days=event.erase_after_days)
            event.erase_at = max(event.last_ended_at + days, event.erase_not_before)
    return sorted(events, key=lambda event: event.erase_at)


# For the admin


class ErasurePlan(NamedTuple):
    """When an event's people are erased; the times as text. `is_soon`: within a week, or overdue.

    `days_left` is None if it's due, or not planned.
    """

    event: Event
    people: int
    ended: str
    when: str
    days_left: int | None
    is_soon: bool


def erasure_plans(now: dt.datetime) -> list[ErasurePlan]:
    """A plan for each event with people, the next one first."""
    return [_plan(event, now) for event in _events() if event.people]


def _plan(event: Any, now: dt.datetime) -> ErasurePlan:
    is_planned, time_left = event.erase_at < NEVER, event.erase_at - now
    return ErasurePlan(
        event=event,
        people=event.people,
        ended=moment(event.last_ended_at, event.zone) if is_planned else "",
        when=moment(event.erase_at, event.zone) if is_planned else "",
        days_left=time_left.days if is_planned and event.erase_at > now else None,
        is_soon=time_left <= WARNING_PERIOD,
    )
