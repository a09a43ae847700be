"""Where organizers start while there is no event."""

from typing import Any

from django import template
from django.contrib import admin

from events.models import Event

register = template.Library()


@register.inclusion_tag("admin/events/first_week.html", takes_context=True)
def first_week(context: template.RequestContext) -> dict[str, Any]:
    """Offer to create a week to organizers who may, on a site without any."""
    may_add = admin.site.get_model_admin(Event).has_add_permission(context["request"])
    return {"is_shown": may_add and not Event.objects.exists()}
