"""A new SECRET_KEY, with the old one among the fallbacks: what was open or sent keeps working."""

import re
from urllib.parse import urlsplit

import pytest
from django.contrib.auth.models import User
from django.test import Client

from registrations.mail.unsubscribe import unsubscribe_url
from registrations.models import Registration
from tests.people import sign_up
from tests.strategyweek.accounts.sign_in import (
    enter_code,
    is_signed_in,
    main_text,
    newest_code,
    newest_message,
    request_code,
)

pytestmark = pytest.mark.django_db

NEW_KEY = "a new and long and random value: 0123456789 9876543210"


@pytest.fixture
def organizer() -> User:
    return User.objects.create_superuser("olga", "o@example.org", "correct horse")


@pytest.fixture
def change_key(settings):
    def change() -> None:
        settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
        settings.SECRET_KEY = NEW_KEY

    return change


def test_new_key_keeps_open_pages_and_sign_ins(week, change_key, organizer):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(organizer)
    page = browser.get("/accounts/logout/").content.decode()
    token = re.search('name="csrfmiddlewaretoken" value="([^"]+)"', page)[1]
    change_key()
    assert is_signed_in(browser)
    assert browser.get("/admin/").status_code == 200
    sent = browser.post("/accounts/logout/", {"csrfmiddlewaretoken": token})
    assert sent.status_code == 302
    assert not is_signed_in(browser)


def test_new_key_keeps_codes_that_were_sent(client, change_key):
    request_code(client)
    change_key()
    enter_code(client, newest_code())
    assert is_signed_in(client)


def test_new_key_keeps_password_resets(client, change_key, organizer):
    client.post("/accounts/password/reset/", {"email": organizer.email})
    link = re.search(r"/accounts/password/reset/key/\S+", newest_message()["text"])[0]
    change_key()
    assert "Choose a new password" in main_text(client.get(link, follow=True))


def test_new_key_keeps_unsubscribe_links(week, client, change_key):
    alice = sign_up(week)
    links = [unsubscribe_url(alice), unsubscribe_url(Registration(pk=0))]
    change_key()
    for link in links:
        assert client.post(urlsplit(link).path).status_code == 200
    alice.refresh_from_db()
    assert alice.unsubscribed_at
    assert unsubscribe_url(alice) not in links


def test_link_signed_with_an_unknown_key_is_invalid(week, client, settings):
    link = unsubscribe_url(sign_up(week))
    settings.SECRET_KEY = NEW_KEY
    assert client.post(urlsplit(link).path).status_code == 404
