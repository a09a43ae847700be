"""HOW a mail leaves: queue, claim, deliver, retry, give up.

The row is the queue. Celery only moves rows: a nudge after the commit for speed, a
beat sweep for certainty. A claim is a lease, kept by moving `due_at` on: when a worker
dies its rows fall due again. What tells one claim from another is its number, `attempts`,
and the lease's end: a worker whose lease ran out cannot write over its successor's result.

No network call happens inside a transaction: claim, commit, send, record.
"""

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
    transaction,
)
from django.db.models import Case, CharField, Exists, F, Field, OuterRef, Value, When
from django.db.models.functions import Cast, Concat
from django.utils import timezone

from events import nudging

from . import pace
from .carrier import Accepted, Broken, Carrier, Outcome, Refused, Unwritable
from .models import Announcement, OutgoingMail, OutgoingMailQuerySet, RegistrationQuerySet

logger = logging.getLogger(__name__)

State, Priority = OutgoingMail.State, OutgoingMail.Priority

BATCH = 100
# After so many seconds a turn ends and the rest is handed back: a worker that is told to
# stop has stopped soon after.
TURN = 10
# How often, in a turn, one looks whether something more urgent has come, or was paused.
LOOK_EVERY = 0.5
PAUSES = [dt.timedelta(seconds=seconds) for seconds in (10, 30, 60, 120, 300, 600, 900)]
GIVE_UP_AFTER = dt.timedelta(days=3)
# Some hours' worth: it may have been paused for days before it was tried at all.
GIVE_UP_ATTEMPTS = 20
# After so many broken connections in a row the rest of the batch is handed back.
TROUBLE_LIMIT = 3
# The longest pause between tries to write an outcome down while the database is away.
LONGEST_RECORD_PAUSE = 8
Kind = OutgoingMail.Kind
# Someone sits and waits for this very mail; the others are for many at a time.
PRIORITIES = dict.fromkeys(
    (Kind.RECEIVED, Kind.LINKS, Kind.PROMOTED, Kind.ACCOUNT, Kind.TEST), Priority.AT_ONCE
)
PRIORITIES |= {Kind.THANKS: Priority.IN_TURN, Kind.ANNOUNCEMENT: Priority.IN_TURN}
# While a row is in one of these, its outcome is still to be written.
OPEN_STATES = (State.WAITING, State.PAUSED, State.DROPPED)
# What `_record` does for a mail that was sent, ten thousand times: the ORM takes longer to put
# it into words than a connection takes to carry a mail.
RECORD_SENT = (
    "UPDATE registrations_outgoingmail SET state = 'sent', sent_at = %s, last_error = '' "
    "WHERE state IN ('waiting', 'paused', 'dropped') AND (id, attempts, due_at) IN (VALUES "
)
# How the words begin that a mail is left with when it cannot be written.
UNWRITABLE = "The mail could not be written: "
# What may be tried anew. Whoever called a mail spam is left in peace.
AGAIN_STATES = (State.FAILED, State.BOUNCED)


class Later(Exception):
    """There is no message now; from this moment on there may be one."""

    def __init__(self, moment: dt.datetime) -> None:
        super().__init__(moment)
        self.moment = moment


# Given a batch, whatever its mails share is made once; then each is written by itself.
# None: the mail is no longer needed. Raises Later.
Writer = Callable[[OutgoingMail], EmailMessage | None]
Prepare = Callable[[Sequence[OutgoingMail]], Writer]
Fetched = tuple[list[OutgoingMail], Writer]


def lease() -> dt.timedelta:
    """How long claimed mails are a worker's: a turn, as long again for MAIL_PER_MINUTE, a sending.

    A mail whose lease has become too short for a sending is handed back, see `Turn.run`.
    """
    return dt.timedelta(seconds=2 * TURN) + longest_sending()


def longest_sending() -> dt.timedelta:
    """How long a server may take for one mail: some 15 answers, each just in time."""
    return dt.timedelta(seconds=15 * settings.EMAIL_TIMEOUT)


def queue(mails: Iterable[OutgoingMail]) -> None:
    """Owe people mails, in the caller's transaction. The same key again is harmless."""
    OutgoingMail.objects.bulk_create(map(_in_its_turn, mails), ignore_conflicts=True)
    transaction.on_commit(nudge)


def _in_its_turn(mail: OutgoingMail) -> OutgoingMail:
    mail.priority = PRIORITIES.get(Kind(mail.kind), Priority.SOON)
    return mail


def queue_all(people: RegistrationQuerySet, *, key: str, kind: str, **fields: Any) -> int:
    """Owe each of these people a mail in one INSERT ... SELECT, in the caller's transaction.

    The mail's key is `key` and the registration's id; whoever has that mail already gets no
    other. `fields` are columns of OutgoingMail. Returns how many mails are new.
    """
    mail = _in_its_turn(OutgoingMail(kind=kind, **fields))
    meta = OutgoingMail._meta
    own = {"id", "key", "registration"}
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
        transaction.on_commit(nudge)
    return queued


