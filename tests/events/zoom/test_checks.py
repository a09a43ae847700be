"""System checks about Zoom: what is missing is said before anyone misses it."""

import pytest
from django.core.checks import Error, Warning, run_checks

from events.zoom import checks

pytestmark = pytest.mark.once


def said(found: list) -> list[tuple[type, str, str]]:
    return [(type(each), each.id, each.msg) for each in found]


def test_parts_of_the_credentials_that_are_missing_are_named(settings):
    assert checks.credentials_are_whole() == []
    settings.ZOOM_CLIENT_ID = "id"
    assert said(checks.credentials_are_whole()) == [
        (
            Error,
            "events.E001",
            "Zoom's credentials are not whole: ZOOM_ACCOUNT_ID and ZOOM_CLIENT_SECRET must be set "
            "as well.",
        )
    ]
    settings.ZOOM_ACCOUNT_ID = settings.ZOOM_CLIENT_SECRET = "secret"
    assert checks.credentials_are_whole() == []


@pytest.mark.django_db
def test_events_whose_meetings_nobody_makes_are_named(week, settings, django_assert_num_queries):
    assert checks.meetings_can_be_made(databases=["default"]) == []
    week.zoom_mode = "shared"
    week.save()
    assert said(checks.meetings_can_be_made(databases=["default"])) == [
        (
            Warning,
            "events.W001",
            f"The site has no Zoom credentials, so nobody makes the meetings of: {week.name}.",
        )
    ]
    with django_assert_num_queries(0):
        assert checks.meetings_can_be_made() == []
    settings.ZOOM_ACCOUNT_ID = settings.ZOOM_CLIENT_ID = settings.ZOOM_CLIENT_SECRET = "x"
    assert checks.meetings_can_be_made(databases=["default"]) == []


def test_credentials_without_a_webhook_secret_are_warned_of(settings):
    assert checks.zoom_is_heard() == []
    settings.ZOOM_ACCOUNT_ID = settings.ZOOM_CLIENT_ID = settings.ZOOM_CLIENT_SECRET = "x"
    settings.ZOOM_WEBHOOK_SECRET = ""
    assert [each.id for each in checks.zoom_is_heard()] == ["events.W002"]
    settings.ZOOM_WEBHOOK_SECRET = "secret"
    assert checks.zoom_is_heard() == []


def test_zoom_is_asked_whether_it_takes_the_credentials(zoom_account, settings):
    assert checks.zoom_takes_the_credentials() == []
    settings.ZOOM_CLIENT_SECRET = "wrong"
    assert said(checks.zoom_takes_the_credentials()) == [
        (
            Error,
            "events.E002",
            "Zoom does not accept our credentials: Invalid client_id or client_secret",
        )
    ]
    zoom_account.down()
    assert said(checks.zoom_takes_the_credentials()) == [
        (
            Warning,
            "events.W003",
            "Zoom could not be asked whether it takes the credentials: Zoom did not answer.",
        )
    ]


def test_nobody_asks_zoom_without_credentials(zoom_account, settings):
    settings.ZOOM_CLIENT_SECRET = ""
    assert checks.zoom_takes_the_credentials() == []
    assert zoom_account.calls == []


def test_only_a_deployment_asks_zoom(zoom_account):
    run_checks()
    assert zoom_account.calls == []
    run_checks(include_deployment_checks=True)
    assert [call.name for call in zoom_account.calls] == ["token"]
