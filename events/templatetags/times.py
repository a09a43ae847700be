"""Filters that show days and times in a given time zone."""

import datetime as dt
import zoneinfo

from django import template
from django.utils.dateformat import format as date_format

from events.models import Revision, Session, SessionSnapshot
from events.timezones import COMMON_TIME_ZONES

register = template.Library()


@register.filter
def day(moment: dt.datetime, zone: dt.tzinfo) -> str:
    """Saturday, October 16"""
    return date_format(moment.astimezone(zone), "l, F j")


@register.filter
def clock(moment: dt.datetime, zone: dt.tzinfo) -> str:
    """9:00 AM"""
    return date_format(moment.astimezone(zone), "g:i A")


@register.filter
def hours(session: Session | Revision | SessionSnapshot, zone: dt.tzinfo) -> str:
    """9:00 AM to 1:00 PM PDT, with the weekday of the end if it is another day."""
    starts, ends = session.starts_at.astimezone(zone), session.ends_at.astimezone(zone)
    end = date_format(ends, "g:i A" if starts.date() == ends.date() else "g:i A (l)")
    return f"{date_format(starts, 'g:i A')} to {end} {starts.tzname()}"


@register.filter
def zone_name(zone: zoneinfo.ZoneInfo) -> str:
    """Pacific (Los Angeles)"""
    return dict(COMMON_TIME_ZONES).get(zone.key, zone.key.replace("_", " "))
