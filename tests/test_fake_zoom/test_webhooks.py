"""The fake Zoom signs and sends webhooks about what people do, and lists who was there."""

import hashlib
import hmac
from urllib.parse import quote

import pytest

from tests.fake_zoom import FakeZoom, Meeting
from tests.fake_zoom.errors import ApiError
from tests.services.process import free_port
from tests.test_fake_zoom.client import MEETING, NOW, Client, Clock, link_of_alice, person
from tests.test_fake_zoom.receiver import Receiver

pytestmark = pytest.mark.once


def test_webhooks_report_who_joined_and_left(
    reporting: FakeZoom, alices_meeting: Meeting, receiver: Receiver, clock: Clock
) -> None:
    before = alices_meeting.uuid
    assert reporting.start(alices_meeting.id) == 200
    clock.advance(minutes=5)
    alice = reporting.join(link_of_alice(reporting, alices_meeting), name="ignored")
    guest = reporting.join(alices_meeting.id, name="Bob", email="bob@example.org")
    clock.advance(minutes=30)
    assert reporting.leave(guest) == 200
    clock.advance(minutes=30)
    assert reporting.end(alices_meeting.id) == 200
    assert receiver.events == [
        "meeting.started",
        "meeting.participant_joined",
        "meeting.participant_joined",
        "meeting.participant_left",
        "meeting.participant_left",
        "meeting.ended",
    ]
    started, joined, guest_joined, _, left, ended = receiver.messages
    assert started == {
        "event": "meeting.started",
        "event_ts": round(NOW.timestamp() * 1000),
        "payload": {
            "account_id": "account-id",
            "object": {
                "id": str(alices_meeting.id),
                "uuid": alices_meeting.uuid,
                "host_id": alices_meeting.host_id,
                "topic": "Legislation and Policy",
                "type": 2,
                "start_time": "2026-10-01T20:30:00Z",
                "duration": 120,
                "timezone": "America/Los_Angeles",
            },
        },
    }
    assert alices_meeting.uuid != before
    participant = joined["payload"]["object"]["participant"]
    assert participant == {
        "user_id": alice.user_id,
        "user_name": "Alice Adams",
        "id": "",
        "participant_uuid": alice.uuid,
        "email": "alice@example.org",
        "registrant_id": alices_meeting.registrants["alice@example.org"].id,
        "join_time": "2026-10-01T20:35:00Z",
    }
    assert "registrant_id" not in guest_joined["payload"]["object"]["participant"]
    left_at = left["payload"]["object"]["participant"]["leave_time"]
    assert left_at == ended["payload"]["object"]["end_time"] == "2026-10-01T21:35:00Z"


def test_webhooks_are_signed(
    reporting: FakeZoom, alices_meeting: Meeting, receiver: Receiver
) -> None:
    reporting.start(alices_meeting.id)
    [(headers, body)] = receiver.requests
    timestamp = headers["x-zm-request-timestamp"]
    assert timestamp == str(int(NOW.timestamp()))
    digest = hmac.new(b"webhook-secret", b"v0:%s:%s" % (timestamp.encode(), body), hashlib.sha256)
    assert headers["x-zm-signature"] == f"v0={digest.hexdigest()}"
    assert headers["Host"] == f"localhost:{receiver.server.server_port}"


def test_webhook_is_replayed_unchanged_and_redelivered_with_a_new_signature(
    reporting: FakeZoom, alices_meeting: Meeting, receiver: Receiver, clock: Clock
) -> None:
    receiver.status = 503
    assert reporting.start(alices_meeting.id) == 503
    receiver.status = 200
    clock.advance(minutes=6)
    assert reporting.replay(reporting.sent[0]) == 200
    assert reporting.deliver_again(reporting.sent[0]) == 200
    first, replayed, again = receiver.requests
    assert replayed == first
    assert again[1] == first[1]
    assert int(again[0]["x-zm-request-timestamp"]) == int(NOW.timestamp()) + 360
    assert [webhook.status for webhook in reporting.sent] == [503, 200, 200]


def test_recording_and_deletion_by_hand_are_reported(
    reporting: FakeZoom, alices_meeting: Meeting, receiver: Receiver, clock: Clock
) -> None:
    reporting.start(alices_meeting.id)
    with pytest.raises(ApiError, match="in progress"):
        reporting.delete_by_hand(alices_meeting.id)
    clock.advance(minutes=90)
    reporting.end(alices_meeting.id)
    share_url = "https://zoom.example/rec/share/1"
    reporting.recording_ready(alices_meeting.id, share_url=share_url, password="Watch-1")
    reporting.delete_by_hand(alices_meeting.id)
    assert reporting.meetings == {}
    recording, deleted = receiver.messages[-2:]
    assert recording["event"] == "recording.completed"
    about = recording["payload"]["object"]
    assert (about["id"], about["uuid"], about["duration"]) == (
        alices_meeting.id,
        alices_meeting.uuid,
        90,
    )
    assert (about["share_url"], about["password"]) == (share_url, "Watch-1")
    assert deleted["event"] == "meeting.deleted"
    assert deleted["payload"]["operator"] == "host@example.org"
    assert deleted["payload"]["object"]["id"] == alices_meeting.id


def test_webhook_url_is_validated(reporting: FakeZoom, receiver: Receiver) -> None:
    assert reporting.validate_webhook()
    receiver.secret = "another"
    assert not reporting.validate_webhook()
    receiver.status = 403
    assert not reporting.validate_webhook()


def test_webhook_without_a_receiver_is_recorded(zoom: FakeZoom) -> None:
    meeting = zoom.account.create_meeting(zoom.account.owner, MEETING)
    assert zoom.start(meeting.id) == 0
    assert zoom.sent == []
    zoom.webhooks.url = f"http://localhost:{free_port()}/webhooks/zoom/"
    assert zoom.end(meeting.id) == 0
    assert [(each.event, each.status) for each in zoom.sent] == [("meeting.ended", 0)]


def test_report_is_found_by_uuid(client: Client, clock: Clock) -> None:
    """One uuid of three starts with / and one contains //: both are encoded twice."""
    zoom, uuids = client.zoom, set()
    for _ in range(3):
        meeting = zoom.account.create_meeting(zoom.account.owner, MEETING)
        alice = zoom.account.add_registrant(meeting, person("Alice"))
        zoom.start(meeting.id)
        live = f"/report/meetings/{meeting.id}/participants"
        assert client("GET", live).json()["code"] == 3001
        zoom.join(link_of_alice(zoom, meeting))
        zoom.join(meeting.id, name="Bob")
        clock.advance(minutes=10)
        zoom.end(meeting.id)
        once = quote(meeting.uuid, safe="")
        is_odd = meeting.uuid.startswith("/") or "//" in meeting.uuid
        uuids.add((meeting.uuid.startswith("/"), "//" in meeting.uuid))
        if is_odd:
            assert client("GET", f"/report/meetings/{once}/participants").status_code == 404
        encoded = quote(once) if is_odd else once
        for path in (f"/report/meetings/{encoded}", live[:-13]):
            answer = client(
                "GET", f"{path}/participants", page_size=300, include_fields="registrant_id"
            )
            first, second = answer.json()["participants"]
            assert (first["name"], first["registrant_id"]) == ("Alice Adams", alice.id)
            assert (first["user_email"], first["duration"]) == ("alice@example.org", 600)
            assert (second["name"], second["registrant_id"]) == ("Bob", "")
        plain = client("GET", live).json()["participants"]
        assert "registrant_id" not in plain[0]
    assert len(uuids) == 3
