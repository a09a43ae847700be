"""System checks of the Zoom settings. Only `check --deploy` calls Zoom."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core import checks
from django.db import DatabaseError, transaction

from events import site_settings
from events.models import Event
from events.zoom import client as zoom_client

CREDENTIALS = ("ZOOM_ACCOUNT_ID", "ZOOM_CLIENT_ID", "ZOOM_CLIENT_SECRET")


@checks.register
def check_credentials_complete(**kwargs: Any) -> list[checks.CheckMessage]:
    missing = [name for name in CREDENTIALS if not getattr(settings, name)]
    if not missing or site_settings.environment_zoom() is None:
        return []
    text = f"Zoom's credentials are incomplete: set {' and '.join(missing)}, too."
    hint = 'Find them on the "App Credentials" page of the Server-to-Server OAuth app.'
    return [checks.Error(text, hint=hint, id="events.E001")]


@checks.register(checks.Tags.database)
def check_events_need_credentials(
    databases: Sequence[str] | None = None, **kwargs: Any
) -> list[checks.CheckMessage]:
    """Runs with `migrate` and `check --database default`, where the database may be used."""
    if not databases:
        return []
    events = Event.objects.exclude(zoom_mode=Event.ZoomMode.PASTED)
    try:
        # atomic(): an error must not break a surrounding transaction.
        with transaction.atomic():
            if zoom_client.is_configured():
                return []
            names = list(events.values_list("name", flat=True))
    except DatabaseError:
        # Before the first `migrate` there are no tables.
        return []
    if not names:
        return []
    text = (
        f"The site has no Zoom credentials, so it can't create the meetings of: {', '.join(names)}."
    )
    hint = (
        f"Set {', '.join(CREDENTIALS)}, or enter them in the admin under “Set up”, or paste the "
        "links of these events."
    )
    return [checks.Warning(text, hint=hint, id="events.W001")]


def _is_in_environment() -> bool:
    """These checks may not use the database. The page “Set up” tells about stored credentials."""
    credentials = site_settings.environment_zoom()
    return credentials is not None and credentials.is_complete


@checks.register(deploy=True)
def check_webhook_secret(**kwargs: Any) -> list[checks.CheckMessage]:
    if not _is_in_environment() or settings.ZOOM_WEBHOOK_SECRET:
        return []
    text = (
        "ZOOM_WEBHOOK_SECRET is not set, so Zoom can't tell us who attended or which sessions are "
        "running."
    )
    hint = "Set it to the app's Secret Token, and have Zoom send events to /webhooks/zoom/"
    return [checks.Warning(text, hint=hint, id="events.W002")]


@checks.register(deploy=True)
def check_credentials_accepted(**kwargs: Any) -> list[checks.CheckMessage]:
    if not _is_in_environment():
        return []
    try:
        zoom_client.new_token()
    except zoom_client.SettingsError as error:
        hint = f"Check {', '.join(CREDENTIALS)}. Is the app activated?"
        return [checks.Error(str(error), hint=hint, id="events.E002")]
    except zoom_client.ZoomError as error:
        text = f"We couldn't ask Zoom whether it accepts the credentials: {error}"
        hint = "Check again later. Work that's waiting for Zoom continues automatically."
        return [checks.Warning(text, hint=hint, id="events.W003")]
    return []
