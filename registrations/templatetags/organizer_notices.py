"""Notices to organizers on the admin's first page: what needs their attention."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django import template
from django.contrib import admin
from django.db.models import Count
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from events.models import Event, Session
from registrations import access_needs, monitoring, readiness
from registrations.formatting import counted, people
from registrations.models import AccessNeed, OutgoingMail, Registration, Seat
from registrations.privacy.erasure import erasure_plans

register = template.Library()


@dataclass(frozen=True)
class Notice:
    """Lines of HTML, and below them links: URL and text."""

    lines: list[SafeString]
    links: list[tuple[str, str]]
    css_class: str = "alarm"


@register.inclusion_tag("admin/registrations/notices.html", takes_context=True)
def organizer_notices(context: template.Context) -> dict[str, Any]:
    """Show the notices about models that the user may view."""
    now = timezone.now()
    notices = [
        notice
        for model, find_notice in NOTICES
        if admin.site.get_model_admin(model).has_view_permission(context["request"])
        and (notice := find_notice(now))
    ]
    return {"notices": notices}


def mail_notice(now: dt.datetime) -> Notice | None:
    complaints = monitoring.mail_status(now).complaints
    if not complaints:
        return None
    line = format_html('<b class="warning">The site needs you</b> {}', " ".join(complaints))
    url = reverse("admin:registrations_outgoingmail_status")
    return Notice([line], [(url, "See what waits, what failed and why")])


def readiness_notice(now: dt.datetime) -> Notice | None:
    event = Event.objects.current(now)
    if event is None:
        return None
    sessions = event.sessions.taking_place().select_related("event", "meeting")
    session = readiness.next_session(sessions, now)
    if session is None:
        return None
    url = reverse("admin:registrations_registration_readiness", args=[event.pk])
    links = [(url, "See who has a working link, and who came")]
    count = readiness.Board(event, now, sessions=[session]).tallies()[session.pk].without_link
    if not count:
        line = format_html("<b>Nobody lacks a working link</b> for {}.", session)
        return Notice([line], links, css_class="calm")
    line = format_html(
        '<b class="warning">{}</b> {} no working link for {}.',
        people(count),
        "has" if count == 1 else "have",
        session,
    )
    return Notice([line], links)


def waitlist_notice(now: dt.datetime) -> Notice | None:
    sessions = Session.objects.open_to_register(now)
    seats = Seat.objects.waitlist().filter(session__in=sessions).order_by()
    count = seats.values("registration").distinct().count()
    if not count:
        return None
    rows = (
        seats.order_by("session__starts_at", "session")
        .values_list("session", "session__title")
        .annotate(count=Count("pk"))
    )
    line = format_html(
        "<b>{}</b> {} for a place:", people(count), "waits" if count == 1 else "wait"
    )
    url = f"{reverse('admin:registrations_seat_changelist')}?state__exact=waiting&session="
    links = [(f"{url}{session}", f"{count} for {title}") for session, title, count in rows]
    return Notice([line], links, css_class="panel panel--live")


def access_notice(now: dt.datetime) -> Notice | None:
    lines = []
    for tally in access_needs.upcoming(now):
        if tally.requested:
            text = counted(tally.requested, "access need still open", "access needs still open")
            rest = f"; {tally.arranged} arranged, to be confirmed" if tally.arranged else ""
        else:
            text, rest = f"{tally.arranged} arranged, but not confirmed", ""
        line = '<b class="warning">{}</b> for {}, {}{}'
        lines.append(format_html(line, text, tally.day, tally.session, rest))
    url = reverse("admin:registrations_accessneed_changelist")
    return Notice(lines, [(url, "See who needs what")]) if lines else None


def erasure_notice(now: dt.datetime) -> Notice | None:
    lines = [
        format_html(
            '<b class="warning">{}</b> of {} {} erased {}: names, addresses and answers.',
            plan.people,
            plan.event,
            "is" if plan.people == "1 person" else "are",
            f"in {plan.left}, on {plan.when}" if plan.left else "now",
        )
        for plan in erasure_plans(now)
        if plan.is_soon
    ]
    url = reverse("admin:registrations_registration_retention")
    links = [(url, "See what stays, export before, or postpone it")]
    return Notice(lines, links) if lines else None


# The model that someone must be allowed to view, and what finds the notice. The most urgent first.
NOTICES = (
    (OutgoingMail, mail_notice),
    (Registration, readiness_notice),
    (Seat, waitlist_notice),
    (AccessNeed, access_notice),
    (Registration, erasure_notice),
)
