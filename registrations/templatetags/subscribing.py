"""The addresses by which programs subscribe to someone's calendar."""

from urllib.parse import quote, urlencode

from django import template
from django.urls import reverse

from events.links import absolute
from registrations.models import Registration

register = template.Library()


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
