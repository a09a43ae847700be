"""The connection to a mail server that takes commands in one go (RFC 2920)."""

import smtplib
import socket
import threading
from collections.abc import Iterator

import pytest

from strategyweek.smtp import Plain

pytestmark = pytest.mark.once

MESSAGE = b"Subject: Links\r\n\r\nHello.\r\n.hidden\r\n"


class Scripted:
    """A server that gives the answers it was told, one for each line or message it hears."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.answers: list[bytes] = []
        self.heard: list[bytes] = []
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        client, _address = self._listener.accept()
        with client, client.makefile("rwb", buffering=0) as lines:
            lines.write(b"220 ready\r\n")
            for line in lines:
                self.heard.append(line)
                if line.startswith(b"ehlo"):
                    lines.write(b"250-here\r\n250-SIZE\r\n250 PIPELINING\r\n")
                elif line.startswith(b"rset"):
                    lines.write(b"250 ok\r\n")
                else:
                    answer = self.answers.pop(0)
                    lines.write(answer + b"\r\n")
                    if answer.startswith(b"421"):
                        client.shutdown(socket.SHUT_WR)
                        self.heard += lines
                    if answer.startswith(b"354"):
                        while self.heard[-1] != b".\r\n":
                            self.heard.append(next(lines))
                        lines.write(self.answers.pop(0) + b"\r\n")

    def close(self) -> None:
        self._listener.close()
        self._thread.join(5)


@pytest.fixture
def server() -> Iterator[Scripted]:
    scripted = Scripted()
    yield scripted
    scripted.close()


def send(server: Scripted, *answers: bytes) -> None:
    server.answers += answers
    with Plain("127.0.0.1", server.port, timeout=5) as connection:
        connection.ehlo()
        try:
            connection.send_to("alice@example.org", "week@example.org", MESSAGE)
        finally:
            server.answers.append(b"221 bye")


def test_a_message_goes_in_one_go(server):
    send(server, b"250 ok", b"250 ok", b"354 go on", b"250 taken")
    assert server.heard[1:-1] == [
        b"mail FROM:<week@example.org> size=%d\r\n" % len(MESSAGE),
        b"rcpt TO:<alice@example.org>\r\n",
        b"data\r\n",
        b"Subject: Links\r\n",
        b"\r\n",
        b"Hello.\r\n",
        b"..hidden\r\n",
        b".\r\n",
    ]


@pytest.mark.parametrize(
    "waits_for_a_message", [False, True], ids=["data refused too", "data allowed"]
)
def test_a_refused_recipient_gets_nothing_and_the_connection_lives_on(server, waits_for_a_message):
    data = [b"354 go on", b"554 to nobody"] if waits_for_a_message else [b"503 to nobody"]
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        send(server, b"250 ok", b"550 5.1.1 No such user", *data)
    assert refused.value.recipients == {"alice@example.org": (550, b"5.1.1 No such user")}
    assert not any(b"Hello" in line for line in server.heard)
    assert server.heard[-2:] == [b"rset\r\n", b"QUIT\r\n"]


def test_a_refused_sender_is_not_the_recipients_fault(server):
    with pytest.raises(smtplib.SMTPSenderRefused):
        send(server, b"550 not you", b"503 no sender", b"503 no sender")
    assert server.heard[-2:] == [b"rset\r\n", b"QUIT\r\n"]


@pytest.mark.parametrize("answers", [[b"451 later"], [b"250 what?"], [b"354 go on", b"452 full"]])
def test_a_message_that_was_not_taken_is_not_called_sent(server, answers):
    with pytest.raises(smtplib.SMTPDataError):
        send(server, b"250 ok", b"250 ok", *answers)
    assert server.heard[-2:] == [b"rset\r\n", b"QUIT\r\n"]


def test_a_server_that_says_goodbye_is_left(server):
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        send(server, b"250 ok", b"421 4.3.2 Closing")
    assert refused.value.recipients == {"alice@example.org": (421, b"4.3.2 Closing")}
