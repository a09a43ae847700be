"""WHEN a mail is owed: asks the database "what is owed now?".

Each question finds what is owed and not yet queued. A missed tick heals with the next, a second
one finds nothing, and two at the same moment are held apart by the mails' keys.
"""

import datetime as dt
import logging
from collections.abc import Callable, Iterable
from typing import TypeVar

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from events.models import Event, Revision, Session, SessionQuerySet

from . import access, announcing, letters, outbox, seats
from .models import OutgoingMail, Registration, RegistrationQuerySet, Seat
from .told import NOTICES, SOON, is_change, is_news, known

logger = logging.getLogger(__name__)

T = TypeVar("T")

Kind = OutgoingMail.Kind

# No day reminder falls due earlier than this before its session.
HORIZON = dt.timedelta(days=1, hours=3)
# An event's thanks are still owed so long after they fell due.
THANKS_UNTIL = dt.timedelta(days=7)


def queue_owed(now: dt.datetime | None = None) -> None:
    """Queue all that is owed at this moment."""
    now = now or timezone.now()
    _each(QUESTIONS, lambda question: question(now))


def _each(things: Iterable[T], do: Callable[[T], None]) -> None:
    """What fails for one stops no other."""
    for thing in things:
        try:
            do(thing)
        except Exception:
            logger.exception("What is owed could not be queued: %s", thing)


def queue_reminders(now: dt.datetime) -> None:
    """The day before and shortly before, for each person's first session of a day."""
    ahead = _held().with_details().filter(starts_at__lt=now + HORIZON, starts_at__gt=now)
    _each(ahead, lambda session: _remind_of(session, now))


def _remind_of(session: Session, now: dt.datetime) -> None:
    event, hour_at = session.event, session.hour_reminder_at
    if event.remind_day_before and session.day_reminder_at <= now < hour_at:
        _remind(Kind.DAY, session, now)
    if event.remind_minutes_before and hour_at <= now < session.starts_at:
        _remind(Kind.HOUR, session, now)


def _remind(kind: Kind, session: Session, now: dt.datetime) -> None:
    """Remind of a session those who hear of it with no earlier one of its day."""
    event = session.event
    people = _people(_reminded(kind, session))
    earlier = event.sessions.held().filter(
        starts_at__lt=session.starts_at, starts_at__gt=session.starts_at - dt.timedelta(days=1)
    )
    for other in earlier.with_details():
        if event.day_of(other.starts_at) != event.day_of(session.starts_at):
            continue
        if now < other.starts_at:
            people = people.exclude(pk__in=_reminded(kind, other).values("registration"))
        else:
            people = people.exclude(pk__in=_mailed(kind, other).values("registration"))
    _owe(people, kind, session)


def _mailed(kind: Kind, session: Session) -> QuerySet[OutgoingMail]:
    """Mails that said all that this reminder of a session, which has begun, was to say.

    One that has not left yet is dropped when it is written.
    """
    # What comes shortly before says no less than what comes the day before.
    reminders = OutgoingMail.objects.filter(session=session, kind__in=(kind, Kind.HOUR))
    return reminders.exclude(state=OutgoingMail.State.DROPPED)


def _reminded(kind: Kind, session: Session) -> QuerySet[Seat]:
    """Seats of those a reminder is for.

    Who got theirs later, or has been told of a change since, was mailed all that it says. Who
    has not been told yet of a change is told of that first; news in the schedule can wait.
    """
    facts = session.facts()
    changed_since = [
        revision.number
        for revision in session.revisions.all()
        if is_change(revision.facts(), facts)
    ]
    due_at = session.day_reminder_at if kind == Kind.DAY else session.hour_reminder_at
    told_since = OutgoingMail.objects.filter(
        session=session, kind=Kind.CHANGED, created_at__gte=due_at
    ).exclude(state=OutgoingMail.State.DROPPED)
    return (
        Seat.objects.seated()
        .filter(session=session, seated_at__lt=due_at)
        .exclude(told_revision__in=changed_since)
        .exclude(shown_revision__in=changed_since, shown_revision__gt=F("told_revision"))
        .exclude(registration__in=told_since.values("registration"))
    )


@transaction.atomic
def _owe(people: RegistrationQuerySet, kind: Kind, session: Session) -> None:
    """One mail for each moment, or each day, at which a session was ever to begin.

    One that was dropped, while the session was cancelled for a time, is owed anew.
    """
    day, moment = session.event.day_of(session.starts_at), session.starts_at.timestamp()
    key = f"{kind}/{session.pk}.{day if kind == Kind.DAY else int(moment)}"
    dropped = OutgoingMail.objects.filter(kind=kind, state=OutgoingMail.State.DROPPED)
    dropped.filter(session=session, key__startswith=f"{key}/", registration__in=people).delete()
    outbox.queue_all(people, key=key, kind=kind, session=session)


def queue_door_calls(now: dt.datetime) -> None:
    """The moment when doors open, for those who asked to be told."""
    ahead = _held().filter(starts_at__gt=now - HORIZON, starts_at__lt=now + HORIZON)
    for session in ahead.filter(meeting__join_url__gt=""):
        if session.doors_open_at <= now < session.door_call_until:
            people = _people(Seat.objects.seated().filter(session=session))
            _owe(people.filter(wants_door_calls=True), Kind.DOORS, session)


