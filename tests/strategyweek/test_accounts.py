"""Signing in with a code or at another site, the page of all weeks, and account emails."""

import datetime as dt
import html
import json
import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
import time_machine
from allauth.account.models import EmailAddress
from allauth.socialaccount.models import SocialAccount
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth.hashers import MD5PasswordHasher
from django.contrib.auth.models import User
from django.contrib.auth.password_validation import password_validators_help_texts
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone, translation

from events.load_week import load_strategy_week
from events.models import Event
from registrations import tasks
from registrations.mail import bounces, stored_messages, writer
from registrations.models import OutgoingMail
from registrations.outbox import delivery, mail_queue
from strategyweek.accounts import tasks as account_tasks
from strategyweek.settings import sign_in_providers
from tests.browser import overflow
from tests.people import sign_up
from tests.public_urls import SITES, other_sites
from tests.services.process import BASE_DIR
from tests.strategyweek.test_settings import PRODUCTION, run

pytestmark = pytest.mark.django_db

CODE_PAGE = "/accounts/login/code/"
CONFIRM_PAGE = "/accounts/login/code/confirm/"
VERIFY_PAGE = "/accounts/confirm-email/"
PASSWORD_PAGE = "/accounts/login/"
WEEKS = "/me/"
MAILS = "/admin/registrations/outgoingmail/"
CODE = re.compile(r"\b[A-Z]{4}-[A-Z]{4}\b")
MINUTE = dt.timedelta(minutes=1)


def request_code(client: Client, email: str = "alice@example.org") -> Any:
    return client.post(CODE_PAGE, {"email": email}, follow=True)


def stored() -> Any:
    """Emails whose message is stored, the newest first."""
    return OutgoingMail.objects.filter(message__isnull=False).order_by("-pk")


def newest_message() -> dict[str, Any]:
    return stored()[0].message


def newest_code() -> str:
    found = CODE.search(newest_message()["text"])
    assert found
    return found[0]


def enter_code(client: Client, code: str, page: str = CONFIRM_PAGE) -> Any:
    return client.post(page, {"code": code}, follow=True)


def sign_in(client: Client, email: str = "alice@example.org") -> Any:
    request_code(client, email)
    return enter_code(client, newest_code())


def is_signed_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


def main_text(response: Any) -> str:
    """The text of the page's <main> element."""
    main = response.content.decode().partition("<main")[2].partition("</main>")[0]
    return html.unescape(" ".join(re.sub(r"<[^>]+>", " ", main).split()))


def normalized(response: Any, email: str) -> str:
    """The page without the address and the CSRF token, to compare two pages."""
    page = re.sub(r'value="\w{64}"', "", response.content.decode())
    return page.replace(email, "...")


@pytest.fixture
def organizer(db) -> User:
    return User.objects.create_superuser("organizer", "o@example.org", "correct horse")


# Account emails


def queue(**changes: Any) -> OutgoingMail:
    fields = {"recipient": "alice@example.org", "subject": "Your code", "text": "ABCD-EFGH"}
    stored_messages.queue(**{**fields, "valid_for": 15 * MINUTE, **changes})
    return OutgoingMail.objects.latest("pk")


def test_account_email_is_sent_first_and_its_text_deleted(mailoutbox):
    mail = queue(html="<p>ABCD-EFGH</p>")
    assert mail.priority == OutgoingMail.Priority.URGENT
    delivery.deliver_due(writer.writer_for)
    (sent,) = mailoutbox
    assert (sent.to, sent.subject, sent.body) == (["alice@example.org"], "Your code", "ABCD-EFGH")
    assert sent.alternatives[0][0] == "<p>ABCD-EFGH</p>"
    assert sent.extra_headers["Auto-Submitted"] == "auto-generated"
    tasks.queue_due_mails()
    mail.refresh_from_db()
    assert (mail.state, mail.message, str(mail)) == ("sent", None, "Account to a deleted address")


