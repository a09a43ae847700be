"""Who was there: from Zoom's reports while a session runs, and from its list afterwards."""

import datetime as dt
import logging
from collections.abc import Iterable, Sequence

from django.db import InterfaceError, OperationalError, transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from events import background
from events.models import Meeting, Session, ZoomReport
from events.zoom import client as zoom_client
from events.zoom import sync
from events.zoom.client import Participant
from registrations.models import Attendance, PersonalLink, Seat, email_key
from registrations.zoom import reports, webhooks

logger = logging.getLogger(__name__)

# How many reports one turn works on, and how many of people's coming and going at once.
TURN = 2000
BATCH = 100
# So long the same report sent again is known to be done; Zoom repeats it for an hour and a half.
KEPT_FOR = dt.timedelta(days=1)
# When Zoom's list of who was there can be read, from the meeting's end on.
LISTED_AFTER, LISTED_FOR = dt.timedelta(minutes=30), dt.timedelta(days=2)
# The same moment in a report and in the list is not always the same second.
SLACK = dt.timedelta(seconds=5)
# Name and address of someone of whom nothing is known, or nothing any more.
NOBODY = ("", "")


class OtherSession(Exception):
    """The seat belongs to another session than the one that was attended."""


# Reports


def apply_reports(now: dt.datetime | None = None, limit: int = TURN) -> None:
    """Work on what Zoom has reported, in order; several workers may at the same time."""
    now = now or timezone.now()
    done = 0
    for kinds, at_once in ((reports.HANDLERS, 1), (reports.PRESENCES, BATCH)):
        while done < limit and (count := _apply_next(kinds, at_once, now)):
            done += count
    if done >= limit:
        background.wake_workers(webhooks.APPLY_TASK)
    # They hold people's names.
    ZoomReport.objects.filter(done_at__lt=now - KEPT_FOR).delete()


@transaction.atomic
def _apply_next(kinds: Iterable[str], at_once: int, now: dt.datetime) -> int:
    """Work on the oldest reports that nobody has in hand. Returns how many there were."""
    waiting = ZoomReport.objects.filter(done_at=None, kind__in=kinds).order_by("pk")
    reports = list(waiting.select_for_update(skip_locked=True)[:at_once])
    if reports:
        _work_on(reports)
        ids = [report.pk for report in reports]
        ZoomReport.objects.filter(pk__in=ids).update(done_at=now)
    return len(reports)


def _work_on(reports: Sequence[ZoomReport]) -> None:
    """All together; when one of them is bad, each by itself.

    One that is bad would be so again, as all that it depends on is in it: it is not tried twice.
    """
    try:
        with transaction.atomic():
            _apply(reports)
    except (OperationalError, InterfaceError):
        # The database's trouble, not the reports': they are there for the next turn.
        raise
    except Exception:
        if len(reports) > 1:
            for report in reports:
                _work_on([report])
        else:
            kind, number = reports[0].kind, reports[0].pk
            logger.exception("Zoom's report %s, %s, could not be worked on", number, kind)


def _apply(batch: Sequence[ZoomReport]) -> None:
    found: dict[int | None, Meeting | None] = {}
    presences: dict[tuple[Session, str], list[Participant]] = {}
    for report in batch:
        if report.kind in reports.HANDLERS:
            reports.apply(report)
            continue
        if report.zoom_id not in found:
            found[report.zoom_id] = reports.meeting_of(report)
        meeting = found[report.zoom_id]
        if meeting and meeting.session:
            instance = meeting.session, report.payload["object"]["uuid"]
            presences.setdefault(instance, []).append(_presence(report))
    for (session, uuid), participants in presences.items():
        take_participants(session, uuid, participants)


def _presence(report: ZoomReport) -> Participant:
    """Who came or went, and when."""
    person = report.payload["object"]["participant"]
    joined_at = left_at = None
    if report.kind == reports.JOINED:
        joined_at = zoom_client.parse_time(person.get("join_time")) or report.received_at
    else:
        left_at = zoom_client.parse_time(person.get("leave_time")) or report.received_at
    return Participant(
        registrant_id=str(person.get("registrant_id") or ""),
        # It stays the same in breakout rooms, where `user_id` is another.
        user_id=str(person.get("participant_uuid") or person["user_id"]),
        name=str(person.get("user_name") or ""),
        email=str(person.get("email") or ""),
        joined_at=joined_at,
        left_at=left_at,
    )


# Presences


@transaction.atomic
def take_participants(session: Session, uuid: str, participants: Sequence[Participant]) -> None:
    """Write down presences in one instance, `uuid`, of a session's meeting, and whose they are.

    They are told apart by `user_id`, which is unique in the instance. Each needs one moment at
    least; the other may come later, or has come before. Nobody's tick is taken away.
    """
    seats = _seats(session, participants)
    rows: dict[str, Attendance] = {}
    for each, seat in zip(participants, seats, strict=True):
        row = rows.setdefault(
            each.user_id,
            Attendance(
                session=session,
                uuid=_text(uuid, 100),
                participant=_text(each.user_id, 100),
                registrant_id=_text(each.registrant_id, 100),
                name=_text(each.name, 200),
                email=_text(each.email, 254),
            ),
        )
        row.seat_id = row.seat_id or seat
        row.joined_at = each.joined_at or row.joined_at
        row.left_at = each.left_at or row.left_at
    # All workers in one order: they do not wait for each other in a circle.
    ordered = [rows[key] for key in sorted(rows)]
    for known in (["joined_at"], ["left_at"], ["joined_at", "left_at"]):
        Attendance.objects.bulk_create(
            [row for row in ordered if _moments(row) == known],
            update_conflicts=True,
            unique_fields=["uuid", "participant"],
            update_fields=known,
        )
    found = {seat for seat in seats if seat}
    if found:
        Seat.objects.filter(pk__in=found, attended=False).update(attended=True)


