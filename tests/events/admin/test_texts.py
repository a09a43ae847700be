"""The admin's own language, and the texts that organizers write in each language."""

import re

import pytest
from django.utils.translation import override

from events.models import Event, Session
from tests.people import in_english
from tests.registrations.admin.test_registrations import form_of, path

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _english():
    """Requests leave their language behind."""
    with override("en"):
        yield


def language_link(answer) -> str:
    """The address that the link to the other language leads to."""
    header = answer.content.decode().partition('id="user-tools"')[2].partition("</header>")[0]
    (link,) = re.findall(r'<a href="([^"]*)" hreflang', header)
    return link.replace("&amp;", "&")


def test_language_switch_shows_the_same_list_in_spanish(admin_client, week):
    url = f"{path(Session, 'changelist')}?kind__exact=strategy&q=law"
    link = language_link(admin_client.get(url, headers={"accept-language": "en"}))
    assert link == "?kind__exact=strategy&q=law&language=es"
    shown = admin_client.get(
        url.partition("?")[0] + link, headers={"accept-language": "en"}, follow=True
    )
    assert shown.redirect_chain == [(url, 302)]
    assert '<html lang="es"' in shown.content.decode()
    assert 'lang="en">English</a>' in shown.content.decode()
    assert language_link(shown) == "?kind__exact=strategy&q=law&language=en"


def add_session(client, week, **texts: str):
    form = form_of(client, f"{path(Session, 'add')}?event={week.pk}")
    times = {"starts_at_0": "10/16/2027", "starts_at_1": "9 AM"}
    times |= {"ends_at_0": "10/16/2027", "ends_at_1": "10 AM"}
    for inline in ("meeting", "agenda"):
        form |= {f"{inline}-TOTAL_FORMS": "0", f"{inline}-INITIAL_FORMS": "0"}
    return client.post(path(Session, "add"), {**form, **times, **texts})


def test_session_in_spanish_only_gets_an_address(admin_client, week):
    for number, title in enumerate(["Canción de mañana", "Canción de mañana!", "¿?", "¿?"]):
        assert add_session(admin_client, week, title_es=title).status_code == 302, number
    new = Session.objects.order_by("-pk").values_list("slug", flat=True)[:4]
    assert list(new) == ["session-2", "session", "cancion-de-manana-2", "cancion-de-manana"]


def test_address_is_made_from_the_first_text_and_fits(admin_client, week):
    other = Event.objects.create(**in_english(name="Other"), slug="other", host="Us")
    Session.objects.filter(event=week, slug="opening").update(event=other, slug="long")
    add_session(admin_client, week, title_en="Long", title_es="Largo")
    for _number in range(2):
        add_session(admin_client, week, title_en="a" * 47 + " b c", title_es="Largo")
    new = Session.objects.order_by("-pk").values_list("slug", flat=True)[:3]
    assert list(new) == ["a" * 47 + "-2", "a" * 47 + "-b", "long"]


def test_entered_address_stays_and_its_mistakes_are_shown(admin_client, week, opening):
    assert add_session(admin_client, week, title_es="Hola", slug="mine").status_code == 302
    assert Session.objects.latest("pk").slug == "mine"
    answer = add_session(admin_client, week, title_es="Hola", slug="no good")
    assert list(answer.context["adminform"].form.errors) == ["slug"]
    answer = add_session(admin_client, week, title_es="Hola", slug="opening")
    errors = answer.context["adminform"].form.non_field_errors()
    assert errors == ["This event already has a session with that address."]


@pytest.mark.parametrize(
    ("name", "slug"),
    [("Semana de Acción", "semana-de-accion"), ("Me", "me-2"), ("¡Tomado!", "tomado-2")],
)
def test_event_in_spanish_only_gets_an_address(admin_client, week, name, slug):
    Event.objects.update(slug="tomado")
    form = form_of(admin_client, path(week))
    texts = {**{f"{each}_en": "" for each in ("name", "summary", "introduction")}, "slug": ""}
    new = {key: value for key, value in form.items() if "-" not in key}
    for inline in ("tracks", "speakers"):
        new |= {f"{inline}-TOTAL_FORMS": "0", f"{inline}-INITIAL_FORMS": "0"}
    answer = admin_client.post(path(Event, "add"), {**new, **texts, "name_es": name})
    assert answer.status_code == 302, answer.context["errors"]
    assert Event.objects.latest("pk").slug == slug


def test_saved_event_keeps_its_own_address(admin_client, week):
    form = form_of(admin_client, path(week))
    Event.objects.update(slug="drop-lwop-strategy-week")
    admin_client.post(path(week), {**form, "slug": ""})
    week.refresh_from_db()
    assert week.slug == "drop-lwop-strategy-week"