def test_expired_account_email_is_dropped(mailoutbox):
    mail = queue()
    with time_machine.travel(timezone.now() + 16 * MINUTE):
        delivery.deliver_due(writer.writer_for)
        tasks.queue_due_mails()
    mail.refresh_from_db()
    assert (mail.state, mailoutbox, mail.message) == ("dropped", [], None)


def test_waiting_account_email_keeps_its_text(mailoutbox):
    queue()
    tasks.queue_due_mails()
    delivery.deliver_due(writer.writer_for)
    assert len(mailoutbox) == 1


def test_account_emails_and_others_are_sent_in_one_run(week, mailoutbox):
    sign_up(week)
    queue()
    delivery.deliver_due(writer.writer_for)
    assert sorted(mail.subject.partition(",")[0] for mail in mailoutbox) == [
        "Your Zoom links for Drop LWOP Strategy Week",
        "Your code",
    ]


@pytest.mark.parametrize(("event", "state"), [("bounced", "bounced"), ("complained", "complained")])
def test_bounce_of_an_account_email_is_recorded(mailoutbox, event, state):
    mail = queue()
    delivery.deliver_due(writer.writer_for)
    reported = SimpleNamespace(
        event_type=event,
        description="",
        mta_response="",
        esp_event={},
        reject_reason="",
        message_id="",
        metadata={"mail": mail_queue.message_id(mail)},
    )
    bounces.record(None, reported, "Postmark")
    mail.refresh_from_db()
    assert mail.state == state


def test_organizers_see_account_emails_without_their_text(admin_client):
    mail = queue()
    pages = [
        admin_client.get(url).content.decode()
        for url in (MAILS, f"{MAILS}{mail.pk}/change/", f"{MAILS}?q=alice", f"{MAILS}status/")
    ]
    assert ["alice@example.org" in page for page in pages] == [True, True, True, False]
    assert ["Account" in page for page in pages] == [True] * 4
    assert [text for text in ("ABCD", "Your code") for page in pages if text in page] == []


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


def test_account_without_a_password_gets_no_reset_email(client):
    sign_in(client)
    OutgoingMail.objects.all().delete()
    Client().post("/accounts/password/reset/", {"email": "alice@example.org"})
    assert not stored().exists()


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
    for number in range(40):
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


# All weeks


def test_weeks_require_sign_in(client):
    assert client.get(WEEKS)["Location"] == f"{CODE_PAGE}?next=/me/"


def test_weeks_show_only_the_persons_own_registrations(week, client):
    alice, _bob = sign_up(week), sign_up(week, "Bob B")
    page = sign_in(client).content.decode()
    assert re.findall(r'href="(/me/[^"]+/)"', page) == [f"/me/{alice.token}/"]
    assert client.get(WEEKS)["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("address", "lookalike"),
    [("maria@fass.de", "maria@faß.de"), ("maria@github.com", "maria@gıthub.com")],
)
def test_weeks_of_a_lookalike_domain_are_not_shown(week, client, address, lookalike):
    sign_up(week, email=address)
    page = sign_in(client, lookalike)
    assert is_signed_in(client)
    assert "We couldn't find a registration for" in main_text(page)
    mine = sign_up(week, email=lookalike)
    assert f"/me/{mine.token}/" in client.get(WEEKS).content.decode()


def test_weeks_page_survives_an_address_that_nobody_can_register(client):
    user = User.objects.create(username="x")
    EmailAddress.objects.create(user=user, email="a@💩.la", verified=True)
    client.force_login(user)
    assert client.get(WEEKS).status_code == 200


def test_weeks_come_newest_first(week, client):
    years = [load_strategy_week(starting=dt.date(year, 10, 6)).event for year in (2040, 2018, 2035)]
    tokens = {event: sign_up(event).token for event in (week, *years)}
    page = sign_in(client).content.decode()
    order = [years[0], years[2], week, years[1]]
    assert re.findall(r'href="/me/([^"]+)/"', page) == [tokens[event] for event in order]


def test_weeks_that_are_drafts_are_not_shown(week, client):
    sign_up(week)
    Event.objects.update(status=Event.Status.DRAFT)
    assert "We couldn't find a registration for" in main_text(sign_in(client))


