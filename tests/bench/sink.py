"""An SMTP server in a process of its own, which is fast: `python -m tests.bench.sink PORT [LOG]`.

It takes everything and keeps nothing but a line in LOG for each mail, written before the
client hears that it was taken: the moment, how many mails were in hand just then, the
recipient, the Message-ID. The domain of a recipient's address says how its mails are treated.
"""

import asyncio
import re
import sys
import time
from typing import IO

MESSAGE_ID = re.compile(rb"^Message-ID:\s*(\S+)", re.MULTILINE | re.IGNORECASE)

# How many seconds a mail is in hand; any other is answered at once.
SECONDS = {"slow.example": 0.05, "slowish.example": 0.015}

# Said to whoever asks for a recipient there, every time.
REFUSING = {"gone.example": b"550 5.1.1 No such user"}

# Once for each recipient there: told to come again, left without an answer, cut off amid the
# mail, cut off when the whole mail was taken.
BUSY, MUTE, CUT, DEAF = "busy.example", "mute.example", "cut.example", "deaf.example"


class Sink(asyncio.Protocol):
    """As much of RFC 5321 as a well-behaved client needs."""

    log: IO[str] | None = None
    met: set[str] = set()
    in_hand = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport, self.buffer, self.in_data = transport, b"", False
        self.recipient = self.domain = ""
        self.is_first = False
        transport.write(b"220 sink\r\n")

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while self._take():
            pass

    def _take(self) -> bool:
        if self.in_data and self.buffer and self._is_treated_as(CUT):
            self.transport.abort()
            return False
        end = b"\r\n.\r\n" if self.in_data else b"\r\n"
        line, found, rest = self.buffer.partition(end)
        if not found:
            return False
        self.buffer = rest
        if self.in_data:
            self.in_data = False
            self._take_mail(line)
            return True
        verb = line[:4].upper()
        if verb == b"EHLO":
            self.transport.write(b"250-sink\r\n250-PIPELINING\r\n250 8BITMIME\r\n")
        elif verb == b"RCPT":
            self._take_recipient(line)
        elif verb == b"DATA" and self.domain in REFUSING:
            self.transport.write(b"554 to nobody\r\n")
        elif verb == b"DATA":
            self.in_data = True
            self.transport.write(b"354 go on\r\n")
        elif verb == b"QUIT":
            self.transport.write(b"221 bye\r\n")
            self.transport.close()
        else:
            self.transport.write(b"250 ok\r\n")
        return True

    def _take_recipient(self, line: bytes) -> None:
        self.recipient = line[line.index(b"<") + 1 : line.index(b">")].decode()
        self.domain = self.recipient.rpartition("@")[2]
        self.is_first = self.recipient not in self.met
        if self._is_treated_as(BUSY, MUTE, CUT, DEAF):
            self.met.add(self.recipient)
        if self.domain in REFUSING:
            self.transport.write(REFUSING[self.domain] + b"\r\n")
        elif self._is_treated_as(BUSY):
            self.transport.write(b"451 4.2.1 Come again\r\n")
        elif not self._is_treated_as(MUTE):
            self.transport.write(b"250 ok\r\n")

    def _is_treated_as(self, *domains: str) -> bool:
        return self.is_first and self.domain in domains

    def _take_mail(self, content: bytes) -> None:
        Sink.in_hand += 1
        if self.log:
            found = MESSAGE_ID.search(content)
            message_id = found[1].decode() if found else "-"
            self.log.write(f"{time.time()} {self.in_hand} {self.recipient} {message_id}\n")
            self.log.flush()
        if self._is_treated_as(DEAF):
            self.transport.abort()
            Sink.in_hand -= 1
        elif seconds := SECONDS.get(self.domain):
            asyncio.get_running_loop().call_later(seconds, self._answer)
        else:
            self._answer()

    def _answer(self) -> None:
        Sink.in_hand -= 1
        self.transport.write(b"250 taken\r\n")


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", port)
    print("listening", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    if len(sys.argv) > 2:
        Sink.log = open(sys.argv[2], "a")  # noqa: SIM115  # As long as the process lives.
    asyncio.run(serve(int(sys.argv[1])))
