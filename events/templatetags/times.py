"""Filters that show days and times in a given time zone, and where a line may break."""

import datetime as dt
import json
import re
import zoneinfo
from functools import lru_cache

from django import template
from django.utils import timezone
from django.utils.dateformat import format as date_format
from django.utils.translation import get_language, gettext_noop, ngettext, pgettext
from django.utils.translation import gettext as _

from events.models import Revision, Session, SessionSnapshot
from events.timezones import (
    COMMON_TIME_ZONES,
    US_CLOCKS,
    US_MAINLAND,
    place_in_name,
    place_name,
    short_label,
    time_label,
    us_clock,
    zone_title,
)

register = template.Library()
register.filter(time_label)

# Django's "A" shows these. Marked here so that a language can write them its own way.
HALVES_OF_DAY = (gettext_noop("AM"), gettext_noop("PM"))
NO_BREAK = "\xa0"
MAY_BREAK = "\u200b"


@register.filter
def day(moment: dt.datetime, zone: dt.tzinfo) -> str:
    """Saturday, October 16"""
    return _day(moment, zone, get_language())


# A page shows the same few days and times again and again: formatting took a third of some.
@lru_cache(maxsize=1000)
def _day(moment: dt.datetime, zone: dt.tzinfo, _language: str) -> str:
    # Translators: the date Saturday, October 16, in the letters of Django's `date` filter.
    return date_format(moment.astimezone(zone), _("l, F j"))


@register.filter
def short_day(moment: dt.datetime, zone: dt.tzinfo) -> str:
    """Sat, Oct 16"""
    # Translators: the day Sat, Oct 16, in the letters of Django's `date` filter.
    return date_format(moment.astimezone(zone), pgettext("date format", "D, M j"))


@register.simple_tag
def dates(first: dt.datetime, last: dt.datetime, zone: dt.tzinfo, month: str = "M") -> str:
    """Oct 16–23, or Oct 30–Nov 6, or Oct 16. With F as the month, they are written out."""
    first, last = first.astimezone(zone), last.astimezone(zone)
    # Translators: the date Oct 16, in the letters of Django's `date` filter.
    whole = _("M j")
    if first.date() == last.date():
        return date_format(first, whole.replace("M", month))
    begins = ends = whole
    if (first.year, first.month) == (last.year, last.month):
        # Translators: Oct 16 in the dates Oct 16–23, in the letters of Django's `date` filter.
        begins = pgettext("first day of several in a month", "M j")
        # Translators: 23 in the dates Oct 16–23, in the letters of Django's `date` filter.
        ends = pgettext("last day of several in a month", "j")
    begins, ends = (letters.replace("M", month) for letters in (begins, ends))
    values = {"first": date_format(first, begins), "last": date_format(last, ends)}
    # Translators: days, like Oct 16–23.
    return _("%(first)s–%(last)s") % values


@register.simple_tag
def long_dates(first: dt.datetime, last: dt.datetime, zone: dt.tzinfo) -> str:
    """October 16–23, 2026"""
    # Translators: days of a year, like October 16–23, 2026.
    text = _("%(days)s, %(year)s")
    return text % {"days": dates(first, last, zone, "F"), "year": last.astimezone(zone).year}


@register.filter
def is_over(session: Session) -> bool:
    return session.ends_at <= timezone.now()


@register.filter
def state_at(session: Session, now: dt.datetime) -> str:
    return session.state(now)


@register.filter
def breakable(text: str) -> str:
    """Influencing/Countering: in a narrow column, the line breaks after the slash."""
    return text.replace("/", f"/{MAY_BREAK}")


@register.filter
def unbroken(text: str) -> str:
    """Saturday, October 16, for large type: October and 16 stay on one line."""
    weekday, space, rest = text.partition(" ")
    return weekday + space + rest.replace(" ", NO_BREAK)


@register.filter
def clock(moment: dt.datetime, zone: dt.tzinfo) -> str:
    """9:00 AM"""
    # Translators: the time 9:00 AM, in the letters of Django's `date` filter.
    return date_format(moment.astimezone(zone), _("g:i A"))


def moment(when: dt.datetime, zone: zoneinfo.ZoneInfo) -> str:
    """Nov 22, 2026, 4:51 AM PST"""
    local = when.astimezone(zone)
    # Translators: Django's format characters.
    pattern = pgettext("date format", "M j, Y, g:i A")
    return f"{date_format(local, pattern)} {time_label(local, zone)}"


