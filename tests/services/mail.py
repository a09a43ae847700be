"""Real SMTP servers that keep what they get."""

import asyncio
import email
import email.policy
import logging
import socket
import sys
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import NamedTuple, cast

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.services.process import Process, eventually, free_port

# Mail


@dataclass(frozen=True)
class Received:
    """A mail that the server accepted: who it was from and for, and what it said."""

    sender: str
    recipients: list[str]
    message: EmailMessage


class SmtpSink:
    """A real SMTP server on loopback which keeps what it gets, and answers as a test decides."""

    def __init__(self) -> None:
        self.host, self.port = "127.0.0.1", free_port()
        self.messages: list[Received] = []
        # Taken whole, but the client was never told: see close_after_data().
        self.unanswered: list[Received] = []
        self._answers: dict[str, str] = {}
        self._closes_after_data = False
        self._controller: Controller | None = None
        self._silent: socket.socket | None = None
        self._held: list[socket.socket] = []

    @property
    def url(self) -> str:
        return f"smtp://{self.host}:{self.port}"

    def start(self) -> None:
        """Listen, always on the same port; also after stop() or hang()."""
        self.stop()
        # aiosmtpd tells every step of every connection.
        logging.getLogger("mail.log").setLevel(logging.WARNING)
        self._controller = Controller(self, hostname=self.host, port=self.port)
        self._controller.start()

    def stop(self) -> None:
        """Refuse connections, and drop those that are open."""
        if self._controller:
            self._controller.stop()
            self._controller = None
        for held in filter(None, (self._silent, *self._held)):
            held.close()
        self._silent, self._held = None, []

    def hang(self) -> None:
        """Accept connections and never say a word, until start()."""
        self.stop()
        self._silent = socket.create_server((self.host, self.port))

    def wait_for_hanging(self, timeout: float = 20) -> None:
        """Wait until a client has connected since hang() and waits for us in vain."""
        assert self._silent, "call hang() first"
        self._silent.settimeout(timeout)
        self._held.append(self._silent.accept()[0])

    def refuse(self, address: str, answer: str = "550 5.1.1 No such user") -> None:
        """Answer so whenever `address` is a recipient."""
        self._answers[address.lower()] = answer

    def temporarily_refuse(self, address: str, answer: str = "451 4.3.0 Try again later") -> None:
        self.refuse(address, answer)

    def accept(self, address: str) -> None:
        """Take back what refuse() said of this address."""
        self._answers.pop(address.lower(), None)

    def close_after_data(self, closes: bool = True) -> None:
        """Take a message whole and drop the connection in place of an answer."""
        self._closes_after_data = closes

    def wait_for(self, count: int, timeout: float = 20) -> list[Received]:
        """Wait until at least `count` mails have come, and return all of them."""
        eventually(lambda: len(self.messages) >= count, f"{count} mails, had {self}", timeout)
        return list(self.messages)

    def to(self, address: str) -> list[EmailMessage]:
        """The messages that this address got, in order."""
        return [mail.message for mail in self.messages if address in mail.recipients]

    def __str__(self) -> str:
        return f"{len(self.messages)} mails to {[mail.recipients for mail in self.messages]}"

    # aiosmtpd calls these from its own thread.

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if answer := self._answers.get(address.lower()):
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        content = cast(bytes, envelope.content)
        message = email.message_from_bytes(content, policy=email.policy.default)
        received = Received(envelope.mail_from or "", list(envelope.rcpt_tos), message)
        if self._closes_after_data:
            self.unanswered.append(received)
            cast(asyncio.Transport, server.transport).abort()
            return "421 never heard"
        self.messages.append(received)
        return "250 OK"


class Taken(NamedTuple):
    """An email that a FastSink accepted. `in_progress`: how many it was working on then."""

    moment: float
    in_progress: int
    recipient: str
    message_id: str


class FastSink:
    """A real SMTP server in a process of its own, for mails by the thousand.

    The domain of an address says how it treats it: see tests/bench/sink.py.
    """

    def __init__(self, folder: Path) -> None:
        self._taken, port = folder / "taken", free_port()
        self.url = f"smtp://127.0.0.1:{port}"
        command = (sys.executable, "-m", "tests.bench.sink", str(port), self._taken)
        self._process = Process(*command, log=folder / "sink.log")
        self._process.ready_when(lambda: "listening" in self._process.log)

    def stop(self) -> None:
        self._process.stop()

    def taken(self) -> list[Taken]:
        """All that came, in order; also what it took but never said so."""
        rows = (line.split() for line in self._taken.read_text().splitlines())
        return [Taken(float(moment), int(count), *words) for moment, count, *words in rows]

    def recipients(self) -> list[str]:
        return [mail.recipient for mail in self.taken()]

    def wait_for(self, count: int, timeout: float = 30) -> None:
        """Wait until at least `count` mails have come."""
        eventually(lambda: self.count() >= count, f"{count} mails at the sink", timeout)

    def count(self) -> int:
        return self._taken.read_bytes().count(b"\n")
