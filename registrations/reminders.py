"""WHEN a mail is owed: asks the database "what is owed now?".

Each question finds what is owed and not yet queued. A missed tick heals with the next, a second
one finds nothing, and two at the same moment are held apart by the mails' keys.
"""

import datetime as dt
import functools
import logging
import operator
from collections import defaultdict
from collections.abc import Callable

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from events.models import Event, Facts, Revision, Session

from . import announcing, outbox
from .models import OutgoingMail, Registration, RegistrationQuerySet, Seat

logger = logging.getLogger(__name__)

Kind = OutgoingMail.Kind

# Changes of a session that starts so soon are told at once.
SOON = dt.timedelta(hours=3)
# No day reminder falls due earlier than this before its session.
HORIZON = dt.timedelta(days=1, hours=3)
# An event's thanks are still owed so long after they fell due.
THANKS_UNTIL = dt.timedelta(days=7)


def queue_owed(now: dt.datetime | None = None) -> None:
    """Queue all that is owed at this moment. What fails for one question stops no other."""
    for question in QUESTIONS:
        try:
            question(now or timezone.now())
        except Exception:
            logger.exception("What is owed could not be queued: %s", question.__name__)


def queue_reminders(now: dt.datetime) -> None:
    """The day before and shortly before, for each person's first session of a day."""
    for event, sessions in _by_event(_held().filter(starts_at__lt=now + HORIZON, ends_at__gt=now)):
        for session in sessions:
            if event.remind_day_before:
                _remind(Kind.DAY, session, session.day_reminder_at, session.hour_reminder_at, now)
            if event.remind_minutes_before:
                _remind(Kind.HOUR, session, session.hour_reminder_at, session.starts_at, now)


def _remind(
    kind: Kind, session: Session, due_at: dt.datetime, until: dt.datetime, now: dt.datetime
) -> None:
    if not due_at <= now < until:
        return
    event = session.event
    earlier = [
        other.pk
        for other in event.sessions.held().filter(
            starts_at__lt=session.starts_at, starts_at__gt=session.starts_at - dt.timedelta(days=1)
        )
        if event.day_of(other.starts_at) == event.day_of(session.starts_at)
    ]
    # Whoever got the place later has just been mailed all that a reminder says.
    seats = Seat.objects.seated()
    people = _people(seats.filter(session=session, seated_at__lt=due_at)).exclude(
        pk__in=seats.filter(session__in=earlier).values("registration")
    )
    outbox.queue_all(
        people, kind=kind, session=session, key=f"{kind}/{session.pk}.{_stamp(session)}"
    )


def queue_door_calls(now: dt.datetime) -> None:
    """The moment when doors open, for those who asked to be told."""
    ahead = _held().filter(starts_at__gt=now, starts_at__lt=now + HORIZON)
    for session in ahead.select_related("event"):
        if session.doors_open_at <= now:
            people = _people(Seat.objects.seated().filter(session=session))
            key = f"{Kind.DOORS}/{session.pk}.{_stamp(session)}"
            people = people.filter(wants_door_calls=True)
            outbox.queue_all(people, kind=Kind.DOORS, session=session, key=key)


def _stamp(session: Session) -> int:
    """A session that is moved is another moment to remind of."""
    return int(session.starts_at.timestamp())


def queue_changes(now: dt.datetime) -> None:
    """Changed and cancelled sessions, and news in the schedule, once the edits have settled."""
    revised = Session.objects.filter(revised_at__isnull=False, seats__in=_behind())
    for event in Event.objects.filter(sessions__in=revised).distinct():
        _queue_changes_of(event, now)


def _behind() -> QuerySet[Seat]:
    """Seats whose people have not heard of the session's newest revision."""
    return Seat.objects.seated().filter(
        told_revision__lt=F("session__revision"), registration__cancelled_at=None
    )


