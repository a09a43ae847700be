"""One's own page in a real browser: on a phone and a desk, with and without JavaScript."""

import datetime as dt
import re
from pathlib import Path

import pytest
from django.utils import timezone
from playwright.sync_api import Page, Route, expect

from events.models import Session
from registrations import access_needs, signup
from registrations.models import AccessNeed, OutgoingMail, Question, Registration
from tests.browser import overflow, unfold
from tests.people import sign_up

MINUTE = dt.timedelta(minutes=1)

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.timeout(180),
    pytest.mark.once,
    # The pages of old links.
    pytest.mark.browser_may("404 (Not Found)"),
]


def press(page: Page, button: str) -> None:
    page.get_by_role("button", name=button).click()


def says(page: Page, words: str) -> None:
    expect(page.get_by_text(words).first).to_be_visible()


def fits(page: Page) -> None:
    assert overflow(page) == 0


def leave_first_session(page: Page) -> None:
    unfold(page, "Change or cancel")
    page.get_by_role("link", name="Change my sessions and details").click()
    page.locator("input[name=sessions]").first.uncheck()


@pytest.mark.parametrize(("width", "javascript"), [(320, True), (1280, False)])
def test_changing_renewing_canceling_and_coming_back(new_page, week, width, javascript):
    page = new_page(viewport={"width": width, "height": 800}, java_script_enabled=javascript)
    alice = sign_up(week)
    OutgoingMail.objects.update(state="sent", sent_at=timezone.now())
    old = f"/me/{alice.token}/"

    page.goto(old)
    leave_first_session(page)
    page.get_by_label("Name", exact=True).first.fill("Alice O'Brien")
    press(page, "Save")
    says(page, "Your changes are saved.")
    says(page, "Hello Alice O'Brien.")
    expect(page.locator("[data-part]")).to_have_count(5)

    # That mail is on its way already.
    unfold(page, "Change or cancel")
    press(page, "Email me my links again")
    says(page, "We sent your links a few minutes ago.")

    unfold(page, "Change or cancel")
    page.get_by_role("link", name="Get a new private link").click()
    press(page, "Get a new link")
    says(page, "You have a new private link.")
    new = f"/me/{Registration.objects.get().token}/"
    assert new in page.url
    page.goto(old)
    says(page, "This link no longer works")

    page.goto(new)
    unfold(page, "Change or cancel")
    page.get_by_role("link", name="Cancel my registration").click()
    press(page, "Yes, cancel my registration")
    says(page, "Your registration is canceled")
    press(page, "Sign me up again")
    says(page, "Welcome back.")
    expect(page.locator("[data-part]")).to_have_count(5)

    page.goto(old)
    page.get_by_role("link", name="Email me my links").click()
    page.get_by_role("textbox", name="Email").fill("alice@example.org")
    press(page, "Email me my links")
    says(page, "is registered, we've sent your links there.")


@pytest.mark.parametrize(("width", "javascript"), [(320, False), (1280, True)])
def test_waiting_answering_needing_help_and_being_erased(new_page, week, width, javascript):
    opening = week.sessions.first()
    Session.objects.filter(pk=opening.pk).update(capacity=1)
    bob = sign_up(week, "Bob B", sessions=[opening])
    Question.objects.create(event=week, text="What do you bring?")
    page = new_page(viewport={"width": width, "height": 800}, java_script_enabled=javascript)

    page.goto(f"/{week.slug}/register/")
    says(page, "Full. We'll put you on the waitlist")
    page.get_by_label("Name", exact=True).first.fill("Alice Adams")
    page.get_by_role("textbox", name="Email").fill("alice@example.org")
    page.get_by_label("Time zone").select_option("America/New_York")
    page.get_by_label("What do you bring?").fill("Blue songs")
    page.get_by_label("ASL interpretation").check()
    fits(page)
    press(page, "Register")
    says(page, "This session is full. If you're on its waitlist, we'll email you as soon as")

    alice = Registration.objects.get(email="alice@example.org")
    own = f"/me/{alice.token}/"
    page.goto(own)
    says(page, "Number 1 on the waitlist")
    unfold(page, "Number 1 on the waitlist")
    says(page, "You're number 1 in line.")
    says(page, "ASL interpretation: requested")
    unfold(page, "What you told us")
    says(page, "Blue songs")
    unfold(page, "Add to your calendar")
    device = page.get_by_role("link", name="Apple and other calendars")
    expect(device).to_have_attribute("href", re.compile(f"^webcal://.*{alice.token}"))

    signup.cancel(registration=bob)
    needs = AccessNeed.objects.filter(seat__registration=alice)
    access_needs.arrange(needs=needs)
    access_needs.confirm(needs=needs)
    page.reload()
    expect(page.get_by_text("Number 1 on the waitlist")).to_have_count(0)
    says(page, "confirmed")
    fits(page)

    unfold(page, "Your data")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download my data").click()
    assert "Blue songs" in Path(download.value.path()).read_text()
    page.get_by_role("link", name="Erase it now").click()
    expect(page.get_by_role("button", name="Yes, erase everything")).to_be_visible()
    fits(page)
    press(page, "Yes, erase everything")
    says(page, "Your data is erased")
    page.goto(own)
    says(page, "This link no longer works")


@pytest.mark.parametrize("javascript", [True, False])
def test_going_back_and_saving_again_changes_nothing_more(new_page, week, javascript):
    page = new_page(java_script_enabled=javascript)
    alice = sign_up(week)
    page.goto(f"/me/{alice.token}/")
    leave_first_session(page)
    press(page, "Save")
    says(page, "Your changes are saved.")
    page.go_back()
    press(page, "Save")
    says(page, "Your changes are saved.")
    assert alice.seats.count() == 5


def test_button_pressed_again_while_the_first_press_is_under_way_does_nothing(page, week):
    """Renewed twice, the page would be of a link that is no longer valid."""
    alice = sign_up(week)
    page.goto(f"/me/{alice.token}/renew/")
    under_way: list[Route] = []
    page.route("**/renew/", lambda route: under_way.append(route))
    box = page.get_by_role("button", name="Get a new link").bounding_box()
    assert box
    for _press in range(2):
        page.mouse.click(box["x"] + 9, box["y"] + 9)
        page.wait_for_timeout(200)
    (only,) = under_way
    only.continue_()
    says(page, "You have a new private link.")


def test_form_left_open_over_night_says_what_is_gone_and_keeps_the_rest(page, week):
    alice = sign_up(week, sessions=week.sessions.all()[1:])
    page.goto(f"/me/{alice.token}/change/")
    page.get_by_label("Opening session").check()
    page.get_by_label("Organization").fill("Families")
    Session.objects.filter(slug="opening").update(canceled_at=timezone.now())
    press(page, "Save")
    says(page, "You can't change these anymore")
    expect(page.get_by_label("Organization")).to_have_value("Families")
    expect(page.locator("input[name=sessions]:checked")).to_have_count(5)
    press(page, "Save")
    says(page, "Your changes are saved.")
