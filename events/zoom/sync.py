"""Keeps the meetings at Zoom in sync with their sessions, through `events.zoom.client`.

Nothing is queued: after each edit and every few seconds, a query finds the meetings that differ
from their session. A claim is a lease. Before a call that creates or changes something,
`Meeting.call_started_at` is recorded, and before one that deletes, the state DELETING. Until its
answer, the outcome of that call is unknown, and the next attempt first reads what is at Zoom. No
call is made inside a transaction.
"""

import datetime as dt
import functools
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.db.models import F, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from events import languages, schedule, site_settings
from events.clock import Now, database_time
from events.models import Event, Meeting, Session, ZoomAccount, split_emails
from events.zoom import client as zoom_client

logger = logging.getLogger(__name__)

Step = Callable[[], None]
# By address: the link, or why there is none.
RegistrationResults = Mapping[str, zoom_client.Registrant | zoom_client.ZoomError]

# A lease is twice as long as this many calls may take.
MAX_CALLS_PER_STEP = 8
CHECK_INTERVAL = dt.timedelta(hours=1)
CHECK_INTERVAL_NEAR_START = dt.timedelta(minutes=10)
NEAR_START = dt.timedelta(hours=2)
# While Zoom fails, calls pause for 1, 2, 4 ... seconds, up to this.
MAX_PAUSE_SECONDS = 300
# A new meeting may appear in Zoom's list only after a moment.
LISTING_DELAY = dt.timedelta(seconds=3)
# A longer wait after a 429 means a daily limit, not a limit per second.
MAX_RATE_LIMIT_WAIT = dt.timedelta(minutes=1)
# Rejections of a call with registrants that are not about one of them.
ABOUT_THE_CALL = {
    zoom_client.PAID_PLAN_NEEDED,
    zoom_client.MEETING_NOT_FOUND,
    zoom_client.SCOPE_MISSING,
}
# Zoom ends a meeting after 30 hours.
LONGEST_MEETING = dt.timedelta(hours=30)
REJECTED_RETRY_DELAY = dt.timedelta(hours=1)
# Zoom's values of `type` and `approval_type`. With manual approval, people who find Zoom's own
# registration form have to wait for the host; those that we register are approved at once.
SCHEDULED_MEETING, MANUAL_APPROVAL, NO_REGISTRATION = 2, 1, 2
# Stored, and translated where they are shown.
GONE_MESSAGE = gettext_noop(
    "Someone deleted this meeting in Zoom. We'll create a new one only if you ask for it."
)
FORCED_MESSAGE = gettext_noop(
    "Your Zoom account's settings override some of this meeting's settings."
)
# The fields of a meeting that is to be made at Zoom, and is not there yet.
NOT_MADE = {
    **{"zoom_id": None, "synced_spec": None, "join_url": ""},
    **{"meeting_id": "", "passcode": "", "phone_passcode": ""},
}


def is_paused() -> bool:
    """Whether calls are paused because Zoom is unavailable or rejects the credentials."""
    return ZoomAccount.objects.filter(resumes_at__gt=Now()).exists()


# What a meeting should be


