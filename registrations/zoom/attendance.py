"""Applies Zoom's reports, and finds out who attended.

People are found in the reports during a session, and in Zoom's participant list afterwards. Reports
about the session itself are left to reports.py.
"""

import datetime as dt
import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from django.db import InterfaceError, OperationalError, transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Coalesce, Greatest
from django.utils import timezone

from events import background
from events.models import Meeting, Session, ZoomReport
from events.text import parsing
from events.zoom import client as zoom_client
from events.zoom import sync
from events.zoom.client import Participant
from registrations.models import Attendance, PersonalLink, Seat, email_key_or_blank
from registrations.validators import name_key
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
        details = parsing.mapping(report.payload.get("object"))
        if handler := reports.HANDLERS.get(report.kind):
            handler(meeting, details, report.received_at)
        else:
            uuid = parsing.text(details.get("uuid"), 100)
            stays[meeting.session, uuid].append(_participant(details, report))
    for (session, uuid), participants in stays.items():
        save_participants(session, uuid, participants)


def _participant(details: Mapping[str, Any], report: ZoomReport) -> Participant:
    """The person who joined or left, with one of the two times. Raises ValueError."""
    person = parsing.mapping(details.get("participant"))
    # `user_id` changes in breakout rooms, `participant_uuid` doesn't.
    user_id = parsing.text(person.get("participant_uuid")) or parsing.text(person.get("user_id"))
    if not (user_id and parsing.text(details.get("uuid"))):
        raise ValueError("The report doesn't say who or which instance of the meeting.")
    has_joined = report.kind == reports.JOINED
    at = parsing.time(person.get("join_time" if has_joined else "leave_time"))
    at = at or report.received_at
    return Participant(
        registrant_id=parsing.text(person.get("registrant_id")),
        user_id=user_id,
        name=parsing.text(person.get("user_name")),
        email=parsing.text(person.get("email")),
        joined_at=at if has_joined else None,
        left_at=None if has_joined else at,
    )


# Stays in a meeting


