"""Mail merge: an email with merge fields, filled in for each reader."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from django.core.mail import EmailMultiAlternatives
from django.utils.html import escape

from events import ical
from registrations.mail.unsubscribe import unsubscribe_url
from registrations.models import TOKEN_LENGTH, Registration
from registrations.outbox.prebuilt import HEADERS, MAX_LINE_BYTES, PersonalMail, is_anymail

# Private-use characters, which no form lets in; what stands in a URL or a calendar is plain.
NAME = "\ue000name\ue000"
HTML_NAME = "\ue000html-name\ue000"
CALENDAR = "\ue000calendar\ue000"
TOKEN = "PERSONAL-TOKEN".ljust(TOKEN_LENGTH, "-")
EMAIL = "personal-address"
UNSUBSCRIBE_URL = "https://personal-unsubscribe-address.invalid/"
OWN_URL = "https://personal-zoom-link.invalid/"


def own_link(session_id: int, extension: str) -> str:
    """The stand-in for what is said of someone's own Zoom link, which is nothing without one."""
    return f"\ue000zoom-link-{session_id}.{extension}\ue000"


@dataclass(frozen=True)
class MessageTemplate:
    """What a mail is but for its blocks and its calendar, with stand-ins for what is personal.

    `method` is the calendar's, "" where there is none. Any but PUBLISH (RFC 5546) makes it
    stand among the alternatives too, which is where clients act on it (RFC 6047, 2.4).
    """

    subject: str
    text: str
    html: str
    reply_to: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = ""

    def message(
        self, *, to: str, subject: str, text: str, html: str, calendar: str, **headers: str
    ) -> "PersonalMail":
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
            # A provider may not carry the alternative: then clients have to act on the file.
            method = f"; method={self.method}" if is_anymail() else ""
            message.attach("invite.ics", calendar, f"text/calendar{method}")
        return message

    @cached_property
    def personal_html(self) -> str:
        """With a stand-in of its own for the name, which is escaped here."""
        return self.html.replace(NAME, HTML_NAME)

    @cached_property
    def skeleton(self) -> bytes | None:
        """The frame as it travels; None when stand-ins cannot be found in it."""
        message = self.message(
            subject=HEADERS["Subject"],
            to=HEADERS["To"],
            text=self.text,
            html=self.personal_html,
            calendar=CALENDAR,
            **self.headers,
        )
        # The subject is the message's own; as a header too it would stand there twice.
        message.extra_headers |= {name: HEADERS[name] for name in ("Date", "Message-ID")}
        built: Any = EmailMultiAlternatives.message(message)
        flat: bytes = built.as_bytes(linesep="\r\n")
        # Very long lines are encoded, and words in them with them.
        encoded = b"Transfer-Encoding: quoted-printable" in flat or b"ncoding: base64" in flat
        return None if encoded else flat


@dataclass(frozen=True)
class MergeTemplate:
    """A mail to all who get the same words: a frame, and by stand-in the blocks to put in.

    In the blocks there is a place for
    someone's own Zoom link for each session of `linked`; `own_link` says by extension what is put
    there, with a stand-in for its address.
    """

    frame: MessageTemplate
    blocks: Mapping[str, str] = field(default_factory=dict)
    calendar: bytes = b""
    linked: Sequence[int] = ()
    own_link: Mapping[str, str] = field(default_factory=dict)

    def address_to(
        self, person: Registration, zoom_urls: Mapping[int, str] | None = None
    ) -> "PersonalMail":
        """The mail to this person, whose own Zoom links are known by the sessions' ids."""
        frame = self.frame
        own_links = self._own_links(zoom_urls or {})
        personal = {
            **self.blocks,
            **own_links,
            TOKEN: person.token,
            UNSUBSCRIBE_URL: unsubscribe_url(person) if frame.headers else "",
            HTML_NAME: escape(person.name),
            NAME: person.name,
        }

        def filled(words: str) -> str:
            for stand_in, own in personal.items():
                if stand_in in words:
                    words = words.replace(stand_in, own)
            return words

        own = {TOKEN: person.token}
        if frame.method not in ("", "PUBLISH"):
            own[EMAIL] = person.email
        calendar = ical.replace(self.calendar, own).decode()
        message = frame.message(
            to=person.email,
            subject=filled(frame.subject),
            text=filled(frame.text),
            html=filled(frame.personal_html),
            calendar=calendar,
            **{name: filled(value) for name, value in frame.headers.items()},
        )
        message.skeleton = frame.skeleton if self._has_short_lines else None
        sent = self._lines_as_sent | {name: _as_sent(words) for name, words in own_links.items()}
        message.personal = personal | sent | {CALENDAR: calendar}
        return message

    def _own_links(self, zoom_urls: Mapping[int, str]) -> dict[str, str]:
        written: dict[str, Callable[[str], str]] = {"txt": str, "html": escape}
        return {
            own_link(session_id, extension): words.replace(
                OWN_URL, written[extension](zoom_urls[session_id])
            )
            if session_id in zoom_urls
            else ""
            for session_id in self.linked
            for extension, words in self.own_link.items()
        }

    @cached_property
    def _lines_as_sent(self) -> dict[str, str]:
        return {name: _as_sent(block) for name, block in self.blocks.items()}

    @cached_property
    def _has_short_lines(self) -> bool:
        """Whether the blocks may travel as they are (RFC 5322, 2.1.1)."""
        return all(map(_has_short_lines, self.blocks.values()))


def _as_sent(words: str) -> str:
    return words.replace("\r\n", "\n").replace("\n", "\r\n")


def _has_short_lines(block: str) -> bool:
    lines = block.splitlines()
    # No character takes more than four bytes.
    return 4 * max(map(len, lines), default=0) <= MAX_LINE_BYTES or all(
        len(line.encode()) <= MAX_LINE_BYTES for line in lines
    )
