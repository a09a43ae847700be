"""A week with its own words for sessions and strategies: no page or email of it has ours."""

import datetime as dt
import email.policy
import html
import re
from collections.abc import Iterator
from email import message_from_bytes
from typing import Any

import pytest
from django.core.cache import caches
from django.test import Client
from django.utils import timezone
from django.utils.translation import override

from events.models import AgendaItem, Event, Session, Track
from registrations import signup
from registrations.mail import kinds, previews
from registrations.models import Registration
from tests.people import in_english, in_spanish, sign_up, with_own_words
from tests.public_urls import Visitors, filled, parameters, public_routes

pytestmark = pytest.mark.django_db

OURS = re.compile(r"\w*(?:strateg|estrateg|kickoff|apertura|clausura)\w*|closing session", re.I)
# The site's name, and what only programs read.
NOT_MEANT = re.compile(
    r"Strategy Week|Semana de Estrategia|strategyweek|strategy-week"
    r'|<(?:script|link) [^>]*>|(?:class|id|for|name|href|aria-\w+by)="[^"]*"|"strategies":',
    re.I,
)
# These pages are about no event.
OF_THE_SITE = ("/accounts/", "/icons/", "/images/")


def ours_in(text: str) -> list[str]:
    return OURS.findall(NOT_MEANT.sub("", html.unescape(text)))


@pytest.fixture(autouse=True)
def _english() -> Iterator[None]:
    """Requests leave their language behind."""
    with override("en"):
        yield


@pytest.fixture
def renamed(week: Event) -> Event:
    """The week with its own words, and in its own texts none of ours."""
    with_own_words(week)
    Event.objects.update(
        **in_english(name="Spring Gathering", summary="Four evenings.", introduction="Come."),
        **in_spanish(name="Encuentro", summary="Cuatro noches.", introduction="Ven."),
        slug="spring",
    )
    for number, session in enumerate(week.sessions.all()):
        texts: dict[str, Any] = {"summary": "", "short_title": ""}
        titles = {**in_english(title=f"Day {number}"), **in_spanish(title=f"Día {number}")}
        Session.objects.filter(pk=session.pk).update(
            **titles, **in_english(**texts), **in_spanish(**texts), slug=f"day-{number}"
        )
    AgendaItem.objects.update(**in_english(description=""), **in_spanish(description=""))
    Track.objects.update(**in_english(description=""), **in_spanish(description=""))
    week.refresh_from_db()
    return week


@pytest.fixture
def texts_in_agendas(renamed: Event) -> None:
    """Titles of the agenda that the shipped week brings along."""
    AgendaItem.objects.update(**in_english(title="Talk"), **in_spanish(title="Plática"))


def get(client: Client, url: str, language: str) -> str:
    # Someone's own pages are in the language they registered in.
    Registration.objects.update(language=language)
    # Public pages are kept for a moment.
    for kept in caches.all():
        kept.clear()
    answer = client.get(url, headers={"accept-language": language}, follow=True)
    assert answer.status_code in (200, 404, 405), url
    kind = answer.headers["Content-Type"]
    if kind.startswith(("image/png", "image/webp", "application/octet")):
        return ""
    return (b"".join(answer) if answer.streaming else answer.content).decode()


def pages(week: Event, language: str) -> Iterator[tuple[str, str]]:
    values = parameters(week)
    alice = Registration.objects.get(token=values["token"])
    alice.strategies.set(week.tracks.all())
    client = Visitors(values).client("attendee")
    for route in public_routes():
        url = filled(route, values)
        if not url.startswith(OF_THE_SITE):
            yield url, get(client, url, language)
    for session in week.sessions.all():
        yield session.slug, get(client, session.get_absolute_url(), language)


@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.usefixtures("texts_in_agendas")
def test_no_page_has_our_words(renamed, language):
    found = {url: ours_in(text) for url, text in pages(renamed, language)}
    assert len(found) > 30
    assert {url: words for url, words in found.items() if words} == {}


@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.usefixtures("texts_in_agendas")
def test_no_page_of_a_week_that_is_over_has_our_words(renamed, language):
    values = parameters(renamed)
    starts = timezone.now() - dt.timedelta(days=2)
    Session.objects.update(starts_at=starts, ends_at=starts + dt.timedelta(hours=1))
    client = Client()
    for url in (
        renamed.get_absolute_url(),
        f"/me/{values['token']}/",
        f"/{renamed.slug}/register/",
    ):
        assert ours_in(get(client, url, language)) == []


@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.usefixtures("texts_in_agendas")
def test_no_own_page_has_our_words_before_approval_or_without_a_phone_number(
    client, renamed, language
):
    Event.objects.update(requires_approval=True, zoom_mode="personal")
    renamed.refresh_from_db()
    waits = sign_up(renamed, "Bob B", strategies=list(renamed.tracks.all()))
    page = get(client, f"/me/{waits.token}/", language)
    assert ("Welcome day" if language == "en" else "Bienvenida") in page
    assert ours_in(page) == []
    signup.approve(registrations=[waits])
    card = get(client, f"/me/{waits.token}/phone/", language)
    assert ours_in(card) == []


@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.usefixtures("texts_in_agendas")
def test_no_error_of_a_form_has_our_words(client, renamed, language):
    url = f"/{renamed.slug}/register/"
    sent = {"strategies": ["0"], "sessions": ["0"]}
    answer = client.post(url, sent, headers={"accept-language": language})
    text = answer.content.decode()
    assert (
        "Choose from the list." if language == "en" else "Elige una opción de la lista."
    ) in text
    assert ours_in(text) == []


@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.usefixtures("texts_in_agendas")
def test_no_email_has_our_words(renamed, language):
    with override(language):
        for kind in kinds.COMPOSERS:
            sent = previews.sample(kind, renamed).message().as_bytes()
            message = message_from_bytes(sent, policy=email.policy.default)
            text = "".join(
                part.get_content()
                for part in message.walk()
                if part.get_content_maintype() == "text"
            )
            assert len(text) > 200
            assert ours_in(f"{message['Subject']} {text}") == [], kind


def test_our_words_are_found_where_a_week_has_none_of_its_own(client, week):
    """Or the tests above would find nothing."""
    found = {ours.lower() for ours in ours_in(get(client, week.get_absolute_url(), "en"))}
    assert {"kickoff", "strategy", "closing session", "strategies"} <= found
    found = {ours.lower() for ours in ours_in(get(client, week.get_absolute_url(), "es"))}
    assert {"apertura", "estrategia", "clausura", "estrategias"} <= found
