"""A fast SMTP server in its own process: `python -m tests.bench.sink PORT [LOG]`.

It accepts every email and writes one line about it to LOG before it answers: the time, how many
emails it was working on, the recipient, the Message-ID. The domain of the recipient decides how
the email is treated.
"""

import asyncio
import re
import sys
import time
from typing import IO

MESSAGE_ID = re.compile(rb"^Message-ID:\s*(\S+)", re.MULTILINE | re.IGNORECASE)

# How many seconds an email takes. Those to other domains are answered at once.
SECONDS = {"slow.example": 0.05, "slowish.example": 0.015}

# Recipients there are always rejected.
REJECTING = {"gone.example": b"550 5.1.1 No such user"}

# The first email to each recipient there is rejected for now, never answered, cut off in the
# middle, or cut off after the whole email was accepted.
BUSY, MUTE, CUT, DEAF = "busy.example", "mute.example", "cut.example", "deaf.example"


class Sink(asyncio.Protocol):
    """As much of RFC 5321 as a correct client needs."""

    log: IO[str] | None = None
    known: set[str] = set()
    in_progress = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport, self.buffer, self.in_data = transport, b"", False
        self.recipient = self.domain = ""
        self.is_first = False
        transport.write(b"220 sink\r\n")

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while self._handle_line():
            pass

    def _handle_line(self) -> bool:
        if self.in_data and self.buffer and self._is_first_to(CUT):
            self.transport.abort()
            return False
        end = b"\r\n.\r\n" if self.in_data else b"\r\n"
        line, found, rest = self.buffer.partition(end)
        if not found:
            return False
        self.buffer = rest
        if self.in_data:
            self.in_data = False
            self._accept(line)
            return True
        verb = line[:4].upper()
        if verb == b"EHLO":
            self.transport.write(b"250-sink\r\n250-PIPELINING\r\n250 8BITMIME\r\n")
        elif verb == b"RCPT":
            self._handle_recipient(line)
        elif verb == b"DATA" and self.domain in REJECTING:
            self.transport.write(b"554 no valid recipients\r\n")
        elif verb == b"DATA":
            self.in_data = True
            self.transport.write(b"354 go on\r\n")
        elif verb == b"QUIT":
            self.transport.write(b"221 bye\r\n")
            self.transport.close()
        else:
            self.transport.write(b"250 ok\r\n")
        return True

    def _handle_recipient(self, line: bytes) -> None:
        self.recipient = line[line.index(b"<") + 1 : line.index(b">")].decode()
        self.domain = self.recipient.rpartition("@")[2]
        self.is_first = self.recipient not in self.known
        if self._is_first_to(BUSY, MUTE, CUT, DEAF):
            self.known.add(self.recipient)
        if self.domain in REJECTING:
            self.transport.write(REJECTING[self.domain] + b"\r\n")
        elif self._is_first_to(BUSY):
            self.transport.write(b"451 4.2.1 Try again later\r\n")
        elif not self._is_first_to(MUTE):
            self.transport.write(b"250 ok\r\n")

    def _is_first_to(self, *domains: str) -> bool:
        return self.is_first and self.domain in domains

    def _accept(self, content: bytes) -> None:
        Sink.in_progress += 1
        if self.log:
            found = MESSAGE_ID.search(content)
            message_id = found[1].decode() if found else "-"
            self.log.write(f"{time.time()} {self.in_progress} {self.recipient} {message_id}\n")
            self.log.flush()
        if self._is_first_to(DEAF):
            self.transport.abort()
            Sink.in_progress -= 1
        elif seconds := SECONDS.get(self.domain):
            asyncio.get_running_loop().call_later(seconds, self._answer)
        else:
            self._answer()

    def _answer(self) -> None:
        Sink.in_progress -= 1
        self.transport.write(b"250 accepted\r\n")


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", port)
    print("listening", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    if len(sys.argv) > 2:
        Sink.log = open(sys.argv[2], "a")  # noqa: SIM115  # Open until the process ends.
    asyncio.run(serve(int(sys.argv[1])))
