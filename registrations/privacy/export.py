"""Everything stored about one person, for that person to download."""

from typing import Any

from allauth.account.models import EmailAddress
from django.contrib.auth.models import User
from django.db.models import Model
from django.utils import timezone

from registrations.models import (
    UNREACHED_STATES,
    OutgoingMail,
    Registration,
    Seat,
    email_key_or_blank,
)

_PARENT = "Whose it is: the structure of the file shows it."
_OURS = "About our own work, not about the person."
_CREDENTIAL = "Anyone who got hold of the file could use it."
_SEARCH_KEY = "What is listed, once more, in the form that is searched."
_PERMISSION = "What organizers' accounts may do."
# The fields that are left out, by model, and why. Every other field is in the file, new ones too.
LEFT_OUT: dict[str, dict[str, str]] = {
    "registrations.registration": {
        "event": "At the top of the file.",
        "email_key": "The email address again, normalized.",
        "name_key": "The name again, normalized.",
        "mailbox_number": "Tells apart people who share an address.",
        **dict.fromkeys(("search_key", "organization_search_key"), _SEARCH_KEY),
        **dict.fromkeys(("token", "claim"), _CREDENTIAL),
        "erased_at": "Empty for everyone who can download their data.",
        "sessions": "Listed with their seats.",
    },
    "registrations.seat": {"registration": _PARENT},
    "registrations.personallink": {
        **dict.fromkeys(("seat", "meeting"), _PARENT),
        "join_url": _CREDENTIAL,
        **dict.fromkeys(("zoom_id", "is_host", "call_started_at", "due_at"), _OURS),
    },
    "registrations.attendance": {
        **dict.fromkeys(("session", "seat"), _PARENT),
        "instance_uuid": "Zoom's ID of the whole meeting.",
        "registrant_id": "Listed with the personal link.",
        "search_key": _SEARCH_KEY,
    },
    "registrations.accessneed": {
        "seat": _PARENT,
        "arranged_for": "The session's start at that time.",
        "search_key": _SEARCH_KEY,
        **dict.fromkeys(
            ("note", "note_search_key"),
            "Organizers' notes, often about others, such as who interprets.",
        ),
    },
    "registrations.answer": {"registration": _PARENT},
    "registrations.outgoingmail": {
        "registration": _PARENT,
        "message": "Only of emails that belong to no registration.",
        "old_revision": "What the session was before, which is about the session.",
        **dict.fromkeys(
            ("key", "priority", "attempts", "due_at", "claimed_at", "provider_id"), _OURS
        ),
        "is_hard_bounce": "Said in the email's error.",
    },
    "auth.user": {
        "password": _CREDENTIAL,
        **dict.fromkeys(("is_superuser", "is_staff", "is_active"), _PERMISSION),
        **dict.fromkeys(("groups", "user_permissions"), _PERMISSION),
    },
    "account.emailaddress": {"user": _PARENT},
    "socialaccount.socialaccount": {"user": _PARENT},
}


def personal_data(registration: Registration) -> dict[str, Any]:
    """Everything stored about someone, ready to be encoded as JSON."""
    seats = registration.seats.select_related("session", "personal_link")
    mails = registration.mails.select_related("session", "announcement").order_by("pk")
    spellings = [registration.email.lower(), email_key_or_blank(registration.email)]
    verified = EmailAddress.objects.filter(email__in=spellings, verified=True)
    accounts = User.objects.filter(pk__in=verified.values("user"))
    return {
        "event": registration.event.name,
        "fetched_at": timezone.now(),
        "registration": _serialize(registration),
        "sessions": list(map(_seat, seats.prefetch_related("access_needs", "attendances"))),
        "answers": list(map(_serialize, registration.answers.select_related("question"))),
        "emails": list(map(_mail, mails)),
        "accounts": list(map(_account, accounts)),
    }


def _serialize(row: Model) -> dict[str, Any]:
    return {name: _value(row, name) for name in exported_fields(type(row))}


def exported_fields(model: type[Model]) -> list[str]:
    """The names of a model's fields that are in the file."""
    meta = model._meta
    names = [field.name for field in (*meta.concrete_fields, *meta.many_to_many)]
    return [name for name in names if name not in {"id", *LEFT_OUT[meta.label_lower]}]


def _value(row: Model, name: str) -> Any:
    value = getattr(row, name)
    if row._meta.get_field(name).many_to_many:
        return list(map(str, value.all()))
    return str(value) if isinstance(value, Model) else value


def _seat(seat: Seat) -> dict[str, Any]:
    link = getattr(seat, "personal_link", None)
    return {
        **_serialize(seat),
        "at_zoom": _serialize(link) if link else None,
        "access_needs": list(map(_serialize, seat.access_needs.all())),
        "attendance": list(map(_serialize, seat.attendances.all())),
    }


def _mail(mail: OutgoingMail) -> dict[str, Any]:
    """An email, with its error only if that is about their address, not about our server."""
    data = _serialize(mail)
    return data if mail.state in UNREACHED_STATES else {**data, "last_error": ""}


def _account(user: Any) -> dict[str, Any]:
    """An account with its addresses and, if the site offers that, its sign-ins by other sites."""
    social = getattr(user, "socialaccount_set", None)
    return {
        **_serialize(user),
        "addresses": list(map(_serialize, user.emailaddress_set.order_by("pk"))),
        "social_accounts": list(map(_serialize, social.order_by("pk"))) if social else [],
    }
