"""The fake Zoom's pages, for trying out the site by hand."""

import pytest
import requests

from tests.fake_zoom import CannotJoin, FakeZoom, Meeting
from tests.fake_zoom.serializers import join_url
from tests.test_fake_zoom.client import MEETING, Client, link_of_alice, page, person
from tests.test_fake_zoom.receiver import Receiver

pytestmark = pytest.mark.once

NOTICE = "Test mode: not real Zoom."


def test_account_page_shows_meetings_and_acts_on_them(
    reporting: FakeZoom, alices_meeting: Meeting, receiver: Receiver
) -> None:
    alices_meeting.topic = "<script>alert(1)</script>"
    shown = page(reporting, "/")
    assert NOTICE in shown
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown
    assert "<script" not in shown
    assert "<dt>Registered</dt><dd>1</dd>" in shown
    for action in ("start", "end", "recording_ready", "delete_by_hand"):
        page(reporting, "/", {"do": action, "meeting": str(alices_meeting.id)})
    assert receiver.events == [
        "meeting.started",
        "meeting.ended",
        "recording.completed",
        "meeting.deleted",
    ]
    assert "There are none yet." in page(reporting, "/")
    start_again = {"do": "start", "meeting": str(alices_meeting.id)}
    assert "does not exist" in page(reporting, "/", start_again)


def test_account_page_makes_calls_fail(client: Client) -> None:
    form = {"do": "fail", "fault": "503", "call": "get_user", "times": "2"}
    assert "503, get_user call, 2 more" in page(client.zoom, "/", form)
    assert client("GET", "/users/me").status_code == 503
    assert "get_user</td>" in page(client.zoom, "/")
    assert "not a valid Fault" in page(client.zoom, "/", form | {"fault": "706"})
    at_random = {"do": "fail_at_random", "percent": "100"}
    assert "100% of all calls fail at random." in page(client.zoom, "/", at_random)
    assert "fail at random." not in page(client.zoom, "/", {"do": "heal"})
    assert client("GET", "/users/me").status_code == 200


def test_account_page_rejects_forms_from_other_sites(zoom: FakeZoom) -> None:
    form = {"do": "fail", "fault": "500"}
    page(zoom, "/", form, **{"Sec-Fetch-Site": "same-site"})
    assert zoom.faults.pending() == []


def test_registrant_joins_by_personal_link_and_leaves(
    reporting: FakeZoom, alices_meeting: Meeting, receiver: Receiver
) -> None:
    link = link_of_alice(reporting, alices_meeting)
    waiting = page(reporting, link)
    assert NOTICE in waiting
    assert "Legislation and Policy" in waiting
    assert "Sun, Oct 18, 2026, 6:00 PM Los Angeles time" in waiting
    assert "<strong>Alice Adams</strong> (alice@example.org)" in waiting
    assert "Please wait for the host" in waiting
    assert "The meeting is in progress." in page(reporting, link, {"do": "start"})
    assert receiver.events == ["meeting.started"]

    answer = requests.post(link, {"do": "join"}, timeout=5)
    assert "You are in the meeting." in answer.text
    assert "You have left the meeting." in page(reporting, answer.url, {"do": "leave"})
    assert receiver.events[1:] == ["meeting.participant_joined", "meeting.participant_left"]
    again = requests.post(link, {"do": "join"}, timeout=5)
    reporting.end(alices_meeting.id)
    assert "The host has ended this meeting." in page(reporting, again.url)


def test_invalid_links_say_why(zoom: FakeZoom) -> None:
    meeting = zoom.account.create_meeting(zoom.account.owner, MEETING)
    alice = zoom.account.add_registrant(meeting, person("Alice"))
    personal, plain = link_of_alice(zoom, meeting), join_url(zoom.account, meeting)
    assert "This meeting requires registration." in page(zoom, plain)
    assert "The meeting passcode is wrong." in page(zoom, f"{personal}x")
    assert "canceled by the host" in page(zoom, personal.replace("tk=", "tk=x"))
    cancel = {"action": "cancel", "registrants": [{"id": alice.id}]}
    zoom.account.update_registrants(meeting, cancel)
    assert "Your registration has been canceled by the host." in page(zoom, personal)
    with pytest.raises(CannotJoin):
        zoom.join(personal)
    zoom.delete_by_hand(meeting.id)
    assert "This meeting ID is not valid." in page(zoom, personal)


def test_guest_joins_a_meeting_without_registration_by_name(
    reporting: FakeZoom, receiver: Receiver
) -> None:
    account = reporting.account
    meeting = account.create_meeting(account.owner, MEETING | {"settings": {}})
    reporting.start(meeting.id)
    link = join_url(account, meeting)
    assert 'name="name"' in page(reporting, link)
    page(reporting, link, {"do": "join", "name": "Bob", "email": "bob@example.org"})
    participant = receiver.messages[-1]["payload"]["object"]["participant"]
    assert (participant["user_name"], participant["email"]) == ("Bob", "bob@example.org")
