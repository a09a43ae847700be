"""What many emails share, rendered once: session blocks and calendar entries."""

import datetime as dt
import zoneinfo
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Generic, TypeVar

from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import get_language

from events import languages
from events.calendar import ical
from events.calendar.entries import invitation, seat_entry, waitlist_entry
from events.links import absolute
from events.models import Event, Session
from events.sharing.palette import colors
from registrations.mail.merge import EMAIL, TOKEN, zoom_link_field
from registrations.models.registration import join_url

T = TypeVar("T")

# What separates the blocks of two sessions, if anything.
SEPARATORS = {"with_agenda.txt": f"\n{'-' * 72}\n", "with_link.txt": "\n", "recording.txt": "\n"}


@dataclass(frozen=True)
class Keyed(Generic[T]):
    """Something of the database, compared by everything that emails show of it."""

    key: Hashable
    value: T = field(compare=False)


@dataclass(frozen=True, eq=False)
class Content(Generic[T]):
    """The first of some equal `Keyed`: an argument of cached functions, quick to compare."""

    value: T


def content(key: Hashable, value: T) -> Content[T]:
    """The same object whenever the key is the same."""
    found: Content[T] = _first_with_key(Keyed((type(value), key), value))
    return found


@lru_cache(maxsize=1000)
def _first_with_key(keyed: Keyed[Any]) -> Content[Any]:
    return Content(keyed.value)


class BlockRenderer:
    """Renders the blocks of a batch of emails. They are cached for the next batches too."""

    def __init__(self) -> None:
        self._contents: dict[int, Content[Session]] = {}

    def contents(self, sessions: Iterable[Session]) -> tuple[Content[Session], ...]:
        return tuple([self.content(each) for each in sessions])

    def content(self, session: Session) -> Content[Session]:
        """What emails show of a session, in all languages."""
        if session.pk not in self._contents:
            event = session.event
            key = (
                *(session.pk, session.slug, session.snapshot(), session.revision),
                *(session.updated_at, session.recording_url, session.notes_url),
                *languages.texts(session, "short_title", "cancel_reason"),
                *(bool(session.join_url), event.has_personal_links, event.colors),
                *(event.time_zone, event.host, event.contact_email, event.doors_open_minutes),
            )
            self._contents[session.pk] = content(key, session)
        return self._contents[session.pk]

    def calendar(
        self, event: Event, sessions: Iterable[Session], waiting: Iterable[Session]
    ) -> bytes:
        """All of someone's sessions as a calendar, and those whose waitlist they are on."""
        own, waited_for = self.contents(sessions), self.contents(waiting)
        return _calendar(event.name, own, waited_for, get_language())

    def invitation(
        self, session: Session, *, is_waitlisted: bool = False, since: dt.datetime | None = None
    ) -> tuple[bytes, str]:
        """The session as a calendar entry that replaces the one someone has, and its method."""
        return _invitation(self.content(session), is_waitlisted, since, get_language())


def sessions_block(form: str, sessions: Iterable[Content[Session]], zone: zoneinfo.ZoneInfo) -> str:
    """The sessions' blocks. The form is a template of mails/session/, like compact.html."""
    language = get_language()
    blocks = (_session_block(form, each, zone, language) for each in sessions)
    return SEPARATORS.get(form, "").join(blocks)


def _own_page() -> str:
    return absolute(reverse("me", args=[TOKEN]))


# Some kilobytes each.
@lru_cache(maxsize=2000)
def _session_block(
    form: str, content: Content[Session], zone: zoneinfo.ZoneInfo, language: str
) -> SafeString:
    session = content.value
    context = {
        "session": session,
        "event": session.event,
        "zone": zone,
        "join_url": join_url(TOKEN, session),
        "own_link": zoom_link_field(session.pk, form.rpartition(".")[2]),
        **colors(session.event.colors),
    }
    return render_to_string(f"mails/session/{form}", context)


@lru_cache(maxsize=200)
def _calendar(
    name: str,
    sessions: tuple[Content[Session], ...],
    waiting: tuple[Content[Session], ...],
    language: str,
) -> bytes:
    entries = [_calendar_entry(each, language) for each in sessions]
    entries += [_waitlist_entry(each, language) for each in waiting]
    return ical.calendar(name=name, entries=entries)


@lru_cache(maxsize=500)
def _calendar_entry(content: Content[Session], language: str) -> bytes:
    return ical.entry(seat_entry(content.value, join_url(TOKEN, content.value)))


@lru_cache(maxsize=500)
def _waitlist_entry(content: Content[Session], language: str) -> bytes:
    return ical.entry(waitlist_entry(content.value, _own_page()))


@lru_cache(maxsize=200)
def _invitation(
    content: Content[Session], is_waitlisted: bool, since: dt.datetime | None, language: str
) -> tuple[bytes, str]:
    session = content.value
    if is_waitlisted:
        entry = waitlist_entry(session, _own_page())
    else:
        entry = seat_entry(session, join_url(TOKEN, session))
    return invitation(entry, EMAIL, since)
