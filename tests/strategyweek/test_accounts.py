"""Signing in without a password, all one's weeks, and the mails that belong to no registration."""

import datetime as dt
import html
import importlib
import json
import logging
import re
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import ModuleType, SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
import time_machine
from allauth.account.models import EmailAddress
from allauth.socialaccount.models import SocialAccount
from allauth.socialaccount.providers import registry
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured
from django.test import Client
from django.urls import include, path
from django.utils import timezone

from events.load_week import load_strategy_week
from events.models import Event
from registrations import tasks
from registrations.mail import (
    bounces,
    stored_messages,
    writer,
)
from registrations.models import OutgoingMail
from registrations.outbox import delivery, mail_queue
from strategyweek import urls
from strategyweek.accounts import tasks as account_tasks
from strategyweek.accounts import urls as account_urls
from strategyweek.settings import other_sites
from tests.browser import overflow
from tests.people import sign_up
from tests.services import BASE_DIR
from tests.strategyweek.test_settings import PRODUCTION, run

pytestmark = pytest.mark.django_db

ASK = "/accounts/login/code/"
ENTER = "/accounts/login/code/confirm/"
PROVE = "/accounts/confirm-email/"
PASSWORD = "/accounts/login/"
WEEKS = "/me/"
MAILS = "/admin/registrations/outgoingmail/"
CODE = re.compile(r"\b[A-Z]{4}-[A-Z]{4}\b")
MINUTE = dt.timedelta(minutes=1)
SITES = ("GOOGLE", "FACEBOOK", "X", "WORDPRESS", "GITHUB", "MICROSOFT")


def ask(client: Client, email: str = "alice@example.org") -> Any:
    return client.post(ASK, {"email": email}, follow=True)


def stored() -> Any:
    """Emails whose message is stored, the newest first."""
    return OutgoingMail.objects.filter(message__isnull=False).order_by("-pk")


def newest_message() -> dict[str, Any]:
    return stored()[0].message


def newest_code() -> str:
    found = CODE.search(newest_message()["text"])
    assert found
    return found[0]


def enter(client: Client, code: str, page: str = ENTER) -> Any:
    return client.post(page, {"code": code}, follow=True)


def sign_in(client: Client, email: str = "alice@example.org") -> Any:
    ask(client, email)
    return enter(client, newest_code())


def is_signed_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


def words(answer: Any) -> str:
    """What the page says, without what is the reader's own."""
    main = answer.content.decode().partition("<main")[2].partition("</main>")[0]
    return html.unescape(" ".join(re.sub(r"<[^>]+>", " ", main).split()))


def alike(answer: Any, email: str) -> str:
    """The whole page, but for the address and the token against forged forms."""
    page = re.sub(r'value="\w{64}"', "", answer.content.decode())
    return page.replace(email, "...")


@pytest.fixture
def organizer(db) -> User:
    return User.objects.create_superuser("organizer", "o@example.org", "correct horse")


# Stored messages


def queue(**changes: Any) -> OutgoingMail:
    message = {"recipient": "alice@example.org", "subject": "Your code", "text": "ABCD-EFGH"}
    stored_messages.queue(**{**message, "valid_for": 15 * MINUTE, **changes})
    return OutgoingMail.objects.latest("pk")


def test_stored_message_is_sent_at_once_and_cleared(mailoutbox):
    mail = queue(html="<p>ABCD-EFGH</p>")
    assert mail.priority == OutgoingMail.Priority.AT_ONCE
    delivery.deliver_due(writer.writer_for)
    (sent,) = mailoutbox
    assert (sent.to, sent.subject, sent.body) == (["alice@example.org"], "Your code", "ABCD-EFGH")
    assert sent.alternatives[0][0] == "<p>ABCD-EFGH</p>"
    assert sent.extra_headers["Auto-Submitted"] == "auto-generated"
    tasks.queue_due_mails()
    mail.refresh_from_db()
    assert (mail.state, mail.message, str(mail)) == ("sent", None, "Account to a deleted address")


