"""The fake Zoom follows Zoom's documented rules, fails on command, and signs its webhooks."""

import contextlib
import copy
import dataclasses
import datetime as dt
import hashlib
import hmac
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests

from tests.fake_zoom import CannotJoin, FakeZoom, Fault, Meeting
from tests.fake_zoom.account import Account
from tests.fake_zoom.errors import ApiError
from tests.fake_zoom.faults import Failure, Faults
from tests.fake_zoom.limits import Label, RateLimiter
from tests.fake_zoom.serializers import join_url, personal_url
from tests.fake_zoom.state import keep_in_file
from tests.services.process import Process, eventually, free_port

pytestmark = pytest.mark.once

NOW = dt.datetime(2026, 10, 1, 20, 30, tzinfo=dt.UTC)
MEETING: dict[str, Any] = {
    "topic": "Legislation and Policy",
    "type": 2,
    "start_time": "2026-10-19T01:00:00Z",
    "duration": 120,
    "timezone": "America/Los_Angeles",
    "settings": {"approval_type": 0},
}


class Clock:
    """A frozen clock."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> dt.datetime:
        return self.now

    def advance(self, **delta: float) -> None:
        self.now += dt.timedelta(**delta)


class Client:
    """Calls the fake Zoom's API with an access token."""

    def __init__(self, zoom: FakeZoom) -> None:
        self.zoom = zoom
        self.session = requests.Session()
        self.new_token()

    def new_token(self) -> str:
        token = self.token().json()["access_token"]
        self.session.headers["Authorization"] = f"Bearer {token}"
        return token

    def token(self, secret: str = "client-secret", **form: str) -> requests.Response:
        form = {"grant_type": "account_credentials", "account_id": "account-id", **form}
        return requests.post(self.zoom.oauth_url, form, auth=("client-id", secret), timeout=5)

    def __call__(
        self, method: str, path: str, body: Any = None, timeout: float = 5, **query: Any
    ) -> requests.Response:
        return self.session.request(
            method, f"{self.zoom.api_url}{path}", params=query, json=body, timeout=timeout
        )

    def create(self, **fields: object) -> dict[str, Any]:
        return self("POST", "/users/me/meetings", MEETING | fields).json()


def person(name: str) -> dict[str, str]:
    return {"email": f"{name.lower()}@example.org", "first_name": name, "last_name": "Adams"}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def zoom(clock: Clock) -> Iterator[FakeZoom]:
    with FakeZoom(clock=clock) as zoom:
        yield zoom


@pytest.fixture
def client(zoom: FakeZoom) -> Client:
    return Client(zoom)


@pytest.fixture
def account(clock: Clock) -> Account:
    """The rules alone, without HTTP and without limits per second."""
    return Account(plan="business", account_id="a", client_id="c", client_secret="s", clock=clock)


@pytest.fixture
def meeting(account: Account) -> Meeting:
    return account.create_meeting(account.owner, MEETING)


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


# Registrants


def test_registrants_are_added_listed_and_canceled(client: Client) -> None:
    path = f"/meetings/{client.create()['id']}"
    added = client("POST", f"{path}/registrants", person("Alice"))
    assert added.status_code == 201
    alice = added.json()
    assert alice["topic"] == "Legislation and Policy"
    batch = {"registrants": [person("Bob"), person("Carol")]}
    answer = client("POST", f"{path}/batch_registrants", batch)
    assert answer.status_code == 201
    bob, _ = answer.json()["registrants"]
    assert bob.keys() == {"registrant_id", "email", "join_url", "participant_pin_code"}

    listed = client("GET", f"{path}/registrants", page_size=300).json()["registrants"]
    assert [each["email"] for each in listed] == [
        "alice@example.org",
        "bob@example.org",
        "carol@example.org",
    ]
    assert listed[0]["id"] == alice["registrant_id"]
    assert listed[0]["join_url"] == alice["join_url"]

    people = [{"id": bob["registrant_id"]}, {"email": "Carol@example.org"}, {"id": "unknown"}]
    change = {"action": "cancel", "registrants": people}
    assert client("PUT", f"{path}/registrants/status", change).status_code == 204
    [left] = client("GET", f"{path}/registrants").json()["registrants"]
    assert left["first_name"] == "Alice"


