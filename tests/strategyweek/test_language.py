"""Which language pages and emails are in."""

import datetime as dt
import re
from typing import Any

import pytest
from django import forms
from django.core.exceptions import ValidationError
from django.utils import translation

from events import languages
from events.models import Event, Session
from registrations import signup
from registrations.mail import writer
from registrations.mail.unsubscribe import unsubscribe_url
from registrations.models import OutgoingMail, Registration
from tests.people import filled_form, in_spanish, sign_up

pytestmark = pytest.mark.django_db

SPANISH, ENGLISH = '<html lang="es"', '<html lang="en"'

OWN_PAGES = ("{}schedule/", "{}cancel/", "{}renew/", "{}erase/")


@pytest.fixture(autouse=True)
def _english():
    """Requests leave their language behind."""
    with translation.override("en"):
        yield


def language(response) -> str:
    return response.content.decode().partition('<html lang="')[2][:2]


@pytest.mark.parametrize(
    ("accepted", "shown"),
    [
        ("es-MX,es;q=0.9,en;q=0.5", "es"),
        ("en-US,en;q=0.9,es;q=0.5", "en"),
        ("fr-CA,fr", "en"),
        ("x" * 10_000, "en"),
        ("es" + ",es;q=0.1" * 1_000, "es"),
        ("*;q=\0", "en"),
        ("", "en"),
    ],
)
def test_browsers_language_at_first(client, week, accepted, shown):
    for path in ("/", f"/{week.slug}/register/", f"/{week.slug}/find/", "/nothing-here/"):
        assert language(client.get(path, headers={"accept-language": accepted})) == shown


def test_chosen_language_is_remembered(client, week):
    answer = client.get(f"/{week.slug}/?language=es&from=flyer")
    assert (answer.status_code, answer["Location"]) == (302, f"/{week.slug}/?from=flyer")
    assert language(client.get("/", headers={"accept-language": "en"})) == "es"
    assert client.get("/?language=en")["Location"] == "/"
    assert language(client.get("/", headers={"accept-language": "es"})) == "en"


@pytest.mark.parametrize("code", ["xx", "", "es\r\nSet-Cookie: a=b", "ES", "../es"])
def test_unknown_language_changes_nothing(client, week, code):
    answer = client.get("/", {"language": code})
    assert (answer.status_code, answer.cookies) == (200, {})


@pytest.mark.parametrize("code", ["xx", "", "../es", "x" * 3_000])
def test_unknown_language_in_the_cookie_counts_as_no_choice(client, week, code):
    client.cookies["django_language"] = code
    for accepted in ("es", "en"):
        assert language(client.get("/", headers={"accept-language": accepted})) == accepted


def test_choice_leads_to_no_other_site(client):
    answer = client.get("/", {"language": "es"}, PATH_INFO="//example.org/")
    assert answer["Location"] == "/example.org/"


def test_pages_link_to_the_other_language(client, week):
    page = client.get("/").content.decode()
    assert '<a href="?language=es" hreflang="es" lang="es" rel="nofollow">Español</a>' in page
    page = client.get("/", headers={"accept-language": "es"}).content.decode()
    assert '<a href="?language=en" hreflang="en" lang="en" rel="nofollow">English</a>' in page


def test_link_to_the_other_language_keeps_the_query(client, week):
    """Also on a cached page, where each visitor has only their own."""
    link = '<a href="?next=%2Fadmin%2F&amp;language=es"'
    assert link in client.get("/accounts/login/?next=/admin/").content.decode()
    for source in ("flyer", "letter"):
        page = client.get(f"/{week.slug}/?from={source}").content.decode()
        assert f'<a href="?from={source}&amp;language=es"' in page
    Session.objects.update(status="draft")
    for _ in range(2):
        page = client.get(f"/{week.slug}/register/?from=flyer").content.decode()
        assert '<a href="?language=es"' in page
        assert "flyer" not in page


def test_answers_to_forms_link_to_the_week_in_the_other_language(client, week):
    """Their own addresses lead to a blank form, or no longer exist."""
    link = f'<a href="/{week.slug}/?language=es" hreflang="es"'
    client.post(f"/{week.slug}/register/", filled_form(week))
    erase = f"/me/{Registration.objects.get().token}/erase/"
    assert link in client.post(erase).content.decode()
    again = client.post(erase)
    assert (again.status_code, again.content.count(b'<a href="/?language=es"')) == (404, 1)


def test_pages_work_in_languages_that_django_does_not_know(client, settings):
    settings.LANGUAGES = [*settings.LANGUAGES, ("ht", "Kreyòl ayisyen"), ("tl", "Tagalog")]
    page = client.get("/nothing-here/").content.decode()
    names = re.findall('<a href="[^"]*" hreflang="(.+?)" lang=".+?" rel="nofollow">(.+?)</a>', page)
    assert names == [("es", "Español"), ("ht", "Kreyòl ayisyen"), ("tl", "Tagalog")]
    assert languages.note_on_page(["es", "ht"]).endswith("only in Spanish and Kreyòl ayisyen.")
    assert str(settings.MODELTRANSLATION_BUILD_LOCALIZED_VERBOSE_NAME("Title", "es")) == (
        "Title (Spanish)"
    )


