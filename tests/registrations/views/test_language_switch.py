"""Switching the language on a form: what was typed stays, and nothing else happens."""

import re
from html import unescape

import pytest
from django.test import Client
from django.utils.translation import override

from events.models import Event, Session
from events.schedule import cancel_session
from registrations.models import OutgoingMail, Question, Registration
from tests.people import filled_form, in_english, in_spanish, sign_up

pytestmark = pytest.mark.django_db

CHANGED = "Esta pregunta cambió después de que abriste la página."


@pytest.fixture(autouse=True)
def _english():
    """Requests leave their language behind."""
    with override("en"):
        yield


@pytest.fixture
def opening(week) -> Session:
    return week.sessions.get(slug="opening")


@pytest.fixture
def lunch(week) -> Question:
    return Question.objects.create(
        event=week,
        kind="choice",
        **in_english(text="Lunch?", choices="Meat\nVegan"),
        **in_spanish(text="¿Almuerzo?", choices="Carne\nVegano"),
    )


def text(answer) -> str:
    return unescape(answer.content.decode())


def sent_in_spanish(client: Client, url: str, form: dict[str, object]):
    answer = client.post(url, {**form, "language": "es"})
    assert answer.status_code == 200
    assert '<html lang="es"' in text(answer)
    assert client.cookies["django_language"].value == "es"
    return answer


def register_in_spanish(client: Client, week: Event, **changes):
    return sent_in_spanish(client, f"/{week.slug}/register/", filled_form(week, **changes))


def checked(page: str) -> set[int]:
    return {int(pk) for pk in re.findall(r'name="sessions" value="(\d+)" checked', page)}


def test_sign_up_form_keeps_what_was_typed(client, week, opening, lunch):
    version = f"question_{lunch.pk}_version"
    page = client.get(f"/{week.slug}/register/").content.decode()
    (number,) = re.findall(rf'name="{version}" value="(\w+)"', page)
    answer = register_in_spanish(
        client,
        week,
        name="O'Brien & Co",
        time_zone="America/Boise",
        sessions=[opening.pk],
        needs=["asl"],
        **{f"question_{lunch.pk}": "Vegan", version: number},
    )
    page = text(answer)
    assert 'value="O\'Brien & Co"' in page
    assert checked(page) == {opening.pk}
    assert '<option value="America/Boise" selected>' in page
    assert re.search(r'name="needs" value="asl"[^>]* checked', page)
    assert '<option value="Vegan" selected>Vegano</option>' in page
    assert f'name="{version}" value="{number}"' in page
    assert (Registration.objects.count(), OutgoingMail.objects.count()) == (0, 0)
    assert client.get(f"/{week.slug}/register/").content.decode().count('lang="es"') == 1


def test_unfinished_form_shows_no_errors(client, week, lunch):
    Question.objects.update(is_required=True)
    page = text(register_in_spanish(client, week, name="", email="alice@", sessions=[]))
    assert ("Error:" in page, 'class="error"' in page, "aria-invalid" in page) == (False,) * 3
    assert ('value="alice@"' in page, checked(page)) == (True, set())


def test_switch_after_an_error_sends_the_form_too(client, week):
    url = f"/{week.slug}/register/"
    switch = '<button form="entry" formnovalidate name="language" value="es" lang="es">'
    form = filled_form(week, name="")
    for answer in (client.get(url), client.post(url, form)):
        assert switch in text(answer)
        assert '<form class="form" id="entry" method="post">' in text(answer)
    answer = sent_in_spanish(client, url, form)
    assert "Error:" not in text(answer)
    assert '<button form="entry" formnovalidate name="language" value="en" lang="en">' in text(
        answer
    )
    client.post(url, filled_form(week))
    assert Registration.objects.get().language == "es"


def test_unknown_language_sends_the_form_as_usual(client, week):
    answer = client.post(f"/{week.slug}/register/", filled_form(week, language="xx"))
    assert (Registration.objects.count(), "django_language" in answer.cookies) == (1, False)


def test_switching_says_what_changed_since_the_form_was_opened(client, week, opening, lunch):
    answer = {f"question_{lunch.pk}": "Vegan", f"question_{lunch.pk}_version": "old"}
    assert CHANGED in text(register_in_spanish(client, week, **answer))
    form = filled_form(week)
    cancel_session(session=opening)
    page = text(sent_in_spanish(client, f"/{week.slug}/register/", form))
    assert "Una de las sesiones que elegiste ya no está abierta." in page


def test_switching_when_registration_has_closed_says_so(client, week):
    form = filled_form(week)
    week.sessions.update(status="draft")
    page = text(sent_in_spanish(client, f"/{week.slug}/register/", form))
    assert 'id="entry"' not in page
    assert '<a href="?language=en"' in page


@pytest.fixture
def one_each(settings):
    settings.ACCOUNT_RATE_LIMITS = {"find": "1/10m/ip", "register": "1/10m/ip"}
    settings.TRUSTED_PROXY_COUNT = 0


def test_switching_counts_toward_no_limit(client, week, one_each):
    for _time in range(3):
        register_in_spanish(client, week)
        sent_in_spanish(client, f"/{week.slug}/find/", {"email": "alice@example.org"})
    assert client.post(f"/{week.slug}/register/", filled_form(week)).status_code == 302
    assert client.post(f"/{week.slug}/register/", filled_form(week)).status_code == 429
    page = text(register_in_spanish(client, week))
    assert ('value="Alice Adams"' in page, "Error:" in page) == (True, False)


def test_change_form_keeps_what_was_typed_and_switches_the_registration(client, week, opening):
    alice = sign_up(week, needs=["asl"])
    url = f"/me/{alice.token}/change/"
    page = client.get(url).content.decode()
    hidden = re.findall(r'<input type="hidden" name="([\w-]+)" value="([^"]*)"', page)
    form: dict[str, list[str]] = {}
    for name, value in hidden:
        form.setdefault(name, []).append(value)
    had = form["had"]
    mails = OutgoingMail.objects.count()
    answer = sent_in_spanish(
        client, url, {**form, "name": "Alicia", "time_zone": "America/Boise", "sessions": had[1:]}
    )
    page = text(answer)
    assert 'name="name" value="Alicia"' in page
    assert 'name="initial-name" value="Alice Adams"' in page
    assert re.findall('name="had" value="(.+?)"', page) == had
    assert checked(page) == {int(pk) for pk in had[1:]}
    alice.refresh_from_db()
    assert (alice.language, alice.name, alice.seats.count()) == ("es", "Alice Adams", 6)
    assert OutgoingMail.objects.count() == mails
    form |= {"name": ["Alicia"], "time_zone": ["America/Boise"], "sessions": had[1:]}
    assert client.post(url, form).status_code == 302
    alice.refresh_from_db()
    assert (alice.name, alice.seats.count()) == ("Alicia", 5)
    # It was unchecked in this form.
    assert alice.needs == []


def test_find_form_keeps_the_address_and_sends_nothing(client, week):
    sign_up(week)
    OutgoingMail.objects.all().delete()
    page = text(sent_in_spanish(client, f"/{week.slug}/find/", {"email": "alice@example.org"}))
    assert 'value="alice@example.org"' in page
    assert "¿Perdiste tus enlaces?" in page
    assert not OutgoingMail.objects.exists()
    page = text(sent_in_spanish(client, f"/{week.slug}/find/", {"email": ""}))
    assert "Error:" not in page
