"""From the front page to the Zoom link, in a real browser, with a real worker and mail server."""

import datetime as dt
import re
from urllib.parse import urlsplit

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from events.models import Event, Meeting, Session
from registrations.models import Registration, Seat
from tests.browser import unfold
from tests.people import sign_up

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(180)]


def local(url: str) -> str:
    """The path of an emailed URL, to open on the test's own server."""
    return urlsplit(url)._replace(scheme="", netloc="").geturl()


def register(page: Page, name: str = "María José O'Brien", time_zone: str = "") -> None:
    page.goto("/")
    page.get_by_role("link", name=re.compile("Register")).first.click()
    page.get_by_label("Name", exact=True).first.fill(name)
    page.get_by_role("textbox", name="Email").fill("maria@example.org")
    if time_zone:
        page.get_by_label("Time zone").select_option(time_zone)
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

    links, schedule = smtp_sink.wait_for(2)
    assert links.recipients == schedule.recipients == ["maria@example.org"]
    text = links.message.get_body(("plain",)).get_content()
    link = re.search(r"http\S+/join/\S+/opening/", text)[0]

    page.goto(local(link))
    expect(page.locator("[data-seconds]")).to_be_visible()

    # Once the doors are open, the same link leads to the current Zoom link.
    Meeting.objects.update(join_url=zoom)
    open_doors()
    page.goto(local(link))
    expect(page.get_by_role("heading", name="The meeting")).to_be_visible()
    assert page.url == zoom
    assert Seat.objects.get(session__slug="opening").opened_at is not None


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
    expect(page.get_by_text("This session opens").first).to_be_visible()
    if not javascript:
        page.get_by_role("button", name="Join on Zoom").click(timeout=15_000)
    page.wait_for_url(zoom, timeout=15_000)


@pytest.mark.once
@pytest.mark.browser_may("/j/1?pwd=secret1", "/my/room")
@pytest.mark.parametrize("link", ["meeting", "room"])
def test_one_click_on_my_page_joins_and_back_returns_to_it(phone, week, zoom, link):
    """The join page between them takes no part in the history."""
    alice, room = sign_up(week), zoom.replace("127.0.0.1", "localhost").replace("/j/1", "/my/room")
    Meeting.objects.update(join_url=room if link == "room" else zoom)
    open_doors()
    phone.goto(alice.get_absolute_url())
    phone.get_by_role("link", name="Join now").click()
    phone.wait_for_url(zoom)
    assert phone.evaluate("document.referrer") == ""
    assert alice.seats.get(session__slug="opening").opened_at is not None
    phone.go_back()
    expect(phone.get_by_role("heading", name="Your sessions")).to_be_visible()


@pytest.mark.once
@pytest.mark.browser_may("/j/1?pwd=secret1")
def test_without_javascript_only_the_button_joins(new_page, week, zoom):
    alice = sign_up(week)
    seat = alice.seats.get(session__slug="opening")
    Meeting.objects.update(join_url=zoom)
    open_doors()
    page = new_page(java_script_enabled=False)
    page.goto(f"/join/{alice.token}/opening/")
    expect(page.get_by_role("heading", name=seat.session.title)).to_be_visible()
    seat.refresh_from_db()
    assert (seat.link_fetched_at is not None, seat.opened_at) == (True, None)
    page.get_by_role("button", name="Join on Zoom").click()
    page.wait_for_url(zoom)
    seat.refresh_from_db()
    assert seat.opened_at is not None
    page.go_back()
    expect(page.get_by_role("button", name="Join on Zoom")).to_be_visible()


def without_script(page: Page) -> None:
    """Let the join page stay as it is until someone presses its button."""
    script = {"content_type": "text/javascript", "body": ""}
    page.route("**/join.js", lambda route: route.fulfill(**script))


@pytest.mark.once
@pytest.mark.browser_may("/j/1?pwd=secret1")
def test_back_to_the_join_page_does_not_join_again(page, week, zoom):
    """Its button was pressed before the script had loaded, so it is in the history."""
    token = sign_up(week).token
    Meeting.objects.update(join_url=zoom)
    open_doors()
    without_script(page)
    page.goto(f"/join/{token}/opening/")
    page.get_by_role("button", name="Join on Zoom").click()
    page.wait_for_url(zoom)
    page.unroute("**/join.js")
    with page.expect_response("**/join.js"):
        page.go_back()
    page.wait_for_timeout(500)
    expect(page.get_by_role("button", name="Join on Zoom")).to_be_visible()
    page.reload()
    page.wait_for_url(zoom)


@pytest.mark.once
@pytest.mark.browser_may("/j/1?pwd=secret1")
def test_page_that_the_browser_loads_ahead_is_no_visit(page, week, zoom):
    alice = sign_up(week)
    Meeting.objects.update(join_url=zoom)
    open_doors()
    page.add_init_script("Object.defineProperty(document, 'prerendering', {value: true})")
    page.goto(f"/join/{alice.token}/opening/")
    page.wait_for_timeout(500)
    assert alice.seats.get(session__slug="opening").opened_at is None
    page.evaluate("document.dispatchEvent(new Event('prerenderingchange'))")
    page.wait_for_url(zoom)


