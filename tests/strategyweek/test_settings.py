"""Settings are safe by default, and say what is missing; logs hold no secret link."""

import logging
import os
import subprocess
import sys

import pytest
from django.core.exceptions import ImproperlyConfigured

from strategyweek.logs import HideTokens
from strategyweek.settings import is_zoom, number

pytestmark = pytest.mark.once

PRODUCTION = {
    "SECRET_KEY": "a long and random value, as far as a test needs it: 0123456789",
    "SITE_URL": "https://week.example.org",
    "DEFAULT_FROM_EMAIL": "Week <week@example.org>",
    "EMAIL_URL": "smtp+tls://user:p%40ss@mail.example.org:587",
}
SHOW = """
from django.conf import settings
for name in {names!r}: print(repr(getattr(settings, name)))
"""


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


def shown(*names: str, **variables: str) -> list[str]:
    result = run("-c", SHOW.format(names=names), **variables)
    assert result.stderr == ""
    return result.stdout.splitlines()


@pytest.mark.parametrize(
    ("missing", "how"),
    [
        ("SECRET_KEY", "python -c 'import secrets"),
        ("SITE_URL", "such as https://week.example.org"),
        ("DEFAULT_FROM_EMAIL", "such as 'Strategy Week <week@example.org>'"),
        ("EMAIL_URL", "smtp+tls://user:password@host:587"),
    ],
)
def test_production_does_not_start_without_its_settings(missing, how):
    result = run("manage.py", "check", **{**PRODUCTION, missing: ""})
    assert result.returncode != 0
    assert f"{missing} is not set" in result.stderr
    assert how in result.stderr


def test_production_starts_with_them():
    result = run("manage.py", "check", "--deploy", "--fail-level=WARNING", **PRODUCTION)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == "System check identified no issues (2 silenced).\n"


def test_site_without_tls_is_warned_of():
    result = run("manage.py", "check", "--deploy", **{**PRODUCTION, "SITE_URL": "http://week.org"})
    assert "registrations.W001" in result.stderr


@pytest.mark.parametrize("word", ["maybe", "2", "tru"])
def test_switch_refuses_unknown_words(word):
    result = run("manage.py", "check", **PRODUCTION, DEBUG=word)
    assert f"DEBUG must be true or false, not '{word}'." in result.stderr


@pytest.mark.parametrize("address", ["week.example.org", "ftp://x", "https://"])
def test_site_url_must_be_an_address(address):
    result = run("manage.py", "check", **{**PRODUCTION, "SITE_URL": address})
    assert "SITE_URL must look like https://week.example.org" in result.stderr


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp://u:p%40ss@h:25", ["'h'", "25", "'u'", "'p@ss'", "False", "False"]),
        ("smtp+tls://u:p@h:587", ["'h'", "587", "'u'", "'p'", "True", "False"]),
        ("smtp+ssl://u:p@h:465", ["'h'", "465", "'u'", "'p'", "False", "True"]),
    ],
)
def test_email_url_names_the_mail_server(url, expected):
    names = ("HOST", "PORT", "HOST_USER", "HOST_PASSWORD", "USE_TLS", "USE_SSL")
    seen = shown(*(f"EMAIL_{name}" for name in names), **{**PRODUCTION, "EMAIL_URL": url})
    assert seen == expected


POSTMARK = {"EMAIL_URL": "anymail://postmark", "ANYMAIL": "POSTMARK_SERVER_TOKEN=t0ken"}


def test_mail_provider_is_named_in_email_url():
    seen = shown("EMAIL_BACKEND", "ANYMAIL", **PRODUCTION | POSTMARK)
    assert seen == [
        "'anymail.backends.postmark.EmailBackend'",
        "{'POSTMARK_SERVER_TOKEN': 't0ken', 'REQUESTS_TIMEOUT': 15, "
        "'IGNORE_UNSUPPORTED_FEATURES': True}",
    ]


def test_every_offered_mail_provider_is_one():
    from importlib import import_module

    from django.conf import settings

    for provider in settings.MAIL_PROVIDERS:
        assert import_module(f"anymail.backends.{provider}").EmailBackend


def test_unknown_mail_provider_is_said_at_once():
    result = run("manage.py", "check", **PRODUCTION | {"EMAIL_URL": "anymail://gmail"})
    assert "EMAIL_URL must name one of brevo, mailersend" in result.stderr


def test_mail_provider_without_its_key_is_an_error():
    result = run("manage.py", "check", **PRODUCTION | POSTMARK | {"ANYMAIL": ""})
    assert "registrations.E002" in result.stderr
    assert "POSTMARK_SERVER_TOKEN" in result.stderr


@pytest.mark.parametrize(("secret", "warned"), [("", True), ("mail:s3cret", False)])
def test_provider_whose_bounces_nobody_hears_of_is_warned_of(secret, warned):
    variables = PRODUCTION | POSTMARK | {"ANYMAIL_WEBHOOK_SECRET": secret}
    result = run("manage.py", "check", "--deploy", **variables)
    assert ("registrations.W002" in result.stderr) == warned


