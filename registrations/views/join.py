"""The join page: the one link that never goes stale."""

from django.db.models import Case, Q, QuerySet, When
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from events.models import Revision, Session
from registrations import joining
from registrations.models import Registration, Seat


@require_safe
def join(request: HttpRequest, token: str, session_slug: str) -> HttpResponse:
    """Redirect to the session's Zoom link while the doors are open; otherwise explain why not."""
    seat = seat_for_link(token, session_slug)
    if seat is None:
        return redirect_without_seat(token, session_slug)
    status = joining.SeatStatus(seat, timezone.now())
    if status.is_joinable and status.zoom_url and not status.is_host:
        # A browser's prefetch isn't a visit (its Sec-Purpose header says so).
        if request.method == "GET" and "Sec-Purpose" not in request.headers:
            joining.record_opened(seat)
        return redirect(status.zoom_url)
    context = {
        "status": status,
        "registration": seat.registration,
        "event": status.session.event,
        "zone": seat.registration.zone,
    }
    response = render(request, "registrations/join.html", context)
    if status.join_page_refresh is not None:
        # For browsers without JavaScript: the page's own script is earlier.
        response["Refresh"] = str(status.join_page_refresh)
    return response


def seat_for_link(token: str, session_slug: str) -> Seat | None:
    shown = ("registration", "session__event", "session__meeting", "personal_link")
    seats = (
        Seat.objects.admitted()
        .select_related(*shown)
        .filter(registration__token=token, session__in=sessions_with_slug(session_slug))
    )
    # A session that has this slug now takes precedence over one that used to.
    is_current_slug = Case(When(session__slug=session_slug, then=1), default=0)
    return seats.order_by(is_current_slug, "-pk").last()


def sessions_with_slug(slug: str) -> QuerySet[Session]:
    """Published sessions that have this slug or had it before: links may be older than a rename."""
    earlier = Revision.objects.filter(slug=slug).values("session")
    return Session.objects.published().filter(Q(slug=slug) | Q(pk__in=earlier))


def redirect_without_seat(token: str, session_slug: str) -> HttpResponse:
    """The person has left the session or is on its waitlist: their own page explains more."""
    registration = get_object_or_404(Registration.objects.admitted(), token=token)
    sessions = sessions_with_slug(session_slug).filter(event=registration.event_id)
    get_object_or_404(sessions[:1])
    return redirect(f"{registration.get_absolute_url()}?notice=no-seat")
