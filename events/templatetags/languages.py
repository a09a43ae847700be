"""Marks texts that aren't in the page's language; see events/languages.py.

An element that only shows such a text has the attribute: `<h1{% lang session "title" %}>`. Inside a
sentence it's `{{ session|marked:"title" }}`.
"""

from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from events import languages
from events.links import in_language

register = template.Library()
register.filter(languages.own_name)
register.filter(languages.marked)


@register.simple_tag
def lang(row: Any, name: str) -> str:
    """The attribute for the element that shows this text: ` lang="en"`, or nothing.

    Screen readers then pronounce it right.
    """
    code = languages.other_language(row, name)
    return format_html(' lang="{}"', code) if code else ""


@register.simple_tag
def languages_of(path: str) -> list[tuple[str, str]]:
    """The code of each language, and the URL of this public page in it."""
    return [(code, in_language(path, code)) for code in languages.codes()]


@register.simple_block_tag
def noting_languages(content: SafeString) -> SafeString:
    """Say once, above the content, that some of it is only in another language."""
    found = languages.other_languages(content)
    if not found:
        return content
    note = languages.note_on_page(found)
    return format_html('<p class="language-note">{}</p>\n{}', note, content)
