"""Absolute URLs and addresses for emails and calendars."""

from email.utils import parseaddr

from django.conf import settings
from django.utils.translation import get_language

from events.addresses import ascii_address
from events.models import Event


def absolute(path: str) -> str:
    """The public URL of a path of this site."""
    return f"{settings.SITE_URL}{path}"


def in_language(path: str, code: str) -> str:
    """The public URL of a public page in this language. It's the same for every visitor.

    Without the `in`, a page is in the visitor's language, or in the main one for search engines.
    """
    return absolute(path if code == settings.LANGUAGE_CODE else f"{path}?in={code}")


def in_current_language(path: str) -> str:
    return in_language(path, get_language())


def organizer_email(event: Event) -> str:
    """The event's contact address, or else the site's sender, without a name."""
    return ascii_address(event.contact_email) or parseaddr(settings.DEFAULT_FROM_EMAIL)[1]
