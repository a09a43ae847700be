"""What organizers changed: the old and new values that go with an entry of Django's log.

Rows are compared before and after a change, so it doesn't matter how they were written. Values are
stored as JSON, independent of the reader's language.
"""

import contextlib
import copy
import datetime as dt
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypedDict

from django.contrib.admin.models import LogEntry
from django.db import models
from django.utils.functional import Promise
from modeltranslation.translator import NotRegistered, translator

from events import encryption, languages
from events.models import Event, HistoryEntry, StoredImage

# Not in any form, but organizers change them with a button.
ALSO_TRACKED = {"canceled_at", "archived_at", "poster_phone", "photo"}
# Moving one row gives others new numbers, too. The entry says which one was moved.
NOT_TRACKED = {"position"}
# Shown as "hidden".
SECRET = {"passcode", "phone_passcode"}
# Who has such a link can open it, so only its site is shown. Of Zoom's recordings in any text, too.
SECRET_LINKS = {"recording_url", "notes_url"}
WHOLE_LINK = re.compile(r"(https?://[^\s/?#]++/?+)\S+", re.IGNORECASE)
RECORDING = re.compile(r"(/rec/(?:share|play)/)\S+", re.IGNORECASE)
# Of other links in any text, what follows the "?". People also write zoom.us/j/123?pwd=...
QUERY = re.compile(r"((?:https?://|\b(?:[\w-]+\.)+\w+/)[^\s?#]*)[?#]\S+", re.IGNORECASE)
PURPOSE = "history"


class Change(TypedDict):
    """A field of a row. `row` names it, or is "" if the log entry itself is about that row.

    If `hidden`, the values are incomplete, because they contain something secret: `secret` is the
    whole old value. If `added`, the row is new.
    """

    model: str
    pk: int
    row: str
    field: str
    old: Any
    new: Any
    hidden: bool
    secret: Any
    added: bool


class Part(NamedTuple):
    """The values of a row, by field."""

    name: str
    values: dict[str, Any]


# By model and id.
Snapshot = dict[tuple[str, int], Part]


def snapshot(row: models.Model, parts: Iterable[str] = ()) -> Snapshot:
    """What is stored of a row now, and of the rows that belong to it: `parts` are their names."""
    stored = type(row)._base_manager.filter(pk=row.pk).first()
    if stored is None:
        return {}
    found = {_key(stored): Part("", _values(stored))}
    with languages.in_main_language():
        for each in _parts(stored, parts):
            found[_key(each)] = Part(str(each), _values(each, of=type(row)))
    return found


def _parts(row: models.Model, accessors: Iterable[str]) -> Iterator[models.Model]:
    for accessor in accessors:
        related = getattr(row, accessor, None)
        if isinstance(related, models.Model):
            yield related
        elif related is not None:
            yield from related.all()


def changes(before: Snapshot, after: Snapshot) -> list[Change]:
    """What differs. Of added and deleted rows: everything that isn't empty."""
    found: list[Change] = []
    for key in [*after, *(key for key in before if key not in after)]:
        old, new = before.get(key, Part("", {})), after.get(key, Part("", {}))
        for name in new.values or old.values:
            values = old.values.get(name), new.values.get(name)
            if values[0] != values[1]:
                found.append(_change(key, new.name or old.name, name, *values))
                found[-1]["added"] = key not in before
    return found


def log(
    user_id: int, rows: Iterable[models.Model], flag: int, message: str, changed: Any = ()
) -> None:
    """Record who did something with these rows."""
    rows = list(rows)
    record(LogEntry.objects.log_actions(user_id, rows, flag, message), rows, changed)


def record(
    entries: Iterable[LogEntry], rows: Iterable[models.Model], changed: Sequence[Change] = ()
) -> None:
    """Add to these entries of the log the event that each is about, and what was changed."""
    stored = [{**change, "secret": None} for change in changed]
    sealed = _sealed([change["secret"] for change in changed])
    details = [
        HistoryEntry(log=entry, event_id=event_id_of(row), changes=stored, sealed=sealed)
        for entry, row in zip(entries, rows, strict=True)
    ]
    HistoryEntry.objects.bulk_create(details)


