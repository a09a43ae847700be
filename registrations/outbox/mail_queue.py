"""The queue of outgoing email: each OutgoingMail row is one entry."""

import datetime as dt
from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Case, CharField, Exists, Expression, F, OuterRef, Value, When
from django.db.models.functions import Cast, Coalesce, Concat
from django.utils import timezone

from events import background
from events.clock import Now
from registrations.mail_kinds import MailKind
from registrations.models import Announcement, OutgoingMail, OutgoingMailQuerySet
from registrations.models.registration import RegistrationQuerySet

BATCH_SIZE = 100
# A delivery run ends after this long, so that a worker stops soon when it is asked to.
DELIVERY_RUN_SECONDS = 10
# While a row is in one of these, its outcome has yet to be recorded.
OPEN_STATES = (OutgoingMail.State.WAITING, OutgoingMail.State.PAUSED, OutgoingMail.State.DROPPED)
# Someone who reported an email as spam gets it no second time.
RESENDABLE_STATES = (OutgoingMail.State.FAILED, OutgoingMail.State.BOUNCED)


class NotYet(Exception):
    """There is no message yet. At `moment` there may be one."""

    def __init__(self, moment: dt.datetime) -> None:
        super().__init__(moment)
        self.moment = moment


def lease() -> dt.timedelta:
    """How long a claim lasts: a delivery run, the same time again for MAIL_PER_MINUTE, one send.

    An email whose lease has become too short for a send is handed back.
    """
    return dt.timedelta(seconds=2 * DELIVERY_RUN_SECONDS) + longest_send()


def longest_send() -> dt.timedelta:
    """The longest time a server can take for one email: about 15 answers, each just in time."""
    return dt.timedelta(seconds=15 * settings.EMAIL_TIMEOUT)


def queue(mails: Iterable[OutgoingMail]) -> None:
    """Queue emails, in the caller's transaction. Queueing the same key twice is harmless."""
    OutgoingMail.objects.bulk_create(map(_with_priority, mails), ignore_conflicts=True)
    transaction.on_commit(wake_workers)


def _with_priority(mail: OutgoingMail) -> OutgoingMail:
    mail.priority = MailKind(mail.kind).spec.priority
    return mail


def queue_all(people: RegistrationQuerySet, *, key: str, kind: str, **fields: Any) -> int:
    """Queue an email to each of these people, with one INSERT ... SELECT.

    Runs in the caller's transaction. Each email's key is `key` and the registration's ID, and
    people who already have it get no second one. `fields` are columns of OutgoingMail. Returns
    the number of new emails.
    """
    mail = _with_priority(OutgoingMail(kind=kind, **fields))
    meta: Any = OutgoingMail._meta
    differing = {"id", "key", "registration", "message", "due_at"}
    values: dict[str, Expression] = {
        f"_{field.column}": Value(
            getattr(mail, field.attname),
            output_field=field.target_field if field.is_relation else field,
        )
        for field in meta.concrete_fields
        if field.name not in differing
    }
    values["_due_at"] = Now()
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


def resend(mails: OutgoingMailQuerySet) -> int:
    """Queue failed emails again, in the caller's transaction. Returns how many.

    Emails of a paused announcement are paused. Emails of a stopped one stay as they are.
    """
    failed = mails.filter(state__in=RESENDABLE_STATES)
    # Locked, so that none is paused or stopped meanwhile.
    announcements = Announcement.objects.select_for_update().order_by("pk")
    locked = list(announcements.filter(pk__in=failed.values("announcement")))
    paused = [each.pk for each in locked if each.state == Announcement.State.PAUSED]
    stopped = [each.pk for each in locked if each.state == Announcement.State.STOPPED]
    queued = failed.exclude(announcement__in=stopped).update(
        state=Case(
            When(announcement__in=paused, then=Value(OutgoingMail.State.PAUSED)),
            default=Value(OutgoingMail.State.WAITING),
        ),
        attempts=0,
        due_at=Now(),
        claimed_at=None,
        created_at=timezone.now(),
        sent_at=None,
        delivered_at=None,
        last_error="",
        is_hard_bounce=False,
        provider_id="",
    )
    transaction.on_commit(wake_workers)
    return queued


def wake_workers(task: str = "deliver_mails", *, delay_seconds: float = 0) -> None:
    """Wake a worker for a task. The work itself is in the database."""
    # It expires after one run, so that a mailing holds up other tasks for two runs at most.
    background.wake_workers(
        f"registrations.tasks.{task}",
        delay_seconds=delay_seconds,
        expires_seconds=DELIVERY_RUN_SECONDS,
    )


def message_id(mail: OutgoingMail) -> str:
    """The Message-ID. It is the same at every attempt, so mail programs can detect a double."""
    return f"<{mail.pk}.{mail.created_at:%Y%m%d%H%M%S%f}@{settings.SITE_ADDRESS.hostname}>"


def claim(*, limit: int = BATCH_SIZE) -> list[OutgoingMail]:
    """Claim up to `limit` due emails for a lease, the most urgent first.

    The lease begins at the database's time, so that workers agree on when it ends.
    """
    with transaction.atomic():
        # Emails that failed before come last, so that a few bad ones cannot hold up the others.
        due = OutgoingMail.objects.due(Now()).order_by("priority", "attempts", "due_at", "pk")
        if connection.features.has_select_for_update_skip_locked:
            due = due.select_for_update(skip_locked=True)
        moments = dict(due.annotate(now=Now()).values_list("pk", "now")[:limit])
        if not moments:
            return []
        ids, now = list(moments), min(moments.values())
        OutgoingMail.objects.filter(pk__in=ids).update(
            due_at=now + lease(),
            attempts=F("attempts") + 1,
            # An earlier attempt may have sent it, if this is still set.
            claimed_at=Coalesce("claimed_at", now),
        )
    claimed = OutgoingMail.objects.filter(pk__in=ids).select_related("registration")
    return list(claimed.order_by("priority", "attempts", "pk"))
