"""HOW a mail leaves: queue, claim, deliver, retry, give up.

The row is the queue. Celery only moves rows: a nudge after the commit for speed, a
beat sweep for certainty. A claim is a lease, kept by moving `due_at` on: when a worker
dies its rows fall due again. `attempts` counts claims, so that a worker whose lease ran
out cannot write over its successor's result.

No network call happens inside a transaction: claim, commit, send, record, row by row.
"""

import contextlib
import datetime as dt
import logging
import smtplib
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from celery import current_app
from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone
from kombu.exceptions import KombuError

from .models import OutgoingMail

logger = logging.getLogger(__name__)

BATCH = 100
LEASE = dt.timedelta(minutes=10)
PAUSES = [dt.timedelta(seconds=seconds) for seconds in (10, 30, 60, 120, 300, 600, 900)]
GIVE_UP_AFTER = dt.timedelta(days=3)
# After so many broken connections in a row the rest of the batch is handed back.
TROUBLE_LIMIT = 3
NUDGE_REST_SECONDS = 15

# Given a batch, whatever its mails share is made once; then each is written by itself.
# None: the mail is no longer needed.
Writer = Callable[[OutgoingMail], EmailMessage | None]
Prepare = Callable[[Sequence[OutgoingMail]], Writer]

_no_nudge_before = 0.0


def queue(mails: Iterable[OutgoingMail]) -> None:
    """Owe people mails, in the caller's transaction. The same key again is harmless."""
    OutgoingMail.objects.bulk_create(mails, ignore_conflicts=True)
    transaction.on_commit(nudge)


def nudge() -> None:
    """Tell a worker that mail is due. When the broker is away, the beat's sweep will find it."""
    global _no_nudge_before
    if time.monotonic() < _no_nudge_before:
        return
    try:
        # One try: on a frozen broker each costs a whole timeout, of which a request has one.
        current_app.send_task("registrations.tasks.deliver_mails", retry=False)
    except (KombuError, OSError) as error:
        # A frozen broker costs seconds: the next requests should not pay them too.
        _no_nudge_before = time.monotonic() + NUDGE_REST_SECONDS
        logger.warning("The broker took no nudge, the sweep will deliver: %s", error)


def message_id(mail: OutgoingMail) -> str:
    """The same for every attempt, so that a mail that does come twice is seen as one."""
    return f"<{mail.pk}.{mail.created_at:%Y%m%d%H%M%S%f}@{settings.SITE_ADDRESS.hostname}>"


def claim(*, limit: int = BATCH) -> list[OutgoingMail]:
    """Lease up to `limit` due mails; no one else gets them."""
    now = timezone.now()
    with transaction.atomic():
        # Those that failed before come last: a few bad ones cannot keep the others waiting.
        due = OutgoingMail.objects.due(now).order_by("attempts", "due_at", "pk")
        if connection.features.has_select_for_update_skip_locked:
            due = due.select_for_update(skip_locked=True)
        ids = list(due.values_list("pk", flat=True)[:limit])
        OutgoingMail.objects.filter(pk__in=ids).update(
            due_at=now + LEASE, attempts=F("attempts") + 1
        )
    claimed = OutgoingMail.objects.filter(pk__in=ids).select_related("registration")
    return list(claimed.order_by("attempts", "pk"))


def deliver_due(prepare: Prepare) -> int:
    """Send one batch of due mails over one connection. Returns how many were claimed."""
    claimed = claim()
    if not claimed:
        return 0
    write = prepare(claimed)
    server = get_connection()
    deadline = time.monotonic() + LEASE.total_seconds() / 2
    troubles, trouble = 0, ""
    try:
        for mail in claimed:
            if troubles >= TROUBLE_LIMIT or time.monotonic() > deadline:
                _hand_back(mail, trouble or mail.last_error)
                continue
            trouble = _deliver(mail, write, server)
            troubles = troubles + 1 if trouble else 0
    finally:
        _close(server)
    return len(claimed)


