"""Meetings at Zoom stay in sync with their sessions, whatever fails in between."""

import datetime as dt
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from events import schedule
from events.models import Event, Meeting, Session, ZoomAccount
from events.zoom import client as zoom_client
from events.zoom import sync
from events.zoom.status import meeting_status
from tests.events.zoom.syncing import edit, first, sync_now

pytestmark = [pytest.mark.django_db, pytest.mark.once]

HOUR = dt.timedelta(hours=1)


# Creating


def test_each_session_gets_a_meeting(shared, zoom_account):
    sync_now()
    assert zoom_account.count("create_meeting") == 6
    for session in shared.sessions.with_details():
        meeting = zoom_account.meetings[session.meeting.zoom_id]
        assert session.title in meeting.topic
        assert meeting.start_time == session.starts_at
        assert meeting.duration == (session.ends_at - session.starts_at).seconds // 60
        assert session.join_url.endswith(f"/j/{meeting.id}?pwd={meeting.encrypted_password}")
        assert session.meeting.passcode == meeting.password
        assert session.meeting.meeting_id.replace(" ", "") == str(meeting.id)


def test_topic_has_the_short_title_if_the_other_one_is_too_long(shared):
    session: Any = first(shared)
    session.title_en = "x" * 200
    assert sync.spec(session)["topic"] == "Opening session · Drop LWOP Strategy Week"
    session.short_title_en = session.short_title_es = ""
    assert sync.spec(session)["topic"] == "x" * 200
    session.title_en = "Opening"
    assert sync.spec(session)["topic"] == "Opening · Drop LWOP Strategy Week"


def test_times_are_sent_in_utc_from_any_time_zone(shared):
    session = first(shared)
    session.starts_at = dt.datetime(2030, 10, 16, 9, tzinfo=dt.timezone(dt.timedelta(hours=-7)))
    assert sync.spec(session)["start_time"] == "2030-10-16T16:00:00Z"


def test_synced_meetings_cause_no_calls(shared, zoom_account):
    sync_now()
    calls = len(zoom_account.calls)
    sync_now(3)
    assert len(zoom_account.calls) == calls


def test_event_settings_are_sent_to_zoom(shared, zoom_account):
    Event.objects.update(
        zoom_waiting_room=True,
        zoom_mute_on_entry=False,
        zoom_alternative_hosts="a@example.org, b@example.org",
    )
    sync_now()
    settings = zoom_account.meetings[first(shared).meeting.zoom_id].settings
    assert settings["waiting_room"] is True
    assert settings["mute_upon_entry"] is False
    assert settings["alternative_hosts"] == "a@example.org;b@example.org"
    assert settings["approval_type"] == 2
    assert settings["registrants_email_notification"] is False


def test_personal_links_require_registration(shared, zoom_account):
    Event.objects.update(zoom_mode="personal")
    sync_now()
    assert zoom_account.meetings[first(shared).meeting.zoom_id].has_registration


def test_captions_are_turned_on_once_per_meeting(shared, zoom_account):
    Event.objects.update(zoom_captions=True)
    sync_now(2)
    assert zoom_account.count("update_user_settings") == 6
    calls = len(zoom_account.calls)
    sync_now()
    assert (first(shared).meeting.problem, len(zoom_account.calls)) == ("", calls)
    edit(first(shared), title="Other")
    sync_now(2)
    assert zoom_account.count("update_user_settings") == 6
    assert zoom_account.count("update_meeting") == 1
    assert len(zoom_account.calls) == calls + 1


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "draft"},
        {"canceled_at": dt.datetime(2020, 1, 1, tzinfo=dt.UTC)},
        {
            "starts_at": dt.datetime(2020, 1, 1, tzinfo=dt.UTC),
            "ends_at": dt.datetime(2020, 1, 2, tzinfo=dt.UTC),
        },
    ],
)
def test_only_upcoming_sessions_get_a_meeting(shared, zoom_account, changes):
    Session.objects.filter(pk=first(shared).pk).update(**changes)
    sync_now()
    assert zoom_account.count("create_meeting") == 5


def test_pasted_links_are_left_alone(week, zoom_account):
    before = [session.join_url for session in week.sessions.with_details()]
    sync_now()
    assert [session.join_url for session in week.sessions.with_details()] == before
    assert zoom_account.calls == []


