"""Keeps sessions and their meetings at Zoom in step. The sole caller of `zoom`.

Nothing is queued: what is out of step is asked of the database, at every tick of the beat and
after every edit. A claim is a lease, as of a mail in the outbox. Before a call that makes
something a moment is written down, `asked_at`; while it stands nobody knows what came of that
call, so the next try begins by reading what is there. No call is made inside a transaction.
"""

import datetime as dt
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.db.models import F, Q
from django.utils import timezone

from events import schedule
from events.models import Event, Meeting, Session, ZoomAccount, split_emails
from events.zoom import client as zoom_client

logger = logging.getLogger(__name__)

State = Meeting.State
Registered = Mapping[str, zoom_client.Registrant | zoom_client.ZoomError]

# More than all calls of one try take, each just in time.
LEASE_CALLS = 8
CHECK_EVERY = dt.timedelta(hours=1)
CHECK_SOON_EVERY = dt.timedelta(minutes=10)
SOON = dt.timedelta(hours=2)
# While Zoom is away: 1, 2, 4 ... seconds between tries, at most five minutes.
LONGEST_PAUSE = 300
# What was perhaps made shows in a list a little later.
LOOK_AFTER = dt.timedelta(seconds=3)
# A 429 that asks for more is about a day's limit, not about a second's.
LONG_WAIT = dt.timedelta(minutes=1)
REFUSED_PAUSE = dt.timedelta(hours=1)
# Zoom's values of a meeting's approval_type. By hand: Zoom's own form of registration is open to
# whoever knows the meeting's ID, but lets nobody in; those whom we register are approved at once.
MANUAL, NO_REGISTRATION = 1, 2
GONE = "Somebody deleted this meeting at Zoom. It is made anew only when you say so."
FORCED = "Zoom keeps some settings of this meeting otherwise than asked, as its account decides."


def is_configured() -> bool:
    """Whether the site has an account's credentials for Zoom."""
    return zoom_client.is_configured()


def account_problem() -> str:
    """What keeps us from Zoom, in words for organizers; "" when nothing does."""
    account = ZoomAccount.objects.first()
    return account.problem if account and is_configured() else ""


def is_paused() -> bool:
    """Whether Zoom is left in peace for a while: it is away, or refuses our credentials."""
    return ZoomAccount.objects.filter(resumes_at__gt=timezone.now()).exists()


# What should be