def _deliver(mail: OutgoingMail, write: Writer, server: BaseEmailBackend) -> str:
    """Send one mail and record at once what became of it.

    Returns what broke the connection, or "" when the next mail may be tried on it.
    """
    try:
        server.open()
    # SMTPException is an OSError: no answer, no connection, no sign-in. A ValueError is a host
    # name or a password that cannot be sent.
    except (OSError, ValueError) as error:
        return _broken(mail, server, error, give_up=False)
    try:
        message = write(mail)
        if message is None:
            _record(mail, state=OutgoingMail.State.DROPPED)
            return ""
        message.extra_headers["Message-ID"] = message_id(mail)
        server.send_messages([message])
    except smtplib.SMTPRecipientsRefused as refusal:
        return _refused(mail, server, *next(iter(refusal.recipients.values())))
    except smtplib.SMTPDataError as refusal:
        return _refused(mail, server, refusal.smtp_code, refusal.smtp_error)
    except OSError as error:
        return _broken(mail, server, error, give_up=True)
    except Exception as error:  # One mail that cannot be written must not hold up the others.
        logger.exception("Mail %s could not be written", mail.pk)
        _try_again(mail, f"The mail could not be written: {error!r}", give_up=True)
        return ""
    _record(mail, state=OutgoingMail.State.SENT, sent_at=timezone.now(), last_error="")
    return ""


def _refused(mail: OutgoingMail, server: BaseEmailBackend, code: int, answer: bytes | str) -> str:
    """The server answered: 5xx is its last word (RFC 5321, 4.2.1), 421 that it is closing."""
    text = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
    if code == 421:
        return _broken(mail, server, smtplib.SMTPServerDisconnected(text), give_up=False)
    if code >= 500:
        _record(mail, state=OutgoingMail.State.FAILED, last_error=f"{code} {text}")
    else:
        _try_again(mail, f"{code} {text}", give_up=True)
    return ""


def _broken(
    mail: OutgoingMail, server: BaseEmailBackend, error: Exception, *, give_up: bool
) -> str:
    """The connection failed. A server that is away is waited for, however long it takes."""
    logger.warning("The mail server failed at mail %s, attempt %s", mail.pk, mail.attempts)
    words = f"{type(error).__name__}: {error}"
    _try_again(mail, words, give_up=give_up)
    _close(server)
    return words


def _try_again(mail: OutgoingMail, words: str, *, give_up: bool) -> None:
    if give_up and timezone.now() - mail.created_at > GIVE_UP_AFTER:
        _record(mail, state=OutgoingMail.State.FAILED, last_error=words)
    else:
        pause = PAUSES[min(mail.attempts, len(PAUSES)) - 1]
        _record(mail, due_at=timezone.now() + pause, last_error=words)


def _hand_back(mail: OutgoingMail, words: str) -> None:
    """Return a mail that was claimed but not tried."""
    due_at = timezone.now() + PAUSES[0]
    _record(mail, due_at=due_at, attempts=mail.attempts - 1, last_error=words)


def _record(mail: OutgoingMail, **changes: Any) -> None:
    """Write the outcome, unless the lease ran out and another worker has the mail now."""
    if "last_error" in changes:
        # A server's words may be anything; PostgreSQL stores no NUL.
        changes["last_error"] = changes["last_error"].replace("\0", "\ufffd")[:1000]
    ours = OutgoingMail.objects.filter(
        pk=mail.pk, state=OutgoingMail.State.WAITING, attempts=mail.attempts
    )
    if not ours.update(**changes):
        logger.warning("Mail %s was taken over before its outcome was recorded", mail.pk)


def _close(server: BaseEmailBackend) -> None:
    """End the connection; a server that cannot even say goodbye is gone all the same."""
    with contextlib.suppress(OSError):
        server.close()
