"""Unsubscribing from announcements, by signed links (RFC 8058)."""

from django.core import signing
from django.db.models import QuerySet, Subquery
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
    """Send no more announcements to this mailbox. Emails about people's sessions continue.

    It's for everyone who shares the mailbox: it would get the same announcement again otherwise.
    """
    subscribed = _mailbox_of(registration).filter(unsubscribed_at=None)
    subscribed.update(unsubscribed_at=timezone.now())


def subscribe(*, registration: Registration) -> None:
    """Send announcements to this mailbox again."""
    _mailbox_of(registration).update(unsubscribed_at=None)


def follow_mailbox(*, registration: Registration) -> None:
    """Send no announcements to someone new at a mailbox that gets none."""
    stopped = _mailbox_of(registration).exclude(unsubscribed_at=None)
    new = Registration.objects.filter(pk=registration.pk, unsubscribed_at=None)
    new.update(unsubscribed_at=Subquery(stopped.values("unsubscribed_at")[:1]))


def _mailbox_of(registration: Registration) -> QuerySet[Registration]:
    return Registration.objects.filter(
        event=registration.event_id, email_key=registration.email_key, erased_at=None
    )
