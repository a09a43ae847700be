"""Whether mail flows, in a line on the admin's first page."""

from typing import Any

from django import template
from django.utils import timezone

from registrations import status

register = template.Library()


@register.inclusion_tag("admin/registrations/complaints.html", takes_context=True)
def mail_complaints(context: template.RequestContext) -> dict[str, Any]:
    """What an organizer who may see mails should know; nothing when all is well."""
    user = context["user"]
    may_see = any(user.has_perm(f"registrations.{do}_outgoingmail") for do in ("view", "change"))
    return {"complaints": status.mail_status(timezone.now()).complaints if may_see else []}
