"""Calendar files, checked by parsing them."""

import datetime as dt
from dataclasses import replace

import pytest
from icalendar import Calendar

from events.calendar import ical

START = dt.datetime(2021, 10, 16, 9, tzinfo=dt.timezone(-dt.timedelta(hours=7)))
ENTRY = ical.Entry(
    uid="1@example.org",
    sequence=3,
    title="Kickoff; with commas, and\nlines",
    starts_at=START,
    ends_at=START + dt.timedelta(hours=4),
    changed_at=START,
    description="é" * 200,
    url="https://example.org/",
    organizer_name='The "Coalition"',
    organizer_email="week@example.org",
    alarms=(dt.timedelta(minutes=15),),
)


def built(*entries: ical.Entry) -> bytes:
    return ical.calendar(name="The week", entries=map(ical.entry, entries))


def parsed(*entries: ical.Entry):
    return Calendar.from_ical(built(*entries)).events


def test_entry_can_be_parsed_again():
    (entry,) = parsed(ENTRY)
    assert str(entry["UID"]) == "1@example.org"
    assert entry["SEQUENCE"] == 3
    assert str(entry["SUMMARY"]) == ENTRY.title
    assert str(entry["DESCRIPTION"]) == ENTRY.description
    assert (entry.start, entry.end) == (ENTRY.starts_at, ENTRY.ends_at)
    assert str(entry["STATUS"]) == "CONFIRMED"
    assert str(entry["ORGANIZER"]) == "mailto:week@example.org"
    assert entry["ORGANIZER"].params["CN"] == "The Coalition"


def test_times_are_written_in_utc():
    assert b"DTSTART:20211016T160000Z\r\n" in built(ENTRY)


def test_canceled_entry_has_no_alarm():
    (entry,) = parsed(replace(ENTRY, canceled=True))
    assert str(entry["STATUS"]) == "CANCELLED"
    assert entry.walk("VALARM") == []


def test_same_values_give_the_same_bytes():
    assert built(ENTRY) == built(ENTRY)


def test_refresh_interval_has_the_type_that_rfc_7986_requires():
    assert b"REFRESH-INTERVAL;VALUE=DURATION:PT1H\r\n" in built(ENTRY)


def test_lines_are_at_most_75_octets():
    assert max(map(len, built(ENTRY).split(b"\r\n"))) <= 75


@pytest.mark.parametrize("shift", range(12))
def test_replace_finds_text_across_folded_lines(shift):
    old, new = "TOKEN-" * 5, "a1b2c3" * 5
    url = f"https://example.org/{'x' * (30 + shift)}/{old}/opening/"
    calendar = built(replace(ENTRY, url=url, description=f"Join: {url} é {url}"))
    replaced = ical.replace(calendar, {old: new})
    (entry,) = Calendar.from_ical(replaced).events
    assert str(entry["URL"]) == url.replace(old, new)
    assert str(entry["DESCRIPTION"]) == f"Join: {url} é {url}".replace(old, new)
    assert max(map(len, replaced.split(b"\r\n"))) <= 75
    assert replaced.endswith(b"END:VCALENDAR\r\n")
