"""Send queued emails: claim, render, send, record, retry."""

import contextlib
import datetime as dt
import itertools
import logging
import queue as queues
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import (
    DatabaseError,
    Error,
    InterfaceError,
    InternalError,
    OperationalError,
    connection,
    connections,
)
from django.db.models import F
from django.utils import timezone

from registrations.models import (
    OutgoingMail,
)
from registrations.outbox import throttle
from registrations.outbox.connection import (
    Accepted,
    ConnectionFailed,
    MailConnection,
    Outcome,
    Rejected,
    RenderFailed,
)
from registrations.outbox.mail_queue import (
    BATCH_SIZE,
    DELIVERY_RUN_SECONDS,
    OPEN_STATES,
    NotYet,
    claim,
    longest_send,
    message_id,
)

logger = logging.getLogger(__name__)

State, Priority = OutgoingMail.State, OutgoingMail.Priority
# How often, in a turn, one looks whether something more urgent has come, or was paused.
RECHECK_SECONDS = 0.5
RETRY_DELAYS = [dt.timedelta(seconds=seconds) for seconds in (10, 30, 60, 120, 300, 600, 900)]
GIVE_UP_AFTER = dt.timedelta(days=3)
# Some hours' worth: it may have been paused for days before it was tried at all.
GIVE_UP_ATTEMPTS = 20
# After so many broken connections in a row the rest of the batch is handed back.
MAX_CONSECUTIVE_FAILURES = 3
# The longest pause between tries to write an outcome down while the database is away.
MAX_RECORD_RETRY_SECONDS = 8
# What `_record` does for a mail that was sent, ten thousand times: the ORM takes longer to put
# it into words than a connection takes to carry a mail.
RECORD_SENT = (
    "UPDATE registrations_outgoingmail SET state = 'sent', sent_at = %s, last_error = '' "
    "WHERE state IN ('waiting', 'paused', 'dropped') AND (id, attempts, due_at) IN (VALUES "
)
# How the words begin that a mail is left with when it cannot be written.
RENDER_FAILED_PREFIX = "The mail could not be written: "


# Given a batch, whatever its mails share is made once; then each is written by itself.
# None: the mail is no longer needed. Raises Later.
Writer = Callable[[OutgoingMail], EmailMessage | None]
MakeWriter = Callable[[Sequence[OutgoingMail]], Writer]
Fetched = tuple[list[OutgoingMail], Writer]


def deliver_due(
    prepare: MakeWriter,
    *,
    record_heartbeat: Callable[[], None] = lambda: None,
) -> bool:
    """Send due mails for at most one turn. Returns whether more may be due.

    While a mail server takes its time, a sign of life is given again and again.
    """
    lanes = ThreadPoolExecutor(settings.MAIL_CONNECTIONS)
    with lanes as pool, contextlib.closing(Supply(prepare)) as supply:
        turn = DeliveryRun(supply, pool, record_heartbeat)
        try:
            return turn.run()
        finally:
            turn.finish()


class Supply:
    """Claimed mails, and what writes them, a batch at a time.

    With several connections the next batch is fetched in a thread of its own, over its own
    database connection, while this one is sent: they would all stand still for it otherwise.
    """

    def __init__(self, prepare: MakeWriter) -> None:
        self._prepare = prepare
        self._aside = ThreadPoolExecutor(1) if settings.MAIL_CONNECTIONS > 1 else None
        self._next: Future[Fetched | None] | None = None
        self._may_have_more = True

    def fetch(self) -> Fetched | None:
        """The next mails to send, the last of them first; None when no more are due."""
        fetching, self._next = self._next, None
        fetched = fetching.result() if fetching else self._fetched()
        self._may_have_more = fetched is not None and len(fetched[0]) == BATCH_SIZE
        return fetched

    def fetch_ahead(self) -> None:
        """Begin to fetch what comes next, if there is likely to be something."""
        if self._aside and self._may_have_more and not self._next:
            self._next = self._aside.submit(self._fetched)

    def hand_back(self, **changes: Any) -> None:
        """Return what was fetched ahead."""
        if not self._next:
            return
        try:
            fetched = self.fetch()
        except DatabaseError as error:
            logger.warning("The next mails could not be fetched: %s", error)
            return
        if fetched:
            _hand_back(fetched[0], **changes)

    def close(self) -> None:
        if self._aside:
            self._aside.submit(connections.close_all).result()
            self._aside.shutdown()

    def _fetched(self) -> Fetched | None:
        claimed = claim(limit=BATCH_SIZE)
        try:
            return (claimed[::-1], self._prepare(claimed)) if claimed else None
        except BaseException:
            _hand_back(claimed, due_at=timezone.now())
            raise


