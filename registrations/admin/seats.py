"""Seats and waitlists: who has a spot in which session, and who is next."""

from collections.abc import Iterable, Iterator
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin import ModelAdmin
from django.db.models import F, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from events.admin.shared import choice_filter, counted, show_result, warning
from events.models import Session
from registrations import seats, signup
from registrations.admin.shared import ChangeOnlyAdmin, log_action, person_link
from registrations.formatting import moment
from registrations.models import UNREACHED_STATES, Registration, Seat


def session_choices() -> Iterator[tuple[str, str]]:
    sessions = Session.objects.filter(event__archived_at=None)
    for session in sessions.select_related("event").order_by("-event", "starts_at"):
        yield str(session.pk), f"{session.title} ({session.event})"


SessionFilter = choice_filter(
    gettext_lazy("session"), "session", session_choices, lambda rows, pk: rows.filter(session=pk)
)


IDLE = {"any": seats.IDLE, "bounced": Q(has_bounced=True), "unused": Q(is_unused=True)}
IDLE_LABELS = {
    "any": gettext_lazy("Email came back, or no link used"),
    "bounced": gettext_lazy("Email came back"),
    "unused": gettext_lazy("No link used"),
}
IdleFilter = choice_filter(
    gettext_lazy("email and links"),
    "idle",
    IDLE_LABELS.items,
    lambda rows, value: rows.filter(IDLE[value]),
)


@admin.action(
    description=gettext_lazy("Give them a spot and email their link"), permissions=["change"]
)
def give_spot(model_admin: ModelAdmin, request: HttpRequest, queryset: QuerySet[Seat]) -> None:
    done = [seat for seat in queryset if seats.promote(seat=seat)]
    log_seats(request, done, _("Got a spot in %(session)s."))
    if admitted := sum(seat.registration.is_admitted for seat in done):
        text = counted(
            admitted,
            "%(count)s person now has a spot, even if the session is full. Their link is on its "
            "way.",
            "%(count)s people now have a spot, even if the session is full. Their links are on "
            "their way.",
        )
        messages.success(request, text)
    if pending := len(done) - admitted:
        text = counted(
            pending,
            "%(count)s person now has a spot. They'll get their link once you approve them.",
            "%(count)s people now have a spot. They'll get their links once you approve them.",
        )
        messages.success(request, text)
    left = len(queryset) - len(done)
    show_result(request, 0, "", left=left, reason=_("they already have a spot."))


@admin.action(
    description=gettext_lazy("Free their spots and move them to the end of the waitlist"),
    permissions=["change"],
)
def move_to_waiting(model_admin: ModelAdmin, request: HttpRequest, queryset: Any) -> None:
    """Free spots for people who wait. People are emailed how they stand, unless that bounces."""
    chosen = queryset.count()
    done = seats.move_to_waiting(seats=queryset)
    log_seats(request, done, _("Moved to the waitlist of %(session)s."))
    moved = Registration.objects.filter(seats__in=done).distinct().with_last_outcome()
    reached = [each for each in moved if each.last_outcome not in UNREACHED_STATES]
    emailed = signup.resend_links(registrations=reached)
    if done:
        text = counted(
            len(done),
            "%(count)s person moved to the end of the waitlist. Their spot goes to the first "
            "person on it. Their own page says so.",
            "%(count)s people moved to the end of the waitlist. Their spots go to the first "
            "people on it. Their own pages say so.",
        )
        messages.success(request, f"{text} {_emailed_text(emailed)}")
    reason = _(
        "they're on the waitlist already, or no one else is waiting, so the spot would come "
        "straight back to them."
    )
    show_result(request, 0, "", left=chosen - len(done), reason=reason)


def _emailed_text(emailed: int) -> str:
    if not emailed:
        return _("No one gets an email.")
    return counted(emailed, "%(count)s person gets an email.", "%(count)s people get an email.")


@admin.action(
    description=gettext_lazy("Remove from the session: their link stops working"),
    permissions=["change"],
)
def take_out(model_admin: ModelAdmin, request: HttpRequest, queryset: QuerySet[Seat]) -> None:
    """Release seats, but not in sessions that are over: attendance there must stay known."""
    now = timezone.now()
    chosen = [seat for seat in queryset if seat.session.ends_at > now]
    if chosen:
        log_seats(request, chosen, _("Removed from %(session)s."))
        seats.release(seats=chosen)
        text = counted(
            len(chosen),
            "%(count)s spot freed. Their link to that session no longer works, but they keep "
            "their other sessions. If our email put that session in their calendar, another "
            "email takes it out. The next person in line gets the spot.",
            "%(count)s spots freed. Their links to those sessions no longer work, but they keep"
            " their other sessions. If our email put one of those sessions in their calendar, "
            "another email takes it out. The next people in line get the spots.",
        )
        messages.success(request, text)
    left = len(queryset) - len(chosen)
    show_result(request, 0, "", left=left, reason=_("the session is over."))


def log_seats(request: HttpRequest, rows: Iterable[Seat], message: str) -> None:
    """Record in each person's History what happened to their seat in %(session)s."""
    for seat in rows:
        log_action(request, [seat.registration], message % {"session": seat.session.title})


@admin.register(Seat)
class SeatAdmin(ChangeOnlyAdmin):
    """Seats come from registrations. Here organizers override the waitlist."""

    list_display = ["person", "session", "standing", "since", "idle"]
    list_display_links = None
    list_filter = [SessionFilter, "state", IdleFilter]
    list_select_related = ["registration", "session__event"]
    search_fields = ["registration__search_key__contains"]
    ordering = ["session__starts_at", F("waiting_since").asc(nulls_last=True), "pk"]
    actions = [give_spot, move_to_waiting, take_out]

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

    @admin.display(description=gettext_lazy("person"), ordering="registration__name")
    def person(self, seat: Seat) -> str:
        return person_link(seat.registration, seat.registration)

    @admin.display(description=gettext_lazy("spot"), ordering="state")
    def standing(self, seat: Any) -> str:
        if seat.state == Seat.State.WAITING:
            text = _("<b>Number {number} in line</b>")
            if seat.had_spot:
                text = _("<b>Number {number} in line</b>, had a spot")
            return format_html(text, number=seat.waitlist_position)
        return _("Has a spot")

    @admin.display(description=gettext_lazy("email and links"), empty_value="")
    def idle(self, seat: Any) -> str:
        if seat.has_bounced:
            return warning(IDLE_LABELS["bounced"])
        return str(IDLE_LABELS["unused"]) if seat.is_unused else ""

    @admin.display(description=gettext_lazy("since"))
    def since(self, seat: Seat) -> str:
        return moment(seat.waiting_since or seat.seated_at, seat.session.event.zone)
