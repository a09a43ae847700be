"""Zoom's rules for the fields of a request body."""

import datetime as dt
import functools
import re
import zoneinfo
from collections.abc import Mapping
from typing import Any

from tests.fake_zoom import errors
from tests.fake_zoom.records import MEETING_TYPES

MAX_NAME, MAX_EMAIL = 64, 128
MAX_TOPIC, MAX_AGENDA = 200, 2_000

EMAIL = re.compile(
    r"[\w!#$%&'*+/=?^`{|}~-]+(\.[\w!#$%&'*+/=?^`{|}~-]+)*"
    r"@([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}",
    re.ASCII | re.IGNORECASE,
)
PASSCODE = re.compile(r"[A-Za-z0-9@_*-]{1,10}")
DATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ?")


def meeting_fields(body: Mapping[str, Any], timezone: str) -> dict[str, Any]:
    """Return the known meeting fields of a body; unknown names are ignored, as Zoom does.

    `timezone` applies to a local start time when the body names none. Raises ApiError.
    """
    rules = {
        "topic": lambda value: _is_text(value, MAX_TOPIC),
        "agenda": lambda value: _is_text(value, MAX_AGENDA),
        "password": lambda value: isinstance(value, str) and PASSCODE.fullmatch(value),
        "type": lambda value: value in MEETING_TYPES,
        "duration": lambda value: isinstance(value, int) and value > 0,
        "timezone": lambda value: str(value) in _timezones(),
        "settings": lambda value: isinstance(value, dict),
    }
    fields = {name: body[name] for name in rules if body.get(name) not in (None, "")}
    wrong = [name for name, value in fields.items() if not rules[name](value)]
    if start := body.get("start_time"):
        try:
            fields["start_time"] = _parse_time(start, fields.get("timezone", timezone))
        except ValueError:
            wrong.append("start_time")
    if wrong:
        raise errors.invalid(*wrong)
    return fields


def invalid_registrant_fields(person: Any) -> list[str]:
    """Return the names of the fields that Zoom would reject."""
    if not isinstance(person, dict):
        return ["email"]
    email, last_name = person.get("email"), person.get("last_name")
    is_valid = {
        "email": _is_text(email, MAX_EMAIL) and EMAIL.fullmatch(str(email)),
        "first_name": _is_text(person.get("first_name"), MAX_NAME),
        "last_name": not last_name or _is_text(last_name, MAX_NAME),
    }
    return [name for name, valid in is_valid.items() if not valid]


def _is_text(value: object, max_length: int) -> bool:
    return isinstance(value, str) and len(value.strip()) > 0 and len(value) <= max_length


@functools.cache
def _timezones() -> set[str]:
    return zoneinfo.available_timezones()


def _parse_time(text: object, timezone: str) -> dt.datetime:
    """Parse a start time: UTC if it ends in Z, otherwise local to `timezone`. Raises ValueError."""
    if not isinstance(text, str) or not DATE_TIME.fullmatch(text):
        raise ValueError(text)
    time = dt.datetime.fromisoformat(text)
    if time.tzinfo is None:
        time = time.replace(tzinfo=zoneinfo.ZoneInfo(timezone))
    return time.astimezone(dt.UTC)
