"""Erase people: on request, by an organizer, and automatically after the event."""

import datetime as dt
import logging
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from allauth.account.models import EmailAddress
from django.contrib.admin.models import LogEntry
from django.contrib.auth import SESSION_KEY, get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.models import Session as SignIn
from django.db import transaction
from django.db.models import (
    BigIntegerField,
    Count,
    Exists,
    Max,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
)
from django.db.models.functions import Cast, Coalesce
from django.utils import timezone

from events.models import Event, Meeting, ZoomReport
from registrations import signup
from registrations.formatting import counted, moment, people
from registrations.models import (
    AccessNeed,
    Answer,
    Attendance,
    OutgoingMail,
    PersonalLink,
    Registration,
    Seat,
    email_key,
    new_token,
)
from registrations.outbox import mail_queue
from registrations.zoom import personal_links

SOON = dt.timedelta(days=7)


@dataclass(frozen=True)
class ErasurePlan:
    """What becomes of an event's people, in words; `is_soon`: within a week, or overdue."""

    event: Event
    people: str
    ended: str
    when: str
    left: str
    is_soon: bool


def erasure_plans(now: dt.datetime) -> list[ErasurePlan]:
    """Of every event whose people are known, the next one to be erased first."""
    known = [event for event in events_with_people() if event.people]
    never = dt.datetime.max.replace(tzinfo=dt.UTC)
    return [_plan(each, now) for each in sorted(known, key=lambda each: _at(each) or never)]


def _at(event: Any) -> dt.datetime | None:
    return erasure_time(event)


def _plan(event: Any, now: dt.datetime) -> ErasurePlan:
    at, zone = _at(event), event.zone
    days = (at - now).days if at else 0
    left = counted(days, "day", "days") if days > 0 else "less than a day"
    return ErasurePlan(
        event=event,
        people=people(event.people),
        ended=moment(event.last_ended_at, zone) if at else "",
        when=moment(at, zone) if at else "",
        left=left if at and at > now else "",
        is_soon=at is not None and at - SOON <= now,
    )


logger = logging.getLogger(__name__)

State = OutgoingMail.State

# How many people one turn of `erase_expired` erases.
BATCH_SIZE = 100
# A turn comes every ten minutes: who is not erased so long after the moment was tried often.
OVERDUE = dt.timedelta(days=1)
ERASED = "Erased"


# To erase


@transaction.atomic
def erase(*, registration: Registration) -> bool:
    """Cancel someone's registration and forget who it was, at once. False: it was erased before.

    So are earlier ones of theirs for the same event, which they canceled. Zoom is told by a
    worker soon after; until then it is known whom to cancel there.
    """
    return bool(erase_all(registrations=[registration]))


def erase_all(*, registrations: Iterable[Registration]) -> list[Registration]:
    """As `erase`, one after the other. Returns those who were not erased before."""
    # It looks through the whole log, so once for all of them.
    _anonymize_log_of_the_gone()
    return [registration for registration in registrations if _erase(registration)]


@transaction.atomic
def _erase(registration: Registration) -> bool:
    """As `erase`, but for what the log says of rows that were deleted before."""
    rows = Registration.objects.filter(erased_at=None, event=registration.event_id)
    theirs = Q(pk=registration.pk) | Q(email_key=registration.email_key, canceled_at__isnull=False)
    locked = rows.select_for_update(of=("self",), no_key=True).select_related("event")
    people = list(locked.filter(theirs).order_by("pk"))
    if registration.pk not in {person.pk for person in people}:
        return False
    for person in people:
        signup.cancel(registration=person)
        _anonymize(person)
    _erase_accounts({person.email for person in people})
    return True


