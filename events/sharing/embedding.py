"""The code with which another website shows an event on its pages."""

from django.conf import settings
from django.utils.html import format_html
from django.utils.safestring import SafeString

from events.languages import column
from events.links import absolute, in_language
from events.models import Event


def embed_code(event: Event, language: str) -> SafeString:
    """HTML to copy. Without the script, which WordPress.com removes, the frame scrolls."""
    return format_html(
        '<iframe src="{}" title="{}" loading="lazy" style="width: 100%; height: 40rem; '
        'border: 0"></iframe>\n<script async src="{}"></script>',
        in_language(f"{event.get_absolute_url()}embed/", language),
        getattr(event, column("name", language)) or event.name,
        # Not the name that changes with each version: this code is pasted once.
        absolute(f"{settings.STATIC_URL}js/embed.js"),
    )
