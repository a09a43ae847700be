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
    notice: dict[str, Any] = {"problem": problem, "stand_in": stand_in()}
    if problem:
        account = ZoomAccount.objects.first()
        notice["since"] = account and account.problem_since
        notice["zone"] = (Event.objects.current(timezone.now()) or Event()).zone
    return notice


@register.inclusion_tag("events/stand_in.html")
def zoom_stand_in(event: Event) -> dict[str, Any]:
    """That visitors of this event only try out."""
    return {"tried_out": bool(stand_in()) and event.creates_meetings}


def stand_in() -> str:
    """The address of the server that stands in for Zoom; "" for Zoom itself, or without one."""
    if not (settings.ZOOM_IS_STAND_IN and sync.is_configured()):
        return ""
    api = urlsplit(settings.ZOOM_API_URL)
    return f"{api.scheme}://{api.netloc}/"
