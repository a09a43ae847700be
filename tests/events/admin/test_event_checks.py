"""The form of an event asks about registration that closes late, and about another time zone."""

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
import time_machine

from events import schedule
from events.models import Event, Meeting, Session
from registrations import tasks
from registrations.models import OutgoingMail
from tests.admin_pages import (
    answers_of,
    form_of,
    messages_of,
    move_to,
    path,
    post_twice,
    questions_of,
)
from tests.people import sign_up

pytestmark = pytest.mark.django_db

PACIFIC, EASTERN = ZoneInfo("America/Los_Angeles"), ZoneInfo("America/New_York")
# The week is from Saturday, October 16, to Saturday, October 23, 2027.
NOW = dt.datetime(2027, 9, 24, 19, tzinfo=dt.UTC)


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOW, tick=False) as clock:
        yield clock


def moments(week: Event) -> list[dt.datetime]:
    return list(week.sessions.values_list("starts_at", flat=True))


def clocks(found: list[dt.datetime], zone: ZoneInfo) -> list[dt.datetime]:
    return [each.astimezone(zone).replace(tzinfo=None) for each in found]


def closing(day: str, time: str) -> dict[str, str]:
    return {"registration_closes_at_0": day, "registration_closes_at_1": time}


def test_registration_that_closes_after_the_last_session_is_asked_about(organizer, week):
    form = form_of(organizer, path(week)) | closing("10/23/2027", "12:01 PM")
    page = organizer.post(path(week), form).content.decode()
    assert questions_of(page) == [
        "Registration would close after the last session ends: Saturday, October 23 at 12:00 PM. "
        "If that's right, save again."
    ]
    post_twice(organizer, path(week), form)
    week.refresh_from_db()
    assert week.registration_closes_at == dt.datetime(2027, 10, 23, 19, 1, tzinfo=dt.UTC)
    # It isn't asked about again with other changes.
    form = form_of(organizer, path(week)) | {"host": "Others"}
    assert organizer.post(path(week), form).status_code == 302


def test_registration_that_closes_with_the_last_session_is_not_asked_about(organizer, week):
    form = form_of(organizer, path(week)) | closing("10/23/2027", "12:00 PM")
    assert organizer.post(path(week), form).status_code == 302


def test_registration_that_closes_before_it_opens_is_an_error(organizer, week):
    opens = {"registration_opens_at_0": "10/02/2027", "registration_opens_at_1": "9 AM"}
    form = form_of(organizer, path(week)) | closing("10/01/2027", "9 AM") | opens
    page = organizer.post(path(week), form).content.decode()
    assert "Registration must close after it opens." in page


def test_skipped_and_repeated_times_of_registration_are_explained(organizer, week):
    form = form_of(organizer, path(week))
    page = organizer.post(path(week), form | closing("03/14/2027", "2:30 AM")).content.decode()
    assert "clocks move forward on Sunday, March 14 and skip 2:30 AM" in page
    page = organizer.post(path(week), form | closing("11/07/2027", "1:30 AM")).content.decode()
    assert "so 1:30 AM comes twice" in questions_of(page)[0]


def test_another_zone_keeps_the_moments_unless_clock_times_are_chosen(organizer, week):
    Event.objects.update(registration_opens_at=NOW)
    before = moments(week)
    form = form_of(organizer, path(week)) | {"time_zone": "America/New_York"}
    page = organizer.post(path(week), form).content.decode()
    assert questions_of(page) == [
        "The time zone changes from Pacific (Los Angeles) to Eastern (New York). What happens to "
        "the sessions?"
    ]
    assert "move the sessions: 9:00 AM becomes 12:00 PM." in page
    assert Event.objects.get().time_zone == "America/Los_Angeles"
    organizer.post(path(week), form | answers_of(page))
    assert moments(week) == before
    event = Event.objects.get()
    # Registration opens at the same moment, too.
    assert (event.time_zone, event.registration_opens_at) == ("America/New_York", NOW)


def test_clock_times_are_kept_if_chosen_and_people_are_told(organizer, week):
    sign_up(week)
    OutgoingMail.objects.update(state="sent", sent_at=NOW, claimed_at=NOW)
    Event.objects.update(registration_opens_at=NOW)
    before = moments(week)
    form = form_of(organizer, path(week)) | {"time_zone": "America/New_York"}
    answer = post_twice(organizer, path(week), form, sessions_in_zone="clock_times")
    assert clocks(moments(week), EASTERN) == clocks(before, PACIFIC)
    assert {each.revision for each in week.sessions.all()} == {1}
    assert Event.objects.get().registration_opens_at == NOW - dt.timedelta(hours=3)
    said = [text for _color, text in messages_of(answer.content.decode())]
    assert "6 sessions moved: they have the same clock times in the new time zone." in said
    assert any(text.startswith("1 person gets an email about this at 3:10 PM") for text in said)
    with time_machine.travel(NOW + dt.timedelta(minutes=11), tick=False):
        tasks.queue_due_mails()
    # One for each session.
    assert OutgoingMail.objects.filter(kind="changed").count() == 6


