"""What organizers do in admin, in a real browser: on a phone and a desk, with and without scripts.

What they ask, what people need, who has a place, how long data stays, whose links end.
"""

import csv
import datetime as dt
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Page, expect

from events.models import Event, Session
from registrations import seats, signup
from registrations.models import OutgoingMail, Question, Registration, Seat
from tests.people import in_english, sign_up
from tests.walks.test_my_page import fits, press, says

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(180), pytest.mark.once]

ADMIN = "/admin/registrations"
DAY = dt.timedelta(days=1)
OpenPage = Callable[..., Page]


@pytest.fixture
def open_as_organizer(new_page: OpenPage, live_server, admin_client: Client) -> OpenPage:
    """A fresh visitor's page, signed in to admin; takes what `new_page` takes, and a width."""

    def open_page(*, width: int, **options) -> Page:
        page = new_page(viewport={"width": width, "height": 800}, **options)
        session = admin_client.cookies["sessionid"].value
        page.context.add_cookies([{"name": "sessionid", "value": session, "url": live_server.url}])
        return page

    return open_page


@pytest.fixture(params=[(320, False), (1280, True)], ids=["phone-plain", "desk-javascript"])
def organizer(request: pytest.FixtureRequest, open_as_organizer: OpenPage) -> Page:
    width, javascript = request.param
    return open_as_organizer(width=width, java_script_enabled=javascript)


@pytest.fixture
def opening(week: Event) -> Session:
    """The first session, in two days."""
    session = week.sessions.get(slug="opening")
    length = session.ends_at - session.starts_at
    session.starts_at = timezone.now().replace(second=0, microsecond=0) + 2 * DAY
    session.ends_at = session.starts_at + length
    session.save()
    return session


def do(page: Page, action: str, *chosen: str) -> None:
    """Tick the rows that hold these words, and press the action."""
    for words in chosen:
        page.locator("#result_list tbody tr").filter(has_text=words).get_by_role("checkbox").check()
    page.locator("select[name=action]").select_option(label=action)
    press(page, "Go")


def enter_question(page: Page, kind: str, text: str, *, choices: str = "", only: str = "") -> None:
    page.get_by_label("Question (English):").fill(text)
    page.get_by_label("Answer:").select_option(label=kind)
    page.get_by_label("Choices (English):").fill(choices)
    if only:
        page.get_by_label(only).check()
    fits(page)
    press(page, "Save and add another")
    says(page, f"“{text}” was added successfully")


def test_language_is_switched_in_the_header(organizer, week):
    organizer.goto(f"{ADMIN}/question/add/?kind=choice")
    fits(organizer)
    organizer.get_by_role("group", name="Language").get_by_role("link", name="Español").click()
    says(organizer, "Agregar pregunta")
    assert organizer.url.endswith("/question/add/?kind=choice")
    fits(organizer)
    organizer.get_by_role("group", name="Idioma").get_by_role("link", name="English").click()
    says(organizer, "Add question")


