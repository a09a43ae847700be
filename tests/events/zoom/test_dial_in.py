"""Phone numbers, and the passcode for phones, come from Zoom."""

import pytest

from events.models import Meeting
from tests.events.zoom.syncing import first, sync_now

pytestmark = [pytest.mark.django_db, pytest.mark.once]


def test_phone_numbers_and_their_passcode_come_from_zoom(shared, zoom_account):
    sync_now()
    meeting = first(shared).meeting
    made = zoom_account.meetings[meeting.zoom_id]
    assert meeting.dial_in == "+1 669 900 6833 US (San Jose)\n+1 646 558 8656 US (New York)"
    assert meeting.phone_passcode == made.phone_password
    (number, _other) = meeting.dial_in_numbers()
    assert number.url == f"tel:+16699006833,,{made.id}%23,,,,*{made.phone_password}%23"


def test_numbers_that_an_organizer_entered_stay(shared, zoom_account):
    sync_now()
    Meeting.objects.update(dial_in="+1 253 215 8782", checked_at=None)
    sync_now()
    assert first(shared).meeting.dial_in == "+1 253 215 8782"
    Meeting.objects.update(dial_in="", checked_at=None)
    sync_now()
    assert first(shared).meeting.dial_in.startswith("+1 669 900 6833")


def test_passcode_for_phones_is_only_shown_if_it_differs(shared, zoom_account):
    sync_now()
    zoom_id = first(shared).meeting.zoom_id
    zoom_account.meetings[zoom_id].password = "4711"
    zoom_account.meetings[zoom_id].phone_password = "4711"
    Meeting.objects.update(checked_at=None)
    sync_now()
    meeting = first(shared).meeting
    assert (meeting.passcode, meeting.phone_passcode) == ("4711", "")
    assert meeting.keyed_passcode == "4711"