class DeliveryRun:
    """A worker's turn at the mails: each connection has at most one of them in hand.

    While one travels the next is written. What became of a mail is recorded before its
    connection gets another, so that a process that is killed leaves, for each of its
    connections, at most one mail of which nobody knows that it was sent.
    """

    def __init__(
        self,
        supply: Supply,
        pool: ThreadPoolExecutor,
        record_heartbeat: Callable[[], None],
    ) -> None:
        self._supply, self._pool = supply, pool
        self._give_sign = record_heartbeat
        self._claimed: list[OutgoingMail] = []
        self._ahead: deque[tuple[OutgoingMail, EmailMessage]] = deque()
        self._lanes = settings.MAIL_CONNECTIONS
        self._free = [MailConnection() for _ in range(self._lanes)]
        self._arrived: queues.SimpleQueue[Future[Outcome]] = queues.SimpleQueue()
        self._travelling: dict[
            Future[Outcome], tuple[OutgoingMail, EmailMessage, MailConnection]
        ] = {}
        self._trouble, self._troubles = "", 0
        self._next_look = time.monotonic() + RECHECK_SECONDS
        self._end = time.monotonic() + DELIVERY_RUN_SECONDS
        self._due_again = timezone.now()

    def run(self) -> bool:
        """Returns whether the turn ended before the mails did."""
        while time.monotonic() < self._end:
            self._write_ahead()
            if not self._ahead:
                return time.monotonic() >= self._end
            if not self._has_slot():
                return False
            while not self._free:
                self._receive()
            if self._troubles >= MAX_CONSECUTIVE_FAILURES:
                return False
            mail, message = self._ahead[0]
            if timezone.now() + longest_send() > mail.due_at:
                # Its lease might end amid the sending.
                return True
            self._ahead.popleft()
            carrier = self._free.pop()
            travelling = self._pool.submit(carrier.carry, message)
            self._travelling[travelling] = mail, message, carrier
            travelling.add_done_callback(self._arrived.put)
        return True

    def finish(self) -> None:
        """Record what is still on its way, and hand back what was claimed but not tried."""
        while self._travelling:
            self._receive()
        changes = {"last_error": self._trouble} if self._trouble else {}
        if self._troubles >= MAX_CONSECUTIVE_FAILURES:
            self._due_again = timezone.now() + RETRY_DELAYS[0]
        unsent = [mail for mail, _message in self._ahead] + self._claimed
        for carrier in self._free:
            carrier.close()
        _hand_back(unsent, due_at=self._due_again, **changes)
        self._supply.hand_back(due_at=self._due_again, **changes)

    def _write_ahead(self) -> None:
        """Have a mail ready to leave; while all connections are busy, one for each of them."""
        while len(self._ahead) < (1 if self._free or not self._arrived.empty() else self._lanes):
            if not self._claimed:
                fetched = self._supply.fetch()
                if fetched is None:
                    return
                self._claimed, self._write = fetched
                if self._lanes > 1:
                    # They were fetched while others were sent: something may have changed.
                    self._next_look = time.monotonic()
            if time.monotonic() >= self._end:
                return
            if time.monotonic() >= self._next_look:
                self._look()
                if not self._claimed:
                    continue
            if len(self._claimed) <= BATCH_SIZE // 2:
                self._supply.fetch_ahead()
            mail = self._claimed[-1]
            message = self._written(mail)
            self._claimed.pop()
            if message is not None:
                self._ahead.append((mail, message))

    def _look(self) -> None:
        """Give way to what is more urgent, let go of what was paused or stopped, see who left."""
        waiting = OutgoingMail.objects.filter(state=State.WAITING)
        claims = {mail.pk: _claim_of(mail) for mail in self._claimed}
        anew = waiting.select_related("registration").in_bulk(list(claims))
        ours = {pk: mail for pk, mail in anew.items() if _claim_of(mail) == claims[pk]}
        _hand_back([mail for mail in self._claimed if mail.pk not in ours], due_at=timezone.now())
        self._claimed = [ours[mail.pk] for mail in self._claimed if mail.pk in ours]
        least = max((mail.priority for mail in self._claimed), default=0)
        if waiting.filter(due_at__lte=timezone.now(), priority__lt=least).exists():
            given_way, self._claimed = self._claimed, []
            _hand_back(given_way, due_at=timezone.now())
            self._supply.hand_back(due_at=timezone.now())
        self._next_look = time.monotonic() + RECHECK_SECONDS

    def _written(self, mail: OutgoingMail) -> EmailMessage | None:
        """The mail's message; None when there is nothing to send, which is recorded."""
        try:
            message = self._write(mail)
        except NotYet as later:
            _hand_back([mail], due_at=later.moment)
            return None
        except Exception as error:  # One mail that cannot be written must not hold up the others.
            _record_render_failure(mail, error)
            return None
        if message is None:
            _record([mail], state=State.DROPPED, claimed_at=None)
            return None
        message.extra_headers["Message-ID"] = message_id(mail)
        # Providers give it back with their reports; see `bounces`.
        message.metadata = {"mail": message_id(mail)}  # type: ignore[attr-defined]
        return message

    def _has_slot(self) -> bool:
        """Wait for the moment that MAIL_PER_MINUTE allows; False when that is another turn."""
        patience = timezone.now() + dt.timedelta(seconds=DELIVERY_RUN_SECONDS)
        slot = throttle.next_slot(until=patience)
        if slot > patience:
            # From that moment on anyone may take the slot: the most urgent must be due by then.
            self._due_again = slot - dt.timedelta(seconds=DELIVERY_RUN_SECONDS)
            return False
        while (left := (slot - timezone.now()).total_seconds()) > 0:
            if self._travelling:
                self._receive(timeout=left)
            else:
                time.sleep(left)
        return True

    def _receive(self, timeout: float = RECHECK_SECONDS) -> None:
        """Wait a while for a mail to arrive, or not, and record at once what became of it.

        Those that arrive at the same moment are recorded together.
        """
        arrived = []
        with contextlib.suppress(queues.Empty):
            arrived.append(self._arrived.get(timeout=timeout))
            while True:
                arrived.append(self._arrived.get_nowait())
        if not arrived:
            # No sign is worth an outcome: the database may be away.
            with contextlib.suppress(Error):
                self._give_sign()
        taken = []
        for travelled in arrived:
            mail, _message, carrier = self._travelling.pop(travelled)
            self._free.append(carrier)
            outcome = travelled.result()
            self._troubles = self._troubles + 1 if isinstance(outcome, ConnectionFailed) else 0
            self._trouble = outcome.words if isinstance(outcome, ConnectionFailed) else ""
            if outcome == Accepted():
                taken.append(mail)
            else:
                _record_outcome(mail, outcome)
        _record_sent(taken)


