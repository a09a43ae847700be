"""What a page says once, after something that a person did there."""

import re
from html import unescape

import pytest
from django.utils import translation

from registrations.views.notices import Notice
from tests.people import filled_form
from tests.registrations.views.my_page.pages import form_of, own, said, save, words

pytestmark = [pytest.mark.django_db, pytest.mark.once]


def title_of(answer) -> str:
    (title,) = re.findall("<title>(.*?)</title>", answer.content.decode())
    return unescape(title)


def test_notice_is_shown_once_and_starts_the_title(client, alice):
    answer = save(client, alice, form_of(client, alice), name="Alice B")
    assert said(answer) == (f"{own(alice)}#status", "saved")
    shown, again = client.get(own(alice)), client.get(own(alice))
    assert title_of(shown) == "Your changes are saved · Your sessions · Drop LWOP Strategy Week"
    assert "Your changes are saved." in words(shown)
    assert 'id="status" role="status" tabindex="-1"' in shown.content.decode()
    assert title_of(again) == "Your sessions · Drop LWOP Strategy Week"
    assert 'id="status"' not in again.content.decode()


def test_notice_is_only_sent_to_the_page_that_shows_it(client, alice):
    cookie = client.post(own(alice, "resend/")).cookies["notice"]
    assert (cookie["path"], cookie["httponly"], cookie["samesite"]) == (own(alice), True, "Lax")
    assert client.get(own(alice)).cookies["notice"]["path"] == own(alice)


@pytest.mark.parametrize("notice", Notice.values)
def test_each_notice_has_words_in_both_languages(client, alice, notice):
    labels = []
    for alice.language in ("en", "es"):
        alice.save()
        client.cookies["notice"] = notice
        shown = client.get(own(alice))
        with translation.override(alice.language):
            labels.append(str(Notice(notice).label))
        assert f"{labels[-1]}." in words(shown)
    assert labels[0] != labels[1]


def test_unknown_notice_shows_nothing(client, alice):
    page = client.get(own(alice))
    client.cookies["notice"] = "<b>you won</b>"
    assert words(client.get(own(alice))) == words(page)


def test_notice_in_the_address_shows_nothing(client, alice):
    assert 'id="status"' not in client.get(f"{own(alice)}?notice=saved").content.decode()


def test_corrected_address_is_said_where_the_visitor_is_led(client, week):
    client.post(f"/{week.slug}/register/", filled_form(week, email="alice@exmaple.org"))
    done = f"/{week.slug}/register/done/"
    answer = client.post(done, {"email": "alice@example.org"})
    assert said(answer) == (f"{done}#status", "corrected")
    shown = client.get(done)
    assert title_of(shown).startswith("We've corrected your email address · ")
    assert "Our email is on the way to alice@example.org ." in words(shown)
    assert 'id="status"' not in client.get(done).content.decode()
    # Sent again as it is, nothing was corrected.
    assert client.post(done, {"email": "alice@example.org"})["Location"] == done
