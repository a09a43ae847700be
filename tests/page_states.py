"""Every page in every state that people see: accessibility tests and screenshots share this list.

`page_states()` sets up the data for all of them at once. A state is opened in the language that
the browser's cookie and the registrations have at that moment.
"""

import datetime as dt
import io
import uuid
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.core.cache import caches
from django.core.exceptions import BadRequest, PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.test import override_settings
from django.urls import path
from django.utils import timezone
from PIL import Image, ImageDraw
from playwright.sync_api import Browser, Page

from events import schedule
from events.admin.looks import POSTER_SIZES
from events.images import storage
from events.images.processing import ProcessedImage, reencode
from events.load_week import load_strategy_week
from events.models import Event, Meeting, Session
from registrations import access_needs, models, signup
from registrations.models import AccessNeed, Question, Registration
from tests.admin_page_states import organizer_states
from tests.events.images.pictures import picture
from tests.opening_pages import Open, State, at, press, pressed
from tests.people import OWN_WORDS, a_saturday_ahead, sign_up, with_links
from tests.public_urls import VISITORS, Visitors, filled, parameters

MINUTE, HOUR, DAY = dt.timedelta(minutes=1), dt.timedelta(hours=1), dt.timedelta(days=1)
EASTERN = "America/New_York"
MANY_NUMBERS = "\n".join(["+52 554 169 6926 Mexico", *(f"+1 669 900 683{n}" for n in range(9))])


class Tour:
    """All states, in a browser, as all visitors, as often as needed."""

    def __init__(self, browser: Browser, origin: str, week: Event) -> None:
        self._browser, self._origin = browser, origin
        values = parameters(week)
        self._visitors = Visitors(values)
        self.states = page_states(week, values)
        Event.objects.update(contact_email="week@example.org")

    def pages(
        self, language: str, script: str = "", **options: Any
    ) -> Iterator[tuple[State, Page]]:
        """Open each state. `options` are those of Playwright's browser.new_context().

        `script` runs in each page before the page's own.
        """
        for alias in settings.CACHES:
            caches[alias].clear()
        Registration.objects.update(language=language)
        options = {
            **{"base_url": self._origin, "locale": language, "timezone_id": EASTERN},
            **{"reduced_motion": "reduce", **options},
        }
        pages = {}
        for visitor in VISITORS:
            context = self._browser.new_context(**options)
            cookies = {settings.LANGUAGE_COOKIE_NAME: language}
            for name, morsel in self._visitors.client(visitor).cookies.items():
                cookies[name] = morsel.value
            context.add_cookies(
                [
                    {"name": name, "value": value, "url": self._origin}
                    for name, value in cookies.items()
                ]
            )
            context.set_default_timeout(10_000)
            context.add_init_script(script)
            pages[visitor] = context.new_page()
        for state in self.states:
            page = pages[state.visitor]
            state.open(page)
            page.wait_for_load_state()
            yield state, page
        for page in pages.values():
            page.context.close()


def page_states(week: Event, values: dict[str, str]) -> list[State]:
    """All of them. `values`: those of public_urls.parameters(), called before."""
    make_lively(week)
    under_way = week_under_way()
    return [
        *event_states(week, under_way),
        *register_states(week),
        *own_page_states(week, under_way),
        *join_states(week, under_way),
        *account_states(week, values),
        *error_states(),
        *organizer_states(week, under_way),
    ]


def another_week(number: int, **fields: object) -> Event:
    """A week some weeks after the first, with these fields."""
    saturday = a_saturday_ahead() + dt.timedelta(weeks=number)
    event = with_links(load_strategy_week(starting=saturday).event)
    Event.objects.filter(pk=event.pk).update(**fields)
    event.refresh_from_db()
    return event


def a_photo() -> ProcessedImage:
    """A drawn one."""
    drawn = Image.new("RGB", (192, 192), "#c9d8d2")
    draw = ImageDraw.Draw(drawn)
    draw.ellipse((60, 36, 132, 108), fill="#6b4f3a")
    draw.ellipse((24, 118, 168, 262), fill="#0b5f50")
    content = io.BytesIO()
    drawn.save(content, "WEBP")
    return ProcessedImage(content.getvalue(), *drawn.size)


def make_lively(week: Event) -> None:
    """Fill a session, show a host, and have people ask for what organizers must arrange."""
    opening = week.sessions.first()
    storage.replace_images(owner=opening.hosts.get(), images={"photo": a_photo()})
    sign_up(week, "Bob B", sessions=[opening], needs=["asl", "captions"])
    Session.objects.filter(pk=opening.pk).update(capacity=1)
    Question.objects.create(event=week, text="Who sent you?")
    Question.objects.create(
        event=week, kind="choices", text="What will you bring?", choices="Food\nSongs"
    )
    Question.objects.create(event=week, kind="yes/no", text="May we call you?")


