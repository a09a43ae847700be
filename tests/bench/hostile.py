"""The CPU time of the largest accepted form, with the worst characters, at each public URL."""

import logging
import time
from collections.abc import Iterator
from typing import NamedTuple

from tests.bench.report import figure, title

# Below the limit by what surrounds the text in the body.
TEXT_BYTES = 58_000
SHOWN = 5


class Cost(NamedTuple):
    milliseconds: float
    url: str
    what: str
    body: bytes


def bench_hostile(week) -> None:
    from django.test import override_settings

    from tests.public_urls import Visitors, everything_configured, filled, parameters, public_routes

    logging.disable()
    # A password is slow on purpose.
    hashers = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    with (
        everything_configured(),
        override_settings(PASSWORD_HASHERS=hashers, ACCOUNT_RATE_LIMITS=False),
    ):
        values = parameters(week)
        visitors = Visitors(values)
        values |= {"key": "set-password"}
        urls = [filled(route, values) for route in public_routes()]
        title(f"The largest form with the worst characters, at {len(urls)} public URLs")
        costs = [
            Cost(cpu_milliseconds(visitors, url, body), url, what, body)
            for url in urls
            for what, body in bodies(visitors.fields(url))
        ]
        # Of those that seemed the worst, the least of some tries: others disturb the caches.
        costs = [
            cost._replace(
                milliseconds=min(cpu_milliseconds(visitors, cost.url, cost.body) for _ in range(5))
            )
            for cost in sorted(costs, reverse=True)[: 10 * SHOWN]
        ]
    logging.disable(logging.NOTSET)
    for number, cost in enumerate(sorted(costs, reverse=True)[:SHOWN]):
        wanted = "" if number else "wanted: at most 50 ms"
        figure(f"{cost.url[:30]}, {cost.what}", f"{cost.milliseconds:,.0f} ms", wanted)


def bodies(fields: dict[str, list[str]]) -> Iterator[tuple[str, bytes]]:
    """The page's own form with one long text: in one field, and spread over all fields."""
    from tests.hostile import PIECES, multipart

    names = list(fields) if len(fields) > 1 else []
    for piece in PIECES:
        text = "a" + piece * (TEXT_BYTES // len(piece.encode(errors="surrogatepass")))
        share = text[: len(text) // len(fields or "x")]
        yield f"all={piece!a}", multipart([(name, share) for name in fields or ["email"]])
        for name in names:
            sent = fields | {name: [text]}
            pairs = [(each, value) for each, values in sent.items() for value in values]
            yield f"{name}={piece!a}", multipart(pairs)
    yield "many fields", multipart([("email", "a")] * 900)


def cpu_milliseconds(visitors, url: str, body: bytes) -> float:
    from django.db import transaction

    from strategyweek.middleware import MAX_PUBLIC_BODY_BYTES
    from tests.hostile import MULTIPART

    assert len(body) <= MAX_PUBLIC_BODY_BYTES
    client = visitors.client("halfway")
    with transaction.atomic():
        started = time.process_time()
        client.generic("POST", url, body, MULTIPART)
        seconds = time.process_time() - started
        transaction.set_rollback(True)
    return seconds * 1000
