"""Who attended: from Zoom's reports during a session, and from its participant list afterwards."""

import datetime as dt
import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence

from django.db import InterfaceError, OperationalError, transaction
from django.db.models import F, Q
from django.utils import timezone

from events import background
from events.models import Meeting, Session, ZoomReport
from events.zoom import client as zoom_client
from events.zoom import sync
from events.zoom.client import Participant
from registrations.models import Attendance, PersonalLink, Seat, email_key
from registrations.zoom import reports, webhooks

logger = logging.getLogger(__name__)

# How long a repeated report is recognized. Zoom repeats them for an hour and a half.
REPORTS_KEPT_FOR = dt.timedelta(days=1)
# When Zoom's participant list can be read, after the end of the meeting.
LIST_READY_AFTER, LIST_READY_UNTIL = dt.timedelta(minutes=30), dt.timedelta(days=2)
# The same time in a report and in the list can differ by some seconds.
TOLERANCE = dt.timedelta(seconds=5)


# Reports


def apply_reports(now: dt.datetime | None = None, limit: int = 2000, batch_size: int = 100) -> None:
    """Apply up to `limit` of Zoom's reports, in order; those about people in batches.

    Several workers may do so at the same time.
    """
    now = now or timezone.now()
    done = 0
    for kinds, size in ((reports.HANDLERS, 1), (reports.PRESENCE_KINDS, batch_size)):
        while done < limit and (count := _apply_next(kinds, size, now)):
            done += count
    if done >= limit:
        background.wake_workers(webhooks.APPLY_TASK)
    # They contain names of people.
    ZoomReport.objects.filter(done_at__lt=now - REPORTS_KEPT_FOR).delete()


@transaction.atomic
def _apply_next(kinds: Collection[str], size: int, now: dt.datetime) -> int:
    """Apply the oldest reports that no other worker has locked. Returns how many there were."""
    waiting = ZoomReport.objects.filter(done_at=None, kind__in=kinds).order_by("pk")
    batch = list(waiting.select_for_update(skip_locked=True)[:size])
    if batch:
        _apply_or_skip(batch)
        ids = [report.pk for report in batch]
        ZoomReport.objects.filter(pk__in=ids).update(done_at=now)
    return len(batch)


def _apply_or_skip(batch: Sequence[ZoomReport]) -> None:
    """Apply reports together, or one by one if one of them fails.

    A report that fails alone is logged and not tried again: it would fail again.
    """
    try:
        with transaction.atomic():
            _apply(batch)
    except (OperationalError, InterfaceError):
        # The database failed, not the report. The next run tries again.
        raise
    except Exception:
        if len(batch) == 1:
            logger.exception("Zoom report %s, %s, could not be applied", batch[0].pk, batch[0].kind)
            return
        for report in batch:
            _apply_or_skip([report])


def _apply(batch: Sequence[ZoomReport]) -> None:
    meetings = Meeting.objects.filter(
        zoom_id__in={report.zoom_id for report in batch}, session__isnull=False
    ).select_related("session__event")
    meetings_by_id = {meeting.zoom_id: meeting for meeting in meetings}
    stays: dict[tuple[Session, str], list[Participant]] = defaultdict(list)
    for report in batch:
        meeting = meetings_by_id.get(report.zoom_id)
        if meeting is None or meeting.session is None:
            continue
        details = report.payload["object"]
        if handler := reports.HANDLERS.get(report.kind):
            handler(meeting, details, report.received_at)
        else:
            stays[meeting.session, details["uuid"]].append(_participant(report))
    for (session, uuid), participants in stays.items():
        save_participants(session, uuid, participants)


def _participant(report: ZoomReport) -> Participant:
    """The person who joined or left, with one of the two times."""
    person = report.payload["object"]["participant"]
    has_joined = report.kind == reports.JOINED
    at = zoom_client.parse_time(person.get("join_time" if has_joined else "leave_time"))
    at = at or report.received_at
    return Participant(
        registrant_id=str(person.get("registrant_id") or ""),
        # `user_id` changes in breakout rooms, `participant_uuid` doesn't.
        user_id=str(person.get("participant_uuid") or person["user_id"]),
        name=str(person.get("user_name") or ""),
        email=str(person.get("email") or ""),
        joined_at=at if has_joined else None,
        left_at=None if has_joined else at,
    )


# Stays in a meeting


@transaction.atomic
def save_participants(session: Session, uuid: str, participants: Sequence[Participant]) -> None:
    """Save who was in one instance, `uuid`, of a session's meeting, and tick their seats.

    `user_id` identifies a stay in the instance. Each participant needs at least one of the two
    times; the other may have been saved before, or be saved later. No tick is removed.
    """
    seats = _seat_ids(session, participants)
    rows: dict[str, Attendance] = {}
    for participant, seat in zip(participants, seats, strict=True):
        row = rows.setdefault(
            participant.user_id,
            Attendance(
                session=session,
                uuid=_storable(uuid, 100),
                participant=_storable(participant.user_id, 100),
                registrant_id=_storable(participant.registrant_id, 100),
                name=_storable(participant.name, 200),
                email=_storable(participant.email, 254),
            ),
        )
        row.seat_id = row.seat_id or seat
        row.joined_at = participant.joined_at or row.joined_at
        row.left_at = participant.left_at or row.left_at
    # Sorted, so that two workers don't deadlock.
    ordered = [rows[user_id] for user_id in sorted(rows)]
    for known in (["joined_at"], ["left_at"], ["joined_at", "left_at"]):
        Attendance.objects.bulk_create(
            [row for row in ordered if _known_times(row) == known],
            update_conflicts=True,
            unique_fields=["uuid", "participant"],
            update_fields=known,
        )
    attended = {seat for seat in seats if seat}
    Seat.objects.filter(pk__in=attended, attended=False).update(attended=True)


