"""The readiness board says which texts lack a language, and where to add them."""

import datetime as dt
import html
import re
import uuid

import pytest
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import override

from events.models import AgendaItem, Event, Session, Track
from registrations.models import MailText, Question
from tests.admin_pages import path
from tests.people import in_english, in_spanish
from tests.registrations.readiness.people import queries

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _english():
    """Requests leave their language behind."""
    with override("en"):
        yield


def board(client, week: Event, language: str = "en") -> str:
    url = reverse("admin:registrations_registration_readiness", args=[week.pk])
    page: str = client.get(url, headers={"accept-language": language}).content.decode()
    return page


def notes(client, week: Event, language: str = "en") -> list[str]:
    """The board's paragraphs about languages, without tags."""
    found = re.findall('<p class="lacking-texts">(.*?)</p>', board(client, week, language))
    texts = [html.unescape(re.sub("<[^>]+>", "", each)) for each in found]
    return texts


def test_week_in_both_languages_has_no_note(admin_client, week):
    assert notes(admin_client, week) == []


def test_texts_in_one_language_are_named_with_a_link(admin_client, week, opening):
    Event.objects.update(**in_spanish(introduction=None))
    Track.objects.filter(pk=week.tracks.first().pk).update(**in_spanish(description=""))
    Session.objects.filter(pk=opening.pk).update(**in_english(summary=None))
    AgendaItem.objects.filter(session=opening).update(**in_spanish(title=None))
    items = opening.agenda.count()
    assert notes(admin_client, week) == [
        f"1 text isn't in English yet: {str(opening)[:39]}… (summary)",
        f"{items + 2} texts aren't in Spanish yet: {week} (introduction and strategies); "
        f"{str(opening)[:39]}… (agenda items)",
    ]
    page = board(admin_client, week)
    for row in (week, opening):
        assert f'<a href="{path(row)}">{str(row)[:39]}' in page
    assert notes(admin_client, week, "es")[1].startswith(f"{items + 2} textos aún no están en esp")


def test_questions_and_own_email_texts_are_looked_at_too(admin_client, week):
    asked = Question.objects.create(event=week, **in_english(text="Lunch?", help_text="Free"))
    Question.objects.create(event=week, is_asked=False, **in_english(text="Old?"))
    own = MailText.objects.create(event=week, kind="links", **in_english(opening="Hi"))
    assert notes(admin_client, week) == [
        f"3 texts aren't in Spanish yet: Lunch? (question and help text); {own} (opening)"
    ]
    page = board(admin_client, week)
    assert (path(asked) in page, path(own) in page) == (True, True)


def test_what_is_over_or_canceled_is_not_named(admin_client, week, opening, later):
    Session.objects.update(**in_spanish(title=None))
    ended = timezone.now() - dt.timedelta(hours=1)
    Session.objects.filter(pk=opening.pk).update(
        starts_at=ended - dt.timedelta(hours=1), ends_at=ended
    )
    Session.objects.filter(pk=later.pk).update(canceled_at=ended)
    (note,) = notes(admin_client, week)
    assert note.startswith("4 texts aren't in Spanish yet: ")
    assert (opening.title[:30] in note, later.title[:30] in note) == (False, False)


def test_event_in_one_language_has_no_note(admin_client, week):
    for model, names in (
        (Event, ("name", "summary", "introduction", "recording_note")),
        (Track, ("name", "description")),
        (Session, ("title", "short_title", "summary")),
        (AgendaItem, ("title", "description")),
    ):
        model.objects.update(**in_spanish(**dict.fromkeys(names)))
    assert notes(admin_client, week) == []
    Session.objects.filter(slug="opening").update(**in_spanish(title="Hola"))
    assert len(notes(admin_client, week)) == 1


def test_many_places_are_cut_off(admin_client, week):
    for number in range(14):
        Question.objects.create(event=week, **in_english(text=f"Question {number}?"))
    (note,) = notes(admin_client, week)
    assert note.startswith("14 texts")
    assert note.endswith("Question 11? (question) …")


def test_number_of_queries_does_not_depend_on_the_number_of_texts(admin_client, week):
    Question.objects.create(event=week, **in_english(text="Lunch?"))
    few = queries(lambda: board(admin_client, week))
    for number, title in enumerate(["A", "B", "C"]):
        more = week.sessions.first()
        more.pk, more.uid, more.slug, more.title_en = None, uuid.uuid4(), f"more-{number}", title
        more.save()
        AgendaItem.objects.create(session=more, title="Item")
    Session.objects.update(**in_spanish(title=None))
    AgendaItem.objects.update(**in_spanish(title=None))
    for number in range(5):
        Question.objects.create(event=week, **in_english(text=f"Question {number}?"))
    assert queries(lambda: board(admin_client, week)) == few
