"""The join page: the one link that never goes stale."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from events.models import Session

from .. import joining
from ..models import Registration, Seat


@require_safe
def join(request: HttpRequest, token: str, session_slug: str) -> HttpResponse:
    """Lead to the session's Zoom link while the doors are open; a page says why else."""
    seat = seat_by_link(token, session_slug)
    door = joining.door(seat, timezone.now())
    if door.state == joining.State.OPEN:
        if request.method == "GET" and "Sec-Purpose" not in request.headers:
            joining.note_opened(seat)
        return redirect(door.zoom_url)
    return door_page(request, door, seat.registration)


def seat_by_link(token: str, session_slug: str) -> Seat:
    """Whose place a link leads to; it may name the session as it was called before."""
    seats = Seat.objects.admitted().filter(
        registration__token=token, session__status=Session.Status.PUBLISHED
    )
    seats = seats.select_related(
        "registration", "session__event", "session__meeting", "personal_link"
    )
    seat = seats.filter(session__slug=session_slug).first()
    return seat or get_object_or_404(
        seats.filter(session__revisions__slug=session_slug).order_by("pk").distinct()[:1]
    )


def door_page(request: HttpRequest, door: joining.Door, registration: Registration) -> HttpResponse:
    """The page before a closed door; it looks again by itself while there is hope."""
    context = {
        "door": door,
        "registration": registration,
        "event": door.session.event,
        "zone": registration.zone,
    }
    response = render(request, "registrations/join.html", context)
    if door.ask_again_after is not None:
        # The page's own script is first; this is for browsers without it.
        response["Refresh"] = str(door.ask_again_after)
    return response
