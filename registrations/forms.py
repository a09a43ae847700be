"""The public forms: register, change a registration, find lost links."""

from collections.abc import Iterable, Iterator
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.text import format_lazy
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from events import languages
from events.models import Event, Session, Track
from events.templatetags import words
from events.timezones import offered_time_zones
from registrations import questions
from registrations.models import Registration, Seat, need_choices
from registrations.models.registration import PEOPLE_PER_MAILBOX
from registrations.us_states import us_state_choices
from registrations.validators import name_key, strip_invisible

EMAIL_WIDGET = forms.EmailInput(
    {"autocomplete": "email", "inputmode": "email", "autocapitalize": "none", "spellcheck": "false"}
)
INVALID_EMAIL = _("Enter an email address, such as maria@example.org.")
TOO_LONG = _("That's too long. Use %(limit_value)s characters or fewer.")
# Errors about what has changed since the form was opened.
OUTDATED = ("changed", "invalid_choice")


def forget_errors(form: forms.BaseForm) -> None:
    """For a form that isn't finished: show what was entered, without what's wrong with it.

    That something else has changed since the form was opened is still said: now it's up to date.
    """
    for name in [*form.errors]:
        if not any(form.has_error(name, code) for code in OUTDATED):
            del form.errors[name]


class AddressField(forms.EmailField):
    """An email address, without invisible characters at its ends."""

    def to_python(self, value: Any) -> str:
        return strip_invisible(super().to_python(value) or "")


class NeedsField(forms.MultipleChoiceField):
    """The kinds of access needs, as checkboxes."""

    widget = forms.CheckboxSelectMultiple
    default_error_messages = {"invalid_choice": _("Choose from the list.")}

    def __init__(self, **options: Any) -> None:
        super().__init__(choices=need_choices, required=False, **options)

    def clean(self, value: Any) -> list[str]:
        """Each kind once, in the order of the list."""
        chosen = super().clean(value)
        return [kind for kind, _label in need_choices() if kind in chosen]


class OtherNamesWidget(forms.MultiWidget):
    """An input for each name."""

    use_fieldset = True

    def __init__(self) -> None:
        inputs = [
            forms.TextInput(
                {
                    "autocomplete": "off",
                    "aria-label": format_lazy(_("Name of person {number}"), number=number),
                }
            )
            for number in range(2, PEOPLE_PER_MAILBOX + 1)
        ]
        super().__init__(inputs)

    def decompress(self, value: list[str] | None) -> list[str]:
        return value or []


class OtherNamesField(forms.MultiValueField):
    """The names of others who register with the same address and sessions."""

    widget = OtherNamesWidget

    def __init__(self, **options: Any) -> None:
        name: Any = Registration._meta.get_field("name")
        one = forms.CharField(
            required=False, max_length=name.max_length, validators=name.validators
        )
        one.error_messages["max_length"] = TOO_LONG
        fields = [one] * (PEOPLE_PER_MAILBOX - 1)
        super().__init__(fields, required=False, require_all_fields=False, **options)

    def compress(self, names: list[str]) -> list[str]:
        return [name for name in names if name]


class FindForm(forms.ModelForm):
    """The address to send someone's links to again."""

    class Meta:
        model = Registration
        fields = ["email"]
        field_classes = {"email": AddressField}
        labels = {"email": _("Email")}
        widgets = {"email": EMAIL_WIDGET}
        error_messages = {
            "email": {
                "required": _("Enter the email you registered with."),
                "invalid": INVALID_EMAIL,
            }
        }


