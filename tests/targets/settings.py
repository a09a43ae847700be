"""The product's own settings as in production, with Caddy's compression."""

from strategyweek.settings import *  # noqa: F403
from strategyweek.settings import LOGGING as PRODUCT_LOGGING
from strategyweek.settings import MIDDLEWARE as PRODUCT_MIDDLEWARE
from strategyweek.settings import VAR_DIR

MIDDLEWARE = ["tests.targets.compression.as_by_caddy", *PRODUCT_MIDDLEWARE]
STATIC_ROOT = VAR_DIR / "staticfiles"
# The pages for errors are among those that are opened.
LOGGING = PRODUCT_LOGGING | {"handlers": {"console": {"class": "logging.NullHandler"}}}
