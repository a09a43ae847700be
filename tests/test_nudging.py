"""A word to the workers costs little, also when thousands have something to say."""

from types import SimpleNamespace

import pytest
from celery import current_app
from kombu.exceptions import OperationalError

from events import nudging

pytestmark = pytest.mark.once


@pytest.fixture
def sent(monkeypatch) -> list[tuple[str, float]]:
    """What was sent, and how much later it is to run."""
    sent: list[tuple[str, float]] = []
    monkeypatch.setattr(nudging, "_gathered_until", {})
    monkeypatch.setattr(nudging, "_no_nudge_before", 0.0)
    monkeypatch.setattr(
        current_app, "send_task", lambda task, **options: sent.append((task, options["countdown"]))
    )
    return sent


def test_each_is_sent_at_once(sent):
    nudging.nudge("a")
    nudging.nudge("a")
    assert sent == [("a", 0), ("a", 0)]


def test_one_serves_all_that_ask_until_it_runs(sent, monkeypatch):
    moments = iter([10.0, 10.5, 10.9, 11.1])
    monkeypatch.setattr(nudging, "time", SimpleNamespace(monotonic=lambda: next(moments)))
    nudging.nudge("a", gather=1)
    nudging.nudge("a", gather=1)
    nudging.nudge("b", gather=1)
    nudging.nudge("a", gather=1)
    assert sent == [("a", 1), ("b", 1), ("a", 1)]


def test_broker_that_is_away_is_not_asked_again_at_once(monkeypatch):
    asked = []

    def away(*args, **options):
        asked.append(args)
        raise OperationalError

    monkeypatch.setattr(nudging, "_gathered_until", {})
    monkeypatch.setattr(nudging, "_no_nudge_before", 0.0)
    monkeypatch.setattr(current_app, "send_task", away)
    nudging.nudge("a")
    nudging.nudge("b")
    assert len(asked) == 1
