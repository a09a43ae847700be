"""Texts for special cases, organizers' own texts, and the placeholders in both.

The default texts of the usual case are in registrations/mail_kinds.py.
"""

from collections.abc import Iterable, Mapping
from string import Formatter

from django.core.exceptions import ValidationError
from django.utils.functional import Promise
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from registrations.mail_kinds import MailKind, MailTexts
from registrations.models import MailText

# What organizers read about each placeholder.
PLACEHOLDERS = {
    "name": gettext_lazy("the person's name"),
    "event": gettext_lazy("the event's name"),
    "host": gettext_lazy("the host's name"),
    "session": gettext_lazy("the session's title"),
    "dates": gettext_lazy("the days of the person's sessions, like “Oct 16–23”"),
    "when": gettext_lazy(
        "when it starts in the person's time zone, like “tomorrow at 9:00 AM PDT”"
    ),
}

# The session was canceled before, and takes place after all.
RESTORED = MailTexts(
    gettext_lazy("Back on: {session} {when}"),
    gettext_lazy(
        "Good news: a session that was canceled is back on. Your personal link stays the same, "
        "and the calendar entry in this email puts it back in your calendar."
    ),
)

# For people on the session's waitlist.
CHANGED_ON_WAITLIST = MailTexts(
    gettext_lazy("Changed: {session} {when}"),
    gettext_lazy(
        "A session you're on the waitlist for has changed. You're still waiting for a spot. The "
        "calendar entry in this email is marked as waitlist, and replaces any that you have."
    ),
)
RESTORED_ON_WAITLIST = MailTexts(
    gettext_lazy("Back on: {session} {when}"),
    gettext_lazy(
        "Good news: a session that was canceled is back on. You're on its waitlist again, and "
        "don't have a spot yet. The calendar entry in this email is marked as waitlist."
    ),
)
CANCELED_ON_WAITLIST = MailTexts(
    gettext_lazy("Canceled: {session} {when}"),
    gettext_lazy(
        "We're sorry: a session you were on the waitlist for has been canceled. You don't "
        "need to do anything."
    ),
)

# All sessions that someone chose are full.
ALL_ON_WAITLIST = MailTexts(
    gettext_lazy("You're on the waitlist for {dates}: {event}"),
    gettext_lazy(
        "All the sessions you chose are full, so you're on the waitlist. If a spot opens and it's "
        "your turn, it's yours, and we'll email you your link."
    ),
)

# None of the sessions that someone chose is on the schedule.
NO_SESSION = MailTexts(
    gettext_lazy("You're registered for {event}"), gettext_lazy("You're registered for {event}.")
)


def texts_of(event_ids: Iterable[int]) -> Mapping[tuple[int, str], MailText]:
    """Organizers' own texts, by event and kind. Where they are empty, the default is used."""
    written = MailText.objects.filter(event__in=event_ids)
    return {(text.event_id, text.kind): text for text in written}


def fill(text: str | Promise, values: Mapping[str, str]) -> str:
    """Fill the {placeholders} of a text that `validate_placeholders` accepted."""
    return _with_line_feeds(text).format_map(values)


def fill_html(text: str | Promise, values: Mapping[str, str]) -> SafeString:
    """The same as HTML; `values` may be HTML, too."""
    return format_html(escape(_with_line_feeds(text)), **values)


def _with_line_feeds(text: str | Promise) -> str:
    """Browsers send the line ends of a form as CRLF."""
    return str(text).replace("\r\n", "\n")


def validate_placeholders(text: str, kind: str) -> None:
    """Reject braces that aren't a placeholder of this kind of email."""
    allowed = MailKind(kind).spec.placeholders
    known = ", ".join(f"{{{name}}}" for name in allowed)
    try:
        parts = list(Formatter().parse(text))
    except ValueError as error:
        message = _(
            "There's a { without a }, or a } without a {. To show a brace, type it twice: "
            "{{ or }}. You can use: %(known)s."
        )
        raise ValidationError(message % {"known": known}) from error
    for _text, name, spec, conversion in parts:
        if name in allowed and (spec or conversion):
            message = _("Write {%(name)s} with nothing else between its braces.")
            raise ValidationError(message % {"name": name})
        if name is not None and name not in allowed:
            message = _("There's no placeholder {%(name)s} here. You can use: %(known)s.")
            raise ValidationError(message % {"name": name, "known": known})
