"""Unsubscribing from announcements, by signed links (RFC 8058)."""

from django.core import signing
from django.urls import reverse
from django.utils import timezone

from events.links import absolute
from registrations.models import Registration


def _signer() -> signing.Signer:
    return signing.Signer(salt="unsubscribe")


def unsubscribe_url(registration: Registration) -> str:
    """Where this person can unsubscribe. It keeps working when their token is renewed."""
    return absolute(reverse("unsubscribe", args=[_signer().sign(str(registration.pk))]))


def registration_for(signed: str) -> Registration | None:
    """The person that a link from `unsubscribe_url` belongs to, or None."""
    pk = _signed_id(signed)
    known = Registration.objects.filter(erased_at=None).select_related("event")
    return known.filter(pk=pk).first() if pk else None


def is_sample(signed: str) -> bool:
    """Whether the link is from a preview or a test and belongs to no one."""
    return _signed_id(signed) == "0"


def _signed_id(signed: str) -> str | None:
    try:
        return _signer().unsign(signed)
    except signing.BadSignature:
        return None


def unsubscribe(*, registration: Registration) -> None:
    """Send this person no more announcements. Emails about their sessions continue."""
    Registration.objects.filter(pk=registration.pk, unsubscribed_at=None).update(
        unsubscribed_at=timezone.now()
    )


def subscribe(*, registration: Registration) -> None:
    """Send this person announcements again."""
    Registration.objects.filter(pk=registration.pk).update(unsubscribed_at=None)
