"""Organizers see who attended, and match people whom nothing identified."""

import datetime as dt

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext

from registrations import signup
from registrations.models import Attendance, Seat
from tests.admin_pages import path
from tests.people import sign_up
from tests.registrations.zoom.attendance_reports import attended, only_row, report
from tests.registrations.zoom.conftest import NINE

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("before_opening")]

LIST = "/admin/registrations/attendance/"


def names(answer) -> list[str]:
    return [row.name for row in answer.context["cl"].result_list]


@pytest.mark.once
def test_attendance_page_shows_who_and_how_long(admin_client, opening, alice):
    report("joined", email=alice.email)
    report("left", NINE + dt.timedelta(minutes=95, seconds=20), email=alice.email)
    report("joined", user_name="", participant_uuid="B", email="b@example.org")
    text = admin_client.get(LIST).content.decode()
    for shown in (
        *("Alice A.", "Alice Adams", "Opening session", ">95<"),
        *("Oct 16, 2021, 9:00 AM PDT", ">10:35 AM<"),
        *("No name", "b@example.org", ">Unmatched<", "Unknown"),
    ):
        assert shown in text


def test_attendance_page_filters_unmatched_people(admin_client, alice):
    report("joined", email=alice.email)
    report("joined", user_name="A tablet", participant_uuid="B")
    assert names(admin_client.get(f"{LIST}?known=no")) == ["A tablet"]
    assert names(admin_client.get(f"{LIST}?known=yes")) == ["Alice A."]
    assert len(names(admin_client.get(LIST))) == 2


@pytest.mark.parametrize("text", ["Alice A.", "alice@", "Adams"])
def test_attendance_page_searches_both_names(admin_client, alice, text):
    report("joined", email=alice.email)
    report("joined", user_name="A tablet", participant_uuid="B")
    assert names(admin_client.get(LIST, {"q": text})) == ["Alice A."]


def test_attendance_page_takes_the_same_queries_for_1_row_as_for_3(admin_client, event, alice):
    def queries() -> int:
        with CaptureQueriesContext(connection) as context:
            assert admin_client.get(LIST).status_code == 200
        return len(context)

    report("joined", email=alice.email)
    one = queries()
    for name in ("Bob B", "Carl C"):
        report("joined", email=sign_up(event, name).email, participant_uuid=name)
    assert queries() == one


def choices(answer) -> list:
    return answer.context["adminform"].form.fields["seat"].widget.choices


@pytest.mark.once
def test_organizer_chooses_among_the_people_of_the_session(admin_client, event, opening):
    people = {name: sign_up(event, name) for name in ("Zoe Z", "carl C", "Bob B", "Alice A")}
    signup.cancel(registration=sign_up(event, "Gone G"))
    sign_up(event, "Elsewhere E", sessions=list(event.sessions.exclude(pk=opening.pk)))
    report("joined", email="bob@example.org")
    report("joined", user_name="A tablet", participant_uuid="B")

    def seat(name: str) -> tuple[int, str]:
        return people[name].seats.get(session=opening).pk, str(people[name])

    unknown = Attendance.objects.get(seat=None)
    assert list(choices(admin_client.get(path(unknown)))) == [
        ("", "Choose a person"),
        ("Not seen yet", [seat("Alice A"), seat("carl C"), seat("Zoe Z")]),
        ("Already seen", [seat("Bob B")]),
    ]


@pytest.mark.once
def test_organizer_matches_in_the_admin(admin_client, opening, alice):
    report("joined")
    seat = alice.seats.get(session=opening)
    answer = admin_client.post(path(only_row()), {"seat": seat.pk}, follow=True)
    assert (
        "1 entry matched to Alice Adams, who&#x27;s now marked as attended."
        in answer.content.decode()
    )
    assert (only_row().seat, attended()) == (seat, [("Alice Adams", "opening")])


@pytest.mark.once
def test_changed_match_says_that_the_tick_stays(admin_client, opening, alice, bob):
    report("joined", email=alice.email)
    seat = bob.seats.get(session=opening)
    answer = admin_client.post(path(only_row()), {"seat": seat.pk}, follow=True)
    assert "is still marked as attended" in answer.content.decode()
    assert only_row().seat == seat
    assert attended() == [("Alice Adams", "opening"), ("Bob Brown", "opening")]


@pytest.mark.once
def test_saving_without_a_change_ticks_nothing(admin_client, opening, alice):
    report("joined", email=alice.email)
    Seat.objects.update(attended=False)
    admin_client.post(path(only_row()), {"seat": only_row().seat_id})
    assert attended() == []


@pytest.mark.once
@pytest.mark.parametrize("chosen", ["", "0", "nobody", "elsewhere"])
def test_invalid_person_is_rejected_at_the_field(admin_client, opening, alice, chosen):
    report("joined")
    if chosen == "elsewhere":
        chosen = alice.seats.exclude(session=opening).get().pk
    answer = admin_client.post(path(only_row()), {"seat": chosen})
    assert list(answer.context["adminform"].form.errors) == ["seat"]
    assert (only_row().seat, attended()) == (None, [])


@pytest.mark.once
def test_match_of_a_canceled_person_can_be_saved(admin_client, opening, alice):
    report("joined", email=alice.email)
    signup.cancel(registration=alice)
    assert admin_client.post(path(only_row()), {"seat": only_row().seat_id}).status_code == 302


@pytest.mark.once
def test_nothing_else_can_be_edited(admin_client, opening, alice):
    report("joined")
    seat = alice.seats.get(session=opening)
    admin_client.post(path(only_row()), {"seat": seat.pk, "name": "X", "email": "x@example.org"})
    assert (only_row().name, only_row().email) == ("Alice A.", "")
    assert admin_client.get(f"{LIST}add/").status_code == 403
    assert admin_client.post(f"{LIST}{only_row().pk}/delete/", {"post": "yes"}).status_code == 403


@pytest.mark.once
def test_viewer_sees_attendances_and_cannot_match(client, django_user_model, opening, alice):
    user = django_user_model.objects.create_user("viewer", "v@example.org", "x", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    client.force_login(user)
    report("joined")
    page = client.get(path(only_row()))
    assert page.status_code == 200
    assert "Alice A." in page.content.decode()
    seat = alice.seats.get(session=opening)
    assert client.post(path(only_row()), {"seat": seat.pk}).status_code == 403
    assert only_row().seat is None
