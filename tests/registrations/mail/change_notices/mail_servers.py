"""Mail servers that fail, for `settings.EMAIL_BACKEND = f"{MODULE}.Away"`."""

from django.core.mail.backends.base import BaseEmailBackend

MODULE = __name__


class Away(BaseEmailBackend):
    """A mail server that is away."""

    def open(self) -> bool:
        raise ConnectionRefusedError


class Breaking(BaseEmailBackend):
    """A mail server that breaks the connection, perhaps after it has accepted the email."""

    def send_messages(self, email_messages) -> int:
        raise ConnectionResetError
