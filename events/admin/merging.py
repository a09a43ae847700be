"""Merge what someone posted from a change page with what others saved meanwhile.

A page has digests of what its fields said when it was made. So each field is compared three ways,
row by row in the tables below the form, too. The posted values are rewritten before a form reads
them: the form then checks the merged values, and its `changed_data` has what this person changed.
"""

import contextlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.forms.formsets import DELETION_FIELD_NAME, INITIAL_FORM_COUNT, TOTAL_FORM_COUNT
from django.forms.models import InlineForeignKeyField
from django.http import HttpRequest
from django.utils.crypto import salted_hmac
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext as _

# The checkboxes next to both versions of a field.
KEEP_THEIRS = "keep_theirs"
# Of each field of a form, by name.
Digests = Mapping[str, str]


def plain(text: str | None) -> str:
    """A text as it is compared: browsers send other line breaks than those that are stored."""
    return (text or "").replace("\r\n", "\n").strip()


class Merge:
    """What was posted, and in the end the merge of it with what is stored.

    `opened` has the digests of each form when the page was made, by `row_key()`, or is None if the
    page can't be trusted. Then everything could have changed.
    """

    def __init__(self, request: HttpRequest, opened: Mapping[str, Digests] | None) -> None:
        self.posted, self.files = request.POST.copy(), request.FILES.copy()
        self.opened = opened
        self.theirs = {*self.posted.getlist(KEEP_THEIRS)}
        # What to ask, by prefix of a form and name of its field, or "" for the whole form.
        self.conflicts: dict[str, dict[str, SafeString]] = {}
        # What someone else changed, and this person didn't.
        self.merged: list[str] = []

    def merge_form(self, form: Any, of_row: str = "") -> None:
        """Merge a form that isn't in a table. `form` is unbound, with what is stored."""
        self._merge_fields(form, self._opened(row_key(form)), form.prefix or "", of_row)

    def merge_formset(self, formset: Any) -> None:
        """Merge the rows of a table: other people's stay, and no one's get lost."""
        bound = type(formset)(self.posted, self.files, formset.instance, prefix=formset.prefix)
        if not bound.management_form.is_valid():
            return
        total = bound.total_form_count()
        rows = _PostedRows(self, formset, min(bound.initial_form_count(), total), total)
        stored = formset.initial_forms
        for form in stored:
            self._merge_row(formset, form, rows)
        count = len(stored)
        for number in [*rows.known.values()]:
            count += self._deleted_by_others(formset, rows, number, count)
        for number in rows.new:
            # There's only one meeting, for example: what was entered is merged with it.
            if not (formset.fk.unique and stored):
                rows.put_back(number, f"{formset.prefix}-{count}")
                count += 1
        self.posted[f"{formset.prefix}-{TOTAL_FORM_COUNT}"] = str(count)
        self.posted[f"{formset.prefix}-{INITIAL_FORM_COUNT}"] = str(len(stored))

    def _opened(self, key: str) -> Digests | None:
        return None if self.opened is None else self.opened.get(key, {})

    def _merge_row(self, formset: Any, form: Any, rows: "_PostedRows") -> None:
        row = form.instance
        opened = self._opened(row_key(form))
        number = rows.known.pop(str(row.pk), None)
        if number is None and formset.fk.unique and rows.new:
            number, opened = rows.new[0], digests(formset.empty_form)
        if number is not None:
            rows.put_back(number, form.prefix)
            self._merge_fields(form, opened, f"{formset.prefix}-{number}", f" ({row})")
            self._merge_deletion(form, opened)
        else:
            for _name, field in _fields(form):
                _put(self.posted, field.field.widget, field.html_name, _stored(field))
            self.merged.append(f"{capfirst(row._meta.verbose_name)} ({row})")
        self.posted[form.add_prefix(row._meta.pk.name)] = str(row.pk)
        self.posted[form.add_prefix(formset.fk.name)] = str(formset.instance.pk)

    def _merge_deletion(self, form: Any, opened: Digests | None) -> None:
        """Ask before a row is deleted that someone else has changed."""
        name = form.add_prefix(DELETION_FIELD_NAME)
        if self.posted.get(name) and opened != digests(form):
            del self.posted[name]
            self._ask(
                form.prefix,
                "",
                _(
                    "Someone else changed this while you were editing. To delete it, check Delete "
                    "again."
                ),
            )

    def _deleted_by_others(self, formset: Any, rows: "_PostedRows", number: int, at: int) -> int:
        """Keep a row that someone else deleted if this person changed it. Returns how many."""
        prefix = f"{formset.prefix}-{at}"
        key = f"{formset.prefix}:{rows.pk(number)}"
        rows.put_back(number, prefix)
        opened = self._opened(key)
        form = formset.empty_form
        form.prefix = prefix
        is_kept = not self.posted.get(form.add_prefix(DELETION_FIELD_NAME)) and any(
            self._is_mine(field, name, opened) for name, field in _fields(form)
        )
        if not is_kept:
            rows.take(prefix)
            self.merged.append(
                _("%(row)s (deleted)") % {"row": capfirst(form._meta.model._meta.verbose_name)}
            )
            return 0
        self.posted.pop(form.add_prefix(form._meta.model._meta.pk.name), None)
        self._ask(
            prefix,
            "",
            _(
                "Someone else deleted this while you were editing. Save again to keep it, with "
                "what you wrote."
            ),
        )
        return 1

    def _merge_fields(
        self, form: Any, opened: Digests | None, old_prefix: str, of_row: str = ""
    ) -> None:
        for name, field in _fields(form):
            then, now = None if opened is None else opened.get(name), _digest(field, _stored(field))
            widget, html_name = field.field.widget, field.html_name
            if not self._is_mine(field, name, opened) or self._posted_digest(field) == now:
                if then not in (None, now) and self._posted_digest(field) != now:
                    self.merged.append(f"{capfirst(field.label)}{of_row}")
                _put(self.posted, widget, html_name, _stored(field))
            elif then != now:
                self._ask(form.prefix or "", name, self._both_versions(field))
            elif (f"{old_prefix}-{name}" if old_prefix else name) in self.theirs:
                _put(self.posted, widget, html_name, _stored(field))

    def _is_mine(self, field: Any, name: str, opened: Digests | None) -> bool:
        """Whether this person changed a field. One that wasn't on the page is no one's change."""
        widget = field.field.widget
        if widget.value_omitted_from_data(self.posted, self.files, field.html_name):
            return False
        if isinstance(field.field, forms.FileField):
            return self._data(field) is not None
        return opened is None or (name in opened and self._posted_digest(field) != opened[name])

    def _data(self, field: Any) -> Any:
        return field.field.widget.value_from_datadict(self.posted, self.files, field.html_name)

    def _posted_digest(self, field: Any) -> str:
        """Of a chosen file, none: it differs from every stored one."""
        return "" if isinstance(field.field, forms.FileField) else _digest(field, self._data(field))

    def _both_versions(self, field: Any) -> SafeString:
        if isinstance(field.field, forms.FileField):
            self.files.pop(field.html_name, None)
            self.posted.pop(f"{field.html_name}-clear", None)
            text = _(
                "Someone else changed this picture while you were editing. To use yours, choose it "
                "again."
            )
            return format_html("{}", text)
        return format_html(
            '{}<dl class="versions"><dt>{}</dt><dd>{}</dd><dt>{}</dt><dd>{}</dd></dl>'
            '<label class="keep-theirs"><input type="checkbox" name="{}" value="{}"> {}</label>',
            _("Someone else changed this while you were editing. Save again to use yours."),
            _("You wrote"),
            _shown(field, self._data(field)),
            _("They saved"),
            _shown(field, _stored(field)),
            KEEP_THEIRS,
            field.html_name,
            _("Use theirs"),
        )

    def _ask(self, prefix: str, name: str, text: str) -> None:
        self.conflicts.setdefault(prefix, {})[name] = format_html("{}", text)


