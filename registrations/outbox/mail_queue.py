"""The queue of outgoing email: each OutgoingMail row is one entry."""

import datetime as dt
from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.db import (
    connection,
    transaction,
)
from django.db.models import Case, CharField, Exists, F, Field, OuterRef, Value, When
from django.db.models.functions import Cast, Coalesce, Concat
from django.utils import timezone

from events import background
from registrations.mail_kinds import MailKind
from registrations.models import (
    Announcement,
    OutgoingMail,
    OutgoingMailQuerySet,
    RegistrationQuerySet,
)

State = OutgoingMail.State

BATCH_SIZE = 100
# After so many seconds a turn ends and the rest is handed back: a worker that is told to
# stop has stopped soon after.
DELIVERY_RUN_SECONDS = 10
# While a row is in one of these, its outcome is still to be written.
OPEN_STATES = (State.WAITING, State.PAUSED, State.DROPPED)
# What may be tried anew. Whoever called a mail spam is left in peace.
RESENDABLE_STATES = (State.FAILED, State.BOUNCED)


class NotYet(Exception):
    """There is no message now; from this moment on there may be one."""

    def __init__(self, moment: dt.datetime) -> None:
        super().__init__(moment)
        self.moment = moment


def lease() -> dt.timedelta:
    """How long claimed mails are a worker's: a turn, as long again for MAIL_PER_MINUTE, a sending.

    A mail whose lease has become too short for a sending is handed back, see `Turn.run`.
    """
    return dt.timedelta(seconds=2 * DELIVERY_RUN_SECONDS) + longest_send()


def longest_send() -> dt.timedelta:
    """How long a server may take for one mail: some 15 answers, each just in time."""
    return dt.timedelta(seconds=15 * settings.EMAIL_TIMEOUT)


def queue(mails: Iterable[OutgoingMail]) -> None:
    """Owe people mails, in the caller's transaction. The same key again is harmless."""
    OutgoingMail.objects.bulk_create(map(_with_priority, mails), ignore_conflicts=True)
    transaction.on_commit(wake_workers)


def _with_priority(mail: OutgoingMail) -> OutgoingMail:
    mail.priority = MailKind(mail.kind).spec.priority
    return mail


def queue_all(people: RegistrationQuerySet, *, key: str, kind: str, **fields: Any) -> int:
    """Owe each of these people a mail in one INSERT ... SELECT, in the caller's transaction.

    The mail's key is `key` and the registration's id; whoever has that mail already gets no
    other. `fields` are columns of OutgoingMail. Returns how many mails are new.
    """
    mail = _with_priority(OutgoingMail(kind=kind, **fields))
    meta = OutgoingMail._meta
    own = {"id", "key", "registration", "message"}
    values: dict[str, Value | Concat] = {
        f"_{field.column}": Value(getattr(mail, field.attname), output_field=_plain(field))
        for field in meta.concrete_fields
        if field.name not in own
    }
    values["_key"] = Concat(Value(f"{key}/"), Cast("pk", CharField()), output_field=CharField())
    queued_before = OutgoingMail.objects.filter(key=OuterRef("_key"))
    rows = people.order_by("pk").annotate(**values).filter(~Exists(queued_before))
    names = ["registration_id", *(name.removeprefix("_") for name in values)]
    quoted = ", ".join(connection.ops.quote_name(name) for name in names)
    select, parameters = rows.values_list("pk", *values).query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {connection.ops.quote_name(meta.db_table)} ({quoted}) "
            f"{select} ON CONFLICT DO NOTHING",
            parameters,
        )
        queued: int = cursor.rowcount
    if queued:
        transaction.on_commit(wake_workers)
    return queued


def _plain(field: Any) -> Field:
    """The field that a column's values are written as; a foreign key's is its target's."""
    return field.target_field if field.is_relation else field


def resend(mails: OutgoingMailQuerySet) -> int:
    """Owe failed mails anew, in the caller's transaction: as if queued now. Returns how many.

    Those of a paused announcement wait for it to go on; those of a stopped one stay as they are.
    """
    now = timezone.now()
    failed = mails.filter(state__in=RESENDABLE_STATES)
    # Locked, so that none is paused or stopped in between.
    announcements = Announcement.objects.select_for_update().order_by("pk")
    concerned = announcements.filter(pk__in=failed.values("announcement"))
    paused = [each.pk for each in concerned if each.state == Announcement.State.PAUSED]
    stopped = [each.pk for each in concerned if each.state == Announcement.State.STOPPED]
    again = failed.exclude(announcement__in=stopped).update(
        state=Case(
            When(announcement__in=paused, then=Value(State.PAUSED)), default=Value(State.WAITING)
        ),
        attempts=0,
        due_at=now,
        created_at=now,
        claimed_at=None,
        sent_at=None,
        last_error="",
        provider_id="",
    )
    transaction.on_commit(wake_workers)
    return again


def wake_workers(task: str = "deliver_mails", *, delay_seconds: float = 0) -> None:
    """Tell a worker that there is work."""
    # What takes turns itself gives way, after a turn, to what has waited longer.
    background.wake_workers(
        f"registrations.tasks.{task}",
        delay_seconds=delay_seconds,
        expires_seconds=DELIVERY_RUN_SECONDS,
    )


def message_id(mail: OutgoingMail) -> str:
    """The same for every attempt, so that a mail that does come twice is seen as one."""
    return f"<{mail.pk}.{mail.created_at:%Y%m%d%H%M%S%f}@{settings.SITE_ADDRESS.hostname}>"


def claim(*, limit: int = BATCH_SIZE) -> list[OutgoingMail]:
    """Lease up to `limit` due mails, the most urgent first; no one else gets them."""
    now = timezone.now()
    with transaction.atomic():
        # Those that failed before come last: a few bad ones cannot keep the others waiting.
        due = OutgoingMail.objects.due(now).order_by("priority", "attempts", "due_at", "pk")
        if connection.features.has_select_for_update_skip_locked:
            due = due.select_for_update(skip_locked=True)
        ids = list(due.values_list("pk", flat=True)[:limit])
        OutgoingMail.objects.filter(pk__in=ids).update(
            due_at=now + lease(), attempts=F("attempts") + 1, claimed_at=Coalesce("claimed_at", now)
        )
    claimed = OutgoingMail.objects.filter(pk__in=ids).select_related("registration")
    return list(claimed.order_by("priority", "attempts", "pk"))
