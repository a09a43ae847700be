"""A session's own page: hosts, an outline, and the way to the other sessions."""

import re
from typing import Any

import pytest
from django.utils import translation

from events.models import Session, Speaker
from events.schedule import edit_session
from tests.people import in_english, in_spanish

pytestmark = [pytest.mark.django_db, pytest.mark.once]


@pytest.fixture(autouse=True)
def _fresh_pages(settings):
    dummy = {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}
    settings.CACHES = {**settings.CACHES, "pages": dummy}


def page(client, session: Session, language: str = "en") -> str:
    response = client.get(session.get_absolute_url(), headers={"accept-language": language})
    assert response.status_code == 200
    return response.content.decode().replace("&#x27;", "'")


def hosts(client, session: Session) -> list[str]:
    return re.findall(r'class="person__name">([^<]*)<', page(client, session))


def outline(client, session: Session) -> list[str]:
    found = re.search(r'<ol class="outline">(.*?)</ol>', page(client, session), re.DOTALL)
    return re.findall(r"<li>([^<]*)</li>", found[1]) if found else []


def test_hosts_are_public_and_speakers_of_the_agenda_are_not(client, week, opening):
    speakers = Speaker.objects.filter(agenda_items__session=opening).distinct()
    assert hosts(client, opening) == ["Week hosts"]
    text = page(client, opening)
    assert "They open and close the week" in text
    shown = [each.name for each in speakers if each.name in text]
    assert (len(speakers), shown) == (8, ["Week hosts"])
    opening.hosts.clear()
    assert hosts(client, opening) == []
    assert 'id="hosts"' not in page(client, opening)


def test_outline_has_titles_only_and_only_if_chosen(client, week, opening):
    items = opening.agenda.all()
    assert outline(client, opening) == [item.title for item in items]
    text = page(client, opening)
    assert [
        item.description for item in items if item.description and item.description in text
    ] == []
    Session.objects.update(shows_outline=False)
    assert outline(client, opening) == []
    assert 'id="outline"' not in page(client, opening)


def test_a_new_session_shows_neither(week):
    session = Session(event=week)
    assert (session.shows_outline, session.shows_recording) == (False, False)


def test_page_leads_to_the_sessions_before_and_after(client, week):
    first, second, third, *_rest, last = week.sessions.all()
    links = r'class="neighbors__(\w+)" href="([^"]*)".*?<b>([^<]*)</b>'
    before = ("previous", first.get_absolute_url(), "Opening session")
    after = ("next", third.get_absolute_url(), "Increasing Commutations")
    assert re.findall(links, page(client, second)) == [before, after]
    assert [each[0] for each in re.findall(links, page(client, first))] == ["next"]
    assert [each[0] for each in re.findall(links, page(client, last))] == ["previous"]


def test_page_lists_the_whole_week_and_marks_itself(client, week, later):
    text = page(client, later)
    found = re.search(r'<ol class="week">(.*?)</ol>', text, re.DOTALL)[1]
    assert re.findall(r'href="([^"]*)"', found) == [
        each.get_absolute_url() for each in week.sessions.all()
    ]
    assert re.findall(r'href="([^"]*)" aria-current="page"', found) == [later.get_absolute_url()]


def test_only_session_of_a_week_has_no_neighbors(client, week, opening):
    week.sessions.exclude(pk=opening.pk).delete()
    assert "neighbors" not in page(client, opening)


@pytest.mark.parametrize("sessions", [1, 6])
@pytest.mark.parametrize("people", [1, 3])
def test_page_takes_the_same_queries_for_more(
    client, week, opening, sessions, people, django_assert_num_queries
):
    Session.objects.exclude(pk__in=week.sessions.all()[:sessions]).delete()
    opening.hosts.set(week.speakers.all()[:people])
    with django_assert_num_queries(4):
        page(client, opening)


# Short titles


def test_short_title_is_the_heading_and_the_full_one_follows(client, week, later):
    text = page(client, later)
    assert 'id="session-title">Legislation and Policy</h1>' in text
    assert ">Legislation and Policy (discussion and brainstorming)</p>" in text
    Session.objects.filter(pk=later.pk).update(
        **in_english(short_title=""), **in_spanish(short_title=None)
    )
    text = page(client, later)
    assert 'id="session-title">Legislation and Policy (discussion and brainstorming)</h1>' in text
    assert ">Legislation and Policy (discussion and brainstorming)</p>" not in text


@pytest.mark.parametrize(
    ("titles", "english", "spanish"),
    [
        ({"title_en": "A", "title_es": "B"}, "A", "B"),
        ({"title_en": "A", "title_es": "B", "short_title_en": "a"}, "a", "B"),
        ({"title_en": "A", "short_title_en": "a"}, "a", "a"),
        ({"title_en": "A", "short_title_es": "b"}, "A", "b"),
        ({"title_es": "B", "short_title_en": "a", "short_title_es": "b"}, "a", "b"),
    ],
)
def test_brief_title_is_in_the_readers_language_if_any_is(titles, english, spanish):
    session = Session(**titles)
    found = []
    for language in ("en", "es"):
        with translation.override(language):
            found.append(session.brief_title)
    assert found == [english, spanish]


def test_short_title_hosts_and_public_choices_notify_no_one(week, opening):
    session: Any
    with edit_session(opening.pk) as session:
        session.short_title_en, session.shows_outline, session.shows_recording = (
            "Start",
            False,
            True,
        )
        session.save()
        session.hosts.clear()
    assert week.sessions.get(pk=opening.pk).revision == 0
