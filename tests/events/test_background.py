"""Waking the workers is cheap, even when thousands of requests do it at once."""

import pytest
from celery import current_app
from kombu.exceptions import OperationalError

from events import background
from events.background import WakeUps, for_each_logging_errors
from registrations.outbox import mail_queue
from registrations.zoom import personal_links
from strategyweek.settings import CELERY_BEAT_SCHEDULE

pytestmark = pytest.mark.once


@pytest.fixture
def sent(monkeypatch) -> list[tuple[str, float, float]]:
    """The task, delay and expiry (in seconds) of each wake-up that was sent."""
    sent: list[tuple[str, float, float]] = []
    monkeypatch.setattr(background, "wake_ups", WakeUps())
    monkeypatch.setattr(
        current_app,
        "send_task",
        lambda task, retry, countdown, expires: sent.append((task, countdown, expires)),
    )
    return sent


def test_wake_up_without_a_delay_is_always_sent(sent):
    background.wake_workers("a")
    background.wake_workers("a")
    assert sent == [("a", 0, 30), ("a", 0, 30)]


def test_wake_up_with_a_delay_serves_all_requests_until_it_runs(sent):
    times = iter([10.0, 10.5, 10.9, 11.1])
    wake_ups = WakeUps(clock=lambda: next(times))
    for task in ("a", "a", "b", "a"):
        wake_ups.send(task, delay_seconds=1, expires_seconds=30)
    assert sent == [("a", 1, 31), ("b", 1, 31), ("a", 1, 31)]


def test_wake_up_for_a_delivery_run_expires_before_others(sent):
    background.wake_workers("a")
    mail_queue.wake_workers()
    mail_queue.wake_workers("issue_links", delay_seconds=1)
    assert sent == [
        ("a", 0, 3 * mail_queue.DELIVERY_RUN_SECONDS),
        ("registrations.tasks.deliver_mails", 0, mail_queue.DELIVERY_RUN_SECONDS),
        ("registrations.tasks.issue_links", 1, 1 + mail_queue.DELIVERY_RUN_SECONDS),
    ]


def test_periodic_tasks_can_wait_for_two_delivery_runs():
    expiries = {name: each["options"]["expires"] for name, each in CELERY_BEAT_SCHEDULE.items()}
    sooner = [
        name for name, seconds in expiries.items() if seconds < 3 * mail_queue.DELIVERY_RUN_SECONDS
    ]
    assert sooner == ["registrations.tasks.deliver_mails"]


def test_syncing_links_leaves_time_for_a_delivery_run():
    every = CELERY_BEAT_SCHEDULE["registrations.tasks.issue_links"]["schedule"]
    assert every >= personal_links.SYNC_SECONDS + mail_queue.DELIVERY_RUN_SECONDS


def test_failing_broker_is_not_called_again_at_once(monkeypatch):
    attempts = []

    def send_task(*args, **options):
        attempts.append(args)
        raise OperationalError

    monkeypatch.setattr(background, "wake_ups", WakeUps())
    monkeypatch.setattr(current_app, "send_task", send_task)
    background.wake_workers("a")
    background.wake_workers("b")
    assert len(attempts) == 1


def test_failure_for_one_item_does_not_stop_the_others(caplog):
    results = []
    for_each_logging_errors([1, 0, 2], lambda number: results.append(2 // number))
    assert results == [2, 1]
    assert "Failed for 0" in caplog.text