@register.filter
def at_clock(moment: dt.datetime, zone: dt.tzinfo, label: str = "") -> str:
    """at 9:00 AM, followed by `label`"""
    hour = moment.astimezone(zone).hour % 12 or 12
    time = f"{clock(moment, zone)} {label}".rstrip()
    # Translators: the singular is for 1:00, as Spanish has "a la 1:00" and "a las 2:00".
    return ngettext("at %(time)s", "at %(time)s", hour) % {"time": time}


@register.filter
def hours(session: Session | Revision | SessionSnapshot, zone: zoneinfo.ZoneInfo) -> str:
    """9:00 AM to 1:00 PM PDT, with the weekday of the end if it is another day."""
    return _hours(session.starts_at, session.ends_at, zone, get_language())


@lru_cache(maxsize=1000)
def _hours(starts: dt.datetime, ends: dt.datetime, zone: zoneinfo.ZoneInfo, _language: str) -> str:
    starts, ends = starts.astimezone(zone), ends.astimezone(zone)
    end = clock(ends, zone)
    if starts.date() != ends.date():
        end = f"{end} ({date_format(ends, 'l')})"
    values = {"start": clock(starts, zone), "end": end, "zone": time_label(starts, zone)}
    return _("%(start)s to %(end)s %(zone)s") % values


@register.simple_tag
def day_text() -> str:
    """For times.js: {weekday}, {month} {day}"""
    names = {"l": "{weekday}", "F": "{month}", "j": "{day}"}
    # A backslash makes a letter stand for itself.
    return re.sub(r"\\(.)|[lFj]", lambda found: found[1] or names[found[0]], _("l, F j"))


@register.simple_tag
def hours_text() -> str:
    """For times.js: {start} to {end} {zone}"""
    return _("%(start)s to %(end)s %(zone)s") % {
        "start": "{start}",
        "end": "{end}",
        "zone": "{zone}",
    }


@register.filter
def zone_name(zone: zoneinfo.ZoneInfo) -> str:
    """Pacific (Los Angeles)"""
    return zone_title(zone.key)


@register.filter
def clocks(moment: dt.datetime, zone: zoneinfo.ZoneInfo) -> str:
    """6 PM Pacific · 7 Mountain · 8 Central · 9 Eastern: the given zone, then the US mainland's.

    A zone where it is another day names that: 12 AM Eastern (Sun).
    """
    local = moment.astimezone(zone)
    own = us_clock(zone.key, local.year)
    others = [zoneinfo.ZoneInfo(US_CLOCKS[clock][0]) for clock in US_MAINLAND if clock != own]
    parts, half = [], None
    for each in (zone, *others):
        there = moment.astimezone(each)
        # Translators: the times 6 PM and 6, in the letters of Django's `date` filter.
        letters = _("f") if half == (there.hour < 12) else _("f A")
        half = there.hour < 12
        part = f"{date_format(there, letters)} {short_label(there, each)}"
        part += f" ({date_format(there, 'D')})" if there.date() != local.date() else ""
        parts.append(part.replace(" ", NO_BREAK))
    # A line never starts with the dot.
    return f"{NO_BREAK}· ".join(parts)


@register.simple_tag
def time_labels() -> str:
    """For times.js: how US abbreviations are written, and places that zones spell differently.

    {"PST/PDT": ["PST", "PDT"], "America/Bogota": "Bogotá", "time": "{place} time"}
    """
    labels = {clock: [_(abbreviation) for abbreviation in clock.split("/")] for clock in US_CLOCKS}
    names = [name for name, _title in COMMON_TIME_ZONES if name != "UTC"]
    places = {name: place_name(name) for name in names if place_name(name) != place_in_name(name)}
    time = _("%(place)s time") % {"place": "{place}"}
    return json.dumps({**labels, **places, "time": time}, ensure_ascii=False)


@register.simple_tag
def time_until(moment: dt.datetime, now: dt.datetime, zone: dt.tzinfo) -> str:
    """in 45 minutes; in 3 hours; tomorrow; in 20 days. Days are those of the zone's calendar."""
    minutes = max(1, round((moment - now).total_seconds() / 60))
    days = (moment.astimezone(zone).date() - now.astimezone(zone).date()).days
    if minutes < 60:
        return ngettext("in %(count)d minute", "in %(count)d minutes", minutes) % {"count": minutes}
    if days == 0 or minutes < 12 * 60:
        count = round(minutes / 60)
        return ngettext("in %(count)d hour", "in %(count)d hours", count) % {"count": count}
    if days == 1:
        return _("tomorrow")
    return ngettext("in %(count)d day", "in %(count)d days", days) % {"count": days}


@register.simple_tag
def opens_in(minutes: int) -> str:
    """Opens in 12 minutes"""
    return ngettext("Opens in %(count)d minute", "Opens in %(count)d minutes", minutes) % {
        "count": minutes
    }
