"""Organizers read "tú" where the texts are Django's, too."""

import html
import re
from pathlib import Path

import allauth
import django
import pytest
from babel.messages.catalog import Message
from django.apps import apps
from django.urls import reverse
from django.utils import translation

from tests import messages
from tests.people import sign_up

pytestmark = pytest.mark.once

SOURCE = "strategyweek/django_texts.py"
# What Django's Spanish says to someone it calls "usted", and how it leaves the gender open.
FORMAL = re.compile(
    r"\b(usted|su cuenta|su contraseña|está seguro|puede (?:editar|agregar|volver)|asegúrese"
    r"|seleccione|elija|escoja|introduzca|ingrese|escriba|pulse|haga|mantenga|empiece|corrija"
    r"|desmarque|envíe|vaya|seleccionado/s|seleccionada/o)\b",
    re.IGNORECASE,
)


def spanish_catalogs(domain: str) -> list[Path]:
    """Those of Django and allauth."""
    folders = [Path(str(package.__file__)).parent for package in (django, allauth)]
    return [path for folder in folders for path in folder.rglob(f"es/LC_MESSAGES/{domain}.po")]


def singular(message: Message) -> str:
    return message.id if isinstance(message.id, str) else message.id[0]


@pytest.mark.parametrize("domain", ["django", "djangojs"])
def test_replaced_texts_are_still_in_use(domain):
    ours = messages.catalog_of(messages.FOLDER / "es" / "LC_MESSAGES" / f"{domain}.po")
    replaced = {
        singular(each)
        for each in ours
        if each.id and (domain == "djangojs" or SOURCE in dict(each.locations))
    }
    theirs = {
        singular(each) for path in spanish_catalogs(domain) for each in messages.catalog_of(path)
    }
    assert replaced
    assert replaced - theirs == set()


@pytest.fixture
def organizer(week, admin_client):
    sign_up(week)
    admin_client.defaults["HTTP_ACCEPT_LANGUAGE"] = "es"
    yield admin_client
    translation.activate("en")


def formal_words(page) -> list[str]:
    text = re.sub(r"<(style|script)\b.*?</\1>", "", page.content.decode(), flags=re.DOTALL)
    assert '<html lang="es"' in text
    return [match[0] for match in FORMAL.finditer(html.unescape(text))]


def pages(model) -> list[str]:
    """A model's list, its empty form, and the form and deletion of one row."""
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
    row = model.objects.first()
    of_row = [reverse(f"{name}_{page}", args=[row.pk]) for page in ("change", "delete")]
    return [reverse(f"{name}_changelist"), reverse(f"{name}_add"), *of_row]


@pytest.mark.parametrize("name", ["events.event", "events.session", "auth.user"])
def test_pages_say_tu(organizer, name):
    for url in pages(apps.get_model(name)):
        page = organizer.get(url)
        assert page.status_code == 200
        assert formal_words(page) == [], url


def test_titles_of_filters_fit_every_field(organizer):
    """Django's "Por %s" doesn't fit a field such as "activo"."""
    page = organizer.get(reverse("admin:auth_user_changelist")).content.decode()
    titles = [title.strip() for title in re.findall(r"<summary>(.*?)</summary>", page, re.DOTALL)]
    assert titles == ["acceso de organizador", "estado de superusuario", "activo"]


def test_answers_to_organizers_say_tu(organizer, week):
    events = reverse("admin:events_event_changelist")
    event = reverse("admin:events_event_change", args=[week.pk])
    answers = {
        "nothing chosen": organizer.post(events, {"action": "delete_selected"}, follow=True),
        "selected": organizer.post(
            events, {"action": "delete_selected", "_selected_action": week.pk}
        ),
        "errors": organizer.post(event, {"slug": "a b", "status": "x", "doors_open_minutes": "x"}),
        "no such row": organizer.get(
            reverse("admin:events_event_change", args=["99"]), follow=True
        ),
        "password": organizer.post(reverse("admin:password_change"), {"old_password": "wrong"}),
        "user": organizer.post(reverse("admin:auth_user_add"), {"username": "a b"}),
    }
    assert [(name, word) for name in answers for word in formal_words(answers[name])] == []


def test_scripts_say_tu(organizer):
    texts = organizer.get(reverse("admin:jsi18n")).content.decode()
    assert "Elige una hora" in texts
    assert FORMAL.findall(texts) == []
