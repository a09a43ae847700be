"""Personal links: where an event has them, each seat is a registrant of the meeting at Zoom.

As in `outbox` and `events.meetings`: what is owed is asked of the database, a claim is a lease,
and a try whose outcome nobody knows is followed by one that first reads what is there.
"""

import contextlib
import datetime as dt
import logging
import time
from collections import deque
from collections.abc import Collection, Generator, Iterable, Iterator, Sequence, Set
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction
from django.db.models import F, Q
from django.db.models.functions import Lower
from django.utils import timezone

from events.models import Event, Meeting, MeetingQuerySet
from events.zoom import client as zoom_client
from events.zoom import sync
from registrations.models import (
    OutgoingMail,
    PersonalLink,
    PersonalLinkQuerySet,
    Seat,
    SeatQuerySet,
)
from registrations.outbox import mail_queue

logger = logging.getLogger(__name__)

State = PersonalLink.State

# How many are claimed at once, and by how many connections they are asked for.
CLAIM = 10 * zoom_client.REGISTRANTS_PER_CALL
CONNECTIONS = 4
# So many calls wait for a connection, so that none is idle while the next people are claimed.
AHEAD = 3 * CONNECTIONS
# A worker's turn, in seconds; a lease outlives the calls of one claim, each just in time.
TURN = 10
LEASE = dt.timedelta(minutes=10)
LOOK_AFTER = dt.timedelta(seconds=3)
LONGEST_URL = 900
REFUSED_PAUSE = dt.timedelta(hours=1)
# A mail with links waits so long for those of Zoom; our own, which it has anyhow, always work.
EMAIL_HOLD = dt.timedelta(seconds=20)


@dataclass(frozen=True)
class Batch:
    """Leased links of people in one meeting, for one call."""

    meeting: Meeting
    links: list[PersonalLink]

    @property
    def zoom_id(self) -> int:
        assert self.meeting.zoom_id  # noqa: S101  # It is at Zoom.
        return self.meeting.zoom_id


def awaited_by(registration_ids: Collection[int]) -> set[int]:
    """Of these people, those whose links will soon be issued: their mail should wait MAIL_WAIT."""
    if not sync.is_configured() or sync.is_paused():
        return set()
    lacking = wanted_seats(timezone.now()).filter(registration__in=registration_ids)
    lacking = lacking.exclude(personal_link__state__in=[State.ISSUED, State.REFUSED])
    return set(lacking.values_list("registration", flat=True))


def sync_links() -> bool:
    """Take away links that nobody should have, and issue those that are owed, for one turn.

    Returns whether there may be more to do.
    """
    if not sync.is_configured():
        return False
    end = time.monotonic() + TURN
    _detach_unqualified()
    for meeting in _personal_meetings():
        while time.monotonic() < end and not sync.is_paused() and _revoke_some(meeting):
            pass
    return _issue_missing(end)


def sync_links_soon() -> None:
    """Have a worker do so after this transaction: a link that is taken away should end at once."""
    if sync.is_configured():
        transaction.on_commit(lambda: mail_queue.wake_workers("issue_links"))


def try_again(*, event: Event) -> int:
    """Ask anew for the links that Zoom refused or that have to wait. Returns how many."""
    # A call that is under way is left to whoever made it.
    links = PersonalLink.objects.filter(seat__session__event=event, asked_at=None)
    links = links.exclude(state=State.ISSUED)
    again = links.update(state=State.WANTED, due_at=timezone.now(), problem="")
    sync_links_soon()
    return again


# What is owed


def wanted_seats(now: dt.datetime) -> SeatQuerySet:
    """The seats that should have a link: of people who come, in a meeting that is at Zoom."""
    return Seat.objects.admitted().filter(
        session__status="published",
        session__canceled_at=None,
        session__ends_at__gt=now,
        session__event__zoom_mode=Event.ZoomMode.PERSONAL,
        session__meeting__state=Meeting.State.MADE,
        # Zoom knows already that people are registered.
        session__meeting__synced_spec__settings__approval_type=sync.MANUAL_APPROVAL,
    )


