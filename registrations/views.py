"""Registering, joining, and a person's own page."""

from typing import Any

from django.core.cache import caches
from django.db.models import Prefetch
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.middleware.csrf import get_token
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from events.models import Event, Session
from events.views import calendar_response

from . import joining, signup, unsubscribing
from .forms import RegistrationForm
from .models import Registration, Seat
from .parts import personal_calendar_of

CSRF_STAND_IN = "csrf-token-goes-here"


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def register(request: HttpRequest, event_slug: str) -> HttpResponse:
    if request.method != "POST":
        return blank_form(request, event_slug)
    context = sign_up_context(event_slug, request.POST)
    if context["phase"] != Event.Phase.OPEN:
        return render(request, "registrations/not_open.html", context)
    form = context["form"]
    if not form.is_valid():
        return render(request, "registrations/register.html", context)
    signup.register(event=context["event"], **form.cleaned_data)
    context["email"] = form.cleaned_data["email"]
    return render(request, "registrations/registered.html", context)


def sign_up_context(event_slug: str, data: QueryDict | None = None) -> dict[str, Any]:
    """The event, what of it is open to register, and the form. Raises Http404."""
    event = get_object_or_404(Event.objects.published(), slug=event_slug)
    now = timezone.now()
    sessions = list(event.sessions.open_to_register(now))
    return {
        "event": event,
        "zone": event.zone,
        "phase": event.registration_phase(now, sessions),
        "sessions": sessions,
        "form": RegistrationForm(
            data, event=event, sessions=sessions, strategies=event.tracks.all()
        ),
    }


def blank_form(request: HttpRequest, event_slug: str) -> HttpResponse:
    """The form as everyone gets it, rendered every five seconds; one's own is the CSRF token.

    When registration is announced many open this page at once, most of them on phones.
    """

    def rendered() -> str:
        context = {**sign_up_context(event_slug), "csrf_token": CSRF_STAND_IN}
        is_open = context["phase"] == Event.Phase.OPEN
        name = "register" if is_open else "not_open"
        return render_to_string(f"registrations/{name}.html", context)

    page = caches["pages"].get_or_set(f"register/{event_slug}", rendered, 5)
    return HttpResponse(str(page).replace(CSRF_STAND_IN, get_token(request)))


def live_registration(token: str) -> Registration:
    """Raises Http404 alike for a token that never was and one that was cancelled."""
    return get_object_or_404(Registration.objects.live().select_related("event"), token=token)


def attended_seats(registration: Registration) -> list[Seat]:
    """Someone's seats in public sessions, with all of these that their page shows."""
    seats = registration.seats.seated().filter(session__status=Session.Status.PUBLISHED)
    sessions = Prefetch("session", queryset=Session.objects.with_details())
    return list(seats.select_related("personal_link").prefetch_related(sessions))


@require_safe
def me(request: HttpRequest, token: str) -> HttpResponse:
    registration = live_registration(token)
    if not registration.is_admitted:
        return pending_page(request, registration)
    now = timezone.now()
    doors = [joining.door(seat, now) for seat in attended_seats(registration)]
    over = {joining.State.ENDED, joining.State.CANCELLED}
    context = {
        "registration": registration,
        "event": registration.event,
        "zone": registration.zone,
        "doors": doors,
        "next_door": next((door for door in doors if door.state not in over), None),
    }
    return render(request, "registrations/me.html", context)


def pending_page(request: HttpRequest, registration: Registration) -> HttpResponse:
    """What someone entered, and that the organizers look at it; what is public, and no more."""
    asked_for = Session.objects.published().filter(registrations=registration)
    context = {
        "registration": registration,
        "event": registration.event,
        "zone": registration.zone,
        "sessions": asked_for.select_related("event"),
    }
    return render(request, "registrations/pending.html", context)


@require_safe
def my_calendar(request: HttpRequest, token: str) -> HttpResponse:
    registration = live_registration(token)
    if not registration.is_admitted:
        raise Http404
    sessions = [seat.session for seat in attended_seats(registration)]
    calendar = personal_calendar_of(registration, sessions)
    return calendar_response(calendar, f"{registration.event.slug}.ics")


@require_POST
def cancel(request: HttpRequest, token: str) -> HttpResponse:
    registration = live_registration(token)
    signup.cancel(registration=registration)
    context = {"registration": registration, "event": registration.event}
    return render(request, "registrations/cancelled.html", context)


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


@csrf_exempt
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def unsubscribe(request: HttpRequest, signed: str) -> HttpResponse:
    """Stop announcements, or take that back. A POST without cookies will do (RFC 8058)."""
    registration = unsubscribing.registration_of(signed)
    if unsubscribing.is_sample(signed):
        return render(request, "registrations/unsubscribe_sample.html")
    if registration is None:
        raise Http404
    if request.method == "POST":
        again = "again" in request.POST
        verb = unsubscribing.subscribe if again else unsubscribing.unsubscribe
        verb(registration=registration)
        registration.refresh_from_db()
    context = {"registration": registration, "event": registration.event}
    return render(request, "registrations/unsubscribe.html", context)
