"""The scopes that our Zoom app needs, and those that it lacks."""

from events.zoom import client as zoom_client

# `.env.example` lists them, too.
SCOPES = (
    *("meeting:write:meeting:admin", "meeting:read:meeting:admin"),
    *("meeting:update:meeting:admin", "meeting:delete:meeting:admin"),
    *("meeting:read:list_meetings:admin", "report:read:list_meeting_participants:admin"),
    *("meeting:write:registrant:admin", "meeting:write:batch_registrants:admin"),
    *("meeting:read:list_registrants:admin", "meeting:update:registrant_status:admin"),
    *("meeting:read:list_past_instances:admin", "user:update:settings:admin"),
)


def missing_scopes() -> list[str]:
    """Ask Zoom whether it accepts the credentials. Returns the scopes that the app lacks.

    Raises ZoomError. If Zoom doesn't say which scopes the app has, none is known to be missing.
    """
    granted = zoom_client.new_token().scopes
    return [scope for scope in SCOPES if granted and not covers(granted, scope)]


def covers(granted: frozenset[str], scope: str) -> bool:
    """Whether the app has a scope, or the older, broader one: meeting:write:admin."""
    area, verb, *_thing = scope.split(":")
    older = "read" if verb == "read" else "write"
    return bool(granted & {scope, f"{area}:{older}:admin"})
