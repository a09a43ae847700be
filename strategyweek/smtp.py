"""Django's SMTP backend, without what it works out anew for each of ten thousand mails."""

import smtplib
from typing import Any

from django.core.mail import EmailMessage
from django.core.mail.backends import smtp

from registrations.mime import PersonalMail, encoded_address

CRLF = b"\r\n"


class Plain(smtplib.SMTP):
    """A connection in the clear, or with STARTTLS."""

    def data(self, msg: Any) -> tuple[int, bytes]:
        """Send a message in bytes whose lines end with CRLF, and which begins with a header.

        Dots that begin a line are doubled (RFC 5321, 4.5.2) by a search for bytes: smtplib's
        regular expression takes longer than the sending.
        """
        self.putcmd("data")
        code, reply = self.getreply()
        if code != 354:
            raise smtplib.SMTPDataError(code, reply)
        self.send(msg.removesuffix(CRLF).replace(b"\r\n.", b"\r\n..") + b"\r\n.\r\n")
        return self.getreply()


class Encrypted(smtplib.SMTP_SSL):
    """A connection that begins with TLS."""

    data = Plain.data


class EmailBackend(smtp.EmailBackend):
    @property
    def connection_class(self) -> type[smtplib.SMTP]:
        return Encrypted if self.use_ssl else Plain

    def _send(self, email_message: EmailMessage) -> bool:
        if not isinstance(email_message, PersonalMail):
            return bool(super()._send(email_message))  # type: ignore[misc]
        sender = encoded_address(email_message.from_email)
        recipients = [encoded_address(address) for address in email_message.recipients()]
        content = email_message.message().as_bytes(linesep="\r\n")
        assert self.connection  # noqa: S101  # Opened by send_messages.
        self.connection.sendmail(sender, recipients, content)
        return True
