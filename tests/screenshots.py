"""Pictures of every page in every state, and of every email: `make screenshots`.

They go to screenshots/, with an index.html of thumbnails. Those that the documents show also go to
docs/screenshots/. Pytest runs this file, with the database, server and browser that tests have.
"""

import shutil
from collections.abc import Iterator
from typing import Any, Literal

import pytest
from django.utils import timezone, translation
from django.utils.html import format_html, format_html_join
from playwright.sync_api import Browser, Page

from registrations.mail import kinds, previews
from registrations.mail_kinds import MailKind
from registrations.models import Heartbeat
from tests.admin_page_states import SET_UP
from tests.browser import DESK, PHONE
from tests.page_states import ERROR_URLS, Tour
from tests.public_urls import more_urls
from tests.services.process import BASE_DIR

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(1800)]

FOLDER = BASE_DIR / "screenshots"
DEVICES = {
    "phone": {**PHONE, "viewport": {"width": 375, "height": 812}},
    "desk": {**DESK, "viewport": {"width": 1366, "height": 900}},
}
LANGUAGES = ("en", "es")
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
# Which pictures the documents show: only what is in the window, in English.
DOCUMENTS = {
    "event-desk-light": "event-desk-light",
    "event-desk-dark": "event-desk-dark",
    "event-phone-light": "event-phone",
    "register-phone-light": "register-phone",
    "registered-phone-light": "registered-phone",
    "email-links-phone-light": "mail-phone",
    "join-soon-phone-light": "waiting-phone",
    "own-phone-light": "me-phone",
    "admin-sessions-desk-light": "admin-sessions",
    "admin-announcement-review-desk-light": "admin-announcement",
}


def emails(browser: Browser, event, language: str, **options) -> Iterator[tuple[str, Page]]:
    """Each kind of email to a made-up person, in the browser."""
    page = browser.new_page(reduced_motion="reduce", **options)
    with translation.override(language):
        htmls = {f"email-{kind}": previews.sample(kind, event) for kind in kinds.COMPOSERS}
        htmls["email-links-waitlist"] = previews.sample(MailKind.LINKS, event, on_waitlist=True)
    for name, email in htmls.items():
        page.set_content(str(email.alternatives[0][0]))
        yield name, page
    page.close()


def shoot(page: Page, name: str, device: str, language: str) -> None:
    """Take the whole page in both color schemes."""
    # Frames are only drawn once they have been in view.
    for frame in page.locator("iframe").all():
        frame.scroll_into_view_if_needed()
        page.wait_for_timeout(100)
    page.evaluate("scrollTo(0, 0)")
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        file = f"{name}-{device}-{scheme}"
        shown: dict[str, Any] = {"animations": "disabled", "caret": "initial"}
        if language == "en" and file in DOCUMENTS:
            path = BASE_DIR / "docs" / "screenshots" / f"{DOCUMENTS[file]}.png"
            page.screenshot(path=path, **shown)
        page.screenshot(
            path=FOLDER / language / f"{file}.png", full_page=True, scale="css", **shown
        )
    page.emulate_media(color_scheme="light")


def test_take_a_new_site(settings, live_server, browser, admin_client):
    """Without an email server or a week: for docs/first-run.md."""
    settings.EMAIL_URL = settings.EMAIL_BACKEND = settings.DEFAULT_FROM_EMAIL = ""
    for process in Heartbeat.Process:
        Heartbeat.objects.create(process=process, seen_at=timezone.now())
    page = browser.new_page(base_url=live_server.url, **DEVICES["desk"])
    session = admin_client.cookies["sessionid"].value
    page.context.add_cookies([{"name": "sessionid", "value": session, "url": live_server.url}])
    for name, url in {"admin-desk-empty": "/admin/", "admin-set-up": SET_UP}.items():
        page.goto(url)
        page.screenshot(path=BASE_DIR / "docs" / "screenshots" / f"{name}.png", caret="initial")
    page.close()


def write_index(names: list[str]) -> None:
    """A page with a row of thumbnails for each state."""
    files = [f"{{}}-{device}-{scheme}.png" for device in DEVICES for scheme in SCHEMES]
    rows = format_html_join(
        "\n",
        "<h2>{}</h2><p>{}</p>",
        (
            (
                name,
                format_html_join(
                    " ",
                    '<a href="{0}"><img src="{0}" alt="{0}" loading="lazy"></a>',
                    ((f"{each}/{file.format(name)}",) for file in files for each in LANGUAGES),
                ),
            )
            for name in names
        ),
    )
    style = (
        "body { background: #777; font: 1rem sans-serif }"
        "p { display: flex; gap: 0.5rem; overflow: auto }"
        "img { width: 220px; height: 480px; object-fit: cover; object-position: top }"
    )
    page = "<!doctype html><meta charset=utf-8><title>Screenshots</title><style>{}</style>{}"
    (FOLDER / "index.html").write_text(format_html(page, style, rows))


def test_take_screenshots(browser, live_server, week):
    shutil.rmtree(FOLDER, ignore_errors=True)
    names: dict[str, None] = {}
    with pytest.MonkeyPatch.context() as patch, more_urls(patch, "urls_with_errors", ERROR_URLS):
        tour = Tour(browser, live_server.url, week)
        for device, options in DEVICES.items():
            for language in LANGUAGES:
                print(language, device, flush=True)
                for state, page in tour.pages(language, **options):
                    shoot(page, state.name, device, language)
                    names[state.name] = None
                for name, page in emails(browser, week, language, **options):
                    shoot(page, name, device, language)
                    names[name] = None
    write_index([*names])
    print(f"{FOLDER / 'index.html'}: {len(names)} pages and emails")