def test_expired_message_is_dropped_and_not_sent_late(mailoutbox):
    mail = queue()
    with time_machine.travel(timezone.now() + 16 * MINUTE):
        delivery.deliver_due(writer.writer_for)
        tasks.queue_due_mails()
    mail.refresh_from_db()
    assert (mail.state, mailoutbox, mail.message) == ("dropped", [], None)


def test_waiting_message_is_kept(mailoutbox):
    queue()
    tasks.queue_due_mails()
    delivery.deliver_due(writer.writer_for)
    assert len(mailoutbox) == 1


def test_stored_messages_and_emails_to_people_are_sent_together(week, mailoutbox):
    sign_up(week)
    queue()
    delivery.deliver_due(writer.writer_for)
    assert sorted(mail.subject for mail in mailoutbox) == [
        "Your code",
        "Your links for Drop LWOP Strategy Week",
    ]


@pytest.mark.parametrize(("event", "state"), [("bounced", "bounced"), ("complained", "complained")])
def test_bounce_of_a_stored_message_is_recorded(mailoutbox, event, state):
    mail = queue()
    delivery.deliver_due(writer.writer_for)
    reported = SimpleNamespace(
        event_type=event,
        description="",
        reject_reason="",
        message_id="",
        metadata={"mail": mail_queue.message_id(mail)},
    )
    bounces.record(None, reported, "Postmark")
    mail.refresh_from_db()
    assert mail.state == state


def test_organizers_see_a_stored_message_but_not_its_text(admin_client):
    mail = queue()
    pages = [
        admin_client.get(url).content.decode()
        for url in (MAILS, f"{MAILS}{mail.pk}/change/", f"{MAILS}?q=alice", f"{MAILS}status/")
    ]
    assert ["alice@example.org" in page for page in pages] == [True, True, True, False]
    assert ["Account" in page for page in pages] == [True] * 4
    assert [said for said in ("ABCD", "Your code") for page in pages if said in page] == []


# A code


def test_code_is_at_the_mail_server_within_a_second(week, smtp_sink, worker, client):
    sign_up(week)
    worker()
    smtp_sink.wait_for(1)
    started = time.monotonic()
    ask(client)
    received = smtp_sink.wait_for(2)[1].message
    assert time.monotonic() - started < 1
    assert received["To"] == "alice@example.org"
    assert enter(client, CODE.search(received.get_content())[0]).redirect_chain[-1][0] == WEEKS


def test_code_lets_in_and_makes_the_account(week, client):
    sign_up(week)
    answer = sign_in(client)
    assert answer.redirect_chain[-1] == (WEEKS, 302)
    assert "Drop LWOP Strategy Week" in words(answer)
    user = User.objects.get()
    assert (user.email, user.is_staff, user.is_superuser) == ("alice@example.org", False, False)
    assert not user.has_usable_password()
    assert EmailAddress.objects.get().verified


def test_same_address_is_the_same_account_in_any_case(week, client):
    sign_up(week)
    for email in ("alice@example.org", "Alice@Example.ORG"):
        assert "Drop LWOP" in words(sign_in(client, email))
        client.post("/accounts/logout/")
    assert (User.objects.count(), EmailAddress.objects.count()) == (1, 1)


def test_pages_and_mails_are_alike_whether_there_is_an_account(week, client):
    sign_up(week)
    sign_in(client)
    known, unknown = Client(), Client()
    asked = [ask(known), ask(unknown, "bob@example.org")]
    sent = [mail.message["text"] for mail in stored()[:2]]
    assert alike(asked[0], "alice@example.org") == alike(asked[1], "bob@example.org")
    assert CODE.sub("", sent[0]) == CODE.sub("", sent[1])
    wrong = [enter(each, "WRONG") for each in (known, unknown)]
    assert alike(wrong[0], "alice@example.org") == alike(wrong[1], "bob@example.org")