def _anonymize(person: Registration) -> None:
    """Take from every row about someone what names them; what is of no number goes whole."""
    now = timezone.now()
    links = PersonalLink.objects.filter(seat__registration=person).exclude(registrant_id="")
    registrants = list(links.values_list("registrant_id", flat=True))
    presences = _presences(person, registrants)
    myself = Registration.objects.filter(pk=person.pk)
    answers = Answer.objects.filter(registration=person)
    needs = AccessNeed.objects.filter(seat__registration=person)
    for rows in (myself, person.seats.all(), presences, answers, needs):
        _anonymize_log(rows)
    presences.update(name="", email="", registrant_id="")
    _scrub_reports(person, registrants)
    _forget_at_zoom(person, now)
    answers.delete()
    needs.delete()
    person.strategies.clear()
    # A worker that has one in hand finds another claim, and writes nothing down.
    person.mails.filter(state__in=mail_queue.OPEN_STATES).update(state=State.DROPPED, due_at=now)
    person.mails.update(last_error="", provider_id="")
    myself.update(
        **dict.fromkeys(("name", "email", "organization", "us_state", "needs_other"), ""),
        **dict.fromkeys(
            ("needs_captions", "needs_asl", "needs_interpretation", "needs_dial_in"), False
        ),
        email_key=f"erased/{person.pk}",
        time_zone=person.event.time_zone,
        wants_doors_email=False,
        unsubscribed_at=None,
        token=new_token(),
        erased_at=now,
    )


def _presences(person: Registration, registrants: Collection[str]) -> QuerySet[Attendance]:
    """Theirs, and of unknown people who seem to be the same."""
    same = Q(email__iexact=person.email) | Q(name__iexact=person.name)
    unknown = Q(seat=None, session__event=person.event_id)
    same |= Q(registrant_id__in=registrants)
    found = Attendance.objects.filter(Q(seat__registration=person) | unknown & same)
    return Attendance.objects.filter(pk__in=list(found.values_list("pk", flat=True)))


def _anonymize_log(rows: QuerySet[Any]) -> None:
    """What organizers did stays in their log, but not whom it was about."""
    kind = ContentType.objects.get_for_model(rows.model)
    ids = list(map(str, rows.values_list("pk", flat=True)))
    _blank(LogEntry.objects.filter(content_type=kind, object_id__in=ids))


def _anonymize_log_of_the_gone() -> None:
    """Of rows that are there no more nobody could say whom the log was about."""
    for model in (Answer, AccessNeed, Seat):
        kind = ContentType.objects.get_for_model(model)
        entries = LogEntry.objects.filter(content_type=kind).exclude(object_repr=ERASED)
        row = model._default_manager.filter(pk=Cast(OuterRef("object_id"), BigIntegerField()))
        _blank(entries.filter(~Exists(row)))


def _blank(entries: QuerySet[LogEntry]) -> None:
    entries.update(object_repr=ERASED, change_message="")


def _scrub_reports(person: Registration, registrants: Collection[str]) -> None:
    """Zoom's reports are kept for a day after a worker has seen to them."""
    who = "payload__object__participant__"
    same = Q(**{f"{who}email__iexact": person.email})
    same |= Q(**{f"{who}registrant_id__in": registrants}) if registrants else Q()
    meetings = Meeting.objects.filter(session__event=person.event_id).values("zoom_id")
    namesake = Q(**{f"{who}user_name__iexact": person.name}, zoom_id__in=meetings)
    for report in ZoomReport.objects.filter(same | namesake):
        participant = report.payload["object"]["participant"]
        is_of = participant.get("email", ""), participant.get("registrant_id", "")
        if any(is_of) and not (
            is_of[0].casefold() == person.email.casefold() or is_of[1] in registrants
        ):
            # Another of the same name.
            continue
        participant |= dict.fromkeys(("user_name", "email", "registrant_id"), "")
        report.save(update_fields=["payload"])


def _forget_at_zoom(person: Registration, now: dt.datetime) -> None:
    """Have their links taken away at Zoom; of a meeting that is over only the number stays."""
    links = PersonalLink.objects.filter(seat__registration=person)
    over = links.exclude(meeting__session__ends_at__gt=now)
    over.update(email="", registrant_id="", problem="")
    over.exclude(join_url="").update(join_url=ERASED)
    to_come = links.filter(meeting__session__ends_at__gt=now)
    if to_come.exists():
        personal_links.detach(to_come)
        personal_links.sync_links_soon()
    _drop_links_of_the_past(now)


def _drop_links_of_the_past(now: dt.datetime) -> None:
    """Those that nobody has, and whose taking away Zoom is not told of any more."""
    PersonalLink.objects.filter(seat=None).exclude(meeting__session__ends_at__gt=now).delete()


