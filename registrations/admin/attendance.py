"""Who attended, as Zoom reports it. Organizers match names that the site can't."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Lower
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from events.admin.archive import EventFilter
from events.admin.shared import choice_filter, counted, warning
from events.templatetags.times import clock
from registrations.admin.shared import ChangeOnlyAdmin
from registrations.formatting import moment
from registrations.models import Attendance, Seat
from registrations.zoom import attendance


class AttendanceForm(forms.ModelForm):
    """Matches an attendee to someone who is registered for the session."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        fields: dict[str, Any] = self.fields
        # People who may only view attendance get a form without fields.
        if not fields:
            return
        field = fields["seat"]
        field.widget, field.label, field.required = forms.Select(), _("Who it was"), True
        error = _("Choose someone who's registered for this session.")
        field.error_messages |= {"required": error, "invalid_choice": error}
        field.help_text = _(
            "Someone who's registered for this session. They'll be marked as attended."
        )
        field.queryset = possible_seats(self.instance)
        field.choices = grouped_choices(field.queryset)


def grouped_choices(seats: QuerySet[Any]) -> list[Any]:
    """List people who haven't been seen in the session before the others."""
    seen, unseen = _("Already seen"), _("Not seen yet")
    choices: dict[str, Any] = {"": _("Choose a person"), unseen: [], seen: []}
    for seat in seats:
        label = seen if seat.seen else unseen
        choices[label].append((seat.pk, str(seat.registration)))
    return [(label, people) for label, people in choices.items() if people]


def possible_seats(presence: Attendance) -> QuerySet[Any]:
    """Return the session's seats that may belong to this attendee, sorted by name."""
    is_possible = Q(registration__canceled_at=None) | Q(pk=presence.seat_id)
    seats = Seat.objects.filter(is_possible, session=presence.session_id)
    seen = Exists(Attendance.objects.filter(seat=OuterRef("pk")))
    by_name = seats.order_by(Lower("registration__name"), "registration__email")
    return by_name.select_related("registration").annotate(seen=seen)


KnownFilter = choice_filter(
    gettext_lazy("who it was"),
    "known",
    {"no": gettext_lazy("Unmatched"), "yes": gettext_lazy("Matched")}.items,
    lambda rows, value: rows.filter(seat__isnull=value == "no"),
)


@admin.register(Attendance)
class AttendanceAdmin(ChangeOnlyAdmin):
    form = AttendanceForm
    list_display = ["who", "person", "email", "session", "joined", "left", "minutes"]
    list_filter = [KnownFilter, ("session__event", EventFilter), "session"]
    list_select_related = ["session__event", "seat__registration"]
    ordering = [F("joined_at").desc(nulls_last=True), "-pk"]
    search_fields = ["search_key__contains", "seat__registration__search_key__contains"]
    readonly_fields = ["session", "who", "email", "joined", "left", "minutes"]
    fields = ["seat", *readonly_fields]

    def save_model(self, request: HttpRequest, obj: Attendance, form: Any, change: bool) -> None:
        if "seat" not in form.changed_data or obj.seat is None:
            return
        matched = attendance.match(attendance=obj, seat=obj.seat)
        text = counted(
            matched,
            "%(count)s entry matched to %(name)s, who's now marked as attended.",
            "%(count)s entries matched to %(name)s, who's now marked as attended.",
            name=obj.seat.registration.name,
        )
        messages.success(request, text)
        if form.initial["seat"]:
            messages.info(
                request,
                _(
                    "The person who was here before is still marked as attended. If they "
                    "weren't there, uncheck it on their page under Registrations."
                ),
            )

    @admin.display(description=gettext_lazy("name on Zoom"), ordering="name")
    def who(self, presence: Attendance) -> str:
        return presence.name or _("No name")

    @admin.display(description=gettext_lazy("joined"), ordering="joined_at")
    def joined(self, presence: Attendance) -> str:
        when = presence.joined_at
        return moment(when, presence.session.event.zone) if when else _("Unknown")

    @admin.display(description=gettext_lazy("left"), ordering="left_at")
    def left(self, presence: Attendance) -> str:
        when = presence.left_at
        return clock(when, presence.session.event.zone) if when else _("Unknown")

    @admin.display(description=gettext_lazy("minutes there"))
    def minutes(self, presence: Attendance) -> str:
        if not (presence.joined_at and presence.left_at):
            return _("Unknown")
        return str(round((presence.left_at - presence.joined_at).total_seconds() / 60))

    @admin.display(description=gettext_lazy("who it was"), ordering="seat__registration__name")
    def person(self, presence: Attendance) -> str:
        if presence.seat is None:
            return warning(_("Unmatched"))
        return presence.seat.registration.name or _("Erased")
