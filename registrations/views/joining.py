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
    """Lead to the session's Zoom link while the doors are open; a page says why else."""
    seat = seat_by_link(token, session_slug)
    if seat is None:
        return without_a_place(token, session_slug)
    door = joining.door(seat, timezone.now())
    if door.state == joining.DoorState.OPEN:
        if request.method == "GET" and "Sec-Purpose" not in request.headers:
            joining.record_opened(seat)
        return redirect(door.zoom_url)
    return door_page(request, door, seat.registration)


def seat_by_link(token: str, session_slug: str) -> Seat | None:
    """Whose place a link leads to."""
    seats = Seat.objects.admitted().filter(
        registration__token=token, session__in=sessions_called(session_slug)
    )
    seats = seats.select_related(
        "registration", "session__event", "session__meeting", "personal_link"
    )
    # One that is called so now comes before one that was.
    is_called_so = Case(When(session__slug=session_slug, then=1), default=0)
    return seats.order_by(is_called_so, "-pk").last()


def sessions_called(slug: str) -> QuerySet[Session]:
    """Public ones of this name; links may name a session as it was called before."""
    named = Q(slug=slug) | Q(pk__in=Revision.objects.filter(slug=slug).values("session"))
    return Session.objects.published().filter(named)


def without_a_place(token: str, session_slug: str) -> HttpResponse:
    """An old link of a session that its owner has left, or waits for: their page says more."""
    person = get_object_or_404(Registration.objects.admitted(), token=token)
    get_object_or_404(sessions_called(session_slug).filter(event=person.event_id)[:1])
    return redirect(f"{person.get_absolute_url()}?said=no-place")


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
