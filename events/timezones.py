"""Time zones: which ones exist, and the few that a person is offered first."""

import zoneinfo
from functools import cache

from django.core.exceptions import ValidationError

# Named as people say them; the rest of the IANA list is accepted too.
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
    """The names of the IANA time zones that this system knows."""
    return frozenset(zoneinfo.available_timezones() - {"localtime", "Factory"})


def validate_time_zone(name: str) -> None:
    if name not in all_time_zones():
        raise ValidationError("Choose a time zone from the list, such as America/Chicago.")


def offered_time_zones(*also: str) -> list[tuple[str, str]]:
    """The common zones, and those of `also` that exist and are not among them."""
    common = {name for name, _label in COMMON_TIME_ZONES}
    others = [name for name in also if name not in common and name in all_time_zones()]
    return COMMON_TIME_ZONES + [(name, name.replace("_", " ")) for name in others]
