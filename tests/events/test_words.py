"""An event's own words for its kinds of sessions and its strategies, on the public pages."""

import re

import pytest
from django.core.cache import caches
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.translation import override

from events.models import Event, Session
from tests.people import with_own_words

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _english():
    """Requests leave their language behind."""
    with override("en"):
        yield


def page(client, url: str, language: str = "en") -> str:
    # Public pages are kept for a moment.
    for kept in caches.all():
        kept.clear()
    answer = client.get(url, headers={"accept-language": language})
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def kinds_on(text: str) -> list[str]:
    """The kinds of the sessions, in their order."""
    found = re.findall(r'<p class="slot__kind">(.*?)(?: <strong|</p>)', text)
    return [each.strip() for each in found]


def navigation(text: str) -> str:
    return re.search('<a href="#strategies">(.*?)</a>', text)[1]


def heading(text: str) -> str:
    return re.search('<h2 id="strategies">(.*?)</h2>', text)[1]


def track_line(text: str) -> str:
    return re.search(r"<p>(?:Online, on Zoom|En línea, por Zoom)\. ?(.*?)</p>", text)[1]


def second(week: Event) -> Session:
    return week.sessions.all()[1]


def test_without_own_words_pages_have_ours(client, week):
    english, spanish = (page(client, week.get_absolute_url(), each) for each in ("en", "es"))
    assert kinds_on(english) == ["Kickoff", *["Strategy session"] * 4, "Closing session"]
    assert kinds_on(spanish) == ["Apertura", *["Sesión de estrategia"] * 4, "Sesión de clausura"]
    assert (navigation(english), heading(english)) == ("Strategies", "Four strategies")
    assert (navigation(spanish), heading(spanish)) == ("Estrategias", "Cuatro estrategias")
    week.tracks.first().delete()
    assert heading(page(client, week.get_absolute_url())) == "Strategies"


def test_event_page_has_own_words_in_both_languages(client, week):
    with_own_words(week)
    english, spanish = (page(client, week.get_absolute_url(), each) for each in ("en", "es"))
    assert kinds_on(english) == ["Welcome day", *["Evening talk"] * 4, "Assembly"]
    assert kinds_on(spanish) == ["Bienvenida", *["Charla"] * 4, "Asamblea"]
    assert (navigation(english), heading(english)) == ("Working groups", "Working groups")
    assert (navigation(spanish), heading(spanish)) == ("Grupos de trabajo", "Grupos de trabajo")


def test_page_of_a_session_names_its_kind_and_its_track(client, week):
    url = second(week).get_absolute_url()
    assert track_line(page(client, url)) == "Strategy: Legislation."
    with_own_words(week)
    english, spanish = page(client, url), page(client, url, "es")
    assert kinds_on(english) == ["Evening talk"]
    assert track_line(english) == "Working group: Legislation."
    assert kinds_on(spanish) == ["Charla"]
    assert track_line(spanish) == "Grupo de trabajo: Legislación."


def test_each_word_can_be_renamed_alone(client, week):
    with_own_words(week, name_of_closing_en="Assembly", name_of_closing_es="Asamblea")
    text = page(client, week.get_absolute_url())
    assert kinds_on(text) == ["Kickoff", *["Strategy session"] * 4, "Assembly"]
    assert heading(text) == "Four strategies"
    with_own_words(week, name_of_closing_en=None, name_of_closing_es=None)
    with_own_words(week, word_for_track_en="Working group", word_for_tracks_en="Working groups")
    text = page(client, week.get_absolute_url())
    assert kinds_on(text) == ["Kickoff", *["Strategy session"] * 4, "Closing session"]
    assert heading(text) == "Working groups"


def test_words_in_one_language_are_marked_in_the_other(client, week):
    with_own_words(
        week,
        name_of_kickoff_en="Welcome <day>",
        word_for_track_en="Working group",
        word_for_tracks_en="Working groups",
    )
    text = page(client, week.get_absolute_url(), "es")
    assert kinds_on(text)[0] == '<span lang="en">Welcome &lt;day&gt;</span>'
    assert heading(text) == '<span lang="en">Working groups</span>'
    assert "Parte de esta página está solo en inglés." in text
    line = track_line(page(client, second(week).get_absolute_url(), "es"))
    assert line.startswith('<span lang="en">Working group</span>: ')


def test_words_are_text(client, week):
    with_own_words(week, word_for_track_en="<i>100%s", word_for_tracks_en="<b>%(word)s")
    assert heading(page(client, week.get_absolute_url())) == "&lt;b&gt;%(word)s"
    assert "&lt;i&gt;100%s: " in page(client, second(week).get_absolute_url())


def test_a_week_that_is_over_says_so_without_the_word(client, week):
    Session.objects.update(starts_at="2020-10-10 16:00+0000", ends_at="2020-10-10 18:00+0000")
    ours = "<strong>This Strategy Week is over.</strong>"
    assert ours in page(client, week.get_absolute_url())
    text = page(client, with_own_words(week).get_absolute_url())
    assert "<strong>Our week is over.</strong> Thank you to everyone who came." in text
    assert ours not in text


@pytest.mark.parametrize("code", ["en", "es"])
@pytest.mark.parametrize("name", ["word_for_track", "word_for_tracks"])
def test_a_language_has_both_words_for_strategies_or_neither(week, name, code):
    setattr(week, f"{name}_{code}", "Group")
    with pytest.raises(ValidationError, match="Write the word for one and for several"):
        week.validate_constraints()
    with pytest.raises(IntegrityError), transaction.atomic():
        week.save()
    week.word_for_track_en = week.word_for_tracks_en = "Group"
    week.word_for_track_es = week.word_for_tracks_es = None
    week.save()
