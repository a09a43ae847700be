"""A small HTTP client on bare sockets, so that the server and not the client is measured."""

import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    status: int
    headers: bytes
    body: bytes


def request(port: int, head: str, body: bytes = b"") -> Answer:
    """One request on a connection of its own, as gunicorn's sync workers serve them."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(head.encode() + body)
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    headers, _, content = received.partition(b"\r\n\r\n")
    return Answer(int(headers[9:12]), headers, content)


def get(port: int, path: str, cookie: str = "") -> Answer:
    cookies = f"Cookie: {cookie}\r\n" if cookie else ""
    return request(
        port, f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{cookies}\r\n"
    )


def post(port: int, path: str, body: bytes, cookie: str) -> Answer:
    return request(
        port,
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nCookie: {cookie}\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n"
        f"Content-Length: {len(body)}\r\n\r\n",
        body,
    )


def rate(work: Callable[[int], object], *, clients: int, seconds: float) -> float:
    """How often `clients` threads together get `work(number)` done in a second."""
    done = [0] * clients
    end = time.monotonic() + seconds

    def run(client: int) -> None:
        while time.monotonic() < end:
            work(client * 1_000_000 + done[client])
            done[client] += 1

    threads = [threading.Thread(target=run, args=[client]) for client in range(clients)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done) / (time.monotonic() - started)
