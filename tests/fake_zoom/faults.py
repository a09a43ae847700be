"""Fault injection: which calls fail next, and how."""

import random
import threading
from dataclasses import dataclass
from enum import StrEnum

ANY = "any"


class Fault(StrEnum):
    """How a call can fail. HTML is what Zoom's proxy sends when Zoom is down."""

    UNAUTHORIZED = "401"
    TOO_MANY = "429"
    ERROR = "500"
    BAD_GATEWAY = "502"
    UNAVAILABLE = "503"
    ERROR_HTML = "500 html"
    BAD_GATEWAY_HTML = "502 html"
    UNAVAILABLE_HTML = "503 html"
    # No response until the client gives up.
    TIMEOUT = "timeout"
    # The connection closes before any work is done.
    CUT = "cut"
    # The work is done, then the connection closes.
    LOST_ANSWER = "lost answer"

    @property
    def status(self) -> int:
        """The HTTP status of the response; 0 if there is none."""
        word = self.value.partition(" ")[0]
        return int(word) if word.isdecimal() else 0


@dataclass
class Failure:
    """An order to fail the next `times` calls; None means until `Faults.clear`."""

    fault: Fault
    call: str = ANY
    times: int | None = 1
    # For a 429, in seconds. None leaves out the header.
    retry_after: float | None = None
    # For a timeout. None means until the client gives up.
    hang_seconds: float | None = None

    @property
    def is_pending(self) -> bool:
        return self.times is None or self.times > 0


class Faults:
    """The failures that are still to happen. Thread-safe."""

    def __init__(self) -> None:
        # The probability that any other call fails.
        self.rate = 0.0
        self._lock = threading.Lock()
        self._failures: list[Failure] = []
        self._hang_seconds = 0.0
        self._random = random.Random()

    def add(self, failure: Failure) -> None:
        with self._lock:
            self._failures.append(failure)

    def at_random(self, rate: float, seed: int, hang_seconds: float) -> None:
        """Fail each call with probability `rate`, in a random way."""
        with self._lock:
            self.rate, self._hang_seconds = rate, hang_seconds
            self._random.seed(seed)

    def clear(self) -> None:
        with self._lock:
            self._failures.clear()
            self.rate = 0.0

    def pending(self) -> list[Failure]:
        with self._lock:
            return [each for each in self._failures if each.is_pending]

    def draw(self, call: str) -> Failure | None:
        """Decide how this call fails, if it does."""
        with self._lock:
            for failure in self._failures:
                if failure.call in (ANY, call) and failure.is_pending:
                    if failure.times is not None:
                        failure.times -= 1
                    return failure
            if not self.rate or self._random.random() >= self.rate:
                return None
            # A rejected token request would mean that the credentials are wrong.
            kinds = [each for each in Fault if call != "token" or each != Fault.UNAUTHORIZED]
            return Failure(
                self._random.choice(kinds),
                retry_after=self._random.choice([None, 1]),
                hang_seconds=self._hang_seconds,
            )
