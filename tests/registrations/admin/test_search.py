"""Every list of the admin is searched without accents, both ways, and so is the readiness board."""

import datetime as dt
import re
import time
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.db import connection
from django.utils import timezone

from events.models import Event, Session
from events.text.search import search_key
from events.zoom.client import Participant
from registrations import readiness, signup
from registrations.mail import announcements, stored_messages
from registrations.models import (
    AccessNeed,
    Announcement,
    Attendance,
    OutgoingMail,
    Question,
    Registration,
    Seat,
)
from registrations.privacy import erasure
from registrations.zoom import attendance
from tests.admin_pages import form_of, path
from tests.people import sign_up

pytestmark = pytest.mark.django_db

SPELLINGS = {
    "José Müller": ["José", "jose", "MULLER", "müller JOSE", "Jose\u0301", "ulle", "José Müller"],
    "Jose Muller": ["José", "jose", "MULLER", "müller JOSE", "Jose\u0301", "ülle", "José Müller"],
    "Søren Großmann 王芳": ["soren", "GROSSMANN", "großmann soren", "王", "芳 Søren"],
}


def with_person(week: Event, name: str) -> None:
    details: dict[str, Any] = {"organization": f"Casa {name}", "needs": ["asl"]}
    person = sign_up(week, name, email="x@example.org", sessions=[week.sessions.first()], **details)
    seat = person.seats.get()
    Attendance.objects.create(
        session=seat.session, seat=seat, instance_uuid="u", participant_id="1"
    )


def attending(week: Event, name: str) -> None:
    Attendance.objects.create(
        session=week.sessions.first(), instance_uuid="u", participant_id="1", name=name
    )


def with_need(week: Event, name: str) -> None:
    sign_up(week, "Bob", sessions=[week.sessions.first()], needs_other=f"Sits with {name}")


def noted(week: Event, name: str) -> None:
    sign_up(week, "Bob", sessions=[week.sessions.first()], needs=["asl"])
    need = AccessNeed.objects.get()
    need.note = f"{name} signs"
    need.save(update_fields=["note"])


def account(week: Event, name: str) -> None:
    User.objects.create_user("x", first_name=name)


LISTS: list[Any] = [
    (Registration, with_person),
    (Seat, with_person),
    (Attendance, with_person),
    (Attendance, attending),
    (AccessNeed, with_person),
    (AccessNeed, with_need),
    (AccessNeed, noted),
    (OutgoingMail, with_person),
    (Event, lambda week, name: Event.objects.create(slug="x", host=name)),
    (Session, lambda week, name: week.sessions.filter(slug="opening").update(title=name)),
    (Question, lambda week, name: Question.objects.create(event=week, text=name)),
    (Announcement, lambda week, name: Announcement.objects.create(event=week, body=name)),
    (User, account),
    (Group, lambda week, name: Group.objects.create(name=name)),
]


def found(client, model: Any, typed: str) -> int:
    answer = client.get(path(model, "changelist"), {"q": typed})
    return answer.context["cl"].result_count


@pytest.mark.parametrize("name", SPELLINGS)
@pytest.mark.parametrize(("model", "add"), LISTS)
def test_list_finds_a_name_however_it_is_spelled(organizer, week, model, add, name):
    add(week, name)
    assert [each for each in SPELLINGS[name] if found(organizer, model, each) != 1] == []
    assert found(organizer, model, f"{name} zzz") == 0


@pytest.mark.once
def test_no_list_is_forgotten():
    searched = {
        model for model, model_admin in admin.site._registry.items() if model_admin.search_fields
    }
    others = {model for model in searched if "allauth" in model.__module__}
    assert searched - others == {model for model, _add in LISTS}


@pytest.mark.parametrize("model", dict(LISTS))
def test_endless_search_is_answered_soon(rf, week, model):
    with_person(week, "José Müller")
    started = time.process_time()
    for search in ("ä " * 50_000, "ä" * 50_000):
        model_admin = admin.site.get_model_admin(model)
        rows, _duplicates = model_admin.get_search_results(rf.get("/"), model.objects.all(), search)
        list(rows)
    assert time.process_time() - started < 1


@pytest.mark.parametrize("name", SPELLINGS)
def test_board_finds_a_name_however_it_is_spelled(week, name):
    with_person(week, name)
    board = readiness.Board(week, timezone.now())
    assert [each for each in SPELLINGS[name] if not board.people(search=each)] == []
    assert board.people(search=f"{name} zzz") == []


def test_organization_and_name_can_be_typed_together(organizer, week):
    with_person(week, "José Müller")
    assert found(organizer, Registration, "casa muller example.org") == 1


def test_errors_and_addresses_of_outgoing_emails_are_searched(organizer, week):
    stored_messages.queue(
        recipient="info@bücher.example", subject="Code", text="1", valid_for=dt.timedelta(days=1)
    )
    OutgoingMail.objects.update(last_error="550 Postfach überfüllt")
    assert [found(organizer, OutgoingMail, each) for each in ("bucher", "Bücher")] == [1, 1]
    assert [found(organizer, OutgoingMail, each) for each in ("550 überfüllt", "551")] == [1, 0]


def test_percent_and_underscore_stand_for_themselves(organizer, week):
    with_person(week, "José Müller")
    assert [found(organizer, Registration, each) for each in ("%", "_", "\\")] == [0, 0, 0]


