"""Mail merge: an email with merge fields, whose values are substituted for each reader."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from django.core.mail import EmailMultiAlternatives
from django.utils.html import escape

from events import ical
from events.addresses import ascii_address
from registrations.mail.unsubscribe import unsubscribe_url
from registrations.models import TOKEN_LENGTH, Registration
from registrations.outbox.prebuilt import HEADERS, MAX_LINE_BYTES, PersonalMail, is_anymail

# The merge fields. Private-use characters mark them, which forms reject. Fields inside a URL or a
# calendar are plain ASCII instead.
NAME = "\ue000name\ue000"
HTML_NAME = "\ue000html-name\ue000"
CALENDAR = "\ue000calendar\ue000"
TOKEN = "PERSONAL-TOKEN".ljust(TOKEN_LENGTH, "-")
EMAIL = "personal-address"
UNSUBSCRIBE_URL = "https://personal-unsubscribe-address.invalid/"
ZOOM_URL = "https://personal-zoom-link.invalid/"


def sessions_field(form: str, extension: str) -> str:
    """The merge field for all sessions that an email shows in this form."""
    return f"\ue000{form}.{extension}\ue000"


def zoom_link_field(session_id: int, extension: str) -> str:
    """The merge field for the block with someone's own Zoom link, which is empty without one."""
    return f"\ue000zoom-link-{session_id}.{extension}\ue000"


def substitute(text: str, values: Mapping[str, str]) -> str:
    for merge_field, value in values.items():
        if merge_field in text:
            text = text.replace(merge_field, value)
    return text


@dataclass(frozen=True)
class MessageTemplate:
    """An email with merge fields for its session blocks, its calendar and all that's personal.

    `method` is the calendar's (RFC 5546), "" without one. With any other than PUBLISH the calendar
    is also among the alternatives, where clients act on it (RFC 6047, 2.4).
    """

    subject: str
    text: str
    html: str
    reply_to: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = ""

    def build(
        self, *, to: str, subject: str, text: str, html: str, calendar: str, **headers: str
    ) -> PersonalMail:
        message = PersonalMail(
            subject=subject,
            body=text,
            to=[to],
            reply_to=self.reply_to,
            headers={"Auto-Submitted": "auto-generated", **headers},
        )
        message.attach_alternative(html, "text/html")
        if self.method == "PUBLISH":
            message.attach("strategy-week.ics", calendar, "text/calendar; method=PUBLISH")
        elif self.method:
            message.attach_alternative(calendar, f"text/calendar; method={self.method}")
            # A provider may leave out the alternative: then clients have to act on the file.
            method = f"; method={self.method}" if is_anymail() else ""
            message.attach("invite.ics", calendar, f"text/calendar{method}")
        return message

    @cached_property
    def prebuilt(self) -> bytes | None:
        """The MIME form with its merge fields; None if lines are so long that it's encoded."""
        message = self.build(
            subject=HEADERS["Subject"],
            to=HEADERS["To"],
            text=self.text,
            html=self.html,
            calendar=CALENDAR,
            **self.headers,
        )
        # Not the subject: Django adds that one itself.
        message.extra_headers |= {name: HEADERS[name] for name in ("Date", "Message-ID")}
        built: Any = EmailMultiAlternatives.message(message)
        mime: bytes = built.as_bytes(linesep="\r\n")
        encoded = b"Transfer-Encoding: quoted-printable" in mime or b"ncoding: base64" in mime
        return None if encoded else mime


@dataclass(frozen=True)
class MergeTemplate:
    """An email to everyone who gets the same text: a template, and its blocks by merge field.

    The blocks have a field for someone's own Zoom link for each of `zoom_link_sessions`. Its value
    is the block `zoom_link`, by extension, with their URL.
    """

    template: MessageTemplate
    blocks: Mapping[str, str] = field(default_factory=dict)
    calendar: bytes = b""
    zoom_link_sessions: Sequence[int] = ()
    zoom_link: Mapping[str, str] = field(default_factory=dict)

    def merge_for(
        self, person: Registration, zoom_urls: Mapping[int, str] | None = None
    ) -> PersonalMail:
        """The email to this person, with their own Zoom links by session ID."""
        template = self.template
        zoom_links = self._zoom_links(zoom_urls or {})
        # The name comes last: it may look like another merge field.
        values = {
            **self.blocks,
            **zoom_links,
            TOKEN: person.token,
            UNSUBSCRIBE_URL: unsubscribe_url(person) if template.headers else "",
            HTML_NAME: escape(person.name),
            NAME: person.name,
        }
        in_calendar = {TOKEN: person.token}
        if template.method not in ("", "PUBLISH"):
            in_calendar[EMAIL] = ascii_address(person.email)
        calendar = ical.replace(self.calendar, in_calendar).decode()
        message = template.build(
            to=ascii_address(person.email),
            subject=substitute(template.subject, values),
            text=substitute(template.text, values),
            html=substitute(template.html, values),
            calendar=calendar,
            **{name: substitute(value, values) for name, value in template.headers.items()},
        )
        message.skeleton = self.prebuilt
        zoom_links_as_sent = {name: _with_crlf(block) for name, block in zoom_links.items()}
        message.personal = values | self._blocks_as_sent | zoom_links_as_sent | {CALENDAR: calendar}
        return message

    @cached_property
    def prebuilt(self) -> bytes | None:
        """The MIME form with its merge fields; None if Django has to build and encode each email.

        That is needed for lines over the limit of RFC 5322, 2.1.1.
        """
        lines = (line for block in self.blocks.values() for line in block.encode().splitlines())
        fits = max(map(len, lines), default=0) <= MAX_LINE_BYTES
        return self.template.prebuilt if fits else None

    @cached_property
    def _blocks_as_sent(self) -> dict[str, str]:
        return {name: _with_crlf(block) for name, block in self.blocks.items()}

    def _zoom_links(self, zoom_urls: Mapping[int, str]) -> dict[str, str]:
        return {
            zoom_link_field(pk, extension): block.replace(
                ZOOM_URL, escape(zoom_urls[pk]) if extension == "html" else zoom_urls[pk]
            )
            if pk in zoom_urls
            else ""
            for pk in self.zoom_link_sessions
            for extension, block in self.zoom_link.items()
        }


def _with_crlf(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\n", "\r\n")
