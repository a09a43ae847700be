"""Other websites that may show an event on their pages."""

from contextlib import suppress
from urllib.parse import urlsplit

import idna
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _


def origins(sites: str) -> list[str]:
    """The origins (RFC 6454, section 4) of websites that are listed one per line.

    Each with and without www: many websites answer at both, and organizers list one.
    """
    listed = [origin for site in sites.split() if (origin := _origin(site))]
    return list(dict.fromkeys(each for origin in listed for each in (origin, _twin(origin))))


def _twin(origin: str) -> str:
    """https://www.droplwop.org of https://droplwop.org, and the reverse. Others stay."""
    scheme, _separator, host = origin.partition("://")
    plain = host.removeprefix("www.")
    *_labels, parent, last = ["", *plain.partition(":")[0].split(".")]
    # Not localhost, nor an IP address.
    if not parent or last.isdigit():
        return origin
    return f"{scheme}://{plain if plain != host else f'www.{plain}'}"


def _origin(url: str) -> str:
    """https://droplwop.org of https://droplwop.org/our-week/, or "" if it has none."""
    # UnicodeError, which idna raises, is a ValueError.
    with suppress(ValueError):
        parts = urlsplit(url)
        if parts.scheme in ("http", "https") and parts.hostname:
            host = idna.encode(parts.hostname, uts46=True).decode()
            return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")
    return ""


def validate_sites(sites: str) -> None:
    for site in sites.split():
        if not _origin(site):
            message = _("“%(site)s” isn't a web address. Write it like this: https://droplwop.org")
            raise ValidationError(message % {"site": site})
