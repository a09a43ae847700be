"""HTTP on loopback: reads a request, has it answered, writes the answer or cuts the connection."""

import contextlib
import http.server
import socket
import socketserver
import sys
from collections.abc import Callable
from email.message import Message
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

LARGEST_BODY = 1_000_000


class Asked(NamedTuple):
    method: str
    # As it was sent, still encoded.
    path: str
    query: dict[str, str]
    headers: Message
    body: bytes
    # For whoever makes a client wait: has it given up?
    has_gone: Callable[[], bool]

    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode(errors="replace")))


class Answer(NamedTuple):
    status: int
    body: bytes = b""
    content_type: str = "application/json;charset=UTF-8"
    headers: dict[str, str] = {}  # Never written to.


# None: the connection is cut.
Answering = Callable[[Asked], Answer | None]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "Server"
    disable_nagle_algorithm = True
    # Buffered, so that an answer is one packet.
    wbufsize = -1

    def serve(self) -> None:
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal() or "Transfer-Encoding" in self.headers:
            self.close_connection = True
            return self._write(Answer(400))
        if int(length) > LARGEST_BODY:
            self.close_connection = True
            return self._write(Answer(413))
        path, _, query = self.path.partition("?")
        answer = self.server.answering(
            Asked(
                self.command,
                path,
                dict(parse_qsl(query)),
                self.headers,
                self.rfile.read(int(length)),
                self._client_has_gone,
            )
        )
        if answer:
            self._write(answer)
        else:
            self.close_connection = True
            _cut(self.connection)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = serve

    def _write(self, answer: Answer) -> None:
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.status != 204:
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(answer.body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(answer.body)

    def _client_has_gone(self) -> bool:
        try:
            return self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def log_message(self, format: str, *args: Any) -> None:
        """Requests name secrets; the stand-in keeps its own list of calls."""


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True
    block_on_close = False

    def __init__(self, port: int, answering: Answering) -> None:
        self.answering = answering
        self._connections: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), Handler)

    def server_bind(self) -> None:
        # Not HTTPServer's, which asks the network for this machine's name.
        socketserver.TCPServer.server_bind(self)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def close(self) -> None:
        """Stop listening and cut whoever is connected."""
        self.shutdown()
        self.server_close()
        for connection in list(self._connections):
            _cut(connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


def _cut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
