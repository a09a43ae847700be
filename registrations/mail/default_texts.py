"""Texts for special cases, organizers' own texts, and the placeholders in both.

The default texts of the usual case are in registrations/mail_kinds.py.
"""

from collections.abc import Iterable, Mapping
from string import Formatter

from django.core.exceptions import ValidationError

from registrations.mail_kinds import MailKind, MailTexts
from registrations.models import MailText

# What organizers read about each placeholder.
PLACEHOLDERS = {
    "name": "the person's name",
    "event": "the event's name",
    "host": "who invites",
    "session": "the session's title",
    "when": "such as tomorrow at 9:00 AM PDT, by the person's clock",
}

# The session was canceled before, and takes place after all.
RESTORED = MailTexts(
    "On again: {session}",
    "A session that we had told you was canceled takes place after all. Your personal link "
    "stays the same, and the calendar entry in this mail puts it back.",
)

# For people on the session's waiting list.
CHANGED_ON_WAITLIST = MailTexts(
    "Changed: {session}",
    "A session whose waiting list you are on has changed. You are still waiting for a place. The "
    "calendar entry in this mail, which is tentative, takes the place of any that you have.",
)
RESTORED_ON_WAITLIST = MailTexts(
    "On again: {session}",
    "A session that we had told you was canceled takes place after all. You are on its waiting "
    "list again, and do not have a place yet. The calendar entry in this mail is tentative.",
)
CANCELED_ON_WAITLIST = MailTexts(
    "Canceled: {session}",
    "A session whose waiting list you were on does not take place, so the waiting list is over. "
    "We are sorry.",
)

# All sessions that someone chose are full.
ALL_ON_WAITLIST = MailTexts(
    "You are on the waiting list of {event}",
    "All places in what you chose are taken. You are on the waiting list: when a place frees and "
    "it is your turn, it is yours, and a mail with your link tells you.",
)


def texts_of(event_ids: Iterable[int]) -> Mapping[tuple[int, str], MailTexts]:
    """Organizers' own texts, by event and kind. Where they are empty, the default is used."""
    written = MailText.objects.filter(event__in=event_ids)
    return {(text.event_id, text.kind): MailTexts(text.subject, text.opening) for text in written}


def fill(text: str, values: Mapping[str, str]) -> str:
    """Fill the {placeholders} of a text that `validate_placeholders` accepted.

    Browsers send the line ends of a form as CRLF.
    """
    return text.replace("\r\n", "\n").format_map(values)


def validate_placeholders(text: str, kind: str) -> None:
    """Reject braces that aren't a placeholder of this kind of email."""
    allowed = MailKind(kind).spec.placeholders
    known = ", ".join(f"{{{name}}}" for name in allowed)
    try:
        parts = list(Formatter().parse(text))
    except ValueError as error:
        raise ValidationError(
            f"There is a brace without its partner. Write {{{{ for a brace. Known are {known}."
        ) from error
    for _text, name, spec, conversion in parts:
        if name in allowed and (spec or conversion):
            raise ValidationError(f"Write {{{name}}} alone between its braces.")
        if name is not None and name not in allowed:
            raise ValidationError(f"There is no placeholder {{{name}}} here. Known are {known}.")