@transaction.atomic
def _queue_changes_of(event: Event, now: dt.datetime) -> None:
    revised = event.sessions.filter(seats__in=_behind()).values("pk")
    # The lock holds off edits, and another tick.
    locked = list(Session.objects.select_for_update().filter(pk__in=revised).order_by("pk"))
    with_news: dict[int, set[int]] = defaultdict(set)
    all_settled = True
    for session in Session.objects.filter(pk__in=[each.pk for each in locked]).with_details():
        behind = _behind().filter(session=session)
        numbers = set(behind.values_list("told_revision", flat=True))
        told = session.revisions.filter(number__in=numbers)
        if not _has_settled(session, told, now):
            all_settled = False
            continue
        for revision in told:
            seats = behind.filter(told_revision=revision.number)
            if _is_change(revision.facts(), session.facts()):
                _tell_change(session, revision, seats, now)
            elif _is_news(revision.facts(), session.facts()) and session.ends_at > now:
                with_news[session.pk].add(revision.number)
                continue
            seats.update(told_revision=session.revision)
        # Nobody knows what those were told whose revision was not kept.
        behind.exclude(told_revision__in=with_news[session.pk]).update(
            told_revision=session.revision
        )
    if all_settled:
        _tell_news(event, with_news)


def _has_settled(session: Session, told: QuerySet[Revision], now: dt.datetime) -> bool:
    """Whether the last edit is long enough ago; at once when it starts, or was to start, soon."""
    assert session.revised_at  # noqa: S101  # It has a revision.
    starts = [session.starts_at, *(each.starts_at for each in told)]
    if any(now < start < now + SOON for start in starts):
        return True
    return now >= session.revised_at + session.event.settle_time


def _is_change(told: Facts, now: Facts) -> bool:
    """Whether one who knows the old must be told before anything else."""

    def essence(facts: Facts) -> tuple[object, ...]:
        return facts.title, facts.starts_at, facts.ends_at

    if told.is_held != now.is_held:
        return True
    joining_changed = bool(told.joining) and told.joining != now.joining
    return now.is_held and (essence(told) != essence(now) or joining_changed)


def _is_news(told: Facts, now: Facts) -> bool:
    """Whether the detailed schedule has something to add."""
    return now.is_held and (told.agenda, told.joining) != (now.agenda, now.joining)


def _tell_change(session: Session, told: Revision, seats: QuerySet[Seat], now: dt.datetime) -> None:
    if max(session.ends_at, told.ends_at) <= now:
        return
    kind = Kind.CHANGED if session.is_held else Kind.CANCELLED
    outbox.queue_all(
        _people(seats),
        key=f"{kind}/{session.pk}.{session.revision}",
        kind=kind,
        session=session,
        was=told,
    )


def _tell_news(event: Event, with_news: dict[int, set[int]]) -> None:
    """One mail to each person, however many of their sessions have news."""
    told = [
        Q(session=pk, told_revision__in=numbers) for pk, numbers in with_news.items() if numbers
    ]
    if not told:
        return
    seats = _behind().filter(functools.reduce(operator.or_, told))
    revisions = event.sessions.filter(pk__in=with_news).values_list("pk", "revision")
    stamp = ".".join(f"{pk}-{revision}" for pk, revision in sorted(revisions))
    outbox.queue_all(
        _people(seats),
        key=f"{Kind.SCHEDULE}/{event.pk}/{stamp}"[:150],
        kind=Kind.SCHEDULE,
    )
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


def _held() -> QuerySet[Session]:
    return Session.objects.held().filter(event__status=Event.Status.PUBLISHED)


def _people(seats: QuerySet[Seat]) -> RegistrationQuerySet:
    return Registration.objects.live().filter(pk__in=seats.values("registration"))


def _by_event(sessions: QuerySet[Session]) -> list[tuple[Event, list[Session]]]:
    grouped: dict[Event, list[Session]] = defaultdict(list)
    for session in sessions.select_related("event"):
        grouped[session.event].append(session)
    return list(grouped.items())


QUESTIONS: list[Callable[[dt.datetime], None]] = [
    queue_changes,
    queue_reminders,
    queue_door_calls,
    queue_thanks,
    announcing.start_due,
]
