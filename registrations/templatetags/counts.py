"""Filters that write counts and moments for organizers."""

from django import template

from registrations import formatting

register = template.Library()

register.filter("people", formatting.people)
register.filter("emails", formatting.emails)
register.filter("moment", formatting.moment)
register.filter("time_left", formatting.time_left)
register.simple_tag(formatting.ago_and_when)


@register.filter
def grouped(count: int) -> str:
    """1,312"""
    return f"{count:,}"