def test_weeks_of_an_unverified_address_are_not_shown(week, client):
    sign_up(week, "Bob B")
    sign_in(client)
    EmailAddress.objects.create(user=User.objects.get(), email="bob@example.org")
    assert "Drop LWOP" not in main_text(client.get(WEEKS))
    EmailAddress.objects.filter(email="bob@example.org").update(verified=True)
    assert "Drop LWOP" in main_text(client.get(WEEKS))


@pytest.mark.parametrize(
    "changes",
    [{"approval": "declined", "decided_at": timezone.now()}, {"canceled_at": timezone.now()}],
    ids=["declined", "canceled"],
)
def test_weeks_page_is_empty_after_canceling_or_being_declined(week, client, changes):
    alice = sign_up(week)
    type(alice).objects.update(**changes)
    page = sign_in(client)
    assert "We couldn't find a registration for alice@example.org." in main_text(page)
    assert alice.token not in page.content.decode()


def test_signing_out(week, client):
    sign_in(client)
    response = client.post("/accounts/logout/", follow=True)
    assert response.redirect_chain == [("/accounts/signed-out/", 302)]
    assert not is_signed_in(client)


@pytest.mark.once
@pytest.mark.parametrize(("width", "javascript"), [(320, True), (1280, False)])
def test_walk_from_the_footer_to_the_weeks_and_sign_out(week, new_page, javascript, width):
    sign_up(week)
    page = new_page(viewport={"width": width, "height": 800}, java_script_enabled=javascript)
    page.goto("/")
    page.get_by_role("link", name="Your weeks").click()
    page.get_by_label("Email address").fill("alice@example.org")
    page.get_by_role("button", name="Email me a code").click()
    page.get_by_label("Code").fill(newest_code())
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="Drop LWOP Strategy Week").click()
    page.get_by_role("heading", name="Your sessions").wait_for()
    page.go_back()
    page.get_by_role("button", name="Sign out").wait_for()
    assert overflow(page) == 0
    assert not javascript or Axe().run(page).response["violations"] == []
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("heading", name="You're signed out").wait_for()


# Other sites


class OtherSite:
    """A server that acts as WordPress.com, X and Google."""

    def __init__(self) -> None:
        self.url = ""
        self.person: dict[str, Any] = {}

    def set_person(self, email: str = "", *, verified: bool = False, number: int = 7) -> None:
        profile = {"email": email, "email_verified": verified, "name": "A", "username": "a"}
        self.person = {"ID": number, "id": str(number), **profile}

    def id_token(self) -> str:
        """Google's ID token. allauth does not check its signature."""
        claims = {"iss": "https://accounts.google.com", "aud": "GOOGLE-id", "sub": "7"}
        expiry = {"exp": time.time() + 60}
        return jwt.encode({**claims, **expiry, **self.person}, "a key that nobody checks" * 2)

    def response_to(self, path: str) -> dict[str, Any]:
        if "token" in path:
            return {"access_token": "an access token", "id_token": self.id_token()}
        return {"data": self.person} if "users" in path else self.person


