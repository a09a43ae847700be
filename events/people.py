"""How many people a change concerns. `events` doesn't know: it asks.

An app above it registers functions that know, when Django starts.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from events.models import Event, Session, Track


class Counts(NamedTuple):
    registered: Callable[[Event], int]
    seated: Callable[[Iterable[Session]], int]
    chose: Callable[[Track], int]


_registered: list[Counts] = []


def register(counts: Counts) -> None:
    _registered.append(counts)


def registered(event: Event) -> int:
    """How many people are coming, on a waitlist, or waiting for approval."""
    return sum(each.registered(event) for each in _registered)


def seated(sessions: Iterable[Session]) -> int:
    """How many people have a spot in any of these sessions."""
    sessions = list(sessions)
    return sum(each.seated(sessions) for each in _registered)


def who_chose(track: Track) -> int:
    """How many people are interested in a strategy, also those who have canceled."""
    return sum(each.chose(track) for each in _registered)
