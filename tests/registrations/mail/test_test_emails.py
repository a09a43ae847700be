"""Test emails: sent at once, explained if they fail, confirmed by their link."""

import datetime as dt
import re

import pytest
import time_machine
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from django.contrib.auth.models import User
from django.db import IntegrityError
from django.test import Client
from django.utils import timezone

from registrations import models
from registrations.mail.test_emails import confirm_arrival, latest_arrived, send_test_email
from registrations.tasks import queue_due_mails
from strategyweek.logs import hide_secrets
from tests.services.process import free_port

DAY = dt.timedelta(days=1)
PASSWORD = "correct-horse-battery"

pytestmark = pytest.mark.django_db


@pytest.fixture
def user() -> User:
    return User.objects.create_user("olga", "olga@example.org", is_staff=True)


def send(user: User, language: str = "en") -> models.TestEmail:
    return send_test_email(user=user, language=language)


def link_in(email) -> str:
    return re.search(r"/test-email/\S+", email.body)[0]


def all_tests() -> list[models.TestEmail]:
    return list(models.TestEmail.objects.all())


def test_email_is_sent_at_once_with_a_link(user, mailoutbox, settings):
    test = send(user)
    (email,) = mailoutbox
    assert (email.to, email.subject) == (["olga@example.org"], "Test email: did it arrive?")
    assert email.from_email == settings.DEFAULT_FROM_EMAIL
    assert f"{settings.SITE_URL}/test-email/{test.token}/" in email.body
    assert email.extra_headers["Auto-Submitted"] == "auto-generated"
    assert (test.user, test.address, test.error) == (user, "olga@example.org", "")
    assert (test.arrived_at, len(test.token)) == (None, 32)
    assert latest_arrived() is None


def test_email_and_its_page_are_in_the_chosen_language(user, mailoutbox):
    test = send(user, "es")
    (email,) = mailoutbox
    assert email.body.startswith("Hola")
    assert link_in(email) == f"/test-email/{test.token}/?in=es"
    assert '<html lang="es"' in Client().get(link_in(email)).content.decode()


def test_anyone_with_the_link_confirms_with_the_button_and_only_once(user, mailoutbox):
    send(user)
    link = link_in(mailoutbox[0])
    stranger = Client(enforce_csrf_checks=True)
    page = stranger.get(link)
    assert "Did the test email arrive?" in page.content.decode()
    assert latest_arrived() is None
    assert stranger.post(link).status_code == 403
    token = stranger.cookies["csrftoken"].value
    answer = stranger.post(link, {"csrfmiddlewaretoken": token}, follow=True)
    assert "The test email arrived" in answer.content.decode()
    arrived_at = latest_arrived().arrived_at
    with time_machine.travel(timezone.now() + DAY):
        Client().post(link)
        assert latest_arrived().arrived_at == arrived_at


def test_link_is_kept_out_of_caches_and_logs(user, mailoutbox):
    test = send(user)
    page = Client().get(link_in(mailoutbox[0]))
    assert (page["Cache-Control"], page["Referrer-Policy"]) == ("no-store", "no-referrer")
    assert test.token not in hide_secrets(f"GET /test-email/{test.token}/")
    assert hide_secrets("/test-email/short/") == "/test-email/<hidden>/"
    assert Client().get("/test-email/unknown/").status_code == 404


def test_it_counts_for_thirty_days_and_from_todays_sender(user, settings):
    test = send(user)
    confirm_arrival(test=test)
    assert latest_arrived() == test
    with time_machine.travel(timezone.now() + 30 * DAY - dt.timedelta(minutes=1)):
        assert latest_arrived() == test
    with time_machine.travel(timezone.now() + 30 * DAY):
        assert latest_arrived() is None
    # Another name before the same address makes no difference.
    address = settings.DEFAULT_FROM_EMAIL.split("<")[-1].rstrip(">")
    settings.DEFAULT_FROM_EMAIL = f"Others <{address}>"
    assert latest_arrived() == test
    settings.DEFAULT_FROM_EMAIL = "others@example.org"
    assert latest_arrived() is None


def test_latest_of_several_that_arrived_is_the_one_confirmed_last(user):
    first, second, _unconfirmed = send(user), send(user), send(user)
    confirm_arrival(test=second)
    with time_machine.travel(timezone.now() + DAY):
        confirm_arrival(test=first)
        assert latest_arrived() == first


def test_old_ones_are_deleted_with_their_links(user, mailoutbox):
    with time_machine.travel(timezone.now() - 31 * DAY):
        send(user)
        confirmed_late = send(user)
    confirm_arrival(test=confirmed_late)
    recent = send(user)
    queue_due_mails()
    assert {*all_tests()} == {confirmed_late, recent}
    assert Client().get(link_in(mailoutbox[0])).status_code == 404


def test_deleted_account_leaves_that_email_arrived_without_the_address(user):
    other = send(User.objects.create_user("bob", "bob@example.org"))
    test = send(user)
    confirm_arrival(test=test)
    user.delete()
    test.refresh_from_db()
    assert (test.user, test.address, latest_arrived()) == (None, "", test)
    other.refresh_from_db()
    assert other.address == "bob@example.org"


def test_account_without_an_email_gets_an_explanation(mailoutbox):
    test = send(User.objects.create_user("nobody"))
    assert test.error == "Your account has no email address to send a test to."
    assert mailoutbox == []


def test_one_that_arrived_has_no_error(user):
    test = send(user)
    with pytest.raises(IntegrityError, match="test_email_that_arrived_has_no_error"):
        models.TestEmail.objects.filter(pk=test.pk).update(arrived_at=timezone.now(), error="E")


# What goes wrong


def test_real_server_gets_it(user, smtp):
    assert send(user).error == ""
    (message,) = smtp.to("olga@example.org")
    assert message["Subject"] == "Test email: did it arrive?"


def test_answer_of_a_server_that_refuses_it_is_shown(user, smtp):
    smtp.refuse("olga@example.org", "550 5.1.1 No such user")
    expected = "The email server refused the email. It said: 5.1.1 No such user"
    assert send(user).error == expected


def test_server_that_is_down_or_silent_is_explained(user, smtp):
    smtp.stop()
    assert "didn't accept the connection. Check its address and port" in send(user).error
    smtp.hang()
    assert "whether it needs a secure connection" in send(user).error


def test_server_without_a_login_is_explained(user, smtp, settings):
    settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "olga", PASSWORD
    assert "doesn't offer a secure connection or a login on this port" in send(user).error


def test_name_that_no_server_has_is_explained(user, smtp, settings):
    settings.EMAIL_HOST = "mail.invalid"
    assert send(user).error == "We found no email server with that name. Check its address."


def test_wrong_password_is_explained_and_never_shown(user, smtp, settings, caplog):
    answer = AuthResult(success=False, handled=False, message=f"535 5.7.8 Not {PASSWORD}")
    server = Controller(
        smtp,
        hostname="127.0.0.1",
        port=free_port(),
        authenticator=lambda *_args: answer,
        auth_require_tls=False,
    )
    server.start()
    settings.EMAIL_PORT = server.port
    settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "olga", PASSWORD
    test = send(user)
    server.stop()
    assert test.error == (
        "The email server didn't accept the username and password. Check both. Some providers want "
        "an app password."
    )
    assert PASSWORD not in caplog.text


def test_email_that_may_have_arrived_can_be_confirmed(user, smtp):
    smtp.close_after_data()
    test = send(user)
    assert "It may still have arrived" in test.error
    confirm_arrival(test=test)
    test.refresh_from_db()
    assert (latest_arrived(), test.error) == (test, "")