def spec(session: Session) -> zoom_client.MeetingSpec:
    """The session's meeting as it should be."""
    event = session.event
    return zoom_client.MeetingSpec(
        topic=" ".join(f"{session.title} · {event.name}".split())[: zoom_client.LONGEST_TOPIC],
        starts_at=session.starts_at,
        minutes=-(-int((session.ends_at - session.starts_at).total_seconds()) // 60),
        agenda=f"Kept in step by {settings.SITE_URL}, which knows it by {_mark(session)}",
        options={
            "approval_type": MANUAL if event.has_personal_links else NO_REGISTRATION,
            # The links are mailed by us.
            "registrants_confirmation_email": False,
            "registrants_email_notification": False,
            "alternative_hosts_email_notification": False,
            "alternative_hosts": ";".join(split_emails(event.zoom_alternative_hosts)),
            "waiting_room": event.zoom_waiting_room,
            "mute_upon_entry": event.zoom_mute_on_entry,
            "join_before_host": False,
        },
    )


def _mark(session: Session) -> str:
    """What tells the session's meeting from any other of its host, also in a list."""
    return f"strategyweek:{session.uid}"


def _host(event: Event) -> str:
    return event.zoom_host or "me"


def _current_spec(session: Session) -> dict[str, Any]:
    """What Zoom should have been told of the session, to compare with `Meeting.synced_spec`."""
    captions = session.event.zoom_captions
    return {**spec(session).as_json(), "captions": captions}


def is_synced(session: Session) -> bool:
    """Whether Zoom was told all that it should know of the session's meeting."""
    meeting = session.meeting_or_none
    told = {**((meeting and meeting.synced_spec) or {})}
    told.pop(RESENT, None)
    return told == _current_spec(session)


# In what a meeting was told: that it was told so anew, when Zoom had it otherwise.
RESENT = "insisted"


# Keeping in step


def sync_meetings() -> None:
    """Make, update and delete what is out of step, and check what was not checked for long."""
    if not is_configured():
        return
    _want_meetings()
    now = timezone.now()
    for meeting in _due(now):
        if is_paused():
            return
        act = _next_step(meeting, now)
        if act and _claim(meeting, now):
            _attempt(act, meeting)


def _want_meetings() -> None:
    """Have a row for each meeting that is to be made."""
    now = timezone.now()
    sessions = (
        Session.objects.taking_place().filter(ends_at__gt=now).exclude(event__zoom_mode="pasted")
    )
    missing = sessions.filter(meeting=None)
    Meeting.objects.bulk_create(
        [Meeting(session=session, state=State.WANTED) for session in missing],
        ignore_conflicts=True,
    )
    Meeting.objects.filter(session__in=sessions, state=State.PASTED).update(state=State.WANTED)
    Meeting.objects.filter(session=None).exclude(zoom_id__isnull=False).delete()


def _due(now: dt.datetime) -> Sequence[Meeting]:
    """Those that could owe something, the next session's first."""
    mode = Q(session__event__zoom_mode__in=[Event.ZoomMode.SHARED, Event.ZoomMode.PERSONAL])
    alive = mode & Q(session__ends_at__gt=now) & Q(state__in=[State.WANTED, State.MADE])
    orphan = Q(session=None)
    meetings = Meeting.objects.filter(alive | orphan, due_at__lte=now)
    return list(
        meetings.select_related("session__event").order_by(
            F("session__starts_at").asc(nulls_last=True)
        )
    )


def _next_step(meeting: Meeting, now: dt.datetime) -> Any:
    """What is to be done about a meeting at this moment, if anything."""
    session = meeting.session
    if session is None:
        return _delete
    if meeting.state == State.WANTED and not session.takes_place:
        return _forget if meeting.asked_at else None
    if meeting.state == State.WANTED:
        return _make
    if session.canceled_at:
        return _delete if session.canceled_at + session.event.settle_time <= now else None
    if not is_synced(session):
        return _update
    every = CHECK_SOON_EVERY if session.starts_at - now < SOON else CHECK_EVERY
    if meeting.checked_at is None or meeting.checked_at + every <= now:
        return _check
    return None


def _claim(meeting: Meeting, now: dt.datetime) -> bool:
    ours = Meeting.objects.filter(pk=meeting.pk, due_at=meeting.due_at, state=meeting.state)
    meeting.attempts += 1
    meeting.due_at = now + _lease()
    return bool(ours.update(due_at=meeting.due_at, attempts=meeting.attempts))


def _lease() -> dt.timedelta:
    return dt.timedelta(seconds=2 * LEASE_CALLS * settings.ZOOM_TIMEOUT)


def _attempt(act: Any, meeting: Meeting) -> None:
    """Do it, and write down what Zoom says against it."""
    try:
        with tracking_account_health():
            act(meeting)
    except zoom_client.TryLater as error:
        soon = timezone.now() + (LOOK_AFTER if error.may_be_done else dt.timedelta())
        _record(meeting, problem=str(error), due_at=error.retry_at or soon)
    except zoom_client.SettingsError as error:
        _record(meeting, problem=str(error), due_at=timezone.now())
    except zoom_client.NotFound:
        _record(meeting, due_at=timezone.now())
        note_gone(meeting.zoom_id or 0)
    except zoom_client.Rejected as error:
        logger.warning("Zoom refused meeting %s: %s", meeting.pk, error)
        due_at = timezone.now() + REFUSED_PAUSE
        _record(meeting, problem=str(error), due_at=due_at, asked_at=None)


def _record(meeting: Meeting, **changes: Any) -> bool:
    """Write a result down, unless the lease ran out and another has taken the meeting over."""
    ours = Meeting.objects.filter(pk=meeting.pk, attempts=meeting.attempts, due_at=meeting.due_at)
    return bool(ours.update(**changes))


def _done(meeting: Meeting, **changes: Any) -> None:
    now = timezone.now()
    settled = {"problem": "", "asked_at": None, "attempts": 0, "due_at": now, "checked_at": now}
    _record(meeting, **settled | changes)


def _make(meeting: Meeting) -> None:
    """Make a meeting, unless an earlier try did and its answer was lost."""
    session = meeting.session
    assert session is not None  # noqa: S101  # By `_owed`.
    host, found = _host(session.event), None
    # While Zoom fails it is asked by a reading call: those that make are counted by the day.
    if meeting.asked_at or ZoomAccount.objects.exclude(failures=0).exists():
        found = _find_earlier_attempt(session)
    if found is None:
        if not _record(meeting, asked_at=timezone.now()):
            return
        found = zoom_client.create_meeting(host, spec(session))
        told: dict[str, Any] | None = {**_current_spec(session), "captions": False}
    else:
        told = None
    try:
        with schedule.edit_session(session.pk):
            _done(
                meeting,
                state=State.MADE,
                zoom_id=found.id,
                synced_spec=told,
                **_join_details(found),
            )
    except Session.DoesNotExist:
        zoom_client.delete_meeting(found.id)


def _find_earlier_attempt(session: Session) -> zoom_client.Meeting | None:
    """The meeting that an earlier try made without hearing of it, if it did."""
    listed = zoom_client.list_meetings(_host(session.event))
    earlier = next((each for each in listed if _mark(session) in each.agenda), None)
    return zoom_client.get_meeting(earlier.id) if earlier else None


def _forget(meeting: Meeting) -> None:
    """The session is not held any more: what an earlier try may have made is not wanted."""
    assert meeting.session is not None  # noqa: S101  # By `_owed`.
    if found := _find_earlier_attempt(meeting.session):
        zoom_client.delete_meeting(found.id)
    _done(meeting)


def _join_details(found: zoom_client.Meeting) -> dict[str, str]:
    digits = str(found.id)
    spaced = f"{digits[:3]} {digits[3:-4]} {digits[-4:]}"
    return {"join_url": found.join_url, "meeting_id": spaced, "passcode": found.passcode}


def _update(meeting: Meeting) -> None:
    """Tell Zoom what is otherwise now, if it does not know."""
    session = meeting.session
    assert session is not None and meeting.zoom_id  # noqa: S101, PT018  # By `_owed`.
    told, host = _current_spec(session), _host(session.event)
    before = {**(meeting.synced_spec or {}), "captions": told["captions"]}
    before.pop(RESENT, None)
    if before != told:
        # Nobody knows what came of an earlier try: it is a hundred updates a day.
        known = (
            zoom_client.get_meeting(meeting.zoom_id)
            if meeting.asked_at or not meeting.synced_spec
            else None
        )
        if known is None or not _matches(known, spec(session)):
            _record(meeting, asked_at=timezone.now())
            zoom_client.update_meeting(host, meeting.zoom_id, spec(session))
    problem = _enable_captions(host) if told["captions"] else ""
    insisted = {RESENT: True} if meeting.synced_spec is None else {}
    _done(meeting, synced_spec={**told, **insisted}, problem=problem)


def _enable_captions(host: str) -> str:
    """The meeting stands also when this is refused; then what Zoom says is told."""
    try:
        zoom_client.enable_captions(host)
    except (zoom_client.Rejected, zoom_client.SettingsError) as error:
        return f"The meeting stands, but captions could not be turned on: {error}"
    return ""


def _check(meeting: Meeting) -> None:
    """See whether Zoom still has it as it should be; what is otherwise is put right next.

    Once: what Zoom then still has otherwise it was forced to, by its account's settings say.
    """
    session = meeting.session
    assert session is not None and meeting.zoom_id  # noqa: S101, PT018  # By `_owed`.
    found = zoom_client.get_meeting(meeting.zoom_id)
    told, problem = meeting.synced_spec, meeting.problem
    if _matches(found, spec(session)):
        told = _current_spec(session)
    elif told and RESENT in told:
        problem = FORCED
    else:
        told, problem = None, ""
    with schedule.edit_session(session.pk):
        _done(meeting, synced_spec=told, problem=problem, **_join_details(found))


def _matches(found: zoom_client.Meeting, wished: zoom_client.MeetingSpec) -> bool:
    same = (found.topic, found.minutes) == (wished.topic, wished.minutes)
    kept = all(found.options.get(name, value) == value for name, value in wished.options.items())
    # Of a start in the past Zoom takes no notice.
    has_begun = wished.starts_at <= timezone.now()
    return (
        same and kept and (has_begun or found.starts_at == wished.starts_at.replace(microsecond=0))
    )


def _delete(meeting: Meeting) -> None:
    """Take it away at Zoom: the session is canceled, or there is none any more."""
    if meeting.zoom_id:
        try:
            zoom_client.delete_meeting(meeting.zoom_id)
        except zoom_client.NotFound:
            logger.info("Meeting %s was gone from Zoom already", meeting.zoom_id)
    if meeting.session is None:
        meeting.delete()
        return
    with schedule.edit_session(meeting.session.pk):
        _done(meeting, state=State.WANTED, **NO_MEETING_AT_ZOOM)


def note_gone(zoom_id: int) -> None:
    """A call about a meeting found out that it is not there any more."""
    ours = Meeting.objects.at_zoom().exclude(session__event__zoom_mode=Event.ZoomMode.PASTED)
    ours.filter(zoom_id=zoom_id).update(state=State.GONE, problem=GONE)


# What we know of a meeting that is not at Zoom.
NO_MEETING_AT_ZOOM = {
    "zoom_id": None,
    "synced_spec": None,
    "join_url": "",
    "meeting_id": "",
    "passcode": "",
}


# Organizers' verbs


def recreate(*, meeting: Meeting) -> bool:
    """Have a meeting made anew that was deleted at Zoom. False: it is not gone."""
    if meeting.session_id is None:
        return False
    with schedule.edit_session(meeting.session_id):
        gone = Meeting.objects.filter(pk=meeting.pk, state=State.GONE)
        return bool(
            gone.update(
                state=State.WANTED,
                problem="",
                asked_at=None,
                due_at=timezone.now(),
                attempts=0,
                **NO_MEETING_AT_ZOOM,
            )
        )


def retry_now(*, event: Event) -> None:
    """Forget pauses, and look at all meetings of an event anew."""
    now = timezone.now()
    ZoomAccount.objects.update(resumes_at=now)
    # A call that is under way is left to whoever made it.
    under_way = Q(asked_at__gt=now - _lease(), due_at__gt=now + LOOK_AFTER)
    meetings = Meeting.objects.filter(session__event=event).exclude(under_way)
    # What Zoom has is read before it is told anything again.
    meetings.filter(problem__gt="", state=State.MADE).update(synced_spec=None)
    meetings.filter(Q(problem__gt="") | Q(attempts=0)).update(due_at=now, checked_at=None)


# How we stand with Zoom


@contextmanager
def tracking_account_health() -> Iterator[None]:
    """Make calls inside: remember when Zoom fails, so that nobody calls for a while."""
    try:
        yield
    except zoom_client.TryLater as error:
        if error.retry_at is None:
            _pause(error)
        raise
    except zoom_client.SettingsError as error:
        _pause(error)
        raise
    except zoom_client.Rejected:
        _resume()
        raise
    _resume()


def _pause(error: zoom_client.ZoomError) -> None:
    now = timezone.now()
    ZoomAccount.objects.get_or_create(pk=1)
    account = ZoomAccount.objects.get(pk=1)
    seconds = min(2**account.failures, LONGEST_PAUSE)
    ZoomAccount.objects.filter(pk=1).update(
        problem=str(error),
        problem_since=account.problem_since or now,
        failures=F("failures") + 1,
        resumes_at=now + dt.timedelta(seconds=seconds),
    )
    logger.warning("Zoom is left in peace for %s seconds: %s", seconds, error)


def _resume() -> None:
    ZoomAccount.objects.exclude(failures=0).update(
        problem="", problem_since=None, failures=0, resumes_at=timezone.now()
    )


# For those who have the people: no database in here, so that threads may call


def register_people(zoom_id: int, people: Sequence[zoom_client.Person]) -> Registered:
    """Register at most 30 people for a meeting: by address, their link or why they have none.

    Zoom takes all or none. When one of them is the reason that it takes none, each is asked
    for alone.
    """
    try:
        return {_key(each.email): each for each in zoom_client.add_registrants(zoom_id, people)}
    except (zoom_client.Rejected, zoom_client.TryLater) as error:
        if not _is_about_one(error):
            raise
    try:
        return {_key(person.email): _register(zoom_id, person) for person in people}
    except zoom_client.TryLater as error:
        # Some of them are registered by now.
        raise zoom_client.TryLater(str(error), retry_at=error.retry_at, may_be_done=True) from error


def _register(
    zoom_id: int, person: zoom_client.Person
) -> zoom_client.Registrant | zoom_client.ZoomError:
    try:
        return zoom_client.add_registrant(zoom_id, person)
    except (zoom_client.Rejected, zoom_client.TryLater) as error:
        if not _is_about_one(error):
            raise
        return error


def _is_about_one(error: zoom_client.Rejected | zoom_client.TryLater) -> bool:
    """An address that Zoom does not take, or one that it has seen too often today."""
    if isinstance(error, zoom_client.Rejected):
        return error.code == zoom_client.INVALID
    return bool(error.retry_at and error.retry_at > timezone.now() + LONG_WAIT)


def registered(zoom_id: int) -> Mapping[str, zoom_client.Registrant]:
    """Everyone who has a link to a meeting, by address."""
    return {_key(each.email): each for each in zoom_client.list_registrants(zoom_id)}


def revoke(zoom_id: int, registrants: Sequence[zoom_client.Registrant]) -> None:
    """Take people's links away. Of a meeting that is gone nobody has one."""
    if not registrants:
        return
    try:
        zoom_client.cancel_registrants(zoom_id, registrants)
    except zoom_client.NotFound:
        logger.info("Meeting %s is gone from Zoom, and its links with it", zoom_id)


def past_participants(meeting: Meeting) -> list[zoom_client.Participant]:
    """Who was in the meeting's last instance, once it has ended."""
    assert meeting.zoom_id  # noqa: S101  # Only for a meeting at Zoom.
    with tracking_account_health():
        return zoom_client.past_participants(meeting.zoom_id)


def _key(email: str) -> str:
    return email.casefold()
