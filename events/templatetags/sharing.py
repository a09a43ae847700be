"""What the <head> of a public page says to search engines and to sites where it is shared."""

from django import template

from events.sharing import structured_data

register = template.Library()
register.simple_tag(structured_data.week, name="week_data")
register.simple_tag(structured_data.session, name="session_data")
