"""Whether mail flows: what waits, what failed and why, who is alive to send it."""

import datetime as dt
import time
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Min, QuerySet
from django.utils import timezone

from .models import UNREACHED_STATES, Heartbeat, OutgoingMail

State = OutgoingMail.State

# The beat gives a sign every ten seconds, and a worker whenever it has one.
SIGN_EVERY = 5
SILENT_AFTER = dt.timedelta(minutes=1)
# A mail that waits so long is more than a slow server.
LATE_AFTER = dt.timedelta(minutes=15)
# What failed before is history.
FAILED_WITHIN = dt.timedelta(days=14)


_last_sign = 0.0


def give_sign(part: Heartbeat.Part) -> None:
    """Note that this process, which is such a part, is alive; at most every five seconds."""
    global _last_sign
    if time.monotonic() - _last_sign > SIGN_EVERY:
        Heartbeat.objects.update_or_create(part=part, defaults={"seen_at": timezone.now()})
        _last_sign = time.monotonic()


@dataclass(frozen=True)
class Waiting:
    """Mails of one kind that wait, and since when."""

    kind: str
    count: int
    since: dt.datetime


@dataclass(frozen=True)
class MailStatus:
    """How the outbox is at one moment."""

    now: dt.datetime
    counts: dict[str, int]
    waiting: list[Waiting]
    failures: list[tuple[str, int]]
    troubles: list[tuple[str, int]]
    seen: dict[Heartbeat.Part, dt.datetime | None]
    late: int

    def is_alive(self, part: Heartbeat.Part) -> bool:
        seen_at = self.seen[part]
        return seen_at is not None and self.now - seen_at < SILENT_AFTER

    @property
    def complaints(self) -> list[str]:
        """What an operator should look at, in words; empty when all is well."""
        silent = [part for part in Heartbeat.Part if not self.is_alive(part)]
        words = [f"{part.label} has given no sign for a minute or more." for part in silent]
        if self.late:
            mails = "mail has" if self.late == 1 else "mails have"
            words.append(f"{self.late} {mails} waited for more than a quarter of an hour.")
        return words


def mail_status(now: dt.datetime) -> MailStatus:
    """Ask the database how the outbox is; `failures` and `troubles` are words and how often."""
    mails = OutgoingMail.objects.order_by()
    counts = dict(mails.values_list("state").annotate(count=Count("pk")))
    waiting = mails.filter(state=State.WAITING)
    kinds = waiting.values_list("kind").annotate(count=Count("pk"), since=Min("created_at"))
    failed = mails.filter(state__in=UNREACHED_STATES, created_at__gt=now - FAILED_WITHIN)
    # An announcement may take its time.
    late = waiting.filter(
        created_at__lt=now - LATE_AFTER, priority__lt=OutgoingMail.Priority.IN_TURN
    )
    seen = dict(Heartbeat.objects.values_list("part", "seen_at"))
    return MailStatus(
        now=now,
        counts={label: counts.get(state, 0) for state, label in State.choices},
        waiting=[
            Waiting(str(OutgoingMail.Kind(kind).label), count, since)
            for kind, count, since in kinds.order_by("since")
        ],
        failures=_most_frequent(failed.values_list("last_error")),
        troubles=_most_frequent(waiting.exclude(last_error="").values_list("last_error")),
        seen={part: seen.get(part) for part in Heartbeat.Part},
        late=late.count(),
    )


def _most_frequent(words: QuerySet[Any]) -> list[tuple[str, int]]:
    return list(words.annotate(count=Count("pk")).order_by("-count", "last_error")[:10])
