"""Hostile addresses and forms in the admin: whatever is in them, there is no server error."""

from typing import Any
from zlib import crc32

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group
from django.db import transaction
from django.test import Client
from django.urls import NoReverseMatch, reverse
from hypothesis import HealthCheck, given, seed
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from events.models import SiteSettings
from registrations.models import Announcement, Attendance, MailText, Question
from tests.hostile import FORM, TEXTS, urlencoded
from tests.people import sign_up
from tests.public_urls import FormFields

pytestmark = [pytest.mark.django_db, pytest.mark.once]

WORST_VALUES = ["zzz", "9" * 30, "9" * 5000, "2026-13-45 99:99", "\ud800", "1,2"]
# Not allauth's models, which the site's urls.py removes.
MODELS = [model for model in admin.site._registry if "allauth" not in model.__module__]
# The others are a single page.
WITH_FORMS = [model for model in MODELS if model not in (LogEntry, SiteSettings)]
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


@pytest.mark.parametrize("model", WITH_FORMS, ids=lambda model: model.__name__)
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
        for value in ("zzz", "9" * 30, "9" * 5000, "-1"):
            for arguments in ([], [value], [value, value]):
                try:
                    url = reverse(f"admin:{name}", args=arguments)
                except NoReverseMatch:
                    continue
                if status(organizer, url, dict.fromkeys(query, value)) >= 500:
                    found.append(url)
    assert found == []


@pytest.fixture
def rows(week) -> None:
    """A row of each model that has a change form, besides those of the week and the person."""
    bob = sign_up(week, "Bob Brown", needs=["asl"])
    Attendance.objects.create(session=week.sessions.first(), name=bob.name)
    Question.objects.create(event=week, text="Which?", kind="choice", choices="One\nTwo")
    Announcement.objects.create(event=week, subject="News", body="Hello {name}")
    MailText.objects.create(event=week, kind="links", opening="Hello {name}")
    Group.objects.create(name="Helpers")


@st.composite
def forms(draw, fields: dict[str, list[str]]) -> bytes:
    """The form as the page has it, with hostile values in a few fields or in all."""
    names = st.lists(st.sampled_from([*fields]), min_size=1, max_size=4)
    changed = {name: draw(st.lists(TEXTS, max_size=2)) for name in draw(names)}
    counts = {name: fields[name] for name in fields if name.endswith("_FORMS")}
    everything = draw(TEXTS)
    same = {name: counts.get(name, [everything]) for name in fields}
    sent = draw(st.sampled_from([fields | changed, fields | changed, same]))
    return urlencoded([(name, value) for name, values in sent.items() for value in values])


@pytest.mark.parametrize("model", WITH_FORMS, ids=lambda model: model.__name__)
def test_forms_survive_any_value(organizer, rows, model):
    row = model.objects.first()
    urls = [reverse(page_name(model, "changelist")), reverse(page_name(model, "add"))]
    urls += [reverse(page_name(model, "change"), args=[row.pk])]
    for url in urls:
        page = organizer.get(url)
        if page.status_code == 403:
            continue
        fields = FormFields(page.content.decode()).values

        @seed(crc32(url.encode()))
        @hypothesis_settings(
            max_examples=8, deadline=None, database=None, suppress_health_check=[*HealthCheck]
        )
        @given(body=forms(fields))
        def survives(url: str, body: bytes) -> None:
            with transaction.atomic():
                assert organizer.generic("POST", url, body, FORM).status_code < 500
                transaction.set_rollback(True)

        survives(url)
