"""Zoom's participant list completes the attendance after the meeting."""

import datetime as dt

import pytest
import time_machine
from django.utils import timezone

from events.models import Meeting, Session, ZoomAccount
from events.zoom import client as zoom_client
from events.zoom import sync
from events.zoom.client import Participant
from registrations.models import Attendance, Seat
from registrations.zoom import attendance
from tests.people import sign_up
from tests.registrations.zoom.attendance_reports import (
    ELEVEN,
    TEN,
    attended,
    link,
    only_row,
    report,
)
from tests.registrations.zoom.conftest import NINE

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("before_opening")]


# Zoom's participant list


def listed(
    name: str, joined: dt.datetime | None, left: dt.datetime | None, **fields
) -> Participant:
    fields = {"registrant_id": "", "user_id": name, "email": "", **fields}
    return Participant(name=name, joined_at=joined, left_at=left, **fields)


@pytest.fixture
def complete(opening, monkeypatch):
    """Complete the attendance from this participant list."""

    def complete(*people: Participant) -> list[tuple]:
        monkeypatch.setattr("events.zoom.sync.past_participants", lambda meeting: [list(people)])
        meetings = Meeting.objects.select_related("session__event")
        attendance.complete(meetings.get(session=opening))
        rows = Attendance.objects.order_by("name", "joined_at")
        return [(row.name, row.joined_at, row.left_at) for row in rows]

    return complete


def test_list_adds_people_without_reports(opening, alice, bob, complete):
    link(bob, opening, "bobs")
    people = [
        listed("Alice", NINE, TEN, email=alice.email),
        listed("Bob", NINE, None, registrant_id="bobs"),
        listed("Bob", ELEVEN, ELEVEN, registrant_id="bobs", user_id="again"),
        listed("Waited only", None, None),
    ]
    expected = [("Alice", NINE, TEN), ("Bob", NINE, None), ("Bob", ELEVEN, ELEVEN)]
    assert complete(*people) == expected
    assert attended() == [("Alice Adams", "opening"), ("Bob Brown", "opening")]
    assert complete(*people) == expected


def test_list_completes_known_stays_without_duplicates(opening, complete):
    second = dt.timedelta(seconds=1)
    report("joined", NINE, user_name="Alice")
    report("left", TEN, user_name="Bob", participant_uuid="B")
    report("joined", NINE, user_name="Carl", participant_uuid="C")
    report("left", TEN, user_name="Carl", participant_uuid="C")
    assert complete(
        listed("Alice", NINE - second, TEN),
        listed("Bob", NINE, TEN + second),
        # Someone who was in a breakout room has several rows.
        listed("Carl", NINE, NINE + 20 * 60 * second),
        listed("Carl", NINE + 20 * 60 * second, TEN + second, user_id="in a room"),
    ) == [("Alice", NINE, TEN), ("Bob", NINE, TEN), ("Carl", NINE, TEN)]


def test_list_with_the_missing_time_shows_who_was_there_during_the_session(
    opening, alice, complete
):
    early = NINE - dt.timedelta(hours=1)
    report("joined", early, email=alice.email)
    assert attended() == []
    complete(listed("Alice A.", early, TEN, email=alice.email))
    assert attended() == [("Alice Adams", "opening")]


def test_organizers_untick_survives_the_list(opening, alice, complete):
    report("joined", NINE, email=alice.email)
    report("left", TEN, email=alice.email)
    Seat.objects.update(attended=False)
    complete(listed("Alice A.", NINE, TEN, email=alice.email))
    assert attended() == []


def test_list_adds_a_second_stay(opening, complete):
    report("joined", NINE, user_name="Alice")
    report("left", TEN, user_name="Alice")
    assert complete(listed("Alice", NINE, TEN), listed("Alice", ELEVEN, None, user_id="2")) == [
        ("Alice", NINE, TEN),
        ("Alice", ELEVEN, None),
    ]


def test_list_only_completes_a_stay_at_the_same_time(opening, complete):
    report("joined", ELEVEN, user_name="Alice")
    assert complete(listed("Alice", NINE, TEN)) == [("Alice", NINE, TEN), ("Alice", ELEVEN, None)]


def test_list_may_contain_someone_twice(opening, complete):
    """One row for the waiting room and one for the meeting, with the same number."""
    assert complete(listed("Alice", NINE, NINE), listed("Alice", NINE, TEN)) == [
        ("Alice", NINE, TEN)
    ]


def test_pasted_meeting_has_no_list(opening, complete):
    Meeting.objects.update(zoom_id=None, state="pasted")
    assert complete(listed("Alice", NINE, TEN)) == []