def stored_changes(entry: HistoryEntry) -> list[Change]:
    """The changes with their secrets. A secret is None if it can't be read any more."""
    secrets: list[Any] = [None] * len(entry.changes)
    with contextlib.suppress(encryption.Unreadable):
        if entry.sealed:
            secrets = encryption.decrypt(entry.sealed, purpose=PURPOSE)
    changed: list[Change] = copy.deepcopy(entry.changes)
    for change, secret in zip(changed, secrets, strict=True):
        change["secret"] = secret
    return changed


def _sealed(secrets: list[Any]) -> str:
    return encryption.encrypt(secrets, purpose=PURPOSE) if any(secrets) else ""


def event_id_of(row: Any) -> int | None:
    """The event that a row belongs to, if any."""
    if isinstance(row, Event):
        return row.pk
    if hasattr(row, "event_id"):
        event_id: int | None = row.event_id
        return event_id
    owners = (getattr(row, name, None) for name in ("session", "registration", "seat"))
    owner = next(filter(None, owners), None)
    return event_id_of(owner) if owner else None


def _key(row: models.Model) -> tuple[str, int]:
    return row._meta.label_lower, row.pk


def _values(row: models.Model, of: type[models.Model] | None = None) -> dict[str, Any]:
    """`of` is the model of the row that it belongs to, which is no value of its own."""
    fields = [each for each in _tracked_fields(row) if not of or each.related_model is not of]
    with languages.in_main_language():
        return {field.name: _value(row, field) for field in fields}


def _tracked_fields(row: models.Model) -> Sequence[Any]:
    """The fields that organizers change: those of forms, each text by its columns."""
    try:
        texts = {*translator.get_options_for_model(type(row)).all_fields}
    except NotRegistered:
        texts = set()
    return [
        field
        for field in (*row._meta.concrete_fields, *row._meta.many_to_many)
        if (field.editable or field.name in ALSO_TRACKED)
        # The others aren't meant for people.
        and isinstance(field.verbose_name, Promise)
        and not field.primary_key
        and field.name not in texts | NOT_TRACKED
        and (not field.is_relation or _is_of_the_week(field))
    ]


def _is_of_the_week(field: Any) -> bool:
    """Whether it names something else than people: they may want to be erased."""
    is_own = not field.many_to_many or field.remote_field.through._meta.auto_created
    return is_own and field.related_model._meta.app_label == "events"


def _value(row: Any, field: Any) -> Any:
    if field.many_to_many:
        return sorted(map(str, getattr(row, field.name).all())) or None
    if field.related_model is StoredImage:
        return getattr(row, field.attname)
    value = getattr(row, field.name)
    if value in ("", [], None):
        return None
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).isoformat()
    return str(value) if field.is_relation else value


def _change(key: tuple[str, int], row: str, name: str, old: Any, new: Any) -> Change:
    shown_old, shown_new = (without_secret(name, value) for value in (old, new))
    return {
        "model": key[0],
        "pk": key[1],
        "row": without_secret("", row),
        "field": name,
        "old": shown_old,
        "new": shown_new,
        "hidden": (shown_old, shown_new) != (old, new),
        "secret": old if (shown_old, shown_new) != (old, new) else None,
        "added": False,
    }


def without_secret(name: str, value: Any) -> Any:
    """Leave out a passcode, also one in a link: https://zoom.us/j/123?..."""
    if name in SECRET:
        return bool(value)
    if isinstance(value, list):
        return [without_secret(name, each) for each in value]
    if not isinstance(value, str):
        return value
    if name in SECRET_LINKS:
        return WHOLE_LINK.sub(r"\1...", value)
    return QUERY.sub(r"\1?...", RECORDING.sub(r"\1...", value))
