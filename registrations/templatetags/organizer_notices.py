"""What is still to arrange for the next days, in a line on the admin's first page."""

from typing import Any

from django import template
from django.db.models import Count
from django.utils import timezone

from events.models import Event, Session
from registrations import access_needs, monitoring, readiness
from registrations.formatting import people
from registrations.models import Seat
from registrations.privacy.erasure import erasure_plans

register = template.Library()


@register.inclusion_tag("admin/registrations/accessneed/in_short.html", takes_context=True)
def access_in_short(context: template.RequestContext) -> dict[str, Any]:
    """For an organizer who may see access needs; nothing when nothing is left to do."""
    user = context["user"]
    may_see = any(user.has_perm(f"registrations.{do}_accessneed") for do in ("view", "change"))
    return {"tallies": access_needs.upcoming(timezone.now()) if may_see else []}


@register.inclusion_tag("admin/registrations/complaints.html", takes_context=True)
def mail_complaints(context: template.RequestContext) -> dict[str, Any]:
    """What an organizer who may see mails should know; nothing when all is well."""
    user = context["user"]
    may_see = any(user.has_perm(f"registrations.{do}_outgoingmail") for do in ("view", "change"))
    return {"complaints": monitoring.mail_status(timezone.now()).complaints if may_see else []}


@register.inclusion_tag("admin/registrations/seat/in_short.html", takes_context=True)
def waiting_in_short(context: template.RequestContext) -> dict[str, Any]:
    """For an organizer who may see places; nothing when nobody waits."""
    user = context["user"]
    if not any(user.has_perm(f"registrations.{do}_seat") for do in ("view", "change")):
        return {}
    waiting = Seat.objects.waitlist().filter(
        session__in=Session.objects.open_to_register(timezone.now())
    )
    lines = waiting.order_by("session__starts_at", "session").values_list(
        "session", "session__title"
    )
    count = waiting.order_by().values("registration").distinct().count()
    return {
        "count": count,
        "people": people(count),
        "lines": list(lines.annotate(count=Count("pk"))),
    }


@register.inclusion_tag("admin/registrations/readiness/in_short.html", takes_context=True)
def readiness_in_short(context: template.RequestContext) -> dict[str, Any]:
    """For an organizer who may see registrations, of the current event; nothing when it is over."""
    user, now = context["user"], timezone.now()
    may_see = any(user.has_perm(f"registrations.{do}_registration") for do in ("view", "change"))
    event = Event.objects.current(now) if may_see else None
    if event is None:
        return {}
    sessions = event.sessions.taking_place().select_related("event", "meeting")
    session = readiness.next_session(sessions, now)
    if session is None:
        return {}
    board = readiness.Board(event, now, sessions=[session])
    lacking = board.tallies()[session.pk].without_link
    return {"event": event, "session": session, "lacking": people(lacking) if lacking else ""}


@register.inclusion_tag("admin/registrations/retention_in_short.html", takes_context=True)
def retention_in_short(context: template.RequestContext) -> dict[str, Any]:
    """For an organizer who may see registrations; nothing while it is more than a week ahead."""
    user, now = context["user"], timezone.now()
    may_see = any(user.has_perm(f"registrations.{do}_registration") for do in ("view", "change"))
    return {"plans": [plan for plan in erasure_plans(now) if plan.is_soon] if may_see else []}
