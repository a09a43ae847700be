"""Signing in with a code from an email, and whose account it opens."""

import datetime as dt
import logging
import re
import time
from typing import Any

import pytest
import time_machine
from allauth.account.models import EmailAddress
from allauth.socialaccount.models import SocialAccount
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from registrations.mail import writer
from registrations.models import OutgoingMail
from registrations.outbox import delivery
from strategyweek.accounts import tasks as account_tasks
from tests.people import sign_up
from tests.strategyweek.accounts.sign_in import (
    CODE,
    CODE_PAGE,
    CONFIRM_PAGE,
    MAILS,
    MINUTE,
    PASSWORD_PAGE,
    WEEKS,
    enter_code,
    is_signed_in,
    main_text,
    newest_code,
    newest_message,
    request_code,
    sign_in,
    stored,
)

pytestmark = pytest.mark.django_db


def normalized(response: Any, email: str) -> str:
    """The page without the address and the CSRF token, to compare two pages."""
    page = re.sub(r'value="\w{64}"', "", response.content.decode())
    return page.replace(email, "...")


# Codes


def test_code_is_at_the_mail_server_within_a_second(week, smtp_sink, worker, client):
    sign_up(week)
    worker()
    smtp_sink.wait_for(1)
    started = time.monotonic()
    request_code(client)
    received = smtp_sink.wait_for(2)[1].message
    assert time.monotonic() - started < 1
    assert received["To"] == "alice@example.org"
    assert enter_code(client, CODE.search(received.get_content())[0]).redirect_chain[-1][0] == WEEKS


def test_code_creates_the_account_and_signs_in(week, client):
    sign_up(week)
    response = sign_in(client)
    assert response.redirect_chain[-1] == (WEEKS, 302)
    assert "Drop LWOP Strategy Week" in main_text(response)
    user = User.objects.get()
    assert (user.email, user.is_staff, user.is_superuser) == ("alice@example.org", False, False)
    assert not user.has_usable_password()
    assert EmailAddress.objects.get().verified


def test_address_in_any_case_is_the_same_account(week, client):
    sign_up(week)
    for email in ("alice@example.org", "Alice@Example.ORG"):
        assert "Drop LWOP" in main_text(sign_in(client, email))
        client.post("/accounts/logout/")
    assert (User.objects.count(), EmailAddress.objects.count()) == (1, 1)


def test_invisible_characters_around_the_address_are_removed(client):
    request_code(client, "\u200balice@example.org\ufeff")
    assert newest_message()["recipient"] == "alice@example.org"


@pytest.mark.parametrize("email", ["alice@exam\u200dple.org", "\u017fam@example.org"])
def test_address_that_no_mail_server_takes_gets_no_code(client, email):
    assert request_code(client, email).status_code == 200
    assert not stored().exists()


def test_pages_and_emails_do_not_reveal_whether_an_account_exists(week, client):
    sign_up(week)
    sign_in(client)
    known, unknown = Client(), Client()
    requested = [request_code(known), request_code(unknown, "bob@example.org")]
    sent = [mail.message["text"] for mail in stored()[:2]]
    assert normalized(requested[0], "alice@example.org") == normalized(
        requested[1], "bob@example.org"
    )
    assert CODE.sub("", sent[0]) == CODE.sub("", sent[1])
    wrong = [enter_code(each, "WRONG") for each in (known, unknown)]
    assert normalized(wrong[0], "alice@example.org") == normalized(wrong[1], "bob@example.org")


def test_three_wrong_codes_end_the_attempt(client):
    request_code(client)
    right = newest_code()
    pages = [enter_code(client, "WRNG-CODE") for _attempt in range(3)]
    assert "That's not the code." in main_text(pages[1])
    assert pages[2].redirect_chain[-1][0] == CODE_PAGE
    assert "Too many tries" in main_text(pages[2])
    enter_code(client, right)
    assert not is_signed_in(client)


def test_requests_for_codes_are_rate_limited(client):
    pages = [main_text(Client().post(CODE_PAGE, {"email": "alice@example.org"})) for _ in range(4)]
    assert [("Too many" in response) for response in pages] == [False, False, False, True]
    assert OutgoingMail.objects.count() == 3


def test_code_expires_after_15_minutes(client):
    request_code(client)
    code = newest_code()
    with time_machine.travel(timezone.now() + 16 * MINUTE):
        assert enter_code(client, code).redirect_chain[-1][0] == CODE_PAGE
    assert not is_signed_in(client)


def test_new_code_replaces_the_first(client):
    request_code(client)
    first = newest_code()
    client.post(CONFIRM_PAGE, {"action": "resend"})
    second = newest_code()
    assert "That's not the code." in main_text(enter_code(client, first))
    enter_code(client, second)
    assert is_signed_in(client)


def test_code_works_only_in_the_browser_that_requested_it(client):
    request_code(client)
    assert enter_code(Client(), newest_code()).redirect_chain[-1][0] == CODE_PAGE


