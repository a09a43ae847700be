"""Whether email is sent: what is waiting, what failed and why, and which processes are alive.

It also checks that personal data is erased in time: the same worker and beat do that.
"""

import datetime as dt
import time
from collections.abc import Iterator
from dataclasses import dataclass

from django.conf import settings
from django.db.models import Count, Min, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from events import site_settings
from registrations.models import UNREACHED_STATES, Heartbeat, OutgoingMail
from registrations.outbox.connection import CONNECTION_FAILED_PATTERN
from registrations.outbox.delivery import RENDER_FAILED_PREFIX
from registrations.privacy import erasure

# The beat records one every ten seconds, and then has a worker do the same.
HEARTBEAT_SECONDS = 5
SILENT_AFTER = dt.timedelta(minutes=1)
# An email that has waited this long means more than a slow server.
LATE_AFTER = dt.timedelta(minutes=15)
# Older failures are not shown.
FAILED_WITHIN = dt.timedelta(days=14)

_last_heartbeats: dict[Heartbeat.Process, float] = {}


def record_heartbeat(process: Heartbeat.Process) -> None:
    """Record that this process is alive, at most every five seconds."""
    if time.monotonic() - _last_heartbeats.get(process, -HEARTBEAT_SECONDS) >= HEARTBEAT_SECONDS:
        Heartbeat.objects.update_or_create(process=process, defaults={"seen_at": timezone.now()})
        _last_heartbeats[process] = time.monotonic()


@dataclass(frozen=True)
class Waiting:
    """Waiting emails of one kind, and since when the oldest has waited."""

    kind: str
    count: int
    since: dt.datetime


@dataclass(frozen=True)
class MailStatus:
    """The state of the outbox at one moment. `complaints` are what an operator should look at.

    `failures` and `troubles` are the most frequent errors, of failed and of waiting emails.
    """

    now: dt.datetime
    complaints: list[str]
    counts: dict[str, int]
    waiting: list[Waiting]
    failures: list[tuple[str, int]]
    troubles: list[tuple[str, int]]
    seen: dict[Heartbeat.Process, dt.datetime | None]

    def is_alive(self, process: Heartbeat.Process) -> bool:
        return _is_alive(process, self.seen[process], self.now)


def mail_status(now: dt.datetime) -> MailStatus:
    """Query the state of the outbox."""
    mails = OutgoingMail.objects.order_by()
    counts = dict(mails.values_list("state").annotate(count=Count("pk")))
    waiting = mails.filter(state=OutgoingMail.State.WAITING)
    kinds = waiting.values_list("kind").annotate(count=Count("pk"), since=Min("created_at"))
    failed = mails.filter(state__in=UNREACHED_STATES, created_at__gt=now - FAILED_WITHIN)
    sent = mails.filter(state=OutgoingMail.State.SENT)
    last_seen = dict(Heartbeat.objects.values_list("process", "seen_at"))
    seen = {process: last_seen.get(process) for process in Heartbeat.Process}
    return MailStatus(
        now=now,
        complaints=[
            *_unset(),
            *_silent(seen, now),
            *_stuck(waiting, sent, now),
            *_failing(failed, sent, now),
        ],
        counts={str(label): counts.get(state, 0) for state, label in OutgoingMail.State.choices},
        waiting=[
            Waiting(str(OutgoingMail.Kind(kind).label), count, since)
            for kind, count, since in kinds.order_by("since")
        ],
        failures=_most_frequent_errors(failed),
        troubles=_most_frequent_errors(waiting.exclude(last_error="")),
        seen=seen,
    )


def _is_alive(process: Heartbeat.Process, seen_at: dt.datetime | None, now: dt.datetime) -> bool:
    """Whether it has recorded a heartbeat lately.

    A worker can't while it waits for a mail server, which takes a few timeouts if that hangs.
    """
    silent_after = SILENT_AFTER
    if process == Heartbeat.Process.WORKER:
        silent_after = max(silent_after, dt.timedelta(seconds=3 * settings.EMAIL_TIMEOUT))
    return seen_at is not None and now - seen_at < silent_after


