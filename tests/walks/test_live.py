"""Pages that stay open: what they say of a session changes with the clock, without a reload."""

import datetime as dt

import pytest
from django.utils import timezone
from playwright.sync_api import Page, Request, expect

from events.models import Event, Session
from events.schedule import cancel_session
from registrations.models import Registration
from tests.browser import unfold
from tests.people import sign_up

SECOND, MINUTE = dt.timedelta(seconds=1), dt.timedelta(minutes=1)
HOUR = 60 * MINUTE
SMALL = {"viewport": {"width": 320, "height": 640}}

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(120), pytest.mark.once]


def starts_in(wait: dt.timedelta, slug: str = "opening") -> Session:
    """Move a session, which takes an hour."""
    starts = timezone.now() + wait
    session = Session.objects.select_related("event").get(slug=slug)
    Session.objects.filter(pk=session.pk).update(starts_at=starts, ends_at=starts + HOUR)
    session.refresh_from_db()
    return session


def take_place_in(week: Event, *waits: dt.timedelta) -> list[Session]:
    """Move the week's first sessions, and delete the others."""
    slugs = list(week.sessions.values_list("slug", flat=True))
    week.sessions.filter(slug__in=slugs[len(waits) :]).delete()
    return [starts_in(wait, slug) for wait, slug in zip(waits, slugs, strict=False)]


def shows(page: Page, place: str, state: str) -> None:
    expect(page.locator(place).locator("[data-state]").first).to_have_text(state)


def announces(page: Page, text: str) -> None:
    expect(page.locator("#announcement")).to_have_text(text)


def requests_of(page: Page) -> list[str]:
    """Fills with what the page asks for from now on: not with the post that someone is there."""
    asked: list[str] = []

    def add(sent: Request) -> None:
        if sent.method == "GET":
            asked.append(sent.resource_type)

    page.on("request", add)
    return asked


def hide(page: Page) -> None:
    page.evaluate("Object.defineProperty(document, 'hidden', {value: true, writable: true})")


def look(page: Page) -> None:
    page.evaluate("document.hidden = false; document.dispatchEvent(new Event('visibilitychange'))")


# Event and session page


@pytest.mark.parametrize("page_of", [Event.get_absolute_url, Session.get_absolute_url])
def test_public_page_says_what_is_on_by_the_servers_clock(page, week, page_of):
    """A phone's clock may be hours off."""
    opening = starts_in(80 * MINUTE + 30 * SECOND)
    is_event = page_of == Event.get_absolute_url
    place, title = ".session", opening.brief_title
    if is_event:
        place, title = ".slots .slot >> nth=0", opening.title
    page.clock.install(time=timezone.now() - 9 * HOUR)
    page.goto(page_of(week if is_event else opening))
    asked = requests_of(page)
    shows(page, place, "Next")
    expect(page.locator("#announcement")).to_be_empty()
    for wait, state in (("06:00", "Opens soon"), ("01:00:00", "Open now"), ("15:00", "Now")):
        page.clock.fast_forward(wait)
        shows(page, place, state)
        announces(page, f"{title}: {state}")
    page.clock.fast_forward("01:00:00")
    shows(page, place, "Over")
    assert {"fetch", "document"} & {*asked} == set()


JOIN = "Already registered? Join with the link in your email."


def test_event_page_names_the_next_session_and_then_the_one_after_it(page, week):
    opening, second, third, last = take_place_in(week, 30 * MINUTE, 3 * HOUR, 5 * HOUR, 9 * HOUR)
    cancel_session(session=third)
    page.clock.install()
    page.goto("/")
    band, rows = page.locator(".next"), page.locator(".slots .slot")

    def shows_in_band(label: str, session: Session, row: int) -> None:
        expect(band.locator("h2")).to_have_text(label)
        expect(band.get_by_role("link")).to_have_text(session.title)
        link = band.get_by_role("link").get_attribute("href")
        assert link == session.get_absolute_url()
        when = rows.nth(row).locator(".when")
        assert band.locator(".when").all_inner_texts() == when.all_inner_texts()
        expect(band.get_by_text(JOIN)).to_be_visible(visible=label == "Now")

    shows_in_band("Next", opening, 0)
    expect(rows.get_by_text("Next", exact=True)).to_have_count(0)  # It opens soon.
    page.clock.fast_forward("31:00")
    shows_in_band("Now", opening, 0)
    shows(page, ".slots .slot >> nth=1", "Next")
    page.clock.fast_forward("01:00:00")
    shows_in_band("Next", second, 1)
    page.clock.fast_forward("01:35:00")
    shows_in_band("Now", second, 1)
    page.clock.fast_forward("01:00:00")
    shows_in_band("Next", last, 3)
    shows(page, ".slots .slot >> nth=3", "Next")
    expect(rows.get_by_text("Next", exact=True)).to_have_count(1)
    page.clock.fast_forward("06:00:00")
    expect(band).to_be_hidden()


