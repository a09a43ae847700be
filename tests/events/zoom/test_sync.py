"""Sessions and their meetings at Zoom stay in step, whatever happens between them."""

import datetime as dt

import pytest
import time_machine
from django.utils import timezone

from events import schedule
from events.models import Event, Meeting, Session, ZoomAccount
from events.zoom import client as zoom_client
from events.zoom import sync
from events.zoom_stand_in import StandIn

pytestmark = [pytest.mark.django_db, pytest.mark.once]


@pytest.fixture
def shared(week: Event, zoom_account: StandIn) -> Event:
    """The week with a meeting made for each session; at first none is there."""
    Meeting.objects.all().delete()
    week.zoom_mode = Event.ZoomMode.SHARED
    week.zoom_captions = False
    week.save()
    return week


def keep(times: int = 1) -> None:
    """Tick so often, with no pause between."""
    for _tick in range(times):
        now = timezone.now()
        ZoomAccount.objects.update(resumes_at=now)
        Meeting.objects.update(due_at=now)
        sync.sync_meetings()


def first(event: Event) -> Session:
    return Session.objects.select_related("event", "meeting").get(pk=event.sessions.first().pk)


def edit(session: Session, **changes) -> None:
    with schedule.edit_session(session.pk) as current:
        for name, value in changes.items():
            setattr(current, name, value)
        current.save()


# Making


def test_each_session_gets_its_meeting(shared, zoom_account):
    keep()
    assert zoom_account.count("create_meeting") == 6
    for session in shared.sessions.with_details():
        there = zoom_account.meetings[session.meeting.zoom_id]
        assert session.title in there.topic
        assert there.start_time == session.starts_at
        assert there.duration == (session.ends_at - session.starts_at).seconds // 60
        assert session.join_url.endswith(f"/j/{there.id}?pwd={there.encrypted_password}")
        assert session.meeting.passcode == there.password
        assert session.meeting.meeting_id.replace(" ", "") == str(there.id)


def test_nothing_more_is_asked_while_all_is_in_step(shared, zoom_account):
    keep()
    calls = len(zoom_account.calls)
    keep(3)
    assert len(zoom_account.calls) == calls


def test_settings_of_the_event_go_to_zoom(shared, zoom_account):
    Event.objects.update(
        zoom_waiting_room=True,
        zoom_mute_on_entry=False,
        zoom_alternative_hosts="a@example.org, b@example.org",
    )
    keep()
    settings = zoom_account.meetings[first(shared).meeting.zoom_id].settings
    assert settings["waiting_room"] is True
    assert settings["mute_upon_entry"] is False
    assert settings["alternative_hosts"] == "a@example.org;b@example.org"
    assert settings["approval_type"] == 2
    assert settings["registrants_email_notification"] is False


def test_personal_links_need_registration(shared, zoom_account):
    Event.objects.update(zoom_mode="personal")
    keep()
    assert zoom_account.meetings[first(shared).meeting.zoom_id].has_registration


def test_captions_are_turned_on_and_their_refusal_is_told(shared, zoom_account, settings):
    Event.objects.update(zoom_captions=True)
    keep(2)
    assert zoom_account.count("update_user_settings") == 6
    calls = len(zoom_account.calls)
    keep()
    assert (first(shared).meeting.problem, len(zoom_account.calls)) == ("", calls)


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
def test_only_sessions_that_will_be_held_have_one(shared, zoom_account, changes):
    Session.objects.filter(pk=first(shared).pk).update(**changes)
    keep()
    assert zoom_account.count("create_meeting") == 5


def test_pasted_links_are_left_alone(week, zoom_account):
    before = [session.join_url for session in week.sessions.with_details()]
    keep()
    assert [session.join_url for session in week.sessions.with_details()] == before
    assert zoom_account.calls == []


def test_pasted_link_serves_until_the_meeting_is_made(week, zoom_account):
    pasted = first(week).join_url
    Event.objects.update(zoom_mode="shared")
    zoom_account.down()
    keep()
    assert first(week).join_url == pasted
    zoom_account.up()
    keep()
    assert first(week).join_url != pasted


def test_people_learn_the_new_id_once_as_of_any_change(shared, zoom_account):
    keep()
    session = first(shared)
    assert session.revision == 1
    assert session.revisions.get().joining == ""


