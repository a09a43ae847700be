"""A mail server that is fast, the workers that send to it, and a second database connection."""

from collections.abc import Iterator
from contextlib import closing
from functools import partial
from typing import Any

import psycopg2
import pytest

from tests.conftest import Start, database_url
from tests.services.mail import FastSink


@pytest.fixture
def sink(tmp_path) -> Iterator[FastSink]:
    sink = FastSink(tmp_path)
    yield sink
    sink.stop()


@pytest.fixture
def worker(worker, sink) -> Start:
    """Start a worker that sends its emails to the fast sink."""
    return partial(worker, EMAIL_URL=sink.url)


@pytest.fixture
def beat(beat, sink) -> Start:
    return partial(beat, EMAIL_URL=sink.url)


@pytest.fixture
def postgresql() -> Iterator[Any]:
    """A cursor of a second connection."""
    with closing(psycopg2.connect(database_url())) as own:
        own.autocommit = True
        yield own.cursor()