def test_registering_again_returns_the_same_registrant(account: Account, meeting: Meeting) -> None:
    first = account.add_registrant(meeting, person("Alice"))
    again = account.add_registrant(meeting, person("Alice") | {"email": "ALICE@example.org"})
    assert again is first


def test_canceled_registrant_gets_a_new_link_when_registering_again(
    account: Account, meeting: Meeting
) -> None:
    before = account.add_registrant(meeting, person("Alice"))
    cancel = {"action": "cancel", "registrants": [{"id": before.id}]}
    account.update_registrants(meeting, cancel)
    after = account.add_registrant(meeting, person("Alice"))
    assert after.token != before.token
    passcode = meeting.encrypted_password
    assert account.admit(meeting.id, passcode, after.token) is after
    with pytest.raises(CannotJoin, match="canceled by the host"):
        account.admit(meeting.id, passcode, before.token)


def test_registrant_waits_for_approval_where_the_host_approves(account: Account) -> None:
    by_hand = MEETING | {"settings": {"approval_type": 1}}
    meeting = account.create_meeting(account.owner, by_hand)
    alice = account.add_registrant(meeting, person("Alice"))
    bob = account.add_registrant(meeting, person("Bob") | {"auto_approve": True})
    assert (alice.status, bob.status) == ("pending", "approved")
    with pytest.raises(CannotJoin, match="not approved"):
        account.admit(meeting.id, meeting.encrypted_password, alice.token)
    for action, status in (("deny", "denied"), ("approve", "approved")):
        account.update_registrants(meeting, {"action": action, "registrants": [{"id": alice.id}]})
        assert account.list_registrants(meeting, status)[0] is alice


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("first_name", "x" * 65),
        ("first_name", ""),
        ("last_name", "x" * 65),
        ("email", f"{'x' * 117}@example.org"),
        ("email", "alice"),
        ("email", "alice@localhost"),
        ("email", "alice..adams@example.org"),
        ("email", "älice@example.org"),
        ("email", None),
    ],
)
def test_registrant_with_an_invalid_field_is_rejected(
    account: Account, meeting: Meeting, field: str, value: object
) -> None:
    wrong = person("Alice") | {field: value}
    for add, name in (
        (lambda: account.add_registrant(meeting, wrong), field),
        (
            lambda: account.add_registrants(meeting, {"registrants": [person("Bob"), wrong]}),
            f"registrants[1].{field}",
        ),
    ):
        with pytest.raises(ApiError) as error:
            add()
        assert error.value.status == 400
        assert error.value.body["code"] == 300
        assert error.value.body["errors"] == [{"field": name, "message": "Invalid field."}]
    assert meeting.registrants == {}


def test_longest_names_and_addresses_are_accepted(account: Account, meeting: Meeting) -> None:
    longest = {"email": f"{'x' * 116}@example.org", "first_name": "x" * 64, "last_name": "x" * 64}
    assert account.add_registrant(meeting, longest).email == longest["email"]


def rejection(account: Account, meeting: Meeting, *, batch: bool) -> tuple[int, dict[str, Any]]:
    add = account.add_registrants if batch else account.add_registrant
    body = {"registrants": [person("Alice")]} if batch else person("Alice")
    with pytest.raises(ApiError) as error:
        add(meeting, body)
    return error.value.status, error.value.body


