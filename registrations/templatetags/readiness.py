"""Who has no working link for the next session, in a line on the admin's first page."""

from typing import Any

from django import template
from django.utils import timezone

from events.models import Event
from registrations import readiness
from registrations.wording import people

register = template.Library()


@register.inclusion_tag("admin/registrations/readiness/in_short.html", takes_context=True)
def readiness_in_short(context: template.RequestContext) -> dict[str, Any]:
    """For an organizer who may see registrations, of the current event; nothing when it is over."""
    user, now = context["user"], timezone.now()
    may_see = any(user.has_perm(f"registrations.{do}_registration") for do in ("view", "change"))
    event = Event.objects.current(now) if may_see else None
    session = readiness.next_session(event.sessions.held(), now) if event else None
    if event is None or session is None:
        return {}
    board = readiness.Board(event, now, session=session)
    lacking = board.tallies()[session.pk].without_link
    return {"event": event, "session": session, "lacking": people(lacking) if lacking else ""}
