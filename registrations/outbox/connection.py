"""A connection to the mail server: takes a message there and says what became of it."""

import contextlib
import re
import smtplib
from dataclasses import dataclass

from anymail.exceptions import AnymailAPIError, AnymailRecipientsRefused
from django.core.mail import EmailMessage, get_connection
from urllib3.exceptions import MaxRetryError

# What providers answer when it is this one message that they cannot take.
MESSAGE_REJECTED_STATUSES = {400, 413, 422}
# Sending limit exceeded; refused by policy, for lack of authentication or of reputation.
SENDER_REJECTED = re.compile(r"5\.(4\.5|7\.\d+)\b")


@dataclass(frozen=True)
class Accepted:
    """The server took it; a provider may have given it an id of its own."""

    provider_id: str = ""


@dataclass(frozen=True)
class Rejected:
    """The server answered no: for good, or for now."""

    words: str
    for_good: bool


# How the words of what is `Broken` begin, and no server's answer does: with an error's name.
CONNECTION_FAILED_PATTERN = r"^[A-Za-z]+: "


@dataclass(frozen=True)
class ConnectionFailed:
    """The server could not be asked, or went away. `had_mail`: while it had this mail in hand."""

    words: str
    had_mail: bool


@dataclass(frozen=True)
class RenderFailed:
    """Nothing can be sent of it: the fault is in the mail."""

    error: Exception


Outcome = Accepted | Rejected | ConnectionFailed | RenderFailed


class MailConnection:
    """One connection, for many mails; opened when first needed, and again after a break."""

    def __init__(self) -> None:
        self._server = get_connection()

    def carry(self, message: EmailMessage) -> Outcome:
        """Send one message. Whatever happens is an outcome, not an exception."""
        try:
            self._server.open()
        # SMTPException is an OSError: no answer, no connection, no sign-in. A ValueError is a
        # host name or a password that cannot be sent.
        except (OSError, ValueError) as error:
            return self._broken(error, had_mail=False)
        try:
            self._server.send_messages([message])
        except smtplib.SMTPRecipientsRefused as refusal:
            return self._refused(*next(iter(refusal.recipients.values())))
        except smtplib.SMTPDataError as refusal:
            return self._refused(refusal.smtp_code, refusal.smtp_error)
        except AnymailRecipientsRefused as refusal:
            return Rejected(str(refusal), for_good=True)
        except AnymailAPIError as error:
            if error.status_code in MESSAGE_REJECTED_STATUSES:
                return Rejected(str(error), for_good=False)
            return self._broken(error, had_mail=_may_have_arrived(error))
        except OSError as error:
            return self._broken(error, had_mail=True)
        except Exception as error:
            return RenderFailed(error)
        status = getattr(message, "anymail_status", None)
        return Accepted(str((status and status.message_id) or ""))

    def close(self) -> None:
        """End the connection; a server that cannot even say goodbye is gone all the same."""
        with contextlib.suppress(OSError):
            self._server.close()

    def _refused(self, code: int, answer: bytes | str) -> Outcome:
        """5xx is the server's last word (RFC 5321, 4.2.1), 421 that it is closing.

        Unless its enhanced code (RFC 3463) says that it is about us: a limit, or its policy.
        """
        words = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
        if code == 421:
            return self._broken(smtplib.SMTPServerDisconnected(words), had_mail=False)
        return Rejected(
            f"{code} {words}", for_good=code >= 500 and not SENDER_REJECTED.match(words)
        )

    def _broken(self, error: Exception, *, had_mail: bool) -> Outcome:
        self.close()
        return ConnectionFailed(f"{type(error).__name__}: {error}", had_mail=had_mail)


def _may_have_arrived(error: AnymailAPIError) -> bool:
    """Whether the provider may have taken the mail: it failed at it, or nobody can read its answer.

    Without an answer, only a connection that never came about is known to have carried nothing.
    """
    if error.status_code is not None:
        return error.status_code // 100 in (2, 5)
    # So urllib3 tells it from one that broke; requests has one error for both.
    cause = error.__cause__
    return not (cause and isinstance(cause.__context__, MaxRetryError))
