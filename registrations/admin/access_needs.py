"""What people need to take part, and what organizers have arranged."""

from collections.abc import Callable, Iterator
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import ModelAdmin
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from events.admin.shared import by_id, choice_filter, counted, show_result
from events.models import Event
from registrations import access_needs
from registrations.admin.readiness import short_day
from registrations.admin.shared import ChangeOnlyAdmin, log_action, person_link
from registrations.models import AccessNeed, Seat


class SessionsFilter(admin.SimpleListFilter):
    """By default, the list has only the needs of upcoming sessions."""

    title = gettext_lazy("sessions")
    parameter_name = "sessions"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("all", _("Past and canceled ones, too"))]

    def choices(self, changelist: Any) -> Iterator[Any]:
        to_come, *others = super().choices(changelist)
        yield {**to_come, "display": _("Upcoming")}
        yield from others

    def queryset(self, request: HttpRequest, queryset: Any) -> QuerySet[AccessNeed]:
        if self.value() == "all":
            return queryset
        return queryset.filter(pk__in=access_needs.active_needs(timezone.now()))


SPOTS: dict[str, str | Promise] = {
    Seat.State.SEATED: gettext_lazy("Has a spot"),
    Seat.State.WAITING: gettext_lazy("On the waitlist"),
}
SpotFilter = choice_filter(
    gettext_lazy("spot"), "place", SPOTS.items, lambda needs, state: needs.filter(seat__state=state)
)


@admin.action(description=gettext_lazy("Mark as arranged"), permissions=["change"])
def arrange(model_admin: ModelAdmin, request: HttpRequest, queryset: QuerySet[AccessNeed]) -> None:
    done, left = set_state(request, queryset, access_needs.arrange, _("Marked as arranged."))
    text = counted(
        done, "%(count)s need marked as arranged.", "%(count)s needs marked as arranged."
    )
    show_result(request, done, text, left=left, reason=_("nothing to change."))


@admin.action(description=gettext_lazy("Set back to requested"), permissions=["change"])
def reopen(model_admin: ModelAdmin, request: HttpRequest, queryset: QuerySet[AccessNeed]) -> None:
    done, left = set_state(request, queryset, access_needs.reopen, _("Set back to requested."))
    text = counted(
        done, "%(count)s need set back to requested.", "%(count)s needs set back to requested."
    )
    show_result(request, done, text, left=left, reason=_("nothing to change."))


def set_state(
    request: HttpRequest, queryset: QuerySet[AccessNeed], change: Callable[..., int], text: str
) -> tuple[int, int]:
    """Returns how many were changed, and how many were not."""
    chosen = list(queryset)
    done = change(needs=chosen)
    log_action(request, chosen, text)
    return done, len(chosen) - done


@admin.action(
    description=gettext_lazy("Email people about what's arranged"), permissions=["change"]
)
def confirm(model_admin: ModelAdmin, request: HttpRequest, queryset: QuerySet[AccessNeed]) -> None:
    chosen = list(queryset)
    mailed = access_needs.confirm(needs=chosen)
    log_action(request, chosen, _("Confirmed if arranged."))
    if mailed:
        text = counted(
            mailed,
            "An email is on its way to %(count)s person.",
            "An email is on its way to %(count)s people.",
        )
        messages.success(request, text)
    rows = AccessNeed.objects.filter(pk__in=[need.pk for need in chosen])
    if left := rows.exclude(state=AccessNeed.State.CONFIRMED).count():
        messages.warning(
            request,
            counted(
                left,
                "%(count)s need was skipped: not arranged yet, for someone on a waitlist, or for "
                "a past session.",
                "%(count)s needs were skipped: not arranged yet, for someone on a waitlist, or "
                "for a past session.",
            ),
        )


