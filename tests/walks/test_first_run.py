"""From a fresh install to a published week with email and Zoom, in a real browser, without scripts.

It prints how many inputs, clicks and pages that takes.
"""

import re
from dataclasses import dataclass, field

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from events.models import Event
from events.zoom import sync
from tests.admin_page_states import SET_UP
from tests.people import a_saturday_ahead
from tests.walks.test_my_page import fits, says

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(180), pytest.mark.once]

MOST_INPUTS, MOST_PAGES = 40, 10


@dataclass
class Volunteer:
    """Someone at a browser, who counts what it takes."""

    page: Page
    inputs: int = 0
    clicks: int = 0
    pages: set[str] = field(default_factory=set)

    def open(self, url: str) -> None:
        self.page.goto(url)
        self.look()

    def look(self) -> None:
        fits(self.page)
        title = self.page.locator("h1").last.inner_text()
        self.pages.add(re.sub(r"\d+", "", title))

    def enter(self, name: str, text: str) -> None:
        self.page.locator(f"[name={name}]").fill(text)
        self.inputs += 1

    def choose(self, name: str, value: str) -> None:
        self.page.locator(f"select[name={name}]").select_option(value)
        self.inputs += 1

    def check(self, name: str, value: str) -> None:
        self.page.locator(f"input[name={name}][value={value}]").check()
        self.inputs += 1

    def click(self, selector: str) -> None:
        with self.page.expect_navigation():
            self.page.locator(selector).first.click()
        self.clicks += 1
        self.look()


@pytest.fixture
def fresh_install(settings, zoom_account, smtp_sink):
    """Nothing of email or Zoom in the environment. Returns the app's values at the fake Zoom."""
    settings.EMAIL_URL = settings.EMAIL_BACKEND = settings.DEFAULT_FROM_EMAIL = ""
    settings.EMAIL_TIMEOUT = 2
    names = ("ZOOM_ACCOUNT_ID", "ZOOM_CLIENT_ID", "ZOOM_CLIENT_SECRET")
    values = [getattr(settings, name) for name in names]
    for name in names:
        setattr(settings, name, "")
    User.objects.create_superuser("owner", "owner@example.org", "maria keeps nine bees")
    return values


def test_owner_gets_from_an_account_to_a_published_week(fresh_install, new_page, smtp_sink):
    page = new_page(viewport={"width": 320, "height": 800}, java_script_enabled=False)
    owner = Volunteer(page)
    owner.open("/accounts/login/")
    owner.enter("login", "owner")
    owner.enter("password", "maria keeps nine bees")
    owner.click("main form button[type=submit]")
    says(page, "0 of 5 steps are done. Next: Email server")
    owner.click("text=Continue")
    set_up(owner, smtp_sink, fresh_install)
    create_week(owner)
    publish(owner)
    sync.sync_meetings()
    event = Event.objects.get()
    assert all(session.join_url for session in event.sessions.all())
    page.goto(f"/{event.slug}/")
    expect(page.locator("h1")).to_have_text("Spring Week")
    figures = f"{owner.inputs} inputs, {owner.clicks} clicks, {len(owner.pages)} pages"
    print(f"From an account to a published week: {figures}")
    assert owner.inputs <= MOST_INPUTS
    assert len(owner.pages) <= MOST_PAGES


def set_up(owner: Volunteer, smtp_sink, zoom: list[str]) -> None:
    page = owner.page
    owner.enter("host", smtp_sink.host)
    owner.choose("security", "none")
    owner.enter("port", str(smtp_sink.port))
    owner.click("button[value=server]")
    says(page, "Saved. The email server answers, and accepts the password.")
    owner.enter("name", "Spring Week")
    owner.enter("address", "week@example.org")
    owner.click("button[value=sender]")
    owner.click("button[value=test]")
    says(page, "We sent a test email to owner@example.org. Open its link")
    (received,) = smtp_sink.messages
    assert (received.sender, received.recipients) == ("week@example.org", ["owner@example.org"])
    text = received.message.get_body(("plain",)).get_content()
    owner.open(re.search(r"http://\S+(/test-email/\S+)", text)[1])
    owner.click("main form button")
    owner.open(SET_UP)
    says(page, "A test arrived at owner@example.org.")
    for name, value in zip(("account_id", "client_id", "client_secret"), zoom, strict=True):
        owner.enter(name, value)
    owner.click("button[value=zoom]")
    says(page, "Zoom answers, and the app has every scope.")


def create_week(owner: Volunteer) -> None:
    owner.click("#step-week a")
    owner.enter("name_en", "Spring Week")
    owner.enter("summary_en", "A week of ideas.")
    owner.enter("host", "Our Coalition")
    owner.enter("first_day", str(a_saturday_ahead()))
    owner.click("button[value=plan]")
    owner.click("button[value=create]")


def publish(owner: Volunteer) -> None:
    """From the page of the new draft over the checklist."""
    owner.choose("status", "published")
    owner.enter("contact_email", "us@example.org")
    owner.check("zoom_mode", "shared")
    owner.click("input[name=_save]")
    ticks = owner.page.locator("section.panel--alarm input[name=tick]")
    # The times, and texts that aren't in Spanish yet.
    for tick in ticks.all():
        tick.check()
        owner.inputs += 1
    owner.click("button[value=publish]")
    says(owner.page, "“Spring Week” is published.")
    assert Event.objects.get().status == Event.Status.PUBLISHED
    owner.open("/admin/")
    assert "Set up your site" not in owner.page.locator("body").inner_text()
