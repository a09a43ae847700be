"""An email whose MIME was built once for many people. Only the personal values are filled in."""

import re
from collections.abc import Mapping
from email.utils import formatdate, make_msgid
from functools import lru_cache
from typing import Any

from django.core.mail import DNS_NAME, EmailMultiAlternatives
from django.core.mail.message import forbid_multi_line_headers, sanitize_address

# They ask for no automatic replies: RFC 3834, and Exchange's own header.
AUTOMATIC = {"Auto-Submitted": "auto-generated", "X-Auto-Response-Suppress": "All"}

# The placeholders of headers that are replaced as a whole.
HEADERS = {
    "Subject": "personal-subject",
    "From": "personal-sender@personal.invalid",
    "To": "personal-recipient@personal.invalid",
    "Date": "personal-date",
    "Message-ID": "personal-message-id",
}


def as_sent(values: Mapping[str, str]) -> dict[str, bytes]:
    """The values as bytes, with CRLF line ends."""
    return {
        name: value.replace("\r\n", "\n").replace("\n", "\r\n").encode()
        for name, value in values.items()
    }


def substitute_in_mime(mime: bytes, values: Mapping[str, bytes]) -> bytes:
    for placeholder, value in values.items():
        mime = mime.replace(placeholder.encode(), value)
    return mime


# An address that is sent as it is.
PLAIN_ADDRESS = re.compile(r"[\w+-]+(\.[\w+-]+)*@[\w-]+(\.[\w-]+)+", re.ASCII)


def as_header(address: str) -> str:
    """An address as it is sent. Django parses each one, which takes a tenth of a mailing's time."""
    is_plain = PLAIN_ADDRESS.fullmatch(address)
    return address if is_plain else str(sanitize_address(address, "utf-8"))


# Most readers of a mailing have the same, and the dash in its dates takes a while to encode.
@lru_cache(maxsize=500)
def _encoded_subject(subject: str) -> str:
    """The subject as it is sent: folded, and without line breaks that would add a header."""
    _name, encoded = forbid_multi_line_headers("Subject", subject, "utf-8")
    return encoded


# It is the same for all emails.
sender_as_header = lru_cache(maxsize=10)(as_header)


class PersonalMail(EmailMultiAlternatives):
    """One person's email.

    `prebuilt` is the MIME, if there is one, and `personal` has what replaces each placeholder.
    """

    prebuilt: bytes | None = None
    personal: Mapping[str, bytes]

    def message(self) -> Any:  # type: ignore[override]
        """The message for the mail backend, which only calls `as_bytes`."""
        return super().message() if self.prebuilt is None else self

    def as_bytes(self, unixfrom: bool = False, linesep: str = "\n") -> bytes:
        """The prebuilt MIME with the personal values."""
        content = substitute_in_mime(self.prebuilt or b"", self.personal)
        headers, separator, body = content.partition(b"\r\n\r\n")
        content = substitute_in_mime(headers, as_sent(self._headers())) + separator + body
        return content if linesep == "\r\n" else content.replace(b"\r\n", linesep.encode())

    def _headers(self) -> dict[str, str]:
        """The headers in HEADERS as they are sent: encoded, folded, and without injections."""
        message_id = self.extra_headers.get("Message-ID") or make_msgid(domain=str(DNS_NAME))
        return {
            HEADERS["Subject"]: _encoded_subject(str(self.subject)),
            HEADERS["From"]: sender_as_header(self.from_email),
            HEADERS["To"]: as_header(self.to[0]),
            HEADERS["Date"]: self.extra_headers.get("Date") or formatdate(),
            HEADERS["Message-ID"]: message_id,
        }
