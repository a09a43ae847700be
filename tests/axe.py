"""axe looks for what on a page would hinder people who see little, or use a screen reader."""

import json

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

SCRIPT: str = Axe().axe_script


def findings(page: Page, *places: str, **options: object) -> list[tuple[str, str]]:
    """What axe finds on the page, or in these places of it, as the rule and the first element.

    `places` are CSS selectors, `options` those of axe.run.
    """
    # It may be there from the start, or from an email that the same page held before.
    if page.evaluate("!window.axe"):
        page.evaluate(SCRIPT)
    context = json.dumps({"include": list(places)}) if places else "document"
    options = {"preload": False, "resultTypes": ["violations"], **options}
    # Only what is wrong comes back from the browser: the rest is a megabyte for each page.
    each = "rule => [rule.id, rule.nodes[0].html]"
    run = f"axe.run({context}, {json.dumps(options)}).then(found => found.violations.map({each}))"
    return [tuple(found) for found in page.evaluate(run)]
