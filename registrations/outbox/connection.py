"""A connection to the mail server. Sends one email and returns what happened to it."""

import contextlib
import re
import smtplib
from dataclasses import dataclass
from typing import Any

from anymail.exceptions import AnymailAPIError, AnymailRecipientsRefused
from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from urllib3.exceptions import MaxRetryError

from events import site_settings
from events.site_settings import EmailServer
from registrations.outbox.prebuilt import PersonalMail, as_header, sender_as_header

# HTTP statuses with which providers reject one email, rather than the sender.
MESSAGE_REJECTED_STATUSES = {400, 413, 422}
# Sending limit exceeded; or rejected by policy, for lack of authentication or reputation.
SENDER_REJECTED = re.compile(r"5\.(4\.5|7\.\d+)\b")
# A status in a mail server's answer (RFC 3463). These mean that there is no such address, mailbox
# or domain. Others don't, such as 5.2.2 (mailbox full) and 5.7.1 (policy).
STATUS = re.compile(r"(?<![\d.])[245]\.\d{1,3}\.\d{1,3}(?!\.?\d)")
NO_SUCH_ADDRESS = re.compile(r"5\.1\.(1|2|3|6|10)|5\.2\.1|5\.4\.(4|310)")


def has_no_such_address(answer: str) -> bool | None:
    """Whether a mail server's answer says that the address doesn't exist; None if it's unclear."""
    status = STATUS.search(answer)
    return bool(NO_SUCH_ADDRESS.fullmatch(status[0])) if status else None


@dataclass(frozen=True)
class Accepted:
    """The server took the email. A provider may have given it an ID."""

    provider_id: str = ""


@dataclass(frozen=True)
class MailRejected:
    """The server answered no, permanently or for now."""

    answer: str
    permanent: bool


# `ConnectionFailed.error` starts with the name of an exception. No server's answer does.
CONNECTION_FAILED_PATTERN = r"^[A-Za-z]+: "


@dataclass(frozen=True)
class ConnectionFailed:
    """The connection failed. `had_mail`: after DATA had begun, so it may have arrived."""

    error: str
    had_mail: bool


@dataclass(frozen=True)
class RenderFailed:
    """The email itself could not be turned into a message."""

    error: Exception


Outcome = Accepted | MailRejected | ConnectionFailed | RenderFailed


def backend_of(server: EmailServer | None) -> Any:
    """Django's backend for a stored server; without one, as the settings say."""
    if server is None:
        return get_connection()
    return get_connection(
        "django.core.mail.backends.smtp.EmailBackend",
        host=server.host,
        port=server.port,
        username=server.user,
        password=server.password,
        use_tls=server.security == "tls",
        use_ssl=server.security == "ssl",
        timeout=settings.EMAIL_TIMEOUT,
    )


def problem_with(server: EmailServer) -> str:
    """Sign in to this server. Returns what went wrong, in its own words if it answered; or ""."""
    backend = backend_of(server)
    try:
        backend.open()
    except smtplib.SMTPResponseException as error:
        answer = error.smtp_error
        text = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
        return f"{error.smtp_code} {text}"
    except (OSError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        with contextlib.suppress(OSError):
            backend.close()
    return ""


class MailConnection:
    """One connection for many emails. Opens when needed, and reopens after a failure.

    The server and the sender are those of the moment it's created.
    """

    def __init__(self) -> None:
        self._backend = backend_of(site_settings.stored_email_server())
        self._sender = site_settings.sender()

    def send(self, message: EmailMessage) -> Outcome:
        """Send one message. Every failure is returned as an outcome, not raised."""
        message.from_email = self._sender
        try:
            self._backend.open()
        # SMTPException is an OSError. ValueError: an invalid host name or password.
        except (OSError, ValueError) as error:
            return self._failed(error, had_mail=False)
        try:
            self._hand_over(message)
        except smtplib.SMTPRecipientsRefused as error:
            return self._rejected(*next(iter(error.recipients.values())))
        except smtplib.SMTPDataError as error:
            return self._rejected(error.smtp_code, error.smtp_error)
        except AnymailRecipientsRefused as error:
            return MailRejected(str(error), permanent=True)
        except AnymailAPIError as error:
            if error.status_code in MESSAGE_REJECTED_STATUSES:
                return MailRejected(str(error), permanent=False)
            return self._failed(error, had_mail=_may_have_arrived(error))
        except OSError as error:
            return self._failed(error, had_mail=True)
        except Exception as error:
            return RenderFailed(error)
        status = getattr(message, "anymail_status", None)
        return Accepted(str((status and status.message_id) or ""))

    def _hand_over(self, message: EmailMessage) -> None:
        """As Django's backend does, which parses the addresses of each email first."""
        server = getattr(self._backend, "connection", None)
        if isinstance(server, smtplib.SMTP) and isinstance(message, PersonalMail):
            content = message.message().as_bytes(linesep="\r\n")
            recipients = [as_header(each) for each in message.recipients()]
            server.sendmail(sender_as_header(message.from_email), recipients, content)
        else:
            self._backend.send_messages([message])

    def close(self) -> None:
        """Close the connection, even if the server no longer answers."""
        with contextlib.suppress(OSError):
            self._backend.close()

    def _rejected(self, code: int, answer: bytes | str) -> Outcome:
        """5xx is permanent (RFC 5321, 4.2.1); 421 means that the server is closing.

        But a 5xx whose enhanced code (RFC 3463) is about the sender may be accepted later.
        """
        text = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
        if code == 421:
            return self._failed(smtplib.SMTPServerDisconnected(text), had_mail=False)
        return MailRejected(
            f"{code} {text}", permanent=code >= 500 and not SENDER_REJECTED.match(text)
        )

    def _failed(self, error: Exception, *, had_mail: bool) -> ConnectionFailed:
        self.close()
        return ConnectionFailed(f"{type(error).__name__}: {error}", had_mail=had_mail)


def _may_have_arrived(error: AnymailAPIError) -> bool:
    """Whether the provider may have accepted the email: it failed, or its answer is unreadable.

    Without any answer, only a connection that was never opened is known to have sent nothing.
    """
    if error.status_code is not None:
        return error.status_code // 100 in (2, 5)
    # `requests` has one error for both cases; urllib3's cause tells them apart.
    cause = error.__cause__
    return not (cause and isinstance(cause.__context__, MaxRetryError))
