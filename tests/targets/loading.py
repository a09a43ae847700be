"""How much a first visit loads, and how soon a slow phone can register."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, CDPSession, Page

from tests.services.process import eventually
from tests.targets.report import Measure

LANGUAGES = {"English": "en-US", "Spanish": "es-MX"}
PHONE = {"viewport": {"width": 375, "height": 740}, "is_mobile": True, "has_touch": True}
BYTES_LIMIT_KB = 50
SECONDS_LIMIT = 2
ROUNDS = 3
GIVE_UP_SECONDS = 15
# 400 kbit/s both ways, and 400 ms for each answer.
SLOW = {"offline": False, "latency": 400, "downloadThroughput": 50_000, "uploadThroughput": 50_000}
AS_IT_IS = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
CPU_SLOWDOWN = 4
# Notes when something with this selector could first be used: painted, whole, and in the window.
WATCH = """
selector => {
  const look = () => {
    const box = document.querySelector(selector)?.getBoundingClientRect();
    const isPainted = performance.getEntriesByName("first-contentful-paint").length > 0;
    if (isPainted && box?.height > 0 && box.top >= 0 && box.bottom <= innerHeight) {
      window.usableAfter = performance.now();
    } else requestAnimationFrame(look);
  };
  look();
}
"""


@contextmanager
def first_visit(browser: Browser, locale: str) -> Iterator[tuple[Page, CDPSession]]:
    """A page of someone who has never been here."""
    context = browser.new_context(locale=locale, **PHONE)  # type: ignore[arg-type]
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    try:
        yield page, session
    finally:
        # Chromium may never close a page that still loads slowly.
        session.send("Emulation.setCPUThrottlingRate", {"rate": 1})
        session.send("Network.emulateNetworkConditions", AS_IT_IS)
        page.goto("about:blank")
        context.close()


def page_bytes(browser: Browser, url: str) -> Iterator[Measure]:
    """All that the page loads, headers included, also what comes when it is scrolled."""
    for language, locale in LANGUAGES.items():
        with first_visit(browser, locale) as (page, session):
            sizes: list[int] = []
            names: dict[str, str] = {}

            def add(
                event: dict[str, Any], sizes: list[int] = sizes, names: dict[str, str] = names
            ) -> None:
                sizes.append(event["encodedDataLength"])
                names[event["requestId"]] += f": {event['encodedDataLength'] / 1000:.1f} kB"

            def ask(event: dict[str, Any], names: dict[str, str] = names) -> None:
                names[event["requestId"]] = event["request"]["url"].rpartition("/static/")[2]

            session.on("Network.requestWillBeSent", ask)
            session.on("Network.loadingFinished", add)
            page.goto(url, wait_until="networkidle")
            page.mouse.wheel(0, 50_000)
            page.wait_for_load_state("networkidle")
            page.wait_for_timeout(500)
            kb = sum(sizes) / 1000
            found = tuple(names.values()) if kb > BYTES_LIMIT_KB else ()
            yield Measure(f"Event page, {language}, first visit", kb, BYTES_LIMIT_KB, " kB", found)


def seconds_until_usable(browser: Browser, locale: str, url: str, selector: str) -> float:
    with first_visit(browser, locale) as (page, session):
        session.send("Network.emulateNetworkConditions", SLOW)
        session.send("Emulation.setCPUThrottlingRate", {"rate": CPU_SLOWDOWN})
        page.add_init_script(f"({WATCH})({selector!r})")
        page.goto(url, wait_until="commit")
        try:
            # Not wait_for_function(), which the page's CSP forbids.
            milliseconds = eventually(
                lambda: page.evaluate("window.usableAfter"), selector, GIVE_UP_SECONDS, every=0.2
            )
        except TimeoutError:
            return math.inf
        use(page, selector)
    return float(milliseconds) / 1000


def use(page: Page, selector: str) -> None:
    """Press the button, or type into the field. Raises an error if nothing comes of it."""
    element = page.locator(selector).first
    if selector.startswith("a"):
        with page.expect_navigation(timeout=30_000, wait_until="commit"):
            element.click(no_wait_after=True)
    else:
        element.press_sequentially("Alice")
        assert element.input_value() == "Alice"


def register_is_usable(browser: Browser, event_url: str) -> Iterator[Measure]:
    register_url = f"{event_url}register/"
    for language, locale in LANGUAGES.items():
        for name, url, selector in (
            ("Register button on the event page", event_url, "a[href$='/register/']"),
            ("Form on the register page", register_url, "input[name=name]"),
        ):
            rounds = (
                seconds_until_usable(browser, locale, url, selector) for _round in range(ROUNDS)
            )
            # Whatever else this machine does only makes a round slower.
            seconds = min(rounds)
            yield Measure(f"{name}, {language}, usable", seconds, SECONDS_LIMIT, " s")
