"""Every kind of email, declared in one place. Its function is in mail/kinds.py.

This imports nothing of ours: models and everything above them use it.
"""

from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Any, NamedTuple

from django.db import models


class MailPriority(models.IntegerChoices):
    """Lower ones are sent first."""

    AT_ONCE = 0
    SOON = 1
    IN_TURN = 2


class Shows(Enum):
    """Which sessions an email shows as they are now.

    If an edit is undone, people who saw it get a notice.
    """

    NONE = 0
    ITS_SESSION = 1
    ALL = 2


class MailTexts(NamedTuple):
    """The subject and the first paragraphs of an email, with {placeholders}."""

    subject: str
    opening: str


BASIC = ("name", "event", "host")


@dataclass(frozen=True)
class KindSpec:
    """What the code needs to know about a kind of email, apart from what it says."""

    value: str
    label: str
    # The default texts. Kinds without them have no texts that organizers could replace.
    subject: str = ""
    opening: str = ""
    placeholders: tuple[str, ...] = BASIC
    priority: MailPriority = MailPriority.SOON
    shows: Shows = Shows.NONE
    # It has the join links of all the person's sessions, or of the one that it's about.
    carries_links: bool = False
    # It has calendar entries of the sessions that it shows.
    has_calendar: bool = False
    # Nothing queues it again, so it waits while an unsettled edit makes it unnecessary.
    waits_for_edits: bool = False
    # An email with all links replaces it.
    superseded_by_links: bool = False
    # It's for an address without a registration, and stored with its text.
    is_stored: bool = False
    # The attribute of Session with the time for a preview. Empty: a week before it starts.
    preview_at: str = ""

    @property
    def texts(self) -> MailTexts:
        return MailTexts(self.subject, self.opening)


class MailKind(StrEnum):
    spec: KindSpec

    # Any: Enum replaces this by a lookup, so that MailKind("links") is a call with a str.
    def __new__(cls, spec: Any) -> "MailKind":
        kind = str.__new__(cls, spec.value)
        kind._value_ = spec.value
        kind.spec = spec
        return kind

    @property
    def label(self) -> str:
        return self.spec.label

    RECEIVED = KindSpec(
        "received",
        "Registration received",
        "We have your registration for {event}",
        "Thank you for registering for {event}. The organizers look at each registration before "
        "any link goes out. You need not do anything: your links come by mail once they have said "
        "yes.",
        priority=MailPriority.AT_ONCE,
        shows=Shows.ALL,
        superseded_by_links=True,
    )
    LINKS = KindSpec(
        "links",
        "Links and schedule",
        "Your links for {event}",
        "You are registered for {event}. Here are your sessions, each with your personal link "
        "to join.",
        priority=MailPriority.AT_ONCE,
        shows=Shows.ALL,
        carries_links=True,
        has_calendar=True,
        superseded_by_links=True,
    )
    PROMOTED = KindSpec(
        "promoted",
        "Place from the waiting list",
        "You have a place: {session}",
        "A place has become free, and it is yours: you were next on the waiting list.",
        placeholders=(*BASIC, "session"),
        priority=MailPriority.AT_ONCE,
        shows=Shows.ITS_SESSION,
        carries_links=True,
        has_calendar=True,
        waits_for_edits=True,
    )
    CHANGED = KindSpec(
        "changed",
        "Session changed",
        "Changed: {session}",
        "A session that you are registered for has changed. Your personal link stays the same, "
        "and the calendar entry in this mail takes the place of the one you have.",
        placeholders=(*BASIC, "session"),
        shows=Shows.ITS_SESSION,
        carries_links=True,
        has_calendar=True,
        waits_for_edits=True,
        superseded_by_links=True,
    )
    CANCELED = KindSpec(
        "canceled",
        "Session canceled",
        "Canceled: {session}",
        "A session that you are registered for does not take place. We are sorry.",
        placeholders=(*BASIC, "session"),
        shows=Shows.ALL,
        waits_for_edits=True,
        superseded_by_links=True,
    )
    LEFT = KindSpec(
        "left",
        "Session left",
        "You're no longer signed up: {session}",
        "You're no longer signed up for this session.",
        placeholders=(*BASIC, "session"),
        priority=MailPriority.IN_TURN,
        superseded_by_links=True,
    )
    DOORS = KindSpec(
        "doors",
        "Doors open",
        "The doors are open: {session}",
        "You asked us to tell you: the doors are open. Come in with your personal link.",
        placeholders=(*BASIC, "session"),
        shows=Shows.ITS_SESSION,
        carries_links=True,
        preview_at="doors_open_at",
    )
    HOUR = KindSpec(
        "hour",
        "Reminder shortly before",
        "Soon: {event}, {when}",
        "Your next session is {when}. Your personal link is below.",
        placeholders=(*BASIC, "when"),
        shows=Shows.ALL,
        carries_links=True,
        preview_at="hour_reminder_at",
    )
    DAY = KindSpec(
        "day",
        "Reminder the day before",
        "Reminder: {event}, {when}",
        "A reminder: your next session is {when}. Your personal link is below.",
        placeholders=(*BASIC, "when"),
        shows=Shows.ALL,
        carries_links=True,
        preview_at="day_reminder_at",
    )
    SCHEDULE = KindSpec(
        "schedule",
        "Detailed schedule",
        "The detailed schedule of {event}",
        "There is news in the detailed schedule. Here are your sessions with all that is known "
        "now. Your personal links stay the same.",
        shows=Shows.ALL,
        carries_links=True,
        has_calendar=True,
        waits_for_edits=True,
        superseded_by_links=True,
    )
    THANKS = KindSpec(
        "thanks",
        "Thank-you",
        "Thank you for {event}",
        "Thank you for being part of {event}. What you shared goes on in the work.",
        priority=MailPriority.IN_TURN,
        preview_at="ends_at",
    )
    ANNOUNCEMENT = KindSpec("announcement", "Announcement", priority=MailPriority.IN_TURN)
    ACCESS = KindSpec(
        "access",
        "Access confirmed",
        "Arranged for you at {event}",
        "You told us what you need to take part. This is arranged for you:",
        shows=Shows.ALL,
        waits_for_edits=True,
    )
    ACCOUNT = KindSpec("account", "Account", priority=MailPriority.AT_ONCE, is_stored=True)
    TEST = KindSpec(
        "test", "Test of an announcement", priority=MailPriority.AT_ONCE, is_stored=True
    )


# As functions, so that migrations don't list the kinds.


def choices() -> list[tuple[str, str]]:
    return [(kind.value, kind.label) for kind in MailKind]


def choices_with_texts() -> list[tuple[str, str]]:
    """The kinds whose subject and opening organizers can replace."""
    return [(kind.value, kind.label) for kind in MailKind if kind.spec.subject]
