"""Settings for mypy: its Django plugin can't resolve the managers that modeltranslation makes."""

from strategyweek.settings import *  # noqa: F403

MODELTRANSLATION_ENABLE_REGISTRATIONS = False
