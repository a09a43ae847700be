"""Reads values from other services' JSON. Each has a type and a fallback, so none can fail."""

import datetime as dt
import math
from typing import Any

MAX_DIGITS = 18


def text(value: Any, max_length: int | None = None) -> str:
    """A string that every database can store, cut to its length; "" for other types.

    Numbers become strings: some services send an ID either way.
    """
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**MAX_DIGITS:
        value = str(value)
    if not isinstance(value, str):
        return ""
    return value[:max_length].replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def url(value: Any, max_length: int) -> str:
    """An http(s) URL; "" for anything else, and if it is too long: half a link leads nowhere."""
    link = text(value)
    is_url = link.lower().startswith(("https://", "http://"))
    return link if is_url and len(link) <= max_length else ""


def integer(value: Any, fallback: int) -> int:
    """A whole number from 0 to 18 digits, also if it is sent as a string or with a fraction."""
    if isinstance(value, str) and value.isascii() and value.isdecimal():
        return int(value) if len(value) <= MAX_DIGITS else fallback
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and math.isfinite(value) and 0 <= value < 10**MAX_DIGITS:
        return int(value)
    return fallback


def mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def rows(value: Any) -> list[dict[str, Any]]:
    """The objects in a list; other items are left out."""
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def time(value: Any) -> dt.datetime | None:
    """A time such as 2021-10-16T16:00:00Z, in UTC if it names no zone; None for anything else."""
    try:
        moment = dt.datetime.fromisoformat(value)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
        # Databases store it in UTC, which the first and last day of the calendar may not have.
        moment.astimezone(dt.UTC)
    except (TypeError, ValueError, OverflowError):
        return None
    return moment
