"""What many emails share, rendered once: session blocks and calendar entries."""

import datetime as dt
import zoneinfo
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Generic, TypeVar

from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import get_language

from events import ical, languages
from events.calendars import invitation, seat_entry, waitlist_entry
from events.links import absolute
from events.models import Event, Session
from events.palette import COLORS
from registrations.mail.merge import EMAIL, TOKEN, zoom_link_field
from registrations.models.registration import join_url

T = TypeVar("T")

# What separates the blocks of two sessions, if anything.
SEPARATORS = {"with_agenda.txt": f"\n{'-' * 72}\n", "with_link.txt": "\n", "recording.txt": "\n"}


@dataclass(frozen=True)
class Keyed(Generic[T]):
    """An argument of a cached function, compared by everything that emails show of it."""

    key: Hashable
    value: T = field(compare=False)


class BlockRenderer:
    """Renders the blocks of a batch of emails. They are cached for the next batches too."""

    def __init__(self) -> None:
        self._keyed: dict[tuple[int, str], Keyed[Session]] = {}

    def sessions(self, form: str, sessions: Iterable[Session], zone: zoneinfo.ZoneInfo) -> str:
        """The sessions' blocks. The form is a template of mails/session/, like compact.html."""
        language = get_language()
        blocks = (_session_block(form, self._with_key(each, language), zone) for each in sessions)
        return SEPARATORS.get(form, "").join(blocks)

    def calendar(
        self, event: Event, sessions: Iterable[Session], waiting: Iterable[Session]
    ) -> bytes:
        """All of someone's sessions as a calendar, and those whose waitlist they are on."""
        language = get_language()
        entries = [_calendar_entry(self._with_key(session, language)) for session in sessions]
        entries += [_waitlist_entry(self._with_key(session, language)) for session in waiting]
        return ical.calendar(name=event.name, entries=entries)

    def _with_key(self, session: Session, language: str) -> Keyed[Session]:
        if (session.pk, language) not in self._keyed:
            event = session.event
            key = (
                language,
                *(session.pk, session.slug, session.snapshot(), session.revision),
                *(session.updated_at, session.recording_url, session.notes_url),
                *languages.texts(session, "short_title"),
                *(bool(session.join_url), event.has_personal_links),
                *(event.time_zone, event.host, event.contact_email, event.doors_open_minutes),
            )
            self._keyed[session.pk, language] = Keyed(key, session)
        return self._keyed[session.pk, language]


def session_invitation(
    session: Session, *, is_waitlisted: bool = False, since: dt.datetime | None = None
) -> tuple[bytes, str]:
    """The session as a calendar entry that replaces the one someone has, and its method."""
    if is_waitlisted:
        entry = waitlist_entry(session, _own_page())
    else:
        entry = seat_entry(session, join_url(TOKEN, session))
    return invitation(entry, EMAIL, since)


def _own_page() -> str:
    return absolute(reverse("me", args=[TOKEN]))


# Some kilobytes each.
@lru_cache(maxsize=2000)
def _session_block(form: str, keyed: Keyed[Session], zone: zoneinfo.ZoneInfo) -> SafeString:
    session = keyed.value
    context = {
        "session": session,
        "event": session.event,
        "zone": zone,
        "join_url": join_url(TOKEN, session),
        "own_link": zoom_link_field(session.pk, form.rpartition(".")[2]),
        **COLORS,
    }
    return render_to_string(f"mails/session/{form}", context)


@lru_cache(maxsize=500)
def _calendar_entry(keyed: Keyed[Session]) -> bytes:
    return ical.entry(seat_entry(keyed.value, join_url(TOKEN, keyed.value)))


@lru_cache(maxsize=500)
def _waitlist_entry(keyed: Keyed[Session]) -> bytes:
    return ical.entry(waitlist_entry(keyed.value, _own_page()))
