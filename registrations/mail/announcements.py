"""Announcements: who gets one, and how one is scheduled, paused, resumed, stopped and resent.

Its audience is chosen when it starts. People who cancel or unsubscribe before their email is sent
get nothing, and neither do people who register later.
"""

import datetime as dt
import logging
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Count, Q
from django.utils.translation import gettext as _

from events.clock import database_time
from events.text.search import search_key
from registrations.mail import previews, stored_messages
from registrations.models import UNREACHED_STATES, Announcement, OutgoingMail, Seat
from registrations.models.registration import Registration, RegistrationQuerySet
from registrations.outbox import mail_queue

logger = logging.getLogger(__name__)

UNSENT_STATES = (OutgoingMail.State.WAITING, OutgoingMail.State.PAUSED)

# The time left is estimated from the emails sent in this window.
PACE_WINDOW = dt.timedelta(seconds=60)


class WrongState(Exception):
    """Someone else has paused, stopped or sent the announcement."""


@dataclass(frozen=True)
class LeftOut:
    """How many people match an announcement and don't get it."""

    unsubscribed: int
    unreachable: int


def audience(announcement: Announcement) -> RegistrationQuerySet:
    """The people an announcement would go to if it started now.

    Not those who unsubscribed, nor those whose email bounces.
    """
    unreachable = announcement.event.registrations.unreachable()
    subscribed = _matching(announcement).filter(unsubscribed_at=None)
    return subscribed.exclude(pk__in=unreachable.values("pk"))


def left_out(announcement: Announcement) -> LeftOut:
    """How many people `audience` leaves out, each counted once."""
    matching = _matching(announcement)
    return LeftOut(
        unsubscribed=matching.exclude(unsubscribed_at=None).count(),
        unreachable=matching.filter(unsubscribed_at=None).unreachable().count(),
    )


def _matching(announcement: Announcement) -> RegistrationQuerySet:
    """The people an announcement is for, whether or not they can be emailed."""
    people = announcement.event.registrations.admitted()
    if announcement.event.archived_at:
        return people.none()
    seats = Seat.objects.filter(session__event=announcement.event_id)
    if announcement.session_id:
        seats = seats.filter(session=announcement.session_id)
    match Announcement.Audience(announcement.audience):
        case Announcement.Audience.SESSION:
            people = people.filter(pk__in=seats.seated().values("registration"))
        case Announcement.Audience.TRACK:
            people = people.filter(strategies=announcement.track_id)
        case Announcement.Audience.WAITING:
            waiting = seats.filter(state=Seat.State.WAITING)
            people = people.filter(pk__in=waiting.values("registration"))
        case Announcement.Audience.NOT_ATTENDED:
            people = people.exclude(pk__in=seats.filter(attended=True).values("registration"))
            if announcement.session_id:
                people = people.filter(pk__in=seats.seated().values("registration"))
    if announcement.organization:
        organization = search_key(announcement.organization.strip())
        people = people.filter(organization_search_key=organization)
    if announcement.us_state:
        people = people.filter(us_state=announcement.us_state)
    return people


def schedule(*, announcement: Announcement, send_at: dt.datetime) -> None:
    """Start it at that time. Raises WrongState."""
    _move(
        announcement,
        [Announcement.State.DRAFT, Announcement.State.SCHEDULED],
        Announcement.State.SCHEDULED,
        send_at=send_at,
    )


def send_now(*, announcement: Announcement) -> None:
    """Start it within seconds: a worker queues the emails. Raises WrongState."""
    schedule(announcement=announcement, send_at=database_time())
    transaction.on_commit(lambda: mail_queue.wake_workers("queue_due_mails"))


def send_test(*, announcement: Announcement, person: Registration, email: str) -> None:
    """Send it to this address as that person would get it, but without their secret links.

    The test isn't one of the announcement's emails, and shows the text as it is now.
    """
    message = previews.announcement_preview(announcement, person)
    stored_messages.queue(
        kind=OutgoingMail.Kind.TEST,
        recipient=email,
        subject=_("[Test] %(subject)s") % {"subject": message.subject},
        text=str(message.body),
        html=str(message.alternatives[0][0]),
        headers=message.extra_headers | {"Reply-To": ", ".join(message.reply_to)},
        # After that no one expects the test anymore.
        valid_for=dt.timedelta(hours=1),
    )


def unschedule(*, announcement: Announcement) -> None:
    """Make a scheduled one a draft again. Raises WrongState."""
    _move(announcement, [Announcement.State.SCHEDULED], Announcement.State.DRAFT, send_at=None)


