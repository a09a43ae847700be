"""Old and new values of a history as people would say them."""

import contextlib
import datetime as dt
import zoneinfo
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist
from django.db import models
from django.utils.text import Truncator, capfirst
from django.utils.translation import gettext as _
from modeltranslation.translator import NotRegistered, translator

from events import languages
from events.history import Change
from events.models import StoredImage
from events.templatetags.times import moment, zone_name
from events.timezones import known_zone

# Longer texts are folded.
SHORT = 300


class ValueText(NamedTuple):
    """A value. If it's long, `start` is how it begins. `lang` is the language, if it has one."""

    text: str
    start: str
    lang: str
    is_empty: bool


class ChangeText(NamedTuple):
    """What was changed, as text. `row` names a row that belongs to the one that was changed."""

    row: str
    field: str
    old: ValueText
    new: ValueText


def change_texts(
    owner: Any, changes: Iterable[Change], zone: zoneinfo.ZoneInfo
) -> Iterator[ChangeText]:
    """`owner` is the HistoryAdmin of the row. Times are those of the zone."""
    for change in changes:
        model = known_model(change["model"])
        field, code = known_field(model, change["field"])
        old, new = (
            owner.history_value(change["field"], value) if value else ""
            for value in (change["old"], change["new"])
        )
        yield ChangeText(
            row=row_text(model, change["row"]),
            field=capfirst(str(getattr(field, "verbose_name", change["field"]))),
            old=value_text(old or shown(field, change, change["old"], zone), code),
            new=value_text(new or shown(field, change, change["new"], zone), code),
        )


def known_model(label: str) -> Any:
    """The model, or None if there's none of that name any more."""
    with contextlib.suppress(LookupError):
        return apps.get_model(label)
    return None


def known_field(model: Any, name: str) -> tuple[Any, str]:
    """The model's field, or None if there's none any more, and the language of its texts or ""."""
    if model is None:
        return None, ""
    fields: Iterable[str] = ()
    with contextlib.suppress(NotRegistered):
        fields = translator.get_options_for_model(model).all_fields
    columns = {languages.column(each, code): code for each in fields for code in languages.codes()}
    try:
        return model._meta.get_field(name), columns.get(name, "")
    except FieldDoesNotExist:
        return None, ""


def row_text(model: Any, name: str) -> str:
    """Agenda item “Welcome”. There's only one meeting, so its kind says it all."""
    if not name or model is None:
        return name
    kind = capfirst(str(model._meta.verbose_name))
    if any(isinstance(field, models.OneToOneField) for field in model._meta.fields):
        return kind
    return _("%(kind)s “%(name)s”") % {"kind": kind, "name": name}


def shown(field: Any, change: Change, value: Any, zone: zoneinfo.ZoneInfo) -> str:
    """The value as text, or "" if it's empty."""
    if isinstance(field, models.BooleanField):
        return _("Yes") if value else _("No")
    if value in (None, "", []) or (value is False and change["hidden"]):
        return ""
    if value is True:
        return _("hidden")
    if isinstance(field, models.DateTimeField):
        return moment(dt.datetime.fromisoformat(value), zone)
    if getattr(field, "related_model", None) is StoredImage:
        return _("a picture")
    if isinstance(value, list):
        return ", ".join(map(str, value))
    labels = dict(getattr(field, "flatchoices", ()) or ())
    if value in labels:
        return str(labels[value])
    if change["field"] == "time_zone" and (known := known_zone(value)):
        return zone_name(known)
    return f"{value:,}" if isinstance(value, int) else str(value)


def value_text(text: str, code: str) -> ValueText:
    start = Truncator(text).chars(SHORT // 3) if len(text) > SHORT else ""
    return ValueText(text or _("empty"), start, code if text else "", not text)