def test_session_page_says_what_is_on_in_the_whole_week(page, week):
    opening, *_others = take_place_in(week, 30 * MINUTE, 3 * HOUR)
    page.clock.install()
    page.goto(opening.get_absolute_url())
    first, second = page.locator(".week li").all()
    announces(page, "")
    page.clock.fast_forward("31:00")
    expect(first.locator(".badge")).to_have_text("Now")
    expect(second.locator(".badge")).to_have_text("Next")
    announces(page, f"{opening.brief_title}: Now")
    page.clock.fast_forward("01:00:00")
    expect(first.locator(".badge")).to_have_text("Over")
    expect(second.locator(".badge")).to_have_text("Next")
    page.clock.fast_forward("01:00:00")
    expect(second.locator(".badge")).to_have_text("Opens soon")
    # That of another session isn't said.
    announces(page, f"{opening.brief_title}: Over")


def test_session_page_names_its_session_as_next_once_it_is(page, week):
    _opening, second, _third = take_place_in(week, 30 * MINUTE, 3 * HOUR, 6 * HOUR)
    page.clock.install()
    page.goto(second.get_absolute_url())
    place = page.locator(".session")
    expect(place.locator("[data-state]")).to_have_count(0)
    page.clock.fast_forward("31:00")
    shows(page, ".session", "Next")
    expect(page.locator(".week .badge", has_text="Next")).to_have_count(1)


def test_draft_is_never_next_on_an_organizers_page(page, week, admin_client, live_server):
    cookie = {"name": "sessionid", "value": admin_client.cookies["sessionid"].value}
    page.context.add_cookies([{**cookie, "url": live_server.url}])
    draft, second = take_place_in(week, 4 * HOUR, 6 * HOUR)
    Session.objects.filter(pk=draft.pk).update(status="draft")
    page.goto(week.get_absolute_url())
    shows(page, ".slots .slot >> nth=1", "Next")
    expect(page.locator(".slots .slot >> nth=0")).to_contain_text("Draft")
    expect(page.locator(".slots .slot").get_by_text("Next", exact=True)).to_have_count(1)
    expect(page.locator(".next a")).to_have_text(second.title)


def test_canceled_session_is_never_said_to_be_on(page, week):
    cancel_session(session=starts_in(MINUTE))
    page.clock.install()
    page.goto("/")
    page.clock.fast_forward("30:00")
    shows(page, ".slots .slot >> nth=0", "Canceled")
    expect(page.locator("#announcement")).to_be_empty()


def test_public_page_says_what_is_on_after_the_device_slept(page, week):
    """Then its timers are late, and one of its clocks stood still."""
    opening = starts_in(80 * MINUTE)
    page.goto("/")
    page.evaluate("const real = Date.now; Date.now = () => real() + 100 * 60 * 1000")
    look(page)
    shows(page, ".slots .slot >> nth=0", "Now")
    announces(page, f"{opening.title}: Now")


# Own page


def test_next_session_and_its_button_are_on_the_first_screen_of_a_small_phone(new_page, week):
    starts_in(20 * MINUTE + 30 * SECOND)
    page = new_page(**SMALL)
    page.goto(sign_up(week).get_absolute_url())
    for shown in (
        page.get_by_role("heading", name="Opening session"),
        page.get_by_text("Opens in 5 minutes"),
        page.get_by_role("link", name="Join this session"),
    ):
        box = shown.bounding_box()
        assert box["y"] + box["height"] <= 640


def test_last_minutes_are_counted_down_and_only_a_new_state_is_announced(page, week):
    opening = starts_in(18 * MINUTE)
    page.clock.install()
    page.goto(sign_up(week).get_absolute_url())
    page.evaluate(
        "window.said = []; new MutationObserver(() => said.push(announcement.textContent))"
        ".observe(announcement, {childList: true})"
    )
    shows(page, ".panel", "Opens in 3 minutes")
    page.clock.fast_forward("01:35")
    shows(page, ".panel", "Opens in 1 minute")
    page.clock.fast_forward("01:30")
    shows(page, ".panel", "Open now")
    page.clock.fast_forward("15:00")
    shows(page, ".panel", "Now")
    said = [f"{opening.title}: Open now", f"{opening.title}: Now"]
    assert page.evaluate("said") == said