@pytest.mark.parametrize("batch", [False, True])
def test_registration_needs_a_paid_host_room_and_time(
    account: Account, meeting: Meeting, clock: Clock, batch: bool
) -> None:
    open_to_all = account.create_meeting(account.owner, MEETING | {"settings": {}})
    message = f"Registration has not been enabled for this meeting: {open_to_all.id}."
    expected = (404, {"code": 404, "message": message})
    assert rejection(account, open_to_all, batch=batch) == expected

    account.owner.type = 1
    message = f"Only available for Paid users: {account.owner.id}."
    expected = (400, {"code": 200, "message": message})
    assert rejection(account, meeting, batch=batch) == expected
    account.owner.type = 2

    bob = account.add_registrant(meeting, person("Bob"))
    addresses = [f"{number}@example.org" for number in range(4_999)]
    meeting.registrants = {each: dataclasses.replace(bob, email=each) for each in addresses}
    status, body = rejection(account, meeting, batch=batch)
    assert status == (404 if batch else 400)
    assert body == {"code": 3043, "message": "Meeting has reached maximum attendee capacity."}
    account.add_registrant(meeting, person("Alice") | {"email": "7@example.org"})

    clock.now = meeting.scheduled_end
    assert rejection(account, meeting, batch=batch)[1]["code"] == 3038
    account.start(meeting)
    assert rejection(account, meeting, batch=batch)[1]["code"] == 3043


def test_batch_has_30_people_at_most_and_a_scheduled_meeting(
    account: Account, meeting: Meeting
) -> None:
    people = [person(f"Person{number}") for number in range(31)]
    with pytest.raises(ApiError, match=r"Validation Failed\."):
        account.add_registrants(meeting, {"registrants": people})
    assert len(account.add_registrants(meeting, {"registrants": people[:30]})) == 30
    recurring = account.create_meeting(account.owner, MEETING | {"type": 8})
    with pytest.raises(ApiError) as error:
        account.add_registrants(recurring, {"registrants": people[:30]})
    assert (error.value.status, error.value.body["code"]) == (400, 303)


# Limits


@pytest.mark.parametrize(
    ("plan", "label", "limit"),
    [("free", Label.LIGHT, 4), ("pro", Label.MEDIUM, 20), ("business", Label.HEAVY, 40)],
)
def test_calls_per_second_are_limited_by_plan_and_label(
    clock: Clock, plan: str, label: Label, limit: int
) -> None:
    limiter = RateLimiter(plan, clock)
    left = [int(limiter.count(label)["X-RateLimit-Remaining"]) for _ in range(limit)]
    assert left == list(range(limit - 1, -1, -1))
    with pytest.raises(ApiError, match="maximum per-second rate limit"):
        limiter.count(label)


def test_rate_limit_window_slides(clock: Clock) -> None:
    times = iter([0.0, 0.1, 0.8, 0.9, 0.99, 1.05, 1.09, 1.11, 1.12, 1.81])
    limiter = RateLimiter("free", clock, times.__next__)

    def is_allowed() -> bool:
        with contextlib.suppress(ApiError):
            return bool(limiter.count(Label.LIGHT))
        return False

    allowed = [is_allowed() for _ in range(10)]
    assert allowed == [True, True, True, True, False, True, False, True, False, True]


def test_call_over_the_rate_limit_gets_429(clock: Clock) -> None:
    with FakeZoom(plan="free", clock=clock) as zoom:
        client = Client(zoom)
        answers = [client("GET", "/users/me/meetings") for _ in range(3)]
    assert [each.status_code for each in answers] == [200, 200, 429]
    rejected = answers[-1]
    assert rejected.json() == {
        "code": 429,
        "message": "You have reached the maximum per-second rate limit for this API. "
        "Try again later.",
    }
    assert {name: rejected.headers.get(name) for name in (*LIMIT_HEADERS, "Retry-After")} == {
        "X-RateLimit-Category": "Medium",
        "X-RateLimit-Type": "QPS",
        "X-RateLimit-Limit": "2",
        "X-RateLimit-Remaining": "0",
        "Retry-After": None,
    }


LIMIT_HEADERS = (
    "X-RateLimit-Category",
    "X-RateLimit-Type",
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
)


