"""The fake Zoom follows Zoom's documented rules for tokens, users and meetings."""

import datetime as dt

import pytest

from tests.fake_zoom import Meeting
from tests.fake_zoom.account import Account
from tests.test_fake_zoom.client import MEETING, Client, Clock

pytestmark = pytest.mark.once


# Tokens


def test_token_needs_the_right_secret(client: Client) -> None:
    answer = client.token()
    assert answer.status_code == 200
    assert answer.json().keys() == {"access_token", "token_type", "expires_in", "scope", "api_url"}
    assert (answer.json()["token_type"], answer.json()["expires_in"]) == ("bearer", 3599)
    wrong = client.token(secret="guessed")
    assert (wrong.status_code, wrong.json()) == (
        401,
        {"reason": "Invalid client_id or client_secret", "error": "invalid_client"},
    )
    assert client.token(account_id="another").json()["error"] == "invalid_request"
    assert client.token(grant_type="password").json()["error"] == "unsupported_grant_type"
    assert client.zoom.count("token") == 5


def test_token_expires_after_an_hour_even_if_there_is_a_newer_one(
    client: Client, clock: Clock
) -> None:
    clock.advance(minutes=59)
    client.token()
    assert client("GET", "/users/me").status_code == 200
    clock.advance(minutes=1)
    expired = client("GET", "/users/me")
    assert (expired.status_code, expired.json()["code"]) == (401, 124)
    client.new_token()
    assert client("GET", "/users/me").status_code == 200
    client.session.headers["Authorization"] = "Bearer None"
    assert client("GET", "/users/me").json() == {"code": 124, "message": "Invalid access token."}


# Users and meetings


def test_meeting_is_created_read_updated_listed_and_deleted(client: Client) -> None:
    created = client("POST", "/users/host@example.org/meetings", MEETING)
    assert created.status_code == 201
    made = created.json()
    assert isinstance(made["id"], int)
    assert made["start_time"] == "2026-10-19T01:00:00Z"
    assert made["host_id"] == client("GET", "/users/me").json()["id"]
    assert made["join_url"].startswith(f"{client.zoom.site}/j/{made['id']}?pwd=")
    assert made["settings"]["approval_type"] == 0
    assert client("GET", f"/meetings/{made['id']}").json() == made

    change = {"topic": "Resentencing", "settings": {"waiting_room": True}}
    assert client("PATCH", f"/meetings/{made['id']}", change).status_code == 204
    [listed] = client("GET", "/users/me/meetings", type="upcoming").json()["meetings"]
    assert (listed["id"], listed["topic"]) == (made["id"], "Resentencing")
    settings = client("GET", f"/meetings/{made['id']}").json()["settings"]
    assert (settings["waiting_room"], settings["approval_type"]) == (True, 0)

    assert client("DELETE", f"/meetings/{made['id']}", schedule_for_reminder=False).ok
    for method in ("GET", "PATCH", "DELETE"):
        gone = client(method, f"/meetings/{made['id']}")
        message = f"Meeting does not exist: {made['id']}."
        assert (gone.status_code, gone.json()) == (404, {"code": 3001, "message": message})


def test_user_is_found_by_id_and_email_address(client: Client) -> None:
    user = client.zoom.add_user("basic@example.org", licensed=False)
    assert client("GET", f"/users/{user.id}").json()["type"] == 1
    assert client("GET", "/users/Basic@Example.org").json()["id"] == user.id
    unknown = client("GET", "/users/nobody@example.org")
    message = "User does not exist: nobody@example.org."
    assert (unknown.status_code, unknown.json()) == (404, {"code": 1001, "message": message})


def test_user_settings_are_merged_by_section(client: Client) -> None:
    owner = client.zoom.account.owner
    for captions in ({"enable": True}, {"enable": True, "auto_transcribing": True}):
        body = {"in_meeting": {"closed_captioning": captions}}
        assert client("PATCH", "/users/me/settings", body).status_code == 204
    assert client("PATCH", f"/users/{owner.id}/settings", {"in_meeting": {"chat": False}}).ok
    assert owner.settings == {"in_meeting": {"closed_captioning": captions, "chat": False}}


