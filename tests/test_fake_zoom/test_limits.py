"""The fake Zoom limits calls per second and per day as Zoom documents."""

import contextlib
import datetime as dt

import pytest

from tests.fake_zoom import FakeZoom, Meeting
from tests.fake_zoom.account import Account
from tests.fake_zoom.errors import ApiError
from tests.fake_zoom.limits import Label, RateLimiter
from tests.test_fake_zoom.client import MEETING, Client, Clock, person, rejection

pytestmark = pytest.mark.once


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
