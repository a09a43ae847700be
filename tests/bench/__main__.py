"""How the product holds up, as ratios to a ceiling in the same run: `make bench`.

Everything runs on this machine, on PostgreSQL and Redis, for a bounded time. One part alone:
`python -m tests.bench zoom` (or web, mail, languages, readiness, desk, accounts, hostile).
"""

import os
import re
import statistics
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode

import django

from tests.bench import client
from tests.bench.accounts import bench_accounts
from tests.bench.desk import bench_desk
from tests.bench.hostile import bench_hostile
from tests.bench.mail import ZONES, bench_languages, bench_mail
from tests.bench.readiness import bench_readiness
from tests.bench.report import figure, title
from tests.bench.zoom import bench_zoom
from tests.services.environment import served
from tests.services.process import Process, free_port

SECONDS = 5
ROUNDS = 3


class Rates(NamedTuple):
    """Requests a second."""

    bare: float
    event_page: float


def main() -> None:
    with served(durable=True, DJANGO_SETTINGS_MODULE="tests.bench.settings") as environment:
        folder = Path(environment["VAR_DIR"])
        environment["BENCH_PAGE"] = str(folder / "page.html")
        os.environ.update(environment)
        django.setup()
        week = prepared_week()
        parts = {
            "web": bench_web,
            "mail": bench_mail,
            "languages": bench_languages,
            "zoom": bench_zoom,
            "readiness": lambda week, _folder: bench_readiness(week),
            "desk": lambda week, _folder: bench_desk(week),
            "accounts": lambda _week, _folder: bench_accounts(),
            "hostile": lambda week, _folder: bench_hostile(week),
        }
        for name in sys.argv[1:] or parts:
            parts[name](week, folder)


def bench_web(week, folder: Path) -> None:
    with web_server(folder) as port:
        rates = bench_event_page(port, week, Path(os.environ["BENCH_PAGE"]))
        bench_registering(port, week, rates)
    bench_queries(week)


def prepared_week():
    from django.core.management import call_command

    from tests.people import coming_week

    call_command("migrate", verbosity=0)
    call_command("collectstatic", verbosity=0, interactive=False)
    return coming_week()


@contextmanager
def web_server(folder: Path) -> Iterator[int]:
    port = free_port()
    gunicorn = Process(
        *(sys.executable, "-m", "gunicorn", "strategyweek.wsgi", f"--bind=127.0.0.1:{port}"),
        *("--worker-class=sync", "--workers=2", "--log-level=warning"),
        log=folder / "web.log",
        environment={**os.environ},
    )
    try:
        gunicorn.ready_when(lambda: answers(port))
        yield port
    finally:
        gunicorn.stop()


def answers(port: int) -> bool:
    try:
        return client.get(port, "/").status == 200
    except OSError:
        return False


def bench_event_page(port: int, week, page: Path) -> Rates:
    title("Event page, anonymous: gunicorn, 2 sync workers, 8 connections")
    path = f"/{week.slug}/"
    page.write_bytes(client.get(port, path).body)

    def visit(path: str) -> float:
        def once(_number: int) -> None:
            assert client.get(port, path).status == 200

        return client.rate(once, clients=8, seconds=SECONDS)

    rounds = [(visit("/bench/bare/"), visit(path)) for _round in range(ROUNDS)]
    rates = Rates(*(statistics.median(rates) for rates in zip(*rounds, strict=True)))
    ratio = statistics.median(event / bare for bare, event in rounds)
    figure("bare view, the same bytes", f"{rates.bare:,.0f}/s")
    figure("event page", f"{rates.event_page:,.0f}/s")
    figure("ratio, median of three rounds", f"{ratio:.2f}", "wanted: at least 0.70")
    return rates


def bench_registering(port: int, week, rates: Rates) -> None:
    title("Registering: 4 clients, 6 sessions")
    path = f"/{week.slug}/register/"
    sessions = [session.pk for session in week.sessions.all()]

    def register(number: int) -> bytes:
        page = client.get(port, path)
        cookie = re.search(rb"csrftoken=(\w+)", page.headers)
        token = re.search(rb'name="csrfmiddlewaretoken" value="(\w+)"', page.body)
        assert cookie
        assert token
        fields = {
            "csrfmiddlewaretoken": token[1].decode(),
            "name": "Alice Adams",
            "email": f"alice{number}@example.org",
            "time_zone": ZONES[number % len(ZONES)],
            "sessions": sessions,
        }
        body = urlencode(fields, doseq=True).encode()
        answer = client.post(port, path, body, f"csrftoken={cookie[1].decode()}")
        assert answer.status == 302
        return answer.headers

    def register_and_be_thanked(number: int) -> None:
        number += 1_000_000
        remembered = re.search(rb"registered=([^;]+)", register(number))
        assert remembered
        thanks = client.get(port, f"{path}done/", f"registered={remembered[1].decode()}")
        assert f"alice{number}@".encode() in thanks.body

    wanted = "wanted: at least 0.067 (100/s where the page reaches 1,500/s)"
    for name, once in (("page and POST", register), ("and thanks", register_and_be_thanked)):
        reached = client.rate(once, clients=4, seconds=2 * SECONDS)
        figure(name, f"{reached:,.0f}/s")
        figure("ratio to the event page", f"{reached / rates.event_page:.3f}", wanted)
        figure("ratio to the bare view", f"{reached / rates.bare:.3f}")
        wanted = ""


def bench_queries(week) -> None:
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    from registrations.models import Registration
    from tests.people import filled_form

    title("Queries of one registration's POST")
    for others in (60, 6000):
        Registration.objects.all().delete()
        Registration.objects.bulk_create(
            Registration(
                event=week,
                name="Other",
                email=f"{n}@example.org",
                email_key=f"{n}@example.org",
                token=f"{n}",
                time_zone="UTC",
            )
            for n in range(others)
        )
        fields = filled_form(week)
        with CaptureQueriesContext(connection) as queries:
            Client().post(f"/{week.slug}/register/", fields, headers={"host": "localhost"})
        figure(f"with {others:,} others registered", f"{len(queries)}", "wanted: at most 12")


if __name__ == "__main__":
    main()
