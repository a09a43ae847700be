"""What people know of a session: what they were told, and what a mail showed them since.

Edits are told of once they have settled. A mail that leaves before that shows what holds at its
moment; should it be taken back, its readers must hear of it, and nobody else.
"""

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from django.db import transaction

from events.models import Facts, Revision, Session

from .models import OutgoingMail, Seat

NOTICES = (OutgoingMail.Kind.CHANGED, OutgoingMail.Kind.CANCELLED)
# Changes of a session that starts so soon are told at once.
SOON = dt.timedelta(hours=3)


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


class Showing(NamedTuple):
    """That a mail shows someone a revision of a session; `tells`: as what is new."""

    registration_id: int
    session_id: int
    revision: int
    tells: bool
    place: Place


class Edits:
    """What of the edits that people may have to be told of, a batch of mails shows them."""

    def __init__(
        self, sessions: Mapping[int, Session], places: Mapping[int, Mapping[int, Place]]
    ) -> None:
        """`places` are people's, by registration and session."""
        self._sessions, self._places = sessions, places
        behind = {
            pk
            for theirs in places.values()
            for pk, place in theirs.items()
            if place.told_revision != sessions[pk].revision
        }
        revisions = Revision.objects.filter(session__in=behind) if behind else []
        self._before = {(each.session_id, each.number): each for each in revisions}
        revised = [pk for pk, session in sessions.items() if session.revised_at]
        notices = OutgoingMail.objects.filter(
            state=OutgoingMail.State.WAITING,
            kind__in=NOTICES,
            registration__in=places,
            session__in=revised,
        )
        self._unread = set(notices.values_list("registration", "session")) if revised else set()
        self._noted: dict[tuple[int, Place], bool] = {}

    def shown(self, mail: OutgoingMail, session_ids: Iterable[int]) -> list[Showing]:
        """What is to be noted once this mail, which shows these sessions, has left."""
        showings = []
        for pk in session_ids:
            whose, revision = mail.registration_id or 0, self._sessions[pk].revision
            place = self._places[whose][pk]
            tells = mail.kind in NOTICES and mail.session_id == pk
            if place.told_revision == revision:
                # They have not read of it yet, and now they see it.
                new = not tells and (whose, pk) in self._unread
            else:
                new = tells or self._must_be_noted(pk, place)
            if new and (tells or place.shown_revision != revision):
                showings.append(Showing(whose, pk, revision, tells, place))
        return showings

    def _must_be_noted(self, session_id: int, place: Place) -> bool:
        key = session_id, place
        if key not in self._noted:
            self._noted[key] = self._differs(self._sessions[session_id], place)
        return self._noted[key]

    def _differs(self, session: Session, place: Place) -> bool:
        """Whether the session is not what they were told, nor a change of it noted already.

        Whatever holds in the end differs from the change that was noted, or from what they were
        told: so it is kept.
        """
        state, told, shown = place
        before = self._before.get((session.pk, told))
        if before is None:
            return False
        was, now = known(before, state), known(session, state)
        noted = self._before.get((session.pk, shown)) if shown > told else None
        if noted and is_change(was, known(noted, state)):
            return False
        return is_change(was, now) or is_news(was, now)


def note(showings: Iterable[Showing]) -> None:
    """Remember what mails that have left, or may have, showed their readers."""
    people: dict[tuple[int, int, bool, Place], list[int]] = {}
    for registration_id, *group in showings:
        people.setdefault(tuple(group), []).append(registration_id)  # type: ignore[arg-type]
    for (session_id, revision, tells, place), ids in people.items():
        with transaction.atomic():
            # As whoever tells of changes does, so that neither stands in the other's way.
            Session.objects.select_for_update(no_key=True).get(pk=session_id)
            Seat.objects.filter(
                session=session_id,
                registration__in=ids,
                told_revision=place.told_revision,
                shown_revision=place.shown_revision,
            ).update(**{"told_revision" if tells else "shown_revision": revision})