def test_pasted_link_is_used_until_the_meeting_is_created(week, zoom_account):
    pasted = first(week).join_url
    Event.objects.update(zoom_mode="shared")
    zoom_account.down()
    sync_now()
    assert first(week).join_url == pasted
    zoom_account.up()
    sync_now()
    assert first(week).join_url != pasted


def test_new_meeting_id_is_one_revision(shared, zoom_account):
    sync_now()
    session = first(shared)
    assert session.revision == 1
    assert session.revisions.get().joining == ""


@pytest.mark.parametrize("fault", ["lost answer", "timeout", "cut", "500", "503 html"])
def test_lost_response_creates_no_second_meeting(shared, zoom_account, settings, fault):
    settings.ZOOM_TIMEOUT = 1
    zoom_account.fail(fault, call="create_meeting", times=2)
    sync_now(6)
    assert len(zoom_account.meetings) == 6
    topics = [meeting.topic for meeting in zoom_account.meetings.values()]
    assert len(set(topics)) == 6
    assert not Meeting.objects.exclude(state="made").exists()


def test_worker_that_dies_while_creating_causes_no_second_meeting(shared, zoom_account):
    sync_now()
    session = first(shared)
    zoom_id = session.meeting.zoom_id
    # The state if the process is killed before it can record the response.
    Meeting.objects.filter(session=session).update(
        state="wanted", zoom_id=None, synced_spec=None, call_started_at=timezone.now()
    )
    sync_now(2)
    assert first(shared).meeting.zoom_id == zoom_id
    assert len(zoom_account.meetings) == 6


def test_claimed_meeting_is_left_to_its_worker(shared, zoom_account):
    sync_now()
    edit(first(shared), title="Other")
    Meeting.objects.update(due_at=timezone.now() + dt.timedelta(minutes=1))
    sync.sync_meetings()
    assert zoom_account.count("update_meeting") == 0


def test_result_of_an_expired_lease_is_not_recorded(shared, zoom_account, monkeypatch):
    def create_after_lease(host, spec):
        Meeting.objects.update(attempts=7)
        return create(host, spec)

    create = zoom_client.create_meeting
    monkeypatch.setattr(zoom_client, "create_meeting", create_after_lease)
    sync_now()
    assert not Meeting.objects.filter(state="made").exists()
    monkeypatch.setattr(zoom_client, "create_meeting", create)
    sync_now(2)
    assert len(zoom_account.meetings) == 6


@pytest.mark.clock_alone
def test_meeting_claimed_by_a_clock_that_was_ahead_is_due_again_within_minutes(
    shared, zoom_account, monkeypatch
):
    def die(host, spec):
        raise KeyboardInterrupt

    monkeypatch.setattr(zoom_client, "create_meeting", die)
    with time_machine.travel(timezone.now() + HOUR), pytest.raises(KeyboardInterrupt):
        sync.sync_meetings()
    latest = Meeting.objects.latest("due_at").due_at
    assert timezone.now() < latest < timezone.now() + HOUR / 4


@pytest.mark.clock_alone
def test_retries_and_pauses_are_no_longer_although_the_clock_is_ahead(shared, zoom_account):
    zoom_account.fail("503", call="create_meeting")
    with time_machine.travel(timezone.now() + HOUR):
        sync.sync_meetings()
    account, soon = ZoomAccount.objects.get(), timezone.now() + dt.timedelta(seconds=5)
    assert account.problem
    assert account.resumes_at < soon
    assert all(meeting.due_at < soon for meeting in Meeting.objects.all())


# Updating


def test_moved_session_moves_its_meeting(shared, zoom_account):
    sync_now()
    session = first(shared)
    hour = dt.timedelta(hours=1)
    edit(session, starts_at=session.starts_at + hour, ends_at=session.ends_at + 2 * hour)
    sync_now()
    meeting = zoom_account.meetings[session.meeting.zoom_id]
    assert meeting.start_time == session.starts_at + hour
    assert meeting.duration == 300
    assert zoom_account.count("update_meeting") == 1


def test_edit_that_zoom_does_not_show_causes_no_update(shared, zoom_account):
    sync_now()
    edit(first(shared), summary="Quite another one", slug="other")
    sync_now()
    assert zoom_account.count("update_meeting") == 0


