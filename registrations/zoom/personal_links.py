"""Personal links: in events that use them, each seat is a registrant of its meeting at Zoom.

A database query finds the seats that need a link, and a claim is a lease, as in the outbox. Before
people are registered, `call_started_at` is saved. If the answer is lost, the next try first reads
who is registered, so no one is registered twice. Zoom accepts an address three times a day; it
names the time of the next try, and `due_at` keeps it.
"""

import datetime as dt
import logging
import time
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from typing import Any

from django.db import connection, transaction
from django.db.models import F, Q
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext as _

from events import site_settings
from events.clock import Now, database_time
from events.models import Event, Meeting, MeetingQuerySet
from events.text.addresses import ascii_address
from events.zoom import client as zoom_client
from events.zoom import sync
from registrations.mail_kinds import MailKind
from registrations.models import (
    OutgoingMail,
    PersonalLink,
    PersonalLinkQuerySet,
    Registration,
    Seat,
    SeatQuerySet,
)
from registrations.models.registration import is_admitted_seat
from registrations.outbox import mail_queue

logger = logging.getLogger(__name__)

# Calls to Zoom that are under way, and whom each registers.
Calls = dict[Future[sync.RegistrationResults], Sequence[PersonalLink]]

# Links are claimed for a few calls per connection, so that connections rarely wait for a claim.
CONNECTIONS = 4
CLAIM_SIZE = 5 * CONNECTIONS * zoom_client.REGISTRANTS_PER_CALL
SYNC_SECONDS = 10
# Longer than SYNC_SECONDS plus the slowest calls.
LEASE = dt.timedelta(minutes=10)
# After a call that may have succeeded: Zoom's lists lag behind.
RECHECK_DELAY = dt.timedelta(seconds=3)
REJECTED_DELAY = dt.timedelta(hours=1)
MAX_URL_LENGTH = 900
# How long an email waits for Zoom's links. The links to our own join page always work.
EMAIL_HOLD = dt.timedelta(seconds=20)


def sync_links() -> bool:
    """Revoke the links that no one should have and issue the missing ones, for SYNC_SECONDS.

    Returns whether there may be more to do.
    """
    # What was just entered on the page “Set up” counts from now on.
    site_settings.load(fresh=True)
    if not zoom_client.is_configured():
        return False
    end = time.monotonic() + SYNC_SECONDS
    _detach_unqualified()
    for meeting in _upcoming_meetings():
        while time.monotonic() < end and not sync.is_paused() and _revoke_some(meeting):
            pass
    return _issue_missing(end)


def sync_links_soon() -> None:
    """Run `sync_links` in a worker after this transaction, so that revoked links end at once."""
    if zoom_client.is_configured():
        transaction.on_commit(lambda: mail_queue.wake_workers("issue_links"))


def try_again(*, event: Event) -> int:
    """Retry the links that Zoom refused or that wait for a later try. Returns how many."""
    # Links whose call is under way have an `call_started_at`.
    links = PersonalLink.objects.filter(seat__session__event=event, call_started_at=None)
    failed = links.exclude(state=PersonalLink.State.ISSUED)
    count = failed.update(state=PersonalLink.State.WANTED, due_at=Now(), problem="")
    sync_links_soon()
    return count


def awaiting_links(registration_ids: Collection[int]) -> set[int]:
    """The registrations whose links will be issued soon: their emails wait for EMAIL_HOLD."""
    if not zoom_client.is_configured() or sync.is_paused():
        return set()
    seats = wanted_seats(timezone.now()).filter(registration__in=registration_ids)
    missing = seats.filter(
        Q(personal_link=None) | Q(personal_link__state=PersonalLink.State.WANTED)
    )
    return set(missing.values_list("registration", flat=True))


def wanted_seats(now: dt.datetime) -> SeatQuerySet:
    """The seats that should have a link: of admitted people, in a meeting that exists at Zoom."""
    return Seat.objects.admitted().filter(
        session__status="published",
        session__canceled_at=None,
        session__ends_at__gt=now,
        session__event__zoom_mode=Event.ZoomMode.PERSONAL,
        session__meeting__state=Meeting.State.MADE,
        # The meeting at Zoom already requires registration.
        session__meeting__synced_spec__settings__approval_type=sync.MANUAL_APPROVAL,
    )


