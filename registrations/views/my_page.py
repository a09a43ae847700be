"""A person's own page, opened by the secret in its address, and what they can do there."""

import datetime as dt
import enum
import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db.models import Prefetch
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from events.models import Event, Session
from events.views import calendar_response
from registrations import joining, seats, signup
from registrations.forms import ChangeForm
from registrations.models import Registration, Seat
from registrations.personal_calendar import personal_calendar_for


def is_seated(seat: Seat) -> bool:
    return seat.state == Seat.State.SEATED


class Live(enum.StrEnum):
    """How a session stands for someone who has a place in it, or waits for one."""

    UPCOMING = "upcoming"
    DOORS_OPEN = "doors open"
    NOW = "now"
    PAUSED = "paused"
    ENDED = "ended"
    CANCELED = "canceled"
    WAITING = "waiting"


# A page that is open looks again at least this often, so that it learns of what has moved.
LONGEST_WAIT = dt.timedelta(minutes=10)
# What someone may be led to next.
AHEAD = {Live.UPCOMING, Live.DOORS_OPEN, Live.NOW, Live.PAUSED}


@dataclass(frozen=True)
class Row:
    """A session on someone's own page; `place` is theirs in its waiting list."""

    seat: Seat
    door: joining.Door
    live: Live
    place: int | None

    @property
    def is_seated(self) -> bool:
        return is_seated(self.seat)

    @property
    def is_too_late(self) -> bool:
        """Whether nobody is called from the waiting list any more."""
        session = self.door.session
        keeps = session.event.late_places == Event.LatePlaces.KEEP
        return keeps and self.door.now > session.starts_at - seats.LATE_WINDOW

    @property
    def changes_at(self) -> list[dt.datetime]:
        """The moments from which it stands otherwise."""
        session = self.door.session
        begun = [session.starts_at - seats.LATE_WINDOW, session.doors_open_at, session.starts_at]
        return [*begun, session.ends_at, session.ends_at + joining.OVERRUN]


def row(seat: Seat, door: joining.Door) -> Row:
    live = live_state(seat, door)
    place = seats.waitlist_position(seat) if live == Live.WAITING else None
    return Row(seat=seat, door=door, live=live, place=place)


def live_state(seat: Seat, door: joining.Door) -> Live:
    """By the clock, or where Zoom reports that a meeting runs or is over, by that."""
    if door.state == joining.DoorState.CANCELED:
        return Live.CANCELED
    runs = runs_at_zoom(door.session)
    if door.state == joining.DoorState.ENDED:
        return Live.NOW if runs and door.overrun_url and is_seated(seat) else Live.ENDED
    if not is_seated(seat):
        return Live.WAITING
    if door.state == joining.DoorState.WAITING:
        return Live.UPCOMING
    if runs is False and door.started:
        return Live.PAUSED
    return Live.NOW if runs or door.started else Live.DOORS_OPEN


def seconds_to_next_look(rows: list[Row], now: dt.datetime) -> int | None:
    """When an open page should look again; None when nothing is to come any more."""
    coming = [moment - now for row in rows for moment in row.changes_at if moment > now]
    if not coming:
        return None
    return math.ceil(min(*coming, LONGEST_WAIT).total_seconds())


def runs_at_zoom(session: Session) -> bool | None:
    """Whether people meet there now; None when Zoom has said nothing of the session itself."""
    meeting = session.meeting_or_none
    if meeting is None or not meeting.started_at or meeting.started_at < session.doors_open_at:
        return None
    return meeting.ended_at is None


def own_registration(token: str) -> Registration:
    """Raises Http404 alike for a token that never was, was renewed, or is of someone erased."""
    kept = Registration.objects.filter(erased_at=None).select_related("event")
    return get_object_or_404(kept, token=token)


def active_registration(token: str) -> Registration:
    """As `own_registration`, with Http404 for whoever has canceled too."""
    registration = own_registration(token)
    if registration.canceled_at:
        raise Http404
    return registration


def shown_seats(registration: Registration) -> list[Seat]:
    """Someone's places in public sessions and their waiting lists, with all that pages show."""
    sessions = Prefetch("session", queryset=Session.objects.with_details())
    shown = registration.seats.filter(session__status=Session.Status.PUBLISHED)
    return list(shown.select_related("personal_link").prefetch_related(sessions, "access_needs"))


def attended_seats(registration: Registration) -> list[Seat]:
    """Of the `shown_seats` those that are places."""
    return [seat for seat in shown_seats(registration) if is_seated(seat)]


@require_safe
def me(request: HttpRequest, token: str) -> HttpResponse:
    registration = own_registration(token)
    if registration.canceled_at:
        return canceled_page(request, registration)
    if not registration.is_admitted:
        return pending_page(request, registration)
    now = timezone.now()
    rows = [row(seat, joining.door(seat, now)) for seat in shown_seats(registration)]
    context = {
        **shared_context(request, registration),
        "rows": rows,
        "next": next((row for row in rows if row.live in AHEAD), None),
        "seconds": seconds_to_next_look(rows, now),
    }
    return render(request, "registrations/me.html", context)


def pending_page(request: HttpRequest, registration: Registration) -> HttpResponse:
    """What someone entered, and that the organizers look at it; what is public, and no more."""
    asked_for = Session.objects.published().filter(registrations=registration)
    waited_for = registration.seats.filter(state=Seat.State.WAITING).select_related("session")
    context = {
        **shared_context(request, registration),
        "sessions": asked_for.select_related("event"),
        "waiting": {seat.session for seat in waited_for},
    }
    return render(request, "registrations/pending.html", context)