@pytest.mark.parametrize("fault", ["lost answer", "timeout", "cut", "500", "503 html"])
def test_lost_answer_makes_no_second_meeting(shared, zoom_account, settings, fault):
    settings.ZOOM_TIMEOUT = 1
    zoom_account.fail(fault, call="create_meeting", times=2)
    keep(6)
    assert len(zoom_account.meetings) == 6
    topics = [meeting.topic for meeting in zoom_account.meetings.values()]
    assert len(set(topics)) == 6
    assert not Meeting.objects.exclude(state="made").exists()


def test_worker_that_died_amid_the_making_leaves_no_second_meeting(shared, zoom_account):
    keep()
    session = first(shared)
    made = session.meeting.zoom_id
    # As it stands when the process is killed before it could write the answer down.
    Meeting.objects.filter(session=session).update(
        state="wanted", zoom_id=None, synced_spec=None, asked_at=timezone.now()
    )
    keep(2)
    assert first(shared).meeting.zoom_id == made
    assert len(zoom_account.meetings) == 6


def test_claimed_meeting_is_left_to_its_worker(shared, zoom_account):
    keep()
    edit(first(shared), title="Other")
    Meeting.objects.update(due_at=timezone.now() + dt.timedelta(minutes=1))
    sync.sync_meetings()
    assert zoom_account.count("update_meeting") == 0


def test_result_of_a_worker_whose_lease_ran_out_is_not_written(shared, zoom_account, monkeypatch):
    def stolen(host, wish):
        Meeting.objects.update(attempts=7)
        return create(host, wish)

    create = zoom_client.create_meeting
    monkeypatch.setattr(zoom_client, "create_meeting", stolen)
    keep()
    assert not Meeting.objects.filter(state="made").exists()
    monkeypatch.setattr(zoom_client, "create_meeting", create)
    keep(2)
    assert len(zoom_account.meetings) == 6


# Updating


def test_moved_session_moves_its_meeting(shared, zoom_account):
    keep()
    session = first(shared)
    hour = dt.timedelta(hours=1)
    edit(session, starts_at=session.starts_at + hour, ends_at=session.ends_at + 2 * hour)
    keep()
    there = zoom_account.meetings[session.meeting.zoom_id]
    assert there.start_time == session.starts_at + hour
    assert there.duration == 300
    assert zoom_account.count("update_meeting") == 1


def test_what_zoom_does_not_show_makes_no_update(shared, zoom_account):
    keep()
    edit(first(shared), summary="Quite another one", slug="other")
    keep()
    assert zoom_account.count("update_meeting") == 0


@pytest.mark.parametrize("fault", ["lost answer", "500"])
def test_update_whose_answer_was_lost_is_made_again_only_if_needed(shared, zoom_account, fault):
    keep()
    edit(first(shared), title="Other")
    zoom_account.fail(fault, call="update_meeting")
    keep(3)
    session = first(shared)
    assert "Other" in zoom_account.meetings[session.meeting.zoom_id].topic
    assert zoom_account.count("update_meeting") == (1 if fault == "lost answer" else 2)
    assert session.meeting.problem == ""


def test_a_day_whose_changes_are_used_up_is_waited_for(shared, zoom_account):
    keep()
    edit(first(shared), title="Other")
    zoom_account.fail("429", call="update_meeting", retry_after=5000)
    keep()
    meeting = first(shared).meeting
    assert meeting.problem
    assert meeting.due_at > timezone.now() + dt.timedelta(minutes=80)
    keep(3)
    assert zoom_account.count("update_meeting") == 1


def test_zoom_refuses_in_its_own_words(shared, zoom_account, settings):
    Event.objects.update(zoom_host="nobody@example.org")
    keep()
    meeting = first(shared).meeting
    assert "User does not exist" in meeting.problem
    assert meeting.due_at > timezone.now() + dt.timedelta(minutes=50)
    assert meeting.state == "wanted"


# Checking


def test_change_by_hand_at_zoom_is_found_and_put_right(shared, zoom_account):
    keep()
    session = first(shared)
    there = zoom_account.meetings[session.meeting.zoom_id]
    there.topic, there.password = "Something else", "new-code"
    with time_machine.travel(timezone.now() + dt.timedelta(hours=1, minutes=1), tick=False):
        keep(2)
    assert session.title in there.topic
    assert first(shared).meeting.passcode == "new-code"


