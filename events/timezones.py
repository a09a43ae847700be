"""Time zones: all that exist, and the common ones that forms offer."""

import zoneinfo
from functools import cache

from django.core.exceptions import ValidationError

# An event's, unless an organizer chooses another.
DEFAULT_TIME_ZONE = "America/Los_Angeles"
# Any other IANA name is accepted too.
COMMON_TIME_ZONES = [
    ("America/New_York", "Eastern (New York)"),
    ("America/Chicago", "Central (Chicago)"),
    ("America/Denver", "Mountain (Denver)"),
    ("America/Phoenix", "Arizona (Phoenix)"),
    ("America/Los_Angeles", "Pacific (Los Angeles)"),
    ("America/Anchorage", "Alaska (Anchorage)"),
    ("Pacific/Honolulu", "Hawaii (Honolulu)"),
    ("America/Puerto_Rico", "Atlantic (Puerto Rico)"),
    ("Pacific/Guam", "Chamorro (Guam)"),
    ("America/Mexico_City", "Mexico City"),
    ("America/Toronto", "Toronto"),
    ("America/Vancouver", "Vancouver"),
    ("America/Bogota", "Bogotá"),
    ("America/Sao_Paulo", "São Paulo"),
    ("Europe/London", "London"),
    ("Europe/Berlin", "Berlin"),
    ("Africa/Lagos", "Lagos"),
    ("Africa/Johannesburg", "Johannesburg"),
    ("Asia/Kolkata", "Kolkata"),
    ("Asia/Manila", "Manila"),
    ("Australia/Sydney", "Sydney"),
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
        raise ValidationError("Choose a time zone from the list, such as America/Chicago.")


def offered_time_zones(*extra: str) -> list[tuple[str, str]]:
    """Choices for a form: the common zones, and those of `extra` that exist."""
    common = {name for name, _label in COMMON_TIME_ZONES}
    others = [name for name in extra if name not in common and name in all_time_zones()]
    return COMMON_TIME_ZONES + [(name, name.replace("_", " ")) for name in others]
