"""Two tabs on a question, an email text or an announcement: the second save overwrites nothing."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any, NamedTuple

import pytest
from django.db import connection
from django.test import Client

from events.models import Event
from registrations.models import Announcement, MailText, Question
from tests.admin_pages import form_of, path

pytestmark = pytest.mark.django_db


class Edited(NamedTuple):
    """A row, and two of its text fields."""

    row: Any
    one: str
    other: str


def question(week: Event) -> Edited:
    row = Question.objects.create(event=week, text="How did you hear of us?")
    return Edited(row, "text_en", "help_text_en")


def mail_text(week: Event) -> Edited:
    row = MailText.objects.create(event=week, kind="links", subject="Your links")
    return Edited(row, "subject_en", "opening_en")


def announcement(week: Event) -> Edited:
    row = Announcement.objects.create(event=week, subject="News", body="Some.\n\nMore.")
    return Edited(row, "subject_en", "body_en")


@pytest.fixture(params=[question, mail_text, announcement])
def edited(request, week) -> Edited:
    return request.param(week)


def values(edited: Edited) -> tuple[str, str]:
    edited.row.refresh_from_db()
    return getattr(edited.row, edited.one), getattr(edited.row, edited.other)


def test_different_fields_are_merged(organizer, edited):
    url = path(edited.row)
    form = form_of(organizer, url)
    assert organizer.post(url, form | {edited.one: "One"}).status_code == 302
    assert organizer.post(url, form | {edited.other: "Other"}).status_code == 302
    assert values(edited) == ("One", "Other")


def test_same_field_asks_and_then_saves(organizer, edited):
    url = path(edited.row)
    form = form_of(organizer, url)
    organizer.post(url, form | {edited.one: "One"})
    mine = form | {edited.one: "Two"}
    answer = organizer.post(url, mine)
    ((name, (error,)),) = answer.context["adminform"].form.errors.items()
    assert name == edited.one
    assert "<dt>You wrote</dt><dd>Two</dd><dt>They saved</dt><dd>One</dd>" in error
    assert values(edited)[0] == "One"
    assert organizer.post(url, mine | {"opened": answer.context["opened"]}).status_code == 302
    assert values(edited)[0] == "Two"


def test_page_with_nothing_changed_writes_nothing(organizer, edited):
    url = path(edited.row)
    form = form_of(organizer, url)
    organizer.post(url, form | {edited.one: "One"})
    rows = type(edited.row).objects.filter(pk=edited.row.pk).values()
    before = rows.get()
    windows = {
        name: value.replace("\n", "\r\n") if isinstance(value, str) else value
        for name, value in form.items()
    }
    assert organizer.post(url, windows).status_code == 302
    assert rows.get() == before


def test_sessions_of_a_question_are_merged(organizer, week):
    row = question(week).row
    form = form_of(organizer, path(row))
    chosen = [each.pk for each in week.sessions.all()[:2]]
    organizer.post(path(row), form | {"sessions": chosen})
    assert organizer.post(path(row), form | {"text_en": "Lunch?"}).status_code == 302
    row.refresh_from_db()
    assert ({each.pk for each in row.sessions.all()}, row.text_en) == ({*chosen}, "Lunch?")
    answer = organizer.post(path(row), form | {"sessions": chosen[:1]})
    (error,) = answer.context["adminform"].form.errors["sessions"]
    for session in week.sessions.all()[:2]:
        assert str(session.title) in error


@pytest.mark.django_db(transaction=True)
def test_of_saves_at_the_same_moment_one_asks(organizer, week):
    row = question(week).row
    form = form_of(organizer, path(row))
    barrier = Barrier(4)

    def save_at_once(text: str) -> int:
        client = Client()
        client.cookies = organizer.cookies
        try:
            barrier.wait(10)
            return client.post(path(row), form | {"text_en": text}).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        saved = [*pool.map(save_at_once, "ABCD")]
    assert sorted(saved) == [200, 200, 200, 302]
    row.refresh_from_db()
    assert row.text_en == "ABCD"[saved.index(302)]
