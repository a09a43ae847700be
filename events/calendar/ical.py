"""Builds calendar files from plain values (RFC 5545, RFC 5546, RFC 7986)."""

import datetime as dt
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from icalendar import Alarm, Calendar, vCalAddress, vText
from icalendar import Event as Component
from icalendar.parser import Contentline

# A line break followed by a space only folds a long line.
FOLD = "\r\n "
LINE_END = re.compile(r"\r\n(?! )")
# Many programs end a line at these too.
BREAK = re.compile(r"\r\n?|[\v\f\x1c-\x1e\x85\u2028\u2029]")
# Not allowed in text (RFC 5545, 3.1).
CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One calendar entry.

    A higher `sequence` replaces the entry with the same `uid` (RFC 5545, 3.8.7.4). Times are
    timezone-aware, and written in UTC. `alarms` are times before the start. `changed_at` is the
    same for every reader; `modified_at` is when the entry last changed for this one.
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
    # Canceled only for its attendee. Such an entry has no STATUS (RFC 5546, 3.2.5).
    attendee_left: bool = False
    tentative: bool = False
    alarms: tuple[dt.timedelta, ...] = ()


def calendar(*, entries: Iterable[bytes], method: str = "PUBLISH", name: str = "") -> bytes:
    """Build a calendar from results of `entry`.

    `method` (RFC 5546) is PUBLISH for any number of entries, REQUEST or CANCEL for the single
    entry of an email (RFC 6047), or "" for a feed (RFC 5545, 3.7.2). `name` is shown to
    subscribers.
    """
    head, tail = _frame(method, name)
    return b"".join([head, *entries, tail])


# Every email of a mailing has the same.
@lru_cache(maxsize=100)
def _frame(method: str, name: str) -> tuple[bytes, bytes]:
    """What is before and after a calendar's entries."""
    calendar = Calendar()
    calendar.add("PRODID", "-//Strategy Week//strategyweek//EN")
    calendar.add("VERSION", "2.0")
    if method:
        calendar.add("METHOD", method)
    if name:
        # vText escapes the name; icalendar knows no type for these properties.
        calendar.add("NAME", vText(_one_line(name)))
        calendar.add("X-WR-CALNAME", vText(_one_line(name)))
        calendar.add("REFRESH-INTERVAL", dt.timedelta(hours=1), parameters={"VALUE": "DURATION"})
        calendar.add("X-PUBLISHED-TTL", "PT1H")
    head, end, tail = calendar.to_ical().rpartition(b"END:VCALENDAR")
    return head, end + tail


def entry(entry: Entry) -> bytes:
    """Build one VEVENT. The same values always give the same bytes."""
    component = Component()
    component.add("UID", entry.uid)
    component.add("SEQUENCE", entry.sequence)
    component.add("DTSTAMP", entry.changed_at.astimezone(dt.UTC))
    component.add("LAST-MODIFIED", (entry.modified_at or entry.changed_at).astimezone(dt.UTC))
    component.add("DTSTART", entry.starts_at.astimezone(dt.UTC))
    component.add("DTEND", entry.ends_at.astimezone(dt.UTC))
    component.add("SUMMARY", _text(entry.title))
    status = "TENTATIVE" if entry.tentative else "CONFIRMED"
    if not entry.attendee_left:
        component.add("STATUS", "CANCELLED" if entry.canceled else status)
    if entry.canceled or entry.tentative:
        # Does not block the time in the calendar.
        component.add("TRANSP", "TRANSPARENT")
    organizer = vCalAddress(f"mailto:{entry.organizer_email}")
    organizer.params["CN"] = vText(_one_line(entry.organizer_name).replace('"', ""))
    component.add("ORGANIZER", organizer)
    if entry.attendee_email:
        attendee = vCalAddress(f"mailto:{entry.attendee_email}")
        attendee.params["PARTSTAT"] = vText("TENTATIVE" if entry.tentative else "ACCEPTED")
        component.add("ATTENDEE", attendee)
    texts = {"DESCRIPTION": _text(entry.description), "LOCATION": entry.location, "URL": entry.url}
    for name, value in texts.items():
        if value:
            component.add(name, value)
    for before in () if entry.canceled else entry.alarms:
        alarm = Alarm()
        alarm.add("ACTION", "DISPLAY")
        alarm.add("DESCRIPTION", _text(entry.title))
        alarm.add("TRIGGER", -before)
        component.add_component(alarm)
    return component.to_ical()


def _text(value: str) -> str:
    return CONTROL.sub("", BREAK.sub("\n", value))


def _one_line(value: str) -> str:
    return " ".join(_text(value).split())


def replace(calendar: bytes, values: Mapping[str, str]) -> bytes:
    """Replace merge fields in a finished calendar, and fold their lines again (RFC 5545, 3.1).

    Neither the fields nor their values may need escaping.
    """
    text = calendar.decode()
    for field, value in values.items():
        if len(field) == len(value) and value.isascii():
            text = _replace_in_place(text, field, value)
        else:
            text = _replace_in_lines(text, field, value)
    return text.encode()


def for_person(calendar: bytes, number: int) -> bytes:
    """The calendar of the `number`th person at a mailbox, from 1 on.

    Entries with the same UID replace each other (RFC 5545, 3.8.4.7), so each person has their own.
    """
    if number == 1:
        return calendar
    return re.sub(rb"(?m)^UID:([^@\r\n]+)@", rb"UID:\1-%d@" % number, calendar)


def _replace_in_place(text: str, field: str, value: str) -> str:
    """Replace with a value of the same length: line lengths and folds stay as they are."""

    def replaced(match: re.Match[str]) -> str:
        before, fold, _rest = match[0].partition(FOLD)
        return value[: len(before)] + fold + value[len(before) :]

    return _maybe_folded(field).sub(replaced, text)


@lru_cache(maxsize=10)
def _maybe_folded(field: str) -> re.Pattern[str]:
    return re.compile(f"(?:{FOLD})?".join(map(re.escape, field)))


def _replace_in_lines(text: str, field: str, value: str) -> str:
    def replaced(folded: str) -> str:
        line = folded.replace(FOLD, "")
        changed = line.replace(field, value)
        return folded if changed == line else Contentline(changed).to_ical().decode()

    return "\r\n".join(map(replaced, LINE_END.split(text)))
