"""Notices to organizers on the admin's first page: what needs their attention."""

import datetime as dt
from typing import Any

from django import template
from django.contrib import admin
from django.db.models import Count
from django.utils import timezone

from events import languages
from events.models import Event, Session
from registrations import access_needs, monitoring, readiness, seats
from registrations.models import AccessNeed, OutgoingMail, Registration, Seat
from registrations.privacy.erasure import erasure_plans

register = template.Library()


@register.inclusion_tag("admin/registrations/notices.html", takes_context=True)
def organizer_notices(context: template.Context) -> dict[str, Any]:
    """Show the notices about models that the user may view."""
    now, request = timezone.now(), context["request"]
    return {
        name: find(now)
        for name, (model, find) in NOTICES.items()
        if admin.site.get_model_admin(model).has_view_permission(request)
    }


def next_session(now: dt.datetime) -> dict[str, Any] | None:
    """Count who has no working link for the next session."""
    event = Event.objects.current(now)
    if event is None:
        return None
    sessions = event.sessions.taking_place().select_related("event", "meeting")
    session = readiness.next_session(sessions, now)
    if session is None:
        return None
    tallies = readiness.Board(event, now, sessions=[session]).tallies()
    return {"event": event, "session": session, "without_link": tallies[session.pk].without_link}


def waitlist(now: dt.datetime) -> dict[str, Any]:
    sessions = Session.objects.open_to_register(now)
    waiting = Seat.objects.waitlist().filter(session__in=sessions)
    by_session = waiting.order_by("session__starts_at", "session")
    titles = languages.columns("session__title")
    rows = by_session.values("session", *titles).annotate(count=Count("pk"))
    idle = seats.idle_counts([row["session"] for row in rows], now)
    return {
        "people": waiting.order_by().values("registration").distinct().count(),
        "sessions": [
            {
                "session": row["session"],
                "title": languages.shown(row, "session__title"),
                "count": row["count"],
                "idle": idle.get(row["session"], 0),
            }
            for row in rows
        ],
    }


# The model that someone must be allowed to view, and what the template shows.
NOTICES = {
    "complaints": (OutgoingMail, lambda now: monitoring.mail_status(now).complaints),
    "next": (Registration, next_session),
    "waitlist": (Seat, waitlist),
    "needs": (AccessNeed, access_needs.upcoming),
    "erasures": (Registration, lambda now: [plan for plan in erasure_plans(now) if plan.is_soon]),
}