def test_host_is_limited_to_100_creates_and_updates_a_day(
    account: Account, meeting: Meeting, clock: Clock
) -> None:
    for number in range(99):
        account.update_meeting(meeting, {"topic": f"Topic {number}"})
    for call in (
        lambda: account.update_meeting(meeting, {"topic": "One more"}),
        lambda: account.create_meeting(account.owner, MEETING),
    ):
        with pytest.raises(ApiError) as error:
            call()
        assert error.value.status == 429
        assert error.value.body["message"] == (
            "You have exceeded the daily rate limit (100) of Meeting Create/Update API requests "
            "permitted for this particular user. You may resume these requests at GMT 00:00:00."
        )
        assert error.value.headers["X-RateLimit-Type"] == "Daily-limit"
        assert error.value.headers["Retry-After"] == "2026-10-02T00:00:00Z"
    assert meeting.topic == "Topic 98"
    account.create_meeting(account.add_user("other@example.org"), MEETING)
    clock.now = dt.datetime(2026, 10, 2, tzinfo=dt.UTC)
    account.update_meeting(meeting, {"topic": "Tomorrow"})


def test_registrant_is_limited_to_3_adds_a_day(
    account: Account, meeting: Meeting, clock: Clock
) -> None:
    for _ in range(2):
        account.add_registrant(meeting, person("Alice"))
    account.add_registrants(meeting, {"registrants": [person("Alice")]})
    status, body = rejection(account, meeting, batch=False)
    assert (status, body["message"]) == (
        429,
        "You have exceeded the daily rate limit of (3) for Add meeting registrant API requests "
        "for the registrant (alice@example.org). You can resume these API requests at "
        "GMT 00:00:00.",
    )
    with pytest.raises(ApiError, match="Meeting Batch Registration"):
        account.add_registrants(meeting, {"registrants": [person("Bob"), person("Alice")]})
    assert list(meeting.registrants) == ["alice@example.org"]
    account.add_registrant(account.create_meeting(account.owner, MEETING), person("Alice"))
    clock.advance(days=1)
    account.add_registrant(meeting, person("Alice"))


def test_registrant_is_limited_to_10_status_updates_a_day(
    account: Account, meeting: Meeting, clock: Clock
) -> None:
    alice = account.add_registrant(meeting, person("Alice"))
    change = {"action": "approve", "registrants": [{"id": alice.id}]}
    for _ in range(10):
        account.update_registrants(meeting, change)
    with pytest.raises(ApiError, match=r"daily rate limit of \(10\)"):
        account.update_registrants(meeting, {**change, "action": "cancel"})
    assert alice.status == "approved"
    clock.advance(days=1)
    account.update_registrants(meeting, change)


# Fault injection


@pytest.mark.parametrize("status", ["500", "502", "503"])
def test_server_error_does_no_work(client: Client, status: str) -> None:
    client.zoom.fail(status, call="create_meeting")
    client.zoom.fail(f"{status} html", call="create_meeting")
    first, second, third = (client("POST", "/users/me/meetings", MEETING) for _ in range(3))
    assert (first.status_code, first.json()["code"]) == (int(status), int(status))
    assert (second.status_code, second.headers["Content-Type"]) == (int(status), "text/html")
    assert third.status_code == 201
    assert len(client.zoom.meetings) == 1
    assert [call.status for call in client.zoom.calls[1:]] == [int(status), int(status), 201]


def test_fault_lasts_until_heal_and_affects_only_its_call(client: Client) -> None:
    client.zoom.fail("500", call="list_meetings", times=None)
    for _ in range(3):
        assert client("GET", "/users/me/meetings").status_code == 500
        assert client("GET", "/users/me").status_code == 200
    client.zoom.heal()
    assert client("GET", "/users/me/meetings").status_code == 200
    with pytest.raises(ValueError, match="no call 'make_coffee'"):
        client.zoom.fail("500", call="make_coffee")


def test_revoked_token_stays_revoked(client: Client) -> None:
    client.zoom.fail("401")
    for _ in range(2):
        assert client("GET", "/users/me").json() == {
            "code": 124,
            "message": "Invalid access token.",
        }
    client.new_token()
    assert client("GET", "/users/me").status_code == 200


