"""Who will get an email about the last edits of a session. `events` doesn't know: it asks.

The same goes for who gets a spot once there are more of them.

An app above it registers a function that knows, when Django starts.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from events.models import Revision, Session


class Forecast(NamedTuple):
    """Some people (ids), and when they'll get an email unless the session is changed again."""

    people: frozenset[int]
    due_at: dt.datetime


Forecaster = Callable[[Session, dt.datetime], Iterator[Forecast]]
LastTold = Callable[[Session], Revision | None]
NextInLine = Callable[[Session, dt.datetime], Iterable[int]]
_forecasters: list[tuple[Forecaster, LastTold, NextInLine]] = []


def register(forecaster: Forecaster, told: LastTold, next_in_line: NextInLine) -> None:
    _forecasters.append((forecaster, told, next_in_line))


def forecasts(session: Session, now: dt.datetime) -> list[Forecast]:
    """For each time at which emails are due, who gets one. Empty if no one does."""
    return [found for each in _forecasters for found in each[0](session, now)]


def last_told(session: Session) -> Revision | None:
    """The session as people still know it, if it has been edited since."""
    return next(filter(None, (told(session) for _forecaster, told, _next in _forecasters)), None)


def promoted(session: Session, now: dt.datetime) -> set[int]:
    """Who is about to get an open spot, and an email about it."""
    return {pk for each in _forecasters for pk in each[2](session, now)}