def _moments(row: Attendance) -> list[str]:
    return [name for name in ("joined_at", "left_at") if getattr(row, name)]


def _text(value: str, longest: int) -> str:
    text: str = webhooks.storable(value)
    return text[:longest]


def _seats(session: Session, participants: Sequence[Participant]) -> list[int | None]:
    """The id of each one's seat: by personal link, else by address."""
    ids = {each.registrant_id for each in participants} - {""}
    links = PersonalLink.objects.filter(meeting__session=session, registrant_id__in=ids)
    by_id = dict(links.values_list("registrant_id", "seat"))
    keys = {_key(each.email) for each in participants if not by_id.get(each.registrant_id)} - {""}
    seats = Seat.objects.filter(session=session, registration__canceled_at=None)
    seats = seats.filter(registration__email_key__in=keys)
    by_email = dict(seats.values_list("registration__email_key", "pk"))
    return [
        by_id.get(each.registrant_id) or by_email.get(_key(each.email)) for each in participants
    ]


def _key(email: str) -> str:
    try:
        return email_key(email) if email else ""
    except UnicodeError:
        return ""


# Verbs


@transaction.atomic
def match(*, attendance: Attendance, seat: Seat) -> int:
    """Say whose presence it was, and of others by the same name and address. Returns how many.

    Raises OtherSession.
    """
    if seat.session_id != attendance.session_id:
        raise OtherSession
    same = Q(pk=attendance.pk)
    if attendance.name and attendance.email:
        same |= Q(
            seat=None,
            session=attendance.session_id,
            name=attendance.name,
            email=attendance.email,
        )
    matched = Attendance.objects.filter(same).update(seat=seat)
    Seat.objects.filter(pk=seat.pk).update(attended=True)
    return matched


def complete_ended() -> None:
    """Complete the attendance of meetings that have ended a while ago, once."""
    now = timezone.now()
    for meeting in _uncounted(now):
        if sync.is_paused() or meeting.session is None:
            return
        before, ours = meeting.counted_at, Meeting.objects.filter(pk=meeting.pk)
        if not ours.filter(counted_at=before).update(counted_at=now):
            continue
        try:
            complete(meeting.session)
        except zoom_client.TryLater:
            ours.update(counted_at=before)
        except zoom_client.ZoomError as error:
            logger.warning("Zoom does not tell who was in %s: %s", meeting.zoom_id, error)


def _uncounted(now: dt.datetime) -> QuerySet[Meeting]:
    """Those that ended lately, but so long ago that Zoom's list is there."""
    ended = Meeting.objects.at_zoom().filter(
        session__isnull=False, ended_at__gt=now - LISTED_FOR, ended_at__lte=now - LISTED_AFTER
    )
    known = Q(counted_at__gte=F("ended_at") + LISTED_AFTER)
    return ended.exclude(known, counted_at__isnull=False).select_related("session")


def complete(session: Session) -> None:
    """Fill in from Zoom's own list, once the meeting has ended, what its reports did not tell.

    Raises zoom.ZoomError.
    """
    meeting = session.meeting_or_none
    if meeting is None or not meeting.zoom_id:
        return
    listed = [each for each in sync.past_participants(meeting) if each.joined_at]
    with transaction.atomic():
        new = _fill_in(session, listed)
        if new:
            # Which instance it was Zoom does not say: the moment of its first joining tells.
            first = min(each.joined_at for each in listed if each.joined_at)
            take_participants(session, f"{meeting.zoom_id}/{first:%Y%m%dT%H%M%S}", new)


def _fill_in(session: Session, listed: Iterable[Participant]) -> list[Participant]:
    """Give presences that are known the moments they lack; returns those that are new."""
    known: dict[object, list[Attendance]] = {}
    for row in session.attendances.select_for_update().order_by("pk"):
        known.setdefault(_who(row), []).append(row)
    filled, new = [], []
    for each in listed:
        rows = [row for row in known.get(_who(each), []) if _is_same_stay(row, each)]
        # Of someone erased the moment is all that is known.
        rows = rows or [row for row in known.get(NOBODY, []) if _joined_together(row, each)]
        filled += [(row, each) for row in rows if len(_moments(row)) == 1]
        new += [] if rows else [each]
    for row, each in filled:
        row.joined_at = row.joined_at or each.joined_at
        row.left_at = row.left_at or each.left_at
    Attendance.objects.bulk_update({row for row, _ in filled}, ["joined_at", "left_at"], 100)
    return new


def _who(presence: Attendance | Participant) -> object:
    """What Zoom's reports and its list have in common of someone."""
    return presence.registrant_id or (presence.name, presence.email)


def _is_same_stay(row: Attendance, listed: Participant) -> bool:
    """Whether both are of the same time, as far as it is known."""
    began, ended = row.joined_at or row.left_at, row.left_at or row.joined_at
    if not (began and ended and listed.joined_at):
        return False
    return listed.joined_at <= ended + SLACK and (
        listed.left_at is None or listed.left_at >= began - SLACK
    )


def _joined_together(row: Attendance, listed: Participant) -> bool:
    if not (row.joined_at and listed.joined_at):
        return False
    return abs(row.joined_at - listed.joined_at) <= SLACK