class _PostedRows:
    """The rows of a table as they were posted. Takes them out, so that they can be renumbered."""

    def __init__(self, merge: Merge, formset: Any, initial: int, total: int) -> None:
        self.merge, self.prefix = merge, formset.prefix
        self.pk_name = formset.model._meta.pk.name
        self.taken: dict[int, list[tuple[Any, str, list[Any]]]] = {}
        pattern = re.compile(rf"{re.escape(self.prefix)}-([0-9]{{1,4}})-(.+)", re.DOTALL)
        sources: list[Any] = [merge.posted, merge.files]
        for source in sources:
            for name in [*source]:
                if match := pattern.fullmatch(name):
                    values = source.pop(name)
                    self.taken.setdefault(int(match[1]), []).append((source, match[2], values))
        self.known = {self.pk(number): number for number in range(initial) if self.pk(number)}
        self.new = [*range(initial, total)]

    def pk(self, number: int) -> str:
        values = [each for _at, name, each in self.taken.get(number, []) if name == self.pk_name]
        return values[0][-1] if values and values[0] else ""

    def put_back(self, number: int, prefix: str) -> None:
        for source, name, values in self.taken.get(number, []):
            source.setlist(f"{prefix}-{name}", values)

    def take(self, prefix: str) -> None:
        for source in (self.merge.posted, self.merge.files):
            for name in [each for each in source if each.startswith(f"{prefix}-")]:
                del source[name]


