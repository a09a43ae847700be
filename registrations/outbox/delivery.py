"""Send queued emails: claim, render, send, record, retry."""

import contextlib
import datetime as dt
import itertools
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.core.mail import EmailMessage
from django.db import Error, connection, transaction
from django.db.models import F
from django.db.utils import InterfaceError, InternalError, OperationalError

from events import clock, site_settings
from events.clock import Now
from registrations.models import OutgoingMail
from registrations.outbox import mail_queue, throttle
from registrations.outbox.connection import (
    Accepted,
    ConnectionFailed,
    MailConnection,
    MailRejected,
    Outcome,
    RenderFailed,
    has_no_such_address,
)

logger = logging.getLogger(__name__)

RETRY_DELAYS = [dt.timedelta(seconds=seconds) for seconds in (10, 30, 60, 120, 300, 600, 900)]
# An email fails after three days and this many attempts, which take some hours: it may have been
# paused for days before the first one.
GIVE_UP_AFTER = dt.timedelta(days=3)
GIVE_UP_ATTEMPTS = 20
# After this many failed connections in a row, the rest of the batch is handed back.
MAX_CONSECUTIVE_FAILURES = 3
# The longest pause between attempts to record an outcome while the database is away.
MAX_RECORD_RETRY_SECONDS = 8
RENDER_FAILED_PREFIX = "The email could not be written: "
# Raw SQL, because it runs once per email: the ORM takes another 0.3 ms to build this statement,
# and the whole email takes 1.7 ms of CPU time.
RECORD_SENT = (
    "UPDATE registrations_outgoingmail "
    "SET state = 'sent', sent_at = %s, provider_id = %s, last_error = '' "
    "WHERE id = %s AND attempts = %s AND due_at = %s AND state IN ('waiting', 'paused', 'dropped')"
)

# Renders one email; None if it is no longer needed. Raises NotYet.
Writer = Callable[[OutgoingMail], EmailMessage | None]
# Loads what a batch needs.
MakeWriter = Callable[[Sequence[OutgoingMail]], Writer]


def deliver_due(
    make_writer: MakeWriter,
    *,
    record_heartbeat: Callable[[], None] = lambda: None,
    batch_size: int = mail_queue.BATCH_SIZE,
    run_seconds: float = mail_queue.DELIVERY_RUN_SECONDS,
    recheck_seconds: float = 0.5,
) -> bool:
    """Send due emails for one run. Returns whether more may be due.

    Calls `record_heartbeat` before and after each email. `recheck_seconds` is how often it looks
    for more urgent emails, and for paused ones. Without an email server, all of them wait.
    """
    site_settings.load(fresh=True)
    if not site_settings.can_send():
        return False
    ends_at = time.monotonic() + run_seconds
    with contextlib.closing(MailConnection()) as mail_connection:
        run = DeliveryRun(
            make_writer, mail_connection, record_heartbeat, batch_size, ends_at, recheck_seconds
        )
        try:
            return run.send_due()
        finally:
            run.hand_back_rest()


