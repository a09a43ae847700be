"""Hostile requests to every public URL: no server error, no exception in the log, no long wait."""

import json
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from urllib.parse import quote
from zlib import crc32

import pytest
from django.db import transaction
from django.urls import resolve
from hypothesis import HealthCheck, given, seed
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from registrations.models import Question
from tests.hostile import FORM, MULTIPART, TEXTS, Pairs, multipart, quoted, urlencoded
from tests.people import filled_form
from tests.public_urls import (
    VISITORS,
    Visitors,
    everything_configured,
    filled,
    parameters,
    public_routes,
)

pytestmark = [pytest.mark.django_db, pytest.mark.once, pytest.mark.timeout(240)]

SECONDS = 3
EXAMPLES = 10
JSON = "application/json"
MALFORMED = [
    ("multipart/form-data; boundary=" + "y" * 300, b"x"),
    ("multipart/form-data", b"--y\r\n"),
    (MULTIPART, b"--y broken"),
    (MULTIPART, b'--y\r\nContent-Disposition: form-data; name="\xff\0"; filename="\xff\r\n\r\n'),
    (
        MULTIPART,
        b'--y\r\nContent-Disposition: form-data; name="email"\r\n'
        b"Content-Transfer-Encoding: base64\r\n\r\n*\r\n--y--",
    ),
    (FORM, b"a=1&" * 2000),
    (FORM, b"email=\xff%ff%00&%=&=&&name=%u0041&\x80"),
    (f"{FORM}; charset=utf-7", b"a=1"),
    (f"{FORM}; charset=\xff", b"a=1"),
    (JSON, b"[" * 60_000),
    (JSON, b'{"email": 1e999, "a": "\\ud800"}'),
    (JSON, b"\xff\xfe{}"),
    ("", b"{}"),
    ("text/plain; charset=no", b"x"),
    (FORM, b"x" * 70_000),
]
HEADERS = {
    "host": ["evil.example", "localhost:99999", "[::1", "a b", "\xff", "xn--", "localhost."],
    "x-forwarded-for": ["", "\xff", "1.2.3.4, , x", "::1%eth0", "9" * 3000, "1.2.3.4:5"],
    "x-forwarded-proto": ["https", "\xff"],
    "x-forwarded-host": ["evil.example"],
    "accept-language": ["\xff", "x" * 3000, "en;q=9e999", "de,*;q=0.0001,,", "../../etc"],
    "accept": ["application/json", "\xff", "*/*;q=x"],
    "range": ["bytes=9-1", "bytes=-" + "9" * 30, "\xff=", "bytes=0-0,1-1," * 50],
    "if-none-match": ["*", '"', 'W/"a', "\xff", '"a",' * 500],
    "if-modified-since": ["x", "Thu, 99 Foo 9999 99:99:99 GMT", "Mon, 01 Jan 0001 00:00:00 GMT"],
    "if-match": ["*", '"a'],
    "cookie": ["sessionid=\xff; csrftoken=\0", "messages=W1t9XQ:x; =;;", "sessionid=" + "a" * 3000],
    "authorization": ["Basic *", "Basic cHJvdmlkZXI6c2VjcmV0", "Basic /w==", "\xff", "Bearer"],
    "x-zm-request-timestamp": ["9" * 12, "\xb2", "-1"],
    "x-zm-signature": ["v0=\xff"],
    "content-length": ["-1", "x", "\xb2", "9" * 5000],
    "referer": ["\xff", "http://[", "javascript:x"],
    "origin": ["null", "http://[", "\xff"],
    "user-agent": ["", "\xff" * 2000],
    "x-csrftoken": ["\xff", "a" * 64],
    "x-requested-with": ["XMLHttpRequest"],
    "sec-purpose": ["prefetch"],
}
METHODS = [
    *("GET", "HEAD", "POST", "POST", "POST", "POST", "POST"),
    *("PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "get", "\xff"),
]


class Attack(NamedTuple):
    """One request. `path` and `query` are percent-encoded."""

    visitor: str
    method: str
    path: str
    query: str
    content_type: str
    body: bytes
    headers: dict[str, str]
    has_csrf_checks: bool


def as_json(pairs: Pairs) -> bytes:
    return json.dumps(dict(pairs) | {"event": "meeting.started", "payload": pairs}).encode()


ENCODINGS: list[tuple[str, Callable[[Pairs], bytes]]] = [
    *((FORM, urlencoded), (FORM, urlencoded), (MULTIPART, multipart)),
    *((JSON, as_json), (JSON, urlencoded), (FORM, as_json), (MULTIPART, urlencoded)),
]


@st.composite
def attacks(draw, route: str, values: dict[str, str], fields: dict[str, list[str]]) -> Attack:
    """A request to this URL: mostly right, with something hostile in each part of it."""
    names = draw(st.lists(st.sampled_from([*fields, "next", "x[]"]), max_size=4))
    changed = {name: draw(st.lists(TEXTS, max_size=3)) for name in names}
    everything = draw(st.one_of(st.none(), st.none(), TEXTS))
    sent = fields if everything is None else {name: [everything] for name in fields}
    pairs = [(name, value) for name, all_ in (sent | changed).items() for value in all_]
    content_type, encode = draw(st.sampled_from(ENCODINGS))
    right = content_type, encode(pairs)
    kind, body = draw(st.one_of(st.just(right), st.just(right), st.sampled_from(MALFORMED)))
    headers = draw(st.lists(st.sampled_from([*HEADERS]), max_size=3, unique=True))
    return Attack(
        draw(st.sampled_from(VISITORS)),
        draw(st.sampled_from(METHODS)),
        draw(paths(route, values)),
        draw(st.one_of(st.just(""), st.just(urlencoded(pairs).decode()), TEXTS.map(quoted))),
        kind,
        body,
        {name: draw(st.sampled_from(HEADERS[name])) for name in headers},
        draw(st.sampled_from([False, False, True])),
    )


@st.composite
def paths(draw, route: str, values: dict[str, str]) -> str:
    """The path, or one with a hostile parameter or a hostile end."""
    right = quote(filled(route, values))
    swapped = quote(filled(route, {name: value.swapcase() for name, value in values.items()}))
    hostile = quoted(draw(TEXTS.filter(bool))[:3000])
    wrong = filled(route, {**values, draw(st.sampled_from([*values])): hostile})
    ends = [f"{right}{hostile}/", right.rstrip("/") or "/", f"/{right}", f"{right}%00"]
    return draw(st.sampled_from([*[right] * 8, swapped, wrong, wrong, *ends]))


@pytest.fixture
def values(week, settings) -> Iterator[dict[str, str]]:
    """Everything is configured, and there is a question of each kind."""
    actions = ("find", "register", "login", "login_failed", "reset_password")
    settings.ACCOUNT_RATE_LIMITS = dict.fromkeys(actions, "100000/m/ip")
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1
    for kind in Question.Kind:
        Question.objects.create(event=week, text=f"{kind}?", kind=kind, choices="One\nTwo")
    with everything_configured():
        yield parameters(week)


def test_hostile_requests_to_every_public_url_are_no_server_error(week, values, caplog):
    caplog.set_level(logging.ERROR)
    visitors = Visitors(values)
    values |= {"key": "set-password"}
    complete = {name: [str(value)] for name, value in filled_form(week).items()}
    complete |= {"login": ["olga"], "password": ["x"], "code": ["AAAA-BBBB"]}
    for route in public_routes():
        assert resolve(filled(route, values))
        fields = visitors.fields(filled(route, values))
        fields |= {
            name: complete[name] for name in {*fields} & {*complete} if not any(fields[name])
        }

        @seed(crc32(route.encode()))
        @hypothesis_settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            suppress_health_check=[*HealthCheck],
        )
        @given(attack=attacks(route, values, fields))
        def survives(attack: Attack) -> None:
            caplog.clear()
            with transaction.atomic():
                assert_survived(visitors, attack)
                transaction.set_rollback(True)
            failures = [each for each in caplog.records if "django.security" not in each.name]
            assert failures == []

        survives()


def assert_survived(visitors: Visitors, attack: Attack) -> None:
    client = visitors.client(attack.visitor, has_csrf_checks=attack.has_csrf_checks)
    started = time.monotonic()
    response: Any = client.generic(
        attack.method,
        attack.path,
        attack.body,
        attack.content_type,
        query_params=None,
        headers=attack.headers,
        QUERY_STRING=attack.query,
    )
    assert response.status_code < 500, attack
    assert time.monotonic() - started < SECONDS, attack
