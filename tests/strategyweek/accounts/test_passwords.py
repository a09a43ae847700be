"""Organizers' passwords: signing in, resetting and changing them, and wrong ones."""

import logging
import re
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.contrib.auth.hashers import MD5PasswordHasher
from django.contrib.auth.models import User
from django.contrib.auth.password_validation import password_validators_help_texts
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import translation

from registrations.mail import writer
from registrations.models import OutgoingMail
from registrations.outbox import delivery
from tests.strategyweek.accounts.sign_in import (
    PASSWORD_PAGE,
    is_signed_in,
    main_text,
    newest_message,
    sign_in,
    stored,
)

pytestmark = pytest.mark.django_db


class CountingHasher(MD5PasswordHasher):
    hashed = 0

    def encode(self, password: str, salt: str) -> str:
        type(self).hashed += 1
        return super().encode(password, salt)


def work_of(post: Callable[[], Any]) -> tuple[int, list[str]]:
    """How many passwords a request hashes, and which statements it runs."""
    CountingHasher.hashed = 0
    with CaptureQueriesContext(connection) as queries:
        post()
    return CountingHasher.hashed, [query["sql"].split(maxsplit=1)[0] for query in queries]


@pytest.fixture
def everyone(settings, organizer) -> list[str]:
    """An organizer with a password, an attendee without one, and a stranger."""
    settings.PASSWORD_HASHERS = [f"{__name__}.CountingHasher"]
    settings.ACCOUNT_RATE_LIMITS = False
    organizer.set_password("correct horse")
    organizer.save()
    sign_in(Client())
    return ["o@example.org", "alice@example.org", "stranger@example.org"]


def test_password_sign_in_does_the_same_work_for_every_login(everyone):
    def work(login: str) -> tuple[int, list[str]]:
        return work_of(lambda: Client().post(PASSWORD_PAGE, {"login": login, "password": "wrong"}))

    hashed = [work(login)[0] for login in (*everyone, "organizer", "stranger")]
    assert hashed == [1, 1, 1, 1, 1]
    queries = [len(work(login)[1]) for login in (*everyone, "organizer", "stranger")]
    assert max(queries) - min(queries) <= 1


def test_password_reset_does_the_same_work_for_every_address(everyone):
    OutgoingMail.objects.all().delete()
    organizers, attendees, strangers = (
        work_of(partial(Client().post, "/accounts/password/reset/", {"email": email}))
        for email in everyone
    )
    assert organizers[0] == attendees[0] == strangers[0] == 0
    kinds = [sorted(set(statements)) for _hashed, statements in (organizers, attendees, strangers)]
    assert kinds[0] == kinds[1] == kinds[2]
    lengths = [len(statements) for _hashed, statements in (organizers, attendees, strangers)]
    assert max(lengths) - min(lengths) <= 1
    assert [mail.message["recipient"] for mail in stored()] == ["o@example.org"]
    assert OutgoingMail.objects.count() == 1


@pytest.mark.once
def test_password_reset_is_sent_by_a_worker_and_reveals_no_accounts(client, organizer, mailoutbox):
    answers = [
        client.post("/accounts/password/reset/", {"email": email}, follow=True)
        for email in ("o@example.org", "stranger@example.org")
    ]
    pages = [re.sub(r'value="\w{64}"', "", answer.content.decode()) for answer in answers]
    assert pages[0] == pages[1]
    assert mailoutbox == []
    delivery.deliver_due(writer.writer_for)
    (mail,) = mailoutbox
    assert mail.to == ["o@example.org"]
    assert "/accounts/password/reset/key/" in mail.body


@pytest.mark.once
def test_admin_needs_a_sign_in_with_a_password(client, django_user_model):
    """Alice signed in with a code before she became an organizer."""
    assert client.get("/admin/", follow=True).redirect_chain[-1][0].startswith("/accounts/login/")
    alice = django_user_model.objects.create_user("alice", is_staff=True, is_superuser=True)
    client.force_login(alice)
    assert client.get("/admin/").status_code == 302
    alice.set_password("long enough")
    alice.save()
    assert client.get("/admin/").status_code == 302
    client.force_login(alice)
    assert client.get("/admin/").status_code == 200


@pytest.mark.parametrize("login", ["organizer", "Organizer", "o@example.org", "O@Example.org"])
def test_organizer_signs_in_with_user_name_or_email_address(client, organizer, login):
    answer = client.post(PASSWORD_PAGE, {"login": login, "password": "correct horse"})
    assert answer["Location"] == "/admin/"


