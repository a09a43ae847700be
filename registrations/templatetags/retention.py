"""Whose data is erased within a week, in a line on the admin's first page."""

from typing import Any

from django import template
from django.utils import timezone

from registrations.admin.retention import plans

register = template.Library()


@register.inclusion_tag("admin/registrations/retention_in_short.html", takes_context=True)
def retention_in_short(context: template.RequestContext) -> dict[str, Any]:
    """For an organizer who may see registrations; nothing while it is more than a week ahead."""
    user, now = context["user"], timezone.now()
    may_see = any(user.has_perm(f"registrations.{do}_registration") for do in ("view", "change"))
    return {"plans": [plan for plan in plans(now) if plan.is_soon] if may_see else []}
