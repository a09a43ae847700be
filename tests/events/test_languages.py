"""Organizers' texts in English and Spanish: the week, its sessions and their pages."""

import re

import pytest
from django.contrib.admin.models import LogEntry
from django.utils.translation import override

from events.languages import columns, reads_differently, written
from events.models import AgendaItem, Event, Revision, Session, Speaker, Track
from events.schedule import edit_session
from events.zoom import sync
from tests.admin_pages import form_of, path
from tests.people import in_english, in_spanish, sign_up

pytestmark = pytest.mark.django_db

LANGUAGES = ("en", "es")
NOTE = "Parte de esta página está solo en inglés."


@pytest.fixture(autouse=True)
def _english():
    """Requests leave their language behind."""
    with override("en"):
        yield


def page(client, url: str, language: str = "es") -> str:
    """The content of a page, without its header and footer."""
    answer = client.get(url, headers={"accept-language": language})
    assert answer.status_code == 200
    return answer.content.decode().partition("<main")[2].partition("</main>")[0]


def with_details(session: Session) -> Session:
    return Session.objects.with_details().get(pk=session.pk)


# The week that ships


def test_week_that_ships_is_in_both_languages(week):
    models = (Event, Track, Session, AgendaItem)
    missing = [
        (model.__name__, row.pk, name)
        for model in models
        for row in model._default_manager.all()
        for name in columns(*TEXTS[model])
        if not getattr(row, name) and getattr(row, name[:-3])
    ]
    assert missing == []
    assert not Speaker.objects.filter(**{columns("name")[1]: None}).exists()


TEXTS = {
    Event: ("name", "summary", "introduction"),
    Track: ("name", "description"),
    Session: ("title", "summary"),
    AgendaItem: ("title", "description"),
}


# Pages


def test_pages_show_each_language_without_a_note(client, week, opening):
    for url in (week.get_absolute_url(), opening.get_absolute_url(), f"/{week.slug}/register/"):
        english, spanish = (page(client, url, language) for language in LANGUAGES)
        assert "Opening session: ways to reduce and end LWOP" in english
        assert "Sesión de apertura: cómo reducir la LWOP" in spanish
        assert "Opening session" not in spanish
        for shown in (english, spanish):
            assert (' lang="' in shown, "language-note" in shown) == (False, False)


def test_text_in_english_only_is_marked_and_noted_once(client, week):
    Event.objects.update(**in_spanish(summary="", introduction=None))
    Session.objects.update(**in_spanish(title=None))
    spanish = page(client, week.get_absolute_url())
    assert '<p class="lead" lang="en">A week of online sessions' in spanish
    assert '<div class="prose" lang="en"><p>Life Without Parole' in spanish
    assert re.search(r'<a href="[^"]*/opening/" lang="en">Opening session', spanish)
    assert spanish.count(NOTE) == 1
    english = page(client, week.get_absolute_url(), "en")
    assert (' lang="' in english, "language-note" in english) == (False, False)


def test_text_in_spanish_only_is_marked_and_noted_in_english(client, week, opening):
    Session.objects.update(**in_english(title=None, short_title=None))
    english = page(client, opening.get_absolute_url(), "en")
    assert '<h1 class="title" id="session-title" lang="es">Sesión de apertura' in english
    assert english.count("Part of this page is only in Spanish.") == 1
    assert "language-note" not in page(client, opening.get_absolute_url())


def test_own_page_marks_the_agenda(client, week, opening):
    AgendaItem.objects.update(**in_spanish(description=""))
    alice = sign_up(week, language="es")
    shown = page(client, alice.get_absolute_url())
    assert "<strong>Bienvenida</strong>" in shown
    assert '<p lang="en">Who&#x27;s here, how the week works' in shown
    assert shown.count(NOTE) == 1


def test_markup_in_a_text_is_no_language(client, week):
    Event.objects.update(**in_spanish(summary='<b lang="en">hi</b>'))
    assert NOTE not in page(client, week.get_absolute_url())


def test_kept_pages_are_each_in_their_language(client, week):
    for language, name in [("en", "Drop LWOP Strategy Week"), ("es", "Semana de Estrategia")] * 2:
        assert f'id="event-name">{name}' in page(client, week.get_absolute_url(), language)


def test_calendars_differ_in_their_texts_only(client, week):
    found = {}
    for language in LANGUAGES:
        answer = client.get(f"/{week.slug}/calendar.ics", headers={"accept-language": language})
        found[language] = answer.content.decode().replace("\r\n ", "")
    assert "SUMMARY:Opening session" in found["en"]
    assert "SUMMARY:Sesión de apertura" in found["es"]
    fixed = [re.findall("(?m)^(?:UID|SEQUENCE|DTSTAMP):.*$", each) for each in found.values()]
    assert fixed[0] == fixed[1]
    assert len(fixed[0]) == 3 * week.sessions.count()


def test_calendar_of_the_spanish_page_stays_in_spanish(client, week):
    (link,) = re.findall("<code>([^<]*)</code>", page(client, week.get_absolute_url()))
    assert link.endswith(f"/{week.slug}/calendar.ics?in=es")
    (link,) = re.findall("<code>([^<]*)</code>", page(client, week.get_absolute_url(), "en"))
    assert link.endswith(f"/{week.slug}/calendar.ics")
    for query, title in (("?in=es", "Sesión de apertura"), ("?in=xx", "Opening session")):
        # Google's servers name no language.
        calendar = client.get(f"/{week.slug}/calendar.ics{query}").content.decode()
        assert f"SUMMARY:{title}" in calendar


