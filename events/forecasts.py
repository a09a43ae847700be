"""Who will get an email about the last edits of a session. `events` doesn't know: it asks.

The same goes for who gets a spot once there are more of them.

An app above it registers a function that knows, when Django starts.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from django.db.models import Q

from events.models import Revision, Session, SessionQuerySet


class Forecast(NamedTuple):
    """Some people (ids), and when they'll get an email unless the session is changed again."""

    people: frozenset[int]
    due_at: dt.datetime


Forecaster = Callable[[Session, dt.datetime], Iterator[Forecast]]
LastTold = Callable[[Session], Revision | None]
Edited = Callable[[], SessionQuerySet]
NextInLine = Callable[[Session, dt.datetime], Iterable[int]]


class _Registered(NamedTuple):
    """`edited` finds the sessions that some people know as they were before."""

    forecaster: Forecaster
    told: LastTold
    edited: Edited
    next_in_line: NextInLine


_registered: list[_Registered] = []


def register(
    forecaster: Forecaster, told: LastTold, edited: Edited, next_in_line: NextInLine
) -> None:
    _registered.append(_Registered(forecaster, told, edited, next_in_line))


def maybe_announced(sessions: SessionQuerySet) -> SessionQuerySet:
    """Those of these sessions that have anything to forecast, and those that are held."""
    edited = {pk for each in _registered for pk in each.edited().values_list("pk", flat=True)}
    return sessions.filter(Q(pk__in=edited) | Q(notices_held_at__isnull=False))


def forecasts(session: Session, now: dt.datetime) -> list[Forecast]:
    """For each time at which emails are due, who gets one. Empty if no one does."""
    return [found for each in _registered for found in each.forecaster(session, now)]


def last_told(session: Session) -> Revision | None:
    """The session as people still know it, if it has been edited since."""
    return next(filter(None, (each.told(session) for each in _registered)), None)


def promoted(session: Session, now: dt.datetime) -> set[int]:
    """Who is about to get an open spot, and an email about it."""
    return {pk for each in _registered for pk in each.next_in_line(session, now)}
