"""Chromium for the tests and the screenshots."""

import functools
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
WITHOUT = (
    # A process made ahead for the next page, and another for each page: they only cost time here.
    "SpareRendererForSitePerProcess",
    "ProactivelySwapBrowsingInstance",
    # Pages of Chromium's own behind its address bar, loaded with each window: half of its cost.
    "WebUIOmniboxPopup",
    "WebUIOmniboxAimPopup",
    # Of what Playwright leaves out, in whose place this list comes, what pages here could notice.
    "AvoidUnnecessaryBeforeUnloadCheckSync",
    "DestroyProfileOnBrowserClose",
    "HttpsUpgrades",
    "HttpsFirstBalancedModeAutoEnable",
    "MediaRouter",
    "NetworkTimeServiceQuerying",
    "OptimizationHints",
    "PaintHolding",
    "ThirdPartyStoragePartitioning",
)
FLAGS = (
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Containers keep /dev/shm small, and pictures need more.
    "--disable-dev-shm-usage",
    "--disable-gpu",
    f"--disable-features={','.join(WITHOUT)}",
    # Even a page that tries cannot leave this machine.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
)
# Options for browser.new_context().
DESK: dict[str, Any] = {"viewport": {"width": 1280, "height": 900}}
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "has_touch": True,
    "is_mobile": True,
    "device_scale_factor": 2,
}
DEBIAN_PACKAGES = ("chromium", "fonts-dejavu", "fonts-noto-color-emoji")
HOW_TO_GET_ONE = (
    "No Chromium. Get one with: python -m tests.install\n"
    "or install chromium from your system (Debian: apt-get install chromium; "
    "macOS: brew install --cask chromium) so that it is on the PATH."
)


class NoBrowser(Exception):
    """There is no Chromium; the message says how to get one."""


def _works(program: str) -> bool:
    """Ubuntu's `chromium-browser` may be a stub which only asks for a snap."""
    with suppress(OSError, subprocess.TimeoutExpired):
        answer = subprocess.run([program, "--version"], capture_output=True, timeout=30)
        return answer.returncode == 0
    return False


@functools.cache
def chromium() -> str:
    """The path of Chromium: the system's, else Playwright's own. Raises NoBrowser."""
    for program in filter(None, map(shutil.which, NAMES)):
        if _works(program):
            return program
    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    if Path(own).exists():
        return own
    raise NoBrowser(HOW_TO_GET_ONE)


@contextmanager
def launched() -> Iterator[Browser]:
    """Run Chromium without a window. Playwright leaves its sandbox off, which root needs."""
    program = chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


def overflow(page: Page) -> int:
    """How many pixels the page is wider than its window; waits for one that is just coming.

    Rows of a form in Django's admin cut off what is too wide; that counts, too.
    """
    pixels: int = page.locator("html").evaluate(
        """html => Math.max(
            html.scrollWidth - innerWidth,
            ...[...html.querySelectorAll(".form-row")].map(
                (row) => row.scrollWidth - row.clientWidth
            ),
        )"""
    )
    return pixels


def unfold(page: Page, title: str) -> None:
    """Open what is folded under this title."""
    page.locator("summary", has_text=title).click()
