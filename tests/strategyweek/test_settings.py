"""Settings are safe by default and report what is missing; logs contain no secret links."""

import logging
import os
import re
import runpy
import subprocess
import sys
import time
from typing import Any
from unittest import mock

import pytest
from django.conf import global_settings
from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.db import connection

from strategyweek.celery import limit_statements
from strategyweek.logs import PrivateFormatter, hide_secrets
from strategyweek.settings import integer, is_local, is_zoom
from tests.services.process import BASE_DIR

pytestmark = pytest.mark.once

PRODUCTION = {
    "SECRET_KEY": "a long and random value, as far as a test needs it: 0123456789",
    "SITE_URL": "https://week.example.org",
    "DEFAULT_FROM_EMAIL": "Week <week@example.org>",
    "EMAIL_URL": "smtp+tls://user:p%40ss@mail.example.org:587",
}


def run(*command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": os.environ["PATH"],
        "VAR_DIR": os.environ["VAR_DIR"],
        "DJANGO_SETTINGS_MODULE": "strategyweek.settings",
        **variables,
    }
    return subprocess.run(
        [sys.executable, *command], env=environment, capture_output=True, text=True, timeout=60
    )


def loaded(*names: str, **variables: str) -> list[Any]:
    """These settings, as a process with no other variables has them."""
    only = {"VAR_DIR": os.environ["VAR_DIR"], **variables}
    with mock.patch.dict(os.environ, only, clear=True):
        settings = runpy.run_path(str(BASE_DIR / "strategyweek/settings.py"))
    return [settings.get(name, getattr(global_settings, name, None)) for name in names]


def refusal(**variables: str) -> str:
    """Why the settings can't be loaded with these variables."""
    with pytest.raises(ImproperlyConfigured) as error:
        loaded(**variables)
    return str(error.value)


@pytest.mark.parametrize(
    ("missing", "hint"),
    [("SECRET_KEY", "python -c 'import secrets"), ("SITE_URL", "such as https://week.example.org")],
)
def test_production_does_not_start_without_its_settings(missing, hint):
    said = refusal(**PRODUCTION | {missing: ""})
    assert said.startswith(f"{missing} is not set. ")
    assert hint in said


def test_process_says_what_is_missing_and_ends():
    result = run("manage.py", "check", **PRODUCTION | {"SECRET_KEY": ""})
    assert result.returncode != 0
    assert "SECRET_KEY is not set" in result.stderr
    assert "python -c 'import secrets" in result.stderr


def test_production_starts_without_an_email_server_and_sends_nothing_to_files():
    nothing = {"EMAIL_URL": "", "DEFAULT_FROM_EMAIL": ""}
    assert loaded("EMAIL_BACKEND", **PRODUCTION | nothing) == [""]
    assert loaded("EMAIL_BACKEND", DEBUG="true") == ["strategyweek.dev_mailbox.EmailBackend"]
    result = run("manage.py", "check", "--deploy", **PRODUCTION | nothing)
    assert (result.returncode, result.stderr) == (0, "")


def test_production_starts_with_all_settings():
    result = run("manage.py", "check", "--deploy", "--fail-level=WARNING", **PRODUCTION)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == "System check identified no issues (2 silenced).\n"


def test_site_without_tls_is_a_warning():
    result = run("manage.py", "check", "--deploy", **{**PRODUCTION, "SITE_URL": "http://week.org"})
    assert "registrations.W001" in result.stderr


@pytest.mark.parametrize("key", ["x", "x" * 60, "0123456789" * 4])
def test_weak_secret_key_is_an_error(key):
    said = refusal(**PRODUCTION | {"SECRET_KEY": key})
    assert said.startswith("SECRET_KEY must be at least 50 random characters")


