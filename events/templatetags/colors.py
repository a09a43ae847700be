"""Colors in templates that CSS can't reach."""

from django import template

from events.palette import COLORS, DARK_COLORS

register = template.Library()


@register.simple_tag
def color(name: str, *, dark: bool = False) -> str:
    return (DARK_COLORS if dark else COLORS)[name]
