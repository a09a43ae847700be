"""Who waits for a place in a session to come, in a line on the admin's first page."""

from typing import Any

from django import template
from django.db.models import Count
from django.utils import timezone

from events.models import Session
from registrations.models import Seat
from registrations.wording import people

register = template.Library()


@register.inclusion_tag("admin/registrations/seat/in_short.html", takes_context=True)
def waiting_in_short(context: template.RequestContext) -> dict[str, Any]:
    """For an organizer who may see places; nothing when nobody waits."""
    user = context["user"]
    if not any(user.has_perm(f"registrations.{do}_seat") for do in ("view", "change")):
        return {}
    waiting = Seat.objects.in_line().filter(
        session__in=Session.objects.open_to_register(timezone.now())
    )
    lines = waiting.order_by("session__starts_at", "session").values_list(
        "session", "session__title"
    )
    count = waiting.order_by().values("registration").distinct().count()
    return {
        "count": count,
        "people": people(count),
        "lines": list(lines.annotate(count=Count("pk"))),
    }
