"""The CPU time of the largest accepted form, with the worst characters, at each public URL."""

import heapq
import logging
import time
from collections.abc import Iterator
from typing import NamedTuple

from tests.bench.report import figure, title

# Below the limit by what surrounds the text in the body.
TEXT_BYTES = 58_000
SHOWN, TRIES = 5, 10


class Cost(NamedTuple):
    milliseconds: float
    route: str
    what: str
    body: bytes


def bench_hostile(week) -> None:
    from django.test import override_settings

    from tests.public_urls import Visitors, everything_configured, filled, parameters, public_routes

    # A password is slow on purpose.
    hashers = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    with (
        everything_configured(),
        override_settings(PASSWORD_HASHERS=hashers, ACCOUNT_RATE_LIMITS=False),
    ):
        values = parameters(week)
        visitors = Visitors(values)
        values |= {"key": "set-password"}
        routes = public_routes()
        title(f"The largest form with the worst characters, at {len(routes)} public URLs")

        def cost(route: str, what: str, body: bytes, tries: int = TRIES) -> Cost:
            """The least of some tries: other processes disturb the caches."""
            url = filled(route, values)
            seconds = min(cpu_seconds(visitors, url, body) for _try in range(tries))
            return Cost(seconds * 1000, route, what, body)

        logging.disable()
        costs = (
            cost(route, what, body, tries=1)
            for route in routes
            for what, body in bodies(visitors.fields(filled(route, values)))
        )
        worst = heapq.nlargest(6 * SHOWN, costs)
        shown = heapq.nlargest(SHOWN, (cost(*each[1:]) for each in worst))
        empty = cost(shown[0].route, "an empty form", b"--y--\r\n")
        logging.disable(logging.NOTSET)
    for number, each in enumerate([*shown, empty]):
        wanted = "" if number else "wanted: at most 50 ms"
        figure(f"{each.route}, {each.what}", f"{each.milliseconds:,.0f} ms", wanted)


def bodies(fields: dict[str, list[str]]) -> Iterator[tuple[str, bytes]]:
    """The page's own form with one long text: spread over all fields, and in each one alone."""
    from tests.hostile import PIECES, multipart

    for piece in PIECES:
        text = "a" + piece * (TEXT_BYTES // len(piece.encode(errors="surrogatepass")))
        share = text[: len(text) // len(fields or "x")]
        yield f"all={piece!a}", multipart([(name, share) for name in fields or ["email"]])
        for name in fields if len(fields) > 1 else []:
            sent = fields | {name: [text]}
            pairs = [(each, value) for each, values in sent.items() for value in values]
            yield f"{name}={piece!a}", multipart(pairs)
    yield "many fields", multipart([("email", "a")] * 900)


def cpu_seconds(visitors, url: str, body: bytes) -> float:
    from django.db import transaction

    from strategyweek.middleware import MAX_PUBLIC_BODY_BYTES
    from tests.hostile import MULTIPART

    assert len(body) <= MAX_PUBLIC_BODY_BYTES
    client = visitors.client("halfway")
    # A server does this once, when it starts.
    client.handler.load_middleware()
    with transaction.atomic():
        started = time.process_time()
        client.generic("POST", url, body, MULTIPART)
        seconds = time.process_time() - started
        transaction.set_rollback(True)
    return seconds
