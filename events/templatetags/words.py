"""The words of an event on public pages; see events/models/words.py."""

from django import template
from django.utils.translation import gettext as _

from events import languages
from events.models import Event, Session
from events.models.words import kind_field

register = template.Library()


@register.filter
def kind_name(session: Session) -> str:
    """Kickoff"""
    kind = Session.Kind(session.kind)
    name = session.event.kind_name(kind)
    return languages.marked(session.event, kind_field(kind), name)


@register.filter
def tracks_title(event: Event) -> str:
    """Strategies"""
    return event.worded_html(_("Strategies"), "%(words)s")


@register.simple_tag
def tracks_heading(event: Event, count: int) -> str:
    """Four strategies"""
    usual = _("Four strategies") if count == 4 else _("Strategies")
    return event.worded_html(usual, "%(words)s")


@register.filter
def track_line(session: Session) -> str:
    """Strategy: Legislation."""
    usual, own = _("Strategy: %(track)s."), _("%(word)s: %(track)s.")
    return session.event.worded_html(usual, own, track=languages.marked(session.track, "name"))


@register.filter
def tracks_you_care_about(event: Event) -> str:
    """Strategies you care about"""
    return event.worded_html(_("Strategies you care about"), _("%(words)s you care about"))