def row_key(form: Any) -> str:
    """The key of a form among a page's digests: a row may have another place on the next page."""
    return f"{form.prefix.rpartition('-')[0]}:{form.instance.pk}" if form.prefix else ""


def digests(form: Any) -> Digests:
    """What each field of an unbound form says, without showing it to people who see the page."""
    return {name: _digest(field, _stored(field)) for name, field in _fields(form)}


def _fields(form: Any) -> Iterator[tuple[str, Any]]:
    """The fields that people see, with their names."""
    hidden = {form._meta.model._meta.pk.name, DELETION_FIELD_NAME}
    for name, field in form.fields.items():
        if name not in hidden and not isinstance(field, InlineForeignKeyField):
            yield name, form[name]


def _stored(field: Any) -> Any:
    return field.field.prepare_value(field.initial)


def _digest(field: Any, value: Any) -> str:
    said = json.dumps(_comparable(field.field, value))
    return salted_hmac("events.admin.merging", said, algorithm="sha256").hexdigest()[:16]


def _comparable(field: Any, value: Any) -> Any:
    """The same for a stored value and for what a browser posts for it."""
    if isinstance(field, forms.FileField):
        return str(value or "")
    if isinstance(field, forms.MultiValueField):
        parts = zip(field.fields, _parts(field.widget, value), strict=True)
        return [_comparable(*each) for each in parts]
    if isinstance(field, forms.ModelMultipleChoiceField | forms.MultipleChoiceField):
        return sorted(str(each) for each in value or [])
    if not isinstance(field, forms.ModelChoiceField):
        # What isn't valid is compared as it was typed.
        with contextlib.suppress(ValidationError):
            value = field.to_python(value)
    return "" if value is None or value is False else plain(str(value))


def _parts(widget: Any, value: Any) -> list[Any]:
    return value if isinstance(value, list) else widget.decompress(value)


def _put(posted: Any, widget: Any, name: str, value: Any) -> None:
    """Write a value as a browser would post it."""
    widget = getattr(widget, "widget", widget)
    if isinstance(widget, forms.MultiWidget):
        names: Any = widget
        parts = zip(names.widgets_names, widget.widgets, _parts(widget, value), strict=True)
        for suffix, part_widget, part in parts:
            _put(posted, part_widget, name + suffix, part)
    elif isinstance(widget, forms.CheckboxInput):
        posted.pop(name, None)
        if value:
            posted[name] = "on"
    elif getattr(widget, "allow_multiple_selected", False):
        posted.setlist(name, [str(each) for each in value or []])
    elif isinstance(widget, forms.widgets.ChoiceWidget):
        posted[name] = "" if value is None else str(value)
    elif not isinstance(widget, forms.FileInput):
        posted[name] = widget.format_value(value) or ""


def _shown(field: Any, value: Any) -> str:
    """A value as people read it."""
    widget = getattr(field.field.widget, "widget", field.field.widget)
    if isinstance(widget, forms.MultiWidget):
        pairs = zip(widget.widgets, _parts(widget, value), strict=True)
        text = " ".join(each.format_value(part) or "" for each, part in pairs)
    elif isinstance(widget, forms.CheckboxInput):
        text = _("Yes") if value else _("No")
    elif isinstance(widget, forms.widgets.ChoiceWidget):
        values = value if isinstance(value, list | tuple) else [value]
        labels = dict(_choices(widget.choices))
        text = ", ".join(labels.get(str(each), str(each)) for each in values if each is not None)
    else:
        text = str(value or "")
    return text.strip() or _("Nothing")


def _choices(choices: Any) -> Iterator[tuple[str, str]]:
    """Values and labels, out of their groups."""
    for value, label in choices:
        if isinstance(label, list | tuple):
            yield from _choices(label)
        else:
            yield str(value), str(label)