@pytest.mark.parametrize("fault", ["lost answer", "500"])
def test_update_with_a_lost_response_is_repeated_only_if_needed(shared, zoom_account, fault):
    sync_now()
    edit(first(shared), title="Other")
    zoom_account.fail(fault, call="update_meeting")
    sync_now(3)
    session = first(shared)
    assert "Other" in zoom_account.meetings[session.meeting.zoom_id].topic
    assert zoom_account.count("update_meeting") == (1 if fault == "lost answer" else 2)
    assert session.meeting.problem == ""


def test_daily_limit_delays_the_update(shared, zoom_account):
    sync_now()
    edit(first(shared), title="Other")
    zoom_account.fail("429", call="update_meeting", retry_after=5000)
    sync_now()
    meeting = first(shared).meeting
    assert meeting.problem
    assert meeting.due_at > timezone.now() + dt.timedelta(minutes=80)
    sync_now(3)
    assert zoom_account.count("update_meeting") == 1


def test_rejection_is_shown_as_zooms_message(shared, zoom_account):
    Event.objects.update(zoom_host="nobody@example.org")
    sync_now()
    meeting = first(shared).meeting
    assert "User does not exist" in meeting.problem
    assert meeting.due_at > timezone.now() + dt.timedelta(minutes=50)
    assert meeting.state == "wanted"


# Checking


def test_manual_change_at_zoom_is_reverted(shared, zoom_account):
    sync_now()
    session = first(shared)
    meeting = zoom_account.meetings[session.meeting.zoom_id]
    meeting.topic, meeting.password = "Something else", "new-code"
    with time_machine.travel(timezone.now() + dt.timedelta(hours=1, minutes=1), tick=False):
        sync_now(2)
    assert session.title in meeting.topic
    assert first(shared).meeting.passcode == "new-code"


def test_meeting_deleted_at_zoom_is_recreated_only_on_request(shared, zoom_account):
    sync_now()
    session = first(shared)
    zoom_account.delete_by_hand(session.meeting.zoom_id)
    with time_machine.travel(timezone.now() + dt.timedelta(hours=2), tick=False):
        sync_now(3)
        gone = first(shared)
        assert (gone.meeting.state, gone.join_url) == ("gone", "")
        assert "only if you ask for it" in gone.meeting.problem
        assert zoom_account.count("create_meeting") == 6
        assert sync.recreate(meeting=gone.meeting)
        assert not sync.recreate(meeting=gone.meeting)
        sync_now()
    recreated = first(shared)
    assert recreated.meeting.state == "made"
    assert recreated.meeting.zoom_id != session.meeting.zoom_id
    assert recreated.join_url


def test_update_of_a_meeting_deleted_at_zoom_marks_it_gone(shared, zoom_account):
    sync_now()
    session = first(shared)
    zoom_account.delete_by_hand(session.meeting.zoom_id)
    edit(session, title="Other")
    sync_now()
    assert first(shared).meeting.state == "gone"


# Deleting


def test_meeting_of_a_canceled_session_is_deleted_once_settled(shared, zoom_account):
    sync_now()
    session = first(shared)
    schedule.cancel_session(session=session)
    sync_now()
    assert session.meeting.zoom_id in zoom_account.meetings
    with time_machine.travel(timezone.now() + dt.timedelta(minutes=11), tick=False):
        sync_now()
        assert session.meeting.zoom_id not in zoom_account.meetings
        assert first(shared).join_url == ""
        schedule.restore_session(session=session)
        sync_now()
    assert first(shared).meeting.zoom_id in zoom_account.meetings


@pytest.fixture
def canceled_and_held(shared, zoom_account):
    """A session whose meeting exists. Its cancellation was held an hour ago."""
    sync_now()
    session = first(shared)
    schedule.cancel_session(session=session)
    schedule.hold_notices(session=session)
    with time_machine.travel(timezone.now() + dt.timedelta(hours=1)) as clock:
        sync_now()
        yield clock, session


def test_meeting_of_a_canceled_session_stays_while_its_notices_are_held(
    shared, zoom_account, canceled_and_held
):
    _clock, session = canceled_and_held
    assert meeting_status(first(shared), timezone.now()).text == (
        "The session is canceled. While its emails are on hold, its Zoom meeting stays"
    )
    assert session.meeting.zoom_id in zoom_account.meetings
    schedule.restore_session(session=session)
    sync_now()
    restored = first(shared)
    assert (restored.meeting.zoom_id, restored.join_url) == (
        session.meeting.zoom_id,
        session.join_url,
    )
    assert zoom_account.count("create_meeting") == 6


