"""The retention page, erasing in the admin, and the CSV export."""

import csv
import datetime as dt
import io
from typing import Any

import pytest
import time_machine
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.html import escape

from registrations import signup
from registrations.admin.csv_export import csv_of
from registrations.models import Answer, OutgoingMail, Question, Registration
from registrations.privacy import erasure
from tests.admin_pages import act_surely, sure_of
from tests.people import sign_up
from tests.registrations.privacy.people import (
    EMAIL,
    NAME,
    TRACES,
    end_of,
    erased,
    person_everywhere,
    traces,
)

pytestmark = pytest.mark.django_db

DAY = dt.timedelta(days=1)
MINUTE = dt.timedelta(minutes=1)
PEOPLE = "/admin/registrations/registration/"
RETENTION = f"{PEOPLE}retention/"


def act(client: Client, action: str, *people: Registration, **more: Any) -> Any:
    ids = [person.pk for person in people]
    data = {"action": action, "_selected_action": ids, "index": 0, **more}
    return client.post(PEOPLE, data, follow=True)


def test_organizer_erases_people_after_confirming(admin_client, week, dulcinea):
    sancho = sign_up(week, "Sancho Panza")
    page = act(admin_client, "erase", dulcinea)
    assert "Erase the personal data of 1 person?" in page.content.decode()
    assert erased() == set()
    sure = sure_of(page.content.decode())
    done = act(admin_client, "erase", dulcinea, sure=sure)
    assert "Erased the personal data of 1 person." in done.content.decode()
    assert traces("quixote", EMAIL) == []
    sancho.refresh_from_db()
    assert sancho.erased_at is None
    entry = LogEntry.objects.exclude(object_id=None).get()
    assert (entry.object_repr, entry.get_change_message()) == ("Erased", "Erased.")
    again = act(admin_client, "erase", dulcinea, sure=sure)
    assert "Their data is already erased." in again.content.decode()


def test_only_the_people_on_the_confirmation_page_are_erased(admin_client, week, dulcinea):
    """With "select all", one person leaves and another registers before confirming."""
    sancho = sign_up(week, "Sancho Panza")
    everyone = {"select_across": "1"}
    sure = sure_of(act(admin_client, "erase", dulcinea, **everyone).text)
    erasure.erase(registration=sancho)
    teresa = sign_up(week, "Teresa Panza")
    again = act(admin_client, "erase", dulcinea, sure=sure, **everyone)
    assert "Your selection has changed. Please check it again." in again.text
    assert f"<li>{escape(teresa)}" in again.text
    assert set(Registration.objects.filter(erased_at=None)) == {dulcinea, teresa}
    act(admin_client, "erase", dulcinea, sure=sure_of(again.text), **everyone)
    assert not Registration.objects.filter(erased_at=None).exists()


@pytest.mark.once
def test_too_many_people_at_once_are_rejected(admin_client, week):
    crowd = Registration.objects.bulk_create(
        Registration(event=week, email_key=str(number), time_zone="UTC") for number in range(101)
    )
    page = act(admin_client, "erase", *crowd, sure="101").content.decode()
    assert "Choose at most 100 people at once." in page
    assert erased() == set()


@pytest.mark.once
def test_organizer_erases_a_declined_person(admin_client, week, dulcinea):
    signup.decline(registrations=[dulcinea])
    dulcinea.refresh_from_db()
    act_surely(admin_client, "erase", dulcinea)
    assert traces(*TRACES) == []


@pytest.mark.once
def test_erased_people_are_listed_and_cannot_be_edited(admin_client, week, dulcinea):
    erasure.erase(registration=dulcinea)
    page = admin_client.get(f"{PEOPLE}?coming=erased").content.decode()
    assert page.count("Erased</a>") >= 2
    assert "0 registrations" in admin_client.get(f"{PEOPLE}?coming=canceled").content.decode()
    url = f"{PEOPLE}{dulcinea.pk}/change/"
    assert 'name="email"' not in admin_client.get(url).content.decode()
    assert admin_client.post(url, {"name": "X", "email": "x@example.org"}).status_code == 403
    for other in ("attendance", "outgoingmail"):
        assert admin_client.get(f"/admin/registrations/{other}/").status_code == 200
    for button in ("approve", "send_links_again", "renew_links", "cancel"):
        act(admin_client, button, dulcinea)
    assert Registration.objects.get().name == ""
    assert not OutgoingMail.objects.filter(state="waiting").exists()


@pytest.mark.once
def test_retention_page_shows_event_date_and_number(admin_client, admin_user, week, dulcinea):
    with time_machine.travel(end_of(week) + DAY, tick=False):
        admin_client.force_login(admin_user)
        page = " ".join(admin_client.get(RETENTION).content.decode().split())
    assert "1 person" in page
    assert "are erased in" not in page
    assert "We'll erase their data in <b>89 days</b>" in page
    erasure.erase(registration=dulcinea)
    assert "There's no personal data to erase." in admin_client.get(RETENTION).content.decode()


