"""Filters that show phone numbers to someone in a given time zone."""

import zoneinfo

from django import template

from events.models import Meeting
from events.phone.dial_in import Numbers, for_reader
from events.timezones import country_of

register = template.Library()


@register.filter
def numbers_for(meeting: Meeting | None, zone: zoneinfo.ZoneInfo) -> Numbers:
    """A meeting's phone numbers: those of the person's own country first."""
    return for_reader(meeting.dial_in_numbers() if meeting else [], country_of(zone))