@pytest.fixture
def site(monkeypatch) -> Iterator[OtherSite]:
    """All other sites are configured; WordPress.com, X and Google are a server on loopback."""
    from allauth.socialaccount.providers.google.views import GoogleOAuth2Adapter
    from allauth.socialaccount.providers.twitter_oauth2.views import TwitterOAuth2Adapter

    from strategyweek.accounts.wordpress.views import WordPressAdapter

    site = OtherSite()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"] or 0))
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(site.response_to(self.path)).encode())

        do_POST = do_GET

        def log_message(self, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
        site.url = f"http://127.0.0.1:{server.server_port}"
        for adapter in (WordPressAdapter, TwitterOAuth2Adapter, GoogleOAuth2Adapter):
            monkeypatch.setattr(adapter, "access_token_url", f"{site.url}/token")
        monkeypatch.setattr(WordPressAdapter, "profile_url", f"{site.url}/me")
        monkeypatch.setattr(TwitterOAuth2Adapter, "profile_url", f"{site.url}/users/me")
        with other_sites():
            yield site
        server.shutdown()


def sign_in_at(client: Client, name: str) -> Any:
    """Press the site's button, and return from there signed in."""
    redirect = client.post(f"/accounts/{name}/login/?process=login")
    (state,) = parse_qs(urlsplit(redirect["Location"]).query)["state"]
    return client.get(
        f"/accounts/{name}/login/callback/", {"code": "c", "state": state}, follow=True
    )


@pytest.mark.once
def test_other_sites_with_keys_have_buttons(client, site):
    buttons = re.findall(r'action="/accounts/(\w+)/login/', client.get(CODE_PAGE).content.decode())
    providers = ["facebook", "github", "google", "microsoft", "twitter_oauth2", "wordpress"]
    assert sorted(buttons) == providers


@pytest.mark.once
def test_other_sites_without_keys_have_no_buttons(client):
    assert "Or sign in with" not in main_text(client.get(CODE_PAGE))
    assert client.post("/accounts/google/login/").status_code == 404


@pytest.mark.once
def test_keys_configure_only_their_own_site(monkeypatch):
    monkeypatch.setenv("X_CLIENT_ID", "an id")
    monkeypatch.setenv("X_CLIENT_SECRET", "a secret")
    ((app, name, keys, origins),) = sign_in_providers()
    assert (app.rpartition(".")[2], name) == ("twitter_oauth2", "twitter_oauth2")
    assert keys == {"APPS": [{"client_id": "an id", "secret": "a secret"}]}
    assert "https://x.com" in origins


@pytest.mark.once
def test_keys_of_all_sites_are_in_env_example():
    example = (BASE_DIR / ".env.example").read_text()
    keys = {f"# {name}_CLIENT_{part}=" for name in SITES for part in ("ID", "SECRET")}
    assert keys <= set(example.splitlines())


@pytest.mark.once
def test_one_key_without_the_other_is_an_error(monkeypatch):
    monkeypatch.setenv("GOOGLE_CLIENT_ID", "an id")
    with pytest.raises(ImproperlyConfigured, match="Set both GOOGLE_CLIENT_ID and"):
        list(sign_in_providers())


@pytest.mark.once
def test_site_starts_with_every_key():
    keys = {f"{name}_CLIENT_{part}": "set" for name in SITES for part in ("ID", "SECRET")}
    result = run("manage.py", "check", **PRODUCTION, **keys)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.once
def test_csp_allows_the_buttons_of_other_sites(client, site):
    policy = client.get(CODE_PAGE)["Content-Security-Policy"]
    assert "https://accounts.google.com" in policy.partition("form-action")[2].partition(";")[0]
    assert "google" not in client.get(PASSWORD_PAGE)["Content-Security-Policy"]


@pytest.mark.once
def test_button_redirects_to_the_other_site_but_a_link_does_not(client, site):
    redirect = client.post("/accounts/wordpress/login/?process=login")
    assert redirect["Location"].startswith("https://public-api.wordpress.com/oauth2/authorize?")
    query = parse_qs(urlsplit(redirect["Location"]).query)
    assert (query["client_id"], query["scope"]) == (["WORDPRESS-id"], ["auth"])
    assert query["redirect_uri"][0].endswith("/accounts/wordpress/login/callback/")
    assert "Go to our sign-in page" in main_text(client.get("/accounts/wordpress/login/"))


@pytest.mark.once
@pytest.mark.parametrize("name", ["google", "wordpress"])
def test_address_verified_by_the_other_site_is_trusted(week, client, site, name):
    sign_up(week)
    site.set_person("alice@example.org", verified=True)
    assert "Drop LWOP Strategy Week" in main_text(sign_in_at(client, name))
    account = SocialAccount.objects.get()
    assert (account.user.first_name, account.extra_data) == ("", {})


@pytest.mark.once
def test_other_site_and_code_open_the_same_account(week, client, site):
    sign_up(week)
    sign_in(client)
    client.post("/accounts/logout/")
    site.set_person("alice@example.org", verified=True)
    assert "Drop LWOP Strategy Week" in main_text(sign_in_at(client, "wordpress"))
    assert User.objects.count() == 1


@pytest.mark.once
def test_unused_code_does_not_block_another_site(week, client, site):
    sign_up(week)
    request_code(client)
    client.post("/accounts/logout/")
    site.set_person("alice@example.org", verified=True)
    assert "Drop LWOP Strategy Week" in main_text(sign_in_at(client, "wordpress"))
    assert User.objects.count() == 1


@pytest.mark.once
def test_address_not_verified_by_the_other_site_requires_a_code(week, client, site):
    sign_up(week)
    site.set_person("alice@example.org", verified=False)
    assert "Is this email address yours?" in main_text(sign_in_at(client, "wordpress"))
    assert not is_signed_in(client)
    assert "Drop LWOP" in main_text(enter_code(client, newest_code(), VERIFY_PAGE))


@pytest.mark.once
def test_unverified_address_opens_no_existing_account(week, client, site):
    sign_up(week)
    sign_in(Client())
    site.set_person("alice@example.org", verified=False)
    response = sign_in_at(client, "wordpress")
    assert "Is this email address yours?" in main_text(response)
    message = newest_message()
    assert message["subject"] == "You can sign in with this address"
    assert CODE.search(message["text"]) is None
    assert (User.objects.count(), is_signed_in(client)) == (1, False)


@pytest.mark.once
def test_verified_address_opens_no_account_that_has_not_verified_it(client, site):
    trap = User.objects.create(username="trap", email="alice@example.org")
    SocialAccount.objects.create(user=trap, provider="facebook", uid="1")
    EmailAddress.objects.create(user=trap, email="alice@example.org")
    site.set_person("alice@example.org", verified=True)
    sign_in_at(client, "wordpress")
    assert CODE.search(newest_message()["text"]) is None
    assert not is_signed_in(client)


@pytest.mark.once
def test_organizer_cannot_sign_in_at_another_site(client, organizer, site):
    EmailAddress.objects.create(user=organizer, email="o@example.org", verified=True)
    site.set_person("o@example.org", verified=True)
    assert "Organizers sign in with their password." in main_text(sign_in_at(client, "wordpress"))
    assert not is_signed_in(client)


@pytest.mark.once
def test_other_site_without_an_address_leads_to_a_form(week, client, site):
    sign_up(week)
    site.set_person()
    assert "X didn't tell us your email address." in main_text(sign_in_at(client, "twitter_oauth2"))
    response = client.post(
        "/accounts/elsewhere/signup/", {"email": "alice@example.org"}, follow=True
    )
    assert "Is this email address yours?" in main_text(response)
    assert "Drop LWOP" in main_text(enter_code(client, newest_code(), VERIFY_PAGE))


@pytest.mark.once
def test_unavailable_other_site_is_a_friendly_error(client, site, monkeypatch):
    from strategyweek.accounts.wordpress.views import WordPressAdapter

    monkeypatch.setattr(WordPressAdapter, "access_token_url", "http://127.0.0.1:9/token")
    response = sign_in_at(client, "wordpress")
    assert (response.status_code, "That didn't work" in main_text(response)) == (401, True)


@pytest.mark.once
def test_canceling_at_the_other_site_is_a_friendly_page(client, site):
    redirect = client.post("/accounts/wordpress/login/?process=login")
    (state,) = parse_qs(urlsplit(redirect["Location"]).query)["state"]
    back = {"error": "access_denied", "state": state}
    response = client.get("/accounts/wordpress/login/callback/", back, follow=True)
    assert "You didn't sign in" in main_text(response)


@pytest.mark.once
@pytest.mark.browser_may("request: https://public-api.wordpress.com/oauth2/", "ERR_NAME_NOT")
def test_browser_follows_the_button_to_the_other_site(site, page):
    page.goto(CODE_PAGE)
    with page.expect_request("https://public-api.wordpress.com/oauth2/authorize**"):
        page.get_by_role("button", name="WordPress.com").click(no_wait_after=True)
