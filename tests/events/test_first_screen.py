"""What people see before they scroll: what it is, when it is, and Register."""

import pytest
from playwright.sync_api import Page

from tests.browser import overflow

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]

# A common phone, the narrowest one, and a laptop whose browser has many bars.
WINDOWS = [(375, 740), (320, 640), (1366, 650)]


def hidden(page: Page, *selectors: str) -> list[str]:
    """Those elements that aren't wholly in the window."""
    script = """element => {
        const box = element.getBoundingClientRect();
        return box.width > 0 && box.top >= 0 && box.left >= 0
            && box.bottom <= innerHeight && box.right <= innerWidth;
    }"""
    return [each for each in selectors if not page.locator(each).first.evaluate(script)]


@pytest.mark.parametrize("window", WINDOWS, ids=str)
@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.parametrize("javascript", [True, False], ids=["js", "no-js"])
def test_first_screen_has_the_name_the_dates_and_register(
    new_page, week, window, language, javascript
):
    width, height = window
    viewport = {"width": width, "height": height}
    page = new_page(viewport=viewport, locale=language, java_script_enabled=javascript)
    page.goto(week.get_absolute_url())
    register = f'main a[href="/{week.slug}/register/"]'
    assert hidden(page, "h1", ".poster__date", register) == []
    assert page.locator(register).first.bounding_box()["height"] >= 44
    assert overflow(page) <= 0


@pytest.mark.parametrize("window", WINDOWS, ids=str)
@pytest.mark.parametrize("slug", ["opening", "das"])
def test_first_screen_of_a_session_has_its_title_its_time_and_register(
    new_page, week, window, slug
):
    width, height = window
    page = new_page(viewport={"width": width, "height": height}, timezone_id="America/New_York")
    page.goto(week.sessions.get(slug=slug).get_absolute_url())
    register = f'main a[href="/{week.slug}/register/"]'
    assert hidden(page, "h1", "main time", register) == []
    assert overflow(page) <= 0
