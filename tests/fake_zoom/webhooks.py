"""Sends signed webhooks, as Zoom does.

Source: https://developers.zoom.us/docs/api/webhooks/.
"""

import contextlib
import datetime as dt
import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass
from typing import Any

import requests

from tests.fake_zoom.limits import Clock

# Zoom waits this long for a response.
TIMEOUT_SECONDS = 3


@dataclass(frozen=True)
class Webhook:
    """A webhook that was sent. Status 0 means no response."""

    event: str
    body: bytes
    headers: dict[str, str]
    status: int
    response: bytes
    sent_at: dt.datetime


def signature(secret: str, timestamp: str, body: bytes) -> str:
    return "v0=" + _hmac(secret, b"v0:" + timestamp.encode() + b":" + body)


def _hmac(secret: str, message: bytes) -> str:
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()


class Sender:
    """Sends webhooks to one URL and records them. Without a URL it does nothing."""

    def __init__(self, url: str, secret: str, clock: Clock) -> None:
        self.url = url
        self.secret = secret
        self.clock = clock
        self.sent: list[Webhook] = []

    def send(self, event: str, payload: dict[str, Any]) -> Webhook:
        now = round(self.clock().timestamp() * 1_000)
        message = {"event": event, "event_ts": now, "payload": payload}
        return self._post_signed(event, json.dumps(message).encode())

    def deliver_again(self, webhook: Webhook) -> Webhook:
        """Send the same message with a new signature."""
        return self._post_signed(webhook.event, webhook.body)

    def replay(self, webhook: Webhook) -> Webhook:
        """Send the same bytes and headers, including the old signature."""
        return self._post(webhook.event, webhook.body, webhook.headers)

    def validate(self) -> bool:
        """Check that the URL answers with the right secret, as Zoom does before it sends events."""
        plain = secrets.token_urlsafe(16)
        expected = {"plainToken": plain, "encryptedToken": _hmac(self.secret, plain.encode())}
        sent = self.send("endpoint.url_validation", {"plainToken": plain})
        try:
            return bool(sent.status == 200 and json.loads(sent.response) == expected)
        except ValueError:
            return False

    def _post_signed(self, event: str, body: bytes) -> Webhook:
        timestamp = str(int(self.clock().timestamp()))
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "Zoom Marketplace/1.0a",
            "x-zm-request-timestamp": timestamp,
            "x-zm-signature": signature(self.secret, timestamp, body),
        }
        return self._post(event, body, headers)

    def _post(self, event: str, body: bytes, headers: dict[str, str]) -> Webhook:
        if not self.url:
            return Webhook(event, body, headers, 0, b"", self.clock())
        status, response = 0, b""
        with contextlib.suppress(requests.RequestException), requests.Session() as session:
            # The receiver is on this machine: use no proxy.
            session.trust_env = False
            answer = session.post(
                self.url, body, headers=headers, timeout=TIMEOUT_SECONDS, allow_redirects=False
            )
            status, response = answer.status_code, answer.content
        webhook = Webhook(event, body, headers, status, response, self.clock())
        self.sent.append(webhook)
        return webhook