def _plain(field: Any) -> Field:
    """The field that a column's values are written as; a foreign key's is its target's."""
    return field.target_field if field.is_relation else field


def send_again(mails: OutgoingMailQuerySet) -> int:
    """Owe failed mails anew, in the caller's transaction: as if queued now. Returns how many.

    Those of a paused announcement wait for it to go on; those of a stopped one stay as they are.
    """
    now = timezone.now()
    failed = mails.filter(state__in=AGAIN_STATES)
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
        sent_at=None,
        last_error="",
        provider_id="",
    )
    transaction.on_commit(nudge)
    return again


def nudge(task: str = "deliver_mails", *, gather: float = 0) -> None:
    """Tell a worker that there is work."""
    # What takes turns itself gives way, after a turn, to what has waited longer.
    nudging.nudge(f"registrations.tasks.{task}", gather=gather, expires=TURN)


def message_id(mail: OutgoingMail) -> str:
    """The same for every attempt, so that a mail that does come twice is seen as one."""
    return f"<{mail.pk}.{mail.created_at:%Y%m%d%H%M%S%f}@{settings.SITE_ADDRESS.hostname}>"


def claim(*, limit: int = BATCH) -> list[OutgoingMail]:
    """Lease up to `limit` due mails, the most urgent first; no one else gets them."""
    now = timezone.now()
    with transaction.atomic():
        # Those that failed before come last: a few bad ones cannot keep the others waiting.
        due = OutgoingMail.objects.due(now).order_by("priority", "attempts", "due_at", "pk")
        if connection.features.has_select_for_update_skip_locked:
            due = due.select_for_update(skip_locked=True)
        ids = list(due.values_list("pk", flat=True)[:limit])
        OutgoingMail.objects.filter(pk__in=ids).update(
            due_at=now + lease(), attempts=F("attempts") + 1, in_hand=True
        )
    claimed = OutgoingMail.objects.filter(pk__in=ids).select_related("registration")
    return list(claimed.order_by("priority", "attempts", "pk"))


def deliver_due(
    prepare: Prepare,
    *,
    note_left: Callable[[Sequence[EmailMessage]], None] = lambda messages: None,
    give_sign: Callable[[], None] = lambda: None,
) -> bool:
    """Send due mails for at most one turn. Returns whether more may be due.

    `note_left` is told soon of messages that have left, or may have. While a mail server takes its
    time, a sign of life is given again and again.
    """
    lanes = ThreadPoolExecutor(settings.MAIL_CONNECTIONS)
    with lanes as pool, contextlib.closing(Supply(prepare)) as supply:
        turn = Turn(supply, pool, note_left, give_sign)
        try:
            return turn.run()
        finally:
            turn.finish()


class Supply:
    """Claimed mails, and what writes them, a batch at a time.

    With several connections the next batch is fetched in a thread of its own, over its own
    database connection, while this one is sent: they would all stand still for it otherwise.
    """

    def __init__(self, prepare: Prepare) -> None:
        self._prepare = prepare
        self._aside = ThreadPoolExecutor(1) if settings.MAIL_CONNECTIONS > 1 else None
        self._next: Future[Fetched | None] | None = None
        self._may_have_more = True

    def fetch(self) -> Fetched | None:
        """The next mails to send, the last of them first; None when no more are due."""
        fetching, self._next = self._next, None
        fetched = fetching.result() if fetching else self._fetched()
        self._may_have_more = fetched is not None and len(fetched[0]) == BATCH
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
        claimed = claim(limit=BATCH)
        try:
            return (claimed[::-1], self._prepare(claimed)) if claimed else None
        except BaseException:
            _hand_back(claimed, due_at=timezone.now())
            raise


