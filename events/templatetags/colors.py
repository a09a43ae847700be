"""Colors in templates that CSS can't reach."""

from typing import Any

from django import template
from django.urls import reverse

from events.sharing import palette

register = template.Library()


@register.simple_tag
def color(name: str, colors: str, *, dark: bool = False) -> str:
    """A color of the set that an event chose; of the site's own set if there is no event."""
    return (palette.dark_colors if dark else palette.colors)(colors)[name]


@register.simple_tag
def icon_url(event: Any, view: str = "icon") -> str:
    """The address of the event's icon, or of the site's own if there is no event."""
    if not event:
        return reverse(view)
    mark = "bars" if event.poster == "bars" else "sun"
    return reverse(view, args=[mark, event.colors])
