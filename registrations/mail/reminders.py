"""Queue reminders and thank-you emails when they are due."""

import datetime as dt

from django.db import transaction
from django.db.models import Q, QuerySet

from events.background import each_separately
from events.models import Event, Session, SessionQuerySet
from registrations.mail.change_notices import earlier_revisions, is_change
from registrations.models import OutgoingMail, Registration, RegistrationQuerySet, Seat
from registrations.outbox import mail_queue

Kind = OutgoingMail.Kind

# No day reminder falls due earlier than this before its session.
HORIZON = dt.timedelta(days=1, hours=3)
# An event's thanks are still owed so long after they fell due.
THANKS_UNTIL = dt.timedelta(days=7)


def queue_reminders(now: dt.datetime) -> None:
    """The day before and shortly before, for each person's first session of a day."""
    ahead = _sessions().with_details().filter(starts_at__lt=now + HORIZON, starts_at__gt=now)
    each_separately(ahead, lambda session: _remind_of(session, now))


def _remind_of(session: Session, now: dt.datetime) -> None:
    event, hour_at = session.event, session.hour_reminder_at
    if event.remind_day_before and session.day_reminder_at <= now < hour_at:
        _remind(Kind.DAY, session, now)
    if event.remind_minutes_before and hour_at <= now < session.starts_at:
        _remind(Kind.HOUR, session, now)


def _remind(kind: Kind, session: Session, now: dt.datetime) -> None:
    """Remind of a session those who hear of it with no earlier one of its day."""
    event = session.event
    people = _people(_seats_to_remind(kind, session))
    earlier = event.sessions.taking_place().filter(
        starts_at__lt=session.starts_at, starts_at__gt=session.starts_at - dt.timedelta(days=1)
    )
    for other in earlier.with_details():
        if event.day_of(other.starts_at) != event.day_of(session.starts_at):
            continue
        if now < other.starts_at:
            people = people.exclude(pk__in=_seats_to_remind(kind, other).values("registration"))
        else:
            people = people.exclude(pk__in=_already_covered(kind, other).values("registration"))
    _queue(people, kind, session)


def _already_covered(kind: Kind, session: Session) -> QuerySet[OutgoingMail]:
    """Mails that said all that this reminder of a session, which has begun, was to say.

    One that has not left yet is dropped when it is written.
    """
    # What comes shortly before says no less than what comes the day before.
    reminders = OutgoingMail.objects.filter(session=session, kind__in=(kind, Kind.HOUR))
    return reminders.exclude(state=OutgoingMail.State.DROPPED)


def _seats_to_remind(kind: Kind, session: Session) -> QuerySet[Seat]:
    """Seats of those a reminder is for.

    Who got theirs later, or has been told of a change since, was mailed all that it says. Who
    has not been told yet of a change is told of that first; news in the schedule can wait.
    """
    facts = session.snapshot()
    outdated = Q()
    for earlier in earlier_revisions(session):
        if is_change(earlier.revision.snapshot(), facts):
            outdated |= earlier.known
    due_at = session.day_reminder_at if kind == Kind.DAY else session.hour_reminder_at
    told_since = OutgoingMail.objects.filter(
        session=session, kind=Kind.CHANGED, created_at__gte=due_at
    ).exclude(state=OutgoingMail.State.DROPPED)
    return (
        Seat.objects.seated()
        .filter(session=session, seated_at__lt=due_at)
        .exclude(outdated)
        .exclude(registration__in=told_since.values("registration"))
    )


@transaction.atomic
def _queue(people: RegistrationQuerySet, kind: Kind, session: Session) -> None:
    """One mail for each moment, or each day, at which a session was ever to begin.

    One that was dropped, while the session was canceled for a time, is owed anew.
    """
    day, moment = session.event.day_of(session.starts_at), session.starts_at.timestamp()
    key = f"{kind}/{session.pk}.{day if kind == Kind.DAY else int(moment)}"
    dropped = OutgoingMail.objects.filter(kind=kind, state=OutgoingMail.State.DROPPED)
    dropped.filter(session=session, key__startswith=f"{key}/", registration__in=people).delete()
    mail_queue.queue_all(people, key=key, kind=kind, session=session)


def queue_doors_emails(now: dt.datetime) -> None:
    """The moment when doors open, for those who asked to be told."""
    ahead = _sessions().filter(starts_at__gt=now - HORIZON, starts_at__lt=now + HORIZON)
    for session in ahead.filter(meeting__join_url__gt=""):
        if session.doors_open_at <= now < session.doors_email_until:
            people = _people(Seat.objects.seated().filter(session=session))
            _queue(people.filter(wants_doors_email=True), Kind.DOORS, session)


def queue_thanks(now: dt.datetime) -> None:
    """Recordings and notes, some hours after the week's last session."""
    recent = now - THANKS_UNTIL - dt.timedelta(days=14)
    over = Event.objects.published().with_times().filter(last_ends_at__range=(recent, now))
    for event in over.exclude(thank_after_hours=None):
        due_at = event.last_ends_at + dt.timedelta(hours=event.thank_after_hours)
        if due_at <= now < due_at + THANKS_UNTIL:
            seats = Seat.objects.seated().filter(session__in=event.sessions.taking_place())
            mail_queue.queue_all(_people(seats), kind=Kind.THANKS, key=f"{Kind.THANKS}/{event.pk}")


def _sessions() -> SessionQuerySet:
    held = Session.objects.taking_place().filter(event__status=Event.Status.PUBLISHED)
    return held.select_related("event")


def _people(seats: QuerySet[Seat]) -> RegistrationQuerySet:
    return Registration.objects.admitted().filter(pk__in=seats.values("registration"))
