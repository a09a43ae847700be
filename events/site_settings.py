"""Email server, sender and Zoom credentials: the environment's, or else the stored ones.

Stored secrets are encrypted; if they can't be read any more, they count as not set. Each process
keeps what it read for a minute, but still encrypted; work in the background begins with
`load(fresh=True)`.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from email.utils import parseaddr
from typing import Any, TypeVar

from django.conf import settings
from django.core.cache import cache
from django.utils import timezone

from events import encryption
from events.models import SiteSettings

CACHE_KEY, CACHE_SECONDS = "site_settings", 60
PURPOSE = "site settings"
# Of `make run`, whose emails only go to the mailbox page.
TRIAL_SENDER = "Strategy Week <week@localhost>"

Secrets = TypeVar("Secrets")


@dataclass(frozen=True)
class EmailServer:
    """An SMTP server. `security` is "tls" (STARTTLS), "ssl" (TLS from the start) or "none"."""

    host: str
    port: int
    security: str
    user: str = ""
    password: str = field(default="", repr=False)


@dataclass(frozen=True)
class ZoomCredentials:
    """The three values of a Server-to-Server OAuth app."""

    account_id: str
    client_id: str
    client_secret: str = field(repr=False)

    @property
    def is_complete(self) -> bool:
        return bool(self.account_id and self.client_id and self.client_secret)


# Reading


def load(*, fresh: bool = False) -> SiteSettings:
    """The row, or an empty one. It may be a minute old, unless it has to be fresh."""
    row: SiteSettings | None = None if fresh else cache.get(CACHE_KEY)
    if row is None:
        row = SiteSettings.objects.filter(pk=1).first() or SiteSettings(pk=1)
        cache.set(CACHE_KEY, row, CACHE_SECONDS)
    return row


def stored_email_server() -> EmailServer | None:
    """The server to use; None if the environment names one, or none is stored."""
    return None if settings.EMAIL_URL else _decrypted(load().email_server, EmailServer)


def has_email_server() -> bool:
    """Whether there is somewhere to send emails to. EMAIL_BACKEND is for trying the site out."""
    return bool(settings.EMAIL_URL or settings.EMAIL_BACKEND or stored_email_server())


def sender() -> str:
    """The sender of every email, such as 'Strategy Week <week@example.org>'; "" if none is set."""
    return settings.DEFAULT_FROM_EMAIL or load().sender or (TRIAL_SENDER if settings.DEBUG else "")


def sender_address() -> str:
    """The sender's address, without a name."""
    return parseaddr(sender())[1]


def can_send() -> bool:
    """Whether emails can go out. Until then they wait."""
    return has_email_server() and bool(sender())


def environment_zoom() -> ZoomCredentials | None:
    """The environment's credentials, maybe incomplete; None if it has none of them."""
    values = (settings.ZOOM_ACCOUNT_ID, settings.ZOOM_CLIENT_ID, settings.ZOOM_CLIENT_SECRET)
    return ZoomCredentials(*values) if any(values) else None


def zoom_credentials() -> ZoomCredentials | None:
    """The environment's credentials, or else the stored ones."""
    return environment_zoom() or _decrypted(load().zoom_credentials, ZoomCredentials)


def unreadable() -> bool:
    """Whether something is stored that SECRET_KEY, or an earlier one, doesn't decrypt."""
    row = load()
    is_email_lost = bool(row.email_server) and _decrypted(row.email_server, EmailServer) is None
    is_zoom_lost = (
        bool(row.zoom_credentials) and _decrypted(row.zoom_credentials, ZoomCredentials) is None
    )
    return is_email_lost or is_zoom_lost


# Writing


def save_email_server(*, server: EmailServer) -> None:
    changed = {"email_changed_at": timezone.now(), "email_answered_at": None}
    _save(email_server=_encrypted(server), **changed)


def record_email_answer() -> None:
    """Record that the stored server just accepted the password."""
    _save(email_answered_at=timezone.now())


def save_sender(*, sender: str) -> None:
    _save(sender=sender, email_changed_at=timezone.now())


def save_zoom_credentials(*, credentials: ZoomCredentials) -> None:
    _save(zoom_credentials=_encrypted(credentials), zoom_answered_at=None)


def record_zoom_answer(*, is_complete: bool) -> None:
    """Record whether Zoom just accepted the credentials and named all scopes."""
    _save(zoom_answered_at=timezone.now() if is_complete else None)


def _save(**changes: Any) -> None:
    SiteSettings.objects.update_or_create(pk=1, defaults=changes)
    cache.delete(CACHE_KEY)


# Encryption


def _encrypted(secrets: EmailServer | ZoomCredentials) -> str:
    return encryption.encrypt(asdict(secrets), purpose=PURPOSE)


def _decrypted(text: str, build: Callable[..., Secrets]) -> Secrets | None:
    """None if there is nothing, or if it was encrypted with another key."""
    if not text:
        return None
    try:
        return build(**encryption.decrypt(text, purpose=PURPOSE))
    except (encryption.Unreadable, TypeError):
        return None
