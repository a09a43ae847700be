"""Which page a browser is shown at which address."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from . import account_page, errors, meeting_page
from .account import CannotJoin
from .listening import Answer, Asked
from .markup import message

if TYPE_CHECKING:
    from .server import StandIn

STYLE = Path(__file__).with_name("pages.css")


def answer(stand_in: "StandIn", asked: Asked) -> Answer:
    """A page, or what a button does."""
    if asked.method == "POST" and asked.headers.get("Sec-Fetch-Site", "same-origin") not in OWN:
        return message("Refused", "Another site may not press the buttons here.", 403)
    for method, path, page in ROUTES:
        if asked.method == method and (match := path.fullmatch(asked.path)):
            try:
                return page(stand_in, asked, *match.groups())
            except CannotJoin as refused:
                # Zoom's page about it is no error, either.
                return message("Unable to join", str(refused))
            except (errors.Refused, ValueError) as wrong:
                return message("That cannot be done", str(wrong), 400)
    return message("Not found", "There is nothing here.", 404)


def style(stand_in: "StandIn", asked: Asked) -> Answer:
    return Answer(200, STYLE.read_bytes(), "text/css;charset=UTF-8")


# From where a button may be pressed: Sec-Fetch-Site, which browsers send.
OWN = ("same-origin", "none")
ROUTES: tuple[tuple[str, re.Pattern[str], Callable[..., Answer]], ...] = tuple(
    (method, re.compile(path), page)
    for method, path, page in (
        ("GET", "/", account_page.show),
        ("GET", "/pages.css", style),
        ("POST", r"/meetings/(\d+)/(start|end|recording|delete)", account_page.act),
        ("POST", "/control/fail", account_page.fail),
        ("POST", "/control/fail-at-random", account_page.fail_at_random),
        ("POST", "/control/heal", account_page.heal),
        ("POST", "/control/validate-webhook", account_page.validate_webhook),
        ("GET", r"/rec/share/(\d+)", account_page.recording),
        ("GET", r"/(j|w)/(\d+)", meeting_page.show),
        ("POST", r"/(j|w)/(\d+)", meeting_page.enter),
        ("GET", r"/meeting/register/(\d+)", meeting_page.register),
    )
)