def _personal_meetings() -> MeetingQuerySet:
    personal = Q(session__event__zoom_mode=Event.ZoomMode.PERSONAL)
    to_come = Meeting.objects.at_zoom().filter(personal, session__ends_at__gt=timezone.now())
    return to_come.order_by("session__starts_at")


def _detach_unqualified() -> None:
    """Part links from seats that should not have them any more.

    What becomes of the session is no reason: people keep their links while it is a draft for a
    moment, or canceled by mistake. Those of a meeting that is deleted end with it.
    """
    now = timezone.now()
    # A meeting that is not there any more took its links with it.
    PersonalLink.objects.exclude(zoom_id=F("meeting__zoom_id")).delete()
    to_come = PersonalLink.objects.filter(meeting__session__ends_at__gt=now, seat__isnull=False)
    kept = Q(seat__in=Seat.objects.admitted()) & Q(email=F("seat__registration__email"))
    detach(to_come.exclude(kept))


def detach(links: PersonalLinkQuerySet) -> None:
    """Have links taken away; their seats may get others then."""
    parted = PersonalLink.objects.filter(pk__in=list(links.values_list("pk", flat=True)))
    # One that is being asked for is left to whoever does, who will write down what it is.
    parted.filter(asked_at=None).update(due_at=timezone.now())
    parted.update(seat=None)


# Issuing


def _issue_missing(end: float) -> bool:
    """Issue links over several connections; the next are claimed while those before are asked for.

    Returns whether the turn ended before the links did.
    """
    asked: dict[Future[sync.RegistrationResults], Batch] = {}
    goes_on, refusing = True, set[int]()
    batches = _claimed_batches(end, refusing)
    with ThreadPoolExecutor(CONNECTIONS) as pool, contextlib.closing(batches):
        while True:
            while goes_on and len(asked) < AHEAD and (batch := next(batches, None)):
                people = list(map(_person, batch.links))
                asked[pool.submit(sync.register_people, batch.zoom_id, people)] = batch
            if not asked:
                return time.monotonic() >= end
            for answered in wait(asked, return_when=FIRST_COMPLETED).done:
                batch = asked.pop(answered)
                trouble = _take(batch, answered)
                if isinstance(trouble, zoom_client.Rejected):
                    refusing.add(batch.meeting.pk)
                elif trouble:
                    goes_on = False
                    _hand_back([asked.pop(other) for other in list(asked) if other.cancel()])


def _claimed_batches(end: float, refusing: Set[int]) -> Generator[Batch, None, None]:
    """What is owed, leased, thirty people of one meeting at a time; closed, it returns the rest.

    Of a meeting that is `refusing` no more are claimed.
    """
    for meeting in _personal_meetings():
        while time.monotonic() < end and not sync.is_paused():
            links = _claim_some(meeting)
            if not links:
                break
            links = _match_existing_registrants(meeting, links)
            rest = deque(Batch(meeting, chunk) for chunk in _chunks(links))
            try:
                while rest and meeting.pk not in refusing:
                    yield rest.popleft()
            finally:
                _hand_back(rest)
            if meeting.pk in refusing:
                break


def _chunks(links: list[PersonalLink]) -> Iterator[list[PersonalLink]]:
    for start in range(0, len(links), zoom_client.REGISTRANTS_PER_CALL):
        yield links[start : start + zoom_client.REGISTRANTS_PER_CALL]


def _hand_back(batches: Iterable[Batch]) -> None:
    """Return what was claimed but not asked for."""
    for batch in batches:
        _change(batch.links, asked_at=None, due_at=timezone.now())


