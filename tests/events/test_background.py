"""A word to the workers costs little, also when thousands have something to say."""

from types import SimpleNamespace

import pytest
from celery import current_app
from kombu.exceptions import OperationalError

from events import background
from registrations.outbox import mail_queue
from registrations.zoom import personal_links
from strategyweek.settings import CELERY_BEAT_SCHEDULE

pytestmark = pytest.mark.once


@pytest.fixture
def sent(monkeypatch) -> list[tuple[str, float, float]]:
    """What was sent, how much later it is to run, and when it is worth nothing any more."""
    sent: list[tuple[str, float, float]] = []
    monkeypatch.setattr(background, "_gathered_until", {})
    monkeypatch.setattr(background, "_paused_until", 0.0)
    monkeypatch.setattr(
        current_app,
        "send_task",
        lambda task, retry, countdown, expires: sent.append((task, countdown, expires)),
    )
    return sent


def test_each_is_sent_at_once(sent):
    background.wake_workers("a")
    background.wake_workers("a")
    assert sent == [("a", 0, 30), ("a", 0, 30)]


def test_one_serves_all_that_ask_until_it_runs(sent, monkeypatch):
    moments = iter([10.0, 10.5, 10.9, 11.1])
    monkeypatch.setattr(background, "time", SimpleNamespace(monotonic=lambda: next(moments)))
    background.wake_workers("a", gather=1)
    background.wake_workers("a", gather=1)
    background.wake_workers("b", gather=1)
    background.wake_workers("a", gather=1)
    assert sent == [("a", 1, 31), ("b", 1, 31), ("a", 1, 31)]


def test_what_takes_turns_gives_way_to_what_has_waited_longer(sent):
    background.wake_workers("a")
    mail_queue.wake_workers()
    mail_queue.wake_workers("issue_links", gather=1)
    assert sent == [
        ("a", 0, 3 * mail_queue.DELIVERY_RUN_SECONDS),
        ("registrations.tasks.deliver_mails", 0, mail_queue.DELIVERY_RUN_SECONDS),
        ("registrations.tasks.issue_links", 1, 1 + mail_queue.DELIVERY_RUN_SECONDS),
    ]


def test_sweeps_may_stand_behind_two_turns_at_a_mailing():
    expiries = {name: each["options"]["expires"] for name, each in CELERY_BEAT_SCHEDULE.items()}
    hasty = [
        name for name, seconds in expiries.items() if seconds < 3 * mail_queue.DELIVERY_RUN_SECONDS
    ]
    assert hasty == ["deliver-mails"]


def test_links_turns_leave_as_many_to_the_mails():
    every = CELERY_BEAT_SCHEDULE["issue-links"]["schedule"]
    assert every >= personal_links.SYNC_SECONDS + mail_queue.DELIVERY_RUN_SECONDS


def test_broker_that_is_away_is_not_asked_again_at_once(monkeypatch):
    asked = []

    def away(*args, **options):
        asked.append(args)
        raise OperationalError

    monkeypatch.setattr(background, "_gathered_until", {})
    monkeypatch.setattr(background, "_paused_until", 0.0)
    monkeypatch.setattr(current_app, "send_task", away)
    background.wake_workers("a")
    background.wake_workers("b")
    assert len(asked) == 1