def test_token_request_fails(client: Client) -> None:
    client.zoom.fail("401", call="token")
    client.zoom.fail("503 html", call="token")
    assert client.token().json()["error"] == "invalid_client"
    assert client.token().status_code == 503
    assert client.token().status_code == 200


def test_429_has_retry_after_if_given(client: Client) -> None:
    client.zoom.fail("429")
    client.zoom.fail("429", retry_after=90)
    assert "Retry-After" not in client("GET", "/users/me").headers
    later = client("GET", "/users/me")
    assert (later.status_code, later.headers["Retry-After"]) == (429, "2026-10-01T20:31:30Z")


def test_connection_is_cut_before_or_after_the_work(client: Client) -> None:
    for fault, meetings in ((Fault.CUT, 0), (Fault.LOST_ANSWER, 1)):
        client.zoom.fail(fault)
        with pytest.raises(requests.ConnectionError):
            client("POST", "/users/me/meetings", MEETING)
        assert len(client.zoom.meetings) == meetings
    assert [call[1:] for call in client.zoom.calls[1:]] == [("create_meeting", 0)] * 2


def test_timeout_lasts_until_the_client_gives_up(client: Client) -> None:
    threads = threading.active_count()
    client.zoom.fail("timeout")
    with pytest.raises(requests.ReadTimeout):
        client("POST", "/users/me/meetings", MEETING, timeout=0.1)
    assert client.zoom.meetings == {}
    eventually(lambda: threading.active_count() <= threads, "no longer waiting", 2)
    client.zoom.fail("timeout", hang_seconds=0.1)
    with pytest.raises(requests.ConnectionError):
        client("GET", "/users/me", timeout=2)


def test_timeout_ends_when_the_fake_zoom_stops(clock: Clock) -> None:
    with FakeZoom(clock=clock) as zoom:
        client = Client(zoom)
        zoom.fail("timeout")
        threading.Timer(0.1, zoom.close).start()
        with pytest.raises(requests.ConnectionError):
            client("GET", "/users/me", timeout=2)


def test_random_faults_depend_on_the_seed() -> None:
    def drawn(seed: int, call: str = "get_user") -> list[Failure | None]:
        faults = Faults()
        faults.at_random(0.3, seed, hang_seconds=0.5)
        return [faults.draw(call) for _ in range(1000)]

    first = drawn(7)
    assert drawn(7) == first
    assert drawn(8) != first
    failures = [each for each in first if each]
    assert 250 < len(failures) < 350
    assert {each.fault for each in failures} == set(Fault)
    assert {each.retry_after for each in failures} == {None, 1}
    assert Fault.UNAUTHORIZED not in {each.fault for each in drawn(7, "token") if each}


def test_random_faults_affect_every_call(client: Client) -> None:
    client.zoom.fail_at_random(1, seed=7, hang_seconds=0.02)
    for _ in range(20):
        with contextlib.suppress(requests.RequestException):
            assert not client("GET", "/users/me").ok
    client.zoom.heal()
    client.new_token()
    assert client("GET", "/users/me").ok
    assert client.zoom.count("get_user") == 21


def test_down_refuses_connections_and_up_reopens_the_same_port(client: Client) -> None:
    port = client.zoom.port
    assert client("GET", "/users/me").status_code == 200
    client.zoom.down()
    for _ in range(2):
        with pytest.raises(requests.ConnectionError):
            client("GET", "/users/me")
    client.zoom.up()
    assert client.zoom.port == port
    assert client("GET", "/users/me").status_code == 200


# What people do in Zoom, and its webhooks


class Receiver:
    """A server that receives webhooks, like the site."""

    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.status = 200
        self.secret = "webhook-secret"
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.requests.append((dict(self.headers), body))
                self.send_response(receiver.status)
                self.end_headers()
                self.wfile.write(receiver.answer(json.loads(body)))

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://localhost:{self.server.server_port}/webhooks/zoom/"

    def answer(self, message: dict[str, Any]) -> bytes:
        if message["event"] != "endpoint.url_validation":
            return b""
        plain = message["payload"]["plainToken"]
        digest = hmac.new(self.secret.encode(), plain.encode(), hashlib.sha256)
        return json.dumps({"plainToken": plain, "encryptedToken": digest.hexdigest()}).encode()

    @property
    def messages(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.requests]

    @property
    def events(self) -> list[str]:
        return [message["event"] for message in self.messages]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    with receiver.server as server:
        threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
        yield receiver
        server.shutdown()


