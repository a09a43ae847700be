"""How often one visitor may send a form: settings.ACCOUNT_RATE_LIMITS says so, by form."""

import logging

from allauth.core import ratelimit
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.http import HttpRequest

logger = logging.getLogger(__name__)


def is_rate_limited(request: HttpRequest, form: str) -> bool:
    """Whether this visitor should wait before the next. One whose address nobody tells may go on.

    As with signing in, a proxy's header says who it is in so far as TRUSTED_PROXY_COUNT trusts it.
    """
    try:
        return not ratelimit.consume(request, action=form)
    except (ImproperlyConfigured, PermissionDenied) as error:
        logger.warning(
            "Nobody can say where this visitor comes from, so there is no limit on %r. "
            "Is TRUSTED_PROXY_COUNT right? %s",
            *(form, error),
        )
        return False
