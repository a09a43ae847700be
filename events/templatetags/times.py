"""Filters that show days and times in a given time zone."""

import datetime as dt
import zoneinfo

from django import template
from django.utils.dateformat import format as date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from events.models import Revision, Session, SessionSnapshot
from events.timezones import COMMON_TIME_ZONES

register = template.Library()

# Django's "A" shows these. Marked here so that a language can write them its own way.
HALVES_OF_DAY = (gettext_noop("AM"), gettext_noop("PM"))


@register.filter
def day(moment: dt.datetime, zone: dt.tzinfo) -> str:
    """Saturday, October 16"""
    # Translators: the date Saturday, October 16, in the letters of Django's `date` filter.
    return date_format(moment.astimezone(zone), _("l, F j"))


@register.filter
def clock(moment: dt.datetime, zone: dt.tzinfo) -> str:
    """9:00 AM"""
    # Translators: the time 9:00 AM, in the letters of Django's `date` filter.
    return date_format(moment.astimezone(zone), _("g:i A"))


@register.filter
def hours(session: Session | Revision | SessionSnapshot, zone: dt.tzinfo) -> str:
    """9:00 AM to 1:00 PM PDT, with the weekday of the end if it is another day."""
    starts, ends = session.starts_at.astimezone(zone), session.ends_at.astimezone(zone)
    end = clock(ends, zone)
    if starts.date() != ends.date():
        end = f"{end} ({date_format(ends, 'l')})"
    values = {"start": clock(starts, zone), "end": end, "zone": starts.tzname()}
    return _("%(start)s to %(end)s %(zone)s") % values


@register.filter
def zone_name(zone: zoneinfo.ZoneInfo) -> str:
    """Pacific (Los Angeles)"""
    return str(dict(COMMON_TIME_ZONES).get(zone.key, zone.key.replace("_", " ")))