def test_sessions_that_are_over_do_not_move(organizer, week, opening, clock):
    move_to(organizer, clock, opening.ends_at)
    before = moments(week)
    form = form_of(organizer, path(week)) | {"time_zone": "America/New_York"}
    post_twice(organizer, path(week), form, sessions_in_zone="clock_times")
    after = moments(week)
    assert after[0] == before[0]
    assert clocks(after[1:], EASTERN) == clocks(before[1:], PACIFIC)


def test_another_zone_is_not_asked_about_when_all_is_over_or_nothing_planned(
    organizer, week, clock
):
    move_to(organizer, clock, NOW + dt.timedelta(days=60))
    form = form_of(organizer, path(week)) | {"time_zone": "America/New_York"}
    assert organizer.post(path(week), form).status_code == 302
    Session.objects.all().delete()
    form = form_of(organizer, path(week)) | {"time_zone": "America/Chicago"}
    assert organizer.post(path(week), form).status_code == 302


def test_other_zone_than_the_confirmed_one_is_asked_about(organizer, week):
    form = form_of(organizer, path(week)) | {"time_zone": "America/New_York"}
    answers = answers_of(organizer.post(path(week), form).content.decode())
    other = form | {"time_zone": "America/Chicago"} | answers
    assert len(questions_of(organizer.post(path(week), other).content.decode())) == 1


def test_clocks_that_skip_a_session_keep_its_length(week, opening):
    Session.objects.exclude(pk=opening.pk).delete()
    # 2:45 to 3:15 AM in Phoenix, where clocks never change. Elsewhere they skip its start.
    starts_at = dt.datetime(2028, 3, 12, 9, 45, tzinfo=dt.UTC)
    Session.objects.update(starts_at=starts_at, ends_at=starts_at + dt.timedelta(minutes=30))
    (moved,) = schedule.keep_clock_times(event=week, before=ZoneInfo("America/Phoenix"))
    assert moved.starts_at == dt.datetime(2028, 3, 12, 10, 45, tzinfo=dt.UTC)
    assert moved.ends_at - moved.starts_at == dt.timedelta(minutes=30)


def test_event_with_people_becomes_a_draft_only_when_confirmed(organizer, week):
    sign_up(week, "Alice Adams")
    sign_up(week, "Bob B")
    form = form_of(organizer, path(week)) | {"status": "draft"}
    (text,) = questions_of(organizer.post(path(week), form).content.decode())
    assert text.startswith(
        "2 people are registered. If you make this a draft, its public page is gone,"
    )
    assert Event.objects.get().status == "published"
    post_twice(organizer, path(week), form)
    assert Event.objects.get().status == "draft"
    # What is a draft already isn't asked about.
    form = form_of(organizer, path(week)) | {"host": "Others"}
    assert organizer.post(path(week), form).status_code == 302


def test_event_without_people_becomes_a_draft_at_once(organizer, week):
    form = form_of(organizer, path(week)) | {"status": "draft"}
    assert organizer.post(path(week), form).status_code == 302
    assert Event.objects.get().status == "draft"


@pytest.fixture
def credentials(settings) -> None:
    settings.ZOOM_ACCOUNT_ID = settings.ZOOM_CLIENT_ID = settings.ZOOM_CLIENT_SECRET = "x"
    settings.ZOOM_API_URL, settings.ZOOM_IS_FAKE = "http://127.0.0.1:1/v2", True


def test_new_meetings_in_place_of_pasted_ones_ask_first(organizer, week, credentials):
    sign_up(week, "Alice Adams")
    form = form_of(organizer, path(week)) | {"zoom_mode": "shared"}
    (text,) = questions_of(organizer.post(path(week), form).content.decode())
    assert text.startswith("We'll create new Zoom meetings. 1 person will get an email about the")
    assert Event.objects.get().zoom_mode == "pasted"
    post_twice(organizer, path(week), form)
    assert Event.objects.get().zoom_mode == "shared"


def test_new_meetings_that_no_one_is_told_about_are_not_asked_about(organizer, week, credentials):
    sign_up(week, "Alice Adams")
    # Without a meeting ID, people know of no meeting.
    Meeting.objects.update(meeting_id="", passcode="", dial_in="")
    form = form_of(organizer, path(week)) | {"zoom_mode": "shared"}
    assert organizer.post(path(week), form).status_code == 302


def test_strategy_that_people_chose_is_not_deleted(organizer, week):
    alice = sign_up(week, "Alice Adams")
    track, other = week.tracks.all()[:2]
    alice.strategies.set([track])
    form = form_of(organizer, path(week))
    page = organizer.post(path(week), form | {"tracks-0-DELETE": "on"}).content.decode()
    assert f"1 person chose “{track}”, so it can&#x27;t be deleted." in page
    assert list(alice.strategies.all()) == [track]
    assert organizer.post(path(week), form | {"tracks-1-DELETE": "on"}).status_code == 302
    assert list(week.tracks.filter(pk__in=[track.pk, other.pk])) == [track]
