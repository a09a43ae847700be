"""What organizers paste as a Zoom link."""

import pytest
from django.core.exceptions import ValidationError

from events.models import Session
from events.text.invitations import Invitation, is_zoom, read_invitation, validate_no_personal_link
from registrations.admin.mail_text_validation import validate_text

LINK = "https://us02web.zoom.us/j/81234567890?pwd=abcDEF.1"
ENCODED = "https%3A%2F%2Fus02web.zoom.us%2Fj%2F81234567890%3Fpwd%3DabcDEF.1"
START = "https://us02web.zoom.us/s/81234567890?zak=eyJ0"
INVITATION = f"""Maria Lopez is inviting you to a scheduled Zoom meeting.

Topic: Opening session
Time: Oct 16, 2021 09:00 AM Pacific Time (US and Canada)

Join Zoom Meeting
{LINK}

Meeting ID: 812 3456 7890
Passcode: 123456

---

One tap mobile
+16699006833,,81234567890#,,,,*123456# US (San Jose)
+12532158782,,81234567890#,,,,*123456# US (Tacoma)

---

Dial by your location
• +1 669 900 6833 US (San Jose)
• +1 253 215 8782 US (Tacoma)

Find your local number: https://us02web.zoom.us/u/kabc
"""


@pytest.mark.parametrize(
    "url",
    [
        START,
        "https://zoom.us/S/81234567890",
        "https://us02web.zoom.us/w/81234567890?tk=abc&pwd=x",
        "https://us02web.zoom.us/w/81234567890",
        "https://zoom.us/j/81234567890?zak=eyJ0",
        "https://zoom.us/j/81234567890?pwd=x&TK=abc",
        "https://zoom.us/j/81234567890?pwd=x#zak=a",
        "https://zoom.us/j/81234567890?%7Aak=a",
        "https://www.google.com/url?q=https%3A%2F%2Fzoom.us%2Fs%2F8%3Fzak%3Da",
        "https://nam02.safelinks.protection.outlook.com/?url=https%3A%2F%2Fzoom.us%2Fw%2F8%3Ftk%3Da",
        f"Start the meeting: {START}\nHave fun",
    ],
)
def test_link_that_lets_one_person_in_is_rejected(url):
    with pytest.raises(ValidationError, match=r"for one person only.*Copy invitation"):
        read_invitation(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://zoom.us/meeting/81234567890",
        "https://zoom.us/meeting#/upcoming",
        "https://us02web.zoom.us/u/kabc",
        "https://zoom.us/rec/share/abc",
        "https://zoom.us/",
    ],
)
def test_page_of_zoom_that_lets_no_one_in_is_rejected(url):
    with pytest.raises(ValidationError, match="doesn't let people into a meeting"):
        read_invitation(url)


@pytest.mark.parametrize(
    "text", ["", "zoom 123", "http://zoom.us/j/1", "javascript:a", "https://["]
)
def test_text_without_a_link_is_rejected(text):
    with pytest.raises(ValidationError, match="Paste the whole link, starting with https://"):
        read_invitation(text)


@pytest.mark.parametrize(
    "url",
    [
        LINK,
        "https://zoom.us/my/maria.lopez",
        "https://zoom.us/wc/join/81234567890",
        "https://us02web.zoom.us/meeting/register/tZ-abc_1",
        "https://coalition.zoomgov.com/j/1612345678",
        "https://example.com/room?x=1",
    ],
)
def test_link_for_everyone_is_kept_as_it_is(url):
    assert read_invitation(f" {url}\n") == Invitation(url)


@pytest.mark.parametrize(
    "wrapped",
    [
        f"https://nam02.safelinks.protection.outlook.com/?url={ENCODED}&data=05%7C01&reserved=0",
        f"https://www.google.com/url?q={ENCODED}&sa=D&source=calendar",
        f"https://l.facebook.com/l.php?u={ENCODED}&h=x",
        f"https://urldefense.com/v3/__{LINK}__;!!Org!hash$",
        "https://nam02.safelinks.protection.outlook.com/?url="
        "https%3A%2F%2Fwww.google.com%2Furl%3Fq%3D" + ENCODED.replace("%", "%25"),
    ],
)
def test_wrapped_link_is_unwrapped(wrapped):
    assert read_invitation(wrapped) == Invitation(LINK)


NUMBERS = "+1 669 900 6833 US (San Jose)\n+1 253 215 8782 US (Tacoma)"


def test_invitation_text_gives_link_id_passcode_and_phone_numbers():
    assert read_invitation(INVITATION) == Invitation(LINK, "812 3456 7890", "123456", "", NUMBERS)


def test_invitation_text_with_numbers_for_one_tap_only_gives_those():
    text = INVITATION.partition("Dial by your location")[0]
    assert read_invitation(text).dial_in == NUMBERS


@pytest.mark.parametrize(
    "text",
    [
        # The passcode has letters. Zoom repeats it in digits next to the numbers, and in "one tap".
        INVITATION.replace("Passcode: 123456", "Passcode: aB3xYz"),
        f"{LINK}\nPasscode: aB3xYz\nDial by your location\n• +1 669 900 6833 US\nPasscode: 123456",
    ],
)
def test_invitation_text_gives_the_passcode_in_digits_for_phones(text):
    invitation = read_invitation(text)
    assert (invitation.passcode, invitation.phone_passcode) == ("aB3xYz", "123456")


@pytest.mark.parametrize(
    "url", ["https://zoom.us.evil.example/j/1", "https://zoom.us@evil.example/"]
)
def test_site_that_only_looks_like_zoom_is_not_zoom(url):
    assert not is_zoom(url)


@pytest.mark.parametrize("name", ["recording_url", "notes_url"])
def test_host_link_is_rejected_in_the_links_of_a_session(name):
    with pytest.raises(ValidationError) as error:
        Session(**{name: START}).clean_fields()
    assert "for one person only" in error.value.message_dict[name][0]


def test_host_link_is_rejected_in_the_text_of_an_email():
    with pytest.raises(ValidationError, match="for one person only"):
        validate_text(f"Join us [here]({START}).", "announcement")
    validate_no_personal_link(f"Join us [here]({LINK}), or watch https://zoom.us/rec/share/abc.")