def test_meeting_of_a_canceled_session_is_deleted_once_its_notices_go_out(
    shared, zoom_account, canceled_and_held
):
    clock, session = canceled_and_held
    schedule.release_notices(session=session)
    clock.shift(dt.timedelta(minutes=9))
    sync_now()
    assert session.meeting.zoom_id in zoom_account.meetings
    clock.shift(dt.timedelta(minutes=2))
    sync_now()
    assert session.meeting.zoom_id not in zoom_account.meetings


def test_meeting_of_a_canceled_session_is_deleted_with_notices_that_are_sent_now(
    shared, zoom_account, canceled_and_held
):
    _clock, session = canceled_and_held
    schedule.release_notices(session=session, now=True)
    sync_now()
    assert session.meeting.zoom_id not in zoom_account.meetings


def test_meeting_of_a_canceled_session_is_gone_when_its_doors_would_open(
    shared, zoom_account, canceled_and_held
):
    clock, session = canceled_and_held
    clock.move_to(session.doors_open_at - dt.timedelta(minutes=1))
    sync_now()
    assert session.meeting.zoom_id in zoom_account.meetings
    clock.move_to(session.doors_open_at)
    assert meeting_status(first(shared), timezone.now()).text.endswith("the Zoom meeting soon")
    sync_now()
    assert session.meeting.zoom_id not in zoom_account.meetings


def test_session_that_runs_when_it_is_canceled_and_held_loses_its_meeting_once_settled(
    shared, zoom_account
):
    sync_now()
    session = first(shared)
    with time_machine.travel(session.starts_at + dt.timedelta(minutes=5)) as clock:
        schedule.cancel_session(session=session)
        schedule.hold_notices(session=session)
        sync_now()
        assert session.meeting.zoom_id in zoom_account.meetings
        clock.shift(dt.timedelta(minutes=11))
        sync_now()
    assert session.meeting.zoom_id not in zoom_account.meetings


@pytest.mark.parametrize("fault", ["lost answer", "500", "dies"])
def test_session_restored_while_its_meeting_may_be_deleted_has_one_soon(
    shared, zoom_account, fault
):
    Event.objects.update(settle_minutes=0)
    sync_now()
    session = first(shared)
    schedule.cancel_session(session=session)
    if fault == "dies":
        # The state if the worker is killed during the call.
        zoom_account.account.delete_meeting(zoom_account.meetings[session.meeting.zoom_id])
        Meeting.objects.filter(session=session).update(state="deleting")
    else:
        zoom_account.fail(fault, call="delete_meeting")
        sync_now()
    schedule.restore_session(session=session)
    # Zoom reports its own deletion later.
    sync.mark_gone(session.meeting.zoom_id)
    sync_now(2)
    restored = first(shared)
    assert (restored.meeting.state, restored.meeting.problem) == ("made", "")
    assert restored.meeting.zoom_id in zoom_account.meetings
    assert restored.join_url
    assert (restored.meeting.zoom_id == session.meeting.zoom_id) == (fault == "500")
    assert zoom_account.count("create_meeting") == (6 if fault == "500" else 7)


def test_edit_undone_after_a_lost_response_is_undone_at_zoom_too(shared, zoom_account):
    sync_now()
    session = first(shared)
    title = session.title
    edit(session, title="Other")
    zoom_account.fail("lost answer", call="update_meeting")
    sync_now()
    edit(session, title=title)
    sync_now(2)
    assert title in zoom_account.meetings[session.meeting.zoom_id].topic
    assert zoom_account.count("update_meeting") == 2


def test_meeting_of_a_deleted_session_is_deleted(shared, zoom_account):
    sync_now()
    session = first(shared)
    Session.objects.filter(pk=session.pk).delete()
    zoom_account.fail("503", call="delete_meeting")
    sync_now(2)
    assert session.meeting.zoom_id not in zoom_account.meetings
    assert not Meeting.objects.filter(session=None).exists()


def test_pasted_meeting_of_a_deleted_session_causes_no_call(week, zoom_account):
    Session.objects.filter(pk=first(week).pk).delete()
    sync_now()
    assert Meeting.objects.count() == 5
    assert zoom_account.calls == []


# Races and special cases


