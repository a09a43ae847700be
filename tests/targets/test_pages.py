"""What counts as too small to press."""

import pytest

from tests.targets.pages import small_targets

pytestmark = pytest.mark.once

TALL = 'style="display: inline-block; min-width: 44px; min-height: 44px"'


@pytest.mark.parametrize(
    ("html", "is_small"),
    [
        ('<p><a href="/">Go</a></p>', True),
        ('<p>Or <a href="/">go back</a>.</p>', False),
        ('<p><a href="/">One</a> · <a href="/">Two</a></p>', True),
        (f'<p><a href="/" {TALL}>Go</a></p>', False),
        ("<button>OK</button>", True),
        ("<details><summary>More</summary><button>OK</button></details>", True),
        (f"<label {TALL}><input type=checkbox> Yes</label>", False),
        ("<label>Yes</label><input type=checkbox>", True),
        ("<input type=hidden><button hidden>OK</button>", False),
    ],
)
def test_small_targets_are_found(page, html, is_small):
    page.set_content(f"<!doctype html><title>Test</title>{html}")
    assert bool(small_targets(page)) is is_small
