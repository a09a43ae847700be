"""Shows organizers' Markdown on pages."""

from django import template
from django.utils.safestring import SafeString, mark_safe

from events.text import markdown

register = template.Library()


@register.filter
def markdown_below(source: str, level: int) -> SafeString:
    """Markdown as HTML, in a section whose heading has this level."""
    return mark_safe(markdown.to_html(source, below=level))  # noqa: S308  # Sanitized there.