def _unset() -> Iterator[str]:
    if not site_settings.has_email_server():
        yield _(
            "No email server is set yet, so emails are waiting. The owner of your site can "
            "enter it under “Set up”."
        )
    elif not site_settings.sender():
        yield _(
            "No sender is set yet, so emails are waiting. The owner of your site can enter it "
            "under “Set up”."
        )


def _silent(seen: dict[Heartbeat.Process, dt.datetime | None], now: dt.datetime) -> Iterator[str]:
    beat, worker = Heartbeat.Process.BEAT, Heartbeat.Process.WORKER
    if not _is_alive(beat, seen[beat], now):
        # Without the beat, workers don't record heartbeats either.
        yield _(
            "The email scheduler (Celery's beat) hasn't been running for a minute or more. Start "
            "it. Without it we can't tell whether a worker is running."
        )
    elif not _is_alive(worker, seen[worker], now):
        yield _(
            "No email worker (the program that sends emails) has been running for a minute or "
            "more. Start one."
        )


def _stuck(
    waiting: QuerySet[OutgoingMail], sent: QuerySet[OutgoingMail], now: dt.datetime
) -> Iterator[str]:
    away = waiting.filter(last_error__regex=CONNECTION_FAILED_PATTERN)
    # While one was sent this recently the server works, whatever another attempt returned.
    is_sending = sent.filter(sent_at__gt=now - dt.timedelta(minutes=2)).exists()
    if not is_sending and (errors := _most_frequent_errors(away)):
        count = away.count()
        text = ngettext(
            "%(count)s email is waiting because we can't use the email server. The last error "
            "was: %(error)s",
            "%(count)s emails are waiting because we can't use the email server. The last error"
            " was: %(error)s",
            count,
        )
        yield text % {"count": f"{count:,}", "error": errors[0][0]}
    if unrendered := waiting.filter(last_error__startswith=RENDER_FAILED_PREFIX).count():
        text = ngettext(
            "%(count)s email is waiting because of an error in this site. Ask the person who "
            "runs your server to check the worker's log.",
            "%(count)s emails are waiting because of an error in this site. Ask the person who "
            "runs your server to check the worker's log.",
            unrendered,
        )
        yield text % {"count": f"{unrendered:,}"}
    # An announcement may take long while any email is sent, and so may a full mailbox.
    is_rejection = Q(last_error__regex=r"^[45][0-9][0-9] ")
    not_late = Q(priority=OutgoingMail.Priority.BULK) | is_rejection
    if not sent.filter(sent_at__gt=now - LATE_AFTER).exists():
        not_late = Q(due_at__gt=now - LATE_AFTER) & not_late
    if late := waiting.filter(created_at__lt=now - LATE_AFTER).exclude(not_late).count():
        text = ngettext(
            "%(count)s email has been waiting for more than 15 minutes.",
            "%(count)s emails have been waiting for more than 15 minutes.",
            late,
        )
        yield text % {"count": f"{late:,}"}


def _failing(
    failed: QuerySet[OutgoingMail], sent: QuerySet[OutgoingMail], now: dt.datetime
) -> Iterator[str]:
    day_ago = now - dt.timedelta(days=1)
    failures = failed.filter(created_at__gt=day_ago).count()
    sendings = sent.filter(sent_at__gt=day_ago).count()
    # Fewer than five may be mistyped addresses.
    if failures >= max(5, sendings / 10):
        text = ngettext(
            "In the last day, %(failed)s email failed or came back (%(sent)s sent).",
            "In the last day, %(failed)s emails failed or came back (%(sent)s sent).",
            failures,
        )
        yield text % {"failed": f"{failures:,}", "sent": f"{sendings:,}"}
    if not_erased := erasure.overdue(now):
        text = ngettext(
            "The personal data of %(count)s person should have been erased more than a day ago. "
            "The worker's log says why it wasn't.",
            "The personal data of %(count)s people should have been erased more than a day ago. "
            "The worker's log says why it wasn't.",
            not_erased,
        )
        yield text % {"count": f"{not_erased:,}"}


def _most_frequent_errors(mails: QuerySet[OutgoingMail]) -> list[tuple[str, int]]:
    errors = mails.values_list("last_error").annotate(count=Count("pk"))
    return list(errors.order_by("-count", "last_error")[:10])
