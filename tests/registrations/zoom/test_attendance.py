"""Who attended: how a stay in a Zoom meeting is matched with a seat."""

import datetime as dt
import threading

import pytest
from django.db import connection, transaction

from events.models import Meeting, Session, ZoomReport
from events.zoom.client import Participant
from registrations import signup
from registrations.models import Attendance, PersonalLink, Seat
from registrations.zoom import attendance
from tests.people import sign_up
from tests.registrations.zoom.attendance_reports import (
    ELEVEN,
    TEN,
    attended,
    link,
    only_row,
    report,
    save_report,
)
from tests.registrations.zoom.conftest import NINE, UUID

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("before_opening")]


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


def test_address_of_ours_identifies_one_of_a_family(event, opening, alice):
    hija = sign_up(event, "Hija", email=alice.email)
    report("joined", email=hija.zoom_email.upper(), user_name="Phone")
    assert only_row().seat == hija.seats.get(session=opening)


def test_address_of_a_family_identifies_no_one_by_another_name(event, alice):
    sign_up(event, "Hija", email=alice.email)
    report("joined", email=alice.zoom_email, user_name="Phone")
    assert only_row().seat is None


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


def test_match_covers_no_others_who_may_be_someone_else_of_the_family(event, opening, alice):
    here = {"session": opening, "instance_uuid": UUID, "name": "Home", "email": alice.email}
    rows = [Attendance.objects.create(participant_id=number, **here) for number in "123"]
    hija = sign_up(event, "Hija", email=alice.email)
    seats = [person.seats.get(session=opening) for person in (alice, hija)]
    assert attendance.match(attendance=rows[0], seat=seats[0]) == 1
    assert attendance.match(attendance=rows[1], seat=seats[1]) == 1
    found = Attendance.objects.order_by("participant_id").values_list("seat", flat=True)
    assert list(found) == [seats[0].pk, seats[1].pk, None]
    signup.cancel(registration=hija)
    assert attendance.match(attendance=rows[0], seat=seats[0]) == 2


def test_seat_in_another_session_is_rejected(event, opening, alice):
    report("joined")
    with pytest.raises(ValueError, match="different sessions"):
        attendance.match(attendance=only_row(), seat=alice.seats.exclude(session=opening).get())
    assert (only_row().seat, attended()) == (None, [])