def spec(session: Session) -> zoom_client.Json:
    """What the session's meeting should be at Zoom, as the JSON that Zoom takes."""
    event = session.event
    seconds = int((session.ends_at - session.starts_at).total_seconds())
    return {
        "topic": _topic(session),
        "type": SCHEDULED_MEETING,
        # As text, because zoomus would append a Z to a time in any zone.
        "start_time": f"{session.starts_at.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%SZ}",
        "timezone": "UTC",
        "duration": -(-seconds // 60),
        "agenda": f"Kept up to date by {settings.SITE_URL}. Reference: {_tag(session)}",
        "settings": {
            "approval_type": MANUAL_APPROVAL if event.has_personal_links else NO_REGISTRATION,
            # Our own emails have the links.
            "registrants_confirmation_email": False,
            "registrants_email_notification": False,
            "alternative_hosts_email_notification": False,
            "alternative_hosts": ";".join(split_emails(event.zoom_alternative_hosts)),
            "waiting_room": event.zoom_waiting_room,
            "mute_upon_entry": event.zoom_mute_on_entry,
            "join_before_host": False,
        },
    }


def _topic(session: Session) -> str:
    """The session and its event, with the session's short title if the other one is too long."""
    longest = zoom_client.MAX_TOPIC_CHARACTERS
    with languages.in_main_language():
        titles = (session.title, session.brief_title)
        topics = [" ".join(f"{title} · {session.event.name}".split()) for title in titles]
    return next((each for each in topics if len(each) <= longest), topics[-1])[:longest]


def _tag(session: Session) -> str:
    """Identifies the session's meeting in the host's list of meetings."""
    return f"strategyweek:{session.uid}"


def _host(session: Session) -> str:
    return session.event.zoom_host or "me"


def _current_spec(session: Session) -> zoom_client.Json:
    """The value of `Meeting.synced_spec` if Zoom were up to date."""
    return {**spec(session), "captions": session.event.zoom_captions}


def is_synced(session: Session) -> bool:
    """Whether Zoom has the current data of the session's meeting."""
    meeting = session.meeting_or_none
    return meeting is not None and meeting.synced_spec == _current_spec(session)


# Syncing


def sync_meetings() -> None:
    """Create, update, delete and check meetings as their sessions require."""
    # What was just entered on the page “Set up” counts from now on.
    site_settings.load(fresh=True)
    if not zoom_client.is_configured():
        return
    _create_rows()
    now = database_time()
    for meeting in _due_meetings(now):
        if is_paused():
            return
        step = _next_step(meeting, now)
        if step and _claim(meeting):
            _attempt(step, meeting)


def _create_rows() -> None:
    """Create a row for each meeting to be created at Zoom."""
    now = database_time()
    sessions = Session.objects.open_to_register(now).exclude(event__zoom_mode=Event.ZoomMode.PASTED)
    missing = sessions.filter(meeting=None)
    rows = [Meeting(session=each, state=Meeting.State.WANTED, due_at=now) for each in missing]
    Meeting.objects.bulk_create(rows, ignore_conflicts=True)
    pasted = Meeting.objects.filter(session__in=sessions, state=Meeting.State.PASTED)
    pasted.update(state=Meeting.State.WANTED, due_at=now)
    Meeting.objects.filter(session=None, zoom_id=None).delete()


def _due_meetings(now: dt.datetime) -> QuerySet[Meeting]:
    """Meetings that may need a step, the next session's first."""
    upcoming = ~Q(session__event__zoom_mode=Event.ZoomMode.PASTED) & Q(
        session__ends_at__gt=now,
        state__in=[Meeting.State.WANTED, Meeting.State.MADE, Meeting.State.DELETING],
    )
    meetings = Meeting.objects.filter(upcoming | Q(session=None), due_at__lte=now)
    by_start = F("session__starts_at").asc(nulls_last=True)
    return meetings.select_related("session__event").order_by(by_start)


def _next_step(meeting: Meeting, now: dt.datetime) -> Step | None:
    """What a meeting needs now, if anything."""
    session, zoom_id = meeting.session, meeting.zoom_id
    if session is None:
        return functools.partial(_delete, meeting)
    if zoom_id is None or meeting.state == Meeting.State.WANTED:
        if session.takes_place:
            return functools.partial(_create, meeting, session)
        return (
            functools.partial(_undo_create, meeting, session) if meeting.call_started_at else None
        )
    if session.canceled_at:
        is_due = deletes_at(session, session.canceled_at) <= now
        return functools.partial(_delete, meeting) if is_due else None
    if meeting.state == Meeting.State.DELETING:
        return functools.partial(_undo_delete, meeting, session, zoom_id)
    if meeting.call_started_at or not is_synced(session):
        return functools.partial(_update, meeting, session, zoom_id)
    is_near = session.starts_at - now < NEAR_START
    interval = CHECK_INTERVAL_NEAR_START if is_near else CHECK_INTERVAL
    if meeting.checked_at is None or meeting.checked_at + interval <= now:
        return functools.partial(_check, meeting, session, zoom_id)
    return None


def deletes_at(session: Session, canceled_at: dt.datetime) -> dt.datetime:
    """When to delete a canceled session's meeting: with the emails, so undoing keeps its link.

    While organizers hold the emails, it stays until the doors would open: no one is to meet in it.
    """
    moment = canceled_at + session.event.settle_time
    if session.notices_held_at:
        return max(moment, session.doors_open_at)
    return max(moment, session.notify_at or moment)


def _claim(meeting: Meeting) -> bool:
    unclaimed = Meeting.objects.filter(pk=meeting.pk, due_at=meeting.due_at, state=meeting.state)
    meeting.attempts += 1
    meeting.due_at = database_time() + _lease()
    return bool(unclaimed.update(due_at=meeting.due_at, attempts=meeting.attempts))


def _lease() -> dt.timedelta:
    return dt.timedelta(seconds=2 * MAX_CALLS_PER_STEP * settings.ZOOM_TIMEOUT)


def _attempt(step: Step, meeting: Meeting) -> None:
    """Run the step, and record the error if it fails."""
    try:
        with tracking_account_health():
            step()
    except zoom_client.TryLater as error:
        # While the outcome of a call is unknown, a look at Zoom's lists is due soon.
        is_unknown = error.may_be_done or meeting.call_started_at
        pause = LISTING_DELAY if is_unknown else _growing_pause(meeting.attempts)
        due_at = error.retry_at or database_time() + pause
        changes = {} if error.may_be_done else {"call_started_at": meeting.call_started_at}
        _record(meeting, problem=str(error), due_at=due_at, **changes)
    except zoom_client.SettingsError as error:
        _record(meeting, problem=str(error), due_at=database_time())
    except zoom_client.NotFound:
        _record(meeting, due_at=database_time())
        mark_gone(meeting.zoom_id or 0)
    except zoom_client.ZoomRejected as error:
        logger.warning("Zoom rejected meeting %s: %s", meeting.pk, error)
        due_at = database_time() + REJECTED_RETRY_DELAY
        _record(meeting, problem=str(error), due_at=due_at, call_started_at=None)


def _growing_pause(failures: int) -> dt.timedelta:
    """1, 2, 4 ... seconds, up to five minutes."""
    return dt.timedelta(seconds=min(2 ** min(failures, 30), MAX_PAUSE_SECONDS))


def _record(meeting: Meeting, **changes: Any) -> bool:
    """Save a result. Returns False if the lease expired and another worker claimed the meeting."""
    claimed = Meeting.objects.filter(
        pk=meeting.pk, attempts=meeting.attempts, due_at=meeting.due_at
    )
    return bool(claimed.update(**changes))


def _record_success(meeting: Meeting, **changes: Any) -> None:
    now = database_time()
    success = {
        "problem": "",
        "call_started_at": None,
        "attempts": 0,
        "due_at": now,
        "checked_at": now,
    }
    _record(meeting, **success | changes)


def _create(meeting: Meeting, session: Session) -> None:
    """Create a meeting, unless an earlier attempt did and its response was lost."""
    found, synced_spec = None, None
    # While Zoom fails, try a call that reads first: Zoom counts those that create by the day.
    if meeting.call_started_at or ZoomAccount.objects.exclude(failures=0).exists():
        found = _find_earlier_attempt(session)
    if found is None:
        if not _record(meeting, call_started_at=Now()):
            return
        found = zoom_client.create_meeting(_host(session), spec(session))
        synced_spec = {**_current_spec(session), "captions": False}
    try:
        with schedule.edit_session(session.pk):
            _record_success(
                meeting,
                state=Meeting.State.MADE,
                zoom_id=found.id,
                synced_spec=synced_spec,
                was_resent=False,
                **_join_details(found),
            )
            _fill_in_numbers(meeting, found)
    except Session.DoesNotExist:
        _record(meeting, zoom_id=found.id)
        meeting.zoom_id, meeting.session = found.id, None
        _delete(meeting)


def _find_earlier_attempt(session: Session) -> zoom_client.ZoomMeeting | None:
    """The meeting that an attempt without a response created, if it did."""
    for listed in zoom_client.list_meetings(_host(session)):
        if _tag(session) in listed.agenda:
            return zoom_client.get_meeting(listed.id)
    return None


def _undo_create(meeting: Meeting, session: Session) -> None:
    """The session no longer takes place: delete what an earlier attempt may have created."""
    if found := _find_earlier_attempt(session):
        zoom_client.delete_meeting(found.id)
    _record_success(meeting)


def _join_details(found: zoom_client.ZoomMeeting) -> dict[str, str]:
    digits = str(found.id)
    spaced = f"{digits[:3]} {digits[3:-4]} {digits[-4:]}"
    # Zoom also sends it when it's the same.
    differs = found.phone_passcode != found.passcode
    return {
        "join_url": found.join_url,
        "meeting_id": spaced,
        "passcode": found.passcode,
        "phone_passcode": found.phone_passcode if differs else "",
    }


def _fill_in_numbers(meeting: Meeting, found: zoom_client.ZoomMeeting) -> None:
    """Take Zoom's phone numbers, unless an organizer entered some."""
    if found.dial_in:
        Meeting.objects.filter(pk=meeting.pk, dial_in="").update(dial_in=found.dial_in)


def _update(meeting: Meeting, session: Session, zoom_id: int) -> None:
    """Send Zoom the current data, if it differs: Zoom allows a hundred updates a day."""
    current, host = _current_spec(session), _host(session)
    is_outdated = {**(meeting.synced_spec or {}), "captions": current["captions"]} != current
    if meeting.call_started_at or is_outdated:
        # After a lost response it is unknown what Zoom has.
        is_unknown = meeting.call_started_at or not meeting.synced_spec
        found = zoom_client.get_meeting(zoom_id) if is_unknown else None
        if found is None or not _matches(found, session):
            _record(meeting, call_started_at=Now())
            zoom_client.update_meeting(host, zoom_id, spec(session))
    # A setting of the host: not sent again with every edit, unless it was rejected.
    has_captions = (meeting.synced_spec or {}).get("captions") and not meeting.problem
    problem = ""
    if current["captions"] and not has_captions:
        try:
            zoom_client.enable_captions(host)
        except (zoom_client.ZoomRejected, zoom_client.SettingsError) as error:
            # The meeting works without captions too.
            text = _("The meeting is ready, but we couldn't turn on captions: %(error)s")
            problem = text % {"error": error}
    was_resent = meeting.synced_spec is None
    _record_success(meeting, synced_spec=current, was_resent=was_resent, problem=problem)


def _check(meeting: Meeting, session: Session, zoom_id: int) -> None:
    """Compare with what is at Zoom. If it differs, the next step updates it once.

    If it still differs after that, the settings of the Zoom account force it.
    """
    found = zoom_client.get_meeting(zoom_id)
    changes: dict[str, Any] = {"problem": meeting.problem}
    if _matches(found, session):
        changes |= {"synced_spec": _current_spec(session), "was_resent": False}
    elif meeting.was_resent:
        changes["problem"] = FORCED_MESSAGE
    else:
        changes |= {"synced_spec": None, "problem": ""}
    with schedule.edit_session(session.pk):
        _record_success(meeting, **changes, **_join_details(found))
        _fill_in_numbers(meeting, found)


def _matches(found: zoom_client.ZoomMeeting, session: Session) -> bool:
    wanted = spec(session)
    options = wanted["settings"].items()
    # Zoom ignores a start in the past.
    has_started = session.starts_at <= timezone.now()
    return (
        (found.topic, found.minutes) == (wanted["topic"], wanted["duration"])
        and all(found.options.get(name, value) == value for name, value in options)
        and (has_started or found.starts_at == session.starts_at.replace(microsecond=0))
    )


def _delete(meeting: Meeting) -> None:
    """Delete the meeting at Zoom: its session is canceled or deleted."""
    if meeting.zoom_id:
        if not _record(meeting, state=Meeting.State.DELETING):
            return
        try:
            zoom_client.delete_meeting(meeting.zoom_id)
        except zoom_client.NotFound:
            logger.info("Meeting %s was already deleted at Zoom", meeting.zoom_id)
    if meeting.session is None:
        meeting.delete()
        return
    with schedule.edit_session(meeting.session.pk):
        _record_success(meeting, state=Meeting.State.WANTED, **NOT_MADE)


def _undo_delete(meeting: Meeting, session: Session, zoom_id: int) -> None:
    """The session takes place again, and it is unknown whether Zoom deleted its meeting."""
    changes: dict[str, Any] = {"state": Meeting.State.MADE, "checked_at": None}
    try:
        zoom_client.get_meeting(zoom_id)
    except zoom_client.NotFound:
        changes = {"state": Meeting.State.WANTED, **NOT_MADE}
    with schedule.edit_session(session.pk):
        _record_success(meeting, **changes)


def mark_gone(zoom_id: int) -> None:
    """Record that someone deleted this meeting at Zoom."""
    meetings = Meeting.objects.at_zoom().filter(zoom_id=zoom_id)
    created = meetings.exclude(session__event__zoom_mode=Event.ZoomMode.PASTED)
    created.update(state=Meeting.State.GONE, problem=GONE_MESSAGE)


# Organizers' actions


def recreate(*, meeting: Meeting) -> bool:
    """Create a meeting again that was deleted at Zoom. Returns False if it was not."""
    if meeting.session_id is None:
        return False
    with schedule.edit_session(meeting.session_id):
        gone = Meeting.objects.filter(pk=meeting.pk, state=Meeting.State.GONE)
        reset = {"problem": "", "call_started_at": None, "attempts": 0, "due_at": database_time()}
        return bool(gone.update(state=Meeting.State.WANTED, **reset, **NOT_MADE))


def retry_now(*, event: Event) -> None:
    """End all pauses, and check every meeting of the event again."""
    now = database_time()
    ZoomAccount.objects.update(resumes_at=now)
    # A call that may be running belongs to its worker.
    is_running = Q(call_started_at__gt=now - _lease(), due_at__gt=now + LISTING_DELAY)
    meetings = Meeting.objects.filter(session__event=event).exclude(is_running)
    # Without synced_spec, the update first reads what Zoom has.
    meetings.filter(problem__gt="", state=Meeting.State.MADE).update(synced_spec=None)
    meetings.filter(Q(problem__gt="") | Q(attempts=0)).update(due_at=now, checked_at=None)


def end_pauses() -> None:
    """Call Zoom again at once, for every event: the credentials were changed."""
    _resume()
    for event in Event.objects.exclude(zoom_mode=Event.ZoomMode.PASTED):
        retry_now(event=event)


# Pausing while Zoom fails


@contextmanager
def tracking_account_health() -> Iterator[None]:
    """Make calls inside: if Zoom is unavailable or rejects the credentials, all calls pause."""
    try:
        yield
    except zoom_client.ZoomError as error:
        if isinstance(error, zoom_client.ZoomRejected):
            _resume()
        elif not (isinstance(error, zoom_client.TryLater) and error.retry_at):
            _pause(error)
        raise
    _resume()


def _pause(error: zoom_client.ZoomError) -> None:
    account, _created = ZoomAccount.objects.get_or_create(pk=1)
    pause = _growing_pause(account.failures)
    ZoomAccount.objects.filter(pk=1).update(
        problem=str(error),
        problem_since=account.problem_since or Now(),
        failures=F("failures") + 1,
        resumes_at=Now() + pause,
    )
    logger.warning("Calls to Zoom pause for %s seconds: %s", pause.seconds, error)


def _resume() -> None:
    ZoomAccount.objects.exclude(failures=0).update(
        problem="", problem_since=None, failures=0, resumes_at=Now()
    )


# Registrants: used by registrations.zoom. These use no database, so threads may call them.


def register_people(
    zoom_id: int, people: Sequence[zoom_client.NewRegistrant]
) -> RegistrationResults:
    """Register up to REGISTRANTS_PER_CALL people for a meeting. Keys are lowercase addresses.

    Zoom registers all or none. If one person is the reason for none, each gets a call.
    """
    try:
        added = zoom_client.add_registrants(zoom_id, people)
        return {registrant.email.lower(): registrant for registrant in added}
    except (zoom_client.ZoomRejected, zoom_client.TryLater) as error:
        if not _is_about_one_person(error):
            raise
    results: dict[str, zoom_client.Registrant | zoom_client.ZoomError] = {}
    full: zoom_client.MeetingFull | None = None
    for person in people:
        try:
            # Once the meeting is full, the others aren't asked for.
            registrant = full or zoom_client.add_registrant(zoom_id, person)
            results[person.email.lower()] = registrant
        except (zoom_client.ZoomRejected, zoom_client.TryLater) as error:
            if not _is_about_one_person(error):
                if isinstance(error, zoom_client.TryLater):
                    # Some of them are registered by now.
                    error.may_be_done = True
                raise
            full = error if isinstance(error, zoom_client.MeetingFull) else None
            results[person.email.lower()] = error
    return results


def _is_about_one_person(error: zoom_client.ZoomRejected | zoom_client.TryLater) -> bool:
    """Whether Zoom may accept other people for this meeting.

    A rejection is about one person (its host, someone blocked, a bad address, a code that we don't
    know) unless the code says otherwise. A code like an HTTP status is about the whole call.
    """
    if isinstance(error, zoom_client.ZoomRejected):
        return error.code not in ABOUT_THE_CALL and not 400 <= error.code < 500
    return bool(error.retry_at and error.retry_at > timezone.now() + MAX_RATE_LIMIT_WAIT)


def registrants_by_email(zoom_id: int) -> Mapping[str, zoom_client.Registrant]:
    """All approved registrants of a meeting. Keys are lowercase addresses."""
    registrants = zoom_client.list_registrants(zoom_id)
    return {registrant.email.lower(): registrant for registrant in registrants}


def revoke(
    zoom_id: int, registrants: Sequence[zoom_client.Registrant]
) -> dict[str, zoom_client.ZoomError]:
    """Cancel links. Returns why some were not, by case-folded address.

    If Zoom rejects all because of one, each gets a call. If the meeting was deleted, there is
    nothing to cancel.
    """
    if not registrants:
        return {}
    try:
        zoom_client.cancel_registrants(zoom_id, registrants)
    except zoom_client.NotFound:
        logger.info("Meeting %s was deleted at Zoom, and its links with it", zoom_id)
    except (zoom_client.ZoomRejected, zoom_client.TryLater) as error:
        if not _is_about_one_person(error):
            raise
        if len(registrants) == 1:
            return {registrants[0].email.lower(): error}
        rejected: dict[str, zoom_client.ZoomError] = {}
        for registrant in registrants:
            rejected |= revoke(zoom_id, [registrant])
        return rejected
    return {}


def past_participants(meeting: Meeting) -> list[list[zoom_client.Participant]]:
    """Who was in each run of a meeting that may have been during its session."""
    if meeting.session is None or meeting.zoom_id is None:
        return []
    with tracking_account_health():
        runs = _runs_of_session(meeting.zoom_id, meeting.session)
        return [zoom_client.past_participants(run) for run in runs]


def _runs_of_session(zoom_id: int, session: Session) -> list[int | str]:
    """What identifies these runs at Zoom."""
    runs = []
    try:
        runs = zoom_client.past_runs(zoom_id)
    except zoom_client.ZoomRejected as error:
        if error.code != zoom_client.SCOPE_MISSING:
            raise
        logger.warning("Only the last run of meeting %s can be read. %s", zoom_id, error)
    if not runs:
        # The meeting's ID means its last run.
        return [zoom_id]
    begin, end = session.doors_open_at - LONGEST_MEETING, session.attendance_until
    return [run.uuid for run in runs if not run.started_at or begin <= run.started_at <= end]
