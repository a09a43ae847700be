"""Where someone whose link no longer works can have it mailed again."""

import datetime as dt
from typing import Any
from urllib.parse import quote, urlencode

from django import template
from django.urls import reverse
from django.utils import timezone

from events.links import absolute
from events.models import Event
from registrations import questions
from registrations.models import Registration

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


@register.simple_tag
def answers_of(registration: Registration) -> list[tuple[str, str]]:
    """Each question that someone answered, and what they said."""
    answers = registration.answers.select_related("question")
    return [(answer.question.text, questions.shown(answer)) for answer in answers]


@register.simple_tag
def subscription(registration: Registration) -> dict[str, str]:
    """By who is to show it: an app on this device, Google, Outlook.com, Microsoft 365; and bare."""
    address = absolute(reverse("feed", args=[registration.token]))
    # This scheme opens the device's own calendar; of others than it Google takes no feed.
    webcal = f"webcal://{address.partition('://')[2]}"
    microsoft = urlencode({"url": address, "name": registration.event.name}, quote_via=quote)
    return {
        "address": address,
        "device": webcal,
        "google": f"https://calendar.google.com/calendar/render?{urlencode({'cid': webcal})}",
        "outlook": f"https://outlook.live.com/calendar/0/addfromweb?{microsoft}",
        "office": f"https://outlook.office.com/calendar/0/addfromweb?{microsoft}",
    }