@pytest.fixture
def reporting(zoom: FakeZoom, receiver: Receiver) -> FakeZoom:
    """The fake Zoom, with its webhooks sent to the receiver."""
    zoom.webhooks.url = receiver.url
    return zoom


@pytest.fixture
def alices_meeting(reporting: FakeZoom) -> Meeting:
    """A meeting for which Alice is registered."""
    meeting = reporting.account.create_meeting(reporting.account.owner, MEETING)
    reporting.account.add_registrant(meeting, person("Alice"))
    return meeting


def link_of_alice(zoom: FakeZoom, meeting: Meeting) -> str:
    return personal_url(zoom.account, meeting, meeting.registrants["alice@example.org"])


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


# Pages


def page(zoom: FakeZoom, path: str, form: dict[str, str] | None = None, **headers: str) -> str:
    url = path if path.startswith("http") else f"{zoom.site}{path}"
    answer = requests.request(
        "POST" if form is not None else "GET", url, data=form, headers=headers, timeout=5
    )
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src")
    return answer.text


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


# The state file and the command


def test_account_is_kept_in_a_file(clock: Clock, tmp_path) -> None:
    file = tmp_path / "state.json"
    with FakeZoom(clock=clock) as zoom:
        keep_in_file(zoom, file)
        client = Client(zoom)
        made = client.create()
        path = f"/meetings/{made['id']}/registrants"
        client("POST", path, person("Alice"))
        zoom.start(made["id"])
        zoom.join(made["id"])
        zoom.end(made["id"])
        saved = copy.deepcopy(zoom.meetings)
    with FakeZoom(clock=clock) as zoom:
        keep_in_file(zoom, file)
        assert zoom.meetings == saved
        client = Client(zoom)
        assert client("GET", "/users/me/meetings").json()["total_records"] == 1
    file.write_text("{}")
    with pytest.raises(ValueError, match="not the state of a fake Zoom"):
        keep_in_file(FakeZoom(), file)


COMMAND = (sys.executable, "-m", "tests.fake_zoom")
VARIABLES = {
    "ZOOM_ACCOUNT_ID": "account-id",
    "ZOOM_CLIENT_ID": "client-id",
    "ZOOM_CLIENT_SECRET": "client-secret",
    "ZOOM_WEBHOOK_SECRET": "webhook-secret",
    "SITE_URL": "http://localhost:1",
}


@pytest.mark.parametrize("last_signal", [signal.SIGINT, signal.SIGTERM])
def test_command_serves_until_it_is_stopped(tmp_path: Path, last_signal: signal.Signals) -> None:
    file, port = tmp_path / "state.json", free_port()
    process = Process(
        *(*COMMAND, "--port", str(port), "--state", file),
        log=tmp_path / "zoom.log",
        environment=VARIABLES,
    )
    process.ready_when(lambda: f"running at http://localhost:{port}/" in process.log)
    zoom = FakeZoom(port=port)
    made = Client(zoom).create()
    shown = page(zoom, "/")
    assert f'id="meeting-{made["id"]}"' in shown
    assert "Sun, Oct 18, 2026, 6:00 PM Los Angeles time" in shown
    process.stop(last_signal)
    assert process.wait() == 0
    assert str(made["id"]) in file.read_text()


def test_command_names_the_missing_variable() -> None:
    variables = VARIABLES | {"ZOOM_CLIENT_ID": ""}
    result = subprocess.run(COMMAND, env=variables, capture_output=True, text=True, timeout=30)
    assert result.returncode == 1
    assert result.stderr == (
        "ZOOM_CLIENT_ID is not set. The fake Zoom needs the same value as the site.\n"
    )
