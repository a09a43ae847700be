"""What people know of a session: what they were told, and what a mail showed them since.

Edits are told of once they have settled. A mail that leaves before that shows what holds at its
moment; should it be taken back, its readers must hear of it, and nobody else.
"""

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from django.db import transaction
from django.db.models import F, Q, QuerySet

from events.background import each_separately
from events.models import Event, Revision, Session, SessionSnapshot
from registrations.models import OutgoingMail, Registration, RegistrationQuerySet, Seat
from registrations.outbox import mail_queue

Kind = OutgoingMail.Kind


def queue_changes(now: dt.datetime) -> None:
    """Changed and canceled sessions, and news in the schedule, once the edits have settled."""
    revised = Session.objects.filter(revised_at__isnull=False, seats__in=_behind())
    events = Event.objects.published().filter(sessions__in=revised).distinct()
    each_separately(events, lambda event: _queue_changes_of(event, now))


def _behind() -> QuerySet[Seat]:
    """Seats, and places in line, whose people have not heard of the session's newest revision."""
    theirs = Seat.objects.filter(registration__in=Registration.objects.admitted())
    return theirs.filter(notified_revision__lt=F("session__revision"))


@transaction.atomic
def _queue_changes_of(event: Event, now: dt.datetime) -> None:
    revised = event.sessions.filter(revised_at__isnull=False, seats__in=_behind())
    # The lock holds off edits, and another tick.
    locked = Session.objects.select_for_update(no_key=True).filter(pk__in=revised.values("pk"))
    ids = list(locked.order_by("pk").values_list("pk", flat=True))
    news, pressing, all_settled = Q(), Q(), True
    for session in Session.objects.filter(pk__in=ids).with_details():
        behind = _behind().filter(session=session)
        groups = set(behind.values_list("notified_revision", "shown_revision", "state"))
        numbers = {number for group in groups for number in group[:2]}
        kept = {each.number: each for each in session.revisions.filter(number__in=numbers)}
        settled = _is_settled(session, now)
        for told, shown, state in groups:
            group = Q(notified_revision=told, shown_revision=shown, state=state)
            seats, facts = behind.filter(group), known(session, state)
            # What its people know of it, the last first.
            before = [kept[number] for number in (shown, told) if number >= told and number in kept]
            was = next((each for each in before if is_change(known(each, state), facts)), None)
            has_news = any(is_news(known(each, state), facts) for each in before)
            if was:
                if not settled and not _is_soon(session, was, now):
                    continue
                _queue_notice(session, was, seats, state, now, was_shown=shown >= was.number)
            elif session.ends_at > now and has_news:
                news |= Q(session=session) & group
                if settled and _is_soon(session, before[-1], now):
                    pressing |= Q(session=session) & group
                all_settled = all_settled and settled
                continue
            elif not settled:
                # A mail that shows an edit that was taken back may just be leaving.
                continue
            seats.update(notified_revision=session.revision)
    # Only what starts soon does not wait until all sessions' news can be told in one mail.
    if owed := news if all_settled else pressing:
        _queue_schedule_update(event, _behind().filter(owed))


def _is_settled(session: Session, now: dt.datetime) -> bool:
    return session.settled_at is not None and now >= session.settled_at


def _is_soon(session: Session, was: Revision, now: dt.datetime) -> bool:
    """Whether the session, as it is or as it was, is on or starts soon."""
    return any(each.starts_at - STARTS_SOON < now < each.ends_at for each in (session, was))


def _queue_notice(
    session: Session,
    was: Revision,
    seats: QuerySet[Seat],
    state: str,
    now: dt.datetime,
    *,
    was_shown: bool,
) -> None:
    """Owe a notice, in place of one that has not left yet: that one's readers know what it was.

    Unless it is in a worker's hands, and will leave. All the seats are in this one state, and
    `was_shown` says whether some other mail showed their people what it `was`.
    """
    if max(session.ends_at, was.ends_at) <= now:
        return
    kind = Kind.CHANGED if session.takes_place else Kind.CANCELED
    key = f"{kind}/{session.pk}.{session.revision}"
    people = _people(seats)
    in_hand = Q(claimed_at__isnull=False, due_at__gt=now)
    unread = OutgoingMail.objects.filter(
        ~in_hand,
        kind__in=NOTICES,
        session=session,
        state=OutgoingMail.State.WAITING,
        registration__in=people,
    ).exclude(key__startswith=f"{key}/")
    # From now on no worker takes them.
    list(unread.select_for_update().values_list("pk"))
    readers = {
        earlier: people.filter(mails__in=unread.filter(was=earlier))
        for earlier in session.revisions.filter(pk__in=unread.values("was"))
    }
    told_before = people.exclude(pk__in=unread.values("registration"))
    for before, who in [(was, told_before), *readers.items()]:
        is_changed = is_change(known(before, state), known(session, state))
        if is_changed or was_shown:
            known_last = before if is_changed else was
            mail_queue.queue_all(who, key=key, kind=kind, session=session, was=known_last)
    unread.update(state=OutgoingMail.State.DROPPED)