def test_retry_now_does_not_repeat_a_running_call(shared, zoom_account, monkeypatch):
    def create_and_retry(host, spec):
        created = create(host, spec)
        Meeting.objects.update(problem="Zoom did not answer.")
        sync.retry_now(event=shared)
        monkeypatch.setattr(zoom_client, "list_meetings", lambda host: [])
        sync.sync_meetings()
        return created

    create = zoom_client.create_meeting
    Session.objects.exclude(pk=first(shared).pk).update(status="draft")
    monkeypatch.setattr(zoom_client, "create_meeting", create_and_retry)
    sync_now()
    assert len(zoom_account.meetings) == 1


def test_pasted_link_is_used_after_an_earlier_meeting_was_deleted(shared, zoom_account):
    sync_now()
    meeting = first(shared).meeting
    sync.mark_gone(meeting.zoom_id)
    Event.objects.update(zoom_mode="pasted")
    Meeting.objects.filter(pk=meeting.pk).update(join_url="https://zoom.us/j/1", passcode="p")
    session = first(shared)
    assert session.join_url == "https://zoom.us/j/1"
    assert "Passcode: p" in session.joining_lines()
    assert session not in Session.objects.without_link(timezone.now())


def test_meeting_of_an_event_with_pasted_links_is_not_marked_gone(shared, zoom_account):
    sync_now()
    Event.objects.update(zoom_mode="pasted")
    sync.mark_gone(first(shared).meeting.zoom_id)
    assert first(shared).meeting.state == "made"


def test_setting_that_zoom_forces_is_sent_again_once_and_then_reported(shared, zoom_account):
    sync_now()
    session = first(shared)
    now = timezone.now()
    with time_machine.travel(now, tick=False) as clock:
        for _hour in range(5):
            zoom_account.meetings[session.meeting.zoom_id].settings["waiting_room"] = True
            clock.shift(3700)
            sync_now()
    assert zoom_account.count("update_meeting") == 1
    assert first(shared).meeting.problem == sync.FORCED_MESSAGE
    assert sync.is_synced(first(shared))


def test_missing_scope_does_not_pause_other_calls(shared, zoom_account, monkeypatch):
    def update_without_scope(host, meeting_id, spec):
        raise zoom_client.ZoomRejected("The Zoom app lacks a scope: x", code=4711)

    sync_now()
    edit(first(shared), title="Other")
    monkeypatch.setattr(zoom_client, "update_meeting", update_without_scope)
    sync_now()
    assert "scope" in first(shared).meeting.problem
    assert not sync.is_paused()


def test_recreated_meeting_has_no_link_until_it_exists(shared, zoom_account):
    sync_now()
    meeting = first(shared).meeting
    zoom_account.delete_by_hand(meeting.zoom_id)
    sync.mark_gone(meeting.zoom_id)
    assert first(shared).joining_lines() == []
    sync.recreate(meeting=meeting)
    assert (first(shared).join_url, first(shared).joining_lines()) == ("", [])


def test_edit_retries_what_zoom_rejected(shared, zoom_account):
    Event.objects.update(zoom_host="nobody@example.org")
    sync_now()
    Event.objects.update(zoom_host="")
    sync.sync_meetings()
    assert not Meeting.objects.at_zoom().exists()
    for session in shared.sessions.all():
        edit(session)
    sync.sync_meetings()
    assert Meeting.objects.at_zoom().count() == 6


@pytest.mark.parametrize("end", ["canceled", "deleted", "deleted, Zoom fails"])
def test_meeting_created_for_a_session_that_ended_meanwhile_is_deleted(
    shared, zoom_account, monkeypatch, end
):
    def create_and_delete_session(host, spec):
        session.delete()
        return create(host, spec)

    session, create = first(shared), zoom_client.create_meeting
    Session.objects.exclude(pk=session.pk).update(status="draft")
    if end == "canceled":
        zoom_account.fail("lost answer", call="create_meeting")
        sync_now()
        schedule.cancel_session(session=session)
        sync_now(2)
    else:
        monkeypatch.setattr(zoom_client, "create_meeting", create_and_delete_session)
        zoom_account.fail("503", call="delete_meeting", times=int(end == "deleted, Zoom fails"))
        sync_now(1 if end == "deleted" else 2)
    assert zoom_account.count("create_meeting") == 1
    assert zoom_account.meetings == {}
