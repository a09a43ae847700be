"""The database's time, which all processes share. A process's own clock may jump.

Leases and what is due are measured by it. In SQL, it is `Now()`.
"""

import datetime as dt
import time
from dataclasses import dataclass

from django.db import DEFAULT_DB_ALIAS
from django.db.models.functions import Now
from django.db.models.sql import Query


def database_time() -> dt.datetime:
    """Read the database's time, with one query. SQLite's has milliseconds."""
    query = Query(None)
    query.add_annotation(Now(), "now")
    (now,) = next(iter(query.get_compiler(DEFAULT_DB_ALIAS).results_iter()))
    assert isinstance(now, dt.datetime)  # noqa: S101
    return now


def seconds() -> float:
    """Seconds that never jump. Unlike `time.monotonic()`, they go on while Linux is suspended."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


@dataclass(frozen=True)
class Clock:
    """The database's time as it was read at some moment, and how it has gone on since."""

    read: dt.datetime
    # By `seconds()`. A moment too early makes leases seem shorter, which is safe.
    read_at: float

    def now(self) -> dt.datetime:
        """The database's time now, without a query."""
        return self.read + dt.timedelta(seconds=seconds() - self.read_at)
