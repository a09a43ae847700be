"""Pytest's plugin (`-p tests.services.plugin`): sets the environment before Django's settings load.

`pytest` runs on PostgreSQL and Redis: those that DATABASE_URL and REDIS_URL name, or its own.
`pytest --embedded` runs on SQLite and the embedded broker.
"""

import atexit
import os
from collections.abc import Generator
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest

from tests.services.environment import PRODUCT_VARIABLES, embedded, served
from tests.services.process import Unavailable

# The pytest plugin


def describe(environment: dict[str, str]) -> str:
    """Which database and broker an environment names, without passwords."""

    def place(variable: str, otherwise: str) -> str:
        if not (url := environment.get(variable)):
            return otherwise
        parts = urlsplit(url)
        origin = "given" if os.environ.get(variable) else "started for this run"
        return f"{parts.scheme} at {parts.hostname}:{parts.port or 'default'} ({origin})"

    return (
        f"database: {place('DATABASE_URL', 'SQLite')}, "
        f"broker: {place('REDIS_URL', 'in-tree (embedded)')}"
    )


RUN = pytest.StashKey[str]()
PARTS = pytest.StashKey[ExitStack]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--embedded",
        action="store_true",
        help="run without servers: on SQLite and the in-tree broker",
    )


# A wrapper, since those run before every plain hook: pytest-django's reads the settings.
@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None, None, None]:
    options = early_config.known_args_namespace
    given = {name: os.environ[name] for name in ("DATABASE_URL", "REDIS_URL") if name in os.environ}
    # With `-n 2` this process runs no test: each of the two that do has servers of its own.
    shares_out = bool(options.numprocesses) and "PYTEST_XDIST_WORKER" not in os.environ
    without_servers = options.embedded or options.help or options.version or shares_out
    parts = early_config.stash[PARTS] = ExitStack()
    atexit.register(parts.close)
    try:
        prepared = parts.enter_context(embedded() if without_servers else served(durable=False))
    except Unavailable as error:
        raise pytest.UsageError(str(error)) from None
    early_config.stash[RUN] = describe(prepared)
    for name in PRODUCT_VARIABLES:
        os.environ.pop(name, None)
    os.environ.update(prepared)
    if shares_out:
        early_config.stash[RUN] = "each process has its own database and broker"
        os.environ.update(given, PYTEST_PLUGINS="tests.services.plugin")
    return (yield)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is about the parts that this run does without."""
    others = ["served", "once"] if config.getoption("embedded") else ["embedded"]
    if "(given), broker" in config.stash[RUN]:
        others.append("crashes")
    left_out = [item for item in items if any(map(item.get_closest_marker, others))]
    left_out_ids = set(map(id, left_out))
    items[:] = [item for item in items if id(item) not in left_out_ids]
    _put_long_ones_first(items)
    config.hook.pytest_deselected(items=left_out)


def _put_long_ones_first(items: list[pytest.Item]) -> None:
    """Of those that write to the database for good, which come last: so that two processes end
    at the same time."""
    long = [item for item in items if item.get_closest_marker("long")]
    others = [item for item in items if not item.get_closest_marker("long")]
    writing = (
        place
        for place, item in enumerate(others)
        if {"transactional_db", "live_server"} & set(getattr(item, "fixturenames", ()))
    )
    place = next(writing, len(others))
    items[:] = others[:place] + long + others[place:]


def pytest_report_header(config: pytest.Config) -> str:
    return config.stash[RUN]


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[PARTS].close()