@pytest.mark.once
def test_announcement_reaches_an_organization_however_it_is_spelled(week):
    for number, spelling in enumerate(["Fundación José", "FUNDACION JOSE", "Fundación"]):
        sign_up(week, email=f"{number}@example.org", organization=spelling)
    announcement = Announcement(event=week, organization=" fundacion josé ")
    assert announcements.audience(announcement).count() == 2


# What changes a name or an address


def is_fresh() -> bool:
    """Whether all keys are those of what is stored, read without the model's help."""
    return all(
        (key, organization_key) == (search_key(f"{name} {email}"), search_key(organization))
        for key, organization_key, name, email, organization in Registration.objects.values_list(
            "search_key", "organization_search_key", "name", "email", "organization"
        )
    )


def test_own_page_changes_the_key(week):
    person = sign_up(week)
    signup.change(registration=person, offered=[], sessions=[], name="Zoë", organization="Ünal")
    assert Registration.objects.filter(search_key="zoe alice@example.org").count() == 1
    assert is_fresh()


def test_admin_changes_the_key(organizer, week):
    person = sign_up(week)
    form = form_of(organizer, path(person))
    form |= {"name": "Zoë", "email": "zoe@bücher.example", "organization": "Ünal"}
    assert organizer.post(path(person), form).status_code == 302
    assert found(organizer, Registration, "zoe bucher unal") == 1
    assert is_fresh()


def test_saving_some_fields_changes_the_key(week):
    person = sign_up(week)
    person.name, person.organization = "Zoë", "Not saved"
    person.save(update_fields=["name"])
    assert is_fresh()
    Registration.objects.filter(pk=person.pk).update(name="José")
    person.save(update_fields=["approval"])
    assert Registration.objects.get().search_key == "zoe alice@example.org"


def test_inserting_many_makes_the_keys(week):
    Registration.objects.bulk_create(
        Registration(event=week, name=name, email=f"{name}@example.org", email_key=name)
        for name in ("José", "Müller")
    )
    assert set(Registration.objects.values_list("search_key", flat=True)) == {
        "jose jose@example.org",
        "muller muller@example.org",
    }


def test_new_text_of_a_need_changes_the_key(organizer, week):
    noted(week, "José")
    person = Registration.objects.get()
    for text in ("Sits with Müller", "Sits with Søren"):
        signup.change(registration=person, offered=[], sessions=[], needs_other=text)
    assert found(organizer, AccessNeed, "soren") == 1
    assert found(organizer, AccessNeed, "muller") == 0
    assert found(organizer, AccessNeed, "jose") == 1


def test_attendance_from_zoom_is_found(organizer, week):
    joined = Participant("", "7", "José Müller", "jose@bücher.example", timezone.now(), None)
    left = joined._replace(joined_at=None, left_at=timezone.now())
    for stay in (joined, left):
        attendance.save_participants(week.sessions.first(), "u", [stay])
    assert found(organizer, Attendance, "muller bucher") == 1


def test_erasing_empties_the_keys(week):
    person = sign_up(week, "José Müller", organization="Ünal", needs_other="Sits with Zoë")
    stay: dict[str, Any] = {"session": week.sessions.first(), "instance_uuid": "u"}
    Attendance.objects.create(**stay, participant_id="1", name=person.name)
    Attendance.objects.create(**stay, participant_id="2", seat=person.seats.first(), name="Zoë")
    erasure.erase(registration=person)
    keys = Registration.objects.values_list("search_key", "organization_search_key")
    assert list(keys) == [("", "")]
    assert set(Attendance.objects.values_list("search_key", flat=True)) == {""}
    assert not AccessNeed.objects.exists()


# The index


def two_thousand_people(session: Session) -> None:
    """Each with a seat, an email, an access need, and a stay in the meeting."""
    people = Registration.objects.bulk_create(
        Registration(event=session.event, name=f"Anna {number}", email=address, email_key=address)
        for number in range(2000)
        if (address := f"{number}@example.org")
    )
    seats = Seat.objects.bulk_create(Seat(registration=each, session=session) for each in people)
    Attendance.objects.bulk_create(
        Attendance(
            session=session, seat=seat, instance_uuid="u", participant_id=str(seat.pk), name="Anna"
        )
        for seat in seats
    )
    AccessNeed.objects.bulk_create(AccessNeed(seat=seat, kind="asl", text="A") for seat in seats)
    OutgoingMail.objects.bulk_create(
        OutgoingMail(key=person.email, kind="links", registration=person) for person in people
    )


@pytest.mark.served
def test_search_uses_the_index(rf, week):
    two_thousand_people(week.sessions.first())
    people, attendances, needs = "registrations_search", "attendances_search", "access_needs_search"
    with connection.cursor() as cursor:
        # Otherwise autovacuum does both, sooner or later.
        cursor.execute("ANALYZE")
        for index in (people, attendances, needs):
            cursor.execute("SELECT gin_clean_pending_list(%s)", [index])
        cursor.execute("SET LOCAL enable_seqscan = off")
    used = {}
    for model in (Registration, Seat, Attendance, AccessNeed, OutgoingMail):
        model_admin = admin.site.get_model_admin(model)
        rows, _duplicates = model_admin.get_search_results(
            rf.get("/"), model.objects.all(), "müller"
        )
        used[model] = {*re.findall(r"Bitmap Index Scan on (\w+_search)\b", rows.explain())}
    assert used == {
        Registration: {people},
        Seat: {people},
        Attendance: {attendances, people},
        AccessNeed: {needs, people},
        OutgoingMail: {people},
    }
