"""The organizers' desk, on the admin's front page: what to do now, now and next, and numbers."""

import datetime as dt
from typing import Any

from django.contrib import admin
from django.db.models import Model, Q
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _

from events.admin.publishing import may_change
from events.admin.shared import by_id, default_event
from events.models import Event, Session
from events.zoom.status import meeting_status
from registrations import monitoring, readiness
from registrations.admin.set_up.page import set_up_context
from registrations.desk import numbers, todo
from registrations.models import Attendance, OutgoingMail, Registration, Seat
from registrations.privacy.erasure import erasure_plans

# Weeks that run at the same time are all shown, but a page has room for a few.
SHOWN_AT_ONCE = 3


def desk_context(request: HttpRequest) -> dict[str, Any]:
    """The desk's sections, about what the user may view. Empty if that is nothing."""
    about: set[type[Model]] = {Event, Registration, Seat, OutgoingMail, *todo.models()}
    viewable = {model for model in about if may_view(request, model)}
    changeable = {model for model in todo.models() if may_change(request, model)}
    may_add_event = admin.site.get_model_admin(Event).has_add_permission(request)
    if not viewable and (not may_add_event or Event.objects.exists()):
        return {}
    now = timezone.now()
    events = shown_events(request, now)
    shown = [event.pk for event in events]
    status = monitoring.mail_status(now) if OutgoingMail in viewable else None
    return {
        "title": _("The organizers' desk"),
        "has_desk": True,
        "complaints": status.complaints if status else [],
        "erasures": soon_erased(now) if Registration in viewable else [],
        "may_add_event": may_add_event,
        "may_see_sessions": may_view(request, Session),
        "choices": Event.objects.filter(Q(archived_at=None) | Q(pk__in=shown)),
        "shown": shown,
        "desks": [event_context(event, now, viewable, changeable) for event in events],
        "processes": processes(status) if status else [],
        "email_days": numbers.EMAIL_DAYS,
        **set_up_context(request),
    }


def may_view(request: HttpRequest, model: type[Model]) -> bool:
    return admin.site.get_model_admin(model).has_view_permission(request)


def shown_events(request: HttpRequest, now: dt.datetime) -> list[Event]:
    """The event that was chosen; otherwise the default one, and all that run at this moment."""
    if chosen := by_id(Event.objects.all(), pk=request.GET.get("event")):
        return [chosen]
    default = default_event()
    if default is None:
        return []
    running = Event.objects.published().with_times()
    running = running.filter(first_starts_at__lte=now, last_ends_at__gt=now)
    others = running.exclude(pk=default.pk).order_by("first_starts_at", "pk")
    return [default, *others[: SHOWN_AT_ONCE - 1]]


def soon_erased(now: dt.datetime) -> list[Any]:
    return [plan for plan in erasure_plans(now) if plan.is_soon]


def processes(status: monitoring.MailStatus) -> list[tuple[Any, bool]]:
    """Each background process, and whether it's running."""
    return [(process.label, status.is_alive(process)) for process in status.seen]


def event_context(
    event: Event, now: dt.datetime, viewable: set[type[Model]], changeable: set[type[Model]]
) -> dict[str, Any]:
    """One week's sections."""
    context: dict[str, Any] = {"event": event}
    if viewable & todo.models():
        tasks = todo.tasks(event, now, viewable, changeable)
        context |= {"shows_tasks": True, "tasks": tasks}
    if Registration in viewable:
        context |= {
            "next": next_context(event, now),
            "totals": numbers.registration_totals(event),
            "chart": numbers.registrations_per_day(event, now),
            "people_by": numbers.people_by(event),
        }
    if Seat in viewable:
        context["seats"] = numbers.seats_by_session(event, now)
    if Session in viewable:
        context["zoom"] = numbers.zoom_meetings(event)
    if OutgoingMail in viewable:
        context |= {"shows_emails": True, "emails": numbers.emails_by_state(event, now)}
    return context


def next_context(event: Event, now: dt.datetime) -> dict[str, Any] | None:
    """The session that is on or next: who is expected, who is there, and who can't get in."""
    sessions = event.sessions.taking_place().select_related("event", "meeting")
    session = readiness.next_session(sessions, now)
    if session is None:
        return None
    zoom = meeting_status(session, now)
    staying = Attendance.objects.filter(session=session, joined_at__isnull=False, left_at=None)
    return {
        "session": session,
        "is_on": session.starts_at <= now,
        "are_doors_open": session.doors_open_at <= now,
        "summary": readiness.summary(session),
        "zoom": zoom,
        "in_meeting": staying.count() if zoom.is_running else None,
    }
