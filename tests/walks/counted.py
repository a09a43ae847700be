"""An organizer in a browser, with what they do counted: clicks, inputs, and the pages they read."""

from playwright.sync_api import Page, expect

from tests.browser import overflow


class Organizer:
    """Finds things by what the page says. After each step the page must fit its window."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.clicks = self.inputs = self.pages = 0
        page.on("domcontentloaded", self._count_page)

    def _count_page(self, _page: Page) -> None:
        self.pages += 1

    def open(self, address: str) -> None:
        self.page.goto(address)
        assert overflow(self.page) == 0

    def follow(self, link: str, *, within: str = "body") -> None:
        self.clicks += 1
        part = self.page.locator(within)
        part.get_by_role("link", name=link, exact=True).first.click()
        assert overflow(self.page) == 0

    def press(self, button: str) -> None:
        self.clicks += 1
        self.page.get_by_role("button", name=button, exact=True).first.click()
        assert overflow(self.page) == 0

    def check(self, label: str) -> None:
        self.clicks += 1
        self.page.get_by_label(label).check()

    def enter(self, field: str, text: str) -> None:
        self.inputs += 1
        self.page.locator(f"[name={field}]").fill(text)

    def reads(self, *texts: str) -> None:
        for text in texts:
            expect(self.page.get_by_text(text).first).to_be_visible()

    def report(self, task: str) -> None:
        print(f"{task}: {self.clicks} clicks, {self.inputs} inputs, {self.pages} pages")