@pytest.mark.once
@pytest.mark.browser_may("/j/1?pwd=secret1")
@pytest.mark.parametrize("javascript", [True, False])
def test_form_sent_just_when_a_session_moves_waits_and_joins(new_page, week, zoom, javascript):
    """The page that answers a form is asked for again: reloaded, it would send the form again."""
    token = sign_up(week).token
    Meeting.objects.update(join_url=zoom)
    open_doors()
    page = new_page(java_script_enabled=javascript)
    without_script(page)
    page.goto(f"/join/{token}/opening/")
    page.unroute("**/join.js")
    methods: list[str] = []
    page.on("request", lambda each: methods.append(each.method) if "/join/" in each.url else None)
    open_doors(seconds=4)
    button = page.get_by_role("button", name="Join on Zoom")
    button.click()
    expect(page.get_by_text("This session opens").first).to_be_visible()
    if not javascript:
        button.click(timeout=15_000)
    page.wait_for_url(zoom, timeout=15_000)
    assert methods == ["POST", "GET", "POST"]


@pytest.mark.once
@pytest.mark.parametrize(
    ("browsers", "chosen"),
    [
        ("America/Chicago", "America/Chicago"),
        ("America/Detroit", "America/Detroit"),
        ("Asia/Calcutta", "Asia/Kolkata"),
        ("Etc/GMT+5", "Etc/GMT+5"),
    ],
)
def test_register_form_has_the_visitors_time_zone(new_page, week, browsers, chosen):
    page = new_page(timezone_id=browsers)
    register(page)
    assert Registration.objects.get().time_zone == chosen


@pytest.mark.once
@pytest.mark.parametrize(
    ("zone", "text"),
    [
        ("America/New_York", "Monday, January 6, 1:00 AM EST.\nSunday, January 5, 10:00 PM PST"),
        ("America/Los_Angeles", "Sunday, January 5, 10:00 PM PST."),
    ],
)
def test_pages_say_when_registration_opens_in_the_visitors_zone(new_page, week, zone, text):
    Event.objects.update(registration_opens_at=dt.datetime(2031, 1, 6, 6, tzinfo=dt.UTC))
    page = new_page(timezone_id=zone)
    for path in ("/", week.sessions.first().get_absolute_url(), f"/{week.slug}/register/"):
        page.goto(path)
        shown = page.locator("[data-opens]").inner_text()
        assert shown.replace("\xa0", " ") == f"Registration opens {text}"


@pytest.mark.once
def test_time_zone_that_the_site_does_not_know_is_asked_for(new_page, week):
    """A browser may be newer than the site, or say something made up."""
    page = new_page(timezone_id="Antarctica/Troll")
    page.add_init_script(
        "const real = Intl.DateTimeFormat.prototype.resolvedOptions;"
        "Intl.DateTimeFormat.prototype.resolvedOptions = function () {"
        "  const options = real.call(this), isOwn = options.timeZone === 'Antarctica/Troll';"
        "  return isOwn ? { ...options, timeZone: 'Mars/Olympus' } : options;"
        "};"
    )
    page.goto("/")
    expect(page.locator("time.when").first).to_contain_text("9:00 AM to 1:00 PM P")
    page.goto(f"/{week.slug}/register/")
    expect(page.locator("select[name=time_zone]")).to_have_value("Mars/Olympus")
    page.get_by_label("Name", exact=True).first.fill("Alice Adams")
    page.get_by_role("textbox", name="Email").fill("maria@example.org")
    page.get_by_role("button", name="Register").click()
    expect(page.get_by_text("Choose a time zone from the list").first).to_be_visible()
    page.get_by_label("Time zone").select_option("Mountain (Denver)")
    page.get_by_role("button", name="Register").click()
    expect(page.get_by_role("heading", name="Check your email")).to_be_visible()
    assert Registration.objects.get().time_zone == "America/Denver"


@pytest.mark.once
def test_registering_works_without_javascript(new_page, week):
    page = new_page(java_script_enabled=False)
    register(page, time_zone="America/Denver")
    assert Registration.objects.get().time_zone == "America/Denver"
    assert Registration.objects.get().seats.count() == 6


@pytest.mark.once
def test_form_errors_are_at_the_field_and_keep_the_input(page, week):
    page.goto(f"/{week.slug}/register/")
    page.get_by_label("Name", exact=True).first.fill("Win at www.evil.example")
    page.get_by_role("textbox", name="Email").fill("maria@example.org")
    page.get_by_role("button", name=re.compile("Register")).click()
    expect(page.get_by_text("Remove any web address").first).to_be_visible()
    expect(page.get_by_role("textbox", name="Email")).to_have_value("maria@example.org")


@pytest.mark.once
def test_canceling_on_my_page(page, week):
    """The page sends no Referer, but its form must pass the CSRF check."""
    alice = sign_up(week)
    page.goto(f"/me/{alice.token}/")
    unfold(page, "Change or cancel")
    page.get_by_text("Cancel my registration", exact=True).click()
    page.get_by_role("button", name="Yes, cancel my registration").click()
    expect(page.get_by_role("heading", name=re.compile("canceled"))).to_be_visible()
    alice.refresh_from_db()
    assert alice.canceled_at is not None
