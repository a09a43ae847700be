"""A word to the workers that there is something to do. What is to do stands in the database."""

import logging
import time
from collections.abc import Callable, Iterable
from typing import TypeVar

from celery import current_app
from kombu.exceptions import KombuError

logger = logging.getLogger(__name__)

T = TypeVar("T")

PAUSE_AFTER_FAILURE_SECONDS = 15
# All workers may be busy first, for a turn or two.
EXPIRES_SECONDS = 30

_paused_until = 0.0
_gathered_until: dict[str, float] = {}


def wake_workers(task: str, *, gather: float = 0, expires: float = EXPIRES_SECONDS) -> None:
    """Ask a worker to run a task soon. When the broker is away, the beat's sweep will find it.

    With `gather` it runs so many seconds later, and serves all that ask for it until then.
    """
    global _paused_until
    now = time.monotonic()
    if now < max(_paused_until, _gathered_until.get(task, 0.0)):
        return
    _gathered_until[task] = now + gather
    try:
        # One try: on a frozen broker each costs a whole timeout, of which a request has one.
        # One that waits longer is worth nothing: the sweep does its work.
        current_app.send_task(task, retry=False, countdown=gather, expires=gather + expires)
    except (KombuError, OSError) as error:
        # A frozen broker costs seconds: the next requests should not pay them too.
        _paused_until = time.monotonic() + PAUSE_AFTER_FAILURE_SECONDS
        logger.warning("The broker took no nudge, the sweep will do it: %s", error)


def each_separately(things: Iterable[T], do: Callable[[T], None]) -> None:
    """What fails for one stops no other."""
    for thing in things:
        try:
            do(thing)
        except Exception:
            logger.exception("What is owed could not be queued: %s", thing)