def week_under_way() -> Event:
    """A week whose sessions are now in each of their phases."""
    now, event = timezone.now(), another_week(1, slug="under-way")
    starts = (-3 * HOUR, -20 * MINUTE, 5 * MINUTE, 45 * MINUTE, DAY, 2 * DAY)
    for session, start in zip(event.sessions.all(), starts, strict=True):
        length = dt.timedelta(hours=2, minutes=30)
        times = {"starts_at": now + start, "ends_at": now + start + length}
        Session.objects.filter(pk=session.pk).update(**times)
    over, _running, without_link, soon, canceled, full = event.sessions.all()
    Session.objects.filter(pk=over.pk).update(
        recording_url="https://zoom.us/rec/share/abc", notes_url="https://example.org/notes"
    )
    Meeting.objects.filter(session=without_link).update(join_url="")
    Meeting.objects.filter(session=soon).update(passcode="123456", dial_in=MANY_NUMBERS)
    reason = {
        "en": "Our speaker is ill. We're looking for another date, and we'll email you.",
        "es": "Nuestra ponente está enferma. Buscamos otra fecha y te escribiremos.",
    }
    schedule.cancel_session(session=canceled, reason=reason)
    Session.objects.filter(pk=full.pk).update(capacity=1)
    sign_up(event, "Bob B", sessions=[full])
    return event


def with_own_poster(event: Event) -> None:
    sizes = ("poster_wide", "poster_phone")
    images = dict(zip(sizes, reencode(picture(), [*POSTER_SIZES.values()]), strict=True))
    storage.replace_images(owner=event, images=images)
    Event.objects.filter(pk=event.pk).update(poster="own")


def event_states(week: Event, under_way: Event) -> Iterator[State]:
    url = week.get_absolute_url()
    yield State("event", at(url))
    yield State("flyer", at(f"{url}flyer/"))
    yield State("embed", at(f"{url}embed/"))
    yield State("printed-schedule", at(f"{url}printed-schedule/"))
    yield State("event-under-way", at(under_way.get_absolute_url()))
    # Each has another poster and other colors.
    soon = {"registration_opens_at": timezone.now() + 3 * DAY}
    not_open = another_week(2, slug="not-open", poster="hills", colors="harbor", **soon)
    yield State("event-not-open", at(not_open.get_absolute_url()))
    before = {"registration_closes_at": timezone.now() - DAY}
    closed = another_week(3, slug="closed", poster="road", colors="clay", **before)
    yield State("event-closed", at(closed.get_absolute_url()))
    over = another_week(4, slug="over", poster="circle", colors="jacaranda")
    Session.objects.filter(event=over).update(
        starts_at=timezone.now() - 3 * DAY, ends_at=timezone.now() - 2 * DAY
    )
    yield State("event-over", at(over.get_absolute_url()))
    planned = another_week(5, slug="without-sessions")
    planned.sessions.all().delete()
    with_own_poster(planned)
    yield State("event-without-sessions", at(planned.get_absolute_url()))
    draft = another_week(6, slug="draft", status="draft")
    yield State("event-draft", at(draft.get_absolute_url()), "organizer")
    yield State("event-none", without_events)
    yield State("session", at(week.sessions.last().get_absolute_url()))
    yield State("session-canceled", at(under_way.sessions.all()[4].get_absolute_url()))
    yield State("session-now", at(under_way.sessions.all()[1].get_absolute_url()))
    Session.objects.filter(event=over).update(
        shows_recording=True,
        recording_url="https://zoom.us/rec/share/abc",
        notes_url="https://example.org/notes",
    )
    yield State("session-over", at(over.sessions.first().get_absolute_url()))
    yield State("session-full", at(under_way.sessions.last().get_absolute_url()))
    full = another_week(8, slug="full", has_asl=True, has_interpretation=True)
    full.sessions.update(capacity=1)
    sign_up(full, "Bob B")
    yield State("event-full", at(full.get_absolute_url()))
    yield State("embed-under-way", at(f"{under_way.get_absolute_url()}embed/"))
    yield State("session-not-open", at(not_open.sessions.first().get_absolute_url()))
    yield State("session-closed", at(closed.sessions.first().get_absolute_url()))
    # As long as they may be.
    long = {name: f"{word} for everyone who wants to come"[:40] for name, word in OWN_WORDS.items()}
    renamed = another_week(9, slug="own-words", **long)
    yield State("event-own-words", at(renamed.get_absolute_url()))
    yield State("session-own-words", at(renamed.sessions.all()[1].get_absolute_url()))
    yield State("register-own-words", at(f"{renamed.get_absolute_url()}register/"))
    yield State("register-not-open", at(f"{not_open.get_absolute_url()}register/"))
    yield State("register-closed", at(f"{closed.get_absolute_url()}register/"))


