"""Mail merge: an email with merge fields, whose values are substituted for each reader."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.utils.html import escape
from django.utils.translation import get_language

from events.calendar import ical
from events.sharing import palette
from events.text.addresses import ascii_address
from registrations.mail.unsubscribe import unsubscribe_url
from registrations.models import TOKEN_LENGTH, Registration
from registrations.outbox.prebuilt import (
    AUTOMATIC,
    HEADERS,
    PersonalMail,
    as_sent,
    substitute_in_mime,
)

# RFC 5322, 2.1.1.
MAX_LINE_BYTES = 998

# The merge fields. Private-use characters mark them, which forms reject. Fields inside a URL or a
# calendar are plain ASCII instead.
NAME = "\ue000name\ue000"
HTML_NAME = "\ue000html-name\ue000"
CALENDAR = "\ue000calendar\ue000"
TOKEN = "PERSONAL-TOKEN".ljust(TOKEN_LENGTH, "-")
EMAIL = "personal-address"
UNSUBSCRIBE_URL = "https://personal-unsubscribe-address.invalid/"
ZOOM_URL = "https://personal-zoom-link.invalid/"


# What mail programs look for when they turn text into a link: t.co/x, //x, a@b.
LINK_PART = re.compile(r"[.:/@。．｡](?=\S)")


def unlinked(text: str) -> str:
    """The text with invisible word joiners, so that no mail program makes a link of it.

    For what people typed: a stranger could have an email sent to someone else.
    """
    return LINK_PART.sub("\\g<0>\u2060", text)


def sessions_field(form: str, extension: str) -> str:
    """The merge field for all sessions that an email shows in this form."""
    return f"\ue000{form}.{extension}\ue000"


def zoom_link_field(session_id: int, extension: str) -> str:
    """The merge field for the block with someone's own Zoom link, which is empty without one."""
    return f"\ue000zoom-link-{session_id}.{extension}\ue000"


def substitute(text: str, values: Mapping[str, str]) -> str:
    for merge_field, value in values.items():
        text = text.replace(merge_field, value)
    return text


@dataclass(frozen=True)
class MergeTemplate:
    """An email to everyone who gets the same text, with merge fields for what is personal.

    `method` is the calendar's (RFC 5546), "" without one. With any other than PUBLISH the calendar
    is also among the alternatives, where clients act on it (RFC 6047, 2.4). For each of
    `zoom_link_sessions` the text has a field for someone's own Zoom link. `mime` is the prebuilt
    MIME form; None if Django has to build and encode each email. `colors` are the event's.
    """

    subject: str
    text: str
    html: str
    reply_to: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = ""
    calendar: bytes = b""
    zoom_link_sessions: Sequence[int] = ()
    mime: bytes | None = None
    colors: str = palette.DEFAULT

    def with_mime(self) -> "MergeTemplate":
        """With prebuilt MIME, unless a line is so long that Django encodes it."""
        message = self._build({}, to=HEADERS["To"], subject=HEADERS["Subject"], calendar=CALENDAR)
        message.from_email = HEADERS["From"]
        # Not the subject: Django adds that one itself.
        message.extra_headers |= {name: HEADERS[name] for name in ("Date", "Message-ID")}
        built: Any = EmailMultiAlternatives.message(message)
        mime: bytes = built.as_bytes(linesep="\r\n")
        encoded = b"Transfer-Encoding: quoted-printable" in mime or b"ncoding: base64" in mime
        return self if encoded else replace(self, mime=mime)

    def with_blocks(self, blocks: Mapping[str, str], **changes: Any) -> "MergeTemplate":
        """With these blocks, by merge field, also in the MIME: building that again is slower."""
        lines = "\n".join(blocks.values()).encode().splitlines()
        mime = self.mime if max(map(len, lines), default=0) <= MAX_LINE_BYTES else None
        return replace(
            self,
            text=substitute(self.text, blocks),
            html=substitute(self.html, blocks),
            mime=mime and substitute_in_mime(mime, as_sent(blocks)),
            **changes,
        )

    def merge_for(
        self, person: Registration, zoom_urls: Mapping[int, str] | None = None
    ) -> PersonalMail:
        """The email to this person, with their own Zoom links by session ID."""
        # The name comes last: it may look like another merge field.
        values = {
            **self._zoom_links(zoom_urls or {}),
            TOKEN: person.token,
            UNSUBSCRIBE_URL: unsubscribe_url(person) if self.headers else "",
            HTML_NAME: escape(unlinked(person.name)),
            NAME: unlinked(person.name),
        }
        in_calendar = {TOKEN: person.token}
        if self.method not in ("", "PUBLISH"):
            in_calendar[EMAIL] = ascii_address(person.email)
        calendar = ical.replace(self.calendar, in_calendar)
        calendar = ical.for_person(calendar, person.mailbox_number)
        subject = substitute(self.subject, values)
        if person.mailbox_number > 1:
            # In an inbox, it looks like the email to the first one otherwise.
            subject = f"{unlinked(person.name)}: {subject}"
        to = ascii_address(person.email)
        message = self._build(values, to=to, subject=subject, calendar=calendar.decode())
        message.prebuilt = self.mime
        message.personal = as_sent(values) | {CALENDAR: calendar}
        return message

    def _build(
        self, values: Mapping[str, str], *, to: str, subject: str, calendar: str
    ) -> PersonalMail:
        headers = {name: substitute(value, values) for name, value in self.headers.items()}
        message = PersonalMail(
            subject=subject,
            body=substitute(self.text, values),
            to=[to],
            reply_to=self.reply_to,
            headers={**AUTOMATIC, **headers},
        )
        message.attach_alternative(substitute(self.html, values), "text/html")
        if self.method == "PUBLISH":
            message.attach("strategy-week.ics", calendar, "text/calendar; method=PUBLISH")
        elif self.method:
            typed = f"text/calendar; method={self.method}"
            message.attach_alternative(calendar, typed)
            # A provider may leave out the alternative: then clients have to act on the file.
            is_anymail = settings.EMAIL_BACKEND.startswith("anymail.")
            message.attach("invite.ics", calendar, typed if is_anymail else "text/calendar")
        return message

    def _zoom_links(self, zoom_urls: Mapping[int, str]) -> dict[str, str]:
        links = {}
        for pk in self.zoom_link_sessions:
            for extension, block in _zoom_link_blocks(get_language(), self.colors).items():
                url = zoom_urls.get(pk, "")
                link = block.replace(ZOOM_URL, escape(url) if extension == "html" else url)
                links[zoom_link_field(pk, extension)] = link if url else ""
        return links


@cache
def _zoom_link_blocks(language: str, colors: str) -> dict[str, str]:
    """By extension, the block with someone's own Zoom link, in the current language."""
    context = {"own_url": ZOOM_URL, **palette.colors(colors)}
    return {
        extension: render_to_string(f"mails/blocks/own_link.{extension}", context)
        for extension in ("txt", "html")
    }