def _claim_some(meeting: Meeting) -> list[PersonalLink]:
    now = timezone.now()
    seats = wanted_seats(now).filter(session=meeting.session_id)
    waiting = PersonalLink.objects.filter(state=State.WANTED, due_at__lte=now)
    # Zoom would give the same registrant again, who is to be taken away.
    parted = PersonalLink.objects.filter(meeting=meeting, seat=None)
    leaving = parted.annotate(address=Lower("email")).values_list("address", flat=True)
    lacking = seats.filter(personal_link=None).annotate(address=Lower("registration__email"))
    return _claim_new(meeting, lacking.exclude(address__in=list(leaving))) or _claim(
        waiting.filter(meeting=meeting, seat__in=seats)
    )


def _claim_new(meeting: Meeting, seats: SeatQuerySet) -> list[PersonalLink]:
    """Make leased links for some of these seats, which have none."""
    now = timezone.now()
    assert meeting.zoom_id  # noqa: S101  # It is at Zoom.
    about = {"meeting": meeting, "zoom_id": meeting.zoom_id, "due_at": now + LEASE, "attempts": 1}
    with transaction.atomic():
        # One worker at a time, or both would make the same.
        Meeting.objects.select_for_update().get(pk=meeting.pk)
        return PersonalLink.objects.bulk_create(
            PersonalLink(seat=seat, email=seat.registration.email, **about)
            for seat in seats.select_related("registration").order_by("pk")[:CLAIM]
        )


def _claim(links: PersonalLinkQuerySet, limit: int = CLAIM) -> list[PersonalLink]:
    """Lease some of these links; nobody else gets them."""
    with transaction.atomic():
        rows = links.order_by("pk")
        if connection.features.has_select_for_update_skip_locked:
            rows = rows.select_for_update(skip_locked=True, of=("self",))
        claimed = list(rows.select_related("seat__registration")[:limit])
        _change(claimed, due_at=timezone.now() + LEASE, attempts=F("attempts") + 1)
    return claimed


def _person(link: PersonalLink) -> zoom_client.Person:
    name = link.seat.registration.name if link.seat else link.email
    return zoom_client.Person(link.email, name)


def _match_existing_registrants(meeting: Meeting, links: list[PersonalLink]) -> list[PersonalLink]:
    """Record those whom an earlier try registered, if there was one; return the others."""
    others = links
    if any(link.asked_at for link in links):
        try:
            with sync.tracking_account_health():
                there = sync.registrants_by_email(meeting.zoom_id or 0)
        except zoom_client.ZoomError as error:
            _put_off(Batch(meeting, links), error)
            return []
        known = [link for link in links if _key(link) in there]
        _record(known, there)
        _release_held_mails(known)
        others = [link for link in links if _key(link) not in there]
    _change(others, asked_at=timezone.now())
    return others


def _take(batch: Batch, answered: Future[sync.RegistrationResults]) -> zoom_client.ZoomError | None:
    """Record what Zoom said to a batch. Returns what was wrong."""
    try:
        with sync.tracking_account_health():
            outcomes = answered.result()
    except zoom_client.ZoomError as error:
        _put_off(batch, error)
        return error
    _record(batch.links, outcomes)
    _release_held_mails(batch.links)
    return None


def _record(links: Sequence[PersonalLink], outcomes: sync.RegistrationResults) -> None:
    """Write down each person's link, or why there is none."""
    now = timezone.now()
    issued = []
    for link in links:
        outcome = outcomes.get(
            _key(link), zoom_client.TryLater("Zoom said nothing of this address.")
        )
        if isinstance(outcome, zoom_client.Registrant) and 0 < len(outcome.join_url) <= LONGEST_URL:
            issued.append((link.pk, outcome.id, outcome.join_url))
        elif isinstance(outcome, zoom_client.Registrant):
            words = "Zoom registered this person, but gave no link. A host has to approve them."
            _change([link], state=State.REFUSED, problem=words, asked_at=None)
        elif isinstance(outcome, zoom_client.TryLater):
            due_at = outcome.retry_at or now + REFUSED_PAUSE
            _change([link], problem=str(outcome), due_at=due_at, asked_at=None)
        else:
            _change([link], state=State.REFUSED, problem=str(outcome), asked_at=None)
    if issued:
        _update_issued(issued, now)