def _record_outcome(mail: OutgoingMail, outcome: Outcome) -> None:
    """Write down what became of a mail."""
    match outcome:
        case Accepted(provider_id):
            _record(
                [mail],
                state=State.SENT,
                sent_at=timezone.now(),
                last_error="",
                provider_id=provider_id[:200],
            )
        case Rejected(words, for_good=True):
            _record([mail], state=State.FAILED, last_error=words, claimed_at=None)
        case Rejected(words):
            _retry_later(mail, words, give_up=True)
        case ConnectionFailed(words, had_mail):
            # A server that is away is waited for, however long it takes.
            logger.warning("The mail server failed at mail %s, attempt %s", mail.pk, mail.attempts)
            _retry_later(mail, words, give_up=had_mail, may_have_arrived=had_mail)
        case RenderFailed(error):
            _record_render_failure(mail, error)


def _record_render_failure(mail: OutgoingMail, error: Exception) -> None:
    logger.error("Mail %s could not be written", mail.pk, exc_info=error)
    _retry_later(mail, f"{RENDER_FAILED_PREFIX}{error!r}", give_up=True)


def _retry_later(
    mail: OutgoingMail, words: str, *, give_up: bool, may_have_arrived: bool = False
) -> None:
    long_ago = timezone.now() - mail.created_at > GIVE_UP_AFTER
    if give_up and long_ago and mail.attempts >= GIVE_UP_ATTEMPTS:
        _record([mail], state=State.FAILED, last_error=words)
    else:
        pause = RETRY_DELAYS[min(mail.attempts, len(RETRY_DELAYS)) - 1]
        due_at = timezone.now() + pause
        claim = {} if may_have_arrived else {"claimed_at": None}
        _record([mail], due_at=due_at, last_error=words, **claim)


