"""The join page: the one link that never goes stale."""

from csp.decorators import csp_replace
from django.db.models import Case, Q, QuerySet, When
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone, translation
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from events.models import Revision, Session
from registrations import joining
from registrations.models import Registration, Seat
from registrations.views.notices import Notice, redirect_saying


# The form needs no CSRF token: only someone with the secret address can send it, and the browser
# inside a mail app may block the cookie. Its redirect may go through any number of hosts at Zoom or
# elsewhere, and browsers apply form-action to each of them.
@csrf_exempt
@csp_replace({"form-action": None})  # type: ignore[arg-type]
@require_http_methods(["GET", "HEAD", "POST"])
def join(request: HttpRequest, token: str, session_slug: str) -> HttpResponse:
    """While the doors are open, a form that redirects to Zoom; otherwise explain why not.

    The page's script sends the form at once. Mail scanners fetch every link, so a visit only counts
    as one when the form is sent.
    """
    seat = seat_for_link(token, session_slug)
    if seat is None:
        return redirect_without_seat(token, session_slug)
    translation.activate(seat.registration.language)
    status = joining.SeatStatus(seat, timezone.now())
    if status.leads_to_zoom and request.method == "POST":
        joining.record_opened(seat)
        return HttpResponseRedirect(status.zoom_url, status=303)
    if status.leads_to_zoom and request.method == "GET":
        joining.record_fetched(seat)
    context = {
        "status": status,
        "registration": seat.registration,
        "event": status.session.event,
        "zone": seat.registration.zone,
        "language_url": reverse("switch_language", args=[token]),
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
    return redirect_saying(Notice.NO_SEAT, registration.get_absolute_url())