def test_questions_from_asking_to_the_export(organizer, week, opening):
    organizer.goto(f"{ADMIN}/question/")
    organizer.get_by_role("link", name="Add question").click()
    enter_question(organizer, "Short text", "Who sent you?", only=str(opening))
    enter_question(organizer, "Long text", "Whom do you come for?")
    enter_question(organizer, "One choice", "Which side?", choices="Inside\nOutside")
    enter_question(organizer, "Several choices", "What do you bring?", choices="Food\nSongs\nLaw")
    enter_question(organizer, "Yes or no", "May we call you?")

    organizer.goto(f"/{week.slug}/register/")
    says(organizer, f"If you come to “{opening}”")
    organizer.get_by_label("Name", exact=True).first.fill("Alice Adams")
    organizer.get_by_role("textbox", name="Email").fill("alice@example.org")
    organizer.get_by_label("Time zone").select_option("America/New_York")
    organizer.get_by_label("Who sent you?").fill("My aunt")
    organizer.get_by_label("Whom do you come for?").fill("My brother,\nand his cellmate")
    organizer.get_by_label("Which side?").select_option("Outside")
    organizer.get_by_label("Food").check()
    organizer.get_by_label("Law").check()
    organizer.get_by_role("group", name="May we call you?").get_by_label("Yes").check()
    fits(organizer)
    press(organizer, "Register")
    says(organizer, "Check your email")

    organizer.goto(f"{ADMIN}/registration/{Registration.objects.get().pk}/change/")
    for answer in ("My aunt", "and his cellmate", "Outside", "Food; Law"):
        says(organizer, answer)
    fits(organizer)
    asked = Question.objects.get(text="What do you bring?")
    organizer.goto(f"{ADMIN}/question/{asked.pk}/answers/")
    says(organizer, "1 person answered")
    says(organizer, "Food; Law")

    organizer.goto(f"{ADMIN}/registration/")
    with organizer.expect_download() as download:
        do(organizer, "Export as CSV for a spreadsheet", "Alice")
    table = Path(download.value.path()).read_text(encoding="utf-8-sig")
    (alice,) = csv.DictReader(io.StringIO(table, newline=""))
    texts = list(Question.objects.values_list("text", flat=True))
    assert [alice[text] for text in texts] == [
        *("My aunt", "My brother,\nand his cellmate", "Outside", "Food; Law", "Yes")
    ]


def test_need_from_requested_to_confirmed(organizer, week, opening):
    alice = sign_up(week, needs=["asl"], sessions=[opening])
    OutgoingMail.objects.update(state="sent", sent_at=timezone.now())
    organizer.goto("/admin/")
    says(organizer, "1 access need to arrange or confirm.")
    fits(organizer)
    organizer.get_by_role("link", name="See who needs what").click()
    organizer.get_by_role("textbox", name="Note").fill("Dora signs")
    press(organizer, "Save")
    says(organizer, "was changed successfully")
    do(organizer, "Mark as arranged", "Alice Adams")
    says(organizer, "1 need marked as arranged.")
    expect(organizer.get_by_role("textbox", name="Note")).to_have_value("Dora signs")
    organizer.goto("/admin/")
    says(organizer, "All are arranged. Email people to confirm.")
    organizer.get_by_role("link", name="See who needs what").click()
    do(organizer, "Email people about what's arranged", "Alice Adams")
    says(organizer, "An email is on its way to 1 person.")
    fits(organizer)
    organizer.goto("/admin/")
    expect(organizer.get_by_role("link", name="See who needs what")).to_have_count(0)
    assert alice.mails.filter(kind="access").count() == 1

    organizer.goto(f"/me/{alice.token}/")
    says(organizer, "confirmed")
    expect(organizer.get_by_text("Dora signs")).to_have_count(0)


def test_places_are_given_taken_and_made(organizer, week, opening):
    opening.capacity = 1
    opening.save()
    for name in ("Alice A", "Bob B", "Charlie C"):
        sign_up(week, name, sessions=[opening])

    def hold(capacity: int, question: str = "") -> None:
        """Set the number of spots, and let the sweep promote people."""
        organizer.goto(f"/admin/events/session/{opening.pk}/change/")
        organizer.get_by_label("Spots:").fill(str(capacity))
        organizer.get_by_role("button", name="Save", exact=True).click()
        if question:
            says(organizer, question)
            organizer.get_by_role("button", name="Save and email them").click()
        says(organizer, "was changed successfully")
        seats.promote_all_waiting(timezone.now())

    def seated() -> str:
        found = Seat.objects.seated().order_by("registration__name")
        return "".join(seat.registration.name[0] for seat in found)

    organizer.goto("/admin/")
    organizer.get_by_role("link", name="2 people on the waitlist").click()
    expect(organizer.locator("#result_list tbody tr")).to_have_count(2)
    says(organizer, "Number 2 in line")
    fits(organizer)
    hold(2, "1 person on the waitlist would get a spot")
    assert seated() == "AB"
    # Everyone who has a spot keeps it.
    hold(1)
    assert seated() == "AB"

    organizer.goto(f"{ADMIN}/seat/")
    says(organizer, "2 of 1 spot taken")
    do(organizer, "Free their spots and move them to the end of the waitlist", "Alice A")
    says(organizer, "1 person moved to the end of the waitlist.")
    do(organizer, "Give them a spot and email their link", "Charlie C")
    says(organizer, "1 person now has a spot")
    assert seated() == "BC"
    organizer.goto("/admin/")
    says(organizer, "1 person on the waitlist")


