"""Who will get an email about the last edits of a session. `events` doesn't know: it asks.

An app above it registers a function that knows, when Django starts.
"""

import datetime as dt
from collections.abc import Callable, Iterator
from typing import NamedTuple

from events.models import Revision, Session


class Forecast(NamedTuple):
    """Some people (ids), and when they'll get an email unless the session is changed again."""

    people: frozenset[int]
    due_at: dt.datetime


Forecaster = Callable[[Session, dt.datetime], Iterator[Forecast]]
LastTold = Callable[[Session], Revision | None]
_forecasters: list[tuple[Forecaster, LastTold]] = []


def register(forecaster: Forecaster, told: LastTold) -> None:
    _forecasters.append((forecaster, told))


def forecasts(session: Session, now: dt.datetime) -> list[Forecast]:
    """For each time at which emails are due, who gets one. Empty if no one does."""
    return [found for forecaster, _told in _forecasters for found in forecaster(session, now)]


def last_told(session: Session) -> Revision | None:
    """The session as people still know it, if it has been edited since."""
    return next(filter(None, (told(session) for _forecaster, told in _forecasters)), None)
