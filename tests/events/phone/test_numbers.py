"""Phone numbers: what is one, and how people write and dial it."""

import zoneinfo

import pytest

from events.phone import numbers
from events.timezones import country_of


@pytest.mark.parametrize(
    ("text", "plain", "rest"),
    [
        ("+1 669 900 6833 US (San Jose)", "+16699006833", "US (San Jose)"),
        ("+1 (646) 558-8656", "+16465588656", ""),
        ("646 558 8656 (Line 2)", "+16465588656", "(Line 2)"),
        ("+1 669 900 6833 (24 hours)", "+16699006833", "(24 hours)"),
        ("+1 669 900 6833 24 hours", "+16699006833", "24 hours"),
        ("1.669.900.6833", "+16699006833", ""),
        ("877 853 5257 US Toll-free", "+18778535257", "US Toll-free"),
        ("+1\u2011669\u2011900\u20116833\xa0US", "+16699006833", "US"),
        ("+49 69 7104 9922 Germany", "+496971049922", "Germany"),
        ("+52 554 169 6926 Mexico", "+525541696926", "Mexico"),
        # Area codes that are newer than the library's list.
        ("+1 999 900 6833", "+19999006833", ""),
    ],
)
def test_number_is_at_the_start_of_a_text(text, plain, rest):
    number, after = numbers.read_leading_number(text)
    assert (numbers.plain(number), after) == (plain, rest)


@pytest.mark.parametrize(
    "text",
    [
        *("", "Ask Maria", "24/7 help line", "12345", "911", "+1 911 555 1234"),
        *("+1 000 000 0000", "+999 1234567890", "(1)", "+", "-.-", "812 3456 7890", "9" * 400),
        # Zoom's lines for conference rooms: an IP address, and an address.
        *("144.195.19.161 (US West)", "2015550123@zoomcrc.com", "2015550123.12@zoomcrc.com"),
    ],
)
def test_text_without_a_phone_number_has_none(text):
    assert numbers.read_leading_number(text) == (None, text)
    assert numbers.read_number(text) is None


@pytest.mark.parametrize(
    ("number", "zone", "dialed"),
    [
        ("+1 669 900 6833", "America/New_York", "1 (669) 900-6833"),
        ("+1 669 900 6833", "America/Toronto", "1 (669) 900-6833"),
        ("+1 669 900 6833", "US/Pacific", "1 (669) 900-6833"),
        ("+1 669 900 6833", "Europe/Berlin", "00 1 669-900-6833"),
        ("+49 69 7104 9922", "Europe/Berlin", "069 71049922"),
        ("+49 69 7104 9922", "America/New_York", "011 49 69 71049922"),
        # The country is unknown: as from the US.
        ("+1 669 900 6833", "UTC", "1 (669) 900-6833"),
    ],
)
def test_number_is_shown_as_people_dial_it_where_they_are(number, zone, dialed):
    country = country_of(zoneinfo.ZoneInfo(zone))
    assert numbers.as_dialed(numbers.read_number(number), country) == dialed
