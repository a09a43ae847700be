"""What is still to arrange for the next days, in a line on the admin's first page."""

from typing import Any

from django import template
from django.utils import timezone

from registrations import access

register = template.Library()


@register.inclusion_tag("admin/registrations/accessneed/in_short.html", takes_context=True)
def access_in_short(context: template.RequestContext) -> dict[str, Any]:
    """For an organizer who may see access needs; nothing when nothing is left to do."""
    user = context["user"]
    may_see = any(user.has_perm(f"registrations.{do}_accessneed") for do in ("view", "change"))
    return {"tallies": access.soon(timezone.now()) if may_see else []}
