"""Scopes that the Zoom app lacks are named."""

import re

import pytest
import requests

from events.zoom import client as zoom_client
from events.zoom.scopes import SCOPES, missing_scopes
from tests.services.process import BASE_DIR

pytestmark = [pytest.mark.django_db, pytest.mark.once]


def answering(monkeypatch, scope: object) -> None:
    answer = requests.Response()
    answer.status_code = 200
    monkeypatch.setattr(answer, "json", lambda: {"access_token": "new", "scope": scope})
    monkeypatch.setattr(requests, "post", lambda *args, **kwargs: answer)


def test_fake_zoom_has_all_scopes(zoom_account):
    assert missing_scopes() == []


@pytest.mark.parametrize(
    ("scope", "missing"),
    [
        (" ".join(SCOPES[1:]), [SCOPES[0]]),
        (",".join(SCOPES[:-1]), [SCOPES[-1]]),
        ("meeting:write:admin meeting:read:admin report:read:admin user:write:admin", []),
        (
            "meeting:write:admin meeting:read:admin",
            ["report:read:list_meeting_participants:admin", "user:update:settings:admin"],
        ),
        ("user:read:user:admin", list(SCOPES)),
    ],
)
def test_missing_scopes_are_named(zoom_account, monkeypatch, scope, missing):
    answering(monkeypatch, scope)
    assert missing_scopes() == missing


@pytest.mark.parametrize("scope", [None, "", [], {"x": 1}])
def test_without_a_list_of_scopes_none_is_known_to_be_missing(zoom_account, monkeypatch, scope):
    answering(monkeypatch, scope)
    assert missing_scopes() == []


def test_calls_use_the_new_token_which_has_the_scopes_that_were_added(zoom_account, monkeypatch):
    assert zoom_client.access_token() != "new"
    answering(monkeypatch, SCOPES[0])
    missing_scopes()
    assert zoom_client.access_token() == "new"


def test_wrong_credentials_are_an_error(zoom_account, settings):
    settings.ZOOM_CLIENT_SECRET = "wrong"
    with pytest.raises(zoom_client.SettingsError, match="doesn't accept our credentials"):
        missing_scopes()


def test_env_example_lists_the_same_scopes():
    listed = re.findall(r"[a-z]+:[a-z]+:[a-z_]+:admin", (BASE_DIR / ".env.example").read_text())
    assert sorted(listed) == sorted(SCOPES)