def canceled_page(request: HttpRequest, registration: Registration) -> HttpResponse:
    context = {
        **shared_context(request, registration),
        "phase": registration_phase(registration.event),
    }
    return render(request, "registrations/canceled.html", context)


def shared_context(request: HttpRequest, registration: Registration) -> dict[str, object]:
    """What all these pages show; `said` is a word that `redirect_to_own_page` was given."""
    return {
        "registration": registration,
        "event": registration.event,
        "zone": registration.zone,
        "said": request.GET.get("said"),
    }


def registration_phase(event: Event) -> Event.Phase:
    now = timezone.now()
    return event.registration_phase(now, list(event.sessions.open_to_register(now)))


@require_safe
def my_calendar(request: HttpRequest, token: str) -> HttpResponse:
    registration = active_registration(token)
    if not registration.is_admitted:
        raise Http404
    sessions = [seat.session for seat in attended_seats(registration)]
    calendar = personal_calendar_for(registration, sessions)
    return calendar_response(calendar, f"{registration.event.slug}.ics")


def redirect_to_own_page(registration: Registration, said: str = "") -> HttpResponse:
    """`said` is one of the words that my_word.html knows; another shows nothing."""
    url = reverse("me", args=[registration.token])
    return redirect(f"{url}?said={said}" if said else url)


def for_active_registration(
    view: Callable[[HttpRequest, Registration], HttpResponse],
) -> Callable[[HttpRequest, str], HttpResponse]:
    """Hand a view someone's registration; who has canceled is led to their own page instead."""

    @functools.wraps(view)
    def find(request: HttpRequest, token: str) -> HttpResponse:
        registration = own_registration(token)
        if registration.canceled_at:
            return redirect_to_own_page(registration)
        return view(request, registration)

    return find


@require_http_methods(["GET", "HEAD", "POST"])
@for_active_registration
def change(request: HttpRequest, registration: Registration) -> HttpResponse:
    """Choose other sessions, and put right what one told us."""
    context = change_context(request, registration)
    form: ChangeForm = context["form"]
    if request.method != "POST" or not form.is_valid():
        return render(request, "registrations/my_change.html", context)
    try:
        has_moved = signup.change(registration=registration, **form.cleaned_data)
    except Registration.DoesNotExist:
        return redirect_to_own_page(registration)
    return redirect_to_own_page(registration, "sessions" if has_moved else "saved")


def change_context(request: HttpRequest, registration: Registration) -> dict[str, Any]:
    """The form, and what of the event can still be chosen or left."""
    event, now = registration.event, timezone.now()
    own = {seat.session_id: seat for seat in registration.seats.select_related("session")}
    sessions = list(event.sessions.published().select_related("event"))
    open_sessions = [session for session in sessions if session.is_open_to_register(now)]
    phase = event.registration_phase(now, open_sessions)
    is_open = phase == Event.Phase.OPEN
    been = {pk for pk, seat in own.items() if seat.attended and seat.session.starts_at <= now}
    offered = [
        session
        for session in open_sessions
        if (is_open or session.pk in own) and session.pk not in been
    ]
    form = ChangeForm(
        request.POST if request.method == "POST" else None,
        registration=registration,
        sessions=sessions,
        offered=offered,
        seats=own.values(),
        strategies=event.tracks.all(),
    )
    return {
        **shared_context(request, registration),
        "form": form,
        "phase": phase,
        "sessions": offered,
        "waiting": {seat.session for seat in own.values() if not is_seated(seat)},
        "full": seats.full_sessions(offered) - {seat.session for seat in own.values()},
    }


@require_http_methods(["GET", "HEAD", "POST"])
@for_active_registration
def resend(request: HttpRequest, registration: Registration) -> HttpResponse:
    """Mail the links again. Only opened, it leads to the page with the button, as `come_back`."""
    if request.method != "POST":
        return redirect_to_own_page(registration)
    mailed = signup.resend_links(registrations=[registration])
    return redirect_to_own_page(registration, "mailed" if mailed else "mailed-before")


@require_http_methods(["GET", "HEAD", "POST"])
@for_active_registration
def renew(request: HttpRequest, registration: Registration) -> HttpResponse:
    """Say what it means to have a new secret link, and then make one."""
    if request.method != "POST":
        context = shared_context(request, registration)
        return render(request, "registrations/my_renewal.html", context)
    if not signup.renew_links(registrations=[registration]):
        return redirect_to_own_page(registration)
    registration.refresh_from_db(fields=["token"])
    return redirect_to_own_page(registration, "renewed")


@require_http_methods(["GET", "HEAD", "POST"])
@for_active_registration
def cancel(request: HttpRequest, registration: Registration) -> HttpResponse:
    """Ask once more, and then end the registration."""
    if request.method != "POST":
        context = {
            **shared_context(request, registration),
            "phase": registration_phase(registration.event),
        }
        return render(request, "registrations/my_cancellation.html", context)
    signup.cancel(registration=registration)
    return redirect_to_own_page(registration)


@require_http_methods(["GET", "HEAD", "POST"])
def restore(request: HttpRequest, token: str) -> HttpResponse:
    """Take a cancellation back, while people can register."""
    registration = own_registration(token)
    if request.method != "POST":
        return redirect_to_own_page(registration)
    if not registration.canceled_at:
        return redirect_to_own_page(registration, "back")
    if registration_phase(registration.event) != Event.Phase.OPEN:
        return redirect_to_own_page(registration)
    try:
        signup.restore(registration=registration)
    except signup.AddressTaken:
        return redirect_to_own_page(registration, "taken")
    return redirect_to_own_page(registration, "back")
