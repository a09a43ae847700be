"""System checks about the Zoom settings."""

import pytest
from django.core.checks import Error, Warning, run_checks

from events.zoom import checks

pytestmark = pytest.mark.once


def summary(messages: list) -> list[tuple[type, str, str]]:
    return [(type(message), message.id, message.msg) for message in messages]


def test_incomplete_credentials_are_an_error(settings):
    assert checks.check_credentials_complete() == []
    settings.ZOOM_CLIENT_ID = "id"
    assert summary(checks.check_credentials_complete()) == [
        (
            Error,
            "events.E001",
            "Zoom's credentials are incomplete: set ZOOM_ACCOUNT_ID and ZOOM_CLIENT_SECRET, too.",
        )
    ]
    settings.ZOOM_ACCOUNT_ID = settings.ZOOM_CLIENT_SECRET = "secret"
    assert checks.check_credentials_complete() == []


@pytest.mark.django_db
def test_events_that_need_credentials_are_named(week, settings, django_assert_num_queries):
    assert checks.check_events_need_credentials(databases=["default"]) == []
    week.zoom_mode = "shared"
    week.save()
    assert summary(checks.check_events_need_credentials(databases=["default"])) == [
        (
            Warning,
            "events.W001",
            f"The site has no Zoom credentials, so it can't create the meetings of: {week.name}.",
        )
    ]
    with django_assert_num_queries(0):
        assert checks.check_events_need_credentials() == []
    settings.ZOOM_ACCOUNT_ID = settings.ZOOM_CLIENT_ID = settings.ZOOM_CLIENT_SECRET = "x"
    assert checks.check_events_need_credentials(databases=["default"]) == []


def test_missing_webhook_secret_is_a_warning(settings):
    assert checks.check_webhook_secret() == []
    settings.ZOOM_ACCOUNT_ID = settings.ZOOM_CLIENT_ID = settings.ZOOM_CLIENT_SECRET = "x"
    settings.ZOOM_WEBHOOK_SECRET = ""
    assert [each.id for each in checks.check_webhook_secret()] == ["events.W002"]
    settings.ZOOM_WEBHOOK_SECRET = "secret"
    assert checks.check_webhook_secret() == []


def test_credentials_are_checked_at_zoom(zoom_account, settings):
    assert checks.check_credentials_accepted() == []
    settings.ZOOM_CLIENT_SECRET = "wrong"
    assert summary(checks.check_credentials_accepted()) == [
        (
            Error,
            "events.E002",
            "Zoom doesn't accept our credentials: Invalid client_id or client_secret",
        )
    ]
    zoom_account.down()
    assert summary(checks.check_credentials_accepted()) == [
        (
            Warning,
            "events.W003",
            "We couldn't ask Zoom whether it accepts the credentials: Zoom didn't answer.",
        )
    ]


def test_check_without_credentials_makes_no_call(zoom_account, settings):
    settings.ZOOM_CLIENT_SECRET = ""
    assert checks.check_credentials_accepted() == []
    assert zoom_account.calls == []


def test_only_deployment_checks_call_zoom(zoom_account):
    run_checks()
    assert zoom_account.calls == []
    run_checks(include_deployment_checks=True)
    assert [call.name for call in zoom_account.calls] == ["token"]
