"""The database's time, which all processes share. A process's own clock may jump.

Leases and what is due are measured by it. In SQL, it is this module's `Now()`.
"""

import datetime as dt
import time
from dataclasses import dataclass
from typing import Any

from django.db import DEFAULT_DB_ALIAS
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import functions
from django.db.models.sql import Query
from django.db.models.sql.compiler import SQLCompiler


class Now(functions.Now):
    """The database's time. On SQLite with six digits, of which it knows three.

    SQLite compares times as text. Django's own has three digits there, and times from Python have
    six: ".123000", due now, would come after ".123".
    """

    def as_sqlite(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any
    ) -> tuple[str, Any]:
        template = "STRFTIME('%%%%Y-%%%%m-%%%%d %%%%H:%%%%M:%%%%f000', 'NOW')"
        return self.as_sql(compiler, connection, template=template, **context)


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
