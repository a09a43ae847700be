"""Keeps personal links out of the logs: anyone who has one can join as that person."""

import logging
import re

# Anyone who has a URL below these can act as the person it belongs to.
PERSONAL_PATHS = ("/me/", "/join/", "/calendar/", "/unsubscribe/")
PERSONAL_URL = re.compile(rf"({'|'.join(PERSONAL_PATHS)})[^/\s?\"']+")


class HideTokens(logging.Filter):
    """Replace the token in URLs such as `/me/<token>/...` and `/join/<token>/...`."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = PERSONAL_URL.sub(r"\1<hidden>", record.getMessage())
        record.args = ()
        return True