def test_what_ends_is_said_before(organizer, week, opening):
    alice = sign_up(week)
    bob = sign_up(week, "Bob B")
    OutgoingMail.objects.update(state="sent", sent_at=timezone.now())
    old, list_of_people = alice.token, f"{ADMIN}/registration/"

    organizer.goto(list_of_people)
    organizer.get_by_role("link", name="When is data erased?").click()
    says(organizer, "2 people")
    says(organizer, "What's erased and what stays")
    fits(organizer)

    organizer.goto(list_of_people)
    do(organizer, "Replace their links and email new ones…", "Alice")
    says(organizer, "Replace the links of 1 person?")
    fits(organizer)
    assert Registration.objects.filter(token=old).exists()
    press(organizer, "Yes, email new links")
    says(organizer, "New links are on their way to 1 person.")
    assert not Registration.objects.filter(token=old).exists()
    assert Registration.objects.filter(token=bob.token).exists()

    Event.objects.update(requires_approval=True)
    signup.decline(registrations=[bob])
    signup.approve(registrations=[bob])
    organizer.goto(f"{list_of_people}{bob.pk}/change/")
    says(organizer, "If you decline, their links stop working. We won't email them.")
    fits(organizer)
    press(organizer, "Decline")
    says(organizer, "1 person declined.")
    says(organizer, "they may still know a meeting ID and passcode")


def test_first_page_says_nothing_of_places_to_who_may_not_see_them(
    client, django_user_model, admin_user, week, opening
):
    opening.capacity = 1
    opening.save()
    for name in ("Alice A", "Bob B"):
        sign_up(week, name, sessions=[opening])
    helper = django_user_model.objects.create_user("helper", password="x", is_staff=True)
    for user, is_said in ((admin_user, True), (helper, False)):
        client.force_login(user)
        page = client.get("/admin/").content.decode()
        assert ("1 person on the waitlist" in page) == is_said


def test_times_of_an_agenda_follow_what_is_typed(open_as_organizer, week):
    """And they are what the page shows once it's saved."""
    opening = week.sessions.get(slug="opening")
    opening.agenda.all().delete()
    for number, (title, minutes) in enumerate((("A", 10), ("B", 30), ("C", 5)), start=1):
        opening.agenda.create(position=number, minutes=minutes, **in_english(title=title))
    page = open_as_organizer(width=1280)
    page.goto(f"/admin/events/session/{opening.pk}/change/")

    def times() -> list[str]:
        shown = page.locator("#agenda-group .has_original .field-time .readonly").all_inner_texts()
        return [each.replace("\u00a0", " ").rpartition(" ")[0] for each in shown]

    first = ["9:00 AM to 9:10 AM", "9:10 AM to 9:40 AM", "9:40 AM to 9:45 AM"]
    assert times() == first
    page.locator("#id_agenda-0-minutes").fill("20")
    assert times() == ["9:00 AM to 9:20 AM", "9:20 AM to 9:50 AM", "9:50 AM to 9:55 AM"]
    # C goes first, and A after B.
    page.locator("#id_agenda-2-position").fill("1")
    page.locator("#id_agenda-0-position").fill("2")
    moved = ["9:35 AM to 9:55 AM", "9:05 AM to 9:35 AM", "9:00 AM to 9:05 AM"]
    assert times() == moved
    page.locator("#id_agenda-0-minutes").fill("")
    assert times()[0] == "9:35 AM to 9:35 AM"
    page.locator("#id_agenda-0-minutes").fill("20")
    press(page, "Save and continue editing")
    says(page, "was changed successfully")
    assert times() == [moved[2], moved[1], moved[0]]