def without_events(page: Page) -> None:
    """The front page while no event is published."""
    published = list(Event.objects.published().values_list("pk", flat=True))
    Event.objects.update(status="draft")
    caches["pages"].clear()
    try:
        page.goto("/")
    finally:
        Event.objects.filter(pk__in=published).update(status="published")
        caches["pages"].clear()


def enter(page: Page, url: str, name: str = "Erin E") -> None:
    """Fill in the register form."""
    page.goto(url)
    page.locator("input[name=name]").fill(name)
    page.locator("input[name=email]").fill(f"{name.split()[0].lower()}@example.org")


def register_states(week: Event) -> Iterator[State]:
    url = f"{week.get_absolute_url()}register/"
    by_approval = another_week(7, slug="by-approval", requires_approval=True)

    def add(page: Page, *names: str) -> None:
        page.locator(".disclosure > summary").click()
        for number, name in enumerate(names):
            page.locator(f"input[name=other_names_{number}]").fill(name)

    def registered(page: Page, *, without: int = 0, event: Event = week) -> None:
        enter(page, f"{event.get_absolute_url()}register/")
        if not without:
            add(page, "Frank F")
        for box in page.locator("input[name=sessions]").all()[:without]:
            box.uncheck()
        press(page)

    def with_errors(page: Page) -> None:
        page.goto(url)
        page.locator("input[name=name]").fill("Win at www.evil.example")
        page.locator("input[name=email]").fill("maria@")
        add(page, "Frank F", "FRANK  F")
        for box in page.locator("input[name=sessions]").all():
            box.uncheck()
        press(page)

    def too_often(page: Page) -> None:
        enter(page, url)
        with override_settings(ACCOUNT_RATE_LIMITS={"register": "1/10m/ip"}):
            press(page)
            enter(page, url)
            press(page)

    yield State("register", at(url))
    yield State("register-errors", with_errors)
    yield State("registered", lambda page: registered(page, without=1))
    yield State("registered-waitlist", lambda page: registered(page))
    yield State("registered-approval", lambda page: registered(page, event=by_approval))
    yield State("register-too-often", too_often)


def own_page_states(week: Event, under_way: Event) -> Iterator[State]:
    alice = Registration.objects.get(event=week, email="alice@example.org")
    own = alice.get_absolute_url()
    yield State("own", at(own))
    for notice in ("sessions", "mailbox-limit"):
        yield State(f"own-{notice}", with_notice(own, notice))
    busy = sign_up(under_way, "Alice Adams", needs=["asl"])
    access_needs.arrange(needs=AccessNeed.objects.filter(seat__registration=busy))
    access_needs.confirm(needs=AccessNeed.objects.filter(seat__registration=busy))
    yield State("own-under-way", at(busy.get_absolute_url()))
    yield State("own-schedule", at(f"{own}schedule/"))
    yield State("own-phone-card", at(f"{own}phone/"))
    yield State("own-phone-card-under-way", at(f"{busy.get_absolute_url()}phone/"))
    gone = sign_up(week, "Charlie C")
    signup.cancel(registration=gone)
    yield State("own-canceled", at(gone.get_absolute_url()))
    gone = sign_up(week, "Dora D")
    signup.cancel(registration=gone, by_organizer=True)
    yield State("own-canceled-by-organizer", at(gone.get_absolute_url()))
    late = sign_up(Event.objects.get(slug="closed"), "Dora D")
    yield State("change-closed", at(f"{late.get_absolute_url()}change/"))
    late = sign_up(Event.objects.get(slug="closed"), "Charlie C")
    signup.cancel(registration=late)
    yield State("own-canceled-closed", at(late.get_absolute_url()))
    pending = sign_up(Event.objects.get(slug="by-approval"), "Faye F", needs=["asl"])
    yield State("own-pending", at(pending.get_absolute_url()))
    yield State("own-unknown", at("/me/x/"))
    yield State("change", at(f"{own}change/"))
    yield State("change-errors", lambda page: without_sessions(page, f"{own}change/"))
    for name in ("cancel", "renew", "erase"):
        yield State(name, at(f"{own}{name}/"))
    yield State("erased", lambda page: erased(page, week))
    yield State("find", at(f"{week.get_absolute_url()}find/"))
    yield State("find-errors", pressed(f"{week.get_absolute_url()}find/"))
    yield State("find-sent", lambda page: find(page, f"{week.get_absolute_url()}find/"))


def with_notice(url: str, notice: str) -> Open:
    """The page as a form leads to it."""

    def open(page: Page) -> None:
        page.goto(url)
        page.evaluate(f"document.cookie = 'notice={notice}; path={url}'")
        page.reload()

    return open