@dataclass
class DeliveryRun:
    """A loop over due emails, with one connection to the mail server.

    Each outcome is recorded before the next email is sent. So a worker that is killed leaves at
    most one email that may have been sent without being recorded. All times are the database's.
    """

    make_writer: MakeWriter
    mail_connection: MailConnection
    record_heartbeat: Callable[[], None]
    batch_size: int
    ends_at: float
    recheck_seconds: float

    def __post_init__(self) -> None:
        # The next one to send is last.
        self._claimed: list[OutgoingMail] = []
        self._write: Writer
        self._clock: clock.Clock
        # When emails that are handed back are due; None: at once.
        self._due_again: dt.datetime | None = None
        self._has_woken_another = False
        self._failures, self._last_error = 0, ""
        self._recheck_at = time.monotonic() + self.recheck_seconds

    def send_due(self) -> bool:
        """Returns whether more may be due."""
        while time.monotonic() < self.ends_at:
            if time.monotonic() >= self._recheck_at:
                self._recheck()
            if not self._claimed and not self._claim_batch():
                return False
            mail = self._claimed[-1]
            message = self._render(mail)
            if message is None:
                self._claimed.pop()
                continue
            if not self._wait_for_slot():
                return False
            self._heartbeat()
            if self._clock.now() + mail_queue.longest_send() > mail.due_at:
                # The lease might expire while the email is being sent.
                return True
            self._claimed.pop()
            self._send(mail, message)
            if self._failures >= MAX_CONSECUTIVE_FAILURES:
                self._due_again = self._clock.now() + RETRY_DELAYS[0]
                return False
        return True

    def hand_back_rest(self) -> None:
        """Hand back what was claimed but not tried."""
        changes = {"last_error": self._last_error} if self._last_error else {}
        self._hand_back(self._claimed, due_at=self._due_again, **changes)

    def _claim_batch(self) -> bool:
        began_at = clock.seconds()
        claimed = mail_queue.claim(limit=self.batch_size)
        if claimed:
            lease_began_at = max(mail.due_at for mail in claimed) - mail_queue.lease()
            self._clock = clock.Clock(read=lease_began_at, read_at=began_at)
        self._claimed = claimed[::-1]
        if len(claimed) == self.batch_size and not self._has_woken_another:
            # More are probably due: at the start of a mailing, all workers join within moments.
            transaction.on_commit(mail_queue.wake_workers)
            self._has_woken_another = True
        if claimed:
            self._write = self.make_writer(claimed)
        return bool(claimed)

    def _recheck(self) -> None:
        """Re-read the claimed rows: drop paused ones, yield to higher priority."""
        waiting = OutgoingMail.objects.filter(state=OutgoingMail.State.WAITING)
        claims = {mail.pk: _claim_of(mail) for mail in self._claimed}
        current = waiting.select_related("registration").in_bulk(list(claims))
        ours = {pk: mail for pk, mail in current.items() if _claim_of(mail) == claims[pk]}
        self._hand_back([mail for mail in self._claimed if mail.pk not in ours])
        self._claimed = [ours[mail.pk] for mail in self._claimed if mail.pk in ours]
        lowest = max((mail.priority for mail in self._claimed), default=0)
        if waiting.filter(due_at__lte=Now(), priority__lt=lowest).exists():
            yielded, self._claimed = self._claimed, []
            self._hand_back(yielded)
        self._recheck_at = time.monotonic() + self.recheck_seconds

    def _render(self, mail: OutgoingMail) -> EmailMessage | None:
        """Render the message. If there is none to send, record that and return None."""
        try:
            message = self._write(mail)
        except mail_queue.NotYet as not_yet:
            self._hand_back([mail], due_at=not_yet.moment)
            return None
        except Exception as error:  # One faulty email must not hold up the others.
            self._record_outcome(mail, RenderFailed(error))
            return None
        if message is None:
            self._record([mail], state=OutgoingMail.State.DROPPED)
            return None
        message.extra_headers["Message-ID"] = mail_queue.message_id(mail)
        # Providers return it in their reports; see mail/bounces.py.
        message.metadata = {"mail": mail_queue.message_id(mail)}  # type: ignore[attr-defined]
        return message

    def _wait_for_slot(self) -> bool:
        """Wait for the time that MAIL_PER_MINUTE allows. False if that is too late for this run."""
        patience = dt.timedelta(seconds=mail_queue.DELIVERY_RUN_SECONDS)
        wait = throttle.next_slot(patience=patience)
        if wait > patience:
            # From then on a worker may take the slot: the most urgent email must be due by then.
            self._due_again = self._clock.now() + wait - patience
            return False
        time.sleep(wait.total_seconds())
        return True

    def _send(self, mail: OutgoingMail, message: EmailMessage) -> None:
        outcome = self.mail_connection.send(message)
        if isinstance(outcome, ConnectionFailed):
            self._failures, self._last_error = self._failures + 1, outcome.error
        else:
            self._failures, self._last_error = 0, ""
        self._record_outcome(mail, outcome)
        self._heartbeat()

    def _heartbeat(self) -> None:
        # A failed heartbeat must not end the run.
        with contextlib.suppress(Error):
            self.record_heartbeat()

    def _record_outcome(self, mail: OutgoingMail, outcome: Outcome) -> None:
        """Record what happened to a claimed email, and when to retry it."""
        match outcome:
            case Accepted(provider_id):
                sent = partial(_update_sent, mail, self._clock.now(), provider_id[:200])
                self._persist(sent, [mail.pk], mail.due_at)
            case MailRejected(answer, permanent=True):
                is_absent = bool(has_no_such_address(answer))
                failed = {"state": OutgoingMail.State.FAILED, "is_hard_bounce": is_absent}
                self._record([mail], last_error=answer, **failed)
            case MailRejected(answer):
                self._retry_later(mail, answer)
            case ConnectionFailed(error, had_mail):
                logger.warning(
                    "The mail server failed at mail %s, attempt %s", mail.pk, mail.attempts
                )
                if had_mail:
                    self._retry_later(mail, error, claimed_at=mail.claimed_at)
                else:
                    # A server that is away is waited for, however long it takes.
                    self._retry_later(mail, error, can_give_up=False)
            case RenderFailed(exception):
                logger.error("Mail %s could not be written", mail.pk, exc_info=exception)
                self._retry_later(mail, f"{RENDER_FAILED_PREFIX}{exception!r}")

    def _retry_later(
        self, mail: OutgoingMail, error: str, *, can_give_up: bool = True, **changes: Any
    ) -> None:
        is_old = self._clock.now() - mail.created_at > GIVE_UP_AFTER
        if can_give_up and is_old and mail.attempts >= GIVE_UP_ATTEMPTS:
            changes["state"] = OutgoingMail.State.FAILED
        else:
            delay = RETRY_DELAYS[min(mail.attempts, len(RETRY_DELAYS)) - 1]
            changes["due_at"] = self._clock.now() + delay
        self._record([mail], last_error=error, **changes)

    def _hand_back(
        self, mails: Sequence[OutgoingMail], *, due_at: dt.datetime | None = None, **changes: Any
    ) -> None:
        """Return emails that were claimed but not tried. They are due at once, or at `due_at`."""
        if mails:
            due_at = due_at or self._clock.read
            self._record(mails, attempts=F("attempts") - 1, due_at=due_at, **changes)

    def _record(self, mails: Iterable[OutgoingMail], **changes: Any) -> None:
        """Record an outcome, except for emails whose lease expired: another worker may have them.

        Clears `claimed_at`, unless `changes` say that the server may have the email.
        """
        changes = {"claimed_at": None} | changes
        if "last_error" in changes:
            # A server's answer may contain anything; PostgreSQL stores no NUL.
            changes["last_error"] = changes["last_error"].replace("\0", "\ufffd")[:1000]
        for (attempts, due_at), group in itertools.groupby(mails, key=_claim_of):
            ids = [mail.pk for mail in group]
            ours = OutgoingMail.objects.filter(
                pk__in=ids, state__in=mail_queue.OPEN_STATES, attempts=attempts, due_at=due_at
            )
            self._persist(partial(ours.update, **changes), ids, due_at)

    def _persist(
        self, update: Callable[[], int], ids: list[int], lease_ends_at: dt.datetime
    ) -> None:
        """Run an update, over a new connection if the database has cut ours.

        An email that was sent but not recorded would be sent again. Until the lease ends, no other
        worker can claim it, so until then this waits for a database that is away. Then it raises.
        """
        pause = 0.5
        while True:
            try:
                if update() < len(ids):
                    logger.warning("Of emails %s, some were claimed by another worker", ids)
                return
            except (OperationalError, InterfaceError, InternalError) as error:
                if connection.in_atomic_block or self._clock.now() >= lease_ends_at:
                    raise
                logger.warning("The database failed while an outcome was recorded: %s", error)
                connection.close()
                time.sleep(pause)
                pause = min(2 * pause, MAX_RECORD_RETRY_SECONDS)


def _update_sent(mail: OutgoingMail, sent_at: dt.datetime, provider_id: str) -> int:
    as_stored = connection.ops.adapt_datetimefield_value
    claim_of_mail = (mail.pk, mail.attempts, as_stored(mail.due_at))
    with connection.cursor() as cursor:
        cursor.execute(RECORD_SENT, (as_stored(sent_at), provider_id, *claim_of_mail))
        updated: int = cursor.rowcount
    return updated


def _claim_of(mail: OutgoingMail) -> tuple[int, dt.datetime]:
    """Identifies a claim among all claims of the same row: its attempt, and its lease's end."""
    return mail.attempts, mail.due_at
