"""Who attended: how a stay in a Zoom meeting is matched with a seat, and completed afterwards."""

import datetime as dt
import threading

import pytest
import time_machine
from django.db import connection, transaction
from django.utils import timezone

from events.models import Meeting, Session, ZoomAccount, ZoomReport
from events.zoom import client as zoom_client
from events.zoom import sync
from events.zoom.client import Participant
from registrations import signup
from registrations.models import Attendance, PersonalLink, Registration, Seat
from registrations.zoom import attendance
from tests.people import sign_up
from tests.registrations.zoom.conftest import NINE, UUID, ZOOM_ID

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("before_opening")]

TEN, ELEVEN = NINE + dt.timedelta(hours=1), NINE + dt.timedelta(hours=2)


def written(moment: dt.datetime | None) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}" if moment else ""


def save_report(kind: str, at: dt.datetime | None = NINE, uuid: object = UUID, **person) -> None:
    """A report from Zoom that someone "joined" or "left"."""
    times = {"joined": "join_time", "left": "leave_time"}
    participant = {
        "user_id": "16778240",
        "user_name": "Alice A.",
        "participant_uuid": "A",
        "email": "",
        times[kind]: written(at),
        **person,
    }
    ZoomReport.objects.create(
        key=str(ZoomReport.objects.count()),
        kind=f"meeting.participant_{kind}",
        zoom_id=ZOOM_ID,
        payload={"object": {"id": str(ZOOM_ID), "uuid": uuid, "participant": participant}},
    )


def report(kind: str, at: dt.datetime | None = NINE, **person) -> None:
    save_report(kind, at, **person)
    attendance.apply_reports()


def link(registration: Registration, session: Session, registrant_id: str) -> PersonalLink:
    return PersonalLink.objects.create(
        seat=registration.seats.get(session=session),
        meeting=session.meeting,
        zoom_id=ZOOM_ID,
        email=registration.email,
        registrant_id=registrant_id,
    )


def attended() -> list[tuple[str, str]]:
    """The people whose seats are ticked, and the sessions."""
    seats = Seat.objects.filter(attended=True).select_related("registration", "session")
    return sorted((seat.registration.name, seat.session.slug) for seat in seats)


def only_row() -> Attendance:
    return Attendance.objects.get()


# Matching


def test_personal_link_identifies_the_person(opening, alice, bob):
    link(bob, opening, "bobs")
    report("joined", registrant_id="bobs", email=alice.email)
    assert only_row().seat.registration == bob
    assert attended() == [("Bob Brown", "opening")]


def test_personal_link_takes_precedence_over_the_address(opening, alice, bob):
    """Two people in one batch with the same address, one of them with Bob's link."""
    link(bob, opening, "bobs")
    save_report("joined", registrant_id="bobs", email=alice.email)
    save_report("joined", email=alice.email, participant_uuid="B")
    attendance.apply_reports()
    seats = Attendance.objects.order_by("participant_id")
    assert [each.seat.registration for each in seats] == [bob, alice]


@pytest.mark.parametrize("email", ["alice@example.org", "Alice@EXAMPLE.org", " alice@example.org "])
def test_address_identifies_the_person(opening, alice, bob, email):
    report("joined", registrant_id="nobodys", email=email)
    assert only_row().seat == alice.seats.get(session=opening)
    assert attended() == [("Alice Adams", "opening")]


def test_address_is_used_when_the_link_was_revoked(opening, alice, bob):
    PersonalLink.objects.filter(pk=link(bob, opening, "old").pk).update(seat=None)
    report("joined", registrant_id="old", email=alice.email)
    assert attended() == [("Alice Adams", "opening")]


def test_link_to_another_session_is_ignored(event, opening, alice):
    other = event.sessions.get(slug="resentencing")
    Meeting.objects.create(session=other, zoom_id=5, state="made")
    link(alice, other, "alices")
    report("joined", registrant_id="alices")
    assert only_row().seat is None


@pytest.mark.parametrize(
    "email", ["", "zoe@example.org", "alice@example.org.", "no address", f"a@{'x' * 300}.org"]
)
def test_someone_unknown_is_listed_for_organizers(alice, email):
    report("joined", user_name="A tablet", email=email)
    row = only_row()
    assert (row.name, row.email, row.seat) == ("A tablet", email[:254], None)
    assert attended() == []


def test_someone_who_canceled_is_unknown(alice):
    signup.cancel(registration=alice)
    report("joined", email=alice.email)
    assert (only_row().seat, attended()) == (None, [])


def test_someone_registered_for_other_sessions_is_unknown(event, opening):
    alice = sign_up(event, sessions=list(event.sessions.exclude(pk=opening.pk)))
    report("joined", email=alice.email)
    assert (only_row().seat, attended()) == (None, [])


# Stays


