"""Speakers that are typed in where they are chosen, on the page of a session."""

import copy
from typing import Any

from django import forms
from django.contrib.admin.options import BaseModelAdmin
from django.contrib.admin.widgets import AdminTextInputWidget
from django.http import HttpRequest
from django.utils.translation import gettext_lazy

from events import schedule
from events.models import Event, Speaker


class NewSpeakerForm(forms.ModelForm):
    """A form where people can be chosen from the event's speakers, or typed in."""

    new_speaker = forms.CharField(
        label=gettext_lazy("Someone new"),
        max_length=401,
        required=False,
        widget=AdminTextInputWidget,
        help_text=gettext_lazy(
            "Write a name, a comma and one line about the person, such as: Ana Ruiz, Families "
            "United. We'll add them to the event's speakers, where you can add a photo."
        ),
    )

    def clean_new_speaker(self) -> str:
        text: str = self.cleaned_data["new_speaker"]
        for name, part in zip(("name", "affiliation"), parts_of(text), strict=True):
            field: Any = Speaker._meta.get_field(name)
            field.run_validators(part)
        return text


class NewSpeakerAdmin(BaseModelAdmin):
    """Shows the field to people who may add speakers. Others only choose from those there are."""

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        fieldsets: Any = copy.deepcopy(super().get_fieldsets(request, obj))
        if not may_add_speakers(request):
            for _title, options in fieldsets:
                options["fields"] = [each for each in options["fields"] if each != "new_speaker"]
        return fieldsets


def may_add_speakers(request: HttpRequest) -> bool:
    return request.user.has_perm("events.add_speaker")


def without_new_speaker(request: HttpRequest, form_class: Any) -> Any:
    """Take the field out of the form too, unless the person may add speakers."""
    if not may_add_speakers(request):
        form_class.base_fields.pop("new_speaker", None)
    return form_class


def parts_of(text: str) -> tuple[str, str]:
    """The name, and what is said about the person."""
    name, _comma, line = text.partition(",")
    return name.strip(), line.strip()


def add_new_speaker(form: Any, speakers: Any, event: Event) -> None:
    """Add whom this form names to its speakers."""
    name, line = parts_of(form.cleaned_data.get("new_speaker", ""))
    if name:
        speakers.add(schedule.speaker_named(event=event, name=name, affiliation=line))
