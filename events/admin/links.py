"""Links to the pages of the admin."""

from typing import Any
from urllib.parse import urlencode

from django.db.models import Model
from django.urls import reverse


def list_url(model: type[Model], **filters: Any) -> str:
    """The list of a model's rows, filtered as its admin's `list_filter` names it."""
    query = urlencode(filters)
    url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    return f"{url}?{query}" if query else url


def change_url(row: Model, part: str = "") -> str:
    """The page of a row, or the part of it with this id."""
    name = f"admin:{row._meta.app_label}_{row._meta.model_name}_change"
    return reverse(name, args=[row.pk]) + (f"#{part}" if part else "")
