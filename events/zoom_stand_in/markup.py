"""The HTML that the pages share. There is no script, and what comes from elsewhere is escaped."""

import zoneinfo
from collections.abc import Iterable
from html import escape
from http import HTTPStatus

from .account import Meeting
from .listening import Answer

NOTICE = "This is not Zoom. It stands in for Zoom on this machine."
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
HTML = "text/html;charset=UTF-8"


def page(title: str, body: str, status: int = 200, *, narrow: bool = False) -> Answer:
    """`body` is HTML, `title` is not."""
    html = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)} | Not Zoom</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/pages.css">
</head>
<body>
<p class="notice">{NOTICE} <a href="/">The account</a></p>
<main{' class="narrow"' if narrow else ""}>{body}</main>
</body>
</html>
"""
    return Answer(status, html.encode(), HTML, HEADERS)


def message(title: str, words: str, status: int = 200) -> Answer:
    """A page of one sentence."""
    body = f"<h1>{escape(title)}</h1><p>{escape(words)}</p>"
    return page(title, card(body), status, narrow=True)


def see(address: str) -> Answer:
    return Answer(HTTPStatus.SEE_OTHER, b"", HTML, {**HEADERS, "Location": address})


def card(body: str) -> str:
    return f'<article class="card">{body}</article>'


def buttons(actions: Iterable[tuple[str, str]]) -> str:
    """A form of nothing but buttons: where each posts to, and its word."""
    shown = "".join(
        f'<button formaction="{escape(address)}">{escape(word)}</button>'
        for address, word in actions
    )
    return f'<form method="post">{shown}</form>'


def options(values: Iterable[str]) -> str:
    return "".join(f"<option>{escape(value)}</option>" for value in values)


def table(heads: Iterable[str], rows: Iterable[tuple[str, int, float]]) -> str:
    """What happened, the status of the answer, how many seconds ago."""
    lines = "".join(
        f"<tr><td>{escape(name)}</td><td>{_status(status)}</td><td>{ago:.0f} s ago</td></tr>"
        for name, status, ago in rows
    )
    if not lines:
        return '<p class="muted">None yet.</p>'
    return f"<table><tr>{''.join(f'<th>{head}</th>' for head in heads)}</tr>{lines}</table>"


def _status(status: int) -> str:
    kind = "good" if 200 <= status < 300 else "bad"
    return f'<span class="{kind}">{status or "none"}</span>'


def when(meeting: Meeting) -> str:
    there = meeting.start_time.astimezone(zoneinfo.ZoneInfo(meeting.timezone))
    clock = f"{there:%I:%M %p}".removeprefix("0")
    place = meeting.timezone.rpartition("/")[2].replace("_", " ")
    return escape(
        f"{there:%a, %b} {there.day}, {there.year}, {clock} {place} time, "
        f"{meeting.duration} minutes"
    )
