"""Whether email is sent: what is waiting, what failed and why, and which processes are alive.

It also checks that personal data is erased in time: the same worker and beat do that.
"""

import datetime as dt
import time
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Min, Q, QuerySet
from django.utils import timezone

from registrations.formatting import people
from registrations.models import UNREACHED_STATES, Heartbeat, OutgoingMail
from registrations.outbox.connection import CONNECTION_FAILED_PATTERN
from registrations.outbox.delivery import RENDER_FAILED_PREFIX
from registrations.privacy import erasure

# The beat records one every ten seconds, and then has a worker do the same.
HEARTBEAT_SECONDS = 5
SILENT_AFTER = dt.timedelta(minutes=1)
# An email that has waited this long means more than a slow server.
LATE_AFTER = dt.timedelta(minutes=15)
# While an email was sent this recently the server works, whatever another attempt returned.
AWAY_AFTER = dt.timedelta(minutes=2)
# How the server's answer about a single email begins.
REJECTION_PATTERN = r"^[45][0-9][0-9] "
# Fewer failures may be mistyped addresses.
MIN_FAILURES = 5
DAY = dt.timedelta(days=1)
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
    """The state of the outbox at one moment."""

    now: dt.datetime
    counts: dict[str, int]
    waiting: list[Waiting]
    failures: list[tuple[str, int]]
    troubles: list[tuple[str, int]]
    seen: dict[Heartbeat.Process, dt.datetime | None]
    late: int
    away: int
    away_error: str
    unrendered: int
    sent_today: int
    failed_today: int
    not_erased: int

    def is_alive(self, process: Heartbeat.Process) -> bool:
        seen_at = self.seen[process]
        return seen_at is not None and self.now - seen_at < SILENT_AFTER

    @property
    def complaints(self) -> list[str]:
        """What an operator should look at; empty when all is well."""
        return [*self._silent(), *self._stuck(), *self._failing(), *self._not_erasing()]

    def _silent(self) -> list[str]:
        if not self.is_alive(Heartbeat.Process.BEAT):
            # Without the beat, workers don't record heartbeats either.
            return [
                "The beat has given no sign for a minute or more: start it. Without it nobody "
                "can tell whether a worker is alive."
            ]
        if not self.is_alive(Heartbeat.Process.WORKER):
            return ["No worker has given a sign for a minute or more: start one."]
        return []

    def _stuck(self) -> list[str]:
        texts = []
        if self.away:
            texts.append(
                f"{counted(self.away)} because the mail server cannot be used. The last try "
                f"came to: {self.away_error}"
            )
        if self.unrendered:
            texts.append(
                f"{counted(self.unrendered)} because of a fault of ours: see the worker's log."
            )
        if self.late:
            texts.append(f"{counted(self.late)} for more than a quarter of an hour.")
        return texts

    def _failing(self) -> list[str]:
        failed, sent = self.failed_today, self.sent_today
        if failed < MIN_FAILURES or failed * 10 < sent:
            return []
        return [f"{failed} mails of the last day failed or came back, {sent} were sent."]

    def _not_erasing(self) -> list[str]:
        if not self.not_erased:
            return []
        return [
            f"The personal data of {people(self.not_erased)} should have been erased by itself "
            "more than a day ago, and was not: the worker's log says why."
        ]


def counted(waiting: int) -> str:
    return "1 mail waits" if waiting == 1 else f"{waiting:,} mails wait"


def mail_status(now: dt.datetime) -> MailStatus:
    """Query the state of the outbox. `failures` and `troubles` are the most frequent errors."""
    mails = OutgoingMail.objects.order_by()
    counts = dict(mails.values_list("state").annotate(count=Count("pk")))
    waiting = mails.filter(state=OutgoingMail.State.WAITING)
    kinds = waiting.values_list("kind").annotate(count=Count("pk"), since=Min("created_at"))
    failed = mails.filter(state__in=UNREACHED_STATES, created_at__gt=now - FAILED_WITHIN)
    sent = mails.filter(state=OutgoingMail.State.SENT)
    # An announcement may take long while any email is sent, and so may a full mailbox.
    not_late = Q(priority=OutgoingMail.Priority.IN_TURN) | Q(last_error__regex=REJECTION_PATTERN)
    if not sent.filter(sent_at__gt=now - LATE_AFTER).exists():
        not_late = Q(due_at__gt=now - LATE_AFTER) & not_late
    late = waiting.filter(created_at__lt=now - LATE_AFTER).exclude(not_late)
    away = waiting.filter(last_error__regex=CONNECTION_FAILED_PATTERN)
    if sent.filter(sent_at__gt=now - AWAY_AFTER).exists():
        away = away.none()
    away_error = _most_frequent(away.values_list("last_error"))
    seen = dict(Heartbeat.objects.values_list("process", "seen_at"))
    return MailStatus(
        now=now,
        counts={label: counts.get(state, 0) for state, label in OutgoingMail.State.choices},
        waiting=[
            Waiting(str(OutgoingMail.Kind(kind).label), count, since)
            for kind, count, since in kinds.order_by("since")
        ],
        failures=_most_frequent(failed.values_list("last_error")),
        troubles=_most_frequent(waiting.exclude(last_error="").values_list("last_error")),
        seen={process: seen.get(process) for process in Heartbeat.Process},
        late=late.count(),
        away=away.count(),
        away_error=away_error[0][0] if away_error else "",
        unrendered=waiting.filter(last_error__startswith=RENDER_FAILED_PREFIX).count(),
        sent_today=sent.filter(sent_at__gt=now - DAY).count(),
        failed_today=failed.filter(created_at__gt=now - DAY).count(),
        not_erased=erasure.overdue(now),
    )


def _most_frequent(errors: QuerySet[Any]) -> list[tuple[str, int]]:
    return list(errors.annotate(count=Count("pk")).order_by("-count", "last_error")[:10])
