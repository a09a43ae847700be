"""The agenda on the page of a session: each item with its clock time, in an order of 1, 2, 3."""

import datetime as dt
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AdminTextareaWidget
from django.db import models
from django.db.models import prefetch_related_objects
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from events import schedule
from events.admin.shared import TextsForm, event_of
from events.admin.speakers import (
    NewSpeakerAdmin,
    NewSpeakerForm,
    add_new_speaker,
    without_new_speaker,
)
from events.languages import columns
from events.models import AgendaItem, Session, Speaker
from events.models.session import AGENDA_END
from events.templatetags.times import hours


class AgendaForm(NewSpeakerForm, TextsForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if place := self.fields.get("position"):
            place.required = False
            place.widget.attrs["min"] = 1
            if not self.instance.pk:
                self.initial["position"] = None

    def clean_position(self) -> int:
        place: int | None = self.cleaned_data["position"]
        return AGENDA_END if place is None else place

    @property
    def place(self) -> tuple[int, int]:
        """Where it goes. An item that was moved comes before the one whose place it takes; if it
        moved down, after it, because the items between close up.
        """
        before, now = self.initial.get("position"), self.cleaned_data["position"]
        if now == before:
            return now, 0
        return now, 1 if before is not None and now > before else -1


class AgendaFormSet(forms.BaseInlineFormSet):
    """Shows the items' places as 1, 2, 3, whatever numbers are stored."""

    def get_form_kwargs(self, index: int | None) -> dict[str, Any]:
        kwargs: dict[str, Any] = super().get_form_kwargs(index)
        if index is not None and index < self.initial_form_count():
            kwargs["initial"] = {"position": index + 1}
        return kwargs

    def kept_forms(self) -> list[Any]:
        """After saving: those of items that weren't deleted."""
        return [form for form in self.forms if form.instance.pk]

    def items_in_order(self) -> list[AgendaItem]:
        """The items that were saved, as they were ordered."""
        forms = sorted(self.kept_forms(), key=lambda form: form.place)
        return [form.instance for form in forms]


class AgendaInline(NewSpeakerAdmin, admin.StackedInline):
    model = AgendaItem
    form = AgendaForm
    formset = AgendaFormSet
    verbose_name_plural = gettext_lazy("detailed agenda, for attendees only")
    extra = 0
    readonly_fields = ["time"]
    fields = [
        ("time", "minutes", "position"),
        *(columns("title"), columns("description"), "speakers", "new_speaker"),
    ]
    formfield_overrides = {
        models.TextField: {"widget": AdminTextareaWidget(attrs={"rows": 3})},
        models.ManyToManyField: {"widget": forms.CheckboxSelectMultiple},
    }

    @admin.display(description=gettext_lazy("time"))
    def time(self, item: AgendaItem) -> str:
        """6:00 PM to 6:10 PM PDT"""
        if not item.pk:
            return _("You'll see it after you save.")
        session = item.session
        prefetch_related_objects([session], "agenda")
        stored = {each.pk: (starts_at, each) for starts_at, each in session.timed_agenda()}
        starts_at, as_stored = stored[item.pk]
        # What was entered may be wrong: a number too large for any time.
        ends_at = starts_at + dt.timedelta(minutes=as_stored.minutes)
        return hours(Session(starts_at=starts_at, ends_at=ends_at), session.event.zone)

    def get_formset(self, request: HttpRequest, obj: Session | None = None, **kwargs: Any) -> Any:
        formset = super().get_formset(request, obj, **kwargs)
        fields: dict[str, Any] = without_new_speaker(request, formset.form).base_fields
        event = obj.event if obj else event_of(request, None)
        fields["speakers"].queryset = event.speakers.all() if event else Speaker.objects.none()
        return formset


def finish_agenda(formset: Any) -> None:
    """After the items were saved: add the speakers that were typed in, and order the items."""
    for form in formset.kept_forms():
        add_new_speaker(form, form.instance.speakers, formset.instance.event)
    schedule.order_agenda(items=formset.items_in_order())
