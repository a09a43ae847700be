"""People's own data: what is held about them, to fetch and to erase, and when it goes by itself.

What is erased leaves rows that name nobody, so that the numbers stay: places, mails, presences.
"""

import datetime as dt
import logging
from collections.abc import Collection, Iterable
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
    Model,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
)
from django.db.models.functions import Cast, Coalesce
from django.utils import timezone

from events.models import Event, Meeting, ZoomReport

from . import outbox, personal_links, signup
from .models import (
    UNREACHED_STATES,
    AccessNeed,
    Answer,
    Attendance,
    Letter,
    OutgoingMail,
    PersonalLink,
    Registration,
    Seat,
    email_key,
    new_token,
)

logger = logging.getLogger(__name__)

State = OutgoingMail.State

# How many people one turn of `erase_expired` erases.
TURN = 100
# A turn comes every ten minutes: who is not erased so long after the moment was tried often.
OVERDUE = dt.timedelta(days=1)
ERASED = "Erased"

# By model, what people can fetch.
HELD: dict[str, tuple[str, ...]] = {
    "registrations.registration": (
        *("name", "email", "email_since", "organization", "state", "time_zone", "strategies"),
        *("needs_captions", "needs_asl", "needs_interpretation", "needs_dial_in", "needs_other"),
        *("wants_door_calls", "unsubscribed_at", "created_at", "cancelled_at"),
        *("approval", "decided_at"),
    ),
    "registrations.seat": (
        *("session", "state", "created_at", "seated_at", "waiting_since", "told_revision"),
        *("shown_revision", "opened_at", "attended"),
    ),
    "registrations.personallink": ("email", "state", "problem", "registrant_id", "issued_at"),
    "registrations.attendance": ("name", "email", "participant", "joined_at", "left_at"),
    "registrations.accessneed": (
        *("kind", "words", "state", "requested_at", "arranged_at", "confirmed_at"),
    ),
    "registrations.answer": ("question", "value"),
    "registrations.outgoingmail": (
        *("kind", "session", "announcement", "state", "created_at", "sent_at", "last_error"),
    ),
    "auth.user": ("username", "email", "first_name", "last_name", "date_joined", "last_login"),
    "account.emailaddress": ("email", "verified", "primary"),
    "socialaccount.socialaccount": ("provider", "uid", "extra_data", "date_joined", "last_login"),
}
_WHOSE = "Whose it is, which the file's order says."
_OURS = "About our work, and nobody."
_KEY = "Whoever got hold of the file could use it."
_MAY = "What organizers' accounts may."
# By model, what is not in the file, and why.
LEFT_OUT: dict[str, dict[str, str]] = {
    "registrations.registration": {
        "event": "It stands at the head of the file.",
        "email_key": "The address once more, as addresses are compared.",
        "token": _KEY,
        "erased_at": "Of nobody whose data can be fetched.",
        "sessions": "They come with their places.",
    },
    "registrations.seat": {"registration": _WHOSE},
    "registrations.personallink": {
        **dict.fromkeys(("seat", "meeting"), _WHOSE),
        "join_url": _KEY,
        **dict.fromkeys(("zoom_id", "asked_at", "attempts", "due_at"), _OURS),
    },
    "registrations.attendance": {
        **dict.fromkeys(("session", "seat"), _WHOSE),
        "uuid": "Zoom's name for the whole meeting.",
        "registrant_id": "It stands with the link at Zoom.",
    },
    "registrations.accessneed": {
        "seat": _WHOSE,
        "arranged_for": "When its session began then, which is about the session.",
        "note": "Organizers' own words, often about others, such as who interprets.",
    },
    "registrations.answer": {"registration": _WHOSE},
    "registrations.outgoingmail": {
        "registration": _WHOSE,
        "letter": "Of mails only that belong to no registration.",
        "was": "What the session was before, which is about the session.",
        **dict.fromkeys(("key", "priority", "attempts", "due_at", "in_hand", "provider_id"), _OURS),
    },
    "auth.user": {
        "password": _KEY,
        **dict.fromkeys(("is_superuser", "is_staff", "is_active"), _MAY),
        **dict.fromkeys(("groups", "user_permissions"), _MAY),
    },
    "account.emailaddress": {"user": _WHOSE},
    "socialaccount.socialaccount": {"user": _WHOSE},
}


# To fetch


def held(registration: Registration) -> dict[str, Any]:
    """Everything held about someone, ready to be written as JSON."""
    seats = registration.seats.select_related("session", "personal_link")
    mails = registration.mails.select_related("session", "announcement").order_by("pk")
    return {
        "event": registration.event.name,
        "fetched_at": timezone.now(),
        "registration": _told(registration),
        "sessions": list(map(_place, seats.prefetch_related("access_needs", "attendances"))),
        "answers": [_told(answer) for answer in registration.answers.select_related("question")],
        "mails": list(map(_mail, mails)),
        "accounts": [_account(user) for user in _accounts(registration.email)],
    }


def _told(row: Model) -> dict[str, Any]:
    return {name: _value(row, name) for name in HELD[row._meta.label_lower]}


def _value(row: Model, name: str) -> Any:
    value = getattr(row, name)
    if row._meta.get_field(name).many_to_many:
        return list(map(str, value.all()))
    return str(value) if isinstance(value, Model) else value


