"""Questions that a form of the admin asks before it saves something unusual.

The first save shows each question at its field. The second one confirms, unless what it was about
has changed since.
"""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AdminSplitDateTime
from django.core.exceptions import ValidationError
from django.db import models
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from events.admin.shared import day_and_year
from events.templatetags.times import clock
from events.timezones import is_repeated, is_skipped, moment_of, time_label

# Anything else is a typing error, and some programs can't show it.
YEARS = range(2000, 2101)
# The name of the hidden inputs that say what was asked.
ASKED = "asked"


class EventTimeField(forms.SplitDateTimeField):
    """A time in the current time zone. Of one that clocks show twice, it's the first."""

    def compress(self, data_list: Any) -> dt.datetime | None:
        with timezone.override(dt.UTC):
            entered = super().compress(data_list)
        if entered is None:
            return None
        if entered.year not in YEARS:
            text = _("Check the year. It must be from %(first)s to %(last)s.")
            raise ValidationError(text % {"first": YEARS[0], "last": YEARS[-1]})
        zone: Any = timezone.get_current_timezone()
        local = entered.replace(tzinfo=None)
        moment = moment_of(local, zone)
        if is_skipped(local, zone):
            text = _(
                "This time doesn't exist: clocks move forward on %(day)s and skip %(time)s. Enter "
                "another time, such as %(other)s."
            )
            values = {"day": day_and_year(moment, zone), "time": clock(entered, dt.UTC)}
            raise ValidationError(text % (values | {"other": clock(moment, zone)}))
        return moment


class AskingForm(forms.ModelForm):
    """A form that may ask. Its `clean()` calls `ask()`, and goes on with the answer."""

    # On a page with several, what this one is about.
    row: models.Model | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # What is asked now: the places on the page, with the labels of the fields.
        self.questions: dict[str, str] = {}
        # Hidden inputs: a page that is shown again doesn't ask again.
        self.answers: list[tuple[str, str]] = []

    def ask(
        self,
        field: str,
        about: str,
        text: str,
        *values: object,
        choices: Mapping[str, str | Promise] | None = None,
    ) -> str:
        """Ask at a field, unless this was asked about the same values. Returns the answer.

        That is one of `choices`, of which the first is the default, or "yes" if there are none;
        "" while it's asked.
        """
        about = f"{about}_{self.row.pk}" if self.row else about
        key = " ".join([about, *map(str, values)])
        self.answers.append((ASKED, key))
        data: Any = self.data
        answer = data.get(about, "") if choices else "yes"
        if key in data.getlist(ASKED) and answer in (choices or {"yes": ""}):
            self.answers += [(about, answer)] if choices else []
            return answer
        place = f"question-{about}"
        context = {"place": place, "text": text, "about": about, "choices": choices or {}}
        shown = render_to_string("admin/events/question.html", context)
        label = capfirst(str(self.fields[field].label))
        self.questions[place] = f"{label} ({self.row})" if self.row else label
        self.add_error(field, ValidationError(shown, code=ASKED))
        return ""

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        for name, field in self.fields.items():
            if isinstance(field, EventTimeField) and cleaned.get(name):
                self._clean_time(cleaned, name)
        return cleaned

    def _clean_time(self, cleaned: dict[str, Any], name: str) -> None:
        if name not in self.changed_data:
            # It may be the second of two moments that look the same.
            cleaned[name] = self.initial.get(name) or cleaned[name]
            return
        zone: Any = timezone.get_current_timezone()
        moment = cleaned[name]
        local = moment.astimezone(zone).replace(tzinfo=None)
        if is_repeated(local, zone):
            text = _(
                "Clocks move back on %(day)s, so %(time)s comes twice. We'll use the first one, "
                "%(time)s %(zone)s."
            )
            values = {"day": day_and_year(moment, zone), "time": clock(moment, zone)}
            text %= values | {"zone": time_label(moment, zone)}
            self.ask(name, f"twice_{name}", text, moment.isoformat())
            # Other checks go on with it.
            cleaned[name] = moment


class AskingAdmin(admin.ModelAdmin):
    """An admin with an AskingForm."""

    formfield_overrides = {
        models.DateTimeField: {"form_class": EventTimeField, "widget": AdminSplitDateTime}
    }

    def render_change_form(self, request: Any, context: Any, *args: Any, **kwargs: Any) -> Any:
        formsets = [each.formset for each in context["inline_admin_formsets"]]
        context |= asked([context["adminform"].form], formsets)
        if context["only_asks"]:
            # It's no mistake: nothing below is to be corrected.
            context["errors"] = ()
        return super().render_change_form(request, context, *args, **kwargs)


def asked(main_forms: list[Any], formsets: list[Any]) -> dict[str, Any]:
    """What the template of a page needs to know about the questions of its forms."""
    forms = [*main_forms, *(form for each in formsets for form in each.forms)]
    asking = [each for each in forms if isinstance(each, AskingForm)]
    # One link for each field.
    places = {label: place for form in asking for place, label in form.questions.items()}
    errors = [found for form in forms for found in form.errors.values()]
    errors += [each.non_form_errors() for each in formsets]
    codes = {each.code for found in errors for each in found.as_data()}
    return {
        "questions": [(place, label) for label, place in places.items()],
        "answers": [row for form in asking for row in form.answers],
        "only_asks": codes == {ASKED},
    }