# What is stored, compared and sent


def test_snapshot_is_the_same_in_every_language(week):
    for session in week.sessions.all():
        snapshots = []
        for language in LANGUAGES:
            with override(language):
                snapshots.append(with_details(session).snapshot())
        assert snapshots[0] == snapshots[1]
    title = dict(snapshots[0].title)
    assert title["en"].startswith("Bringing the week's ideas together")
    assert title["es"].startswith("Juntar las ideas de la semana")


@pytest.mark.parametrize("column", columns("title", "summary"))
def test_edit_of_a_text_in_any_language_is_a_revision(opening, column):
    before = with_details(opening).snapshot()
    with edit_session(opening.pk) as session:
        Session.objects.filter(pk=session.pk).update(**{column: "New"})
    opening.refresh_from_db()
    assert (opening.revision, Revision.objects.get().snapshot()) == (1, before)


EN, ES = ("en", "A"), ("es", "B")


@pytest.mark.parametrize(
    ("before", "now", "readers"),
    [
        ([EN, ES], [EN, ES], []),
        ([], [], []),
        # A correction, in one language or in both.
        ([EN, ES], [("en", "C"), ES], ["en"]),
        ([EN, ES], [EN, ("es", "C")], ["es"]),
        ([EN], [("en", "C")], ["en", "es"]),
        ([ES], [("es", "C")], ["en", "es"]),
        ([EN, ES], [("en", "C"), ("es", "D")], ["en", "es"]),
        # The first text, or none anymore.
        ([], [EN], ["en", "es"]),
        ([EN, ES], [], ["en", "es"]),
        # A translation, and one that is removed.
        ([EN], [EN, ES], []),
        ([ES], [EN, ES], []),
        ([EN, ES], [EN], []),
        # And what was translated is corrected, too.
        ([EN], [("en", "C"), ES], ["en", "es"]),
        ([EN, ES], [("en", "C")], ["en", "es"]),
        ([EN], [ES], ["en", "es"]),
    ],
)
def test_text_reads_differently_to_those_who_see_something_new(before, now, readers):
    found = [code for code in LANGUAGES if reads_differently(tuple(before), tuple(now), code)]
    assert found == readers


@pytest.mark.parametrize("language", LANGUAGES)
def test_revision_keeps_the_title_in_each_language(opening, language):
    with override(language), edit_session(opening.pk) as session:
        Session.objects.filter(pk=session.pk).update(**in_english(title="New title"))
    before = Revision.objects.get()
    assert written(before, "title") == written(opening, "title")


def test_zoom_gets_the_same_in_every_language(week, opening):
    specs = []
    for language in LANGUAGES:
        with override(language):
            specs.append(sync.spec(with_details(opening)))
    assert specs[0] == specs[1]
    assert specs[0]["topic"].startswith("Opening session: ways to reduce and end LWOP")


# The admin


@pytest.mark.parametrize("words", ["conmutaciones lograr", "increasing commutations", "COMUTACIO"])
def test_sessions_are_found_by_words_of_any_language(admin_client, week, words):
    found = admin_client.get(path(Session, "changelist"), {"q": words})
    titles = [session.title for session in found.context["cl"].queryset]
    expected = ["Increasing Commutations (discussion and brainstorming)"]
    assert titles == ([] if words == "COMUTACIO" else expected)


def test_title_in_one_language_is_enough(admin_client, opening):
    form = form_of(admin_client, path(opening))
    answer = admin_client.post(path(opening), {**form, "title_en": "", "title_es": "Hola"})
    assert answer.status_code == 302
    opening.refresh_from_db()
    assert (opening.title_en, opening.title_es) == (None, "Hola")


def test_title_is_required_in_some_language(admin_client, opening):
    form = form_of(admin_client, path(opening))
    answer = admin_client.post(path(opening), {**form, "title_en": "", "title_es": " "})
    assert answer.context["adminform"].form.errors == {
        "title_en": ["Write this in at least one language."]
    }
    item = admin_client.post(
        path(opening), {**form, "agenda-0-title_en": "", "agenda-0-title_es": ""}
    )
    _meeting, agenda = item.context["inline_admin_formsets"]
    assert agenda.formset.errors[0] == {"title_en": ["Write this in at least one language."]}


@pytest.mark.parametrize("name", ["name_en", "name_es"])
def test_two_strategies_of_a_name_are_refused_in_each_language(admin_client, week, name):
    form = form_of(admin_client, path(week))
    same = {f"tracks-{number}-{name}": "Same" for number in (0, 1)}
    answer = admin_client.post(path(week), {**form, **same})
    assert answer.status_code == 200
    assert Track.objects.filter(**{name: "Same"}).count() == 0


def test_columns_are_labeled_with_their_language(admin_client, opening):
    labels = {}
    for language in LANGUAGES:
        answer = admin_client.get(path(opening), headers={"accept-language": language})
        labels[language] = re.findall(
            r'<label[^>]*for="id_title_\w\w">([^<]*)', answer.content.decode()
        )
    assert labels == {
        "en": ["Title (English):", "Title (Spanish):"],
        "es": ["Título (inglés):", "Título (español):"],
    }


def test_log_names_a_session_the_same_for_every_organizer(admin_client, opening):
    form = form_of(admin_client, path(opening))
    for language, spots in (("es", "7"), ("en", "8")):
        changed = {**form, "capacity": spots}
        admin_client.post(path(opening), changed, headers={"accept-language": language})
    assert {entry.object_repr for entry in LogEntry.objects.all()} == {opening.title}
