"""Everything stored about one person, for that person to download."""

from typing import Any

from allauth.account.models import EmailAddress
from django.contrib.auth import get_user_model
from django.db.models import (
    Model,
    QuerySet,
)
from django.utils import timezone

from registrations.models import (
    UNREACHED_STATES,
    OutgoingMail,
    PersonalLink,
    Registration,
    Seat,
)

# By model, what people can fetch.
EXPORTED: dict[str, tuple[str, ...]] = {
    "registrations.registration": (
        *("name", "email", "email_since", "organization", "us_state", "time_zone", "strategies"),
        *("needs_captions", "needs_asl", "needs_interpretation", "needs_dial_in", "needs_other"),
        *("wants_doors_email", "unsubscribed_at", "created_at", "canceled_at"),
        *("approval", "decided_at"),
    ),
    "registrations.seat": (
        *("session", "state", "created_at", "seated_at", "waiting_since", "notified_revision"),
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
        **dict.fromkeys(
            ("key", "priority", "attempts", "due_at", "claimed_at", "provider_id"), _OURS
        ),
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


def personal_data(registration: Registration) -> dict[str, Any]:
    """Everything held about someone, ready to be written as JSON."""
    seats = registration.seats.select_related("session", "personal_link")
    mails = registration.mails.select_related("session", "announcement").order_by("pk")
    return {
        "event": registration.event.name,
        "fetched_at": timezone.now(),
        "registration": _serialize(registration),
        "sessions": list(map(_seat, seats.prefetch_related("access_needs", "attendances"))),
        "answers": [
            _serialize(answer) for answer in registration.answers.select_related("question")
        ],
        "mails": list(map(_mail, mails)),
        "accounts": [_account(user) for user in _accounts(registration.email)],
    }


def _serialize(row: Model) -> dict[str, Any]:
    return {name: _value(row, name) for name in EXPORTED[row._meta.label_lower]}


def _value(row: Model, name: str) -> Any:
    value = getattr(row, name)
    if row._meta.get_field(name).many_to_many:
        return list(map(str, value.all()))
    return str(value) if isinstance(value, Model) else value


def _seat(seat: Seat) -> dict[str, Any]:
    link: PersonalLink | None = getattr(seat, "personal_link", None)
    return {
        **_serialize(seat),
        "at_zoom": _serialize(link) if link else None,
        "access_needs": list(map(_serialize, seat.access_needs.all())),
        "attendance": list(map(_serialize, seat.attendances.all())),
    }


def _mail(mail: OutgoingMail) -> dict[str, Any]:
    """An error only where it is about their address: others are about our server."""
    told = _serialize(mail)
    return told if mail.state in UNREACHED_STATES else {**told, "last_error": ""}


def _account(user: Any) -> dict[str, Any]:
    """An account with all addresses, and how it signs in elsewhere where that is offered."""
    elsewhere = getattr(user, "socialaccount_set", None)
    return {
        **_serialize(user),
        "addresses": list(map(_serialize, user.emailaddress_set.order_by("pk"))),
        "social_accounts": list(map(_serialize, elsewhere.order_by("pk"))) if elsewhere else [],
    }


def _accounts(email: str) -> QuerySet[Any]:
    """Those that this address is known to belong to."""
    mine = EmailAddress.objects.filter(email__iexact=email, verified=True)
    return get_user_model()._default_manager.filter(pk__in=mine.values("user"))
