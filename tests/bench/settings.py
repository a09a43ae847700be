"""The product's own settings, and beside its addresses one bare view to measure against."""

from strategyweek.settings import *  # noqa: F403
from strategyweek.settings import VAR_DIR

ROOT_URLCONF = "tests.bench.urls"
# All its visitors have one address.
ACCOUNT_RATE_LIMITS = dict.fromkeys(("login", "login_failed", "reset_password"), "")
STATIC_ROOT = VAR_DIR / "staticfiles"
