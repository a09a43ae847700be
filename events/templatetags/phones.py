"""Filters that show phone numbers to someone in a given time zone."""

import zoneinfo
from collections.abc import Iterable

from django import template

from events.models import Meeting, Session
from events.phone import numbers
from events.phone.dial_in import DialIn, Numbers, for_reader
from events.timezones import country_of

register = template.Library()


@register.filter
def numbers_for(meeting: Meeting | None, zone: zoneinfo.ZoneInfo) -> Numbers:
    """A meeting's phone numbers: those of the person's own country first."""
    return for_reader(meeting.dial_in_numbers() if meeting else [], country_of(zone))


@register.filter
def other_number(sessions: Iterable[Session], zone: zoneinfo.ZoneInfo) -> DialIn | None:
    """The second number of all these meetings that have any, if it's the same one."""
    shown = [numbers_for(each.usable_meeting, zone).first for each in sessions]
    others = {rows[1].text if rows[1:] else "": rows[1:] for rows in shown if rows}
    (rows,) = others.values() if len(others) == 1 else [[]]
    return rows[0] if rows else None


@register.filter
def dialed_from(row: DialIn, zone: zoneinfo.ZoneInfo) -> str:
    """What someone there dials, also on a landline: 1 (669) 900-6833"""
    return numbers.as_dialed(row.number, country_of(zone)) if row.number else row.text