def test_three_wrong_codes_end_it(client):
    ask(client)
    right = newest_code()
    answers = [enter(client, "WRNG-CODE") for _attempt in range(3)]
    assert "That is not the code." in words(answers[1])
    assert answers[2].redirect_chain[-1][0] == ASK
    assert "Too many failed login attempts" in words(answers[2])
    enter(client, right)
    assert not is_signed_in(client)


def test_asking_for_codes_again_and_again_is_stopped(client):
    answers = [words(Client().post(ASK, {"email": "alice@example.org"})) for _ in range(4)]
    assert [("Too many" in answer) for answer in answers] == [False, False, False, True]
    assert OutgoingMail.objects.count() == 3


def test_code_works_for_a_quarter_of_an_hour(client):
    ask(client)
    code = newest_code()
    with time_machine.travel(timezone.now() + 16 * MINUTE):
        assert enter(client, code).redirect_chain[-1][0] == ASK
    assert not is_signed_in(client)


def test_new_code_takes_the_place_of_the_first(client):
    ask(client)
    first = newest_code()
    client.post(ENTER, {"action": "resend"})
    second = newest_code()
    assert "That is not the code." in words(enter(client, first))
    enter(client, second)
    assert is_signed_in(client)


def test_code_is_for_the_browser_that_asked(client):
    ask(client)
    assert enter(Client(), newest_code()).redirect_chain[-1][0] == ASK


def test_starting_over_leads_to_another_address(client):
    ask(client)
    assert client.get(ASK)["Location"] == ENTER
    answer = client.post("/accounts/logout/", {"next": ASK}, follow=True)
    assert "Mail me a code" in words(answer)


def test_code_is_in_no_log_and_on_no_page_of_organizers(client, admin_client, caplog, mailoutbox):
    caplog.set_level(logging.DEBUG)
    ask(client)
    code = newest_code()
    (mail,) = OutgoingMail.objects.all()
    delivery.deliver_due(writer.writer_for)
    enter(client, code)
    pages = [admin_client.get(url) for url in (MAILS, f"{MAILS}{mail.pk}/change/", "/admin/")]
    assert code in mailoutbox[0].body
    assert code not in caplog.text
    assert [page for page in pages if code in page.content.decode()] == []


def test_account_emails_are_shown_in_the_dev_mailbox(client, settings, tmp_path):
    settings.EMAIL_BACKEND = "strategyweek.dev_mailbox.EmailBackend"
    settings.MAIL_DIR = tmp_path
    ask(client)
    delivery.deliver_due(writer.writer_for)
    (written,) = tmp_path.glob("*.eml")
    assert newest_code() in written.read_text()


# Whose account it is


def test_accounts_that_nobody_proved_are_forgotten(client, organizer):
    for email in ("alice@example.org", "bob@example.org"):
        ask(Client(), email)
    enter(client, "")
    sign_in(client, "charlie@example.org")
    User.objects.create_user("invited", "invited@example.org", "a password")
    account_tasks.delete_unproven_accounts()
    assert User.objects.count() == 5
    with time_machine.travel(timezone.now() + dt.timedelta(days=2)):
        account_tasks.delete_unproven_accounts()
    kept = User.objects.order_by("email").values_list("email", flat=True)
    assert list(kept) == ["charlie@example.org", "invited@example.org", "o@example.org"]


def test_code_never_opens_an_account_that_only_claims_the_address(client):
    """Whoever made it, by another site, would come in there after the victim had proven it."""
    trap = User.objects.create(username="trap", email="alice@example.org")
    SocialAccount.objects.create(user=trap, provider="facebook", uid="1")
    EmailAddress.objects.create(user=trap, email="alice@example.org")
    sign_in(client)
    assert client.session["_auth_user_id"] != str(trap.pk)
    assert not EmailAddress.objects.get(user=trap).verified


