"""System checks: settings that would keep emails or links from arriving."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.core.mail import get_connection
from django.db import DatabaseError, transaction

from events import site_settings


@checks.register(checks.Tags.database)
def email_is_configured(
    databases: Sequence[str] | None = None, **kwargs: Any
) -> list[checks.CheckMessage]:
    """Runs with `migrate` and `check --database default`, where the database may be used."""
    if not databases:
        return []
    try:
        # atomic(): an error must not break a surrounding transaction.
        with transaction.atomic():
            is_ready = site_settings.can_send()
    except DatabaseError:
        # Before the first `migrate` there are no tables.
        return []
    warning = checks.Warning(
        "There's no email server or no sender yet, so emails wait.",
        hint=(
            "Set EMAIL_URL, such as smtp+tls://user:password@host:587, and DEFAULT_FROM_EMAIL. Or "
            "enter them in the admin under “Set up”."
        ),
        id="registrations.W003",
    )
    return [] if is_ready else [warning]


@checks.register
def email_provider_is_configured(**kwargs: Any) -> list[checks.CheckMessage]:
    if not settings.EMAIL_BACKEND:
        return []
    try:
        get_connection()
    except ImproperlyConfigured as error:
        hint = f"A django-anymail setting is missing: {error}"
        message = "The email provider can't be used."
        return [checks.Error(message, hint=hint, id="registrations.E002")]
    return []


@checks.register(deploy=True)
def bounces_are_received(**kwargs: Any) -> list[checks.CheckMessage]:
    warning = checks.Warning(
        "No one will know about emails that come back: ANYMAIL_WEBHOOK_SECRET is not set.",
        hint="Set it, and have the provider report to /webhooks/mail/<provider>/tracking/",
        id="registrations.W002",
    )
    uses_provider = settings.EMAIL_URL.startswith("anymail:")
    return [warning] if uses_provider and "WEBHOOK_SECRET" not in settings.ANYMAIL else []


@checks.register(checks.Tags.security, deploy=True)
def site_uses_https(**kwargs: Any) -> list[checks.CheckMessage]:
    warning = checks.Warning(
        "SITE_URL does not start with https://: personal links travel in the open.",
        hint="Put a TLS proxy before the site, as docker-compose.yml does.",
        id="registrations.W001",
    )
    return [] if settings.HTTPS else [warning]
