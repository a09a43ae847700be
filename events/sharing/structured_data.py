"""An event as search engines read it: schema.org's Event, as JSON-LD.

https://schema.org/Event, and Google's https://developers.google.com/search/docs/appearance/
structured-data/event
"""

import json
from collections.abc import Collection, Iterable
from typing import Any

from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language

from events.links import in_current_language
from events.models import Event, Session

CONTEXT = {"@context": "https://schema.org"}
ONLINE = "https://schema.org/OnlineEventAttendanceMode"
# So that no text ends the <script> element, as in Django's `json_script`.
ESCAPES = {ord(character): f"\\u{ord(character):04X}" for character in "<>&"}


def week(
    event: Event,
    sessions: Iterable[Session],
    register_path: str,
    full: Collection[Session],
    *,
    is_full: bool,
) -> SafeString:
    """The event with its sessions, at least one: without dates it isn't an Event yet.

    `register_path` is empty while registration is closed. Of a session that is in `full`, and of a
    week that `is_full`, only the waitlist is left.
    """
    sessions = list(sessions)
    taking_place = [session for session in sessions if not session.is_canceled] or sessions
    data = _event(
        event.name, event.summary, event.get_absolute_url(), event, register_path, is_full
    )
    data["startDate"] = _moment(min(each.starts_at for each in taking_place), event)
    data["endDate"] = _moment(max(each.ends_at for each in taking_place), event)
    data["eventStatus"] = _status(all(each.is_canceled for each in sessions))
    data["subEvent"] = [_session(each, event, register_path, full) for each in sessions]
    return _script_content(data)


def session(session: Session, register_path: str, full: Collection[Session]) -> SafeString:
    data = _session(session, session.event, register_path, full)
    path = session.event.get_absolute_url()
    data["superEvent"] = {
        "@type": "Event",
        "name": session.event.name,
        "url": in_current_language(path),
    }
    return _script_content(data)


def _session(
    session: Session, event: Event, register_path: str, full: Collection[Session]
) -> dict[str, Any]:
    path, is_full = session.get_absolute_url(), session in full
    return _event(session.title, session.summary, path, event, register_path, is_full) | {
        "startDate": _moment(session.starts_at, event),
        "endDate": _moment(session.ends_at, event),
        "eventStatus": _status(session.is_canceled),
    }


def _event(
    name: str, description: str, path: str, event: Event, register_path: str, is_full: bool
) -> dict[str, Any]:
    """What the week and a session have in common."""
    url = in_current_language(path)
    offer = {
        "@type": "Offer",
        "price": 0,
        "priceCurrency": "USD",
        "availability": f"https://schema.org/{'SoldOut' if is_full else 'InStock'}",
        "url": in_current_language(register_path),
    }
    return {
        "@type": "Event",
        "name": name,
        "url": url,
        "inLanguage": get_language(),
        "eventAttendanceMode": ONLINE,
        "isAccessibleForFree": True,
        "location": {"@type": "VirtualLocation", "url": url},
        "organizer": {
            "@type": "Organization",
            "name": event.host,
            "url": in_current_language(event.get_absolute_url()),
        },
        **({"description": description} if description else {}),
        **({"offers": offer} if register_path else {}),
    }


def _moment(moment: Any, event: Event) -> str:
    """2021-10-16T09:00:00-07:00"""
    return moment.astimezone(event.zone).isoformat(timespec="seconds")


def _status(is_canceled: bool) -> str:
    return f"https://schema.org/Event{'Cancelled' if is_canceled else 'Scheduled'}"


def _script_content(data: dict[str, Any]) -> SafeString:
    text = json.dumps(CONTEXT | data, ensure_ascii=False).translate(ESCAPES)
    return mark_safe(text)  # noqa: S308