@pytest.mark.once
def test_dashboard_warns_in_the_last_week(client, admin_user, week, dulcinea):
    due = end_of(week) + 90 * DAY
    shown = {}
    for days in (8, 7, 6):
        with time_machine.travel(due - days * DAY - MINUTE, tick=False):
            client.force_login(admin_user)
            shown[days] = "postpone it" in client.get("/admin/").content.decode()
    assert shown == {8: False, 7: False, 6: True}


@pytest.mark.once
def test_retention_page_and_actions_need_permission(client, admin_client, week, dulcinea):
    viewer = User.objects.create_user("viewer", "v@example.org", "x", is_staff=True)
    client.force_login(viewer)
    assert client.get(RETENTION).status_code == 403
    viewer.user_permissions.add(Permission.objects.get(codename="view_registration"))
    assert client.get(RETENTION).status_code == 200
    sure = sure_of(act(admin_client, "erase", dulcinea).text)
    act(client, "erase", dulcinea, sure=sure)
    assert erased() == set()
    assert act(client, "export_csv", dulcinea)["Content-Type"] == "text/csv; charset=utf-8"


@pytest.mark.once
def test_organizers_choose_the_number_of_days(admin_client, week):
    assert 'name="erase_after_days"' in (
        admin_client.get(f"/admin/events/event/{week.pk}/change/").content.decode()
    )


@pytest.mark.once
def test_csv_export_is_readable_by_spreadsheets(admin_client, week, dulcinea):
    evil = sign_up(week, "=HYPERLINK(1)", email="+1@example.org", sessions=[])
    many = Question.objects.create(event=week, text="-Which days?", kind="choices")
    Answer.objects.create(registration=evil, question=many, value=["@Mon", "Tue"])
    signup.cancel(registration=evil)
    gone = sign_up(week, "Erased Already")
    erasure.erase(registration=gone)
    dulcinea.seats.filter(session__slug="opening").update(attended=True)
    file = act(admin_client, "export_csv", dulcinea, evil, gone)
    assert "no-store" in file["Cache-Control"]
    text = file.getvalue().decode()
    assert text.startswith("\ufeffName,Email,")
    first, second = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))
    assert (first["Name"], first["Email"], first["State"]) == (NAME, EMAIL, "CA")
    assert (first["Attended"], first["Which hand?"]) == (
        week.sessions.get(slug="opening").title,
        "left-handed",
    )
    assert first["Access needs"] == "ASL; a chair by the door"
    assert len(first["Sessions"].split("; ")) == 6
    assert (second["Name"], second["Email"]) == ("'=HYPERLINK(1)", "'+1@example.org")
    assert second["'-Which days?"] == "'@Mon; Tue"
    assert second["Canceled (event's time)"]


@pytest.mark.parametrize("separator", [*",;:|~^#&!/\t ", '"'])
def test_csv_export_has_no_formula_whatever_the_separator(week, separator):
    person = sign_up(week, "Ana Maria", email="ana-maria+week@example.org", sessions=[])
    note = Question.objects.create(event=week, text="A note", kind="text")
    for start in ("=", "+", "-", "@", "\t", "\r", "＝"):
        inside = [f"x{each}{start}cmd|' /C calc'!A0{each}y" for each in (separator, "\n", '"', "")]
        for text in (*inside, f'x{separator}"{start}cmd"', f"x{separator} {start}cmd", f"{start}1"):
            Registration.objects.update(organization=text)
            Answer.objects.update_or_create(
                registration=person, question=note, defaults={"value": text}
            )
            table = io.StringIO("".join(csv_of([person.pk])).removeprefix("\ufeff"), newline="")
            quotes: dict[str, Any] = {"quoting": csv.QUOTE_NONE} if separator == '"' else {}
            rows = list(csv.reader(table, delimiter=separator, **quotes))
            cells = [cell for row in rows for cell in row]
            assert [cell for cell in cells if cell.startswith((*"=+-@\t\r＝",))] == [], text
    assert "ana-maria+week@example.org" in "".join(csv_of([person.pk]))


@pytest.mark.once
def test_csv_export_takes_the_same_queries_for_1_person_as_for_3(week):
    def queries(count: int) -> int:
        ids = list(Registration.objects.values_list("pk", flat=True)[:count])
        with CaptureQueriesContext(connection) as context:
            assert len(list(csv_of(ids))) == count + 1
        return len(context)

    for name in ("Ana", "Bea", "Eva"):
        person_everywhere(week, f"{name} Quixote", f"{name}@example.org")
    assert queries(1) == queries(3) == 5


@pytest.mark.once
def test_csv_export_is_streamed(admin_client, week):
    """The first line is there before anyone has been read."""
    people = [sign_up(week, name) for name in ("Ana Quixote", "Bea Quixote")]
    file = act(admin_client, "export_csv", *people)
    assert file.streaming
    lines = csv_of([person.pk for person in people])
    with CaptureQueriesContext(connection) as context:
        assert next(lines).startswith("Name,Email")
    assert len(context) == 1
    assert [line.partition(",")[0] for line in lines] == ["Ana Quixote", "Bea Quixote"]
