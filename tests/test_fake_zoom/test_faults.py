"""The fake Zoom fails on command."""

import contextlib
import threading

import pytest
import requests

from tests.fake_zoom import FakeZoom, Fault
from tests.fake_zoom.faults import Failure, Faults
from tests.services.process import eventually
from tests.test_fake_zoom.client import MEETING, Client, Clock

pytestmark = pytest.mark.once


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
