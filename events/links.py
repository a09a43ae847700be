"""Addresses as they stand in mails and calendars: whole, starting with SITE_URL."""

from email.utils import parseaddr

from django.conf import settings

from events.models import Event


def absolute(path: str) -> str:
    """The public address of a path of this site."""
    return f"{settings.SITE_URL}{path}"


def organizer_email(event: Event) -> str:
    """The bare address that answers for the event: its contact, or else the site's sender."""
    return event.contact_email or parseaddr(settings.DEFAULT_FROM_EMAIL)[1]
