"""An event's own words for its kinds of sessions and its strategies, where people register, and
where organizers look after them."""

import re
from html import unescape

import pytest
from django.core.cache import caches
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.translation import override

from events.models import Event, Track
from registrations.desk import numbers
from registrations.models import Announcement, Registration
from tests.admin_pages import path
from tests.people import in_spanish, sign_up, with_own_words
from tests.registrations.admin.announcements.pages import ADD, errors

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _english():
    """Requests leave their language behind."""
    with override("en"):
        yield


@pytest.fixture
def alice(week) -> Registration:
    return sign_up(week, strategies=[week.tracks.first()])


def page(client, url: str, language: str = "en") -> str:
    for kept in caches.all():
        kept.clear()
    answer = client.get(url, headers={"accept-language": language})
    return unescape(" ".join(answer.content.decode().split()))


def labels(text: str) -> list[str]:
    """The labels of groups of checkboxes."""
    return [each.strip() for each in re.findall(r"<legend[^>]*>(.*?)</legend>", text)]


# Public pages


def test_register_page_asks_about_strategies_in_the_events_words(client, week):
    url = f"/{week.slug}/register/"
    assert any("Strategies you care about" in each for each in labels(page(client, url)))
    assert any("Estrategias que te importan" in each for each in labels(page(client, url, "es")))
    with_own_words(week)
    assert any("Working groups you care about" in each for each in labels(page(client, url)))
    assert any("Grupos de trabajo" in each for each in labels(page(client, url, "es")))


def test_wrong_choice_is_explained_in_the_events_words(client, week):
    def answer() -> str:
        return client.post(f"/{week.slug}/register/", {"strategies": ["0"]}).content.decode()

    assert "Choose strategies from the list." in answer()
    with_own_words(week)
    assert "Choose strategies from the list." not in answer()
    assert "Choose from the list." in answer()


def test_own_page_and_change_form_have_the_words(client, week, alice):
    urls = [f"/me/{alice.token}/", f"/me/{alice.token}/change/"]
    assert all("Strategies you care about" in page(client, url) for url in urls)
    with_own_words(week)
    for url in urls:
        text = page(client, url)
        assert "Working groups you care about" in text
        assert "Strategies you care about" not in text


def test_schedule_and_page_before_approval_name_the_kinds(client, week, alice):
    def kinds() -> set[str]:
        urls = [f"/me/{alice.token}/schedule/", f"/me/{waits.token}/"]
        found = [re.findall('<p class="slot__kind">(.*?)</p>', page(client, url)) for url in urls]
        assert found[0] == found[1]
        return {each.strip() for each in found[0]}

    Event.objects.update(requires_approval=True)
    week.refresh_from_db()
    waits = sign_up(week, "Bob B")
    assert kinds() == {"Kickoff", "Strategy session", "Closing session"}
    with_own_words(week)
    assert kinds() == {"Welcome day", "Evening talk", "Assembly"}


@pytest.mark.parametrize("where", ["", "schedule/"])
def test_own_words_take_no_queries(client, week, alice, where):
    url = f"/me/{alice.token}/{where}"
    counts = []
    for rename in (False, True):
        if rename:
            with_own_words(week)
        with CaptureQueriesContext(connection) as asked:
            page(client, url)
        counts.append(len(asked))
    assert counts[0] == counts[1]


def test_erasing_names_what_people_told_us_in_the_events_words(client, week, alice):
    url = f"/me/{alice.token}/erase/"
    assert "organization, state, strategies, needs, and answers" in page(client, url)
    with_own_words(week)
    assert "organization, state, “Working groups”, needs, and answers" in page(client, url)


def test_phone_card_has_no_word_of_ours(client, week, alice):
    Event.objects.update(zoom_mode="personal")
    url = f"/me/{alice.token}/phone/"
    assert "for this Strategy Week, so there's no phone number" in page(client, url)
    with_own_words(week)
    assert "their own Zoom link for these sessions, so there's no phone number" in page(client, url)


# Organizers


def test_person_in_the_admin_has_the_words_of_their_event(admin_client, week, alice):
    assert "Strategies of interest:" in page(admin_client, path(alice))
    with_own_words(week)
    text = page(admin_client, path(alice))
    assert "Working groups of interest:" in text
    assert "Strategies of interest" not in text


def test_desk_counts_people_under_the_events_word(week, alice):
    assert next(iter(numbers.people_by(week))) == "By strategy"
    with_own_words(week)
    found = numbers.people_by(week)
    assert next(iter(found)) == "Working groups"
    assert [figure.number for figure in found["Working groups"]] == [1]
    with override("es"):
        assert next(iter(numbers.people_by(week))) == "Grupos de trabajo"


def test_announcements_form_has_the_words_of_its_event(admin_client, week):
    text = page(admin_client, ADD)
    assert "People interested in one strategy" in text
    assert re.search(r'for="id_track"[^>]*> ?Strategy:', text)
    with_own_words(week)
    text = page(admin_client, ADD)
    assert "People with this interest (Working group)" in text
    assert re.search(r'for="id_track"[^>]*> ?Working group:', text)
    assert "interested in one strategy" not in text


@pytest.mark.parametrize(
    ("own", "required", "wrong"),
    [
        (False, "Choose a strategy. The people", "“People interested in one strategy” above"),
        (True, "Choose one. The people", "“People with this interest (Working group)” above"),
    ],
)
def test_announcements_errors_have_the_words_of_its_event(admin_client, week, own, required, wrong):
    if own:
        with_own_words(week)
    assert errors(admin_client, week, audience="track")["track"][0].startswith(required)
    track = week.tracks.first().pk
    assert wrong in errors(admin_client, week, track=track)["track"][0]


def test_announcements_recipients_are_named_in_the_events_words(admin_client, week):
    track = week.tracks.first()
    announcement = Announcement.objects.create(
        event=week, subject="News", body="Hi", audience="track", track=track
    )
    url = f"/admin/registrations/announcement/{announcement.pk}/review/"
    assert f"People interested in one strategy: {track}" in page(admin_client, url)
    with_own_words(week)
    assert f"People with this interest (Working group): {track}" in page(admin_client, url)


def test_missing_translations_are_listed_under_the_events_word(admin_client, week):
    Track.objects.filter(pk=week.tracks.first().pk).update(**in_spanish(description=""))
    url = f"/admin/registrations/registration/readiness/{week.pk}/"
    assert "(strategies)" in page(admin_client, url)
    with_own_words(week)
    assert "(Working groups)" in page(admin_client, url)
