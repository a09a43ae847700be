"""Notices about the connection to Zoom."""

from typing import Any
from urllib.parse import urlsplit

from django import template
from django.conf import settings
from django.contrib import admin
from django.utils import timezone

from events.models import Event, ZoomAccount
from events.zoom import client as zoom_client

register = template.Library()


@register.inclusion_tag("admin/events/zoom_notice.html", takes_context=True)
def zoom_notice(context: template.RequestContext) -> dict[str, Any]:
    """Show problems with Zoom to organizers who may see events."""
    if not admin.site.get_model_admin(Event).has_view_permission(context["request"]):
        return {}
    if not zoom_client.is_configured():
        affected = Event.objects.exclude(zoom_mode=Event.ZoomMode.PASTED)
        return {"without_credentials": list(affected)}
    notice: dict[str, Any] = {"fake_zoom": fake_zoom_url()}
    if account := ZoomAccount.objects.exclude(problem="").first():
        zone = (Event.objects.current(timezone.now()) or Event()).zone
        notice |= {"problem": account.problem, "since": account.problem_since, "zone": zone}
    return notice


@register.inclusion_tag("events/fake_zoom.html")
def fake_zoom_notice(event: Event) -> dict[str, Any]:
    """A notice to visitors that the event's meetings are fake."""
    return {"is_fake": bool(fake_zoom_url()) and event.creates_meetings}


def fake_zoom_url() -> str:
    """The URL of the fake Zoom; "" with the real Zoom or without any."""
    if not (settings.ZOOM_IS_FAKE and zoom_client.is_configured()):
        return ""
    api = urlsplit(settings.ZOOM_API_URL)
    return f"{api.scheme}://{api.netloc}/"
