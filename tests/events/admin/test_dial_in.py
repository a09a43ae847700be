"""Phone numbers and the passcode for phones on a session's page in the admin."""

import pytest

from events.models import Meeting
from tests.admin_pages import path
from tests.events.admin.test_zoom import first, pasted_page
from tests.events.test_invitations import INVITATION

pytestmark = [pytest.mark.django_db, pytest.mark.once]

LETTERS = INVITATION.replace("Passcode: 123456", "Passcode: aB3xYz")


def test_pasted_invitation_fills_in_the_passcode_for_phones(admin_client, week):
    pasted_page(admin_client, week, join_url=LETTERS)
    meeting = first(week).meeting
    assert (meeting.passcode, meeting.phone_passcode) == ("aB3xYz", "123456")
    # The next meeting's passcode has digits, so that it's also the one for phones.
    pasted_page(admin_client, week, join_url=INVITATION.replace("81234567890", "81234567891"))
    meeting = first(week).meeting
    assert (meeting.passcode, meeting.phone_passcode) == ("123456", "")


def test_numbers_may_be_pasted_as_zoom_writes_them(admin_client, week):
    lines = INVITATION.partition("One tap")[2]
    pasted_page(admin_client, week, dial_in=lines)
    assert first(week).meeting.dial_in == (
        "+1 669 900 6833 US (San Jose)\n+1 253 215 8782 US (Tacoma)"
    )


def test_number_that_is_none_is_rejected_and_named(admin_client, week):
    before = first(week).meeting.dial_in
    _session, page = pasted_page(admin_client, week, dial_in="+1 669 900 6833\nAsk Maria")
    assert "“Ask Maria” isn&#x27;t a phone number" in page
    assert first(week).meeting.dial_in == before


def test_stored_number_that_is_none_does_not_keep_anything_else_from_being_saved(
    admin_client, week
):
    Meeting.objects.update(dial_in="Ask Maria")
    pasted_page(admin_client, week, passcode="4711")
    assert (first(week).meeting.passcode, first(week).meeting.dial_in) == ("4711", "Ask Maria")


@pytest.mark.parametrize(
    ("entered", "warns"),
    [
        ({"passcode": "aB3xYz"}, True),
        ({"passcode": "aB3xYz", "phone_passcode": "4711"}, False),
        ({"passcode": "4711"}, False),
    ],
)
def test_passcode_that_no_phone_can_dial_is_pointed_out(admin_client, week, entered, warns):
    pasted_page(admin_client, week, **entered)
    page = admin_client.get(path(first(week))).content.decode()
    assert ("has letters, so people can&#x27;t key it in on a phone" in page) == warns
