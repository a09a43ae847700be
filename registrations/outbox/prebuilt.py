"""An email whose MIME was built once for many people. Only the personal values are filled in."""

from collections.abc import Mapping
from email.utils import formatdate, make_msgid
from typing import Any

from django.conf import settings
from django.core.mail import DNS_NAME, EmailMultiAlternatives
from django.core.mail.message import forbid_multi_line_headers, sanitize_address

MAX_LINE_BYTES = 998
# The placeholders of headers that are replaced as a whole.
HEADERS = {
    "Subject": "personal-subject",
    "To": "personal-recipient@personal.invalid",
    "Date": "personal-date",
    "Message-ID": "personal-message-id",
}


def is_anymail() -> bool:
    return settings.EMAIL_BACKEND.startswith("anymail.")


class PersonalMail(EmailMultiAlternatives):
    """One person's email.

    `skeleton` is the prebuilt MIME, if there is one, and `personal` has what replaces each
    placeholder in it.
    """

    skeleton: bytes | None = None
    personal: Mapping[str, str]

    def message(self) -> Any:  # type: ignore[override]
        return super().message() if self.skeleton is None else PrebuiltMime(self, self.skeleton)


class PrebuiltMime:
    """The part of `email.message.Message` that Django's mail backends use."""

    def __init__(self, mail: PersonalMail, skeleton: bytes) -> None:
        self._mail, self._skeleton = mail, skeleton

    def as_bytes(self, unixfrom: bool = False, linesep: str = "\n") -> bytes:
        content = self._skeleton
        for placeholder, value in self._mail.personal.items():
            content = content.replace(placeholder.encode(), value.encode())
        headers, separator, body = content.partition(b"\r\n\r\n")
        for name, value in self._personal_headers().items():
            headers = headers.replace(HEADERS[name].encode(), value.encode())
        content = headers + separator + body
        return content if linesep == "\r\n" else content.replace(b"\r\n", linesep.encode())

    def _personal_headers(self) -> dict[str, str]:
        """The headers in HEADERS as they are sent: encoded, folded, and without injections."""
        mail = self._mail
        _name, subject = forbid_multi_line_headers("Subject", str(mail.subject), "utf-8")
        return {
            "Subject": subject.replace("\n", "\r\n"),
            "To": sanitize_address(mail.to[0], "utf-8"),
            "Date": mail.extra_headers.get("Date") or formatdate(),
            "Message-ID": mail.extra_headers.get("Message-ID") or make_msgid(domain=str(DNS_NAME)),
        }
