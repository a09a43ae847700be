"""Being told to fail."""

import random
import threading
from dataclasses import dataclass
from enum import StrEnum

# What a random 429 or 503 asks for, in seconds.
RANDOM_RETRY_AFTER = 1

ANY = "any"


class Fault(StrEnum):
    """How a call can go wrong. HTML is what stands before Zoom answers with when Zoom is away."""

    UNAUTHORIZED = "401"
    TOO_MANY = "429"
    ERROR = "500"
    BAD_GATEWAY = "502"
    UNAVAILABLE = "503"
    ERROR_HTML = "500 html"
    BAD_GATEWAY_HTML = "502 html"
    UNAVAILABLE_HTML = "503 html"
    # No answer, until the client gives up.
    TIMEOUT = "timeout"
    # The connection ends before any work is done.
    CUT = "cut"
    # The work is done, then the connection ends.
    LOST_ANSWER = "lost answer"

    @property
    def status(self) -> int:
        """The answer's; 0 when there is none."""
        word = self.value.partition(" ")[0]
        return int(word) if word.isdecimal() else 0


@dataclass
class Failure:
    """An order to fail. `times` is None until one is told to stop."""

    fault: Fault
    call: str = ANY
    times: int | None = 1
    # In seconds, for a 429: None leaves the header out.
    retry_after: float | None = None
    # For a timeout: None is as long as the client waits.
    hang_seconds: float | None = None

    @property
    def is_due(self) -> bool:
        return self.times is None or self.times > 0


class Faults:
    """The orders to fail that are still to be carried out. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._orders: list[Failure] = []
        self._rate, self._hang_seconds = 0.0, 0.0
        self._random = random.Random()  # noqa: S311  # Chance, not a secret.

    def order(self, failure: Failure) -> None:
        with self._lock:
            self._orders.append(failure)

    def at_random(self, rate: float, seed: int, hang_seconds: float) -> None:
        """Let each call fail with this probability, in a way that chance decides, too."""
        with self._lock:
            self._rate, self._hang_seconds = rate, hang_seconds
            self._random.seed(seed)

    def heal(self) -> None:
        """Forget every order."""
        with self._lock:
            self._orders.clear()
            self._rate = 0.0

    def pending(self) -> list[Failure]:
        with self._lock:
            return [each for each in self._orders if each.is_due]

    @property
    def rate(self) -> float:
        """The probability that any call fails, beside the orders."""
        return self._rate

    def draw(self, call: str) -> Failure | None:
        """How this call is to fail, if it is."""
        with self._lock:
            for order in self._orders:
                if order.call in (ANY, call) and order.is_due:
                    if order.times is not None:
                        order.times -= 1
                    return order
            if not self._rate or self._random.random() >= self._rate:
                return None
            # A refused token request would say that the credentials are wrong.
            kinds = [each for each in Fault if call != "token" or each != Fault.UNAUTHORIZED]
            return Failure(
                self._random.choice(kinds),
                retry_after=self._random.choice([None, RANDOM_RETRY_AFTER]),
                hang_seconds=self._hang_seconds,
            )
