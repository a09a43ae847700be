"""Every page in every state fits a narrow phone and passes axe's rules, in both languages."""

from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.urls import URLResolver, get_resolver, resolve

from tests.axe import SCRIPT, findings
from tests.browser import overflow
from tests.page_states import ERROR_URLS, Tour
from tests.public_urls import more_urls

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.timeout(400),
    pytest.mark.once,
    pytest.mark.long,
]

PHONE = {"viewport": {"width": 320, "height": 800}}

# Files, redirects, answers to a form or a script, and parts of a page: the frame with an email.
NO_PAGES = {
    *("icon", "touch_icon", "image", "event_picture", "session_picture", "robots", "sitemap"),
    *("event_calendar", "session_calendar", "my_calendar", "feed", "my_data", "zoom_webhook"),
    *("visit", "switch_language", "resend", "restore", "account_email"),
    *("registrations_registration_readiness_current", "registrations_registration_decide"),
    *("registrations_announcement_mail", "registrations_mailtext_preview_html"),
    *("registrations_mailtext_preview_unsaved", "events_session_zoom", "events_event_archive"),
    "registrations_outgoingmail_notice_html",
    # Django's: the same page for every model, or not linked.
    *("login", "logout", "autocomplete", "jsi18n", "view_on_site", "app_list"),
    *("password_change_done", "auth_user_password_change"),
    # After signing in at another site, which tests can't.
    "account_email_verification_sent",
}
FORMS_OF_MODELS = ("_add", "_change", "_delete", "_history", "_revert")


def page_names(patterns: Iterable[Any]) -> Iterator[str]:
    """The names of all URLs that show a page."""
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from page_names(pattern.url_patterns)
        elif pattern.name not in NO_PAGES and not str(pattern.name).endswith(FORMS_OF_MODELS):
            yield pattern.name or ""


# All rules in one scheme of each language, because only colors differ between schemes.
@pytest.mark.parametrize(("language", "scheme"), [("en", "light"), ("es", "dark")])
@pytest.mark.parametrize("in_admin", [False, True], ids=["site", "admin"])
def test_pages_fit_and_pass_the_accessibility_rules(
    browser, live_server, week, language, scheme, in_admin
):
    wrong, shown = {}, set()
    with pytest.MonkeyPatch.context() as patch, more_urls(patch, "urls_with_errors", ERROR_URLS):
        tour = Tour(browser, live_server.url, week)
        tour.states = [each for each in tour.states if each.name.startswith("admin-") == in_admin]
        for state, page in tour.pages(language, SCRIPT, color_scheme=scheme, **PHONE):
            shown.add(resolve(urlsplit(page.url).path).url_name)
            found = findings(page)
            # In the other scheme only colors differ.
            page.emulate_media(color_scheme="dark" if scheme == "light" else "light")
            found += findings(page, runOnly=["color-contrast"])
            page.emulate_media(color_scheme=scheme)
            if found or overflow(page):
                wrong[state.name] = found, overflow(page)
        assert wrong == {}
        patterns: list[Any] = get_resolver().url_patterns
        part = [each for each in patterns if (str(each.pattern) == "admin/") == in_admin]
        assert {*page_names(part)} - {""} - shown == set()
