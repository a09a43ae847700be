"""Time zones: all that exist, the common ones that forms offer, and how times name them."""

import datetime as dt
import zoneinfo
from functools import cache
from importlib import resources
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext, gettext_noop
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

# By the abbreviations in January and July: a zone that has them, and its short name. Other
# countries use the same abbreviations for other times.
US_CLOCKS: dict[str, tuple[str, Any]] = {
    "PST/PDT": ("America/Los_Angeles", _("Pacific")),
    "MST/MDT": ("America/Denver", _("Mountain")),
    "CST/CDT": ("America/Chicago", _("Central")),
    "EST/EDT": ("America/New_York", _("Eastern")),
    "AKST/AKDT": ("America/Anchorage", _("Alaska")),
    "HST/HST": ("Pacific/Honolulu", _("Hawaii")),
}
US_MAINLAND = ("PST/PDT", "MST/MDT", "CST/CDT", "EST/EDT")
# Marked here so that a language can write them its own way.
US_ABBREVIATIONS = (
    *(gettext_noop("PST"), gettext_noop("PDT"), gettext_noop("MST"), gettext_noop("MDT")),
    *(gettext_noop("CST"), gettext_noop("CDT"), gettext_noop("EST"), gettext_noop("EDT")),
    *(gettext_noop("AKST"), gettext_noop("AKDT"), gettext_noop("HST")),
)
# The first parts of the zones that are named after a place.
AREAS = {
    *("Africa", "America", "Antarctica", "Asia", "Atlantic"),
    *("Australia", "Europe", "Indian", "Pacific"),
}
# Old names of Australian zones.
NOT_PLACES = {"North", "South", "West"}


@cache
def all_time_zones() -> frozenset[str]:
    """The names of all IANA time zones that this system knows."""
    return frozenset(zoneinfo.available_timezones() - {"localtime", "Factory"})


def known_zone(name: str) -> zoneinfo.ZoneInfo | None:
    """The time zone with this name. A stored one may have been removed from the system since."""
    return zoneinfo.ZoneInfo(name) if name in all_time_zones() else None


@cache
def _countries() -> dict[str, str]:
    """The country of each zone that belongs to one, by the table that comes with time zones."""
    table = resources.files("tzdata").joinpath("zoneinfo/zone.tab").read_text("utf-8")
    rows = (line.split("\t") for line in table.splitlines() if not line.startswith("#"))
    return {row[2]: row[0] for row in rows}


def moment_of(local: dt.datetime, zone: zoneinfo.ZoneInfo) -> dt.datetime:
    """The moment when clocks in the zone show this date and time, which has no zone itself.

    If they show it twice, the first one. If they skip it, as long after the last moment before the
    gap as it says: 2:30 AM becomes 3:30 AM (PEP 495).
    """
    return local.replace(tzinfo=zone, fold=0).astimezone(dt.UTC)


def is_skipped(local: dt.datetime, zone: zoneinfo.ZoneInfo) -> bool:
    """Whether clocks in the zone never show this, because they're set forward."""
    return moment_of(local, zone).astimezone(zone).replace(tzinfo=None) != local


def is_repeated(local: dt.datetime, zone: zoneinfo.ZoneInfo) -> bool:
    """Whether clocks in the zone show this twice, because they're set back."""
    first, second = (local.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1))
    return first != second and not is_skipped(local, zone)


def country_of(zone: zoneinfo.ZoneInfo) -> str:
    """The country that someone in this zone is in, such as "US"; "" if that's unknown."""
    return "US" if zone.key.startswith("US/") else _countries().get(zone.key, "")


def validate_time_zone(name: str) -> None:
    if name not in all_time_zones():
        raise ValidationError(gettext("Choose a time zone from the list, such as America/Chicago."))


def offered_time_zones(*extra: str) -> list[tuple[str, Any]]:
    """Choices for a form: the common zones, and those of `extra` that exist."""
    common = {name for name, _label in COMMON_TIME_ZONES}
    others = [name for name in extra if name not in common and name in all_time_zones()]
    return COMMON_TIME_ZONES + [(name, zone_title(name)) for name in others]


def zone_title(name: str) -> str:
    """Pacific (Los Angeles); America/Detroit; Etc/GMT+5 (GMT-5)"""
    title = str(dict(COMMON_TIME_ZONES).get(name, name.replace("_", " ")))
    # Their signs are the wrong way around.
    is_reversed = name.startswith("Etc/GMT") and name in all_time_zones()
    return (
        f"{title} ({_offset(dt.datetime.now(zoneinfo.ZoneInfo(name)))})" if is_reversed else title
    )


def time_label(moment: dt.datetime, zone: zoneinfo.ZoneInfo) -> str:
    """How a time names its zone: PDT in the US; Manila time; GMT-5. Rules as in times.js."""
    local = moment.astimezone(zone)
    if us_clock(zone.key, local.year):
        return gettext(str(local.tzname()))
    place = place_name(zone.key)
    return gettext("%(place)s time") % {"place": place} if place else _offset(local)


def short_label(moment: dt.datetime, zone: zoneinfo.ZoneInfo) -> str:
    """Pacific; Manila; GMT-5"""
    local = moment.astimezone(zone)
    if clock := us_clock(zone.key, local.year):
        return str(US_CLOCKS[clock][1])
    return place_name(zone.key) or _offset(local)


@cache
def us_clock(name: str, year: int) -> str | None:
    """The key in US_CLOCKS of a zone whose clocks agree with it all year, such as Toronto's."""
    seasons = _seasons(name, year)
    clock = "/".join(abbreviation for abbreviation, _utcoffset in seasons[:2])
    is_us = clock in US_CLOCKS and seasons == _seasons(US_CLOCKS[clock][0], year)
    return clock if is_us else None


def _seasons(name: str, year: int) -> list[tuple[str, dt.timedelta | None]]:
    """In winter, summer and the next winter, since a place may stop changing its clocks."""
    zone = zoneinfo.ZoneInfo(name)
    days = (dt.date(year, 1, 2), dt.date(year, 7, 2), dt.date(min(year + 1, dt.MAXYEAR), 1, 2))
    moments = [dt.datetime.combine(day, dt.time(), zone) for day in days]
    return [(str(moment.tzname()), moment.utcoffset()) for moment in moments]


def place_name(name: str) -> str:
    """The place that a zone is named after: São Paulo. Otherwise empty."""
    place = place_in_name(name)
    if name.partition("/")[0] not in AREAS or place in NOT_PLACES:
        return ""
    # "Arizona (Phoenix)" names the place in parentheses.
    title = str(dict(COMMON_TIME_ZONES).get(name, place))
    return title.rpartition("(")[2].removesuffix(")")


def place_in_name(name: str) -> str:
    """Sao Paulo"""
    return name.rpartition("/")[2].replace("_", " ")


def _offset(local: dt.datetime) -> str:
    """GMT+5:30; UTC"""
    minutes = int((local.utcoffset() or dt.timedelta()).total_seconds()) // 60
    if not minutes:
        return "UTC"
    hours, rest = divmod(abs(minutes), 60)
    return f"GMT{'-' if minutes < 0 else '+'}{hours}{f':{rest:02}' if rest else ''}"
