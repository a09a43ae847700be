"""Numbers and times as text for organizers."""

import datetime as dt
import zoneinfo

from django.utils.dateformat import format as date_format

from events.models import Event


def moment(when: dt.datetime, zone: zoneinfo.ZoneInfo) -> str:
    """Nov 22, 2026, 4:51 AM PST"""
    local = when.astimezone(zone)
    return f"{date_format(local, 'M j, Y, g:i A')} {local.tzname()}"


def current_zone(now: dt.datetime) -> zoneinfo.ZoneInfo:
    """Return the zone for times that belong to no event: the current event's."""
    return (Event.objects.current(now) or Event()).zone


def counted(count: int, one: str, many: str) -> str:
    """1 person; 1,312 people"""
    return f"{count:,} {one if count == 1 else many}"


def people(count: int) -> str:
    return counted(count, "person", "people")


def mails(count: int) -> str:
    return counted(count, "mail", "mails")


def ago(when: dt.datetime, now: dt.datetime) -> str:
    """7 seconds ago; 2 days ago"""
    seconds = int((now - when).total_seconds())
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1)):
        if seconds >= size:
            return f"{counted(seconds // size, unit, f'{unit}s')} ago"
    return "just now"


def ago_and_when(when: dt.datetime | None, now: dt.datetime, zone: zoneinfo.ZoneInfo) -> str:
    """3 minutes ago (Nov 22, 2026, 4:51 AM PST); never"""
    return f"{ago(when, now)} ({moment(when, zone)})" if when else "never"


def time_left(left: dt.timedelta) -> str:
    """about 3 minutes left; a moment left"""
    minutes = round(left.total_seconds() / 60)
    if minutes < 1:
        return "a moment left"
    if minutes < 90:
        return f"about {counted(minutes, 'minute', 'minutes')} left"
    return f"about {counted(round(minutes / 60), 'hour', 'hours')} left"
