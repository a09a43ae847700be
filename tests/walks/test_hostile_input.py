"""Hostile input at the public URLs: the largest accepted body, with the worst characters."""

import time

import pytest
from django.contrib.auth.models import User
from django.test import Client

from registrations.models import Registration, email_key
from strategyweek.middleware import MAX_PUBLIC_BODY_BYTES
from strategyweek.urls import bounce_urls
from tests.people import filled_form, sign_up
from tests.public_urls import everything_configured

pytestmark = [pytest.mark.django_db, pytest.mark.once]

SECONDS = 0.05
# What is slow to normalize, to escape, to match and to read as a number.
WORST_CHARACTERS = ["\u0300\u0327", "\ufdfa", "&", "a.", "@", "9", "\u200b", "xn--", "_"]
FIELDS = ["email", "name", "organization", "needs_other", "time_zone", "sessions", "login", "code"]
PUBLIC_URLS = [
    "/{slug}/register/",
    "/{slug}/find/",
    "/me/{token}/change/",
    "/accounts/login/",
    "/accounts/login/code/",
    "/accounts/password/reset/",
    "/no/such/page/",
]


def cpu_seconds(client: Client, url: str, fields: dict[str, str]) -> float:
    """The least of three tries: other processes disturb the caches."""
    seconds = []
    for _try in range(3):
        started = time.process_time()
        client.post(url, fields)
        seconds.append(time.process_time() - started)
    return min(seconds)


@pytest.mark.parametrize("url", PUBLIC_URLS)
def test_largest_form_costs_little_more_than_an_empty_one(client, week, settings, url):
    settings.ACCOUNT_RATE_LIMITS = False
    url = url.format(slug=week.slug, token=sign_up(week).token)
    empty = cpu_seconds(client, url, {})
    slow = {}
    for worst in WORST_CHARACTERS:
        text = "a" + worst * (60_000 // len(worst.encode()) // len(FIELDS))
        spread = cpu_seconds(client, url, dict.fromkeys(FIELDS, text))
        alone = cpu_seconds(client, url, {"email": "a@" + text * len(FIELDS), "login": "a"})
        slow[worst] = round(max(spread, alone) - empty, 3)
    assert {worst: seconds for worst, seconds in slow.items() if seconds > SECONDS} == {}


@pytest.mark.parametrize("url", PUBLIC_URLS)
def test_larger_form_is_refused_before_it_is_read(client, week, url):
    url = url.format(slug=week.slug, token=sign_up(week).token)
    answer = client.post(url, {"email": "a" + "\u0300\u0327" * MAX_PUBLIC_BODY_BYTES})
    assert answer.status_code == 413
    assert "shorten what you wrote" in answer.content.decode()


@pytest.mark.parametrize("length", ["-1", "x", "\xb2", "9" * 5000])
def test_form_of_an_impossible_length_is_refused(client, length):
    assert client.post("/accounts/login/", headers={"content-length": length}).status_code == 413


def test_organizers_may_send_more(client, week):
    client.force_login(User.objects.create_superuser("olga", password="a-good-one-42"))
    answer = client.post("/accounts/logout/", {"text": "x" * 2 * MAX_PUBLIC_BODY_BYTES})
    assert answer.status_code == 302


def test_email_key_rejects_a_long_address_before_normalizing_it():
    with pytest.raises(UnicodeError, match="too long"):
        email_key("a" + "\u0300\u0327" * 1_000_000)


@pytest.mark.parametrize("page", ["find", "register"])
def test_invalid_forms_count_toward_the_limit(client, week, settings, page):
    settings.ACCOUNT_RATE_LIMITS = {page: "2/10m/ip"}
    url = f"/{week.slug}/{page}/"
    statuses = [client.post(url, {"email": "a"}).status_code for _number in range(2)]
    assert statuses == [200, 200]
    assert client.post(url, filled_form(week)).status_code == 429
    assert not Registration.objects.exists()


MALFORMED = [
    ("multipart/form-data; boundary=" + "y" * 300, b"x"),
    ("multipart/form-data; boundary=y", b"--y broken"),
    (
        "multipart/form-data; boundary=y",
        b'--y\r\nContent-Disposition: form-data; name="a"\r\n'
        b"Content-Transfer-Encoding: base64\r\n\r\n*\r\n--y--",
    ),
    ("application/x-www-form-urlencoded", b"a=1&" * 2000),
    ("application/x-www-form-urlencoded; charset=utf-7", b"a=1"),
]


@pytest.mark.parametrize("url", [*PUBLIC_URLS, "/webhooks/zoom/", "/unsubscribe/no/", "/admin/no/"])
def test_malformed_form_is_no_server_error(week, url):
    """With the CSRF cookie, whose check reads the form, also for a page that doesn't exist."""
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    client.get("/accounts/login/")
    url = url.format(slug=week.slug, token=sign_up(week).token)
    statuses = {client.generic("POST", url, body, kind).status_code for kind, body in MALFORMED}
    assert max(statuses) < 500


def test_only_the_configured_email_provider_has_a_webhook():
    """The others' views raise errors for lack of their settings."""
    assert [str(each.pattern) for each in bounce_urls("postmark")] == ["postmark/tracking/"]
    assert {str(each.pattern) for each in bounce_urls("mandrill")} >= {"mandrill/"}
    assert bounce_urls("") == []


def test_report_of_an_email_provider_without_the_secret_is_not_read(client):
    """Some of anymail's views parse it first, and raise errors if they can't."""
    with everything_configured():
        url = "/webhooks/mail/unisender_go/tracking/"
        response = client.post(url, b"[" * 60_000, content_type="application/json")
    assert response.status_code == 400
