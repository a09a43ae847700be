"""An email whose MIME was built once for many people. Only the personal values are filled in."""

from collections.abc import Mapping
from email.utils import formatdate, make_msgid
from typing import Any

from django.core.mail import DNS_NAME, EmailMultiAlternatives
from django.core.mail.message import forbid_multi_line_headers, sanitize_address

# The placeholders of headers that are replaced as a whole.
HEADERS = {
    "Subject": "personal-subject",
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


class PersonalMail(EmailMultiAlternatives):
    """One person's email.

    `prebuilt` is the MIME, if there is one, and `personal` has what replaces each placeholder.
    """

    prebuilt: bytes | None = None
    personal: Mapping[str, bytes]

    def message(self) -> Any:  # type: ignore[override]
        return super().message() if self.prebuilt is None else PrebuiltMime(self, self.prebuilt)


class PrebuiltMime:
    """The part of `email.message.Message` that Django's mail backends use."""

    def __init__(self, mail: PersonalMail, mime: bytes) -> None:
        self._mail, self._mime = mail, mime

    def as_bytes(self, unixfrom: bool = False, linesep: str = "\n") -> bytes:
        content = substitute_in_mime(self._mime, self._mail.personal)
        headers, separator, body = content.partition(b"\r\n\r\n")
        headers = substitute_in_mime(headers, as_sent(self._personal_headers()))
        content = headers + separator + body
        return content if linesep == "\r\n" else content.replace(b"\r\n", linesep.encode())

    def _personal_headers(self) -> dict[str, str]:
        """The headers in HEADERS as they are sent: encoded, folded, and without injections."""
        mail = self._mail
        _name, subject = forbid_multi_line_headers("Subject", str(mail.subject), "utf-8")
        values = {
            "Subject": subject,
            "To": sanitize_address(mail.to[0], "utf-8"),
            "Date": mail.extra_headers.get("Date") or formatdate(),
            "Message-ID": mail.extra_headers.get("Message-ID") or make_msgid(domain=str(DNS_NAME)),
        }
        return {HEADERS[name]: value for name, value in values.items()}
