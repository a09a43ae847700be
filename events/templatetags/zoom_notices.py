"""How we stand with Zoom, in a few lines on the pages about events and sessions."""

from typing import Any
from urllib.parse import urlsplit

from django import template
from django.conf import settings
from django.utils import timezone

from events.models import Event, ZoomAccount
from events.zoom import sync

register = template.Library()


@register.inclusion_tag("admin/events/zoom_notice.html", takes_context=True)
def zoom_notice(context: template.RequestContext) -> dict[str, Any]:
    """What an organizer who may see events should know; nothing when all is well."""
    user = context["user"]
    if not any(user.has_perm(f"events.{do}_event") for do in ("view", "change")):
        return {}
    if not sync.is_configured():
        wanting = Event.objects.exclude(zoom_mode=Event.ZoomMode.PASTED)
        return {"without_credentials": list(wanting)}
    problem = sync.account_problem()
    notice: dict[str, Any] = {"problem": problem, "fake_zoom": fake_zoom_url()}
    if problem:
        account = ZoomAccount.objects.first()
        notice["since"] = account and account.problem_since
        notice["zone"] = (Event.objects.current(timezone.now()) or Event()).zone
    return notice


@register.inclusion_tag("events/fake_zoom.html")
def fake_zoom_notice(event: Event) -> dict[str, Any]:
    """A notice to visitors that the event's meetings are fake."""
    return {"is_fake": bool(fake_zoom_url()) and event.creates_meetings}


def fake_zoom_url() -> str:
    """The URL of the fake Zoom; "" with the real Zoom or without any."""
    if not (settings.ZOOM_IS_FAKE and sync.is_configured()):
        return ""
    api = urlsplit(settings.ZOOM_API_URL)
    return f"{api.scheme}://{api.netloc}/"
