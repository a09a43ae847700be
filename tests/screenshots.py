"""Pictures for the README, taken of the running product: `make screenshots`."""

import os
import re
import sys
import time
from pathlib import Path

from playwright.sync_api import Browser, Page

from tests.browser import DESK, PHONE, launched
from tests.services.environment import embedded
from tests.services.process import BASE_DIR, Process, eventually, free_port

FOLDER = BASE_DIR / "docs" / "screenshots"
LINK = "https://zoom.us/j/81234567890?pwd=only-for-the-picture"


class Site:
    """The embedded product, with a week whose Zoom links are pasted in."""

    def __init__(self, environment: dict[str, str]) -> None:
        port = free_port()
        self.url = f"http://localhost:{port}"
        log = Path(environment["VAR_DIR"]) / "run.log"
        self.process = Process(
            *(sys.executable, "manage.py", "run"),
            log=log,
            environment={**environment, "PORT": str(port), "DEBUG": "true"},
        )
        self.process.ready_when(lambda: "mailbox   " in self.process.log, 60)
        found = re.search(r"password: (\S+)", self.process.log)
        assert found
        self.password = found[1]

    def page(self, browser: Browser, **options) -> Page:
        options = {**DESK, "timezone_id": "America/New_York", "base_url": self.url, **options}
        return browser.new_page(**options)


def sign_in(page: Page, password: str) -> None:
    page.goto("/admin/")
    page.locator("input[name=login]").fill("organizer")
    page.locator("input[name=password]").fill(password)
    page.locator("form button[type=submit]").first.click()
    page.wait_for_url("**/admin/")


def paste_links(page: Page) -> None:
    """As an organizer does, session by session."""
    page.goto("/admin/events/session/")
    links = page.locator("#result_list tbody th a").evaluate_all("links => links.map(a => a.href)")
    # The last stays without, so that the warning is in the picture.
    for number, link in enumerate(links[:-1]):
        page.goto(link)
        page.locator("#id_meeting-0-join_url").fill(LINK)
        page.locator("#id_meeting-0-meeting_id").fill(f"812 3456 789{number}")
        page.locator("#id_meeting-0-passcode").fill("week2021")
        page.locator("#id_meeting-0-dial_in").fill("+1 669 900 6833 (San Jose)")
        page.locator("input[name=_save]").first.click()


def register(page: Page) -> None:
    page.goto("/")
    page.get_by_role("link", name=re.compile("Register")).first.click()
    page.locator("input[name=name]").fill("María José Ortega")
    page.locator("input[name=email]").fill("maria@example.org")
    shoot(page, "register-phone")
    page.get_by_role("button", name=re.compile("Register")).click()
    shoot(page, "registered-phone")


def shoot(page: Page, name: str, *, whole: bool = False) -> None:
    page.screenshot(path=FOLDER / f"{name}.png", full_page=whole)
    print(f"{name}.png")


def main() -> None:
    os.environ.pop("DJANGO_SETTINGS_MODULE", None)
    FOLDER.mkdir(parents=True, exist_ok=True)
    with embedded() as environment, launched() as browser:
        site = Site(environment)
        try:
            take_all(site, browser)
        finally:
            site.process.stop()


def take_all(site: Site, browser: Browser) -> None:
    admin = site.page(browser)
    sign_in(admin, site.password)
    paste_links(admin)
    phone = site.page(browser, **PHONE)
    register(phone)
    # Visitors' pages may be some seconds old.
    time.sleep(6)
    for scheme in ("light", "dark"):
        page = site.page(browser, color_scheme=scheme)
        page.goto("/")
        shoot(page, f"event-desk-{scheme}")
    phone.goto("/")
    shoot(phone, "event-phone")

    mails = site.page(browser)
    eventually(lambda: mails.goto("/mailbox/") and mails.get_by_text("maria@").count(), "the mail")
    letter = mails.locator("a[href^='/mailbox/1']").first.get_attribute("href")
    phone.goto(f"{letter}html/")
    shoot(phone, "mail-phone")
    join = phone.locator("a[href*='/join/']").first.get_attribute("href")
    phone.goto(str(join))
    shoot(phone, "waiting-phone")
    phone.goto(re.sub(r"/join/([^/]+)/.*", r"/me/\1/", str(join)))
    shoot(phone, "me-phone")
    admin.goto("/admin/events/session/")
    shoot(admin, "admin-sessions")
    admin.goto("/admin/registrations/announcement/add/")
    admin.locator("input[name=subject]").fill("What to bring on Saturday")
    admin.locator("textarea[name=body]").fill(
        "Dear {name},\n\n**one thing to prepare**: think of the person you are here for.\n\n"
        "- Bring a photo, if you like.\n- Come some minutes early, to try your sound."
    )
    admin.locator("input[type=submit]").first.click()
    shoot(admin, "admin-announcement", whole=True)


if __name__ == "__main__":
    main()