@pytest.mark.parametrize("site", ["https://week.example.org", "http://203.0.114.5"])
def test_debug_with_a_public_site_is_an_error(site):
    said = refusal(DEBUG="true", SITE_URL=site)
    assert said.startswith("DEBUG is on, but SITE_URL is public")


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "::1", "192.168.1.5", "laptop", "laptop.local", "a.test"]
)
def test_debug_is_for_local_sites(host):
    assert is_local(host)


def test_earlier_keys_are_fallbacks():
    for value, expected in (("old,older,", ["old", "older"]), ("", [])):
        variables = PRODUCTION | {"SECRET_KEY_FALLBACKS": value}
        assert loaded("SECRET_KEY_FALLBACKS", **variables) == [expected]


@pytest.mark.parametrize(
    ("password", "problem"),
    [
        ("maria2026!", "too similar to the username"),
        ("MARIA-maria", "too similar to the username"),
        ("m.lopez#1", "too similar to the email"),
        ("short", "too short"),
        ("12345678901", "entirely numeric"),
        ("password1", "too common"),
    ],
)
def test_weak_password_is_refused(password, problem):
    user = User(username="maria", email="m.lopez@example.org")
    with pytest.raises(ValidationError, match=problem):
        validate_password(password, user)
    validate_password("maria keeps nine bees", user)


@pytest.mark.parametrize("value", ["maybe", "2", "tru"])
def test_boolean_rejects_other_values(value):
    assert refusal(**PRODUCTION, DEBUG=value) == f"DEBUG must be true or false, not '{value}'."


@pytest.mark.parametrize("address", ["week.example.org", "ftp://x", "https://"])
def test_site_url_must_be_an_http_url(address):
    said = refusal(**PRODUCTION | {"SITE_URL": address})
    assert said == "SITE_URL must look like https://week.example.org"


def test_sender_must_have_an_ascii_domain():
    said = refusal(**PRODUCTION | {"DEFAULT_FROM_EMAIL": "Us <us@faß.de>"})
    assert said.startswith("DEFAULT_FROM_EMAIL must have its domain in ASCII")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp://u:p%40ss@h:25", ["h", 25, "u", "p@ss", False, False]),
        ("smtp+tls://u:p@h:587", ["h", 587, "u", "p", True, False]),
        ("smtp+ssl://u:p@h:465", ["h", 465, "u", "p", False, True]),
    ],
)
def test_email_url_sets_the_mail_server(url, expected):
    names = ("HOST", "PORT", "HOST_USER", "HOST_PASSWORD", "USE_TLS", "USE_SSL")
    seen = loaded(*(f"EMAIL_{name}" for name in names), **PRODUCTION | {"EMAIL_URL": url})
    assert seen == expected


POSTMARK = {"EMAIL_URL": "anymail://postmark", "ANYMAIL": "POSTMARK_SERVER_TOKEN=t0ken"}


def test_email_url_may_name_an_email_provider():
    assert loaded("EMAIL_BACKEND", "ANYMAIL", **PRODUCTION | POSTMARK) == [
        "anymail.backends.postmark.EmailBackend",
        {
            "POSTMARK_SERVER_TOKEN": "t0ken",
            "REQUESTS_TIMEOUT": 15,
            "IGNORE_UNSUPPORTED_FEATURES": True,
        },
    ]


def test_every_email_provider_exists_in_anymail():
    from importlib import import_module

    from django.conf import settings

    for provider in settings.MAIL_PROVIDERS:
        assert import_module(f"anymail.backends.{provider}").EmailBackend


def test_unknown_email_provider_is_an_error():
    said = refusal(**PRODUCTION | {"EMAIL_URL": "anymail://gmail"})
    assert said.startswith("EMAIL_URL must name one of brevo, mailersend")


def test_email_provider_without_its_key_is_an_error():
    result = run("manage.py", "check", **PRODUCTION | POSTMARK | {"ANYMAIL": ""})
    assert "registrations.E002" in result.stderr
    assert "POSTMARK_SERVER_TOKEN" in result.stderr


