"""The public forms: register, change a registration, find lost links."""

from collections.abc import Iterable, Iterator
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.safestring import SafeString

from events.models import Event, Session, Track
from events.timezones import offered_time_zones, validate_time_zone
from registrations import questions
from registrations.models import Registration, Seat, need_choices
from registrations.us_states import US_STATES
from registrations.validators import (
    EMAIL_LENGTH,
    validate_address,
    validate_no_link,
    validate_plain_line,
)

# What people tell of themselves that they may change.
DETAILS = (
    *("name", "time_zone", "organization", "us_state"),
    *("needs", "needs_other", "wants_doors_email"),
)


def email_field(required: str) -> forms.EmailField:
    """An email address; `required` is what someone reads who leaves it out."""
    return forms.EmailField(
        max_length=EMAIL_LENGTH,
        validators=[validate_address],
        error_messages={
            "required": required,
            "invalid": "This does not look like an email address, such as maria@example.org.",
        },
    )


class NeedsField(forms.MultipleChoiceField):
    """The kinds of access needs, as checkboxes."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            choices=need_choices,
            required=False,
            widget=forms.CheckboxSelectMultiple,
            error_messages={"invalid_choice": "Choose from the list."},
            **options,
        )

    def clean(self, value: Any) -> list[str]:
        """Each kind once, in the order of the list."""
        chosen = super().clean(value)
        return [kind for kind, _label in need_choices() if kind in chosen]


class FindForm(forms.Form):
    """Where to mail someone's links again."""

    email = email_field("Tell us the email address you registered with.")


class RegistrationForm(forms.Form):
    """A person's sign-up for an event: `register()` takes its cleaned data as it is."""

    name = forms.CharField(
        max_length=Registration._meta.get_field("name").max_length,
        validators=[validate_plain_line, validate_no_link],
        error_messages={"required": "Tell us your name."},
    )
    email = email_field("Tell us your email address: the links go there.")
    sessions = forms.TypedMultipleChoiceField(
        coerce=int,
        widget=forms.CheckboxSelectMultiple,
        error_messages={
            "required": "Choose at least one session.",
            "invalid_choice": "One of the sessions you chose cannot be joined any more. "
            "Look through the list again.",
        },
    )
    time_zone = forms.CharField(
        max_length=64,
        validators=[validate_time_zone],
        widget=forms.Select,
        error_messages={
            "required": "Choose your time zone.",
            "max_length": "Choose a time zone from the list.",
        },
    )
    organization = forms.CharField(
        required=False,
        max_length=Registration._meta.get_field("organization").max_length,
        validators=[validate_plain_line],
    )
    us_state = forms.ChoiceField(
        required=False,
        choices=lambda: [("", "Choose a state"), *US_STATES],
        error_messages={"invalid_choice": "Choose a state from the list."},
    )
    strategies = forms.TypedMultipleChoiceField(
        coerce=int,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        error_messages={"invalid_choice": "Choose strategies from the list."},
    )
    needs = NeedsField(label="What would help you?")
    needs_other = forms.CharField(
        required=False,
        label="Something else",
        max_length=Registration._meta.get_field("needs_other").max_length,
        validators=[validate_plain_line],
    )
    wants_doors_email = forms.BooleanField(
        required=False, label="Mail me again at the moment when the doors of a session open"
    )

    def __init__(
        self,
        *args: Any,
        event: Event,
        sessions: list[Session],
        strategies: Iterable[Track],
        **kw: Any,
    ) -> None:
        super().__init__(*args, **kw)
        self._sessions = {session.pk: session for session in sessions}
        self._strategies = strategies
        self._questions = questions.asked(event, self.choosable())
        fields: dict[str, Any] = self.fields
        fields |= questions.fields(self._questions)
        fields["sessions"].choices = [(pk, str(each)) for pk, each in self._sessions.items()]
        fields["sessions"].initial = list(self._sessions)
        # Called, and so fetched, only when they are shown or chosen.
        fields["strategies"].choices = lambda: [(track.pk, str(track)) for track in strategies]
        fields["time_zone"].initial = event.time_zone
        fields["time_zone"].widget.choices = offered_time_zones(
            event.time_zone, str(self.data.get("time_zone", self.initial.get("time_zone", "")))
        )

    def choosable(self) -> list[Session]:
        """The sessions that someone may tick or untick."""
        return list(self._sessions.values())

    def asked(self) -> list[questions.Asked]:
        """What the organizers ask, for the page."""
        return questions.on_page(self, self._questions, self.choosable())

    def clean(self) -> dict[str, Any]:
        ticked = {*self.choosable()}.intersection(self.cleaned_data.get("sessions", []))
        self.cleaned_data["answers"] = questions.take_answers(
            self, self._questions, {session.pk for session in ticked}
        )
        return self.cleaned_data

    def clean_sessions(self) -> list[Session]:
        return [self._sessions[pk] for pk in dict.fromkeys(self.cleaned_data["sessions"])]

    def clean_strategies(self) -> list[Track]:
        chosen = set(self.cleaned_data["strategies"])
        return [track for track in self._strategies if track.pk in chosen] if chosen else []


