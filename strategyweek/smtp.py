"""Django's SMTP backend, without what it works out anew for each of ten thousand mails."""

import smtplib
from typing import Any

from django.core.mail import EmailMessage
from django.core.mail.backends import smtp

from registrations.outbox.prebuilt import PersonalMail, encoded_address

CRLF = b"\r\n"


class Quick(smtplib.SMTP):
    """What both kinds of connection do in fewer steps than smtplib."""

    def send_to(self, recipient: str, sender: str, content: bytes) -> None:
        """Send a message to one recipient, as `sendmail` does, with one question instead of three.

        A server that takes commands in one go (RFC 2920) is spared two ways there and back.
        Raises what `sendmail` raises.
        """
        if not self.has_extn("pipelining"):
            self.sendmail(sender, [recipient], content)
            return
        size = f" size={len(content)}" if self.has_extn("size") else ""
        mail = f"mail FROM:{smtplib.quoteaddr(sender)}{size}"
        self.send(f"{mail}\r\nrcpt TO:{smtplib.quoteaddr(recipient)}\r\ndata\r\n")
        if (reply := self.getreply())[0] != 250:
            raise self._given_up(smtplib.SMTPSenderRefused(*reply, sender), reply, to_read=2)
        if (reply := self.getreply())[0] not in (250, 251):
            refusal = smtplib.SMTPRecipientsRefused({recipient: reply})
            raise self._given_up(refusal, reply, to_read=1)
        reply = self._content(self.getreply(), content)
        if reply[0] != 250:
            raise self._given_up(smtplib.SMTPDataError(*reply), reply)

    def _given_up(
        self, error: smtplib.SMTPException, reply: tuple[int, bytes], *, to_read: int = 0
    ) -> smtplib.SMTPException:
        """Leave the connection fit for the next message, or closed by a server that said so."""
        if reply[0] == 421:
            self.close()
            return error
        for _other in range(to_read):
            code, _words = self.getreply()
            if code == 354:
                # It waits for a message to nobody: the dot alone ends it.
                self.send(b".\r\n")
                self.getreply()
        self._rset()  # type: ignore[attr-defined]
        return error

    def data(self, msg: Any) -> tuple[int, bytes]:
        """Send a message in bytes whose lines end with CRLF, and which begins with a header."""
        self.putcmd("data")
        return self._content(self.getreply(), msg)

    def _content(self, ready: tuple[int, bytes], msg: Any) -> tuple[int, bytes]:
        """Send the message once the server is ready for it, and hear its answer.

        Dots that begin a line are doubled (RFC 5321, 4.5.2) by a search for bytes: smtplib's
        regular expression takes longer than the sending.
        """
        if ready[0] != 354:
            raise self._given_up(smtplib.SMTPDataError(*ready), ready)
        self.send(msg.removesuffix(CRLF).replace(b"\r\n.", b"\r\n..") + b"\r\n.\r\n")
        return self.getreply()


class Plain(Quick):
    """A connection in the clear, or with STARTTLS."""


class Encrypted(Quick, smtplib.SMTP_SSL):
    """A connection that begins with TLS."""


class EmailBackend(smtp.EmailBackend):
    @property
    def connection_class(self) -> type[smtplib.SMTP]:
        return Encrypted if self.use_ssl else Plain

    def _send(self, email_message: EmailMessage) -> bool:
        if not isinstance(email_message, PersonalMail):
            return bool(super()._send(email_message))  # type: ignore[misc]
        sender = encoded_address(email_message.from_email)
        (recipient,) = map(encoded_address, email_message.recipients())
        content = email_message.message().as_bytes(linesep="\r\n")
        connection: Quick = self.connection  # type: ignore[assignment]
        connection.send_to(recipient, sender, content)
        return True
