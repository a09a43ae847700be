"""System checks: settings that would keep emails or links from arriving."""

from typing import Any

from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.core.mail import get_connection


@checks.register
def email_is_configured(**kwargs: Any) -> list[checks.CheckMessage]:
    if settings.DEBUG or settings.EMAIL_URL:
        return []
    return [
        checks.Error(
            "EMAIL_URL is not set: every mail would end as a file on this machine.",
            hint="Set it to your mail server, such as smtp+tls://user:password@host:587",
            id="registrations.E001",
        )
    ]


@checks.register
def email_provider_is_configured(**kwargs: Any) -> list[checks.CheckMessage]:
    try:
        get_connection()
    except ImproperlyConfigured as error:
        return [
            checks.Error(
                "The mail provider cannot be asked to send.",
                hint=f"ANYMAIL lacks something: {error}",
                id="registrations.E002",
            )
        ]
    return []


@checks.register(deploy=True)
def bounces_are_received(**kwargs: Any) -> list[checks.CheckMessage]:
    if not settings.EMAIL_URL.startswith("anymail:") or "WEBHOOK_SECRET" in settings.ANYMAIL:
        return []
    return [
        checks.Warning(
            "Nobody will hear of mails that come back: ANYMAIL_WEBHOOK_SECRET is not set.",
            hint="Set it, and have the provider report to /webhooks/mail/<provider>/tracking/",
            id="registrations.W002",
        )
    ]


@checks.register(checks.Tags.security, deploy=True)
def site_uses_https(**kwargs: Any) -> list[checks.CheckMessage]:
    if settings.HTTPS:
        return []
    return [
        checks.Warning(
            "SITE_URL does not start with https://: personal links travel in the open.",
            hint="Put a TLS proxy before the site, as docker-compose.yml does.",
            id="registrations.W001",
        )
    ]