@pytest.mark.parametrize("word", ["0", "-1", "x", "1.5"])
def test_number_refuses_what_is_none(monkeypatch, word):
    monkeypatch.setenv("EMAIL_TIMEOUT", word)
    with pytest.raises(ImproperlyConfigured, match="EMAIL_TIMEOUT must be a whole number of at"):
        number("EMAIL_TIMEOUT", default=15, least=1)


def test_number_that_is_not_set_is_the_default(monkeypatch):
    monkeypatch.setenv("EMAIL_TIMEOUT", " ")
    assert number("EMAIL_TIMEOUT", default=15, least=1) == 15
    monkeypatch.setenv("EMAIL_TIMEOUT", "8")
    assert number("EMAIL_TIMEOUT", default=15, least=1) == 8


def test_every_outside_call_has_a_timeout():
    (timeout, broker) = shown(
        "EMAIL_TIMEOUT",
        "CELERY_BROKER_TRANSPORT_OPTIONS",
        **PRODUCTION,
        REDIS_URL="redis://localhost:1/0",
    )
    assert timeout == "15"
    assert "'socket_timeout': 2, 'socket_connect_timeout': 1" in broker


# Zoom


@pytest.mark.parametrize("name", ["ZOOM_API_URL", "ZOOM_OAUTH_URL"])
def test_production_takes_no_stand_in_for_zoom(name):
    result = run("manage.py", "check", **PRODUCTION | {name: "http://127.0.0.1:8001/v2"})
    assert result.returncode != 0
    assert "ZOOM_API_URL and ZOOM_OAUTH_URL must be addresses of Zoom, such as" in result.stderr


def test_a_stand_in_for_zoom_is_for_trying_out():
    names = ("ZOOM_API_URL", "ZOOM_OAUTH_URL", "ZOOM_IS_STAND_IN", "ZOOM_PLAN", "ZOOM_TIMEOUT")
    zoom = ["'https://api.zoom.us/v2'", "'https://zoom.us/oauth/token'", "False", "'pro'", "15"]
    # As compose passes on what is not set.
    assert shown(*names, **PRODUCTION, ZOOM_API_URL="", ZOOM_OAUTH_URL="", ZOOM_PLAN="") == zoom
    here = "http://127.0.0.1:8001/v2"
    seen = shown(*names, DEBUG="true", ZOOM_API_URL=here, ZOOM_PLAN="Business", ZOOM_TIMEOUT="5")
    assert seen == [repr(here), zoom[1], "True", "'business'", "5"]


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
def test_zooms_own_addresses(url, expected):
    assert is_zoom(url) == expected


def test_plan_at_zoom_is_one_that_we_know_the_limits_of():
    result = run("manage.py", "check", **PRODUCTION, ZOOM_PLAN="enterprise")
    assert "ZOOM_PLAN must be free, pro or business, not 'enterprise'." in result.stderr


def test_credentials_of_zoom_that_are_not_whole_are_an_error():
    result = run("manage.py", "check", **PRODUCTION, ZOOM_CLIENT_ID="id")
    assert "events.E001" in result.stderr


def test_database_without_tables_is_no_trouble_to_the_checks():
    variables = PRODUCTION | {"DATABASE_URL": "sqlite://:memory:"}
    result = run("manage.py", "check", "--database=default", **variables)
    assert (result.returncode, result.stderr) == (0, "")


def test_variables_are_all_explained_in_the_example():
    import re
    from pathlib import Path

    base = Path(__file__).parents[2]
    source = (base / "strategyweek/settings.py").read_text()
    read = set(re.findall(r'(?:env\.\w+|switch|required|number)\(\s*"([A-Z_]+)"', source))
    explained = set(re.findall(r"^(?:# )?([A-Z_]+)=", (base / ".env.example").read_text(), re.M))
    assert {"DATABASE_URL", "SECRET_KEY"} <= read
    assert read - explained == set()


@pytest.mark.parametrize(
    "message",
    [
        "GET /me/s3cret-token/ 200",
        "Not Found: /join/s3cret-token/opening/",
        "/calendar/s3cret-token",
    ],
)
def test_logs_hide_personal_links(message):
    record = logging.LogRecord("django", logging.INFO, "", 1, "%s", (message,), None)
    assert HideTokens().filter(record)
    assert "s3cret" not in record.getMessage()
    assert "<hidden>" in record.getMessage()


@pytest.mark.django_db
def test_a_wrong_link_is_logged_without_its_token(client, capfd):
    client.get("/me/s3cret-token/")
    client.get("/me/s3cret-token/nothing-here/")
    captured = capfd.readouterr()
    assert "s3cret" not in captured.out + captured.err
