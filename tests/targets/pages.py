"""What every public page must keep: large targets for fingers, and axe's rules."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from events.models import Event
from tests.axe import SCRIPT, findings
from tests.page_states import ERROR_URLS, Tour
from tests.public_urls import more_urls
from tests.targets.report import Measure

WIDTHS = (320, 375)
PASSES = (("en", "light"), ("es", "dark"))
SMALL_TARGETS = (Path(__file__).parent / "small_targets.js").read_text()


def small_targets(page: Page) -> list[str]:
    """Everything to press that is under 44 pixels wide or high, also what is folded."""
    page.evaluate("document.querySelectorAll('details').forEach(fold => fold.open = true)")
    small: list[str] = page.evaluate(SMALL_TARGETS)
    return small


def public_pages(browser: Browser, origin: str, week: Event) -> Iterator[Measure]:
    """Each page that is not the admin's, in every state that tests know."""
    small: dict[int, dict[str, None]] = {width: {} for width in WIDTHS}
    wrong: list[str] = []
    shown = 0
    with pytest.MonkeyPatch.context() as patch, more_urls(patch, "urls_with_errors", ERROR_URLS):
        tour = Tour(browser, origin, week)
        tour.states = [state for state in tour.states if not state.name.startswith("admin-")]
        for language, scheme in PASSES:
            options: dict[str, Any] = {"color_scheme": scheme}
            for state, page in tour.pages(language, SCRIPT, **options):
                shown += 1
                for width in WIDTHS:
                    page.set_viewport_size({"width": width, "height": 740})
                    small[width] |= dict.fromkeys(
                        f"{state.name}: {each}" for each in small_targets(page)
                    )
                found = findings(page)
                page.emulate_media(color_scheme="dark" if scheme == "light" else "light")
                found += findings(page, runOnly=["color-contrast"])
                page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
                wrong += [f"{state.name}, {language}: {rule}: {html}" for rule, html in found]
    for width, targets in small.items():
        yield Measure(f"Targets under 44 px at {width} px", len(targets), 0, "", tuple(targets))
    yield Measure(f"axe findings on {shown} pages", len(wrong), 0, "", tuple(wrong))