def test_meeting_deleted_by_hand_is_noticed_and_remade_only_on_a_word(shared, zoom_account):
    keep()
    session = first(shared)
    zoom_account.delete_by_hand(session.meeting.zoom_id)
    with time_machine.travel(timezone.now() + dt.timedelta(hours=2), tick=False):
        keep(3)
        gone = first(shared)
        assert (gone.meeting.state, gone.join_url) == ("gone", "")
        assert "say so" in gone.meeting.problem
        assert zoom_account.count("create_meeting") == 6
        assert sync.recreate(meeting=gone.meeting)
        assert not sync.recreate(meeting=gone.meeting)
        keep()
    anew = first(shared)
    assert anew.meeting.state == "made"
    assert anew.meeting.zoom_id != session.meeting.zoom_id
    assert anew.join_url


def test_updating_what_was_deleted_by_hand_finds_out_too(shared, zoom_account):
    keep()
    session = first(shared)
    zoom_account.delete_by_hand(session.meeting.zoom_id)
    edit(session, title="Other")
    keep()
    assert first(shared).meeting.state == "gone"


# Deleting


def test_canceled_session_loses_its_meeting_once_that_has_settled(shared, zoom_account):
    keep()
    session = first(shared)
    schedule.cancel_session(session=session)
    keep()
    assert session.meeting.zoom_id in zoom_account.meetings
    with time_machine.travel(timezone.now() + dt.timedelta(minutes=11), tick=False):
        keep()
        assert session.meeting.zoom_id not in zoom_account.meetings
        assert first(shared).join_url == ""
        schedule.restore_session(session=session)
        keep()
    assert first(shared).meeting.zoom_id in zoom_account.meetings


def test_deleted_session_takes_its_meeting_along(shared, zoom_account):
    keep()
    session = first(shared)
    Session.objects.filter(pk=session.pk).delete()
    zoom_account.fail("503", call="delete_meeting")
    keep(2)
    assert session.meeting.zoom_id not in zoom_account.meetings
    assert not Meeting.objects.filter(session=None).exists()


def test_pasted_meeting_of_a_deleted_session_is_just_forgotten(week, zoom_account):
    Session.objects.filter(pk=first(week).pk).delete()
    keep()
    assert Meeting.objects.count() == 5
    assert zoom_account.calls == []


# How we stand with Zoom


def test_wrong_credentials_are_told_and_calls_stop_for_a_while(shared, zoom_account, settings):
    settings.ZOOM_CLIENT_SECRET = "wrong"
    sync.sync_meetings()
    assert "Invalid client_id or client_secret" in sync.account_problem()
    assert sync.is_paused()
    calls = len(zoom_account.calls)
    sync.sync_meetings()
    assert len(zoom_account.calls) == calls
    settings.ZOOM_CLIENT_SECRET = zoom_account.account.client[1]
    keep()
    assert sync.account_problem() == ""
    assert Meeting.objects.at_zoom().count() == 6


def test_pauses_grow_while_zoom_is_away_and_creates_are_not_burnt(shared, zoom_account):
    zoom_account.fail("503", times=None)
    began = timezone.now()
    with time_machine.travel(began, tick=False) as clock:
        for _tick in range(60):
            sync.sync_meetings()
            clock.shift(60)
        assert zoom_account.count("create_meeting") <= 1
        assert len(zoom_account.calls) < 40
        assert "503" in sync.account_problem()
        zoom_account.heal()
        clock.shift(300)
        sync.sync_meetings()
    assert Meeting.objects.at_zoom().count() == 6
    assert zoom_account.count("create_meeting") <= 7


def test_site_without_credentials_calls_nobody(shared, settings, zoom_account):
    settings.ZOOM_CLIENT_ID = ""
    keep()
    assert (sync.account_problem(), zoom_account.calls) == ("", [])


def test_try_now_forgets_pauses(shared, zoom_account):
    zoom_account.fail("503", times=None)
    for _failure in range(9):
        keep()
    zoom_account.heal()
    sync.sync_meetings()
    assert not Meeting.objects.at_zoom().exists()
    sync.retry_now(event=shared)
    sync.sync_meetings()
    assert Meeting.objects.at_zoom().count() == 6


def test_captions_that_were_refused_are_asked_for_again_on_a_word(shared, zoom_account):
    Event.objects.update(zoom_captions=True)
    keep()
    zoom_account.fail("401", call="update_user_settings", times=2)
    keep(2)
    assert "captions could not be turned on" in first(shared).meeting.problem
    sync.retry_now(event=shared)
    keep(2)
    assert first(shared).meeting.problem == ""
    assert zoom_account.count("update_meeting") == 0


