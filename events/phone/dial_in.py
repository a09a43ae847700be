"""The numbers to call for a Zoom meeting: read as Zoom or an organizer writes them, and dialed."""

import re
import textwrap
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from phonenumbers import PhoneNumber

from events.phone import numbers

# Zoom's headings, for numbers that were copied without the rest of the invitation.
HEADING = re.compile(
    r"(or )?((iphone )?one[- ]tap( mobile)?|telephone|dial\b.*\blocation)\W*", re.IGNORECASE
)
BULLETS = "•◦▪●∙·‣*"
# "US: +1 669 900 6833 or +1 346 248 7799" is an older form of Zoom's.
LABELED = re.compile(r"(?P<label>[^\d+:;]*\S):\s*(?=\+)")
BETWEEN_NUMBERS = re.compile(r"\s+(?:or|o)\s+(?=\+)|[;,]\s*(?=\+)|\s*/\s*(?=\+)")
# What Zoom's "one tap" lines dial after the number: +16699006833,,81234567890#,,,,*123456#
ONE_TAP = re.compile(
    r"(?P<number>\+?\d[\d -]{6,30}\d),+(?P<id>[0-9]+)#(?:[,#]*\*(?P<passcode>[0-9]+)#)?"
)
# What else Zoom writes around the numbers: it has digits that are no phone number.
OTHER_DETAILS = re.compile(
    r"(?:meeting ID|webinar ID|passcode|password|ID de (?:la )?reunión|código de acceso)\b.*"
    r"|.*https://.*",
    re.IGNORECASE,
)

# More than this many are folded on pages, and left out of emails.
SHOWN_AT_MOST = 3


class DialIn(NamedTuple):
    """A line with a phone number: its text, as people read it, and the number if it has one.

    `place` is what follows the number. `url` dials it, and then the meeting's ID and passcode.
    """

    text: str
    number: PhoneNumber | None
    place: str = ""
    url: str = ""

    @property
    def one_tap(self) -> str:
        """What `url` dials, to be found by phones in a text: +16699006833,,81234567890#"""
        return self.url.removeprefix("tel:").replace("%23", "#")


class Numbers(NamedTuple):
    """Those that someone should see first, and the others."""

    first: list[DialIn]
    others: list[DialIn]


class Found(NamedTuple):
    """What a text about calling in says. `unread`: lines that are neither numbers nor Zoom's."""

    numbers: list[DialIn]
    passcode: str
    unread: list[str]


def read(text: str) -> Found:
    """Find the numbers in what an organizer typed, or in Zoom's lines. Each number comes once."""
    found: dict[str, DialIn] = {}
    passcodes, unread, is_pasted = [], [], False
    for line in _lines(text):
        taps = list(ONE_TAP.finditer(line))
        passcodes += [tap["passcode"] for tap in taps if tap["passcode"]]
        is_pasted |= bool(taps) or line.startswith(tuple(BULLETS))
        several = dict(_numbers(line.strip(f"{BULLETS} -–—")))
        # A line for people says it better than one for "one tap".
        found |= {key: each for key, each in several.items() if not taps or key not in found}
        if not several:
            unread.append(line)
    unread = [line for line in unread if not _is_zooms(line, is_pasted)]
    return Found(list(found.values()), next(iter(passcodes), ""), unread)


def _lines(text: str) -> Iterator[str]:
    for line in text.translate(numbers.PLAIN).replace("：", ":").splitlines():
        if line.strip(f"{BULLETS} -_=—\t"):
            yield " ".join(line.split())


def _is_zooms(line: str, is_pasted: bool) -> bool:
    """Whether it is a line of Zoom's that holds no number, in any language if it was pasted."""
    is_heading = not re.search(r"\d", line) and not line.startswith(tuple(BULLETS))
    known = HEADING.fullmatch(line) or OTHER_DETAILS.fullmatch(line)
    return bool(known) or (is_pasted and is_heading)


def _numbers(line: str) -> Iterator[tuple[str, DialIn]]:
    """Each phone number in a line, usually one, at its start. Plain, and as a row."""
    if OTHER_DETAILS.fullmatch(line):
        return
    label = LABELED.match(line)
    country = label["label"] if label and not HEADING.fullmatch(label["label"]) else ""
    for part in BETWEEN_NUMBERS.split(line[label.end() :] if label else line):
        tap = ONE_TAP.match(part)
        number, place = numbers.read_leading_number(tap["number"] if tap else part)
        if number is None:
            continue
        place = (part[tap.end() :] if tap else place).strip(" ,;#")
        as_typed = "" if tap or country else part.strip()
        place = place or country
        text = as_typed or f"{numbers.international(number)} {place}".strip()
        yield numbers.plain(number), DialIn(text, number, place)


def cleaned(text: str) -> str:
    """The numbers as they're stored, one on a line. Raises ValidationError for a line with none."""
    found = read(text)
    if found.unread:
        message = _(
            "“%(line)s” isn't a phone number. Write one number on each line, with its country code "
            "if it isn't in the US, such as +1 669 900 6833 (San Jose)."
        )
        lines = (textwrap.shorten(line, 40, placeholder="…") for line in found.unread)
        raise ValidationError([message % {"line": line} for line in lines])
    return "\n".join(each.text for each in found.numbers)


# Each email of a mailing shows the same few.
@lru_cache(maxsize=500)
def with_urls(text: str, meeting_id: str, passcode: str) -> tuple[DialIn, ...]:
    """The numbers in a stored text, each with what dials it. Other lines are only text."""
    rows: list[DialIn] = []
    for line in _lines(text):
        several = dict(_numbers(line)).values()
        rows += [
            each._replace(url=dial_url(each.number, meeting_id, passcode))
            for each in several
            if each.number
        ] or [DialIn(line, None)]
    return tuple(rows)


def dial_url(number: PhoneNumber, meeting_id: str, passcode: str) -> str:
    """A tel: link as in Zoom's invitations: tel:+16692192599,,82222222222%23,,,,*123456%23

    The commas are pauses. A phone can't dial letters: it then stops before what has some.
    """
    url, meeting_id = f"tel:{numbers.plain(number)}", re.sub(r"[\s-]", "", meeting_id)
    if not is_dialable(meeting_id):
        return url
    url += f",,{meeting_id}%23"
    return f"{url},,,,*{passcode}%23" if is_dialable(passcode) else url


def is_dialable(text: str) -> bool:
    """Whether these are digits that every phone has."""
    return text.isascii() and text.isdecimal()


def for_reader(all_numbers: Iterable[DialIn], region: str) -> Numbers:
    """Put first the numbers of someone's own country, or else those in the US."""
    rows = list(all_numbers)
    regions = [numbers.region_of(each.number) if each.number else "" for each in rows]
    best = next((each for each in (region, numbers.HOME_REGION) if each and each in regions), "")
    near = [row for row, where in zip(rows, regions, strict=True) if where == best]
    rows = near + [row for row in rows if row not in near]
    # One more takes no more room than the words that it's folded behind.
    if len(rows) <= SHOWN_AT_MOST + 1:
        return Numbers(rows, [])
    count = min(len(near) or SHOWN_AT_MOST, SHOWN_AT_MOST)
    return Numbers(rows[:count], rows[count:])