def detach(links: PersonalLinkQuerySet) -> None:
    """Detach links from their seats. They are revoked at Zoom, and the seats may get new ones."""
    # A link whose call is under way keeps its lease: its worker has yet to record the outcome.
    links.filter(call_started_at=None).update(due_at=Now())
    links.update(seat=None)


def readdress(*, registration: Registration) -> None:
    """The person's address was corrected. For Zoom, upper and lower case are the same address."""
    links = PersonalLink.objects.filter(seat__registration=registration)
    is_same = Q(email__iexact=registration.zoom_email)
    links.filter(is_same).update(email=registration.zoom_email)
    detach(links.exclude(is_same))


def _upcoming_meetings() -> MeetingQuerySet:
    upcoming = Meeting.objects.at_zoom().filter(session__ends_at__gt=timezone.now())
    personal = upcoming.filter(session__event__zoom_mode=Event.ZoomMode.PERSONAL)
    return personal.order_by("session__starts_at")


def _detach_unqualified() -> None:
    """Detach links whose seat no longer qualifies.

    The session's state doesn't matter: people keep their links while it is a draft for a moment,
    or canceled by mistake. A meeting deleted at Zoom takes its links with it.
    """
    PersonalLink.objects.exclude(zoom_id=F("meeting__zoom_id")).delete()
    seated = PersonalLink.objects.filter(seat__isnull=False)
    upcoming = seated.filter(meeting__session__ends_at__gt=timezone.now())
    # A subquery of all admitted seats takes minutes with 50,000 of them.
    qualified = is_admitted_seat("seat__") & Q(email=F("seat__registration__zoom_email"))
    detach(upcoming.exclude(qualified))


# Issuing


def _issue_missing(end: float) -> bool:
    """Register people at Zoom over several connections. Returns whether the time ran out."""
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        for meeting in _upcoming_meetings():
            error = _issue_of_meeting(meeting, pool, end)
            if error and not isinstance(error, zoom_client.ZoomRejected):
                break
    return time.monotonic() >= end


def _issue_of_meeting(
    meeting: Meeting, pool: ThreadPoolExecutor, end: float
) -> zoom_client.ZoomError | None:
    """Register the people of one meeting. Returns an error that ended it early.

    The next links are claimed while calls are under way, so that no connection waits for a claim.
    """
    error: zoom_client.ZoomError | None = None
    calls: Calls = {}
    while True:
        following: Calls = {}
        if not error:
            try:
                following = _start_calls(meeting, pool, end)
            except zoom_client.ZoomError as failure:
                error = failure
        if not calls and not following:
            return error
        error = _finish_calls(calls, following, end) or error
        calls = following


def _start_calls(meeting: Meeting, pool: ThreadPoolExecutor, end: float) -> Calls:
    """Claim some links and start their calls, 30 people in each. Raises ZoomError.

    The pool's threads only call Zoom; they don't use the database.
    """
    if time.monotonic() >= end or sync.is_paused():
        return {}
    links: Sequence[PersonalLink] = _claim_some(meeting)
    try:
        links = _match_existing_registrants(links)
    except zoom_client.ZoomError as error:
        _postpone(links, error)
        raise
    _update(links, call_started_at=timezone.now())
    size = zoom_client.REGISTRANTS_PER_CALL
    chunks = [links[start : start + size] for start in range(0, len(links), size)]
    return {
        pool.submit(sync.register_people, chunk[0].zoom_id, list(map(_person, chunk))): chunk
        for chunk in chunks
    }