def _place(seat: Seat) -> dict[str, Any]:
    link: PersonalLink | None = getattr(seat, "personal_link", None)
    return {
        **_told(seat),
        "at_zoom": _told(link) if link else None,
        "access_needs": list(map(_told, seat.access_needs.all())),
        "attendance": list(map(_told, seat.attendances.all())),
    }


def _mail(mail: OutgoingMail) -> dict[str, Any]:
    """An error only where it is about their address: others are about our server."""
    told = _told(mail)
    return told if mail.state in UNREACHED_STATES else {**told, "last_error": ""}


def _account(user: Any) -> dict[str, Any]:
    """An account with all addresses, and how it signs in elsewhere where that is offered."""
    elsewhere = getattr(user, "socialaccount_set", None)
    return {
        **_told(user),
        "addresses": list(map(_told, user.emailaddress_set.order_by("pk"))),
        "social_accounts": list(map(_told, elsewhere.order_by("pk"))) if elsewhere else [],
    }


def _accounts(email: str) -> QuerySet[Any]:
    """Those that this address is known to belong to."""
    mine = EmailAddress.objects.filter(email__iexact=email, verified=True)
    return get_user_model()._default_manager.filter(pk__in=mine.values("user"))


# To erase


@transaction.atomic
def erase(*, registration: Registration) -> bool:
    """Cancel someone's registration and forget who it was, at once. False: it was erased before.

    So are earlier ones of theirs for the same event, which they cancelled. Zoom is told by a
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
    theirs = Q(pk=registration.pk) | Q(email_key=registration.email_key, cancelled_at__isnull=False)
    locked = rows.select_for_update(of=("self",), no_key=True).select_related("event")
    people = list(locked.filter(theirs).order_by("pk"))
    if registration.pk not in {person.pk for person in people}:
        return False
    for person in people:
        signup.cancel(registration=person)
        _forget(person)
    _erase_accounts({person.email for person in people})
    return True


def _forget(person: Registration) -> None:
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
    person.mails.filter(state__in=outbox.OPEN_STATES).update(state=State.DROPPED, due_at=now)
    person.mails.update(last_error="", provider_id="")
    myself.update(
        **dict.fromkeys(("name", "email", "organization", "state", "needs_other"), ""),
        **dict.fromkeys(
            ("needs_captions", "needs_asl", "needs_interpretation", "needs_dial_in"), False
        ),
        email_key=f"erased/{person.pk}",
        time_zone=person.event.time_zone,
        wants_door_calls=False,
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
    _without_words(LogEntry.objects.filter(content_type=kind, object_id__in=ids))


def _anonymize_log_of_the_gone() -> None:
    """Of rows that are there no more nobody could say whom the log was about."""
    for model in (Answer, AccessNeed, Seat):
        kind = ContentType.objects.get_for_model(model)
        entries = LogEntry.objects.filter(content_type=kind).exclude(object_repr=ERASED)
        row = model._default_manager.filter(pk=Cast(OuterRef("object_id"), BigIntegerField()))
        _without_words(entries.filter(~Exists(row)))


def _without_words(entries: QuerySet[LogEntry]) -> None:
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
        personal_links.part(to_come)
        personal_links.keep_up_soon()
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
                if not Registration.objects.live().filter(email_key__in=keys).exists():
                    _erase_account(address.user, [each.email for each in all_of_user])
            else:
                address.delete()


def _erase_account(user: AbstractBaseUser, emails: Iterable[str]) -> None:
    """Delete an account, where it is signed in, and the mails that it was sent."""
    _anonymize_log(get_user_model()._default_manager.filter(pk=user.pk))
    for email in emails:
        letters = Letter.objects.filter(recipient__iexact=email)
        mails = OutgoingMail.objects.filter(registration=None)
        mails.filter(letter__in=letters, state__in=outbox.OPEN_STATES).update(
            state=State.DROPPED, due_at=timezone.now()
        )
        mails.filter(Q(letter__in=letters) | Q(last_error__icontains=email)).update(
            last_error="", provider_id=""
        )
        letters.delete()
    for sign_in in SignIn.objects.filter(expire_date__gt=timezone.now()).iterator():
        if sign_in.get_decoded().get(SESSION_KEY) == str(user.pk):
            sign_in.delete()
    user.delete()


# By itself


def erasing_at(event: Any) -> dt.datetime | None:
    """When an event's people are erased; None without sessions. Wants one of `counted_events`."""
    if event.last_ended_at is None:
        return None
    days = dt.timedelta(days=event.erase_after_days)
    return max(event.last_ended_at + days, event.erase_not_before)


def counted_events() -> QuerySet[Any]:
    """Events with `last_ended_at`, of all their sessions, and `people`: how many are not erased."""
    known = Registration.objects.filter(event=OuterRef("pk"), erased_at=None).order_by()
    counted = known.values("event").annotate(count=Count("pk")).values("count")
    return Event.objects.annotate(
        last_ended_at=Max("sessions__ends_at"), people=Coalesce(Subquery(counted), 0)
    )


def _expired(now: dt.datetime) -> list[Any]:
    """Events whose people are to be erased at this moment or were before."""
    moments = ((event, erasing_at(event)) for event in counted_events().order_by("last_ended_at"))
    return [event for event, moment in moments if moment and moment <= now]


def overdue(now: dt.datetime) -> int:
    """How many people are not erased although that was due a day ago, or longer."""
    return sum(event.people for event in _expired(now - OVERDUE))


def erase_expired(now: dt.datetime | None = None, limit: int = TURN) -> bool:
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