def test_organizer_is_not_let_in_by_a_code(client, organizer):
    answer = sign_in(client, "o@example.org")
    assert answer.redirect_chain[-1][0] == PASSWORD
    assert "Organizers sign in with their password." in words(answer)
    assert not is_signed_in(client)


def test_organizer_sees_own_weeks_by_password_once_the_address_is_proven(week, client, organizer):
    sign_up(week, email="o@example.org")
    login = {"login": "o@example.org", "password": "correct horse"}
    assert client.post(PASSWORD, login)["Location"] == "/admin/"
    assert "We do not know yet which address is yours." in words(client.get(WEEKS))
    client.post("/accounts/logout/")
    sign_in(client, "o@example.org")
    assert client.post(PASSWORD, login)["Location"] == "/admin/"
    assert "Drop LWOP Strategy Week" in words(client.get(WEEKS))


def test_persons_account_is_not_let_into_the_admin(client):
    sign_in(client)
    assert client.get("/admin/", follow=True).status_code == 403


def test_account_that_was_switched_off_is_not_let_in(client):
    sign_in(client)
    client.post("/accounts/logout/")
    User.objects.update(is_active=False)
    assert "This account is switched off" in words(sign_in(client))
    assert not is_signed_in(client)


def test_whoever_enters_by_codes_gets_no_password(client):
    sign_in(client)
    OutgoingMail.objects.all().delete()
    Client().post("/accounts/password/reset/", {"email": "alice@example.org"})
    assert not stored().exists()


@pytest.mark.parametrize(
    "page", ["signup/", "password/change/", "password/set/", "reauthenticate/", "elsewhere/"]
)
def test_pages_that_nobody_needs_are_not_there(client, page):
    sign_in(client)
    assert client.get(f"/accounts/{page}").status_code == 404


# All weeks


def test_weeks_are_for_whoever_signs_in(client):
    assert client.get(WEEKS)["Location"] == f"{ASK}?next=/me/"


def test_weeks_are_all_of_ones_own_and_nobody_elses(week, client):
    alice, _bob = sign_up(week), sign_up(week, "Bob B")
    page = sign_in(client).content.decode()
    assert re.findall(r'href="(/me/[^"]+/)"', page) == [f"/me/{alice.token}/"]
    assert client.get(WEEKS)["Cache-Control"] == "no-store"


def test_weeks_come_newest_first(week, client):
    years = [load_strategy_week(starting=dt.date(year, 10, 6)).event for year in (2040, 2018, 2035)]
    tokens = {event: sign_up(event).token for event in (week, *years)}
    page = sign_in(client).content.decode()
    order = [years[0], years[2], week, years[1]]
    assert re.findall(r'href="/me/([^"]+)/"', page) == [tokens[event] for event in order]


def test_weeks_that_are_not_public_yet_are_not_shown(week, client):
    sign_up(week)
    Event.objects.update(status=Event.Status.DRAFT)
    assert "Nobody is registered" in words(sign_in(client))


def test_weeks_of_an_address_that_is_not_proven_are_not_shown(week, client):
    sign_up(week, "Bob B")
    sign_in(client)
    EmailAddress.objects.create(user=User.objects.get(), email="bob@example.org")
    assert "Drop LWOP" not in words(client.get(WEEKS))
    EmailAddress.objects.filter(email="bob@example.org").update(verified=True)
    assert "Drop LWOP" in words(client.get(WEEKS))


@pytest.mark.parametrize(
    "changes",
    [
        {"approval": "declined", "decided_at": timezone.now()},
        {"canceled_at": timezone.now()},
    ],
    ids=["declined", "canceled"],
)
def test_weeks_without_one_are_said_to_be_none(week, client, changes):
    alice = sign_up(week)
    type(alice).objects.update(**changes)
    page = sign_in(client)
    assert "Nobody is registered with alice@example.org." in words(page)
    assert alice.token not in page.content.decode()


def test_signing_out(week, client):
    sign_in(client)
    answer = client.post("/accounts/logout/", follow=True)
    assert answer.redirect_chain == [("/accounts/signed-out/", 302)]
    assert not is_signed_in(client)