def _update_issued(issued: Sequence[tuple[int, str, str]], now: dt.datetime) -> None:
    """Write down ids at Zoom and addresses by the links' ids, thousands with other values each.

    PostgreSQL and SQLite give the columns of VALUES the same names.
    """
    table = connection.ops.quote_name(PersonalLink._meta.db_table)
    rows = ", ".join(["(%s, %s, %s)"] * len(issued))
    moment = connection.ops.adapt_datetimefield_value(now)
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {table} SET state = 'issued', problem = '', asked_at = NULL, "  # noqa: S608
            "registrant_id = given.column2, join_url = given.column3, issued_at = %s, due_at = %s "
            f"FROM (VALUES {rows}) AS given WHERE id = given.column1",
            [moment, moment, *(value for row in issued for value in row)],
        )


def _put_off(batch: Batch, error: zoom_client.ZoomError) -> None:
    """Nothing was issued: say why, and try again later."""
    now = timezone.now()
    if isinstance(error, zoom_client.TryLater):
        due_at = error.retry_at or now + LOOK_AFTER
        asked = {} if error.may_be_done else {"asked_at": None}
    elif isinstance(error, zoom_client.SettingsError):
        due_at, asked = now, {"asked_at": None}
    else:
        due_at, asked = now + REFUSED_PAUSE, {"asked_at": None}
        logger.warning("Zoom registers nobody for meeting %s: %s", batch.zoom_id, error)
        if isinstance(error, zoom_client.NotFound):
            sync.mark_gone(batch.zoom_id)
    _change(batch.links, problem=str(error), due_at=due_at, **asked)


def _change(links: Iterable[PersonalLink], **changes: Any) -> None:
    PersonalLink.objects.filter(pk__in=[link.pk for link in links]).update(**changes)


def _release_held_mails(links: Iterable[PersonalLink]) -> None:
    """Mails that waited for these links wait no longer, when the person has them all."""
    now = timezone.now()
    waiting = OutgoingMail.objects.filter(
        state=OutgoingMail.State.WAITING,
        kind__in=[OutgoingMail.Kind.LINKS, OutgoingMail.Kind.PROMOTED],
        attempts=0,
        due_at__gt=now,
        registration__seats__personal_link__in=[link.pk for link in links],
    )
    people = dict(waiting.values_list("pk", "registration"))
    if not people:
        return
    lacking = awaited_by(set(people.values()))
    ready = [pk for pk, person in people.items() if person not in lacking]
    OutgoingMail.objects.filter(pk__in=ready).update(due_at=now)
    mail_queue.wake_workers()


def _key(link: PersonalLink) -> str:
    return link.email.casefold()


# Taking away


def _revoke_some(meeting: Meeting) -> bool:
    """Take some of the meeting's links away at Zoom. Returns whether there may be more."""
    parted = PersonalLink.objects.filter(meeting=meeting, seat=None, due_at__lte=timezone.now())
    links = _claim(parted, zoom_client.REGISTRANTS_PER_CALL)
    if not links:
        return False
    batch = Batch(meeting, links)
    try:
        with sync.tracking_account_health():
            sync.revoke(batch.zoom_id, _registrants(batch.zoom_id, links))
    except zoom_client.ZoomError as error:
        _put_off(batch, error)
        return False
    PersonalLink.objects.filter(pk__in=[link.pk for link in links], seat=None).delete()
    return True


def _registrants(zoom_id: int, links: Sequence[PersonalLink]) -> list[zoom_client.Registrant]:
    """These people as Zoom knows them; whose try was never answered may be there as well."""
    unknown = {_key(link) for link in links if link.asked_at and not link.registrant_id}
    there = sync.registrants_by_email(zoom_id) if unknown else {}
    known = [
        zoom_client.Registrant(link.registrant_id, link.email, link.join_url)
        for link in links
        if link.registrant_id
    ]
    return known + [there[email] for email in unknown if email in there]
