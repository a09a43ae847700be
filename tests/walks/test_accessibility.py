"""Every page in every state fits a narrow phone and passes axe's rules, in both languages."""

import json
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.urls import URLResolver, get_resolver, resolve
from playwright.sync_api import Page

from tests.browser import overflow
from tests.page_states import ERROR_URLS, Tour
from tests.public_urls import more_urls

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.timeout(300),
    pytest.mark.once,
    pytest.mark.long,
]

PHONE = {"viewport": {"width": 320, "height": 800}}


def findings(page: Page, **options: object) -> list[tuple[str, str]]:
    """What axe finds, as the rule and the first place."""
    options = {"preload": False, "resultTypes": ["violations"], **options}
    # Only what is wrong comes back from the browser: the rest is a megabyte for each page.
    each = "rule => [rule.id, rule.nodes[0].html]"
    run = f"axe.run({json.dumps(options)}).then(found => found.violations.map({each}))"
    return [tuple(found) for found in page.evaluate(run)]


# Files, redirects, answers to a form or a script, and two pages of a page: the frame with an email.
NO_PAGES = {
    *("icon", "event_calendar", "my_calendar", "feed", "my_data", "zoom_webhook"),
    *("visit", "switch_language", "resend", "restore", "account_email"),
    *("registrations_registration_readiness_current", "registrations_registration_decide"),
    *("registrations_announcement_mail", "registrations_mailtext_preview_html"),
    *("registrations_mailtext_preview_unsaved", "events_session_zoom"),
    # Django's: the same page for every model, or not linked.
    *("login", "logout", "autocomplete", "jsi18n", "view_on_site", "app_list"),
    *("password_change_done", "auth_user_password_change"),
    # After signing in at another site, which tests can't.
    "account_email_verification_sent",
}
FORMS_OF_MODELS = ("_add", "_change", "_delete", "_history")


def page_names(patterns: Iterable[Any]) -> Iterator[str]:
    """The names of all URLs that show a page."""
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from page_names(pattern.url_patterns)
        elif pattern.name not in NO_PAGES and not str(pattern.name).endswith(FORMS_OF_MODELS):
            yield pattern.name or ""


@pytest.mark.parametrize("language", ["en", "es"])
def test_pages_fit_and_pass_the_accessibility_rules(browser, live_server, week, language):
    wrong, shown = {}, set()
    with pytest.MonkeyPatch.context() as patch, more_urls(patch, "urls_with_errors", ERROR_URLS):
        tour = Tour(browser, live_server.url, week)
        for state, page in tour.pages(language, **PHONE):
            shown.add(resolve(urlsplit(page.url).path).url_name)
            page.evaluate(Axe().axe_script)
            found = findings(page)
            page.emulate_media(color_scheme="dark")
            # Only colors differ.
            found += findings(page, runOnly=["color-contrast"])
            page.emulate_media(color_scheme="light")
            if found or overflow(page):
                wrong[state.name] = found, overflow(page)
        assert wrong == {}
        assert {*page_names(get_resolver().url_patterns)} - {""} - shown == set()