def start_due(now: dt.datetime) -> None:
    """Queue the emails of each announcement that is due.

    One that was due long ago, while no worker was running, becomes a draft again.
    """
    scheduled = Announcement.objects.filter(state=Announcement.State.SCHEDULED, send_at__lte=now)
    late = scheduled.filter(send_at__lt=now - dt.timedelta(hours=12))
    if count := late.update(state=Announcement.State.DRAFT, send_at=None):
        logger.warning("%s announcements were not sent in time and are drafts again", count)
    for announcement in scheduled:
        _start(announcement.pk, now)


@transaction.atomic
def _start(pk: int, now: dt.datetime) -> None:
    scheduled = Announcement.objects.select_for_update().select_related("event")
    announcement = scheduled.filter(
        pk=pk, state=Announcement.State.SCHEDULED, send_at__lte=now
    ).first()
    if announcement is None:
        return
    mail_queue.queue_all(
        audience(announcement),
        key=f"announcement/{pk}",
        kind=OutgoingMail.Kind.ANNOUNCEMENT,
        announcement=announcement,
    )
    announcement.state, announcement.started_at = Announcement.State.SENDING, now
    announcement.save(update_fields=["state", "started_at"])


@transaction.atomic
def pause(*, announcement: Announcement) -> None:
    """Hold back the emails that weren't sent yet. Raises WrongState."""
    _move(announcement, [Announcement.State.SENDING], Announcement.State.PAUSED)
    announcement.mails.filter(state=OutgoingMail.State.WAITING).update(
        state=OutgoingMail.State.PAUSED
    )


@transaction.atomic
def resume(*, announcement: Announcement) -> None:
    """Continue where it was paused. Raises WrongState."""
    _move(announcement, [Announcement.State.PAUSED], Announcement.State.SENDING)
    announcement.mails.filter(state=OutgoingMail.State.PAUSED).update(
        state=OutgoingMail.State.WAITING
    )
    transaction.on_commit(mail_queue.wake_workers)


@transaction.atomic
def stop(*, announcement: Announcement) -> None:
    """End it: the emails that weren't sent yet are dropped. Raises WrongState."""
    _move(
        announcement,
        [Announcement.State.SENDING, Announcement.State.PAUSED],
        Announcement.State.STOPPED,
    )
    announcement.mails.filter(state__in=UNSENT_STATES).update(state=OutgoingMail.State.DROPPED)


@transaction.atomic
def resend_failed(*, announcement: Announcement) -> int:
    """Queue the failed ones again. Returns how many. Raises WrongState unless it was started."""
    _move(announcement, [Announcement.State.SENDING], Announcement.State.SENDING)
    return mail_queue.resend(announcement.mails.all())


def _move(
    announcement: Announcement,
    allowed: list[Announcement.State],
    state: Announcement.State,
    **changes: object,
) -> None:
    """Change the state if the database, not this copy, has it in one of the allowed ones."""
    found = Announcement.objects.filter(pk=announcement.pk, state__in=allowed)
    if not found.update(state=state, **changes):
        raise WrongState
    announcement.refresh_from_db()


@dataclass(frozen=True)
class SendingProgress:
    """How many emails of an announcement were sent. `time_left` is None if it's unknown."""

    total: int
    sent: int
    waiting: int
    failed: int
    dropped: int
    time_left: dt.timedelta | None


def email_counts(emails: str = "") -> dict[str, Count]:
    """Count emails by what became of them. Announcements count theirs with "mails__"."""
    states = {
        "sent": [OutgoingMail.State.SENT],
        "waiting": UNSENT_STATES,
        "failed": UNREACHED_STATES,
        "dropped": [OutgoingMail.State.DROPPED],
    }
    counts = {
        name: Count(f"{emails}pk", filter=Q(**{f"{emails}state__in": each}))
        for name, each in states.items()
    }
    return {"total": Count(f"{emails}pk"), **counts}


def progress(announcement: Announcement, now: dt.datetime) -> SendingProgress:
    """Count the emails of an announcement that was started."""
    sent_recently = Count("pk", filter=Q(sent_at__gt=now - PACE_WINDOW))
    counts = announcement.mails.aggregate(recent=sent_recently, **email_counts())
    recent, time_left = counts.pop("recent"), None
    if recent and announcement.started_at:
        window = min(PACE_WINDOW, now - announcement.started_at)
        time_left = window / recent * counts["waiting"]
    return SendingProgress(time_left=time_left, **counts)