class RegistrationForm(forms.ModelForm):
    """The sign-up form. `signup.register()` takes its cleaned data as it is and saves it.

    A field added to `Meta.fields` is shown with the optional details.
    """

    sessions = forms.TypedMultipleChoiceField(
        label=_("Sessions"),
        coerce=int,
        widget=forms.CheckboxSelectMultiple,
        error_messages={
            "required": _("Choose at least one session."),
            "invalid_choice": _(
                "One of the sessions you chose is no longer open. Check the list again."
            ),
        },
    )
    strategies = forms.TypedMultipleChoiceField(
        coerce=int, required=False, widget=forms.CheckboxSelectMultiple
    )
    us_state = forms.ChoiceField(
        label=_("State"),
        choices=lambda: [("", _("Choose a state")), *us_state_choices()],
        required=False,
        widget=forms.Select(attrs={"autocomplete": "address-level1"}),
        error_messages={"invalid_choice": _("Choose a state from the list.")},
    )
    needs = NeedsField(label=_("Check all that apply"))
    other_names = OtherNamesField(label=_("Who else?"))

    # Sections of the page. What is in neither of the two is an optional detail.
    about_you = ("name", "email", "time_zone")
    others = ("other_names",)
    taking_part = ("needs", "needs_other", "wants_doors_email")
    field_order = (*about_you, "sessions", "organization", "us_state", "strategies")

    class Meta:
        model = Registration
        fields = [
            *("name", "email", "time_zone", "organization", "us_state"),
            *("needs", "needs_other", "wants_doors_email"),
        ]
        field_classes = {"email": AddressField}
        labels = {
            "name": _("Name"),
            "email": _("Email"),
            "time_zone": _("Time zone"),
            "organization": _("Organization"),
            "needs_other": _("Anything else that would help?"),
            "wants_doors_email": _("Email me when each session is about to start"),
        }
        help_texts = {
            "name": _("Others may see this on Zoom. Your first name is fine."),
            "email": _("We'll send your Zoom links here."),
            "time_zone": _("We'll show your times in this zone."),
            "wants_doors_email": "",
        }
        widgets = {
            "name": forms.TextInput(attrs={"autocomplete": "name"}),
            "email": EMAIL_WIDGET,
            "organization": forms.TextInput(attrs={"autocomplete": "organization"}),
            "needs_other": forms.TextInput(attrs={"autocomplete": "off"}),
        }
        error_messages = {
            "name": {"required": _("Enter your name.")},
            "email": {
                "required": _("Enter your email so we can send your links."),
                "invalid": INVALID_EMAIL,
            },
            "time_zone": {
                "required": _("Choose your time zone."),
                "max_length": _("Choose a time zone from the list."),
            },
        }

    def __init__(self, *args: Any, event: Event, sessions: list[Session], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._sessions = {session.pk: session for session in sessions}
        self._strategies = event.tracks.all()
        self._questions = questions.questions_for(event, self.selectable_sessions())
        fields: dict[str, Any] = self.fields
        fields |= questions.form_fields(self._questions, self.selectable_sessions())
        fields["sessions"].choices = [(pk, str(each)) for pk, each in self._sessions.items()]
        fields["sessions"].initial = [str(pk) for pk in self._sessions]
        # A callable, so they are only fetched if they are shown or chosen.
        fields["strategies"].choices = lambda: [
            (each.pk, languages.marked(each, "name")) for each in self._strategies
        ]
        fields["strategies"].label = words.tracks_you_care_about(event)
        fields["strategies"].error_messages["invalid_choice"] = event.worded(
            gettext("Choose strategies from the list."), gettext("Choose from the list.")
        )
        if self.instance.pk:
            self.initial["time_zone"] = self.instance.zone.key
        fields["time_zone"].widget = self._time_zone_widget(event)
        for field in fields.values():
            field.error_messages.setdefault("max_length", TOO_LONG)

    def _time_zone_widget(self, event: Event) -> forms.Select:
        time_zone = str(self.data.get("time_zone") or self.initial.get("time_zone") or "")
        offered = offered_time_zones(event.zone.key, time_zone)
        if time_zone not in dict(offered):
            offered = [("", gettext("Choose your time zone")), *offered]
        # In a blank form, register.js selects the browser's time zone.
        is_blank = not self.is_bound and self.instance.pk is None
        return forms.Select(choices=offered, attrs={"data-fresh": is_blank})

    def selectable_sessions(self) -> list[Session]:
        """The sessions that the person can check or uncheck."""
        return list(self._sessions.values())

    def about_you_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in self.about_you if name in self.fields]

    def optional_fields(self) -> list[forms.BoundField]:
        placed = {*self.about_you, *self.others, *self.taking_part, "sessions"}
        placed.update(map(questions.field_name, self._questions))
        return [self[name] for name in self.fields if name not in placed]

    def question_fields(self) -> list[forms.BoundField]:
        return [self[questions.field_name(question)] for question in self._questions]

    def clean_other_names(self) -> list[str]:
        names: list[str] = self.cleaned_data["other_names"]
        keys = [name_key(each) for each in (self.cleaned_data.get("name", ""), *names)]
        if len({*keys}) < len(keys):
            raise ValidationError(gettext("Enter each person's name once."))
        return names

    def clean(self) -> dict[str, Any]:
        chosen, selectable = self.cleaned_data.get("sessions", []), self.selectable_sessions()
        ids = {session.pk for session in chosen if session in selectable}
        self.cleaned_data["answers"] = questions.take_answers(self, self._questions, ids)
        return self.cleaned_data

    def clean_sessions(self) -> list[Session]:
        return [self._sessions[pk] for pk in dict.fromkeys(self.cleaned_data["sessions"])]

    def clean_strategies(self) -> list[Track]:
        chosen = set(self.cleaned_data["strategies"])
        return [track for track in self._strategies if track.pk in chosen] if chosen else []


