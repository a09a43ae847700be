"""Where someone whose link no longer works can have it mailed again."""

import datetime as dt
from typing import Any

from django import template
from django.utils import timezone

from events.models import Event

register = template.Library()

# First words of the addresses that stand in people's mails.
MAILED = ("/me/", "/join/", "/calendar/")
# So long after its end people may still look for an event's recordings.
RECENT = dt.timedelta(days=90)


@register.simple_tag(takes_context=True)
def events_of_lost_link(context: template.Context) -> list[Any]:
    """At a mailed address the events that it may be of; elsewhere none."""
    if not str(context.get("request_path", "")).startswith(MAILED):
        return []
    events = Event.objects.published().with_times()
    recent = events.filter(last_ends_at__gt=timezone.now() - RECENT)
    return list(recent.order_by("first_starts_at", "pk"))
