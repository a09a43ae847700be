"""The numbers to call for a meeting: as Zoom writes them, and what links dial."""

import pytest
from django.core.exceptions import ValidationError

from events.phone import dial_in, numbers

NEW = """One tap mobile
+16699006833,,81234567890#,,,,*123456# US (San Jose)
+13462487799,,81234567890#,,,,*123456# US (Houston)

Dial by your location
• +1 669 900 6833 US (San Jose)
• +49 69 7104 9922 Germany
• +52 554 169 6926 Mexico
• 888 788 0099 US Toll-free

Meeting ID: 812 3456 7890
Passcode: 123456

Find your local number: https://us02web.zoom.us/u/kabc
"""
OLD = """Or iPhone one-tap :
    US: +16699006833,,81234567890#  or +13462487799,,81234567890#
Or Telephone：
    Dial(for higher quality, dial a number based on your current location)：
        US: +1 669 900 6833  or +1 346 248 7799  or +1 929 205 6099
        Mexico: +52 554 169 6926
    Webinar ID: 812 3456 7890
    International numbers available: https://zoom.us/u/k
"""
SPANISH = """Un toque en el móvil
+16699006833,,81234567890#,,,,*123456# Estados Unidos (San Jose)
Marcar según su ubicación
• +1 669 900 6833 Estados Unidos (San Jose)
ID de reunión: 812 3456 7890
Código de acceso: 123456
Encuentre su número local: https://us02web.zoom.us/u/kabc
"""
ROOMS = """• +1 669 900 6833 US
Join by SIP
• 2015550123@zoomcrc.com
Join by H.323
• 144.195.19.161 (US West)
"""


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        (
            NEW,
            [
                "+1 669 900 6833 US (San Jose)",
                "+1 346 248 7799 US (Houston)",
                "+49 69 7104 9922 Germany",
                "+52 554 169 6926 Mexico",
                "888 788 0099 US Toll-free",
            ],
        ),
        (
            OLD,
            [
                *("+1 669 900 6833 US", "+1 346 248 7799 US", "+1 929 205 6099 US"),
                "+52 55 4169 6926 Mexico",
            ],
        ),
        (SPANISH, ["+1 669 900 6833 Estados Unidos (San Jose)"]),
        (
            "One tap mobile: +16699006833,,81234567890#,,,,*123456# US (San Jose)",
            ["+1 669 900 6833 US (San Jose)"],
        ),
        ("Dial by your location\n+1 669 900 6833 US", ["+1 669 900 6833 US"]),
        ("- 646-558-8656\n\n* +1 669 900 6833", ["646-558-8656", "+1 669 900 6833"]),
        ("+1 646 558 8656, +1 669 900 6833", ["+1 646 558 8656", "+1 669 900 6833"]),
        ("", []),
    ],
)
def test_zooms_own_lines_become_one_number_a_line(text, stored):
    assert dial_in.cleaned(text) == "\n".join(stored)
    # What was stored is read the same way again.
    assert dial_in.cleaned(dial_in.cleaned(text)) == "\n".join(stored)


def test_lines_of_an_invitation_for_conference_rooms_are_no_phone_numbers():
    assert [each.text for each in dial_in.read(ROOMS).numbers] == ["+1 669 900 6833 US"]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("Ask Maria", "“Ask Maria” isn't a phone number"),
        ("+1 646 558 8656\n12345", "“12345” isn't a phone number"),
        ("• +1 646 558 8656\n• Ask Maria", "“• Ask Maria” isn't a phone number"),
        ("+1 000 000 0000 US", "“\\+1 000 000 0000 US” isn't a phone number"),
        ("call us " * 40, "“call us call us call us call us call us…” isn't a phone number"),
    ],
)
def test_line_that_is_no_phone_number_is_named(text, named):
    with pytest.raises(ValidationError, match=named):
        dial_in.cleaned(text)


@pytest.mark.parametrize(
    ("meeting_id", "passcode", "url"),
    [
        ("822 2222 2222", "123456", "tel:+16692192599,,82222222222%23,,,,*123456%23"),
        ("822-2222-2222", "", "tel:+16692192599,,82222222222%23"),
        # A phone can't dial letters.
        ("822 2222 2222", "aB3xYz", "tel:+16692192599,,82222222222%23"),
        ("maria.lopez", "123456", "tel:+16692192599"),
        ("", "123456", "tel:+16692192599"),
    ],
)
def test_link_dials_meeting_id_and_passcode(meeting_id, passcode, url):
    (row,) = dial_in.with_urls("\n +1 669 219 2599 (San Jose) \n", meeting_id, passcode)
    assert (row.text, row.url) == ("+1 669 219 2599 (San Jose)", url)
    assert row.one_tap == url.removeprefix("tel:").replace("%23", "#")


def test_stored_line_without_a_number_is_shown_without_a_link():
    rows = dial_in.with_urls("Ask Maria\n+1 669 219 2599,,8#,,,,*1# US", "8", "1")
    assert [(row.text, row.url) for row in rows] == [
        ("Ask Maria", ""),
        ("+1 669 219 2599 US", "tel:+16692192599,,8%23,,,,*1%23"),
    ]


def shown(text: str, region: str) -> tuple[list[str], list[str]]:
    found = dial_in.for_reader(dial_in.with_urls(text, "", ""), region)
    return (
        [numbers.region_of(each.number) for each in found.first],
        [numbers.region_of(each.number) for each in found.others],
    )


US = "\n".join(f"+1 669 900 683{digit}" for digit in range(5))
GERMANY, MEXICO = "+49 69 7104 9922", "+52 554 169 6926"


@pytest.mark.parametrize(
    ("text", "region", "first", "others"),
    [
        (f"{GERMANY}\n{MEXICO}\n{US}", "US", ["US"] * 3, ["US"] * 2 + ["DE", "MX"]),
        (f"{GERMANY}\n{MEXICO}\n{US}", "MX", ["MX"], ["DE"] + ["US"] * 5),
        (f"{GERMANY}\n{MEXICO}\n{US}", "FR", ["US"] * 3, ["US"] * 2 + ["DE", "MX"]),
        (f"{GERMANY}\n{MEXICO}\n{US}", "", ["US"] * 3, ["US"] * 2 + ["DE", "MX"]),
        # Few enough: none is folded.
        (f"{GERMANY}\n{MEXICO}\n+1 669 900 6833", "US", ["US", "DE", "MX"], []),
        (f"{GERMANY}\n{MEXICO}", "US", ["DE", "MX"], []),
        ("", "US", [], []),
    ],
)
def test_numbers_of_ones_own_country_come_first(text, region, first, others):
    assert shown(text, region) == (first, others)
