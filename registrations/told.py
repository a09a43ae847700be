"""What people know of a session: what they were told, and what a mail showed them since.

Edits are told of once they have settled. A mail that leaves before that shows what holds at its
moment; should it be taken back, its readers must hear of it, and nobody else.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from events.models import Facts, Revision, Session

from .models import Seat


class Place(NamedTuple):
    """A seat as mails need it: the revisions are those that its person was told and shown."""

    state: str
    told_revision: int
    shown_revision: int


def known(of: Session | Revision, state: str) -> Facts:
    """What people whose seats are in this state are told of it."""
    return of.facts() if state == Seat.State.SEATED else public(of.facts())


def public(facts: Facts) -> Facts:
    """What those are told of a session who have no place in it: no way to join, no agenda."""
    return facts._replace(joining="", agenda="")


def is_change(told: Facts, now: Facts) -> bool:
    """Whether one who knows the old must be told before anything else."""
    if not now.is_held:
        return told.is_held
    essence = [(facts.title, facts.starts_at, facts.ends_at) for facts in (told, now)]
    joining_changed = bool(told.joining) and told.joining != now.joining
    return not told.is_held or essence[0] != essence[1] or joining_changed


def is_news(told: Facts, now: Facts) -> bool:
    """Whether the detailed schedule has something to add."""
    return now.is_held and (told.agenda, told.joining) != (now.agenda, now.joining)


def note_shown(
    registration_id: int, sessions: Iterable[Session], places: Mapping[int, Place]
) -> None:
    """Remember that a mail shows someone these sessions, where edits of them have not settled.

    `places` are theirs by session. Once they were shown an edit that they would have to be told
    of, that one is kept: whatever holds in the end differs from it, or from what they were told.
    """
    for session in sessions:
        state, told, shown = places[session.pk]
        if session.revision in (told, shown):
            continue
        facts = {
            revision.number: known(revision, state)
            for revision in session.revisions.filter(number__in=[told, shown])
        }
        if told not in facts or (shown > told and is_change(facts[told], facts[shown])):
            continue
        now = known(session, state)
        if is_change(facts[told], now) or is_news(facts[told], now):
            seats = Seat.objects.filter(registration=registration_id, session=session)
            seats.filter(told_revision=told).update(shown_revision=session.revision)