def test_a_typed_date_has_one_meaning_in_spanish():
    """In English 10/12 is in October, in Spanish in December."""
    october = dt.date(2026, 10, 12)
    assert forms.DateInput().format_value(october) == "10/12/2026"
    assert forms.DateField().clean("10/12/2026") == october
    with translation.override("es"):
        assert forms.DateInput().format_value(october) == "2026-10-12"
        assert forms.DateField().clean("2026-10-12") == october
        with pytest.raises(ValidationError, match="como 2026-10-16"):
            forms.DateField().clean("10/12/2026")
        assert forms.TimeField().clean("6:00 PM") == dt.time(18)


def test_pages_are_laid_out_in_the_direction_of_their_language(client, settings):
    settings.LANGUAGES = [*settings.LANGUAGES, ("ar", "العربية")]
    for code, direction in (("ar", "rtl"), ("es", "ltr")):
        page = client.get("/nothing-here/", headers={"accept-language": code}).content.decode()
        assert f'<html lang="{code}" dir="{direction}">' in page


def test_malformed_request_is_answered_in_its_own_language(client):
    """And its page leads on: to the same address without the query."""
    too_many = "&".join(["x=1"] * 2_000)
    for accepted, other in (("es", "en"), ("en", "es")):
        for query in ("x=%00", too_many):
            client.get("/", headers={"accept-language": other})
            answer = client.get(f"/?{query}", headers={"accept-language": accepted})
            assert (answer.status_code, language(answer)) == (400, accepted)
            assert f'<a href="?language={other}"' in answer.content.decode()


def test_registration_keeps_the_language_it_was_made_in(client, week):
    client.get("/?language=es")
    client.post(f"/{week.slug}/register/", filled_form(week))
    registration = Registration.objects.get()
    assert registration.language == "es"
    client.get("/?language=en")
    paths = ("", "change/", "cancel/", "renew/", "erase/")
    for path in paths:
        assert language(client.get(f"/me/{registration.token}/{path}")) == "es"


def test_switching_on_the_own_page_also_switches_queued_emails(client, week):
    registration = sign_up(week)
    page = client.get(registration.get_absolute_url()).content.decode()
    action = f"/me/{registration.token}/language/"
    assert f'action="{action}"' in page
    answer = client.post(action, {"language": "es"})
    assert answer["Location"] == registration.get_absolute_url()
    assert language(client.get(registration.get_absolute_url())) == "es"
    for code in ("xx", "", "es\0"):
        client.post(action, {"language": code})
    registration.refresh_from_db()
    assert registration.language == "es"


def test_switching_on_an_own_page_leads_back_to_it_and_switches_the_site(client, week):
    registration = sign_up(week)
    me = registration.get_absolute_url()
    join = f"/join/{registration.token}/{week.sessions.first().slug}/"
    for number, path in enumerate((me, *OWN_PAGES, join)):
        url = path.format(me)
        page = client.get(url).content.decode()
        fields = dict(re.findall('<input type="hidden" name="(back|session)" value="(.+?)">', page))
        code = ("es", "en")[number % 2]
        answer = client.post(f"{me}language/", {"language": code, **fields})
        assert answer["Location"] == url
        assert (language(client.get(url)), language(client.get("/"))) == (code, code)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"back": ""},
        {"back": "https://example.org/"},
        {"back": "//example.org"},
        {"back": "admin:index"},
        {"back": "visit"},
        {"back": "me\0"},
        {"back": "join"},
        {"back": "join", "session": "../../example.org"},
        {"back": "join", "session": "a\r\nb: c"},
    ],
)
def test_switching_leads_nowhere_else(client, week, fields):
    me = sign_up(week).get_absolute_url()
    answer = client.post(f"{me}language/", {"language": "es", **fields})
    assert (answer.status_code, answer["Location"]) == (302, me)


def test_unknown_language_on_the_own_page_sets_no_cookie(client, week):
    me = sign_up(week).get_absolute_url()
    assert client.post(f"{me}language/", {"language": "xx"}).cookies == {}


def test_unsubscribing_is_in_the_language_of_the_emails(client, week):
    """Unless the visitor has chosen one. The page has no link with the secret token."""
    registration = sign_up(week)
    signup.switch_language(registration=registration, language="es")
    url = unsubscribe_url(registration)
    english = {"headers": {"accept-language": "en"}}
    for answer in (client.get(url, **english), client.post(url, **english)):
        assert (language(answer), answer["Content-Language"]) == ("es", "es")
        assert registration.token not in answer.content.decode()
    client.cookies["django_language"] = "xx"
    assert language(client.get(url, **english)) == "es"
    client.get(f"{url}?language=en")
    assert language(client.get(url)) == "en"
    registration.refresh_from_db()
    assert registration.language == "es"


def test_downloaded_data_is_in_the_language_of_the_own_page(client, week):
    Event.objects.update(**in_spanish(name="Una semana"))
    registration = sign_up(week)
    signup.switch_language(registration=registration, language="es")
    url = f"/me/{registration.token}/data.json"
    data = client.get(url, headers={"accept-language": "en"}).json()
    assert data["event"] == "Una semana"


def test_emails_of_one_batch_are_each_in_their_readers_language(week):
    people = [sign_up(week, name) for name in ("Alice", "Bob", "Charlie")]
    signup.switch_language(registration=people[1], language="es")
    mails = list(OutgoingMail.objects.select_related("registration").order_by("pk"))
    write = writer.writer_for(mails)
    for mail, expected in zip(mails, ("en", "es", "en"), strict=True):
        message: Any = write(mail)
        (html, _kind), *_others = message.alternatives
        assert f'lang="{expected}"' in html
    assert translation.get_language() == "en"
