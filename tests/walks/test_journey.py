"""From the front page to the Zoom link, in a real browser, with a real worker and mail server."""

import datetime as dt
import re
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.utils import timezone
from playwright.sync_api import Page, expect

from events.models import Meeting, Session
from registrations.models import Registration
from tests.browser import overflow
from tests.people import sign_up

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(180)]


def local(url: str) -> str:
    """The path of an emailed URL, to open on the test's own server."""
    return urlsplit(url)._replace(scheme="", netloc="").geturl()


def register(page: Page, name: str = "María José O'Brien") -> None:
    page.goto("/")
    page.get_by_role("link", name=re.compile("Register")).first.click()
    page.get_by_label("Name").first.fill(name)
    page.get_by_label("Email").fill("maria@example.org")
    page.get_by_role("button", name=re.compile("Register")).click()
    expect(page.get_by_text("maria@example.org").first).to_be_visible()


@pytest.mark.browser_may("/j/1?pwd=secret1")
@pytest.mark.parametrize("device", ["phone", pytest.param("desk", marks=pytest.mark.once)])
def test_walk_from_the_front_page_to_the_meeting(
    request, week, live_server, smtp_sink, worker, zoom, device
):
    page: Page = request.getfixturevalue(device)
    worker(SITE_URL=live_server.url)
    register(page)

    (received,) = smtp_sink.wait_for(1)
    assert received.recipients == ["maria@example.org"]
    text = received.message.get_body(("plain",)).get_content()
    link = re.search(r"http\S+/join/\S+/opening/", text)[0]

    page.goto(local(link))
    expect(page.locator("[data-seconds]")).to_be_visible()

    # Once the doors are open, the same link leads to the current Zoom link.
    Meeting.objects.update(join_url=zoom)
    open_doors()
    page.goto(local(link))
    expect(page.get_by_role("heading", name="The meeting")).to_be_visible()
    assert page.url == zoom


def open_doors(seconds: int = 0) -> None:
    """Move the first session so that its doors open in this many seconds."""
    opening = Session.objects.select_related("event").get(slug="opening")
    length = opening.ends_at - opening.starts_at
    opening.starts_at = timezone.now() + dt.timedelta(
        minutes=opening.event.doors_open_minutes, seconds=seconds
    )
    opening.ends_at = opening.starts_at + length
    opening.save()


@pytest.mark.once
@pytest.mark.browser_may("/j/1?pwd=secret1")
@pytest.mark.parametrize("javascript", [True, False])
def test_waiting_page_continues_when_the_doors_open(new_page, week, zoom, javascript):
    token = sign_up(week).token
    Meeting.objects.update(join_url=zoom)
    open_doors(seconds=4)
    page = new_page(java_script_enabled=javascript)
    page.goto(f"/join/{token}/opening/")
    expect(page.get_by_text("The doors open").first).to_be_visible()
    page.wait_for_url(zoom, timeout=15_000)


@pytest.mark.once
def test_register_form_has_the_visitors_time_zone(new_page, week):
    page = new_page(timezone_id="America/Chicago")
    page.goto(f"/{week.slug}/register/")
    expect(page.locator("select[name=time_zone]")).to_have_value("America/Chicago")


@pytest.mark.once
def test_register_form_has_a_time_zone_that_is_not_common(new_page, week):
    page = new_page(timezone_id="Asia/Kathmandu")
    page.goto(f"/{week.slug}/register/")
    expect(page.locator("select[name=time_zone]")).to_have_value(re.compile("Asia/K"))


@pytest.mark.once
def test_times_are_also_shown_in_the_visitors_time_zone(new_page, week):
    page = new_page(timezone_id="America/New_York")
    page.goto(f"/{week.slug}/")
    expect(page.get_by_text(re.compile(r"12:00.PM.*4:00.PM.*E[SD]T")).first).to_be_visible()


@pytest.mark.once
def test_registering_works_without_javascript(new_page, week):
    page = new_page(java_script_enabled=False)
    register(page)
    assert Registration.objects.get().time_zone == week.time_zone
    assert Registration.objects.get().seats.count() == 6


@pytest.mark.once
def test_form_errors_are_at_the_field_and_keep_the_input(page, week):
    page.goto(f"/{week.slug}/register/")
    page.get_by_label("Name").first.fill("Win at www.evil.example")
    page.get_by_label("Email").fill("maria@example.org")
    page.get_by_role("button", name=re.compile("Register")).click()
    expect(page.get_by_text("Leave out web addresses").first).to_be_visible()
    expect(page.get_by_label("Email")).to_have_value("maria@example.org")


@pytest.mark.once
def test_canceling_on_my_page(page, week):
    """The page sends no Referer, but its form must pass the CSRF check."""
    alice = sign_up(week)
    page.goto(f"/me/{alice.token}/")
    page.get_by_text("Cancel my registration", exact=True).click()
    page.get_by_role("button", name="Yes, cancel my registration").click()
    expect(page.get_by_role("heading", name=re.compile("canceled"))).to_be_visible()
    alice.refresh_from_db()
    assert alice.canceled_at is not None


@pytest.mark.once
@pytest.mark.parametrize(("width", "scheme"), [(320, "light"), (1280, "dark")])
def test_pages_fit_and_pass_the_accessibility_rules(new_page, week, width, scheme):
    token = sign_up(week).token
    page = new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    paths = [
        f"/{week.slug}/",
        f"/{week.slug}/sessions/opening/",
        f"/{week.slug}/register/",
        f"/me/{token}/",
        f"/join/{token}/opening/",
        "/accounts/login/",
    ]
    for path in paths:
        page.goto(path)
        found = Axe().run(page).response["violations"]
        assert [(path, rule["id"], rule["nodes"][0]["html"]) for rule in found] == []
        assert (path, overflow(page)) == (path, 0)
