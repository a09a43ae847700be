"""How much Zoom lets an account do, by its plan.

Source: https://developers.zoom.us/docs/api/rate-limits/. A call that is refused uses up nothing.
"""

import datetime as dt
import time
from collections import Counter, deque
from collections.abc import Callable, Hashable, Mapping
from enum import StrEnum

from .errors import Refused, too_many

Clock = Callable[[], dt.datetime]


class Label(StrEnum):
    """A call's "Rate Limit Label" in the documentation."""

    LIGHT = "Light"
    MEDIUM = "Medium"
    HEAVY = "Heavy"


PLANS = ("free", "pro", "business")
PER_SECOND = {
    Label.LIGHT: dict(zip(PLANS, (4, 30, 80), strict=True)),
    Label.MEDIUM: dict(zip(PLANS, (2, 20, 60), strict=True)),
    Label.HEAVY: dict(zip(PLANS, (1, 10, 40), strict=True)),
}
PER_DAY = {
    "free": {Label.LIGHT: 6_000, Label.MEDIUM: 2_000, Label.HEAVY: 1_000},
    "pro": {Label.HEAVY: 30_000},
    "business": {Label.HEAVY: 60_000},
}
MEETINGS_PER_DAY = 100
ADDS_PER_DAY = 3
STATUS_UPDATES_PER_DAY = 10


def next_midnight(now: dt.datetime) -> dt.datetime:
    """When the daily counts begin anew: 00:00 UTC."""
    day = now.astimezone(dt.UTC).date() + dt.timedelta(days=1)
    return dt.datetime.combine(day, dt.time(), dt.UTC)


class Rate:
    """Calls in any one second and in a day, for the whole account, by label.

    The second is one that slides, of `seconds`, which is real time; the day is the clock's.
    """

    def __init__(
        self, plan: str, clock: Clock, seconds: Callable[[], float] = time.perf_counter
    ) -> None:
        self.plan = plan
        self._seconds = seconds
        self._daily = Daily(clock)
        self._taken: dict[Label, deque[float]] = {label: deque() for label in Label}

    def take(self, label: Label) -> dict[str, str]:
        """Let a call in: the headers that its answer tells the limit with. Raises Refused."""
        taken, limit = self._taken[label], PER_SECOND[label][self.plan]
        now = self._seconds()
        while taken and taken[0] <= now - 1:
            taken.popleft()
        headers = {
            "X-RateLimit-Category": label.value,
            "X-RateLimit-Type": "QPS",
            "X-RateLimit-Limit": str(limit),
            "X-RateLimit-Remaining": str(max(limit - len(taken) - 1, 0)),
        }
        if len(taken) >= limit:
            raise too_many(headers)
        if per_day := PER_DAY[self.plan].get(label):
            message = (
                "You have reached the maximum daily rate limit for this API. Refer to the "
                "response header for details on when you can make another request."
            )
            self._daily.take(label, per_day, label, message)
        taken.append(now)
        return headers


class Daily:
    """Counts that begin anew at 00:00 UTC of the clock."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._until = next_midnight(clock())
        self._counts: Counter[Hashable] = Counter()

    def take(self, key: Hashable, limit: int, label: Label, message: str) -> None:
        """Count one more. Raises Refused when there were `limit` today."""
        self.take_all({key: message}, limit, label)

    def take_all(self, messages: Mapping[Hashable, str], limit: int, label: Label) -> None:
        """Count one more of each key, or of none: Refused with the key's message."""
        now = self.clock()
        if now >= self._until:
            self._until = next_midnight(now)
            self._counts.clear()
        for key, message in messages.items():
            if self._counts[key] >= limit:
                raise Refused(
                    429,
                    429,
                    message,
                    headers={
                        "X-RateLimit-Category": label.value,
                        "X-RateLimit-Type": "Daily-limit",
                        "X-RateLimit-Limit": str(limit),
                        "X-RateLimit-Remaining": "0",
                        "Retry-After": f"{self._until:%Y-%m-%dT%H:%M:%SZ}",
                    },
                )
        self._counts.update(messages.keys())