@transaction.atomic
def save_participants(session: Session, uuid: str, participants: Sequence[Participant]) -> None:
    """Save who was in one instance, `uuid`, of a session's meeting.

    Their seats are ticked if they were there during the session: a rehearsal doesn't count.

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
                instance_uuid=parsing.text(uuid, 100),
                participant_id=parsing.text(participant.user_id, 100),
                registrant_id=parsing.text(participant.registrant_id, 100),
                name=parsing.text(participant.name, 200),
                email=parsing.text(participant.email, 254),
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
            unique_fields=["instance_uuid", "participant_id"],
            update_fields=known,
        )
    seat_of = {row.participant_id: row.seat_id for row in ordered}
    stays = Attendance.objects.filter(
        instance_uuid=parsing.text(uuid, 100), participant_id__in=seat_of
    )
    _tick_present(session, stays, seat_of)


def _tick_present(
    session: Session, stays: QuerySet[Attendance], seat_of: Mapping[str, int | None]
) -> None:
    """Tick the seats of these stays if they were during the session.

    `seat_of` has seats, by participant, of stays that were saved without one.
    """
    present = stays.filter(_is_during(session)).values_list("participant_id", "seat")
    seats = [seat or seat_of.get(participant) for participant, seat in present]
    attended = {seat for seat in seats if seat}
    Seat.objects.filter(pk__in=attended, attended=False).update(attended=True)


def _is_during(session: Session) -> Q:
    """Stays that overlap the session, as far as their times are known."""
    begin, end = session.doors_open_at, session.attendance_until
    stays_on = Q(joined_at__lt=begin, left_at__gt=end)
    return Q(joined_at__range=(begin, end)) | Q(left_at__range=(begin, end)) | stays_on


def _known_times(row: Attendance) -> list[str]:
    return [name for name in ("joined_at", "left_at") if getattr(row, name)]


def _seat_ids(session: Session, participants: Sequence[Participant]) -> list[int | None]:
    """Each participant's seat, found by personal link, or else by email address.

    Their address is their mailbox's, or the one of ours that Zoom knows them by.
    """
    registrant_ids = {participant.registrant_id for participant in participants} - {""}
    links = PersonalLink.objects.filter(
        meeting__session=session, registrant_id__in=registrant_ids, seat__isnull=False
    )
    by_link = dict(links.values_list("registrant_id", "seat"))
    keys = [
        "" if participant.registrant_id in by_link else email_key_or_blank(participant.email)
        for participant in participants
    ]
    known = {*keys} - {""}
    address = Q(registration__email_key__in=known) | Q(registration__zoom_email__in=known)
    seats = Seat.objects.filter(address, session=session, registration__canceled_at=None)
    by_email: dict[str, dict[str, int]] = defaultdict(dict)
    columns = ("email_key", "zoom_email", "name_key")
    paths = [f"registration__{column}" for column in columns]
    for mailbox, zoom_email, name, seat in seats.values_list(*paths, "pk"):
        by_email[mailbox][name] = by_email[zoom_email][name] = seat
    return [
        by_link.get(participant.registrant_id) or _seat_of(participant.name, by_email.get(key, {}))
        for participant, key in zip(participants, keys, strict=True)
    ]


def _seat_of(name: str, seats: Mapping[str, int]) -> int | None:
    """The seat of someone with this name, among people who share a mailbox, by their name keys.

    With only one, it's theirs whatever they call themselves. Otherwise an organizer decides.
    """
    return next(iter(seats.values())) if len(seats) == 1 else seats.get(name_key(name))


@transaction.atomic
def match(*, attendance: Attendance, seat: Seat) -> int:
    """Save whose attendance it was, also for others in the session with its name and email.

    Only for this one if the person shares a mailbox with others in the session: they may use the
    same name and email in Zoom. Returns how many were matched. Raises ValueError if the seat is in
    another session.
    """
    if seat.session_id != attendance.session_id:
        raise ValueError("The seat and the attendance are in different sessions.")
    same = Q(pk=attendance.pk)
    family = Seat.objects.filter(
        session=seat.session_id,
        registration__canceled_at=None,
        registration__email_key=seat.registration.email_key,
    )
    if attendance.name and attendance.email and not family.exclude(pk=seat.pk).exists():
        same |= Q(seat=None, name=attendance.name, email=attendance.email)
    matched = Attendance.objects.filter(same, session=seat.session_id).update(seat=seat)
    if seat.attendances.filter(_is_during(seat.session)).exists():
        Seat.objects.filter(pk=seat.pk).update(attended=True)
    return matched


# Zoom's participant list


def complete_ended() -> None:
    """Complete, once, the attendance of meetings whose participant list is ready."""
    now = timezone.now()
    for meeting in _incomplete(now):
        if sync.is_paused():
            return
        before, row = meeting.attendance_read_at, Meeting.objects.filter(pk=meeting.pk)
        if not row.filter(attendance_read_at=before).update(attendance_read_at=now):
            # Another worker was faster.
            continue
        try:
            complete(meeting)
        except zoom_client.TryLater:
            row.update(attendance_read_at=before)
        except zoom_client.ZoomError as error:
            logger.warning("No participant list of Zoom meeting %s: %s", meeting.zoom_id, error)


def _incomplete(now: dt.datetime) -> QuerySet[Meeting]:
    """Meetings whose list is ready, counted from the session's end or the meeting's, if later.

    Zoom's report of the meeting's end may be missing, or be about an earlier run.
    """
    session_end = F("session__ends_at")
    meetings = Meeting.objects.at_zoom().filter(session__canceled_at=None, session__isnull=False)
    ended = meetings.annotate(
        last_end=Greatest(Coalesce("ended_at", session_end), session_end)
    ).filter(last_end__gt=now - LIST_READY_UNTIL, last_end__lte=now - LIST_READY_AFTER)
    complete = Q(attendance_read_at__gte=F("last_end") + LIST_READY_AFTER)
    return ended.exclude(complete, attendance_read_at__isnull=False).select_related(
        "session__event"
    )


def complete(meeting: Meeting) -> None:
    """Add what the reports missed, from Zoom's participant lists of the ended meeting.

    Raises ZoomError.
    """
    session = meeting.session
    if session is None or not meeting.zoom_id:
        return
    for run in sync.past_participants(meeting):
        listed = [(each.joined_at, each) for each in run if each.joined_at]
        with transaction.atomic():
            new = _fill_in(session, [each for _joined_at, each in listed])
            if new:
                # A number is unique in a run only; the first time of joining identifies the run.
                first = min(joined_at for joined_at, _each in listed)
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
    completed = {row for row, _ in matches}
    if completed:
        Attendance.objects.bulk_update(completed, ["joined_at", "left_at"], 100)
        stays = session.attendances.filter(pk__in=[row.pk for row in completed])
        _tick_present(session, stays, {})
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
