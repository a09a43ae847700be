"""Zoom's rate limits by plan.

Source: https://developers.zoom.us/docs/api/rate-limits/. A rejected call does not count.
"""

import datetime as dt
import time
from collections import Counter, deque
from collections.abc import Callable, Hashable, Mapping
from enum import StrEnum

from tests.fake_zoom.errors import ApiError, too_many

Clock = Callable[[], dt.datetime]


class Label(StrEnum):
    """A call's "Rate Limit Label" in the documentation."""

    LIGHT = "Light"
    MEDIUM = "Medium"
    HEAVY = "Heavy"


PLANS = ("free", "pro", "business")
PER_SECOND = {
    Label.LIGHT: {"free": 4, "pro": 30, "business": 80},
    Label.MEDIUM: {"free": 2, "pro": 20, "business": 60},
    Label.HEAVY: {"free": 1, "pro": 10, "business": 40},
}
PER_DAY = {
    "free": {Label.LIGHT: 6_000, Label.MEDIUM: 2_000, Label.HEAVY: 1_000},
    "pro": {Label.HEAVY: 30_000},
    "business": {Label.HEAVY: 60_000},
}
MEETINGS_PER_DAY = 100
ADDS_PER_DAY = 3
STATUS_UPDATES_PER_DAY = 10


class RateLimiter:
    """Limits the calls of an account per second and per day, by label.

    `seconds` is the timer of the sliding one-second window; `clock` decides when a day ends.
    """

    def __init__(
        self, plan: str, clock: Clock, seconds: Callable[[], float] = time.perf_counter
    ) -> None:
        self.plan = plan
        self._seconds = seconds
        self._daily = DailyLimits(clock)
        self._recent: dict[Label, deque[float]] = {label: deque() for label in Label}

    def count(self, label: Label) -> dict[str, str]:
        """Count a call and return its rate limit headers. Raises ApiError at the limit."""
        recent, limit = self._recent[label], PER_SECOND[label][self.plan]
        now = self._seconds()
        while recent and recent[0] <= now - 1:
            recent.popleft()
        headers = {
            "X-RateLimit-Category": label.value,
            "X-RateLimit-Type": "QPS",
            "X-RateLimit-Limit": str(limit),
            "X-RateLimit-Remaining": str(max(limit - len(recent) - 1, 0)),
        }
        if len(recent) >= limit:
            raise too_many(headers)
        if per_day := PER_DAY[self.plan].get(label):
            message = (
                "You have reached the maximum daily rate limit for this API. Refer to the "
                "response header for details on when you can make another request."
            )
            self._daily.count({label: message}, per_day, label)
        recent.append(now)
        return headers


class DailyLimits:
    """Counters that reset at 00:00 UTC."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._reset_at = _next_midnight(clock())
        self._counts: Counter[Hashable] = Counter()

    def count(self, messages: Mapping[Hashable, str], limit: int, label: Label) -> None:
        """Count one more for every key.

        If one of them is at its limit, count nothing and raise ApiError with its message.
        """
        now = self._clock()
        if now >= self._reset_at:
            self._reset_at = _next_midnight(now)
            self._counts.clear()
        for key, message in messages.items():
            if self._counts[key] >= limit:
                headers = {
                    "X-RateLimit-Category": label.value,
                    "X-RateLimit-Type": "Daily-limit",
                    "X-RateLimit-Limit": str(limit),
                    "X-RateLimit-Remaining": "0",
                    "Retry-After": f"{self._reset_at:%Y-%m-%dT%H:%M:%SZ}",
                }
                raise ApiError(429, 429, message, headers)
        self._counts.update(messages.keys())


def _next_midnight(now: dt.datetime) -> dt.datetime:
    day = now.astimezone(dt.UTC).date() + dt.timedelta(days=1)
    return dt.datetime.combine(day, dt.time(), dt.UTC)