class ChangeForm(RegistrationForm):
    """What someone changes of their registration: `change()` takes its cleaned data as it is.

    Only that changes which is entered otherwise than when the form was made: so neither an old
    form nor a second tab undoes what was done since. `sessions` are all that are public,
    `offered` those of them that can be chosen or left, and `seats` are the person's.
    """

    email = None  # type: ignore[assignment]

    def __init__(
        self,
        *args: Any,
        registration: Registration,
        sessions: list[Session],
        offered: list[Session],
        seats: Iterable[Seat],
        **kw: Any,
    ) -> None:
        self._offered = set(offered)
        self._mine = {seat.session for seat in seats}
        initial: dict[str, Any] = {name: getattr(registration, name) for name in DETAILS}
        initial |= questions.initial(registration)
        # The page gives its fields their ids; those that are hidden need none.
        kw |= {"initial": initial, "auto_id": False}
        super().__init__(*args, event=registration.event, sessions=sessions, **kw)
        self.initial["sessions"] = [str(session.pk) for session in self._mine]
        self.initial["strategies"] = [str(each.pk) for each in registration.strategies.all()]
        attended = {session for session in self._mine if session.takes_place} - self._offered
        fields: dict[str, Any] = self.fields
        fields["sessions"].required = bool(self._mine & self._offered) and not attended
        fields["sessions"].error_messages["required"] = (
            "Keep at least one session. Can you come to none? Then cancel your registration."
        )
        # Data that do not say how the form began are compared with what is kept now.
        tells = not self.is_bound or self.add_initial_prefix("name") in self.data
        for name, field in self.fields.items():
            # The sessions have their own, `had`, which forgets what can no longer be changed.
            field.show_hidden_initial = tells and name != "sessions"

    def choosable(self) -> list[Session]:
        return [session for session in super().choosable() if session in self._offered]

    def hidden_initials(self) -> Iterator[SafeString]:
        """How the form began, for the page: it tells later what was changed in it.

        Shown again it says what it said at first, also of a list that was empty: nothing.
        """
        for field in self:
            is_said = not self.is_bound or field.html_initial_name in self.data
            if field.field.show_hidden_initial and is_said:
                yield field.as_hidden(only_initial=True)

    @property
    def had(self) -> set[Session]:
        """The sessions that were the person's when the form was made."""
        if not self.is_bound:
            return self._mine
        posted = forms.MultipleHiddenInput().value_from_datadict(self.data, self.files, "had") or []
        return {session for pk, session in self._sessions.items() if str(pk) in posted}

    @property
    def _needs_before(self) -> set[str]:
        field = self["needs"]
        if not field.field.show_hidden_initial:
            return set(self.initial["needs"])
        return set(
            forms.MultipleHiddenInput().value_from_datadict(
                self.data, self.files, field.html_initial_name
            )
            or []
        )

    def clean_sessions(self) -> list[Session]:
        chosen = set(super().clean_sessions())
        if self.fields["sessions"].required and not chosen & self._offered:
            raise ValidationError(self.fields["sessions"].error_messages["required"])
        too_late = (chosen ^ self.had) - self._offered
        if too_late:
            titles = [f"“{each}”" for each in self._sessions.values() if each in too_late]
            raise ValidationError(
                "What you ticked otherwise can no longer be changed, since it is canceled, over "
                "or closed by now, or you have been there: "
                f"{', '.join(titles)}. The list here is as it stands now."
            )
        return list(chosen)

    def clean(self) -> dict[str, Any]:
        """Leave what is to be changed: of the sessions `offered`, and of them the `sessions`."""
        cleaned = super().clean()
        for name in {*self.fields} - {*self.changed_data, "sessions"}:
            cleaned.pop(name, None)
        cleaned["answers"] = {
            question: answer
            for question, answer in cleaned["answers"].items()
            if questions.name(question) in self.changed_data
        }
        if "needs" in cleaned:
            needs = set(cleaned.pop("needs"))
            cleaned["changed_needs"] = {kind: kind in needs for kind in needs ^ self._needs_before}
        if "sessions" in cleaned:
            chosen = set(cleaned["sessions"])
            cleaned["offered"] = (chosen ^ self.had) & self._offered
            cleaned["sessions"] = chosen & cleaned["offered"]
        return cleaned