def _hand_back(mails: Iterable[OutgoingMail], **changes: Any) -> None:
    """Return mails that were claimed but not tried."""
    _record(mails, attempts=F("attempts") - 1, claimed_at=None, **changes)


def _record(mails: Iterable[OutgoingMail], **changes: Any) -> None:
    """Write an outcome, but for mails whose lease ran out: another worker may have them now."""
    if "last_error" in changes:
        # A server's words may be anything; PostgreSQL stores no NUL.
        changes["last_error"] = changes["last_error"].replace("\0", "\ufffd")[:1000]
    for (attempts, until), same in itertools.groupby(mails, key=_claim_of):
        ids = [mail.pk for mail in same]
        ours = OutgoingMail.objects.filter(
            pk__in=ids, state__in=OPEN_STATES, attempts=attempts, due_at=until
        )
        _persist(partial(ours.update, **changes), ids, until)


def _record_sent(mails: Sequence[OutgoingMail]) -> None:
    """Write down that these were sent, just now, by a server that gave them no id."""
    if mails:
        update = partial(_update_sent, mails, timezone.now())
        _persist(update, [mail.pk for mail in mails], min(mail.due_at for mail in mails))


def _update_sent(mails: Sequence[OutgoingMail], now: dt.datetime) -> int:
    moment = connection.ops.adapt_datetimefield_value
    claims = [(mail.pk, mail.attempts, moment(mail.due_at)) for mail in mails]
    with connection.cursor() as cursor:
        cursor.execute(
            RECORD_SENT + ", ".join(["(%s, %s, %s)"] * len(claims)) + ")",
            [moment(now), *itertools.chain(*claims)],
        )
        updated: int = cursor.rowcount
    return updated


def _claim_of(mail: OutgoingMail) -> tuple[int, dt.datetime]:
    """What tells this claim from any other of the same mail: its number, and its lease's end."""
    return mail.attempts, mail.due_at


def _persist(update: Callable[[], int], ids: list[int], until: dt.datetime) -> None:
    """Update these rows, over a new connection when the database has cut ours.

    A mail that was sent but not recorded would be sent again. Until the lease ends nobody else
    can have it: so long a database that is away is waited for; then this raises.
    """
    pause = 0.5
    while True:
        try:
            updated = update()
        except (OperationalError, InterfaceError, InternalError) as error:
            if connection.in_atomic_block or timezone.now() >= until:
                raise
            logger.warning("The database failed while an outcome was recorded: %s", error)
            connection.close()
            time.sleep(pause)
            pause = min(2 * pause, MAX_RECORD_RETRY_SECONDS)
        else:
            break
    if updated < len(ids):
        logger.warning("Of mails %s some were taken over before this was recorded", ids)