def queue_changes(now: dt.datetime) -> None:
    """Changed and cancelled sessions, and news in the schedule, once the edits have settled."""
    revised = Session.objects.filter(revised_at__isnull=False, seats__in=_behind())
    events = Event.objects.published().filter(sessions__in=revised).distinct()
    _each(events, lambda event: _queue_changes_of(event, now))


def _behind() -> QuerySet[Seat]:
    """Seats, and places in line, whose people have not heard of the session's newest revision."""
    theirs = Seat.objects.filter(registration__in=Registration.objects.admitted())
    return theirs.filter(told_revision__lt=F("session__revision"))


@transaction.atomic
def _queue_changes_of(event: Event, now: dt.datetime) -> None:
    revised = event.sessions.filter(revised_at__isnull=False, seats__in=_behind())
    # The lock holds off edits, and another tick.
    locked = Session.objects.select_for_update(no_key=True).filter(pk__in=revised.values("pk"))
    ids = list(locked.order_by("pk").values_list("pk", flat=True))
    news, pressing, all_settled = Q(), Q(), True
    for session in Session.objects.filter(pk__in=ids).with_details():
        behind = _behind().filter(session=session)
        groups = set(behind.values_list("told_revision", "shown_revision", "state"))
        numbers = {number for group in groups for number in group[:2]}
        kept = {each.number: each for each in session.revisions.filter(number__in=numbers)}
        settled = _is_settled(session, now)
        for told, shown, state in groups:
            group = Q(told_revision=told, shown_revision=shown, state=state)
            seats, facts = behind.filter(group), known(session, state)
            # What its people know of it, the last first.
            before = [kept[number] for number in (shown, told) if number >= told and number in kept]
            was = next((each for each in before if is_change(known(each, state), facts)), None)
            has_news = any(is_news(known(each, state), facts) for each in before)
            if was:
                if not settled and not _is_soon(session, was, now):
                    continue
                _tell_change(session, was, seats, state, now, was_shown=shown >= was.number)
            elif session.ends_at > now and has_news:
                news |= Q(session=session) & group
                if settled and _is_soon(session, before[-1], now):
                    pressing |= Q(session=session) & group
                all_settled = all_settled and settled
                continue
            elif not settled:
                # A mail that shows an edit that was taken back may just be leaving.
                continue
            seats.update(told_revision=session.revision)
    # Only what starts soon does not wait until all sessions' news can be told in one mail.
    if owed := news if all_settled else pressing:
        _tell_news(event, _behind().filter(owed))


def _is_settled(session: Session, now: dt.datetime) -> bool:
    return session.settled_at is not None and now >= session.settled_at


def _is_soon(session: Session, was: Revision, now: dt.datetime) -> bool:
    """Whether the session, as it is or as it was, is on or starts soon."""
    return any(each.starts_at - SOON < now < each.ends_at for each in (session, was))


def _tell_change(
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
    kind = Kind.CHANGED if session.is_held else Kind.CANCELLED
    key = f"{kind}/{session.pk}.{session.revision}"
    people = _people(seats)
    in_hand = Q(in_hand=True, due_at__gt=now)
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
            outbox.queue_all(who, key=key, kind=kind, session=session, was=known_last)
    unread.update(state=OutgoingMail.State.DROPPED)


def _tell_news(event: Event, seats: QuerySet[Seat]) -> None:
    """One mail to each person, however many of their sessions have news."""
    revisions = sorted(set(seats.values_list("session", "session__revision")))
    stamp = ".".join(f"{pk}-{revision}" for pk, revision in revisions)
    key = f"{Kind.SCHEDULE}/{event.pk}/{stamp}"[:150]
    outbox.queue_all(_people(seats), key=key, kind=Kind.SCHEDULE)
    for pk, revision in revisions:
        seats.filter(session=pk).update(told_revision=revision)


def queue_thanks(now: dt.datetime) -> None:
    """Recordings and notes, some hours after the week's last session."""
    recent = now - THANKS_UNTIL - dt.timedelta(days=14)
    over = Event.objects.published().with_times().filter(last_ends_at__range=(recent, now))
    for event in over.exclude(thank_after_hours=None):
        due_at = event.last_ends_at + dt.timedelta(hours=event.thank_after_hours)
        if due_at <= now < due_at + THANKS_UNTIL:
            seats = Seat.objects.seated().filter(session__in=event.sessions.held())
            outbox.queue_all(_people(seats), kind=Kind.THANKS, key=f"{Kind.THANKS}/{event.pk}")


def _held() -> SessionQuerySet:
    held = Session.objects.held().filter(event__status=Event.Status.PUBLISHED)
    return held.select_related("event")


def _people(seats: QuerySet[Seat]) -> RegistrationQuerySet:
    return Registration.objects.admitted().filter(pk__in=seats.values("registration"))


QUESTIONS: list[Callable[[dt.datetime], None]] = [
    queue_changes,
    queue_reminders,
    queue_door_calls,
    queue_thanks,
    announcing.start_due,
    seats.fill_all,
    access.reopen_moved,
    letters.delete_done,
]