def _finish_calls(calls: Calls, following: Calls, end: float) -> zoom_client.ZoomError | None:
    """Record the outcomes. Returns an error of one of the calls.

    After an error, or when the time is up, calls that haven't started are canceled, and their
    links released.
    """
    failure = None
    for call in as_completed(calls):
        if call.cancelled():
            _update(calls[call], call_started_at=None, due_at=Now())
            continue
        try:
            with sync.tracking_account_health():
                outcomes = call.result()
        except zoom_client.ZoomError as error:
            failure = error
            _postpone(calls[call], error)
        else:
            _record(calls[call], outcomes)
        if failure or time.monotonic() >= end:
            for other in (*calls, *following):
                other.cancel()
    return failure


@transaction.atomic
def _claim_some(meeting: Meeting) -> list[PersonalLink]:
    """Lease links to issue: new ones for seats without, else those that are due for another try."""
    assert meeting.zoom_id  # noqa: S101  # It exists at Zoom.
    # Only one worker at a time, or two would create the same links.
    Meeting.objects.select_for_update().get(pk=meeting.pk)
    # Read once: hundreds of rows that each ask for it take longer.
    now = database_time()
    seats = wanted_seats(now).filter(session=meeting.session_id)
    # Registering the address of a detached link would return the registrant to be revoked.
    detached = meeting.personal_links.filter(seat=None).values_list(Lower("email"), flat=True)
    missing = seats.filter(personal_link=None).alias(address=Lower("registration__zoom_email"))
    missing = missing.exclude(address__in=list(detached)).select_related("registration")
    created = PersonalLink.objects.bulk_create(
        PersonalLink(
            seat=seat,
            email=seat.registration.zoom_email,
            meeting=meeting,
            zoom_id=meeting.zoom_id,
            due_at=now + LEASE,
        )
        for seat in missing.order_by("pk")[:CLAIM_SIZE]
    )
    wanted = meeting.personal_links.filter(seat__in=seats, state=PersonalLink.State.WANTED)
    due = wanted.filter(zoom_id=F("meeting__zoom_id"), due_at__lte=Now())
    return created or _claim(due, CLAIM_SIZE)


@transaction.atomic
def _claim(links: PersonalLinkQuerySet, limit: int) -> list[PersonalLink]:
    """Lease some of these links; no other worker gets them."""
    rows = links.select_for_update(skip_locked=True, of=("self",)).order_by("pk")
    claimed = list(rows.select_related("seat__registration")[:limit])
    _update(claimed, due_at=Now() + LEASE)
    return claimed


def _person(link: PersonalLink) -> zoom_client.NewRegistrant:
    name = link.seat.registration.name if link.seat else link.email
    return zoom_client.NewRegistrant(ascii_address(link.email), name)


def _match_existing_registrants(links: Sequence[PersonalLink]) -> Sequence[PersonalLink]:
    """Record the people whom an earlier, unanswered try registered, and return the others."""
    if not any(link.call_started_at for link in links):
        return links
    with sync.tracking_account_health():
        registered = sync.registrants_by_email(links[0].zoom_id)
    _record([link for link in links if _key(link) in registered], registered)
    return [link for link in links if _key(link) not in registered]


def _record(links: Sequence[PersonalLink], outcomes: sync.RegistrationResults) -> None:
    """Save each person's link, or why there is none, and release the emails that waited for it."""
    now = timezone.now()
    issued: list[tuple[int, str, str]] = []
    unnamed = zoom_client.TryLater(_("Zoom didn't say anything about this address."))
    for link in links:
        outcome = outcomes.get(_key(link), unnamed)
        if isinstance(outcome, zoom_client.TryLater | zoom_client.MeetingFull):
            due_at = getattr(outcome, "retry_at", None) or Now() + REJECTED_DELAY
            _update([link], problem=str(outcome), due_at=due_at, call_started_at=None)
            continue
        is_host = getattr(outcome, "code", None) == zoom_client.HOST_CANNOT_REGISTER
        problem = _(
            "Zoom registered this person but gave us no link. A host has to approve them in Zoom."
        )
        if isinstance(outcome, zoom_client.ZoomError):
            problem = str(outcome)
        elif 0 < len(outcome.join_url) <= MAX_URL_LENGTH:
            issued.append((link.pk, outcome.id, outcome.join_url))
            continue
        refused = {"state": PersonalLink.State.REFUSED, "problem": problem, "is_host": is_host}
        _update([link], call_started_at=None, **refused)
    if issued:
        _record_issued(issued, now)
    _release_waiting_emails(links)


