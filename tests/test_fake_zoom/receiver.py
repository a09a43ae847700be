"""A server that receives the fake Zoom's webhooks."""

import hashlib
import hmac
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Receiver:
    """A server that receives webhooks, like the site."""

    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.status = 200
        self.secret = "webhook-secret"
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.requests.append((dict(self.headers), body))
                self.send_response(receiver.status)
                self.end_headers()
                self.wfile.write(receiver.answer(json.loads(body)))

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://localhost:{self.server.server_port}/webhooks/zoom/"

    def answer(self, message: dict[str, Any]) -> bytes:
        if message["event"] != "endpoint.url_validation":
            return b""
        plain = message["payload"]["plainToken"]
        digest = hmac.new(self.secret.encode(), plain.encode(), hashlib.sha256)
        return json.dumps({"plainToken": plain, "encryptedToken": digest.hexdigest()}).encode()

    @property
    def messages(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.requests]

    @property
    def events(self) -> list[str]:
        return [message["event"] for message in self.messages]
