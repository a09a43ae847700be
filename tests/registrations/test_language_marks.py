"""Texts in another language than the page's or the email's are marked, wherever they are shown."""

import datetime as dt
from html.parser import HTMLParser
from typing import Any

import pytest
import time_machine
from django.utils import timezone
from django.utils.translation import override

from events.models import AgendaItem, Event, Session, Speaker, Track
from registrations.mail import previews
from registrations.mail.unsubscribe import unsubscribe_url
from registrations.mail_kinds import MailKind
from registrations.models import MailText, Question, Registration, Seat
from tests.people import filled_form, in_english, in_spanish, published_event, sign_up

pytestmark = pytest.mark.django_db

VOID = {"br", "hr", "img", "input", "link", "meta"}
SPANISH = {"headers": {"accept-language": "es"}}


class TextsByLanguage(HTMLParser):
    """Collects the texts of a page's body, each with the nearest `lang`, unless it's hidden."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []
        self._open: list[tuple[str, str]] = [("", "")]
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in VOID:
            return
        given = dict(attrs)
        language = given.get("lang") or self._open[-1][1]
        if tag in ("head", "script") or "display:none" in (given.get("style") or ""):
            language = "hidden"
        self._open.append((tag, language))

    def handle_endtag(self, tag: str) -> None:
        while self._open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.found.append((self._open[-1][1], " ".join(data.split())))


def english(page: str) -> set[str]:
    """The organizers' texts that are shown. Each must be marked as English."""
    found = TextsByLanguage(page).found
    assert {language for language, _text in found} <= {"es", "en", "hidden"}
    unmarked = [text for language, text in found if "ENGLISH" in text and language == "es"]
    assert unmarked == []
    return {text for language, text in found if language == "en"}


FIELDS: list[tuple[Any, list[str]]] = [
    (Event, ["name", "summary", "introduction"]),
    (Track, ["name", "description"]),
    (Session, ["title", "summary"]),
    (AgendaItem, ["title", "description"]),
    (Speaker, ["name", "affiliation"]),
    (Question, ["text", "help_text"]),
]


@pytest.fixture(autouse=True)
def _english():
    """Requests leave their language behind."""
    with override("en"):
        yield


@pytest.fixture
def english_only(week, opening) -> Event:
    """A week of which nothing is in Spanish."""
    question = Question.objects.create(
        event=week, kind="choices", **in_english(text="Lunch?", choices="ENGLISH meat\nVegan")
    )
    question.sessions.add(opening)
    Session.objects.filter(pk=opening.pk).update(track=week.tracks.first())
    for model, names in FIELDS:
        for row in model.objects.all():
            texts = {name: f"ENGLISH {model.__name__} {name} {row.pk}" for name in names}
            empty = dict.fromkeys(names)
            model.objects.filter(pk=row.pk).update(**in_english(**texts), **in_spanish(**empty))
    return Event.objects.get()


def test_public_pages_mark_all_texts(client, english_only, opening):
    url = english_only.get_absolute_url()
    for path in (url, opening.get_absolute_url(), f"{url}register/", f"{url}find/"):
        shown = english(client.get(path, **SPANISH).content.decode())
        assert f"ENGLISH Event name {english_only.pk}" in shown
    track = opening.track or english_only.tracks.first()
    page = client.get(opening.get_absolute_url(), **SPANISH).content.decode()
    assert f"ENGLISH Track name {track.pk}" in english(page)
    page = client.get(f"{url}register/", **SPANISH).content.decode()
    assert f'Si vienes a “<span lang="en">ENGLISH Session title {opening.pk}</span>”' in page
    answer = client.post(f"{url}register/", filled_form(english_only, name=""), **SPANISH)
    english(answer.content.decode())
    Session.objects.update(status="draft")
    english(client.get(f"{url}register/", **SPANISH).content.decode())


def test_own_pages_mark_all_texts(client, english_only, opening):
    question = Question.objects.get()
    ines = sign_up(english_only, language="es", answers={question: ["ENGLISH meat"]})
    me = ines.get_absolute_url()
    paths = ("", "schedule/", "change/", "cancel/", "renew/", "erase/")
    shown = set[str]()
    for url in (*(f"{me}{path}" for path in paths), f"/join/{ines.token}/opening/"):
        shown |= english(client.get(url).content.decode())
    for model, names in FIELDS[2:4]:
        row = model.objects.first()
        assert {f"ENGLISH {model.__name__} {names[0]} {row.pk}", "ENGLISH meat"} <= shown
    english(client.get(unsubscribe_url(ines)).content.decode())
    english(client.post(unsubscribe_url(ines)).content.decode())
    Session.objects.update(recording_url="https://example.org/r", notes_url="https://example.org/n")
    with time_machine.travel(english_only.sessions.last().ends_at + dt.timedelta(minutes=5)):
        english(client.get(me).content.decode())
    Seat.objects.update(state="waiting", waiting_since=timezone.now())
    english(client.get(me).content.decode())
    Registration.objects.update(approval="pending")
    english(client.get(me).content.decode())


def test_sessions_that_can_no_longer_be_changed_are_marked(client, english_only, opening):
    ines = sign_up(english_only, language="es")
    had = [str(each.pk) for each in english_only.sessions.all()]
    Session.objects.filter(pk=opening.pk).update(canceled_at=timezone.now())
    form = {"name": "Inés", "time_zone": "America/New_York", "sessions": had[1:], "had": had}
    page = client.post(f"{ines.get_absolute_url()}change/", form).content.decode()
    assert f'“<span lang="en">ENGLISH Session title {opening.pk}</span>”' in page
    english(page)


def test_page_of_a_lost_link_marks_the_events(client, english_only):
    other = published_event(slug="other", time_zone="UTC", **in_english(name="ENGLISH Other"))
    starts_at = timezone.now() + dt.timedelta(days=1)
    ends_at = starts_at + dt.timedelta(hours=1)
    Session.objects.create(event=other, title="S", slug="s", starts_at=starts_at, ends_at=ends_at)
    page = client.get("/me/unknown/", **SPANISH).content.decode()
    assert {f"ENGLISH Event name {english_only.pk}", "ENGLISH Other"} <= english(page)


@pytest.mark.parametrize("kind", [kind for kind in MailKind if not kind.spec.is_stored])
def test_emails_mark_all_texts(english_only, kind):
    with override("es"):
        mail: Any = previews.sample(kind, english_only)
    page = str(mail.alternatives[0][0])
    assert f"ENGLISH Event name {english_only.pk}" in english(page)
    assert "<span" not in str(mail.body)


def test_values_in_an_own_text_are_marked(english_only):
    text = "Ven a {event}, <{name}>:\r\n\r\n{session} {{aquí}}"
    MailText.objects.create(event=english_only, kind="doors", **in_spanish(opening=text))
    with override("es"):
        mail: Any = previews.sample(MailKind.DOORS, english_only)
    assert "Ven a ENGLISH Event name" in mail.body
    page = str(mail.alternatives[0][0])
    assert 'Ven a <span lang="en">ENGLISH Event name' in page
    assert "&lt;" in page
    assert "{aquí}" in page
    english(page)
