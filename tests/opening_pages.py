"""How to open a page in one state, in a browser."""

from collections.abc import Callable
from typing import NamedTuple

from playwright.sync_api import Page

SUBMIT = "main form button[type=submit]"
Open = Callable[[Page], object]


class State(NamedTuple):
    """How to open a page in one state, as one of public_urls.VISITORS. Names are file names."""

    name: str
    open: Open
    visitor: str = "stranger"


def at(url: str) -> Open:
    return lambda page: page.goto(url)


def press(page: Page, button: str = SUBMIT) -> None:
    """Send a form as it is, and wait for the answer."""
    page.locator("form").evaluate_all("forms => forms.forEach(form => form.noValidate = true)")
    with page.expect_navigation():
        page.locator(button).first.click()


def pressed(url: str, button: str = SUBMIT) -> Open:
    """Send the form on this page as it is."""

    def open(page: Page) -> None:
        page.goto(url)
        press(page, button)

    return open