@pytest.mark.parametrize(("secret", "warned"), [("", True), ("mail:s3cret", False)])
def test_email_provider_without_a_webhook_secret_is_a_warning(secret, warned):
    variables = PRODUCTION | POSTMARK | {"ANYMAIL_WEBHOOK_SECRET": secret}
    result = run("manage.py", "check", "--deploy", **variables)
    assert ("registrations.W002" in result.stderr) == warned


@pytest.mark.parametrize("value", ["0", "-1", "x", "1.5"])
def test_integer_rejects_other_values(monkeypatch, value):
    monkeypatch.setenv("ZOOM_TIMEOUT", value)
    with pytest.raises(ImproperlyConfigured, match="ZOOM_TIMEOUT must be a whole number of at"):
        integer("ZOOM_TIMEOUT", default=1, minimum=1)


def test_integer_has_a_default(monkeypatch):
    monkeypatch.setenv("ZOOM_TIMEOUT", " ")
    assert integer("ZOOM_TIMEOUT", default=1, minimum=1) == 1
    monkeypatch.setenv("ZOOM_TIMEOUT", "8")
    assert integer("ZOOM_TIMEOUT", default=1, minimum=1) == 8


def test_email_and_broker_calls_have_a_timeout():
    (timeout, broker) = loaded(
        "EMAIL_TIMEOUT",
        "CELERY_BROKER_TRANSPORT_OPTIONS",
        **PRODUCTION,
        REDIS_URL="redis://localhost:1/0",
    )
    assert timeout == 15
    assert (broker["socket_timeout"], broker["socket_connect_timeout"]) == (2, 1)


# Zoom


@pytest.mark.parametrize("name", ["ZOOM_API_URL", "ZOOM_OAUTH_URL"])
def test_production_rejects_a_fake_zoom(name):
    said = refusal(**PRODUCTION | {name: "http://127.0.0.1:8001/v2"})
    assert said.startswith("ZOOM_API_URL and ZOOM_OAUTH_URL must be addresses of Zoom, such as")


def test_debug_allows_a_fake_zoom():
    names = ("ZOOM_API_URL", "ZOOM_OAUTH_URL", "ZOOM_IS_FAKE", "ZOOM_PLAN", "ZOOM_TIMEOUT")
    zoom = ["https://api.zoom.us/v2", "https://zoom.us/oauth/token", False, "pro", 15]
    # Compose passes unset variables on as empty.
    assert loaded(*names, **PRODUCTION, ZOOM_API_URL="", ZOOM_OAUTH_URL="", ZOOM_PLAN="") == zoom
    here = "http://127.0.0.1:8001/v2"
    seen = loaded(*names, DEBUG="true", ZOOM_API_URL=here, ZOOM_PLAN="Business", ZOOM_TIMEOUT="5")
    assert seen == [here, zoom[1], True, "business", 5]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://api.zoom.us/v2", True),
        ("https://zoom.us/oauth/token", True),
        ("https://api.zoomgov.com/v2", True),
        ("http://api.zoom.us/v2", False),
        ("https://api.zoom.us.example.org/v2", False),
        ("https://notzoom.us/v2", False),
        ("https://zoom.us@example.org/v2", False),
        ("zoom.us", False),
    ],
)
def test_is_zoom_accepts_only_zooms_own_urls(url, expected):
    assert is_zoom(url) == expected


def test_zoom_plan_must_be_known():
    said = refusal(**PRODUCTION, ZOOM_PLAN="enterprise")
    assert said == "ZOOM_PLAN must be free, pro or business, not 'enterprise'."


def test_incomplete_zoom_credentials_are_an_error():
    result = run("manage.py", "check", **PRODUCTION, ZOOM_CLIENT_ID="id")
    assert "events.E001" in result.stderr


