"""What many mails share, made once for each batch: a session's block, a calendar entry.

In each there are stand-ins where it is personal; see `mime`.
"""

import zoneinfo
from collections.abc import Callable, Hashable, Iterable
from typing import Any, TypeVar

from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.safestring import SafeString

from events.calendars import invitation, personal_calendar, personal_entry
from events.links import absolute
from events.models import Event, Session

from .mime import EMAIL, TOKEN
from .models import Registration

T = TypeVar("T")

# Mail clients want their colours inline; the dark ones are in base.html's style sheet.
PALETTE = {
    "alarm": "#bb2d14",
    "ink": "#0f332d",
    "quiet": "#4a6660",
    "line": "#cad4ce",
    "page": "#f3f7f1",
    "card": "#ffffff",
    "sun": "#ffbb22",
    "link": "#0b5f50",
}


def join_url(token: str, session: Session) -> str:
    """The personal address that leads to the session's Zoom link valid at that time."""
    return absolute(reverse("join", args=[token, session.slug]))


def personal_calendar_of(registration: Registration, sessions: Iterable[Session]) -> bytes:
    """The calendar of someone's sessions, with their own links."""
    token = registration.token
    entries = [personal_entry(session, join_url(token, session)) for session in sessions]
    return personal_calendar(registration.event, entries)


class Parts:
    """Rendered parts of mails, each made when first asked for."""

    def __init__(self) -> None:
        self._made: dict[Hashable, Any] = {}

    def session(self, form: str, session: Session, zone: zoneinfo.ZoneInfo) -> SafeString:
        """A session's block as a template of mails/session/ shows it, such as "full.html"."""
        return self._once(
            (form, session.pk, zone.key),
            lambda: render_to_string(
                f"mails/session/{form}",
                {
                    "session": session,
                    "event": session.event,
                    "zone": zone,
                    "join_url": join_url(TOKEN, session),
                    **PALETTE,
                },
            ),
        )

    def calendar(self, event: Event, sessions: Iterable[Session]) -> bytes:
        """All of someone's sessions as a calendar."""
        return personal_calendar(event, [self._entry(session) for session in sessions])

    def _entry(self, session: Session) -> bytes:
        return self._once(
            ("entry", session.pk), lambda: personal_entry(session, join_url(TOKEN, session))
        )

    def invitation(self, session: Session) -> tuple[bytes, str]:
        """The session as a calendar entry that replaces the one someone has, and its method."""
        return self._once(
            ("invitation", session.pk),
            lambda: invitation(session, join_url(TOKEN, session), EMAIL),
        )

    def _once(self, key: Hashable, make: Callable[[], T]) -> T:
        if key not in self._made:
            self._made[key] = make()
        made: T = self._made[key]
        return made