class NoteForm(forms.ModelForm):
    """A row of the list. It has what the note was when the page was made.

    So a row that no one touched isn't saved, and someone else's new note isn't overwritten.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # People who may only view it get a form without it.
        if "note" in self.fields:
            self.fields["note"].show_hidden_initial = True

    def clean_note(self) -> str:
        note: str = self.cleaned_data["note"]
        name, stored = self["note"].html_initial_name, self.initial.get("note", "")
        if "note" not in self.changed_data or stored in (note, self.data.get(name, "")):
            return note
        # The next save is meant.
        posted: Any = self.data
        self.data = {**posted.dict(), name: stored}
        text = _(
            "Someone else changed this to “%(note)s” while you were editing. Save again to use "
            "yours."
        )
        raise ValidationError(text % {"note": stored})


@admin.register(AccessNeed)
class AccessNeedAdmin(ChangeOnlyAdmin):
    """Needs come from registrations. Here organizers record what they have arranged."""

    form = NoteForm
    readonly_fields = ["what", "session", "person", "place", "standing"]
    list_display = [*readonly_fields, "note"]
    fields = [*readonly_fields, "note"]
    list_display_links = None
    list_editable = ["note"]
    list_filter = [
        SessionsFilter,
        "state",
        "kind",
        SpotFilter,
        ("seat__session", admin.RelatedOnlyFieldListFilter),
        ("seat__session__event", admin.RelatedOnlyFieldListFilter),
    ]
    list_select_related = ["seat__registration", "seat__session__event"]
    search_fields = [
        *("search_key__contains", "note_search_key__contains"),
        "seat__registration__search_key__contains",
    ]
    # "seated" sorts before "waiting".
    ordering = ["seat__session__starts_at", "seat__session", "seat__state", "kind", "pk"]
    # Screen readers need a label: the column's heading is none.
    formfield_overrides = {
        models.CharField: {
            "widget": forms.TextInput(attrs={"aria-label": gettext_lazy("Note"), "size": 24})
        }
    }
    actions = [arrange, reopen, confirm]

    def get_changelist_form(self, request: HttpRequest, **kwargs: Any) -> Any:
        return super().get_changelist_form(request, **kwargs, form=self.form)

    def save_model(self, request: HttpRequest, obj: AccessNeed, form: Any, change: bool) -> None:
        """Save only the note: someone else may have changed the state meanwhile."""
        obj.save(update_fields=["note"])

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        needs = access_needs.active_needs(timezone.now())
        event = by_id(Event.objects.all(), pk=request.GET.get("seat__session__event__id__exact"))
        if event:
            needs = needs.filter(seat__session__event=event)
        tallies = access_needs.tallies(needs)
        return super().changelist_view(request, {"tallies": tallies, **(extra_context or {})})

    @admin.display(description=gettext_lazy("need"), ordering="kind")
    def what(self, need: AccessNeed) -> str:
        return str(need)

    @admin.display(description=gettext_lazy("session"), ordering="seat__session__starts_at")
    def session(self, need: AccessNeed) -> str:
        title = Truncator(need.seat.session.brief_title).words(6)
        return format_html("<b>{}</b><br>{}", short_day(need.seat.session), title)

    @admin.display(description=gettext_lazy("person"), ordering="seat__registration__name")
    def person(self, need: AccessNeed) -> str:
        registration = need.seat.registration
        return person_link(registration, registration.name)

    @admin.display(description=gettext_lazy("spot"), ordering="seat__state")
    def place(self, need: AccessNeed) -> str:
        if not need.seat.registration.is_admitted:
            return _("Not coming")
        text = str(SPOTS[need.seat.state])
        is_waiting = need.seat.state == Seat.State.WAITING
        return format_html('<span class="badge">{}</span>', text) if is_waiting else text

    @admin.display(description=gettext_lazy("status"), ordering="state")
    def standing(self, need: AccessNeed) -> str:
        text = need.get_state_display()
        is_open = need.state == AccessNeed.State.REQUESTED
        return format_html("<b>{}</b>", text) if is_open else text