class Turn:
    """A worker's turn at the mails: each connection has at most one of them in hand.

    While one travels the next is written. What became of a mail is recorded before its
    connection gets another, so that a process that is killed leaves, for each of its
    connections, at most one mail of which nobody knows that it was sent.
    """

    def __init__(
        self,
        supply: Supply,
        pool: ThreadPoolExecutor,
        note_left: Callable[[Sequence[EmailMessage]], None],
        give_sign: Callable[[], None],
    ) -> None:
        self._supply, self._pool = supply, pool
        self._note_left, self._give_sign = note_left, give_sign
        self._left: list[EmailMessage] = []
        self._claimed: list[OutgoingMail] = []
        self._ahead: deque[tuple[OutgoingMail, EmailMessage]] = deque()
        self._lanes = settings.MAIL_CONNECTIONS
        self._free = [Carrier() for _ in range(self._lanes)]
        self._arrived: queues.SimpleQueue[Future[Outcome]] = queues.SimpleQueue()
        self._travelling: dict[Future[Outcome], tuple[OutgoingMail, EmailMessage, Carrier]] = {}
        self._trouble, self._troubles = "", 0
        self._next_look = time.monotonic() + LOOK_EVERY
        self._end = time.monotonic() + TURN
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
            if self._troubles >= TROUBLE_LIMIT:
                return False
            mail, message = self._ahead[0]
            if timezone.now() + longest_sending() > mail.due_at:
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
        if self._troubles >= TROUBLE_LIMIT:
            self._due_again = timezone.now() + PAUSES[0]
        unsent = [mail for mail, _message in self._ahead] + self._claimed
        for carrier in self._free:
            carrier.close()
        _hand_back(unsent, due_at=self._due_again, **changes)
        self._supply.hand_back(due_at=self._due_again, **changes)
        self._note()

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
            if len(self._claimed) <= BATCH // 2:
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
        self._note()
        self._next_look = time.monotonic() + LOOK_EVERY

    def _note(self) -> None:
        if self._left:
            self._note_left(self._left)
            self._left = []

    def _written(self, mail: OutgoingMail) -> EmailMessage | None:
        """The mail's message; None when there is nothing to send, which is recorded."""
        try:
            message = self._write(mail)
        except Later as later:
            _hand_back([mail], due_at=later.moment)
            return None
        except Exception as error:  # One mail that cannot be written must not hold up the others.
            _unwritable(mail, error)
            return None
        if message is None:
            _record([mail], state=State.DROPPED)
            return None
        message.extra_headers["Message-ID"] = message_id(mail)
        # Providers give it back with their reports; see `bounces`.
        message.metadata = {"mail": message_id(mail)}  # type: ignore[attr-defined]
        return message

    def _has_slot(self) -> bool:
        """Wait for the moment that MAIL_PER_MINUTE allows; False when that is another turn."""
        patience = timezone.now() + dt.timedelta(seconds=TURN)
        slot = pace.reserve(until=patience)
        if slot > patience:
            # From that moment on anyone may take the slot: the most urgent must be due by then.
            self._due_again = slot - dt.timedelta(seconds=TURN)
            return False
        while (left := (slot - timezone.now()).total_seconds()) > 0:
            if self._travelling:
                self._receive(timeout=left)
            else:
                time.sleep(left)
        return True

    def _receive(self, timeout: float = LOOK_EVERY) -> None:
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
            mail, message, carrier = self._travelling.pop(travelled)
            self._free.append(carrier)
            outcome = travelled.result()
            match outcome:
                case Accepted() | Broken(had_mail=True):
                    self._left.append(message)
            self._troubles = self._troubles + 1 if isinstance(outcome, Broken) else 0
            self._trouble = outcome.words if isinstance(outcome, Broken) else ""
            if outcome == Accepted():
                taken.append(mail)
            else:
                _settle(mail, outcome)
        _record_sent(taken)


def _settle(mail: OutgoingMail, outcome: Outcome) -> None:
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
        case Refused(words, for_good=True):
            _record([mail], state=State.FAILED, last_error=words)
        case Refused(words):
            _try_again(mail, words, give_up=True)
        case Broken(words, had_mail):
            # A server that is away is waited for, however long it takes.
            logger.warning("The mail server failed at mail %s, attempt %s", mail.pk, mail.attempts)
            _try_again(mail, words, give_up=had_mail, in_hand=had_mail)
        case Unwritable(error):
            _unwritable(mail, error)


def _unwritable(mail: OutgoingMail, error: Exception) -> None:
    logger.error("Mail %s could not be written", mail.pk, exc_info=error)
    _try_again(mail, f"{UNWRITABLE}{error!r}", give_up=True)


def _try_again(mail: OutgoingMail, words: str, *, give_up: bool, in_hand: bool = False) -> None:
    long_ago = timezone.now() - mail.created_at > GIVE_UP_AFTER
    if give_up and long_ago and mail.attempts >= GIVE_UP_ATTEMPTS:
        _record([mail], state=State.FAILED, last_error=words)
    else:
        pause = PAUSES[min(mail.attempts, len(PAUSES)) - 1]
        due_at = timezone.now() + pause
        _record([mail], due_at=due_at, last_error=words, in_hand=in_hand)


def _hand_back(mails: Iterable[OutgoingMail], **changes: Any) -> None:
    """Return mails that were claimed but not tried."""
    _record(mails, attempts=F("attempts") - 1, **changes)


def _record(mails: Iterable[OutgoingMail], **changes: Any) -> None:
    """Write an outcome, but for mails whose lease ran out: another worker may have them now."""
    changes = {"in_hand": False} | changes
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
            pause = min(2 * pause, LONGEST_RECORD_PAUSE)
        else:
            break
    if updated < len(ids):
        logger.warning("Of mails %s some were taken over before this was recorded", ids)