@pytest.mark.once
def test_list_of_a_real_meeting_is_read(opening, alice, zoom_account):
    zoom = zoom_account
    made = zoom.account.create_meeting(zoom.account.owner, {"topic": "Opening session"})
    Meeting.objects.update(zoom_id=made.id)
    with time_machine.travel(NINE):
        zoom.start(made.id)
        zoom.join(made.id, name="Alice A.", email=alice.email)
        zoom.end(made.id)
    attendance.complete(Meeting.objects.get(session=opening))
    assert (only_row().name, bool(only_row().left_at)) == ("Alice A.", True)
    assert attended() == [("Alice Adams", "opening")]


@pytest.mark.parametrize("count", [1, 3])
def test_list_takes_the_same_queries_for_1_person_as_for_3(
    event, complete, count, django_assert_num_queries
):
    people = [sign_up(event, f"Person{number} P") for number in range(count)]
    on_list = [listed(each.name, NINE, TEN, email=each.email) for each in people]
    # The meeting, the known stays, the addresses, the new stays, who was there during the session,
    # the ticks, two savepoints, and the test's own query.
    with django_assert_num_queries(6 + 2 * 2 + 1):
        complete(*on_list)
    assert len(attended()) == count


# After the meeting


@pytest.fixture
def ended(week, zoom_account) -> Meeting:
    """A meeting that has just ended, without reports about people."""
    week.zoom_mode, week.zoom_captions = "shared", False
    week.save()
    sync.sync_meetings()
    meeting = Meeting.objects.at_zoom().order_by("session__starts_at").first()
    zoom_account.start(meeting.zoom_id)
    zoom_account.join(meeting.zoom_id, name="Alice", email="alice@example.org")
    zoom_account.end(meeting.zoom_id)
    now = timezone.now()
    Meeting.objects.filter(pk=meeting.pk).update(ended_at=now)
    session = Session.objects.filter(pk=meeting.session_id)
    session.update(starts_at=now - dt.timedelta(hours=1), ends_at=now)
    return meeting


@pytest.mark.once
def test_list_is_read_once_when_it_is_ready(ended, week, zoom_account):
    alice = sign_up(week)
    attendance.complete_ended()
    assert zoom_account.count("report_participants") == 0
    with time_machine.travel(timezone.now() + dt.timedelta(minutes=31), tick=False):
        attendance.complete_ended()
        attendance.complete_ended()
    assert zoom_account.count("report_participants") == 1
    assert alice.seats.get(session=ended.session).attended


@pytest.mark.once
def test_list_is_retried_after_an_outage_but_not_after_a_rejection(ended, zoom_account):
    with time_machine.travel(timezone.now() + dt.timedelta(minutes=31), tick=False):
        zoom_account.fail("503", call="report_participants")
        attendance.complete_ended()
        ZoomAccount.objects.update(resumes_at=timezone.now())
        assert not Attendance.objects.exists()
        attendance.complete_ended()
        assert Attendance.objects.exists()
        Meeting.objects.update(attendance_read_at=None)
        zoom_account.account.plan = "free"
        attendance.complete_ended()
        attendance.complete_ended()
    assert zoom_account.count("report_participants") == 3


@pytest.mark.once
@pytest.mark.parametrize("reported", ["first run ended", "nothing"])
def test_all_runs_during_the_session_are_read(opening, alice, bob, zoom_account, reported):
    zoom, session = zoom_account, opening
    zoom_id = zoom.account.create_meeting(zoom.account.owner, {"topic": "Opening session"}).id
    Meeting.objects.update(zoom_id=zoom_id)
    carol = sign_up(session.event, "Carol Chen")
    runs = [(NINE - dt.timedelta(days=2), carol), (NINE, alice), (TEN, bob)]
    for starts_at, person in runs:
        with time_machine.travel(starts_at):
            zoom.start(zoom_id)
            zoom.join(zoom_id, name=person.name, email=person.email)
        with time_machine.travel(starts_at + dt.timedelta(minutes=30)):
            zoom.end(zoom_id)
    if reported != "nothing":
        Meeting.objects.update(ended_at=NINE + dt.timedelta(minutes=30))
    with time_machine.travel(session.ends_at + dt.timedelta(minutes=31)):
        attendance.complete_ended()
        attendance.complete_ended()
    assert attended() == [("Alice Adams", "opening"), ("Bob Brown", "opening")]
    assert zoom.count("report_participants") == 2
    assert zoom.count("past_instances") == 1


@pytest.mark.once
def test_last_run_is_read_without_the_scope_to_list_runs(ended, week, monkeypatch):
    def past_runs(meeting_id: int) -> None:
        raise zoom_client.ZoomRejected("The Zoom app lacks a scope.", code=4711)

    monkeypatch.setattr(zoom_client, "past_runs", past_runs)
    alice = sign_up(week)
    with time_machine.travel(timezone.now() + dt.timedelta(minutes=31), tick=False):
        attendance.complete_ended()
    assert alice.seats.get(session=ended.session).attended
