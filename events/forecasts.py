"""Who will get an email about the last edits of a session. `events` doesn't know: it asks.

An app above it registers a function that knows, when Django starts.
"""

import datetime as dt
from collections.abc import Callable, Iterator
from typing import NamedTuple

from events.models import Session


class Forecast(NamedTuple):
    """Some people (ids), and when they'll get an email unless the session is changed again."""

    people: frozenset[int]
    due_at: dt.datetime


Forecaster = Callable[[Session, dt.datetime], Iterator[Forecast]]
_forecasters: list[Forecaster] = []


def register(forecaster: Forecaster) -> None:
    _forecasters.append(forecaster)


def forecasts(session: Session, now: dt.datetime) -> list[Forecast]:
    """For each time at which emails are due, who gets one. Empty if no one does."""
    return [found for forecaster in _forecasters for found in forecaster(session, now)]
