"""An email whose MIME form was built once for many readers, then filled in."""

from collections.abc import Mapping
from email.utils import formatdate, make_msgid
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.core.mail import DNS_NAME, EmailMultiAlternatives
from django.core.mail.message import forbid_multi_line_headers, sanitize_address

# In bytes.
MAX_LINE_BYTES = 998
# Headers whose value is put in whole.
HEADERS = {
    "Subject": "personal-subject",
    "To": "personal-recipient@personal.invalid",
    "Date": "personal-date",
    "Message-ID": "personal-message-id",
}


@lru_cache(maxsize=100)
def encoded_address(address: str) -> str:
    """An address as it travels. Each is needed twice, the sender's for every mail."""
    encoded: str = sanitize_address(address, "utf-8")
    return encoded


def is_anymail() -> bool:
    return settings.EMAIL_BACKEND.startswith("anymail.")


class PersonalMail(EmailMultiAlternatives):
    """One person's mail; its MIME form is the draft's, filled in."""

    skeleton: bytes | None = None
    personal: Mapping[str, str]

    def message(self) -> Any:  # type: ignore[override]
        return super().message() if self.skeleton is None else PrebuiltMime(self, self.skeleton)


class PrebuiltMime:
    """The part of email.message.Message that mail backends use."""

    def __init__(self, mail: PersonalMail, skeleton: bytes) -> None:
        self._mail, self._skeleton = mail, skeleton

    def as_bytes(self, unixfrom: bool = False, linesep: str = "\n") -> bytes:
        flat = self._skeleton
        for stand_in, own in self._mail.personal.items():
            flat = flat.replace(stand_in.encode(), own.encode())
        head, end, body = flat.partition(b"\r\n\r\n")
        for name, value in self._headers().items():
            head = head.replace(HEADERS[name].encode(), value.encode())
        flat = head + end + body
        return flat if linesep == "\r\n" else flat.replace(b"\r\n", linesep.encode())

    def _headers(self) -> dict[str, str]:
        """The personal headers as they travel: encoded, folded, safe from injection."""
        mail = self._mail
        _name, subject = forbid_multi_line_headers("Subject", str(mail.subject), "utf-8")
        return {
            "Subject": subject.replace("\n", "\r\n"),
            "To": encoded_address(mail.to[0]),
            "Date": mail.extra_headers.get("Date") or formatdate(),
            "Message-ID": mail.extra_headers.get("Message-ID") or make_msgid(domain=str(DNS_NAME)),
        }
