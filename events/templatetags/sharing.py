"""What public pages say to search engines, and what people share and print."""

from django import template
from django.conf import settings
from django.utils.safestring import SafeString
from django.utils.translation import get_language

from events.links import absolute, in_current_language
from events.models import Event
from events.sharing import calendar_links, qr_code, structured_data

register = template.Library()
register.simple_tag(structured_data.week, name="week_data")
register.simple_tag(structured_data.session, name="session_data")
register.simple_tag(calendar_links.add_session)
register.simple_tag(calendar_links.add_week)


@register.simple_tag
def address_to_share(event: Event) -> str:
    """The event's public URL. Someone who opens it gets the current language, and keeps it."""
    language = get_language()
    query = "" if language == settings.LANGUAGE_CODE else f"?language={language}"
    return absolute(f"{event.get_absolute_url()}{query}")


@register.simple_tag
def picture_of(path: str) -> str:
    """The URL of the picture that is shown where the page at this path is shared."""
    return in_current_language(f"{path}picture.png")


@register.simple_tag
def event_qr_code(event: Event) -> SafeString:
    return qr_code.svg(address_to_share(event))


@register.simple_tag
def typed_address(event: Event) -> str:
    """The event's address as people type it: week.example.org/drop-lwop-2021"""
    return absolute(event.get_absolute_url()).partition("://")[2].rstrip("/")
