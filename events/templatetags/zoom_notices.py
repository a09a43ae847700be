"""Notices about the connection to Zoom."""

from typing import Any
from urllib.parse import urlsplit

from django import template
from django.conf import settings
from django.contrib import admin
from django.utils import timezone

from events.models import Event, ZoomAccount
from events.zoom import sync

register = template.Library()


@register.inclusion_tag("admin/events/zoom_notice.html", takes_context=True)
def zoom_notice(context: template.RequestContext) -> dict[str, Any]:
    """Show problems with Zoom to organizers who may see events."""
    if not admin.site.get_model_admin(Event).has_view_permission(context["request"]):
        return {}
    if not sync.is_configured():
        affected = Event.objects.exclude(zoom_mode=Event.ZoomMode.PASTED)
        return {"without_credentials": list(affected)}
    problem = sync.account_problem()
    notice: dict[str, Any] = {"problem": problem, "stand_in": stand_in()}
    if problem:
        account = ZoomAccount.objects.first()
        notice["since"] = account and account.problem_since
        notice["zone"] = (Event.objects.current(timezone.now()) or Event()).zone
    return notice


@register.inclusion_tag("events/stand_in.html")
def zoom_stand_in(event: Event) -> dict[str, Any]:
    """Tell visitors that this event only tries things out, with a fake Zoom."""
    return {"tried_out": bool(stand_in()) and event.creates_meetings}


def stand_in() -> str:
    """Return the address of the fake Zoom in use, or "" when there is none."""
    if not (settings.ZOOM_IS_STAND_IN and sync.is_configured()):
        return ""
    api = urlsplit(settings.ZOOM_API_URL)
    return f"{api.scheme}://{api.netloc}/"