@pytest.mark.parametrize("kinds", [["joined", "left"], ["left", "joined"]])
def test_joining_and_leaving_arrive_in_any_order(alice, kinds):
    for kind in [*kinds, *kinds]:
        report(kind, {"joined": NINE, "left": TEN}[kind], email=alice.email)
    row = only_row()
    assert (row.joined_at, row.left_at) == (NINE, TEN)
    assert row.seat.registration == alice


def test_missing_time_is_when_the_report_arrived(alice):
    report("joined", None)
    assert only_row().joined_at == ZoomReport.objects.get().received_at


def test_joining_again_is_a_second_stay(alice):
    report("joined", NINE, email=alice.email)
    report("left", TEN, email=alice.email)
    report("joined", ELEVEN, email=alice.email, participant_uuid="B")
    assert list(Attendance.objects.values_list("joined_at", "left_at")) == [
        (NINE, TEN),
        (ELEVEN, None),
    ]


def test_same_participant_number_in_another_instance_is_someone_else(alice):
    report("joined", participant_uuid="", email=alice.email)
    report("joined", participant_uuid="", user_name="Bob", uuid="/another")
    assert list(Attendance.objects.values_list("name", "participant_id").order_by("pk")) == [
        ("Alice A.", "16778240"),
        ("Bob", "16778240"),
    ]


def test_breakout_room_is_not_a_second_stay(alice):
    report("joined", NINE, user_id="16778240")
    report("left", TEN, user_id="16779264")
    assert (only_row().joined_at, only_row().left_at) == (NINE, TEN)


def test_organizers_tick_is_kept(opening, alice):
    Seat.objects.update(attended=True)
    report("joined", user_name="A tablet")
    report("left")
    assert attended() == [("Alice Adams", "opening"), ("Alice Adams", "resentencing")]


def test_organizers_match_is_kept_when_the_person_leaves(opening, alice, bob):
    report("joined", email=alice.email)
    attendance.match(attendance=only_row(), seat=bob.seats.get(session=opening))
    report("left", TEN, email=alice.email)
    assert (only_row().seat.registration, only_row().left_at) == (bob, TEN)


def test_long_names_are_truncated(alice):
    report("joined", user_name="x" * 300, registrant_id="y" * 300, participant_uuid="z" * 300)
    row = only_row()
    lengths = [len(row.name), len(row.registrant_id), len(row.participant_id)]
    assert lengths == [200, 100, 100]


@pytest.mark.parametrize("count", [1, 3])
def test_reports_of_3_people_take_the_same_queries_as_of_1(
    event, opening, count, django_assert_num_queries
):
    for number in range(count):
        person = sign_up(event, f"Person{number} P")
        link(person, opening, f"r{number}")
        save_report("joined", registrant_id=f"r{number}", participant_uuid=f"u{number}")
    # A search for other reports; the claim, the meeting, the links, the stays, who was there during
    # the session, the ticks, done; a search that finds no more; the deletion of old ones; and five
    # savepoints.
    with django_assert_num_queries(1 + 7 + 1 + 1 + 5 * 2):
        attendance.apply_reports()
    assert len(attended()) == count


def test_one_run_applies_more_than_one_batch(alice):
    for number in range(5):
        save_report("joined", participant_uuid=str(number))
    attendance.apply_reports(batch_size=2)
    assert Attendance.objects.count() == 5


def test_bad_report_does_not_affect_the_rest_of_its_batch(alice, caplog):
    save_report("joined", email=alice.email)
    save_report(
        "joined", participant_uuid={"a": []}, registrant_id=["x"], uuid=["not", "a", "uuid"]
    )
    save_report("left", TEN, email=alice.email)
    attendance.apply_reports()
    assert (only_row().joined_at, only_row().left_at) == (NINE, TEN)
    assert len([each for each in caplog.records if each.levelname == "ERROR"]) == 1
    assert not ZoomReport.objects.filter(done_at=None).exists()


def test_joining_and_leaving_in_one_batch_is_one_stay(opening, alice, bob):
    link(bob, opening, "bobs")
    save_report("left", TEN, email=alice.email)
    save_report("joined", NINE, registrant_id="bobs", participant_uuid="B")
    save_report("joined", NINE, email=alice.email)
    save_report("left", ELEVEN, registrant_id="bobs", participant_uuid="B")
    attendance.apply_reports()
    rows = Attendance.objects.order_by("left_at")
    assert list(rows.values_list("seat__registration__name", "joined_at", "left_at")) == [
        ("Alice Adams", NINE, TEN),
        ("Bob Brown", NINE, ELEVEN),
    ]


