"""Places and waiting lists: who has a place in which session, and who is called next."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.db.models import F, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html

from events.models import Session
from registrations import seats
from registrations.formatting import counted, moment, people
from registrations.models import Seat


class SessionFilter(admin.SimpleListFilter):
    title = "session"
    parameter_name = "session"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        sessions = Session.objects.select_related("event").order_by("-event", "starts_at")
        return [(str(each.pk), f"{each.title} ({each.event})") for each in sessions]

    def queryset(self, request: HttpRequest, queryset: Any) -> QuerySet[Seat]:
        value = self.value() or ""
        return queryset.filter(session=int(value)) if value.isdecimal() else queryset


@admin.register(Seat)
class SeatAdmin(admin.ModelAdmin):
    """A seat is made by registering; here organizers overrule the waiting list."""

    list_display = ["person", "session", "standing", "since"]
    list_display_links = None
    list_filter = [SessionFilter, "state"]
    list_select_related = ["registration", "session__event"]
    search_fields = ["registration__name", "registration__email"]
    ordering = ["session__starts_at", F("waiting_since").asc(nulls_last=True), "pk"]
    actions = ["give_place", "move_to_waiting", "take_out"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Seat]:
        found: Any = super().get_queryset(request)
        return seats.with_waitlist_position(found.occupying())

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        limited = list(
            Session.objects.open_to_register(timezone.now())
            .exclude(capacity=None)
            .select_related("event")
        )
        counts = seats.seat_counts(limited)
        context = {"limited": [(session, counts[session.pk]) for session in limited]}
        return super().changelist_view(request, {**context, **(extra_context or {})})

    @admin.display(description="person", ordering="registration__name")
    def person(self, seat: Seat) -> str:
        page = reverse("admin:registrations_registration_change", args=[seat.registration_id])
        return format_html('<a href="{}">{}</a>', page, seat.registration)

    @admin.display(description="place", ordering="state")
    def standing(self, seat: Any) -> str:
        if seat.state == Seat.State.WAITING:
            return format_html("<b>Number {} in line</b>", seat.waitlist_position)
        return "Has a place"

    @admin.display(description="since")
    def since(self, seat: Seat) -> str:
        return moment(seat.waiting_since or seat.seated_at, seat.session.event.zone)

    @admin.action(description="Give a place: they get their link", permissions=["change"])
    def give_place(self, request: HttpRequest, queryset: QuerySet[Seat]) -> None:
        done, left = self._each(request, queryset, seats.promote, "Given a place.")
        admitted = sum(seat.registration.is_admitted for seat in done)
        if admitted:
            messages.success(
                request,
                f"{people(admitted)} called. The link is on its way, also where it is full.",
            )
        if pending := len(done) - admitted:
            messages.success(
                request,
                f"{people(pending)} given a place: they get their links once you approve them.",
            )
        if left:
            messages.warning(request, f"{left} left out: they have a place already.")

    @admin.action(description="Move to the end of the waiting list", permissions=["change"])
    def move_to_waiting(self, request: HttpRequest, queryset: QuerySet[Seat]) -> None:
        done, left = self._each(request, queryset, seats.move_to_waiting, "Moved to the line.")
        if done:
            messages.success(
                request,
                f"{people(len(done))} moved. Their links there end; nothing is mailed to them.",
            )
        if left:
            messages.warning(
                request,
                f"{left} left out: they wait already, or the place would come straight back to "
                "them, because nobody else waits for it.",
            )

    @admin.action(description="Take out of the session: their link ends", permissions=["change"])
    def take_out(self, request: HttpRequest, queryset: QuerySet[Seat]) -> None:
        """Not of a session that has ended: who was there stays known."""
        now = timezone.now()
        chosen = [seat for seat in queryset if seat.session.ends_at > now]
        if chosen:
            self._log(request, chosen, "Taken out of {}.")
            seats.release(seats=chosen)
            places = counted(len(chosen), "place", "places")
            messages.success(
                request,
                f"{places} taken. Their links there end, their other sessions stay, and whoever is "
                "next in line is called. Nothing is mailed to those who lost a place.",
            )
        if left := len(queryset) - len(chosen):
            messages.warning(request, f"{left} left as they were: the session is over.")

    def _each(
        self, request: HttpRequest, queryset: QuerySet[Seat], verb: Callable[..., bool], words: str
    ) -> tuple[list[Seat], int]:
        """For which the verb did something, and for how many not; noted under their History."""
        chosen = list(queryset)
        done = [seat for seat in chosen if verb(seat=seat)]
        self._log(request, done, f"{words} ({{}})")
        return done, len(chosen) - len(done)

    def _log(self, request: HttpRequest, chosen: list[Seat], words: str) -> None:
        for seat in chosen:
            said = words.format(seat.session.title)
            LogEntry.objects.log_actions(
                request.user.pk,  # type: ignore[arg-type]
                [seat.registration],
                CHANGE,
                said,
            )