@pytest.mark.once
@pytest.mark.parametrize(("width", "javascript"), [(320, True), (1280, False)])
def test_walk_from_the_footer_to_all_weeks_and_out(week, new_page, javascript, width):
    sign_up(week)
    page = new_page(viewport={"width": width, "height": 800}, java_script_enabled=javascript)
    page.goto("/")
    page.get_by_role("link", name="Your weeks").click()
    page.get_by_label("Email address").fill("alice@example.org")
    page.get_by_role("button", name="Mail me a code").click()
    page.get_by_label("Code").fill(newest_code())
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="Drop LWOP Strategy Week").click()
    page.get_by_role("heading", name="Your sessions").wait_for()
    page.go_back()
    page.get_by_role("button", name="Sign out").wait_for()
    assert overflow(page) == 0
    assert not javascript or Axe().run(page).response["violations"] == []
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("heading", name="You are signed out").wait_for()


# Other sites


class OtherSite:
    """WordPress.com, X and Facebook in one: what it says of whoever signs in there."""

    def __init__(self) -> None:
        self.url = ""
        self.person: dict[str, Any] = {}

    def tells(self, email: str = "", *, verified: bool = False, number: int = 7) -> None:
        known = {"email": email, "email_verified": verified, "name": "A", "username": "a"}
        self.person = {"ID": number, "id": str(number), **known}

    def id_token(self) -> str:
        """As Google tells of someone, over a connection that needs no signature."""
        issued = {"iss": "https://accounts.google.com", "aud": "GOOGLE-id", "sub": "7"}
        until = {"exp": time.time() + 60}
        return jwt.encode({**issued, **until, **self.person}, "a key that nobody checks" * 2)

    def answer(self, address: str) -> dict[str, Any]:
        if "token" in address:
            return {"access_token": "an access token", "id_token": self.id_token()}
        return {"data": self.person} if "users" in address else self.person


@pytest.fixture
def site(settings, monkeypatch) -> Iterator[OtherSite]:
    """All other sites offered, and those of them that tests sign in by on loopback."""
    from allauth.socialaccount.providers.google.views import GoogleOAuth2Adapter
    from allauth.socialaccount.providers.twitter_oauth2.views import TwitterOAuth2Adapter

    from strategyweek.accounts.wordpress.views import WordPressAdapter

    for name in SITES:
        monkeypatch.setenv(f"{name}_CLIENT_ID", f"{name}-id")
        monkeypatch.setenv(f"{name}_CLIENT_SECRET", f"{name}-secret")
    offered = list(other_sites())
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, *(app for app, *_rest in offered)]
    settings.SOCIALACCOUNT_PROVIDERS = {name: keys for _app, name, keys, _hosts in offered}
    settings.OTHER_SITES_HOSTS = [host for *_rest, hosts in offered for host in hosts]
    site = OtherSite()

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"] or 0))
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(site.answer(self.path)).encode())

        do_POST = do_GET

        def log_message(self, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
        site.url = f"http://127.0.0.1:{server.server_port}"
        for adapter in (WordPressAdapter, TwitterOAuth2Adapter, GoogleOAuth2Adapter):
            monkeypatch.setattr(adapter, "access_token_url", f"{site.url}/token")
        monkeypatch.setattr(WordPressAdapter, "profile_url", f"{site.url}/me")
        monkeypatch.setattr(TwitterOAuth2Adapter, "profile_url", f"{site.url}/users/me")
        with offering(settings, monkeypatch):
            yield site
        server.shutdown()


class offering:
    """The addresses of the other sites' sign-in, beside ours."""

    def __init__(self, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        registry.provider_map.clear()
        registry.loaded = False
        found = ModuleType("urls_with_other_sites")
        with_them = importlib.reload(account_urls).urlpatterns
        found.urlpatterns = [path("accounts/", include(with_them)), *urls.urlpatterns]  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, found.__name__, found)
        settings.ROOT_URLCONF = found.__name__

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_error: object) -> None:
        registry.provider_map.clear()
        registry.loaded = False


