"""While Zoom fails, syncing pauses, longer and longer, and goes on at once when asked to."""

import time

import pytest
import time_machine
from django.utils import timezone

from events.models import Event, Meeting, Session
from events.zoom import sync
from tests.events.zoom.syncing import account_problem, first, sync_now

pytestmark = [pytest.mark.django_db, pytest.mark.once]


def test_wrong_credentials_are_reported_and_pause_calls(shared, zoom_account, settings):
    settings.ZOOM_CLIENT_SECRET = "wrong"
    sync.sync_meetings()
    assert "Invalid client_id or client_secret" in account_problem()
    assert sync.is_paused()
    calls = len(zoom_account.calls)
    sync.sync_meetings()
    assert len(zoom_account.calls) == calls
    settings.ZOOM_CLIENT_SECRET = zoom_account.account.client[1]
    sync_now()
    assert account_problem() == ""
    assert Meeting.objects.at_zoom().count() == 6


def test_pauses_grow_and_no_daily_creates_are_wasted_while_zoom_fails(shared, zoom_account):
    zoom_account.fail("503", times=None)
    now = timezone.now()
    with time_machine.travel(now, tick=False) as clock:
        for _minute in range(60):
            sync.sync_meetings()
            clock.shift(60)
        assert zoom_account.count("create_meeting") <= 1
        assert len(zoom_account.calls) < 40
        assert "503" in account_problem()
        zoom_account.heal()
        clock.shift(300)
        sync.sync_meetings()
    assert Meeting.objects.at_zoom().count() == 6
    assert zoom_account.count("create_meeting") <= 7


@pytest.mark.parametrize("failing", ["any", "create_meeting"])
def test_rate_limit_whose_end_zoom_does_not_say_is_retried_less_and_less(
    shared, zoom_account, monkeypatch, failing
):
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    Session.objects.exclude(pk=first(shared).pk).update(status="draft")
    zoom_account.fail("429", call=failing, times=None)
    with time_machine.travel(timezone.now(), tick=False) as clock:
        for _tick in range(2 * 40):
            sync.sync_meetings()
            clock.shift(30)
        calls = len(zoom_account.calls)
        for _tick in range(2 * 20):
            sync.sync_meetings()
            clock.shift(30)
        # Four attempts, each with three short waits, and the calls that read first.
        assert len(zoom_account.calls) - calls <= 4 * (4 + 2)
        zoom_account.heal()
        clock.shift(300)
        sync.sync_meetings()
    assert first(shared).meeting.state == "made"


def test_site_without_credentials_makes_no_call(shared, settings, zoom_account):
    settings.ZOOM_CLIENT_ID = ""
    sync_now()
    assert (account_problem(), zoom_account.calls) == ("", [])


def test_retry_now_ends_pauses(shared, zoom_account):
    zoom_account.fail("503", times=None)
    for _failure in range(9):
        sync_now()
    zoom_account.heal()
    sync.sync_meetings()
    assert not Meeting.objects.at_zoom().exists()
    sync.retry_now(event=shared)
    sync.sync_meetings()
    assert Meeting.objects.at_zoom().count() == 6


def test_retry_now_tries_rejected_captions_again(shared, zoom_account):
    Event.objects.update(zoom_captions=True)
    sync_now()
    zoom_account.fail("401", call="update_user_settings", times=2)
    sync_now(2)
    assert "turn on captions" in first(shared).meeting.problem
    sync.retry_now(event=shared)
    sync_now(2)
    assert first(shared).meeting.problem == ""
    assert zoom_account.count("update_meeting") == 0