def test_starting_over_allows_another_address(client):
    request_code(client)
    assert client.get(CODE_PAGE)["Location"] == CONFIRM_PAGE
    response = client.post("/accounts/logout/", {"next": CODE_PAGE}, follow=True)
    assert "Email me a code" in main_text(response)


def test_code_is_in_no_log_and_on_no_admin_page(client, admin_client, caplog, mailoutbox):
    caplog.set_level(logging.DEBUG)
    request_code(client)
    code = newest_code()
    (mail,) = OutgoingMail.objects.all()
    delivery.deliver_due(writer.writer_for)
    enter_code(client, code)
    pages = [admin_client.get(url) for url in (MAILS, f"{MAILS}{mail.pk}/change/", "/admin/")]
    assert code in mailoutbox[0].body
    assert code not in caplog.text
    assert [page for page in pages if code in page.content.decode()] == []


def test_dev_mailbox_shows_account_emails(client, settings, tmp_path):
    settings.EMAIL_BACKEND = "strategyweek.dev_mailbox.EmailBackend"
    settings.MAIL_DIR = tmp_path
    request_code(client)
    delivery.deliver_due(writer.writer_for)
    (written,) = tmp_path.glob("*.eml")
    assert newest_code() in written.read_text()


# Whose account it is


def test_unverified_accounts_are_deleted_after_a_day(client, organizer):
    for email in ("alice@example.org", "bob@example.org"):
        request_code(Client(), email)
    enter_code(client, "")
    sign_in(client, "charlie@example.org")
    User.objects.create_user("invited", "invited@example.org", "a password")
    account_tasks.delete_unverified_accounts()
    assert User.objects.count() == 5
    with time_machine.travel(timezone.now() + dt.timedelta(days=2)):
        account_tasks.delete_unverified_accounts()
    kept = User.objects.order_by("email").values_list("email", flat=True)
    assert list(kept) == ["charlie@example.org", "invited@example.org", "o@example.org"]


def test_code_never_opens_an_account_with_an_unverified_address(client):
    """Its creator could sign in at the other site after the victim has verified the address."""
    trap = User.objects.create(username="trap", email="alice@example.org")
    SocialAccount.objects.create(user=trap, provider="facebook", uid="1")
    EmailAddress.objects.create(user=trap, email="alice@example.org")
    sign_in(client)
    assert client.session["_auth_user_id"] != str(trap.pk)
    assert not EmailAddress.objects.get(user=trap).verified


def test_code_of_an_account_that_was_deleted_leads_to_a_new_one(client):
    request_code(client)
    code = newest_code()
    User.objects.all().delete()
    response = enter_code(client, code)
    assert response.redirect_chain == [(CODE_PAGE, 302)]
    assert "That code no longer works." in response.content.decode()
    assert is_signed_in(client) is False
    sign_in(client)
    assert is_signed_in(client)


@pytest.mark.parametrize(("exists", "page"), [(True, PASSWORD_PAGE), (False, CODE_PAGE)])
def test_verifying_an_address_needs_the_account(client, exists, page):
    if exists:
        User.objects.create(pk=50, username="x")
    session = client.session
    state = {"user_id": "50", "email": "alice@example.org", "code": "AAAA-BBBB", "at": time.time()}
    counts = dict.fromkeys(("failed_attempts", "resend_count", "change_count"), 0)
    session["account_email_verification_code"] = state | counts
    session.save()
    assert client.get("/accounts/confirm-email/")["Location"] == page


def test_code_works_for_an_account_with_a_large_id(client):
    User.objects.create(pk=5000, username="x")
    EmailAddress.objects.create(user_id=5000, email="alice@example.org", verified=True)
    sign_in(client)
    assert client.session["_auth_user_id"] == "5000"


def test_organizer_cannot_sign_in_with_a_code(client, organizer):
    response = sign_in(client, "o@example.org")
    assert response.redirect_chain[-1][0] == PASSWORD_PAGE
    assert "Organizers sign in with their password." in main_text(response)
    assert not is_signed_in(client)


def test_organizer_sees_their_weeks_once_the_address_is_verified(week, client, organizer):
    sign_up(week, email="o@example.org")
    login = {"login": "o@example.org", "password": "correct horse"}
    assert client.post(PASSWORD_PAGE, login)["Location"] == "/admin/"
    assert "We don't know your email yet." in main_text(client.get(WEEKS))
    client.post("/accounts/logout/")
    sign_in(client, "o@example.org")
    assert client.post(PASSWORD_PAGE, login)["Location"] == "/admin/"
    assert "Drop LWOP Strategy Week" in main_text(client.get(WEEKS))


def test_attendees_account_cannot_open_the_admin(client):
    sign_in(client)
    assert client.get("/admin/", follow=True).status_code == 403


def test_inactive_account_cannot_sign_in(client):
    sign_in(client)
    client.post("/accounts/logout/")
    User.objects.update(is_active=False)
    assert "This account is turned off" in main_text(sign_in(client))
    assert not is_signed_in(client)