def come_from(client: Client, name: str) -> Any:
    """Press the site's button, say yes there, and come back."""
    away = client.post(f"/accounts/{name}/login/?process=login")
    (state,) = parse_qs(urlsplit(away["Location"]).query)["state"]
    return client.get(
        f"/accounts/{name}/login/callback/", {"code": "c", "state": state}, follow=True
    )


@pytest.mark.once
def test_other_sites_are_offered_by_their_keys_only(client, site):
    buttons = re.findall(r'action="/accounts/(\w+)/login/', client.get(ASK).content.decode())
    providers = ["facebook", "github", "google", "microsoft", "twitter_oauth2", "wordpress"]
    assert sorted(buttons) == providers


@pytest.mark.once
def test_without_keys_there_is_no_other_site(client):
    assert "Or sign in by another site" not in words(client.get(ASK))
    assert client.post("/accounts/google/login/").status_code == 404


@pytest.mark.once
def test_one_sites_keys_are_no_others(monkeypatch):
    monkeypatch.setenv("X_CLIENT_ID", "an id")
    monkeypatch.setenv("X_CLIENT_SECRET", "a secret")
    ((app, name, keys, hosts),) = other_sites()
    assert (app.rpartition(".")[2], name) == ("twitter_oauth2", "twitter_oauth2")
    assert keys == {"APPS": [{"client_id": "an id", "secret": "a secret"}]}
    assert "https://x.com" in hosts


@pytest.mark.once
def test_keys_of_all_sites_are_explained_in_the_example():
    example = (BASE_DIR / ".env.example").read_text()
    keys = {f"# {name}_CLIENT_{part}=" for name in SITES for part in ("ID", "SECRET")}
    assert keys <= set(example.splitlines())


@pytest.mark.once
def test_half_of_a_sites_keys_is_refused(monkeypatch):
    monkeypatch.setenv("GOOGLE_CLIENT_ID", "an id")
    with pytest.raises(ImproperlyConfigured, match="Set both GOOGLE_CLIENT_ID and"):
        list(other_sites())


@pytest.mark.once
def test_product_starts_with_every_sites_keys():
    keys = {f"{name}_CLIENT_{part}": "set" for name in SITES for part in ("ID", "SECRET")}
    result = run("manage.py", "check", **PRODUCTION, **keys)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.once
def test_browsers_may_go_from_the_button_to_the_other_site(client, site):
    policy = client.get(ASK)["Content-Security-Policy"]
    assert "https://accounts.google.com" in policy.partition("form-action")[2].partition(";")[0]
    assert "google" not in client.get(PASSWORD)["Content-Security-Policy"]


@pytest.mark.once
def test_button_leads_to_the_other_site_and_a_mere_link_does_not(client, site):
    away = client.post("/accounts/wordpress/login/?process=login")
    assert away["Location"].startswith("https://public-api.wordpress.com/oauth2/authorize?")
    asked = parse_qs(urlsplit(away["Location"]).query)
    assert (asked["client_id"], asked["scope"]) == (["WORDPRESS-id"], ["auth"])
    assert asked["redirect_uri"][0].endswith("/accounts/wordpress/login/callback/")
    assert "That begins on our own page" in words(client.get("/accounts/wordpress/login/"))


@pytest.mark.once
@pytest.mark.parametrize("name", ["google", "wordpress"])
def test_address_that_the_other_site_has_verified_counts(week, client, site, name):
    sign_up(week)
    site.tells("alice@example.org", verified=True)
    assert "Drop LWOP Strategy Week" in words(come_from(client, name))
    account = SocialAccount.objects.get()
    assert (account.user.first_name, account.extra_data) == ("", {})


