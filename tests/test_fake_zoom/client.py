"""A client of the fake Zoom, and what the tests send to it."""

import datetime as dt
from typing import Any

import pytest
import requests

from tests.fake_zoom import FakeZoom, Meeting
from tests.fake_zoom.account import Account
from tests.fake_zoom.errors import ApiError
from tests.fake_zoom.serializers import personal_url

NOW = dt.datetime(2026, 10, 1, 20, 30, tzinfo=dt.UTC)
MEETING: dict[str, Any] = {
    "topic": "Legislation and Policy",
    "type": 2,
    "start_time": "2026-10-19T01:00:00Z",
    "duration": 120,
    "timezone": "America/Los_Angeles",
    "settings": {"approval_type": 0},
}


class Clock:
    """A frozen clock."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> dt.datetime:
        return self.now

    def advance(self, **delta: float) -> None:
        self.now += dt.timedelta(**delta)


class Client:
    """Calls the fake Zoom's API with an access token."""

    def __init__(self, zoom: FakeZoom) -> None:
        self.zoom = zoom
        self.session = requests.Session()
        self.new_token()

    def new_token(self) -> str:
        token = self.token().json()["access_token"]
        self.session.headers["Authorization"] = f"Bearer {token}"
        return token

    def token(self, secret: str = "client-secret", **form: str) -> requests.Response:
        form = {"grant_type": "account_credentials", "account_id": "account-id", **form}
        return requests.post(self.zoom.oauth_url, form, auth=("client-id", secret), timeout=5)

    def __call__(
        self, method: str, path: str, body: Any = None, timeout: float = 5, **query: Any
    ) -> requests.Response:
        return self.session.request(
            method, f"{self.zoom.api_url}{path}", params=query, json=body, timeout=timeout
        )

    def create(self, **fields: object) -> dict[str, Any]:
        return self("POST", "/users/me/meetings", MEETING | fields).json()


def person(name: str) -> dict[str, str]:
    return {"email": f"{name.lower()}@example.org", "first_name": name, "last_name": "Adams"}


def rejection(account: Account, meeting: Meeting, *, batch: bool) -> tuple[int, dict[str, Any]]:
    add = account.add_registrants if batch else account.add_registrant
    body = {"registrants": [person("Alice")]} if batch else person("Alice")
    with pytest.raises(ApiError) as error:
        add(meeting, body)
    return error.value.status, error.value.body


def link_of_alice(zoom: FakeZoom, meeting: Meeting) -> str:
    return personal_url(zoom.account, meeting, meeting.registrants["alice@example.org"])


def page(zoom: FakeZoom, path: str, form: dict[str, str] | None = None, **headers: str) -> str:
    url = path if path.startswith("http") else f"{zoom.site}{path}"
    answer = requests.request(
        "POST" if form is not None else "GET", url, data=form, headers=headers, timeout=5
    )
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src")
    return answer.text