def _known_times(row: Attendance) -> list[str]:
    return [name for name in ("joined_at", "left_at") if getattr(row, name)]


def _storable(value: str, max_length: int) -> str:
    text: str = webhooks.storable(value)
    return text[:max_length]


def _seat_ids(session: Session, participants: Sequence[Participant]) -> list[int | None]:
    """Each participant's seat, found by personal link, or else by email address."""
    registrant_ids = {participant.registrant_id for participant in participants} - {""}
    links = PersonalLink.objects.filter(
        meeting__session=session, registrant_id__in=registrant_ids, seat__isnull=False
    )
    by_link = dict(links.values_list("registrant_id", "seat"))
    keys = [
        "" if participant.registrant_id in by_link else _email_key(participant.email)
        for participant in participants
    ]
    seats = Seat.objects.filter(
        session=session, registration__canceled_at=None, registration__email_key__in={*keys} - {""}
    )
    by_email = dict(seats.values_list("registration__email_key", "pk"))
    return [
        by_link.get(participant.registrant_id) or by_email.get(key)
        for participant, key in zip(participants, keys, strict=True)
    ]


def _email_key(email: str) -> str:
    try:
        return email_key(email) if email else ""
    except UnicodeError:
        return ""


@transaction.atomic
def match(*, attendance: Attendance, seat: Seat) -> int:
    """Save whose attendance it was, also for others in the session with its name and email.

    Returns how many were matched. Raises ValueError if the seat is in another session.
    """
    if seat.session_id != attendance.session_id:
        raise ValueError("The seat and the attendance are in different sessions.")
    same = Q(pk=attendance.pk)
    if attendance.name and attendance.email:
        same |= Q(seat=None, name=attendance.name, email=attendance.email)
    matched = Attendance.objects.filter(same, session=seat.session_id).update(seat=seat)
    Seat.objects.filter(pk=seat.pk).update(attended=True)
    return matched


# Zoom's participant list


def complete_ended() -> None:
    """Complete, once, the attendance of meetings whose participant list is ready."""
    now = timezone.now()
    meetings = Meeting.objects.at_zoom().filter(
        session__isnull=False,
        ended_at__gt=now - LIST_READY_UNTIL,
        ended_at__lte=now - LIST_READY_AFTER,
    )
    is_complete = Q(counted_at__gte=F("ended_at") + LIST_READY_AFTER)
    incomplete = meetings.exclude(is_complete, counted_at__isnull=False)
    for meeting in incomplete.select_related("session"):
        if sync.is_paused():
            return
        before, row = meeting.counted_at, Meeting.objects.filter(pk=meeting.pk)
        if not row.filter(counted_at=before).update(counted_at=now):
            # Another worker was faster.
            continue
        try:
            complete(meeting)
        except zoom_client.TryLater:
            row.update(counted_at=before)
        except zoom_client.ZoomError as error:
            logger.warning("No participant list of Zoom meeting %s: %s", meeting.zoom_id, error)


def complete(meeting: Meeting) -> None:
    """Add what the reports missed, from Zoom's participant list of the ended meeting.

    Raises ZoomError.
    """
    session = meeting.session
    if session is None or not meeting.zoom_id:
        return
    with sync.tracking_account_health():
        participants = zoom_client.past_participants(meeting.zoom_id or 0)
    listed = [each for each in participants if each.joined_at]
    with transaction.atomic():
        if new := _fill_in(session, listed):
            # The list doesn't name the meeting's instance; the first time of joining identifies it.
            first = min(each.joined_at for each in listed if each.joined_at)
            save_participants(session, f"{meeting.zoom_id}/{first:%Y%m%dT%H%M%S}", new)


def _fill_in(session: Session, listed: Iterable[Participant]) -> list[Participant]:
    """Add missing times to the known stays. Returns the participants who are new."""
    known: dict[object, list[Attendance]] = defaultdict(list)
    for row in session.attendances.select_for_update().order_by("pk"):
        known[_identity(row)].append(row)
    matches, new = [], []
    for participant in listed:
        rows = [row for row in known[_identity(participant)] if _overlap(row, participant)]
        # Of someone erased, only the times are known.
        rows = rows or [row for row in known["", ""] if _joined_together(row, participant)]
        matches += [(row, participant) for row in rows if len(_known_times(row)) == 1]
        if not rows:
            new.append(participant)
    for row, participant in matches:
        row.joined_at = row.joined_at or participant.joined_at
        row.left_at = row.left_at or participant.left_at
    Attendance.objects.bulk_update({row for row, _ in matches}, ["joined_at", "left_at"], 100)
    return new


def _identity(person: Attendance | Participant) -> object:
    """What identifies a person both in Zoom's reports and in its list."""
    return person.registrant_id or (person.name, person.email)


def _overlap(row: Attendance, listed: Participant) -> bool:
    """Whether both stays overlap, as far as their times are known."""
    began, ended = row.joined_at or row.left_at, row.left_at or row.joined_at
    if not (began and ended and listed.joined_at):
        return False
    return listed.joined_at <= ended + TOLERANCE and (
        listed.left_at is None or listed.left_at >= began - TOLERANCE
    )


def _joined_together(row: Attendance, listed: Participant) -> bool:
    if not (row.joined_at and listed.joined_at):
        return False
    return abs(row.joined_at - listed.joined_at) <= TOLERANCE
