"""System checks: what would keep mails or links from arriving."""

from typing import Any

from django.conf import settings
from django.core import checks


@checks.register
def mail_leaves_the_machine(**kwargs: Any) -> list[checks.CheckMessage]:
    if settings.DEBUG or settings.EMAIL_URL:
        return []
    return [
        checks.Error(
            "EMAIL_URL is not set: every mail would end as a file on this machine.",
            hint="Set it to your mail server, such as smtp+tls://user:password@host:587",
            id="registrations.E001",
        )
    ]


@checks.register(checks.Tags.security, deploy=True)
def links_are_encrypted(**kwargs: Any) -> list[checks.CheckMessage]:
    if settings.HTTPS:
        return []
    return [
        checks.Warning(
            "SITE_URL does not start with https://: personal links travel in the open.",
            hint="Put a TLS proxy before the site, as docker-compose.yml does.",
            id="registrations.W001",
        )
    ]
