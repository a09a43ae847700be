"""Keeps personal links and email addresses out of the logs."""

import logging
import re

# Anyone who has a URL below these can act as the person it belongs to.
PERSONAL_PATHS = ("/me/", "/join/", "/calendar/", "/unsubscribe/", "/test-email/")
PERSONAL_URL = re.compile(rf"({'|'.join(PERSONAL_PATHS)})[^/\s?\"']+", re.IGNORECASE)
# A token without its path: 32 characters or more, with a digit or a capital letter, but no UUID,
# because Celery logs those of tasks.
TOKEN = re.compile(
    r"(?<![\w-])(?![0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}(?![\w-]))"
    r"(?=[\w%-]*[A-Z0-9])(?:[\w-]|%[0-9A-Fa-f]{2}){32,}",
    re.ASCII,
)
WORD = re.compile(r"[^\s<>()\[\]{},;:=\"/]+")


def hide_secrets(text: str) -> str:
    """Replace tokens, such as in `/me/<token>/`, and email addresses."""
    text = PERSONAL_URL.sub(r"\1<hidden>", text)
    return WORD.sub(_without_address, TOKEN.sub("<hidden>", text))


def _without_address(match: re.Match[str]) -> str:
    _local, at, domain = match[0].replace("%40", "@").rpartition("@")
    return "<address>" if at and "." in domain.strip(".") else match[0]


class PrivateFormatter(logging.Formatter):
    """Hides secrets in the whole entry: the message, its arguments and the traceback."""

    def format(self, record: logging.LogRecord) -> str:
        return hide_secrets(super().format(record))
