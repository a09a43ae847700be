"""Absolute URLs and addresses for emails and calendars."""

from email.utils import parseaddr

from django.conf import settings

from events.addresses import ascii_address
from events.models import Event


def absolute(path: str) -> str:
    """The public URL of a path of this site."""
    return f"{settings.SITE_URL}{path}"


def organizer_email(event: Event) -> str:
    """The event's contact address, or else the site's sender, without a name."""
    return ascii_address(event.contact_email) or parseaddr(settings.DEFAULT_FROM_EMAIL)[1]
