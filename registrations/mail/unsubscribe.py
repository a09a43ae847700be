"""Who gets no announcements: links that stop them, and the verbs (RFC 8058)."""

from django.core import signing
from django.urls import reverse
from django.utils import timezone

from events.links import absolute
from registrations.models import Registration

_signer = signing.Signer(salt="unsubscribe")


def unsubscribe_url(registration: Registration) -> str:
    """Where this person stops announcements; it outlives a renewed token."""
    return absolute(reverse("unsubscribe", args=[_signer.sign(str(registration.pk))]))


def registration_for(signed: str) -> Registration | None:
    """Whom a link from `unsubscribe_url` belongs to; None when it is none of ours."""
    try:
        pk = _signer.unsign(signed)
    except signing.BadSignature:
        return None
    known = Registration.objects.filter(erased_at=None)
    return known.select_related("event").filter(pk=pk).first()


def is_sample(signed: str) -> bool:
    """Whether the link stood in a preview or a test: it belongs to nobody."""
    return signed == _signer.sign("0")


def unsubscribe(*, registration: Registration) -> None:
    """Send this person no more announcements. The links they registered for still come."""
    Registration.objects.filter(pk=registration.pk, unsubscribed_at=None).update(
        unsubscribed_at=timezone.now()
    )


def subscribe(*, registration: Registration) -> None:
    """Send this person announcements again."""
    Registration.objects.filter(pk=registration.pk).update(unsubscribed_at=None)