def wrong_password(login: str, visitor: str = "192.0.2.1", **headers: str) -> str:
    form = {"login": login, "password": "wrong"}
    return main_text(Client(REMOTE_ADDR=visitor, headers=headers).post(PASSWORD_PAGE, form))


def is_signed_in_from(visitor: str) -> bool:
    client = Client(REMOTE_ADDR=visitor)
    client.post(PASSWORD_PAGE, {"login": "o@example.org", "password": "correct horse"})
    return is_signed_in(client)


def test_stranger_cannot_lock_an_organizer_out(organizer):
    for number in range(12):
        wrong_password("o@example.org", visitor=f"192.0.2.{number % 4 + 1}")
        wrong_password("organizer", visitor=f"192.0.2.{number % 4 + 1}")
    assert not is_signed_in_from("192.0.2.1")
    assert is_signed_in_from("198.51.100.7")


def test_wrong_passwords_for_an_account_count_together(organizer, settings):
    """Whatever the login and the Host header are."""
    settings.ALLOWED_HOSTS = ["localhost"]
    logins = ["organizer", "o@example.org", "ORGANIZER", "O@example.org", "organizer", "organizer"]
    pages = [wrong_password(login, host=f"localhost:{n}") for n, login in enumerate(logins, 1)]
    assert ["Too many" in page for page in pages] == [False] * 5 + [True]
    assert "Too many" in wrong_password("o@example.org", host="localhost:99")
    assert "Too many" not in wrong_password("someone-else", host="localhost")


def test_sign_ins_are_logged_without_addresses(client, organizer, caplog):
    caplog.set_level(logging.INFO)
    wrong_password("o@example.org")
    wrong_password("nobody@example.org")
    client.post(PASSWORD_PAGE, {"login": "o@example.org", "password": "correct horse"})
    sign_in(Client(), "alice@example.org")
    alice = User.objects.get(email="alice@example.org")
    for line in (
        f"Wrong password for account [{organizer.pk}], from 192.0.2.1",
        "Wrong password for account unknown, from 192.0.2.1",
        f"Account {organizer.pk} signed in by ['password'], from 127.0.0.1",
        f"Account {alice.pk} signed in by ['code'], from 127.0.0.1",
    ):
        assert caplog.messages.count(line) == 1
    assert "example.org" not in caplog.text


def reset_by_email(_organizer: User) -> None:
    client = Client()
    client.post("/accounts/password/reset/", {"email": "o@example.org"})
    (url,) = re.findall(r"http\S+/key/\S+", newest_message()["text"])
    page = client.get(urlsplit(url).path, follow=True)
    passwords = {"password1": "battery staple", "password2": "battery staple"}
    client.post(page.request["PATH_INFO"], passwords)


def change_in_the_admin(organizer: User) -> None:
    client = Client()
    client.force_login(organizer)
    passwords = {"new_password1": "battery staple", "new_password2": "battery staple"}
    page = "/admin/password_change/"
    assert client.post(page, {"old_password": "correct horse", **passwords}).status_code == 302


def change_by_another_organizer(organizer: User) -> None:
    client = Client()
    client.force_login(User.objects.create_superuser("other", "other@example.org", "pass word"))
    passwords = {"password1": "battery staple", "password2": "battery staple"}
    page = f"/admin/auth/user/{organizer.pk}/password/"
    assert client.post(page, {**passwords, "usable_password": "true"}).status_code == 302


@pytest.mark.parametrize(
    "change", [reset_by_email, change_in_the_admin, change_by_another_organizer]
)
def test_changed_password_is_reported_by_email(organizer, change):
    assert is_signed_in_from("127.0.0.1")
    organizer.refresh_from_db()
    assert not stored().exists()
    change(organizer)
    organizer.refresh_from_db()
    assert organizer.check_password("battery staple")
    message = newest_message()
    assert (message["recipient"], message["subject"]) == (
        "o@example.org",
        "Your password was changed",
    )
    assert "http://localhost/accounts/password/reset/" in message["text"]


@pytest.mark.once
def test_password_rules_say_tu_in_spanish():
    with translation.override("es"):
        rules = " ".join(password_validators_help_texts())
    assert (rules.lower().count("tu contraseña"), rules.lower().count("su ")) == (5, 0)


@pytest.mark.parametrize(
    "page", ["signup/", "password/change/", "password/set/", "reauthenticate/", "elsewhere/"]
)
def test_unused_allauth_pages_do_not_exist(client, page):
    sign_in(client)
    assert client.get(f"/accounts/{page}").status_code == 404
