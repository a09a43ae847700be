"""Queue reminders and thank-you emails when they are due."""

import datetime as dt

from django.db import transaction
from django.db.models import F, Q, QuerySet

from events.background import for_each_logging_errors
from events.models import Event, Revision, Session, SessionQuerySet
from registrations.mail.change_notices import (
    COMMIT_MARGIN,
    earlier_revisions,
    is_change,
    languages_where,
    people_in,
)
from registrations.mail_kinds import MailKind
from registrations.models import OutgoingMail, RegistrationQuerySet, Seat
from registrations.outbox import mail_queue

# A day reminder is due at most this long before its session.
HORIZON = dt.timedelta(days=1, hours=3)
# How long after they were due an event's thank-you emails are still queued.
THANKS_UNTIL = dt.timedelta(days=7)


def queue_reminders(now: dt.datetime) -> None:
    """The day before and shortly before each person's first session of a day."""
    ahead = _sessions().with_details().filter(starts_at__lt=now + HORIZON, starts_at__gt=now)
    for_each_logging_errors(ahead, lambda session: _queue_reminders_of(session, now))


def _queue_reminders_of(session: Session, now: dt.datetime) -> None:
    event, hour_at = session.event, session.hour_reminder_at
    if event.remind_day_before and session.day_reminder_at <= now < hour_at:
        _remind(MailKind.DAY, session, now)
    if event.remind_minutes_before and hour_at <= now < session.starts_at:
        _remind(MailKind.HOUR, session, now)


def _remind(kind: MailKind, session: Session, now: dt.datetime) -> None:
    """Remind people of a session, unless a reminder of an earlier one that day includes it."""
    event = session.event
    people = people_in(_seats_to_remind(kind, session))
    earlier = event.sessions.taking_place().filter(
        starts_at__lt=session.starts_at, starts_at__gt=session.starts_at - dt.timedelta(days=1)
    )
    for other in earlier.with_details():
        if _day(session, other) != _day(session, session):
            continue
        reminders = _reminders_of(kind, other)
        if now < other.starts_at:
            expected = _seats_to_remind(kind, other).exclude(
                registration__in=reminders.values("registration")
            )
            people = people.exclude(pk__in=expected.values("registration"))
        covering = _covering(session, reminders)
        people = people.exclude(pk__in=covering.values("registration"))
    _queue(people, kind, session)


def _reminders_of(kind: MailKind, session: Session) -> QuerySet[OutgoingMail]:
    """Reminders that say at least what a reminder of this kind says.

    One that wasn't sent before its session starts is dropped when it's rendered.
    """
    # The reminder shortly before has everything that the one on the day before has.
    reminders = OutgoingMail.objects.filter(session=session, kind__in=(kind, MailKind.HOUR))
    return reminders.exclude(state=OutgoingMail.State.DROPPED)


def _covering(session: Session, reminders: QuerySet[OutgoingMail]) -> QuerySet[OutgoingMail]:
    """Of these reminders of an earlier session that day, those that include this session too.

    They were written after the person got the seat, while the session was to take place that day.
    """
    on_another_day, began = Q(pk__in=[]), session.created_at
    for revision in session.revisions.all():
        if not revision.takes_place or _day(session, revision) != _day(session, session):
            until = revision.replaced_at + COMMIT_MARGIN
            on_another_day |= Q(claimed_at__gte=began, claimed_at__lt=until)
        began = revision.replaced_at
    seated_before = Q(claimed_at__gte=F("registration__seats__seated_at") + COMMIT_MARGIN)
    return reminders.exclude(on_another_day).filter(
        Q(claimed_at=None) | seated_before, registration__seats__session=session
    )


def _day(session: Session, version: Session | Revision) -> dt.date:
    return session.event.day_of(version.starts_at)


def _seats_to_remind(kind: MailKind, session: Session) -> QuerySet[Seat]:
    """Seats of the people a reminder is for.

    Leaves out people who got their seat or a change notice after it was due, and people who are
    about to get a notice.
    """
    current = session.snapshot()
    outdated = Q()
    for earlier in earlier_revisions(session):
        if readers := languages_where(is_change, earlier.revision.snapshot(), current):
            outdated |= earlier.known_to & Q(registration__language__in=readers)
    due_at = session.day_reminder_at if kind == MailKind.DAY else session.hour_reminder_at
    notified_since = OutgoingMail.objects.filter(
        session=session, kind=MailKind.CHANGED, created_at__gte=due_at
    ).exclude(state=OutgoingMail.State.DROPPED)
    return (
        Seat.objects.seated()
        .filter(session=session, seated_at__lt=due_at)
        .exclude(outdated)
        .exclude(registration__in=notified_since.values("registration"))
    )


@transaction.atomic
def _queue(people: RegistrationQuerySet, kind: MailKind, session: Session) -> None:
    """Queue one email for each time, or each day, at which a session was to start.

    One that was dropped, while the session was canceled for a while, is queued again.
    """
    day, moment = session.event.day_of(session.starts_at), session.starts_at.timestamp()
    key = f"{kind}/{session.pk}.{day if kind == MailKind.DAY else int(moment)}"
    dropped = OutgoingMail.objects.filter(kind=kind, state=OutgoingMail.State.DROPPED)
    dropped.filter(session=session, key__startswith=f"{key}/", registration__in=people).delete()
    mail_queue.queue_all(people, key=key, kind=kind, session=session)


def queue_doors_emails(now: dt.datetime) -> None:
    """When doors open, for those who asked for that email."""
    ahead = _sessions().filter(starts_at__gt=now - HORIZON, starts_at__lt=now + HORIZON)
    for session in ahead.filter(meeting__join_url__gt=""):
        if session.doors_open_at <= now < session.doors_email_until:
            people = people_in(Seat.objects.seated().filter(session=session))
            _queue(people.filter(wants_doors_email=True), MailKind.DOORS, session)


def queue_thanks(now: dt.datetime) -> None:
    """Thank-you emails with recordings and notes, some hours after the last session."""
    recent = now - THANKS_UNTIL - dt.timedelta(days=14)
    over = Event.objects.published().with_times().filter(last_ends_at__range=(recent, now))
    for event in over.exclude(thank_after_hours=None):
        due_at = event.last_ends_at + dt.timedelta(hours=event.thank_after_hours)
        if due_at <= now < due_at + THANKS_UNTIL:
            seats = Seat.objects.seated().filter(session__in=event.sessions.taking_place())
            mail_queue.queue_all(
                people_in(seats), kind=MailKind.THANKS, key=f"{MailKind.THANKS}/{event.pk}"
            )


def _sessions() -> SessionQuerySet:
    published = Session.objects.taking_place().filter(event__status=Event.Status.PUBLISHED)
    return published.select_related("event")
