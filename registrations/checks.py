"""System checks: settings that would keep emails or links from arriving."""

from typing import Any

from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.core.mail import get_connection


@checks.register
def email_is_configured(**kwargs: Any) -> list[checks.CheckMessage]:
    error = checks.Error(
        "EMAIL_URL is not set: emails would only be saved as files on this machine.",
        hint="Set it to your email server, such as smtp+tls://user:password@host:587",
        id="registrations.E001",
    )
    return [] if settings.DEBUG or settings.EMAIL_URL else [error]


@checks.register
def email_provider_is_configured(**kwargs: Any) -> list[checks.CheckMessage]:
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