def _record_issued(issued: Sequence[tuple[int, str, str]], now: dt.datetime) -> None:
    """Save registrant IDs and join URLs by the links' ids, in one statement.

    With `bulk_update`, issuing 18,000 links takes three times as long (`make bench`). PostgreSQL
    and SQLite use the same names for the columns of VALUES.
    """
    table = connection.ops.quote_name(PersonalLink._meta.db_table)
    rows = ", ".join(["(%s, %s, %s)"] * len(issued))
    moment = connection.ops.adapt_datetimefield_value(now)
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {table} SET state = 'issued', problem = '', call_started_at = NULL, "  # noqa: S608
            "registrant_id = given.column2, join_url = given.column3, issued_at = %s, due_at = %s "
            f"FROM (VALUES {rows}) AS given WHERE id = given.column1",
            [moment, moment, *(value for row in issued for value in row)],
        )


def _postpone(links: Sequence[PersonalLink], error: zoom_client.ZoomError) -> None:
    """A call failed for all of these links: save why, and when to try again."""
    changes: dict[str, Any] = {"problem": str(error), "due_at": Now(), "call_started_at": None}
    if isinstance(error, zoom_client.TryLater):
        changes["due_at"] = error.retry_at or Now() + RECHECK_DELAY
        if error.may_be_done:
            del changes["call_started_at"]
    elif isinstance(error, zoom_client.ZoomRejected):
        changes["due_at"] = Now() + REJECTED_DELAY
        logger.warning("Zoom rejected registrants of meeting %s: %s", links[0].zoom_id, error)
        if isinstance(error, zoom_client.NotFound):
            sync.mark_gone(links[0].zoom_id)
    _update(links, **changes)


def _update(links: Iterable[PersonalLink], **changes: Any) -> None:
    PersonalLink.objects.filter(pk__in=[link.pk for link in links]).update(**changes)


def _release_waiting_emails(links: Iterable[PersonalLink]) -> None:
    """Release emails that were held back until these links were issued."""
    held = OutgoingMail.objects.filter(
        state=OutgoingMail.State.WAITING,
        kind__in=[MailKind.LINKS, MailKind.SCHEDULE, MailKind.PROMOTED],
        attempts=0,
        due_at__gt=Now(),
        registration__seats__personal_link__in=[link.pk for link in links],
    )
    if people := set(held.values_list("registration", flat=True)):
        held.filter(registration__in=people - awaiting_links(people)).update(due_at=Now())
        mail_queue.wake_workers()


def _key(link: PersonalLink) -> str:
    return ascii_address(link.email).lower()


# Revoking


def _revoke_some(meeting: Meeting) -> bool:
    """Cancel some of the meeting's detached links at Zoom. Returns whether there may be more."""
    detached = meeting.personal_links.filter(seat=None, zoom_id=F("meeting__zoom_id"))
    due = detached.filter(due_at__lte=Now())
    links = _claim(due, zoom_client.REGISTRANTS_PER_CALL)
    if not links:
        return False
    zoom_id = links[0].zoom_id
    registrants = [
        zoom_client.Registrant(link.registrant_id, ascii_address(link.email), link.join_url)
        for link in links
        if link.registrant_id
    ]
    # Tries that were never answered may have registered these.
    unanswered = {_key(link) for link in links if link.call_started_at and not link.registrant_id}
    try:
        with sync.tracking_account_health():
            registered = sync.registrants_by_email(zoom_id) if unanswered else {}
            registrants += [registered[email] for email in unanswered if email in registered]
            rejected = sync.revoke(zoom_id, registrants)
    except zoom_client.ZoomError as error:
        _postpone(links, error)
        return False
    for link in links:
        if _key(link) in rejected:
            _postpone([link], rejected[_key(link)])
    revoked = [link.pk for link in links if _key(link) not in rejected]
    PersonalLink.objects.filter(pk__in=revoked, seat=None).delete()
    return True
