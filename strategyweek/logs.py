"""Keeps personal links out of the logs: anyone who has one can join as that person."""

import logging
import re

PERSONAL_PATH = re.compile(r"/(me|join|calendar|unsubscribe)/[^/\s?\"']+")


class HideTokens(logging.Filter):
    """Replace the token in URLs such as `/me/<token>/...` and `/join/<token>/...`."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = PERSONAL_PATH.sub(r"/\1/<hidden>", record.getMessage())
        record.args = ()
        return True
