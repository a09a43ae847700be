"""What people may enter, and the words they read when it cannot be taken."""

import re
import unicodedata
from collections.abc import Iterable
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from events.models import Event, Session, Track
from events.timezones import offered_time_zones, validate_time_zone

from .models import Registration, email_key
from .us_states import US_STATES

EMAIL_LENGTH = 254
# Names in Persian and in Indian scripts, and emoji, are spelled with these.
JOINERS = {"\u200c", "\u200d"}
LOOKS_LIKE_A_LINK = re.compile(r"//|@|\bwww\.|\w\w\.[^\W\d_]{2}", re.IGNORECASE)


def validate_plain_line(text: str) -> None:
    """Refuse what no name holds but an attack does: line breaks, direction marks, tags."""
    refused = {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}
    if {sign for sign in text if unicodedata.category(sign) in refused} - JOINERS:
        raise ValidationError(
            "Use letters, digits and punctuation on one line: "
            "there is an invisible character in this text."
        )
    if "<" in text or ">" in text:
        raise ValidationError("Leave out the signs < and >.")


def validate_no_link(text: str) -> None:
    """Refuse web addresses in a name: it stands in a mail that a stranger can cause."""
    if LOOKS_LIKE_A_LINK.search(text):
        raise ValidationError("Leave out web addresses, and put a space behind a full stop.")


def validate_address(email: str) -> None:
    """Refuse what a mail server would read as another address, or not at all.

    Quotes and invisible signs spell one mailbox in endless ways, and Unicode may grow.
    """
    validate_plain_line(email)
    if '"' in email or "\\" in email:
        raise ValidationError("Leave out quotation marks and backslashes.")
    try:
        key = email_key(email)
    except UnicodeError as error:
        raise ValidationError("There is no such domain behind the @.") from error
    if len(key) > EMAIL_LENGTH:
        raise ValidationError("This address is too long.")


class RegistrationForm(forms.Form):
    """A person's sign-up for an event: `register()` takes its cleaned data as it is."""

    name = forms.CharField(
        max_length=Registration._meta.get_field("name").max_length,
        validators=[validate_plain_line, validate_no_link],
        error_messages={"required": "Tell us your name."},
    )
    email = forms.EmailField(
        max_length=EMAIL_LENGTH,
        validators=[validate_address],
        error_messages={
            "required": "Tell us your email address: the links go there.",
            "invalid": "This does not look like an email address, such as maria@example.org.",
        },
    )
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
    state = forms.ChoiceField(
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
    needs_captions = forms.BooleanField(required=False, label="Live captions")
    needs_asl = forms.BooleanField(required=False, label="ASL interpretation")
    needs_interpretation = forms.BooleanField(required=False, label="Spanish interpretation")
    needs_dial_in = forms.BooleanField(required=False, label="Joining by phone call")
    wants_door_calls = forms.BooleanField(
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
        fields: dict[str, Any] = self.fields
        fields["sessions"].choices = [(pk, str(each)) for pk, each in self._sessions.items()]
        fields["sessions"].initial = list(self._sessions)
        # Called, and so fetched, only when they are shown or chosen.
        fields["strategies"].choices = lambda: [(track.pk, str(track)) for track in strategies]
        fields["time_zone"].initial = event.time_zone
        fields["time_zone"].widget.choices = offered_time_zones(
            event.time_zone, str(self.data.get("time_zone", ""))
        )

    def clean_sessions(self) -> list[Session]:
        return [self._sessions[pk] for pk in dict.fromkeys(self.cleaned_data["sessions"])]

    def clean_strategies(self) -> list[Track]:
        chosen = set(self.cleaned_data["strategies"])
        return [track for track in self._strategies if track.pk in chosen] if chosen else []