def _erase_accounts(emails: Iterable[str]) -> None:
    """Delete the accounts of these addresses: not organizers', nor while one is registered.

    An account that has such an address without having shown that it is theirs, beside others,
    loses the address only.
    """
    for email in emails:
        addresses = EmailAddress.objects.filter(email__iexact=email, user__is_staff=False)
        for address in addresses.select_related("user"):
            all_of_user = EmailAddress.objects.filter(user=address.user)
            keys = [email_key(each.email) for each in all_of_user]
            if address.verified or len(keys) == 1:
                if not Registration.objects.active().filter(email_key__in=keys).exists():
                    _erase_account(address.user, [each.email for each in all_of_user])
            else:
                address.delete()


def _erase_account(user: AbstractBaseUser, emails: Iterable[str]) -> None:
    """Delete an account, where it is signed in, and the mails that it was sent."""
    _anonymize_log(get_user_model()._default_manager.filter(pk=user.pk))
    for email in emails:
        mails = OutgoingMail.objects.filter(registration=None)
        stored = Q(message__recipient__iexact=email)
        mails.filter(stored, state__in=mail_queue.OPEN_STATES).update(
            state=State.DROPPED, due_at=timezone.now()
        )
        mails.filter(stored | Q(last_error__icontains=email)).update(last_error="", provider_id="")
        mails.filter(stored).update(message=None)
    for sign_in in SignIn.objects.filter(expire_date__gt=timezone.now()).iterator():
        if sign_in.get_decoded().get(SESSION_KEY) == str(user.pk):
            sign_in.delete()
    user.delete()


# By itself


def erasure_time(event: Any) -> dt.datetime | None:
    """When an event's people are erased; None without sessions. Wants one of `counted_events`."""
    if event.last_ended_at is None:
        return None
    days = dt.timedelta(days=event.erase_after_days)
    return max(event.last_ended_at + days, event.erase_not_before)


def events_with_people() -> QuerySet[Any]:
    """Events with `last_ended_at`, of all their sessions, and `people`: how many are not erased."""
    known = Registration.objects.filter(event=OuterRef("pk"), erased_at=None).order_by()
    counted = known.values("event").annotate(count=Count("pk")).values("count")
    return Event.objects.annotate(
        last_ended_at=Max("sessions__ends_at"), people=Coalesce(Subquery(counted), 0)
    )


def _expired(now: dt.datetime) -> list[Any]:
    """Events whose people are to be erased at this moment or were before."""
    moments = (
        (event, erasure_time(event)) for event in events_with_people().order_by("last_ended_at")
    )
    return [event for event, moment in moments if moment and moment <= now]


def overdue(now: dt.datetime) -> int:
    """How many people are not erased although that was due a day ago, or longer."""
    return sum(event.people for event in _expired(now - OVERDUE))


def erase_expired(now: dt.datetime | None = None, limit: int = BATCH_SIZE) -> bool:
    """Erase, for one turn, the people of events that were over long enough ago.

    Whoever was in their meetings is forgotten too, also if nobody knows who it was. Returns
    whether there may be more to do.
    """
    now, done = now or timezone.now(), 0
    _tidy(now)
    expired = _expired(now)
    if any(event.people for event in expired):
        _anonymize_log_of_the_gone()
    for event in expired:
        for registration in event.registrations.filter(erased_at=None).order_by("pk"):
            done += _erase_if_possible(registration)
            if done >= limit:
                return True
        presences = Attendance.objects.filter(session__event=event)
        named = presences.exclude(name="", email="", registrant_id="")
        _anonymize_log(named)
        named.update(name="", email="", registrant_id="")
    return False


def _erase_if_possible(registration: Registration) -> bool:
    """What fails for one person stops no other."""
    try:
        return _erase(registration)
    except Exception:
        logger.exception("Registration %s could not be erased", registration.pk)
        return False


def _tidy(now: dt.datetime) -> None:
    """Forget what came about people after they were erased, and sign-ins that have ended."""
    late = OutgoingMail.objects.filter(registration__erased_at__isnull=False)
    late.exclude(last_error="", provider_id="").update(last_error="", provider_id="")
    _drop_links_of_the_past(now)
    SignIn.objects.filter(expire_date__lt=now).delete()
