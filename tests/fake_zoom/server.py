"""Serves Django's views over HTTP on a loopback port, apart from the site's own settings."""

import contextlib
import select
import socket
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NoReturn
from wsgiref.simple_server import WSGIRequestHandler

from django.core.handlers.wsgi import WSGIRequest
from django.core.servers.basehttp import ThreadedWSGIServer
from django.urls import resolve

if TYPE_CHECKING:
    from tests.fake_zoom.zoom import FakeZoom

# How often a hanging request checks whether the client or the server is gone, in seconds.
POLL_SECONDS = 0.02


class Request(WSGIRequest):
    """A request to one of the fake Zooms of this process."""

    zoom: "FakeZoom"

    def hang(self, seconds: float | None) -> None:
        """Wait until the client gives up, the fake Zoom stops, or `seconds` have passed."""
        deadline = None if seconds is None else time.perf_counter() + seconds
        connection, stopped = self.environ["fake_zoom.connection"], self.zoom.stopped
        # The whole request is read, so the connection becomes readable only when it ends.
        while not (stopped.is_set() or select.select([connection], [], [], POLL_SECONDS)[0]):
            if deadline and time.perf_counter() > deadline:
                return

    def cut(self) -> NoReturn:
        """Close the connection without a response."""
        with contextlib.suppress(OSError):
            self.environ["fake_zoom.connection"].shutdown(socket.SHUT_RDWR)
        # wsgiref ends the request on this error without a word.
        raise ConnectionAbortedError


class Handler(WSGIRequestHandler):
    """Handles one request per connection."""

    # Headers and body are two packets; the second must not wait.
    disable_nagle_algorithm = True

    def get_environ(self) -> dict[str, Any]:
        return {**super().get_environ(), "fake_zoom.connection": self.connection}

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: URLs contain secrets."""


class Server(ThreadedWSGIServer):
    request_queue_size = 256

    def __init__(self, port: int, zoom: "FakeZoom") -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.zoom = zoom
        self.set_app(self.respond)

    def respond(
        self, environ: dict[str, Any], start_response: Callable[..., object]
    ) -> Iterable[bytes]:
        """Call the view of a request: the WSGI application."""
        request = Request(environ)
        request.zoom = self.zoom
        # Read it all: closing a connection with unread data would reset it.
        _ = request.body
        view, args, kwargs = resolve(request.path_info, "tests.fake_zoom.urls")
        response = view(request, *args, **kwargs)
        start_response(f"{response.status_code} {response.reason_phrase}", [*response.items()])
        return [response.content]