def without_sessions(page: Page, url: str) -> None:
    page.goto(url)
    for box in page.locator("input[name=sessions]").all():
        box.uncheck()
    press(page)


def erased(page: Page, week: Event) -> None:
    enter(page, f"{week.get_absolute_url()}register/", "Greta G")
    press(page)
    greta = Registration.objects.get(email="greta@example.org")
    pressed(f"{greta.get_absolute_url()}erase/")(page)


def find(page: Page, url: str) -> None:
    page.goto(url)
    page.locator("input[name=email]").fill("nobody@example.org")
    press(page)


def join_states(week: Event, under_way: Event) -> Iterator[State]:
    alice = Registration.objects.get(event=week, email="alice@example.org")
    busy = Registration.objects.get(event=under_way, email="alice@example.org")
    over, running, without_link, soon, canceled, _full = under_way.sessions.all()

    def before_zoom(page: Page) -> None:
        """The page that leads to Zoom, without the script that presses its button."""
        script = {"content_type": "text/javascript", "body": ""}
        page.route("**/join.*js", lambda route: route.fulfill(**script))
        page.goto(f"/join/{busy.token}/{running.slug}/")
        page.unroute("**/join.*js")

    yield State("join-early", at(f"/join/{alice.token}/{week.sessions.last().slug}/"))
    yield State("join-soon", at(f"/join/{busy.token}/{soon.slug}/"))
    yield State("join-now", before_zoom)
    yield State("join-without-link", at(f"/join/{busy.token}/{without_link.slug}/"))
    yield State("join-over", at(f"/join/{busy.token}/{over.slug}/"))
    yield State("join-canceled", at(f"/join/{busy.token}/{canceled.slug}/"))


def account_states(week: Event, values: dict[str, str]) -> Iterator[State]:
    def code_sent(page: Page) -> None:
        """Each time for another address, because three wrong codes end the sign-in."""
        page.context.clear_cookies(name=settings.SESSION_COOKIE_NAME)
        page.goto("/accounts/login/code/")
        page.locator("input[name=email]").fill(f"{uuid.uuid4().hex[:8]}@example.org")
        press(page)

    def code_errors(page: Page) -> None:
        code_sent(page)
        page.locator("input[name=code]").fill("WRONG1")
        press(page)

    def login_errors(page: Page) -> None:
        page.goto("/accounts/login/")
        page.locator("input[name=login]").fill("nobody@example.org")
        page.locator("input[name=password]").fill("wrong")
        press(page)

    unsubscribe = filled("/unsubscribe/{signed}/", values)
    yield State("login", at("/accounts/login/"))
    yield State("login-errors", login_errors)
    yield State("login-code", at("/accounts/login/code/"))
    yield State("login-code-sent", code_sent)
    yield State("login-code-errors", code_errors)
    yield State("my-weeks", at("/me/"), "attendee")
    yield State("my-weeks-none", at("/me/"), "organizer")
    yield State("logout", at("/accounts/logout/"), "attendee")
    yield State("signed-out", at("/accounts/signed-out/"))
    yield State("inactive", at("/accounts/inactive/"))
    yield State("password-reset", at("/accounts/password/reset/"))
    yield State("password-reset-done", at("/accounts/password/reset/done/"))
    # Signing in has made the earlier key invalid.
    key = PasswordResetTokenGenerator().make_token(User.objects.get(username="alice"))
    key = filled("/accounts/password/reset/key/{uidb36}-{key}/", {**values, "key": key})
    yield State("password-reset-key", at(key))
    yield State("password-reset-key-wrong", at("/accounts/password/reset/key/1-wrong/"))
    yield State("password-reset-key-done", at("/accounts/password/reset/key/done/"))
    test = models.TestEmail.objects.create(arrived_at=timezone.now())
    yield State("test-email", at(filled("/test-email/{test_token}/", values)))
    yield State("test-email-arrived", at(f"/test-email/{test.token}/"))
    yield State("unsubscribe", at(unsubscribe))
    yield State("unsubscribed", pressed(unsubscribe, "main button[type=submit]"))
    yield State("subscribed-again", pressed(unsubscribe, "main button[type=submit]"))


ERRORS = ("400", "403", "403_csrf", "404", "413", "429", "500")


def raise_error(request: HttpRequest, name: str) -> HttpResponse:
    """What a visitor sees of this error."""
    errors = {"400": BadRequest, "403": PermissionDenied, "500": RuntimeError}
    if name in errors:
        raise errors[name]("as the test wants it")
    return render(request, f"{name}.html", status=int(name[:3]))


ERROR_URLS = [path("errors/<str:name>/", raise_error)]


def error_states() -> Iterator[State]:
    for name in ERRORS:
        yield State(f"error-{name}", at(f"/errors/{name}/"))
