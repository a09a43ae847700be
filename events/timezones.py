"""Time zones: all that exist, and the common ones that forms offer."""

import zoneinfo
from functools import cache
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

# An event's, unless an organizer chooses another.
DEFAULT_TIME_ZONE = "America/Los_Angeles"
# Any other IANA name is accepted too.
COMMON_TIME_ZONES: list[tuple[str, Any]] = [
    ("America/New_York", _("Eastern (New York)")),
    ("America/Chicago", _("Central (Chicago)")),
    ("America/Denver", _("Mountain (Denver)")),
    ("America/Phoenix", _("Arizona (Phoenix)")),
    ("America/Los_Angeles", _("Pacific (Los Angeles)")),
    ("America/Anchorage", _("Alaska (Anchorage)")),
    ("Pacific/Honolulu", _("Hawaii (Honolulu)")),
    ("America/Puerto_Rico", _("Atlantic (Puerto Rico)")),
    ("Pacific/Guam", _("Chamorro (Guam)")),
    ("America/Mexico_City", _("Mexico City")),
    ("America/Toronto", _("Toronto")),
    ("America/Vancouver", _("Vancouver")),
    ("America/Bogota", _("Bogotá")),
    ("America/Sao_Paulo", _("São Paulo")),
    ("Europe/London", _("London")),
    ("Europe/Berlin", _("Berlin")),
    ("Africa/Lagos", _("Lagos")),
    ("Africa/Johannesburg", _("Johannesburg")),
    ("Asia/Kolkata", _("Kolkata")),
    ("Asia/Manila", _("Manila")),
    ("Australia/Sydney", _("Sydney")),
    ("UTC", "UTC"),
]


@cache
def all_time_zones() -> frozenset[str]:
    """The names of all IANA time zones that this system knows."""
    return frozenset(zoneinfo.available_timezones() - {"localtime", "Factory"})


def known_zone(name: str) -> zoneinfo.ZoneInfo | None:
    """The time zone with this name. A stored one may have been removed from the system since."""
    return zoneinfo.ZoneInfo(name) if name in all_time_zones() else None


def validate_time_zone(name: str) -> None:
    if name not in all_time_zones():
        raise ValidationError(gettext("Choose a time zone from the list, such as America/Chicago."))


def offered_time_zones(*extra: str) -> list[tuple[str, Any]]:
    """Choices for a form: the common zones, and those of `extra` that exist."""
    common = {name for name, _label in COMMON_TIME_ZONES}
    others = [name for name in extra if name not in common and name in all_time_zones()]
    return COMMON_TIME_ZONES + [(name, name.replace("_", " ")) for name in others]
