"""The admin's own language, and the texts that organizers write in each language."""

import re

import pytest
from django.utils.translation import override

from events.models import Event, Session
from registrations.models import Announcement
from tests.admin_pages import answers_of, form_of, path
from tests.people import in_english, in_spanish

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
    # The times are far from the week.
    page = client.post(path(Session, "add"), {**form, **times, **texts}).content.decode()
    return client.post(path(Session, "add"), {**form, **times, **texts, **answers_of(page)})


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


def test_address_of_another_session_is_refused_for_one_that_exists(admin_client, week, opening):
    other = Session.objects.exclude(pk=opening.pk).first()
    form = form_of(admin_client, path(other)) | {"slug": opening.slug}
    answer = admin_client.post(path(other), form)
    errors = answer.context["adminform"].form.errors
    assert errors == {"slug": ["This event already has a session with that address."]}


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


# Notes after saving


def save(client, row, language: str = "en", **texts: str) -> list[str]:
    """Change texts in the row's form as a browser does, and return the notes about languages."""
    form = form_of(client, path(row))
    for name, value in form.items():
        if isinstance(value, str):
            form[name] = value.replace("\n", "\r\n")
    asked = {"accept-language": language}
    answer = client.post(path(row), {**form, **texts}, follow=True, headers=asked)
    assert answer.redirect_chain, answer.context["errors"]
    found = [str(message) for message in answer.context["messages"]]
    return [each for each in found if re.search(r"English|Spanish|inglés|español", each)]


def test_text_changed_in_one_language_is_noted(admin_client, opening):
    assert save(admin_client, opening, title_en="New") == [
        "You changed this in English, but not in Spanish: title."
    ]
    assert save(admin_client, opening, "es", title_en="Newer", summary_en="New") == [
        "Cambiaste esto en inglés, pero no en español: título y resumen."
    ]
    assert save(admin_client, opening, title_es="Nuevo") == [
        "You changed this in Spanish, but not in English: title."
    ]


def test_missing_language_is_noted_when_its_text_is_touched(admin_client, opening):
    missing = "Not in Spanish yet: title. People who read Spanish see the text in English."
    assert save(admin_client, opening, title_es="") == [missing]
    assert save(admin_client, opening, title_en="New") == [missing]
    assert save(admin_client, opening, "es", title_en="Newer") == [
        "Aún no está en español: título. Quienes leen en español ven el texto en inglés."
    ]
    assert save(admin_client, opening, title_en="", title_es="Hola") == [
        "Not in English yet: title. People who read English see the text in Spanish."
    ]


def test_rows_below_are_noted_in_the_same_message(admin_client, week, opening):
    texts = {"title_en": "New", "agenda-0-title_en": "100% new", "agenda-1-description_es": ""}
    second = opening.agenda.all()[1]
    assert save(admin_client, opening, **texts) == [
        "You changed this in English, but not in Spanish: title and title (100% new). "
        f"Not in Spanish yet: description ({second}). "
        "People who read Spanish see the text in English."
    ]
    track = week.tracks.all()[0]
    assert save(admin_client, week, **{"tracks-0-description_es": "Nuevo"}) == [
        f"You changed this in Spanish, but not in English: description ({track})."
    ]
    deleted = {"tracks-0-description_es": "Otro", "tracks-0-DELETE": "on"}
    assert save(admin_client, week, **deleted) == []


def test_save_without_a_word_on_one_language_says_nothing(admin_client, week, opening):
    both = {"title_en": "New", "title_es": "Nuevo", "summary_en": "", "summary_es": ""}
    assert save(admin_client, opening, **both) == []
    # Browsers send other line breaks than those that are stored.
    Event.objects.update(**in_english(introduction="One\nTwo\n"), **in_spanish(introduction=None))
    Session.objects.update(**in_spanish(title=None))
    opening.agenda.update(**in_spanish(description=None))
    assert save(admin_client, opening, capacity="7") == []
    assert save(admin_client, week, host="Others") == []


def test_announcement_names_a_missing_language_on_the_next_page(admin_client, week):
    english = in_english(subject="News", body="Hello")
    news = Announcement.objects.create(event=week, **english, **in_spanish(subject="Avisos"))
    assert save(admin_client, news, body_en="Hello again") == []
    assert save(admin_client, news, subject_en="Good news") == [
        "You changed this in English, but not in Spanish: subject."
    ]


def test_organizer_is_told_the_language_of_a_callers_emails(admin_client, client, week):
    url = f"/{week.slug}/register/"
    notes = {"en": "They'll get emails in English.", "es": "Recibirá los correos en español."}
    for language, note in notes.items():
        asked = {"accept-language": language}
        # A visitor's page is kept for the next one.
        for browser, count in ((client, 0), (admin_client, 1), (client, 0)):
            for answer in (browser.get(url, headers=asked), browser.post(url, headers=asked)):
                assert answer.content.decode().count(note) == count