def test_open_page_is_updated_only_while_someone_looks_at_it(page, week):
    """What they have opened and where they are stays."""
    opening = starts_in(5 * HOUR)
    page.clock.install()
    page.goto(sign_up(week).get_absolute_url())
    asked = requests_of(page)
    panel, other = page.locator(".panel"), page.locator("li[data-part]").first
    unfold(page, "By phone")
    panel.get_by_role("link", name="Join this session").focus()
    other.evaluate("row => row.isTheSame = true")
    hide(page)
    starts_in(MINUTE)
    page.clock.fast_forward("20:00")
    assert asked.count("fetch") == 0
    look(page)
    expect(panel.get_by_text("Open now")).to_be_visible()
    announces(page, f"{opening.title}: Open now")
    expect(panel.get_by_role("link", name="Join now")).to_be_focused()
    expect(panel.locator("details").first).to_have_attribute("open", "")
    # What has not changed is not touched.
    assert other.evaluate("row => row.isTheSame")
    # It starts in a minute: so long the page waits.
    page.clock.fast_forward("00:55")
    assert (asked.count("fetch"), asked.count("document")) == (1, 0)
    starts_in(-MINUTE)
    page.clock.fast_forward("00:25")
    expect(page.get_by_text("It's on now. Come on in.")).to_be_visible()
    assert asked.count("fetch") == 2


def moved(week: Event) -> str:
    starts_in(-2 * HOUR)
    return "1 session is over"


def canceled(week: Event) -> str:
    cancel_session(session=week.sessions.first())
    return "Canceled"


@pytest.mark.parametrize("change", [moved, canceled])
def test_open_page_takes_in_another_order_without_a_reload(page, week, change):
    page.clock.install()
    page.goto(sign_up(week).get_absolute_url())
    asked = requests_of(page)
    unfold(page, "days Resentencing")
    page.locator("summary", has_text="days Influencing").focus()
    first, second = week.sessions.all()[:2]
    text = change(week)
    page.clock.fast_forward("11:00")
    expect(page.get_by_text(text, exact=True)).to_be_visible()
    expect(page.locator(".panel h2")).to_have_text(second.title)
    expect(page.locator("details", has_text="days Resentencing").first).to_have_attribute(
        "open", ""
    )
    expect(page.locator("summary", has_text="days Influencing")).to_be_focused()
    assert asked.count("document") == 0
    expect(page.locator("#announcement")).to_contain_text(first.title)


@pytest.mark.browser_may("net::ERR_FAILED", "500 (Internal")
@pytest.mark.parametrize("fault", ["network", "server"])
def test_open_page_asks_less_and_less_often_while_it_gets_no_answer(page, week, fault):
    page.clock.install()
    page.goto(sign_up(week).get_absolute_url())
    starts_in(-MINUTE)
    asked = requests_of(page)
    answer = {"network": lambda r: r.abort(), "server": lambda r: r.fulfill(status=500)}[fault]
    page.route("**/me/**", answer)
    for wait, count in (("10:20", 1), ("01:20", 2), ("01:20", 2), ("00:58", 3)):
        page.clock.fast_forward(wait)
        page.wait_for_timeout(200)
        assert asked.count("fetch") == count
    page.unroute("**/me/**")
    page.clock.fast_forward("04:20")
    expect(page.get_by_text("It's on now. Come on in.")).to_be_visible()


@pytest.mark.browser_may("404 (Not Found)")
def test_open_page_whose_link_was_renewed_says_so(page, week):
    alice = sign_up(week)
    page.clock.install()
    page.goto(alice.get_absolute_url())
    Registration.objects.update(token="another")
    page.clock.fast_forward("11:00")
    expect(page.get_by_text("This link no longer works").first).to_be_visible()


def test_print_shows_what_is_folded(page, week):
    page.goto(sign_up(week).get_absolute_url())
    number = page.get_by_text("812 3456 7895")
    expect(number).to_be_hidden()
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    expect(number).to_be_visible()
    page.emulate_media(media="screen")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    expect(number).to_be_hidden()


# What a page says once


@pytest.mark.parametrize("javascript", [True, False])
def test_notice_has_the_focus_starts_the_title_and_is_gone_on_reload(new_page, week, javascript):
    page = new_page(java_script_enabled=javascript, **SMALL)
    page.goto(f"{sign_up(week).get_absolute_url()}change/")
    page.get_by_role("button", name="Save").click()
    status = page.get_by_role("status").filter(has_text="Your changes are saved.")
    expect(status).to_be_focused()
    expect(page).to_have_title("Your changes are saved · Your sessions · Drop LWOP Strategy Week")
    assert status.bounding_box()["y"] < 640
    page.reload()
    expect(status).to_have_count(0)
    expect(page).to_have_title("Your sessions · Drop LWOP Strategy Week")


@pytest.mark.parametrize("javascript", [True, False])
def test_notice_is_not_said_again_after_back(new_page, week, javascript):
    page = new_page(java_script_enabled=javascript)
    page.goto(f"{sign_up(week).get_absolute_url()}change/")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#status")).to_be_visible()
    page.get_by_role("link", name="Choose other sessions").click()
    page.go_back()
    expect(page.get_by_role("heading", name="Your sessions")).to_be_visible()
    expect(page.locator("#status")).to_have_count(0)
    expect(page).to_have_title("Your sessions · Drop LWOP Strategy Week")
