"""Seats and waitlists: who has a spot in which session, and who is next."""

from collections.abc import Callable, Iterator
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin import ModelAdmin
from django.db.models import F, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.html import format_html

from events.admin.shared import warning
from events.models import Session
from registrations import seats, signup
from registrations.admin.shared import ChangeOnlyAdmin, choice_filter, log_action, person_link
from registrations.formatting import counted, moment, people
from registrations.models import UNREACHED_STATES, Registration, Seat


def session_choices() -> Iterator[tuple[str, str]]:
    for session in Session.objects.select_related("event").order_by("-event", "starts_at"):
        yield str(session.pk), f"{session.title} ({session.event})"


SessionFilter = choice_filter(
    "session", "session", session_choices, lambda rows, pk: rows.filter(session=pk)
)


IDLE = {"any": seats.IDLE, "bounced": Q(has_bounced=True), "unused": Q(is_unused=True)}
IDLE_LABELS = {
    "any": "Email came back, or no link used",
    "bounced": "Email came back",
    "unused": "No link used",
}
IdleFilter = choice_filter(
    "email and links", "idle", IDLE_LABELS.items, lambda rows, value: rows.filter(IDLE[value])
)


@admin.action(description="Give a place: they get their link", permissions=["change"])
def give_place(model_admin: ModelAdmin, request: HttpRequest, queryset: QuerySet[Seat]) -> None:
    done, left = apply_to_each(request, queryset, seats.promote, "Given a place.")
    if admitted := sum(seat.registration.is_admitted for seat in done):
        messages.success(
            request, f"{people(admitted)} called. The link is on its way, also where it is full."
        )
    if pending := len(done) - admitted:
        messages.success(
            request, f"{people(pending)} given a place: they get their links once you approve them."
        )
    if left:
        messages.warning(request, f"{left} left out: they have a place already.")


@admin.action(
    description="Free their places: they move to the end of the waiting list",
    permissions=["change"],
)
def move_to_waiting(model_admin: ModelAdmin, request: HttpRequest, queryset: Any) -> None:
    """Free spots for people who wait. People are emailed how they stand, unless that bounces."""
    chosen = queryset.count()
    done = seats.move_to_waiting(seats=queryset)
    for seat in done:
        log_action(request, [seat.registration], f"Moved to the line. ({seat.session.title})")
    moved = Registration.objects.filter(seats__in=done).distinct().with_last_outcome()
    reached = [each for each in moved if each.last_outcome not in UNREACHED_STATES]
    emailed = signup.resend_links(registrations=reached)
    if done:
        their = "Their place goes" if len(done) == 1 else "Their places go"
        emails = counted(emailed, "person gets", "people get") if emailed else "nobody gets"
        messages.success(
            request,
            f"{people(len(done))} moved to the end of the line. {their} to the first in it. "
            f"Their own page says so, and {emails} an email.",
        )
    if left := chosen - len(done):
        messages.warning(
            request,
            f"{left} left out: they wait already, or the place would come straight back to "
            "them, because nobody else waits for it.",
        )


@admin.action(description="Take out of the session: their link ends", permissions=["change"])
def take_out(model_admin: ModelAdmin, request: HttpRequest, queryset: QuerySet[Seat]) -> None:
    """Release seats, but not in sessions that are over: attendance there must stay known."""
    now = timezone.now()
    chosen = [seat for seat in queryset if seat.session.ends_at > now]
    if chosen:
        for seat in chosen:
            log_action(request, [seat.registration], f"Taken out of {seat.session.title}.")
        seats.release(seats=chosen)
        messages.success(
            request,
            f"{counted(len(chosen), 'place', 'places')} taken. Their links there end, their other "
            "sessions stay, and whoever is next in line is called. An email takes the session out "
            "of their calendar, if they got it by email.",
        )
    if left := len(queryset) - len(chosen):
        messages.warning(request, f"{left} left out: the session is over.")


def apply_to_each(
    request: HttpRequest, queryset: QuerySet[Seat], change: Callable[..., bool], message: str
) -> tuple[list[Seat], int]:
    """Change each seat. Returns those that were changed, and how many were not."""
    done = [seat for seat in queryset if change(seat=seat)]
    for seat in done:
        log_action(request, [seat.registration], f"{message} ({seat.session.title})")
    return done, len(queryset) - len(done)


@admin.register(Seat)
class SeatAdmin(ChangeOnlyAdmin):
    """Seats come from registrations. Here organizers override the waitlist."""

    list_display = ["person", "session", "standing", "since", "idle"]
    list_display_links = None
    list_filter = [SessionFilter, "state", IdleFilter]
    list_select_related = ["registration", "session__event"]
    search_fields = ["registration__search_key__contains"]
    ordering = ["session__starts_at", F("waiting_since").asc(nulls_last=True), "pk"]
    actions = [give_place, move_to_waiting, take_out]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Seat]:
        rows: Any = super().get_queryset(request)
        return seats.with_waitlist_position(rows.occupying().with_idle_flags(timezone.now()))

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        now = timezone.now()
        sessions = Session.objects.open_to_register(now).select_related("event")
        sessions = sessions.exclude(capacity=None)
        counts, idle = seats.seat_counts(sessions), seats.idle_counts(sessions, now)
        limited = [(each, counts[each.pk], idle.get(each.pk, 0)) for each in sessions]
        return super().changelist_view(request, {"limited": limited, **(extra_context or {})})

    @admin.display(description="person", ordering="registration__name")
    def person(self, seat: Seat) -> str:
        return person_link(seat.registration, seat.registration)

    @admin.display(description="place", ordering="state")
    def standing(self, seat: Any) -> str:
        if seat.state == Seat.State.WAITING:
            text = format_html("<b>Number {} in line</b>", seat.waitlist_position)
            return format_html("{}, had a place", text) if seat.had_spot else text
        return "Has a place"

    @admin.display(description="email and links", empty_value="")
    def idle(self, seat: Any) -> str:
        if seat.has_bounced:
            return warning(IDLE_LABELS["bounced"])
        return IDLE_LABELS["unused"] if seat.is_unused else ""

    @admin.display(description="since")
    def since(self, seat: Seat) -> str:
        return moment(seat.waiting_since or seat.seated_at, seat.session.event.zone)