def test_checks_work_on_a_database_without_tables():
    variables = PRODUCTION | {"DATABASE_URL": "sqlite://:memory:"}
    result = run("manage.py", "check", "--database=default", **variables)
    assert (result.returncode, result.stderr) == (0, "")


def test_every_variable_is_explained_in_env_example():
    source = (BASE_DIR / "strategyweek/settings.py").read_text()
    used = set(re.findall(r'(?:env\.\w+|boolean|required|integer)\(\s*"([A-Z_]+)"', source))
    explained = set(
        re.findall(r"^(?:# )?([A-Z_]+)=", (BASE_DIR / ".env.example").read_text(), re.M)
    )
    assert {"DATABASE_URL", "SECRET_KEY"} <= used
    assert used - explained == set()


TOKEN = "Ab3-5_78Ab3-5_78Ab3-5_78Ab3-5_78"


@pytest.mark.parametrize(
    "message",
    [
        f"GET /me/{TOKEN}/ 200",
        "Not Found: /me/short-t0ken/opening/",
        "Not Found: /Me/short-t0ken/",
        "Not Found: /JOIN/short-t0ken/opening/",
        "/calendar/short-t0ken",
        f"Not Found: /{TOKEN}/",
        f"Not Found: /no/such/{TOKEN}",
        "GET /%41" + TOKEN[1:],
        "/accounts/password/reset/key/1f-d4k2mz-0123456789abcdef0123456789abcdef/",
        "Key (event_id, email_key)=(1, alice@example.org) already exists.",
        "550 5.1.1 <Alice.O'Brien+x@mail.example.org>: no such user",
        "/accounts/login/?email=alice%40example.org",
        "alice@faß.de",
    ],
)
def test_logs_hide_personal_links_and_addresses(message):
    hidden = hide_secrets(message)
    assert not re.search("t0ken|Ab3|5_78|abcdef|example|faß", hidden.replace("No such", ""))
    assert "<hidden>" in hidden or "<address>" in hidden


@pytest.mark.parametrize(
    "message",
    [
        "Task registrations.tasks.deliver_mails[44d27211-0e15-4866-a70c-597ce9bda5e7] received",
        'File "/app/registrations/mail/kinds.py", line 12, in the_longest_name_that_is_here',
        "celery@worker ready.",
        "Not Found: /drop-lwop-2026-12-26/find/",
    ],
)
def test_logs_keep_what_is_not_secret(message):
    assert hide_secrets(message) == message


def test_hiding_secrets_in_a_long_text_is_fast():
    started = time.process_time()
    for text in ("a" * 200_000, "%41" * 60_000, "a@" * 100_000, "a." * 100_000, "-a" * 100_000):
        hide_secrets(text)
    assert time.process_time() - started < 2


def test_logs_hide_addresses_in_a_traceback():
    try:
        raise ValueError("alice@example.org")
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, "", 1, "failed", (), sys.exc_info())
    logged = PrivateFormatter().format(record)
    assert "ValueError: <address>" in logged
    assert "in test_logs_hide_addresses_in_a_traceback" in logged


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/me/{}/", "/Me/{}/", "/{}/", "/me/{}/nothing/", "//join//{}/"])
def test_invalid_link_is_logged_without_its_token(client, caplog, path):
    client.get(path.format(TOKEN))
    handlers = [each for each in logging.getLogger().handlers if each.formatter]
    (console,) = [each for each in handlers if isinstance(each.formatter, PrivateFormatter)]
    logged = "".join(map(console.format, caplog.records))
    assert "Not Found" in logged
    assert TOKEN not in logged


@pytest.mark.served
def test_statements_of_a_worker_end_after_a_minute(transactional_db, monkeypatch):
    options = dict(connection.settings_dict["OPTIONS"])
    monkeypatch.setitem(connection.settings_dict, "OPTIONS", options)
    limit_statements()
    connection.close()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SHOW statement_timeout")
            assert cursor.fetchone() == ("1min",)
    finally:
        connection.close()