@pytest.mark.once
def test_other_site_and_codes_open_the_same_account(week, client, site):
    sign_up(week)
    sign_in(client)
    client.post("/accounts/logout/")
    site.tells("alice@example.org", verified=True)
    assert "Drop LWOP Strategy Week" in words(come_from(client, "wordpress"))
    assert User.objects.count() == 1


@pytest.mark.once
def test_code_that_was_not_waited_for_stands_in_no_other_sites_way(week, client, site):
    sign_up(week)
    ask(client)
    client.post("/accounts/logout/")
    site.tells("alice@example.org", verified=True)
    assert "Drop LWOP Strategy Week" in words(come_from(client, "wordpress"))
    assert User.objects.count() == 1


@pytest.mark.once
def test_address_that_the_other_site_has_not_verified_takes_a_code(week, client, site):
    sign_up(week)
    site.tells("alice@example.org", verified=False)
    assert "Is this address yours?" in words(come_from(client, "wordpress"))
    assert not is_signed_in(client)
    assert "Drop LWOP" in words(enter(client, newest_code(), PROVE))


@pytest.mark.once
def test_unverified_address_takes_over_no_account(week, client, site):
    sign_up(week)
    sign_in(Client())
    site.tells("alice@example.org", verified=False)
    answer = come_from(client, "wordpress")
    assert "Is this address yours?" in words(answer)
    message = newest_message()
    assert message["subject"] == "You can sign in with this address"
    assert CODE.search(message["text"]) is None
    assert (User.objects.count(), is_signed_in(client)) == (1, False)


@pytest.mark.once
def test_verified_address_opens_no_account_that_only_claims_it(client, site):
    trap = User.objects.create(username="trap", email="alice@example.org")
    SocialAccount.objects.create(user=trap, provider="facebook", uid="1")
    EmailAddress.objects.create(user=trap, email="alice@example.org")
    site.tells("alice@example.org", verified=True)
    come_from(client, "wordpress")
    assert CODE.search(newest_message()["text"]) is None
    assert not is_signed_in(client)


@pytest.mark.once
def test_organizer_is_not_let_in_by_another_site(client, organizer, site):
    EmailAddress.objects.create(user=organizer, email="o@example.org", verified=True)
    site.tells("o@example.org", verified=True)
    assert "Organizers sign in with their password." in words(come_from(client, "wordpress"))
    assert not is_signed_in(client)


@pytest.mark.once
def test_site_that_tells_no_address_has_it_asked_for(week, client, site):
    sign_up(week)
    site.tells()
    assert "X does not tell it to us." in words(come_from(client, "twitter_oauth2"))
    asked = client.post("/accounts/elsewhere/signup/", {"email": "alice@example.org"}, follow=True)
    assert "Is this address yours?" in words(asked)
    assert "Drop LWOP" in words(enter(client, newest_code(), PROVE))


@pytest.mark.once
def test_site_that_is_away_is_a_page_that_says_so(client, site, monkeypatch):
    from strategyweek.accounts.wordpress.views import WordPressAdapter

    monkeypatch.setattr(WordPressAdapter, "access_token_url", "http://127.0.0.1:9/token")
    answer = come_from(client, "wordpress")
    assert (answer.status_code, "That did not work" in words(answer)) == (401, True)


@pytest.mark.once
def test_calling_it_off_at_the_other_site(client, site):
    away = client.post("/accounts/wordpress/login/?process=login")
    (state,) = parse_qs(urlsplit(away["Location"]).query)["state"]
    back = {"error": "access_denied", "state": state}
    answer = client.get("/accounts/wordpress/login/callback/", back, follow=True)
    assert "You did not sign in" in words(answer)


@pytest.mark.once
@pytest.mark.browser_may("request: https://public-api.wordpress.com/oauth2/", "ERR_NAME_NOT")
def test_browser_follows_the_button_to_the_other_site(site, page):
    page.goto(ASK)
    with page.expect_request("https://public-api.wordpress.com/oauth2/authorize**"):
        page.get_by_role("button", name="WordPress.com").click(no_wait_after=True)
