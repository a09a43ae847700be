"""Waking the Celery workers. The work itself is in the database, so a lost wake-up is harmless."""

import logging
import time
from collections.abc import Callable, Iterable
from typing import TypeVar

from celery import current_app
from kombu.exceptions import KombuError

logger = logging.getLogger(__name__)

T = TypeVar("T")

PAUSE_AFTER_FAILURE_SECONDS = 15
# All workers may be busy with a delivery run or two first.
EXPIRES_SECONDS = 30


class WakeUps:
    """Sends wake-ups for this process. Pauses while the broker fails."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.paused_until = 0.0
        self.scheduled_until: dict[str, float] = {}

    def send(self, task: str, *, delay_seconds: float, expires_seconds: float) -> None:
        now = self.clock()
        if now < max(self.paused_until, self.scheduled_until.get(task, 0.0)):
            return
        self.scheduled_until[task] = now + delay_seconds
        try:
            # No retries: with a frozen broker, each attempt would add a timeout to the request.
            current_app.send_task(
                task, retry=False, countdown=delay_seconds, expires=delay_seconds + expires_seconds
            )
        except (KombuError, OSError) as error:
            # Spare the next requests that timeout.
            self.paused_until = self.clock() + PAUSE_AFTER_FAILURE_SECONDS
            logger.warning("Could not wake a worker, the periodic run will do the work: %s", error)


wake_ups = WakeUps()


def wake_workers(
    task: str, *, delay_seconds: float = 0, expires_seconds: float = EXPIRES_SECONDS
) -> None:
    """Ask a worker to run a task soon. If the broker fails, the task's periodic run does the work.

    With `delay_seconds` the task runs that much later, once for all requests until then. A
    wake-up that no worker takes within `expires_seconds` is dropped.
    """
    wake_ups.send(task, delay_seconds=delay_seconds, expires_seconds=expires_seconds)


def for_each_logging_errors(items: Iterable[T], action: Callable[[T], None]) -> None:
    """Run the action for each item. A failure is logged and does not stop the others."""
    for item in items:
        try:
            action(item)
        except Exception:
            logger.exception("Failed for %s", item)
