"""Web addresses: absolute URLs for emails and calendars, and slugs made from names."""

import itertools
from collections.abc import Iterable, Iterator

from django.conf import settings
from django.utils.text import slugify
from django.utils.translation import get_language

from events import site_settings
from events.models import Event
from events.text.addresses import ascii_address

# Of a SlugField.
MAX_SLUG_CHARACTERS = 50


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
    return ascii_address(event.contact_email) or site_settings.sender_address()


def free_slug(text: str, *, otherwise: str, taken: Iterable[str]) -> str:
    """The address of a text, or of `otherwise` if it has no letters, that isn't taken yet."""
    used = {*taken}
    made = slugify(text) or otherwise
    return next(each for each in numbered(made) if each not in used)


def numbered(slug: str) -> Iterator[str]:
    """Shorten an address to what fits its column: legislation, then legislation-2 and so on."""
    for number in itertools.count(1):
        end = f"-{number}" if number > 1 else ""
        yield slug[: MAX_SLUG_CHARACTERS - len(end)].strip("-") + end
