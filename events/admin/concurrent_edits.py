"""Change pages of the admin that two people, or two tabs, can have open at once.

The second save doesn't overwrite the first: changes of different fields are merged, and where both
changed the same field, the form asks, with both versions.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import flatten_fieldsets, unquote
from django.core import signing
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString
from django.utils.text import get_text_list
from django.utils.translation import gettext as _

from events.admin.merging import Digests, Merge, digests, row_key

# The hidden field with the digests of what a page shows.
OPENED = "opened"


class MergedForm(forms.ModelForm):
    """A form that asks where this person's change and someone else's can't both be saved."""

    # See Merge.conflicts.
    conflicts: Mapping[str, Mapping[str, SafeString]] = {}

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        for name, text in self.conflicts.get(self.prefix or "", {}).items():
            self.add_error(name or None, ValidationError(text, code="changed_by_both"))
        return cleaned


class ConcurrentEditsAdmin(admin.ModelAdmin):
    """Its form and those of its inlines must be MergedForms."""

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: Any = None,
        form_url: str = "",
        extra_context: Any = None,
    ) -> HttpResponse:
        with transaction.atomic():
            if request.method == "POST" and object_id:
                self._lock_and_merge(request, unquote(object_id))
            return super().changeform_view(request, object_id, form_url, extra_context)

    def _lock_and_merge(self, request: HttpRequest, pk: str) -> None:
        row = self.get_object(request, pk)
        if row is None or not self.has_change_permission(request, row):
            return
        # Locked, so that no one else changes it before it's saved.
        locked = self.model._base_manager.select_for_update(no_key=True).filter(pk=row.pk)
        if locked.first() and (current := self.get_object(request, pk)):
            self.merge(request, current)

    def merge(self, request: HttpRequest, row: Any) -> None:
        """Replace what was posted by what is to be saved."""
        form, formsets = self._as_stored(request, row)
        merge_page(request, row, [("", form)], formsets)

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        form: Any = super().get_form(request, obj, change, **kwargs)
        form.conflicts = _conflicts(request)
        return form

    def get_formsets_with_inlines(self, request: HttpRequest, obj: Any = None) -> Iterator[Any]:
        for formset, inline in super().get_formsets_with_inlines(request, obj):
            form: Any = formset.form
            form.conflicts = _conflicts(request)
            yield formset, inline

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        row = context.get("original")
        if row and request.method == "POST":
            context[OPENED] = request.POST.get(OPENED, "")
        elif row and self.has_change_permission(request, row):
            formsets = [each.formset for each in context["inline_admin_formsets"]]
            context[OPENED] = opened(row, [context["adminform"].form], formsets)
        return super().render_change_form(request, context, *args, **kwargs)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if not change or form.has_changed():
            super().save_model(request, obj, form, change)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        explain_merge(request)

    def _as_stored(self, request: HttpRequest, row: Any) -> tuple[Any, list[Any]]:
        """The form and the formsets of a page that is opened now."""
        fields = flatten_fieldsets(self.get_fieldsets(request, row))
        form = self.get_form(request, row, change=True, fields=fields)(instance=row)
        formsets = [
            formset(instance=row, queryset=inline.get_queryset(request))
            for formset, inline in self.get_formsets_with_inlines(request, row)
        ]
        return form, formsets


def merge_page(
    request: HttpRequest, row: Any, forms: list[tuple[str, Any]], formsets: list[Any]
) -> None:
    """Replace what was posted from the page of a row by what is to be saved.

    `forms`, with what messages add to the names of their fields, and `formsets` are unbound, with
    what is stored.
    """
    merge = Merge(request, _read(request.POST.get(OPENED, ""), row))
    for of_row, form in forms:
        merge.merge_form(form, of_row)
    for formset in formsets:
        merge.merge_formset(formset)
    merge.posted[OPENED] = opened(row, [form for _of_row, form in forms], formsets)
    changed: Any = request
    changed.POST, changed._files, changed.merge = merge.posted, merge.files, merge


def explain_merge(request: HttpRequest) -> None:
    """After saving, say once which changes of others were kept."""
    merge: Merge | None = getattr(request, "merge", None)
    if merge and merge.merged:
        text = _(
            "Someone else changed this while you were editing. We kept their changes, too: "
            "%(fields)s."
        )
        fields = get_text_list([*dict.fromkeys(merge.merged)], _("and"))
        messages.info(request, text % {"fields": fields})
        merge.merged.clear()


def _conflicts(request: HttpRequest) -> Mapping[str, Mapping[str, SafeString]]:
    merge: Merge | None = getattr(request, "merge", None)
    return merge.conflicts if merge else {}


def opened(row: Any, forms: list[Any], formsets: list[Any]) -> str:
    """What a page says, so that no one can claim that it said something else."""
    shown = [*forms, *(each for formset in formsets for each in formset.initial_forms)]
    by_key = {row_key(each): digests(each) for each in shown}
    return signing.dumps(by_key, salt=_salt(row), compress=True)


def _read(signed: str, row: Any) -> Mapping[str, Digests] | None:
    try:
        opened: dict[str, Digests] = signing.loads(signed, salt=_salt(row))
    except signing.BadSignature:
        return None
    return opened


def _salt(row: Any) -> str:
    return f"{OPENED}:{row._meta.label}:{row.pk}"
