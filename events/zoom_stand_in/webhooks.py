"""Webhooks as Zoom sends them, signed.

Source: https://developers.zoom.us/docs/api/webhooks/.
"""

import contextlib
import datetime as dt
import hashlib
import hmac
import http.client
import json
import secrets
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from .limits import Clock

# Zoom waits as long.
TIMEOUT = 3
LARGEST_ANSWER = 100_000


@dataclass(frozen=True)
class Webhook:
    """One that was sent, byte for byte. Status 0: nobody answered."""

    event: str
    body: bytes
    headers: dict[str, str]
    status: int
    answer: bytes
    sent_at: dt.datetime


def signature(secret: str, timestamp: str, body: bytes) -> str:
    return "v0=" + _hmac(secret, b"v0:" + timestamp.encode() + b":" + body)


def _hmac(secret: str, message: bytes) -> str:
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()


class Sender:
    """Sends webhooks to one address and keeps what it sent. Without an address it does nothing."""

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
        """As Zoom does when the first delivery failed: the same message, signed anew."""
        return self._post_signed(webhook.event, webhook.body)

    def replay(self, webhook: Webhook) -> Webhook:
        """As someone who listened would: byte for byte, the old signature too."""
        return self._post(webhook.event, webhook.body, webhook.headers)

    def validate(self) -> bool:
        """Ask whether the address knows the secret, as Zoom does before it sends anything."""
        plain = secrets.token_urlsafe(16)
        expected = {"plainToken": plain, "encryptedToken": _hmac(self.secret, plain.encode())}
        sent = self.send("endpoint.url_validation", {"plainToken": plain})
        try:
            return bool(sent.status == 200 and json.loads(sent.answer) == expected)
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
        status, answer = 0, b""
        if self.url:
            with contextlib.suppress(OSError, http.client.HTTPException):
                status, answer = self._exchange(body, headers)
        webhook = Webhook(event, body, headers, status, answer, self.clock())
        if self.url:
            self.sent.append(webhook)
        return webhook

    def _exchange(self, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        address = urlsplit(self.url)
        secure = address.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = kind(address.hostname or "", address.port, timeout=TIMEOUT)
        with contextlib.closing(connection):
            connection.request("POST", address.path or "/", body, headers)
            response = connection.getresponse()
            return response.status, response.read(LARGEST_ANSWER)