@pytest.mark.parametrize(
    ("written", "timezone", "start"),
    [
        ("2026-10-19T01:00:00Z", "America/Los_Angeles", "2026-10-19T01:00:00Z"),
        ("2026-10-18T18:00:00", "America/Los_Angeles", "2026-10-19T01:00:00Z"),
        ("2026-10-18T18:00:00", "UTC", "2026-10-18T18:00:00Z"),
    ],
)
def test_start_time_is_utc_with_z_and_local_without(
    client: Client, written: str, timezone: str, start: str
) -> None:
    assert client.create(start_time=written, timezone=timezone)["start_time"] == start


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("start_time", "2026-10-18T18:00:00+02:00"),
        ("start_time", "tomorrow"),
        ("topic", "x" * 201),
        ("agenda", "x" * 2001),
        ("password", "much too long"),
        ("timezone", "Mars/Olympus"),
        ("duration", "long"),
        ("type", 7),
    ],
)
def test_meeting_with_an_invalid_field_is_rejected(
    client: Client, field: str, value: object
) -> None:
    answer = client("POST", "/users/me/meetings", MEETING | {field: value})
    assert (answer.status_code, answer.json()) == (
        400,
        {
            "code": 300,
            "message": "Validation Failed.",
            "errors": [{"field": field, "message": "Invalid field."}],
        },
    )
    assert client.zoom.meetings == {}


def test_body_must_be_a_json_object(client: Client) -> None:
    error = {"code": 300, "message": "Request Body should be a valid JSON object."}
    assert client("POST", "/users/me/meetings", ["a list"]).json() == error
    url = f"{client.zoom.api_url}/users/me/meetings"
    assert client.session.post(url, data="{", timeout=5).json() == error


def test_update_ignores_a_start_in_the_past(account: Account, meeting: Meeting) -> None:
    change = {"start_time": "2026-09-30T01:00:00Z", "topic": "Another"}
    account.update_meeting(meeting, change)
    assert meeting.start_time == dt.datetime(2026, 10, 19, 1, tzinfo=dt.UTC)
    assert meeting.topic == "Another"


def test_meeting_without_fixed_time_has_no_registration(account: Account) -> None:
    assert not account.create_meeting(account.owner, MEETING | {"type": 3}).has_registration


def test_list_truncates_the_agenda(client: Client) -> None:
    made = client.create(agenda="x" * 300)
    assert len(made["agenda"]) == 300
    [listed] = client("GET", "/users/me/meetings").json()["meetings"]
    assert listed["agenda"] == "x" * 250


def test_list_is_paginated(client: Client, clock: Clock) -> None:
    meetings = [client.create(topic=f"Session {number}")["id"] for number in range(5)]
    found, token = [], ""
    for size in (2, 2, 1):
        page = client("GET", "/users/me/meetings", page_size=2, next_page_token=token).json()
        assert (len(page["meetings"]), page["total_records"]) == (size, 5)
        found += [each["id"] for each in page["meetings"]]
        token = page["next_page_token"] or token
    assert sorted(found) == sorted(meetings)
    assert page["next_page_token"] == ""
    clock.advance(minutes=16)
    late = client("GET", "/users/me/meetings", page_size=2, next_page_token=token)
    assert late.json()["message"] == "The next page token is invalid or expired."
    assert client("GET", "/users/me/meetings", page_size=301).json()["code"] == 300


def test_upcoming_meetings_exclude_past_ones(
    account: Account, meeting: Meeting, clock: Clock
) -> None:
    clock.advance(days=30)
    assert account.list_meetings(account.owner, "upcoming") == []
    assert account.list_meetings(account.owner, "scheduled") == [meeting]
