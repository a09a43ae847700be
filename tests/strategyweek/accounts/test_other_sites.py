"""Signing in at another site, such as WordPress.com or Google."""

import json
import re
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from allauth.account.models import EmailAddress
from allauth.socialaccount.models import SocialAccount
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured
from django.test import Client

from strategyweek.settings import sign_in_providers
from tests.people import sign_up
from tests.public_urls import SITES, other_sites
from tests.services.process import BASE_DIR
from tests.strategyweek.accounts.sign_in import (
    CODE,
    CODE_PAGE,
    PASSWORD_PAGE,
    enter_code,
    is_signed_in,
    main_text,
    newest_code,
    newest_message,
    request_code,
    sign_in,
)
from tests.strategyweek.test_settings import PRODUCTION, run

pytestmark = pytest.mark.django_db

VERIFY_PAGE = "/accounts/confirm-email/"


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
