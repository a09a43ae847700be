"""Calendar files: plain values in, bytes out (RFC 5545, RFC 5546, RFC 7986)."""

import datetime as dt
import functools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from icalendar import Alarm, Calendar, vCalAddress, vText
from icalendar import Event as Component
from icalendar.parser import Contentline

# A line break with a space behind it only folds a long line.
FOLD = "\r\n "
LINE_END = re.compile(r"\r\n(?! )")
# Many readers end a line at each of these, and not only where RFC 5545 does.
BREAK = re.compile(r"\r\n?|[\v\f\x1c-\x1e\x85\u2028\u2029]")
# No text may hold them (RFC 5545, 3.1).
CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
PRODUCT = "-//Strategy Week//strategyweek//EN"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One calendar entry.

    The same `uid` with a higher `sequence` replaces the entry in place (RFC 5545, 3.8.7.4).
    Moments are aware and written in UTC; `alarms` are how long before the start. `changed_at`
    is the same for every reader, `modified_at` where given when it last changed for this one.
    """

    uid: str
    sequence: int
    title: str
    starts_at: dt.datetime
    ends_at: dt.datetime
    changed_at: dt.datetime
    modified_at: dt.datetime | None = None
    description: str = ""
    location: str = ""
    url: str = ""
    organizer_name: str
    organizer_email: str
    attendee_email: str = ""
    canceled: bool = False
    tentative: bool = False
    alarms: tuple[dt.timedelta, ...] = ()

    @property
    def status(self) -> str:
        if self.canceled:
            return "CANCELLED"
        return "TENTATIVE" if self.tentative else "CONFIRMED"


def calendar(*, entries: Iterable[bytes], method: str = "PUBLISH", name: str = "") -> bytes:
    """Build a calendar of entries that `entry` has built.

    `method` is iTIP's (RFC 5546): PUBLISH for any number of entries, or REQUEST or CANCEL for
    the one that a mail is about (RFC 6047), or "" for one that is a snapshot and no message
    (RFC 5545, 3.7.2). `name` is for one that is subscribed to.
    """
    head, end, tail = _frame(method, name).rpartition(b"END:VCALENDAR")
    return b"".join([head, *entries, end, tail])


@functools.lru_cache(maxsize=100)
def _frame(method: str, name: str) -> bytes:
    built = Calendar()
    built.add("PRODID", PRODUCT)
    built.add("VERSION", "2.0")
    if method:
        built.add("METHOD", method)
    if name:
        # As vText: icalendar escapes nothing in what it has no type for.
        built.add("NAME", vText(_one_line(name)))
        built.add("X-WR-CALNAME", vText(_one_line(name)))
        built.add("REFRESH-INTERVAL", dt.timedelta(hours=1), parameters={"VALUE": "DURATION"})
        built.add("X-PUBLISHED-TTL", "PT1H")
    return built.to_ical()


def entry(entry: Entry) -> bytes:
    """Build one VEVENT; the same values always give the same bytes."""
    organizer = vCalAddress(f"mailto:{entry.organizer_email}")
    organizer.params["CN"] = vText(_one_line(entry.organizer_name).replace('"', ""))
    return _component(entry, organizer).to_ical()


def _component(entry: Entry, organizer: vCalAddress) -> Component:
    component = Component()
    component.add("UID", entry.uid)
    component.add("SEQUENCE", entry.sequence)
    component.add("DTSTAMP", entry.changed_at.astimezone(dt.UTC))
    component.add("LAST-MODIFIED", (entry.modified_at or entry.changed_at).astimezone(dt.UTC))
    component.add("DTSTART", entry.starts_at.astimezone(dt.UTC))
    component.add("DTEND", entry.ends_at.astimezone(dt.UTC))
    component.add("SUMMARY", _text(entry.title))
    component.add("STATUS", entry.status)
    if entry.status != "CONFIRMED":
        # It keeps nobody busy.
        component.add("TRANSP", "TRANSPARENT")
    component.add("ORGANIZER", organizer)
    if entry.attendee_email:
        attendee = vCalAddress(f"mailto:{entry.attendee_email}")
        attendee.params["PARTSTAT"] = vText("TENTATIVE" if entry.tentative else "ACCEPTED")
        component.add("ATTENDEE", attendee)
    for key, value in (
        ("DESCRIPTION", _text(entry.description)),
        ("LOCATION", entry.location),
        ("URL", entry.url),
    ):
        if value:
            component.add(key, value)
    if not entry.canceled:
        for before in entry.alarms:
            component.add_component(_alarm(entry, before))
    return component


def _alarm(entry: Entry, before: dt.timedelta) -> Alarm:
    alarm = Alarm()
    alarm.add("ACTION", "DISPLAY")
    alarm.add("DESCRIPTION", _text(entry.title))
    alarm.add("TRIGGER", -before)
    return alarm


def _text(words: str) -> str:
    return CONTROL.sub("", BREAK.sub("\n", words))


def _one_line(words: str) -> str:
    return " ".join(_text(words).split())


def replace(built: bytes, stand_ins: Mapping[str, str]) -> bytes:
    """Replace text in a finished calendar, folding the lines anew that hold it (RFC 5545, 3.1).

    What is replaced, and what it is replaced by, must need no escaping there.
    """

    text = built.decode()
    for stand_in, value in stand_ins.items():
        if len(stand_in) == len(value) and value.isascii():
            text = _replace_in_place(text, stand_in, value)
        else:
            text = _replace_in_lines(text, stand_in, value)
    return text.encode()


def _replace_in_place(text: str, stand_in: str, value: str) -> str:
    """Lines stay as long as they are, and a fold amid the text stays where it is."""

    def replaced(found: re.Match[str]) -> str:
        before, fold, _rest = found[0].partition(FOLD)
        return value[: len(before)] + fold + value[len(before) :]

    return re.sub(f"(?:{FOLD})?".join(map(re.escape, stand_in)), replaced, text)


def _replace_in_lines(text: str, stand_in: str, value: str) -> str:
    def replaced(folded: str) -> str:
        line = folded.replace(FOLD, "")
        own = line.replace(stand_in, value)
        return folded if own == line else Contentline(own).to_ical().decode()

    return "\r\n".join(map(replaced, LINE_END.split(text)))
