"""Parts that many emails share, rendered once: session blocks, calendar entries."""

import datetime as dt
import zoneinfo
from collections.abc import Callable, Hashable, Iterable
from typing import Any, TypeVar

from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.safestring import SafeString

from events.calendars import (
    invitation,
    personal_calendar,
    personal_entry,
    waiting_invitation,
)
from events.links import absolute
from events.models import Event, Session
from registrations.mail.merge import EMAIL, OWN_URL, TOKEN, own_link
from registrations.models.registration import join_url

T = TypeVar("T")


class Kept:
    """What was made is kept by all that went into it, until there are too many of them."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._made: dict[Hashable, Any] = {}

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        made: T | None = self._made.get(key)
        if made is None:
            if len(self._made) >= self._limit:
                self._made.clear()
            made = self._made[key] = make()
        return made


# Some kilobytes each.
_parts = Kept(2000)

# What stands between two sessions' blocks, where it is not nothing.
BETWEEN = {"full.txt": f"\n{'-' * 72}\n", "ticket.txt": "\n", "past.txt": "\n"}

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


class Parts:
    """Rendered parts of mails. What was rendered for one batch serves the next as well.

    A part is kept by all that it shows: when anything of that changes, it is another part.
    """

    def __init__(self) -> None:
        self._shown: dict[int, Hashable] = {}

    def sessions(self, form: str, sessions: Iterable[Session], zone: zoneinfo.ZoneInfo) -> str:
        """The sessions' blocks as a template of mails/session/ shows each, such as "full.html"."""
        return BETWEEN.get(form, "").join(self._session(form, each, zone) for each in sessions)

    def calendar(self, event: Event, sessions: Iterable[Session]) -> bytes:
        """All of someone's sessions as a calendar."""
        return personal_calendar(event, [self._entry(session) for session in sessions])

    def own_link(self) -> dict[str, str]:
        """By extension, what is said of someone's own Zoom link."""

        def render() -> dict[str, str]:
            context = {"own_url": OWN_URL, **PALETTE}
            return {
                extension: render_to_string(f"mails/parts/own_link.{extension}", context)
                for extension in ("txt", "html")
            }

        return _parts.once("own link", render)

    def invitation(
        self, session: Session, *, is_waitlisted: bool = False, since: dt.datetime | None = None
    ) -> tuple[bytes, str]:
        """The session as a calendar entry that replaces the one someone has, and its method."""
        if is_waitlisted:
            return waiting_invitation(session, absolute(reverse("me", args=[TOKEN])), EMAIL)
        return invitation(session, join_url(TOKEN, session), EMAIL, since)

    def _session(self, form: str, session: Session, zone: zoneinfo.ZoneInfo) -> SafeString:
        def render() -> SafeString:
            context = {"session": session, "event": session.event, "zone": zone, **PALETTE}
            context["join_url"] = join_url(TOKEN, session)
            context["own_link"] = own_link(session.pk, form.rpartition(".")[2])
            return render_to_string(f"mails/session/{form}", context)

        return _parts.once((form, zone.key, self._all_shown(session)), render)

    def _entry(self, session: Session) -> bytes:
        return _parts.once(
            ("entry", self._all_shown(session)),
            lambda: personal_entry(session, join_url(TOKEN, session)),
        )

    def _all_shown(self, session: Session) -> Hashable:
        """All that a part may show of a session and its event."""
        if session.pk not in self._shown:
            event = session.event
            self._shown[session.pk] = (
                *(
                    session.pk,
                    session.slug,
                    session.snapshot(),
                    session.revision,
                    session.updated_at,
                ),
                *(bool(session.join_url), session.recording_url, session.notes_url),
                *(event.time_zone, event.host, event.contact_email, event.doors_open_minutes),
                event.has_personal_links,
            )
        return self._shown[session.pk]
