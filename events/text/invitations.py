"""Reads what organizers paste as a Zoom link: a link, a wrapped link, or Zoom's invitation text."""

import re
from typing import NamedTuple
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from django.core.exceptions import ValidationError
from django.core.validators import URLValidator
from django.utils.translation import gettext_lazy

from events.phone import dial_in

ZOOM_DOMAINS = ("zoom.us", "zoom.com", "zoomgov.com", "zoom.com.cn")
# Zoom's pages that let people in, or register them.
PUBLIC_PATH = re.compile(
    r"/(j/\d+|my/[\w.-]+|wc/join/\d+|wc/\d+/join|(meeting|webinar)/register/[\w-]+)/?", re.I
)
# A host's start link, or the link of one attendee. Their tokens let others in as that person.
PERSONAL_PATH = re.compile(r"/[sw]/", re.I)
PERSONAL_TOKEN = re.compile(r"[?&;#](zak|tk)=", re.I)
URL = re.compile(r"https://[^\s<>\"]+", re.I)
# Proofpoint's wrapper has the link in its path.
WRAPPED_PATH = re.compile(r"/v3/__(https://[^*]+?)__;", re.I)
MAX_WRAPPERS = 5

NOT_A_LINK = gettext_lazy("Paste the whole link, starting with https://.")
PERSONAL_LINK = gettext_lazy(
    "This Zoom link is for one person only, such as a host. Don't share it. Paste the invite link "
    "for everyone: in Zoom, open the meeting and choose “Copy invitation”. The link looks like "
    "https://zoom.us/j/12345678901."
)
OTHER_PAGE = gettext_lazy(
    "This Zoom page doesn't let people into a meeting. Paste the invite link for everyone: in "
    "Zoom, open the meeting and choose “Copy invitation”. The link looks like "
    "https://zoom.us/j/12345678901."
)


class Invitation(NamedTuple):
    """What a pasted text says. "" for what it doesn't say; `dial_in` has one number a line.

    `phone_passcode` is for the phone only: Zoom makes one of digits if the passcode has letters.
    """

    join_url: str
    meeting_id: str = ""
    passcode: str = ""
    phone_passcode: str = ""
    dial_in: str = ""


def read_invitation(text: str) -> Invitation:
    """Raises ValidationError if the text contains no link that everyone may have."""
    text = text.strip()
    if not re.search(r"\s", text):
        url = unwrap(text)
        validate_join_url(url)
        return Invitation(url)
    urls = [unwrap(found.rstrip(".,;)]")) for found in URL.findall(text)]
    public = [url for url in urls if is_zoom(url) and PUBLIC_PATH.fullmatch(_split(url).path)]
    url = next(iter(public + urls), "")
    validate_join_url(url)
    meeting_ids = _labeled(r"(?:meeting ID|ID de (?:la )?reunión)", r"\d[\d ]+\d", text)
    passcodes = _labeled(r"(?:passcode|password|código de acceso|contraseña)", r"\S+", text)
    by_phone = dial_in.read(text)
    passcode = next(iter(passcodes), "")
    keyed_in = [by_phone.passcode, *filter(dial_in.is_dialable, passcodes)]
    phone_passcode = next(filter(None, keyed_in), "")
    return Invitation(
        join_url=url,
        meeting_id=next(iter(meeting_ids), ""),
        passcode=passcode,
        phone_passcode="" if phone_passcode == passcode else phone_passcode,
        dial_in="\n".join(number.text for number in by_phone.numbers),
    )


def unwrap(url: str) -> str:
    """The Zoom link in one that a mail program or Google wrapped, or else the URL itself."""
    for _wrapper in range(MAX_WRAPPERS):
        if is_zoom(url):
            break
        values = [value for _name, value in parse_qsl(_split(url).query)]
        links = [value for value in values if URL.fullmatch(value)]
        links += WRAPPED_PATH.findall(url)
        url = next((link for link in links if _leads_to_zoom(link)), url)
    return url


def is_zoom(url: str) -> bool:
    host = (_split(url).hostname or "").rstrip(".")
    return host.endswith(tuple(f".{domain}" for domain in ZOOM_DOMAINS)) or host in ZOOM_DOMAINS


def validate_join_url(url: str) -> None:
    """Raise ValidationError unless this can be a link for everyone."""
    URLValidator(schemes=["https"], message=NOT_A_LINK)(url)
    validate_no_personal_link(url)
    if is_zoom(url) and not PUBLIC_PATH.fullmatch(_split(url).path):
        raise ValidationError(OTHER_PAGE)


def validate_no_personal_link(text: str) -> None:
    """Raise ValidationError if a text contains a Zoom link that only one person may have."""
    for found in URL.findall(text):
        url = unwrap(found)
        has_personal_path = is_zoom(url) and PERSONAL_PATH.match(_split(url).path)
        if has_personal_path or (_leads_to_zoom(url) and _has_token(url)):
            raise ValidationError(PERSONAL_LINK)


def _has_token(url: str) -> bool:
    return any(PERSONAL_TOKEN.search(form) for form in (url, unquote(url), unquote(unquote(url))))


def _leads_to_zoom(url: str) -> bool:
    return is_zoom(url) or any(domain in unquote(url).lower() for domain in ZOOM_DOMAINS)


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")


def _labeled(label: str, value: str, text: str) -> list[str]:
    return re.findall(rf"^\W*{label}:\s*({value})", text, re.I | re.M)
