"""Hostile addresses in the admin: whatever is in them, the answer is no server error."""

from typing import Any

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import NoReverseMatch, reverse

from tests.people import sign_up

pytestmark = [pytest.mark.django_db, pytest.mark.once]

WORST_VALUES = ["zzz", "9" * 30, "2026-13-45 99:99", "\ud800", "1,2"]
# Not allauth's models, which the site's urls.py removes.
MODELS = [model for model in admin.site._registry if "allauth" not in model.__module__]
LIST_PARAMETERS = ["q", "o", "p", "_to_field", "_changelist_filters"]
LOOKUPS = ["exact", "id__exact", "gte", "isnull", "in"]


@pytest.fixture
def organizer(week, admin_client) -> Client:
    sign_up(week)
    admin_client.raise_request_exception = False
    return admin_client


def page_name(model, page: str) -> str:
    return f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}"


def status(client: Client, url: str, fields: dict[str, str]) -> int:
    encoded = {name: value.encode(errors="surrogatepass") for name, value in fields.items()}
    return client.get(url, encoded).status_code


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_list_survives_any_query(organizer, model):
    url = reverse(page_name(model, "changelist"))
    filters: Any = admin.site._registry[model].list_filter
    known = [each[0] if isinstance(each, tuple) else each for each in filters]
    fields = {getattr(each, "parameter_name", each) for each in known}
    lookups = {f"{field}__{lookup}" for field in fields for lookup in LOOKUPS}
    names = [*LIST_PARAMETERS, *fields, *lookups]
    hostile = [(name, value) for name in names for value in WORST_VALUES]
    assert [pair for pair in hostile if status(organizer, url, dict([pair])) >= 500] == []


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_blank_form_survives_any_initial_value(organizer, model):
    url = reverse(page_name(model, "add"))
    names = [field.name for field in (*model._meta.fields, *model._meta.many_to_many)]
    for value in WORST_VALUES:
        assert status(organizer, url, dict.fromkeys(names, value)) < 500


def test_other_pages_survive_any_address_and_query(organizer):
    """The pages of our own, and those of a row that doesn't exist."""
    names = [
        pattern.name
        for resolver in admin.site.urls[0]
        for pattern in getattr(resolver, "url_patterns", [resolver])
        if pattern.name and not pattern.name.endswith(("_changelist", "_add", "logout"))
    ]
    query = ["event", "session", "state", "person", "p", "q", "event__id__exact"]
    found = []
    for name in names:
        for value in ("zzz", "9" * 30, "-1"):
            for arguments in ([], [value], [value, value]):
                try:
                    url = reverse(f"admin:{name}", args=arguments)
                except NoReverseMatch:
                    continue
                if status(organizer, url, dict.fromkeys(query, value)) >= 500:
                    found.append(url)
    assert found == []