def _queue_schedule_update(event: Event, seats: QuerySet[Seat]) -> None:
    """One mail to each person, however many of their sessions have news."""
    revisions = sorted(set(seats.values_list("session", "session__revision")))
    stamp = ".".join(f"{pk}-{revision}" for pk, revision in revisions)
    key = f"{Kind.SCHEDULE}/{event.pk}/{stamp}"[:150]
    mail_queue.queue_all(_people(seats), key=key, kind=Kind.SCHEDULE)
    for pk, revision in revisions:
        seats.filter(session=pk).update(notified_revision=revision)


def _people(seats: QuerySet[Seat]) -> RegistrationQuerySet:
    return Registration.objects.admitted().filter(pk__in=seats.values("registration"))


NOTICES = (OutgoingMail.Kind.CHANGED, OutgoingMail.Kind.CANCELED)
# Changes of a session that starts so soon are told at once.
STARTS_SOON = dt.timedelta(hours=3)


class SeatInfo(NamedTuple):
    """A seat as mails need it: the revisions are those that its person was told and shown."""

    state: str
    notified_revision: int
    shown_revision: int


def known(of: Session | Revision, state: str) -> SessionSnapshot:
    """What people whose seats are in this state are told of it."""
    return of.snapshot() if state == Seat.State.SEATED else public(of.snapshot())


def public(facts: SessionSnapshot) -> SessionSnapshot:
    """What those are told of a session who have no place in it: no way to join, no agenda."""
    return facts._replace(joining="", agenda="")


def is_change(told: SessionSnapshot, now: SessionSnapshot) -> bool:
    """Whether one who knows the old must be told before anything else."""
    if not now.takes_place:
        return told.takes_place
    essence = [(facts.title, facts.starts_at, facts.ends_at) for facts in (told, now)]
    joining_changed = bool(told.joining) and told.joining != now.joining
    return not told.takes_place or essence[0] != essence[1] or joining_changed


def is_news(told: SessionSnapshot, now: SessionSnapshot) -> bool:
    """Whether the detailed schedule has something to add."""
    return now.takes_place and (told.agenda, told.joining) != (now.agenda, now.joining)


class Showing(NamedTuple):
    """That a mail shows someone a revision of a session; `tells`: as what is new."""

    registration_id: int
    session_id: int
    revision: int
    tells: bool
    place: SeatInfo


class Edits:
    """What of the edits that people may have to be told of, a batch of mails shows them."""

    def __init__(
        self, sessions: Mapping[int, Session], places: Mapping[int, Mapping[int, SeatInfo]]
    ) -> None:
        """`places` are people's, by registration and session."""
        self._sessions, self._places = sessions, places
        behind = {
            pk
            for theirs in places.values()
            for pk, place in theirs.items()
            if place.notified_revision != sessions[pk].revision
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
        self._noted: dict[tuple[int, SeatInfo], bool] = {}

    def shown(self, mail: OutgoingMail, session_ids: Iterable[int]) -> list[Showing]:
        """What is to be noted once this mail, which shows these sessions, has left."""
        showings = []
        for pk in session_ids:
            whose, revision = mail.registration_id or 0, self._sessions[pk].revision
            place = self._places[whose][pk]
            tells = mail.kind in NOTICES and mail.session_id == pk
            if place.notified_revision == revision:
                # They have not read of it yet, and now they see it.
                new = not tells and (whose, pk) in self._unread
            else:
                new = tells or self._must_be_noted(pk, place)
            if new and (tells or place.shown_revision != revision):
                showings.append(Showing(whose, pk, revision, tells, place))
        return showings

    def _must_be_noted(self, session_id: int, place: SeatInfo) -> bool:
        key = session_id, place
        if key not in self._noted:
            self._noted[key] = self._differs(self._sessions[session_id], place)
        return self._noted[key]

    def _differs(self, session: Session, place: SeatInfo) -> bool:
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


def record_shown(showings: Iterable[Showing]) -> None:
    """Remember what mails that have left, or may have, showed their readers."""
    people: dict[tuple[int, int, bool, SeatInfo], list[int]] = {}
    for registration_id, *group in showings:
        people.setdefault(tuple(group), []).append(registration_id)  # type: ignore[arg-type]
    for (session_id, revision, tells, place), ids in people.items():
        with transaction.atomic():
            # As whoever tells of changes does, so that neither stands in the other's way.
            Session.objects.select_for_update(no_key=True).get(pk=session_id)
            Seat.objects.filter(
                session=session_id,
                registration__in=ids,
                notified_revision=place.notified_revision,
                shown_revision=place.shown_revision,
            ).update(**{"notified_revision" if tells else "shown_revision": revision})