# Between two


def test_what_is_under_way_is_not_tried_a_second_time(shared, zoom_account, monkeypatch):
    def impatient(host, wished):
        made = create(host, wished)
        Meeting.objects.update(problem="Zoom did not answer.")
        sync.retry_now(event=shared)
        monkeypatch.setattr(zoom_client, "list_meetings", lambda host: [])
        sync.sync_meetings()
        return made

    create = zoom_client.create_meeting
    Session.objects.exclude(pk=first(shared).pk).update(status="draft")
    monkeypatch.setattr(zoom_client, "create_meeting", impatient)
    keep()
    assert len(zoom_account.meetings) == 1


def test_pasted_link_counts_whatever_became_of_an_earlier_meeting(shared, zoom_account):
    keep()
    meeting = first(shared).meeting
    sync.mark_gone(meeting.zoom_id)
    Event.objects.update(zoom_mode="pasted")
    Meeting.objects.filter(pk=meeting.pk).update(join_url="https://zoom.us/j/1", passcode="p")
    session = first(shared)
    assert (session.join_url, session.joining_lines()[-1]) == ("https://zoom.us/j/1", "Passcode: p")
    assert session not in Session.objects.without_link(timezone.now())


def test_meeting_of_an_event_with_pasted_links_is_nobodys_loss(shared, zoom_account):
    keep()
    Event.objects.update(zoom_mode="pasted")
    sync.mark_gone(first(shared).meeting.zoom_id)
    assert first(shared).meeting.state == "made"


def test_setting_that_zoom_forces_is_asked_for_once_more_and_then_told(shared, zoom_account):
    keep()
    session = first(shared)
    began = timezone.now()
    with time_machine.travel(began, tick=False) as clock:
        for _hour in range(5):
            zoom_account.meetings[session.meeting.zoom_id].settings["waiting_room"] = True
            clock.shift(3700)
            keep()
    assert zoom_account.count("update_meeting") == 1
    assert first(shared).meeting.problem == sync.FORCED_MESSAGE
    assert sync.is_synced(first(shared))


def test_missing_scope_stops_nothing_else(shared, zoom_account, monkeypatch):
    def lacking(host, meeting_id, wished):
        raise zoom_client.MissingScope("The Zoom app lacks a scope: x", code=4711)

    keep()
    edit(first(shared), title="Other")
    monkeypatch.setattr(zoom_client, "update_meeting", lacking)
    keep()
    assert "scope" in first(shared).meeting.problem
    assert not sync.is_paused()


def test_remade_meeting_leads_nobody_to_the_old_one_meanwhile(shared, zoom_account):
    keep()
    meeting = first(shared).meeting
    zoom_account.delete_by_hand(meeting.zoom_id)
    sync.mark_gone(meeting.zoom_id)
    assert first(shared).joining_lines() == []
    sync.recreate(meeting=meeting)
    assert (first(shared).join_url, first(shared).joining_lines()) == ("", [])


def test_what_zoom_refused_is_told_anew_when_it_was_edited(shared, zoom_account):
    Event.objects.update(zoom_host="nobody@example.org")
    keep()
    Event.objects.update(zoom_host="")
    sync.sync_meetings()
    assert not Meeting.objects.at_zoom().exists()
    for session in shared.sessions.all():
        edit(session)
    sync.sync_meetings()
    assert Meeting.objects.at_zoom().count() == 6


@pytest.mark.parametrize("end", ["canceled", "deleted"])
def test_meeting_made_for_a_session_that_is_not_held_is_deleted(shared, zoom_account, end):
    Session.objects.exclude(pk=first(shared).pk).update(status="draft")
    if end == "canceled":
        zoom_account.fail("lost answer", call="create_meeting")
        keep()
        schedule.cancel_session(session=first(shared))
        keep(2)
    else:
        Meeting.objects.filter(session=first(shared)).delete()
        sync._want_meetings()
        (meeting,) = sync._due(timezone.now())
        sync._claim(meeting, timezone.now())
        Session.objects.filter(pk=meeting.session_id).delete()
        sync._make(meeting)
    assert zoom_account.count("create_meeting") == 1
    assert zoom_account.meetings == {}
