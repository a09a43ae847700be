"""Entering the Zoom credentials, and asking Zoom about them."""

import datetime as dt

import pytest
from django.contrib.admin.models import LogEntry
from django.utils import timezone

from events import site_settings
from events.models import SiteSettings, ZoomAccount
from events.zoom import client as zoom_client
from events.zoom.scopes import SCOPES
from tests.registrations.admin.set_up.pages import (
    URL,
    ZOOM,
    done,
    errors_of,
    page_of,
    press,
    said,
    steps_of,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def entered(zoom_account, settings):
    """What to enter for the fake Zoom, whose credentials aren't in the environment."""
    values = {
        "account_id": settings.ZOOM_ACCOUNT_ID,
        "client_id": settings.ZOOM_CLIENT_ID,
        "client_secret": settings.ZOOM_CLIENT_SECRET,
    }
    settings.ZOOM_ACCOUNT_ID = settings.ZOOM_CLIENT_ID = settings.ZOOM_CLIENT_SECRET = ""
    return values


@pytest.fixture
def without_zoom(settings):
    """An address where nothing answers."""
    settings.ZOOM_OAUTH_URL = "http://127.0.0.1:1/oauth/token"


def test_credentials_are_stored_and_zoom_answers(organizer, entered):
    assert (
        "4. Zoom Recommended With it, we create the meetings."
        in (steps_of(page_of(organizer))["zoom"])
    )
    text = "Zoom answers, and the app has every scope."
    assert said(organizer, "zoom", **entered) == [("success", text)]
    assert zoom_client.is_configured()
    page = page_of(organizer)
    assert "4. Zoom Done Zoom answers." in steps_of(page)["zoom"]
    assert entered["client_secret"] not in page
    (entry,) = LogEntry.objects.all()
    assert entry.change_message == "Changed the Zoom credentials."


def test_wrong_credentials_are_stored_but_not_done(organizer, entered):
    ((color, text),) = said(organizer, "zoom", **entered | {"client_secret": "wrong"})
    assert (color, text.partition(":")[0]) == ("error", "Zoom doesn't accept our credentials")
    assert "zoom" not in done(page_of(organizer))
    press(organizer, "zoom", **entered)
    assert "zoom" in done(page_of(organizer))


def test_missing_scopes_are_named(organizer, entered, monkeypatch):
    press(organizer, "zoom", **entered)
    token = zoom_client.Token("token", frozenset(SCOPES[2:]))
    monkeypatch.setattr(zoom_client, "new_token", lambda: token)
    text = f"Zoom answers, but the app lacks these scopes: {SCOPES[0]}, {SCOPES[1]}. Add them"
    assert said(organizer, "ask") == [("warning", f"{text} in Zoom.")]
    assert "zoom" not in done(page_of(organizer))


def test_zoom_that_is_away_says_so(organizer, without_zoom):
    assert said(organizer, "zoom", **ZOOM) == [("error", "Zoom didn't answer.")]
    assert "Ask Zoom whether it accepts" in steps_of(page_of(organizer))["zoom"]


def test_zoom_that_no_longer_accepts_them_is_to_do_again(organizer, entered, zoom_account):
    press(organizer, "zoom", **entered)
    zoom_account.fail("401", call="token", times=None)
    ((color, _text),) = said(organizer, "ask")
    assert color == "error"
    assert "zoom" not in done(page_of(organizer))


def test_work_that_waits_for_zoom_goes_on_with_new_credentials(organizer, entered):
    press(organizer, "zoom", **entered | {"client_secret": "wrong"})
    later = timezone.now() + dt.timedelta(hours=1)
    ZoomAccount.objects.create(
        problem="Zoom doesn't accept our credentials: x",
        problem_since=timezone.now(),
        failures=9,
        resumes_at=later,
    )
    assert "Zoom doesn't accept our credentials: x" in steps_of(page_of(organizer))["zoom"]
    press(organizer, "zoom", **entered)
    account = ZoomAccount.objects.get()
    assert (account.problem, account.failures) == ("", 0)
    assert account.resumes_at <= timezone.now()


def test_secret_is_kept_if_the_field_is_empty(organizer, without_zoom):
    press(organizer, "zoom", **ZOOM)
    press(organizer, "zoom", **ZOOM | {"client_secret": ""})
    assert site_settings.zoom_credentials().client_secret == "z00m-secret"


@pytest.mark.parametrize("name", ["account_id", "client_id"])
def test_secret_of_another_app_must_be_entered(organizer, without_zoom, name):
    press(organizer, "zoom", **ZOOM)
    page = press(organizer, "zoom", **ZOOM | {"client_secret": "", name: "other"})
    assert errors_of(page) == ["Enter the client secret that goes with this."]
    assert site_settings.zoom_credentials().client_id == "client"


def test_first_time_all_of_it_is_needed(organizer, without_zoom):
    page = press(organizer, "zoom")
    assert errors_of(page) == [
        "This field is required.",
        "This field is required.",
        "Enter the client secret that goes with this.",
    ]
    assert not SiteSettings.objects.exists()


def test_environment_is_shown_and_cannot_be_changed(organizer, zoom_account, settings):
    page = page_of(organizer)
    assert f'value="{settings.ZOOM_CLIENT_ID}"' in page
    assert settings.ZOOM_CLIENT_SECRET not in page
    assert organizer.post(URL, {"do": "zoom", **ZOOM}).status_code == 400
    assert not site_settings.load(fresh=True).zoom_credentials
    press(organizer, "ask")
    assert "zoom" in done(page_of(organizer))


def test_scopes_and_webhook_are_explained(organizer):
    page = page_of(organizer)
    for scope in SCOPES:
        assert f"<code>{scope}</code>" in page
    assert "http://localhost/webhooks/zoom/" in page