def test_several_workers_at_once_apply_each_report_once(transactional_db, event, monkeypatch):
    people = [sign_up(event, f"Person{number} P") for number in range(12)]
    for person in people:
        for kind, moment in (("left", TEN), ("joined", NINE)):
            save_report(kind, moment, email=person.email, participant_uuid=person.email)
    applied: list[tuple] = []
    errors: list[Exception] = []
    save_participants = attendance.save_participants

    def recording(session: Session, uuid: str, participants: list[Participant]) -> None:
        applied.extend((each.user_id, each.joined_at, each.left_at) for each in participants)
        save_participants(session, uuid, participants)

    def apply() -> None:
        try:
            attendance.apply_reports(batch_size=4)
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    monkeypatch.setattr(attendance, "save_participants", recording)
    threads = [threading.Thread(target=apply) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert sorted(applied, key=str) == sorted(
        ((person.email, *times) for person in people for times in ((NINE, None), (None, TEN))),
        key=str,
    )
    assert not ZoomReport.objects.filter(done_at=None).exists()
    rows = Attendance.objects.values_list("seat__registration", "joined_at", "left_at")
    assert set(rows) == {(person.pk, NINE, TEN) for person in people}


@pytest.mark.served
def test_report_locked_by_a_hanging_worker_blocks_no_other(transactional_db, event):
    """Not on SQLite, which has no row locks."""
    save_report("joined", participant_uuid="A")
    save_report("joined", participant_uuid="B")
    locked, done = threading.Event(), threading.Event()

    def hang() -> None:
        with transaction.atomic():
            ZoomReport.objects.select_for_update().order_by("pk").first()
            locked.set()
            done.wait(10)
        connection.close()

    other = threading.Thread(target=hang)
    other.start()
    locked.wait(10)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '2s'")
        attendance.apply_reports()
        assert only_row().participant_id == "B"
    finally:
        done.set()
        other.join()
        connection.close()
    attendance.apply_reports()
    assert Attendance.objects.count() == 2


# During the session


@pytest.mark.parametrize(
    ("joined", "left", "counts"),
    [
        # A rehearsal.
        (-21 * 24 * 60, -21 * 24 * 60 + 60, False),
        (-60, -16, False),
        (-60, -14, True),
        (-60, None, False),
        (-60, 5 * 60, True),
        (None, -16, False),
        (None, -14, True),
        (-14, None, True),
        (4 * 60 + 30, None, True),
        (4 * 60 + 31, 5 * 60, False),
        (None, 5 * 60, False),
    ],
)
def test_only_presence_from_doors_until_half_an_hour_after_the_end_counts(
    opening, alice, joined, left, counts
):
    for kind, minutes in (("joined", joined), ("left", left)):
        if minutes is not None:
            moment = opening.starts_at + dt.timedelta(minutes=minutes)
            report(kind, moment, email=alice.email)
    assert bool(attended()) == counts


def test_match_of_a_rehearsal_does_not_count(opening, alice):
    report("joined", NINE - dt.timedelta(days=2))
    report("left", NINE - dt.timedelta(days=2))
    attendance.match(attendance=only_row(), seat=alice.seats.get(session=opening))
    assert (only_row().seat.registration, attended()) == (alice, [])


# Organizers


def test_organizer_matches_an_attendance(opening, alice):
    report("joined")
    assert attendance.match(attendance=only_row(), seat=alice.seats.get(session=opening)) == 1
    assert only_row().seat.registration == alice
    assert attended() == [("Alice Adams", "opening")]


def test_match_covers_the_same_name_and_address_in_the_session(event, opening, alice, bob):
    seat = alice.seats.get(session=opening)
    here = {"session": opening, "instance_uuid": UUID, "name": "A. A.", "email": "a@home.example"}
    first, *_others = (
        Attendance.objects.create(participant_id=str(number), **{**here, **fields})
        for number, fields in enumerate(
            [
                {},
                {},
                {"seat": bob.seats.get(session=opening)},
                {"name": "B. B."},
                {"email": ""},
                {"session": event.sessions.get(slug="resentencing")},
            ]
        )
    )
    assert attendance.match(attendance=first, seat=seat) == 2
    assert list(Attendance.objects.order_by("pk").values_list("seat", flat=True)) == [
        seat.pk,
        seat.pk,
        bob.seats.get(session=opening).pk,
        None,
        None,
        None,
    ]


@pytest.mark.parametrize("fields", [{"name": "iPhone"}, {"email": "shared@example.org"}, {}])
def test_match_covers_no_others_without_both_name_and_address(opening, alice, fields):
    first, _second = (
        Attendance.objects.create(
            session=opening, instance_uuid=UUID, participant_id=number, **fields
        )
        for number in "12"
    )
    assert attendance.match(attendance=first, seat=alice.seats.get(session=opening)) == 1


def test_seat_in_another_session_is_rejected(event, opening, alice):
    report("joined")
    with pytest.raises(ValueError, match="different sessions"):
        attendance.match(attendance=only_row(), seat=alice.seats.exclude(session=opening).get())
    assert (only_row().seat, attended()) == (None, [])


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
