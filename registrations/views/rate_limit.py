"""How often a visitor may send a form. The limits are in `settings.ACCOUNT_RATE_LIMITS`."""

import logging

from allauth.core import ratelimit
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.http import HttpRequest

logger = logging.getLogger(__name__)


def is_rate_limited(request: HttpRequest, form: str) -> bool:
    """Count this request, and return whether the visitor has sent this form too often.

    Without a known IP address there is no limit. TRUSTED_PROXY_COUNT says which proxies give it.
    """
    try:
        return not ratelimit.consume(request, action=form)
    except (ImproperlyConfigured, PermissionDenied) as error:
        logger.warning(
            "The visitor's IP address is unknown, so there is no limit on %r. "
            "Is TRUSTED_PROXY_COUNT right? %s",
            *(form, error),
        )
        return False