class ChangeForm(RegistrationForm):
    """Changes to a registration. `signup.change()` takes its cleaned data as it is and saves it.

    Cleaned data holds only what differs from when the form was opened, so that an old form or a
    second tab doesn't undo newer changes. `sessions` are all published sessions, `offered` those
    that can still be chosen or left, and `seats` the person's own.
    """

    class Meta(RegistrationForm.Meta):
        fields = [name for name in RegistrationForm.Meta.fields if name != "email"]

    def __init__(
        self,
        *args: Any,
        registration: Registration,
        sessions: list[Session],
        offered: list[Session],
        seats: Iterable[Seat],
        **kwargs: Any,
    ) -> None:
        self._offered = set(offered)
        self._own = {seat.session for seat in seats}
        kwargs |= {"instance": registration, "initial": questions.initial_values(registration)}
        super().__init__(*args, event=registration.event, sessions=sessions, **kwargs)
        self.initial["sessions"] = [str(session.pk) for session in self._own]
        self.initial["strategies"] = [str(track.pk) for track in registration.strategies.all()]
        attended = {session for session in self._own if session.takes_place} - self._offered
        fields: dict[str, Any] = self.fields
        del fields["other_names"]
        fields["sessions"].required = bool(self._own & self._offered) and not attended
        fields["sessions"].error_messages["required"] = _(
            "Keep at least one session. Can't make any? Then cancel your registration."
        )
        # Without the hidden initial values, what was sent is compared with the database.
        has_initial = not self.is_bound or self.add_initial_prefix("name") in self.data
        for name, field in self.fields.items():
            # Sessions have their own hidden inputs, `had`: only those that can still be changed.
            field.show_hidden_initial = has_initial and name != "sessions"

    def selectable_sessions(self) -> list[Session]:
        return [session for session in super().selectable_sessions() if session in self._offered]

    def hidden_initials(self) -> Iterator[SafeString]:
        """Hidden inputs with the values that the form was opened with.

        After an error they repeat what was sent, which is nothing for an empty list.
        """
        for field in self:
            name = field.html_initial_name
            if field.field.show_hidden_initial and (not self.is_bound or name in self.data):
                value = self._initial_value(field) if self.is_bound else field.value()
                # Not `as_hidden`, which adds ARIA attributes to what nobody can reach.
                yield field.field.hidden_widget().render(name, value)

    def _initial_value(self, field: forms.BoundField) -> Any:
        """The value that a sent form was opened with."""
        widget = field.field.hidden_widget()
        return widget.value_from_datadict(self.data, self.files, field.html_initial_name)

    @property
    def had(self) -> set[Session]:
        """The person's sessions when the form was opened."""
        if not self.is_bound:
            return self._own
        sent = forms.MultipleHiddenInput().value_from_datadict(self.data, self.files, "had") or []
        return {session for pk, session in self._sessions.items() if str(pk) in sent}

    def clean_sessions(self) -> list[Session]:
        chosen = set(super().clean_sessions())
        if self.fields["sessions"].required and not chosen & self._offered:
            raise ValidationError(self.fields["sessions"].error_messages["required"])
        too_late = (chosen ^ self.had) - self._offered
        if too_late:
            text = gettext(
                "You can't change these anymore, because they're canceled, over, or closed, "
                "or you've been there: %(sessions)s. The list below is up to date."
            )
            sessions = [each for each in self._sessions.values() if each in too_late]
            titles = ((languages.marked(each, "title"),) for each in sessions)
            listed = format_html_join(", ", "“{}”", titles)
            raise ValidationError(languages.filled(text, sessions=listed), code="changed")
        return list(chosen)

    def clean(self) -> dict[str, Any]:
        """Keep what was changed: of the sessions `offered`, and of them the chosen `sessions`."""
        cleaned = super().clean()
        for name in {*self.fields} - {*self.changed_data, "sessions"}:
            cleaned.pop(name, None)
        cleaned["answers"] = {
            question: answer
            for question, answer in cleaned["answers"].items()
            if questions.field_name(question) in self.changed_data
        }
        if "needs" in cleaned:
            field, needs = self["needs"], set(cleaned.pop("needs"))
            has_initial = field.field.show_hidden_initial
            before = self._initial_value(field) if has_initial else field.initial
            cleaned["changed_needs"] = {kind: kind in needs for kind in needs ^ {*(before or [])}}
        if "sessions" in cleaned:
            chosen = set(cleaned["sessions"])
            cleaned["offered"] = (chosen ^ self.had) & self._offered
            cleaned["sessions"] = chosen & cleaned["offered"]
        return cleaned
