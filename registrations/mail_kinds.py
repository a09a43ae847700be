"""Every kind of email, declared in one place. Its function is in mail/kinds.py.

This imports nothing of ours: models and everything above them use it.
"""

from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Any, NamedTuple

from django.db import models
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


class MailPriority(models.IntegerChoices):
    """Lower ones are sent first."""

    URGENT = 0
    NORMAL = 1
    BULK = 2


class Shows(Enum):
    """Which sessions an email shows as they are now.

    If an edit is undone, people who saw it get a notice.
    """

    NONE = 0
    ITS_SESSION = 1
    ALL = 2


class MailTexts(NamedTuple):
    """The subject and the first paragraphs of an email, with {placeholders}."""

    subject: str | Promise
    opening: str | Promise


BASIC = ("name", "event", "host")
ABOUT_SESSION = (*BASIC, "session", "when")
ABOUT_SESSIONS = (*BASIC, "dates", "when")


@dataclass(frozen=True)
class KindSpec:
    """What the code needs to know about a kind of email, apart from what it says."""

    value: str
    label: str | Promise
    # The default texts. Kinds without them have no texts that organizers could replace.
    subject: str | Promise = ""
    opening: str | Promise = ""
    placeholders: tuple[str, ...] = BASIC
    priority: MailPriority = MailPriority.NORMAL
    shows: Shows = Shows.NONE
    # It also shows their agenda.
    shows_agenda: bool = False
    # Who was sent it has the join links of all their sessions, or of the one that it's about: the
    # readiness board counts on it.
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
        return str(self.spec.label)

    RECEIVED = KindSpec(
        "received",
        _("Registration received"),
        _("We got your registration for {dates}: {event}"),
        _(
            "Thank you for registering for {event}. An organizer looks at each registration "
            "before we send any links. You don't need to do anything: we'll email your links once "
            "you're approved."
        ),
        placeholders=(*BASIC, "dates"),
        priority=MailPriority.URGENT,
        shows=Shows.ALL,
        superseded_by_links=True,
    )
    LINKS = KindSpec(
        "links",
        _("Links"),
        _("Your Zoom links for {dates}: {event}"),
        _(
            "You're registered for {event}. Here are your sessions, each with your personal link "
            "to join."
        ),
        placeholders=ABOUT_SESSIONS,
        priority=MailPriority.URGENT,
        shows=Shows.ALL,
        carries_links=True,
        has_calendar=True,
        superseded_by_links=True,
    )
    PROMOTED = KindSpec(
        "promoted",
        _("Spot from the waitlist"),
        _("You have a spot: {session} {when}"),
        _("A spot opened up, and it's yours: you were next on the waitlist."),
        placeholders=ABOUT_SESSION,
        priority=MailPriority.URGENT,
        shows=Shows.ITS_SESSION,
        shows_agenda=True,
        carries_links=True,
        has_calendar=True,
        waits_for_edits=True,
    )
    CHANGED = KindSpec(
        "changed",
        _("Session changed"),
        _("Changed: {session} {when}"),
        _(
            "A session you signed up for has changed. Your personal link stays the same, and the "
            "calendar entry in this email replaces the one you have."
        ),
        placeholders=ABOUT_SESSION,
        shows=Shows.ITS_SESSION,
        shows_agenda=True,
        carries_links=True,
        has_calendar=True,
        waits_for_edits=True,
        superseded_by_links=True,
    )
    CANCELED = KindSpec(
        "canceled",
        _("Session canceled"),
        _("Canceled: {session} {when}"),
        _("We're sorry: a session you signed up for has been canceled."),
        placeholders=ABOUT_SESSION,
        shows=Shows.ALL,
        waits_for_edits=True,
        superseded_by_links=True,
    )
    LEFT = KindSpec(
        "left",
        _("Left a session"),
        _("You're no longer signed up: {session} {when}"),
        _("You're no longer signed up for this session."),
        placeholders=ABOUT_SESSION,
        priority=MailPriority.BULK,
        superseded_by_links=True,
    )
    DOORS = KindSpec(
        "doors",
        _("Session open"),
        _("Open now: {session}"),
        _("You asked us to let you know: your session is open now."),
        placeholders=(*BASIC, "session"),
        shows=Shows.ITS_SESSION,
        carries_links=True,
        preview_at="doors_open_at",
    )
    HOUR = KindSpec(
        "hour",
        _("Reminder shortly before"),
        _("Starting soon: {session} {when}"),
        _("Your next session is {when}. Your personal link is below."),
        placeholders=ABOUT_SESSION,
        shows=Shows.ALL,
        carries_links=True,
        preview_at="hour_reminder_at",
    )
    DAY = KindSpec(
        "day",
        _("Reminder the day before"),
        _("Reminder: {session} {when}"),
        _("A reminder: your next session is {when}. Your personal link is below."),
        placeholders=ABOUT_SESSION,
        shows=Shows.ALL,
        carries_links=True,
        preview_at="day_reminder_at",
    )
    SCHEDULE = KindSpec(
        "schedule",
        _("Detailed schedule"),
        _("Detailed schedule for {dates}: {event}"),
        _("Here's the detailed schedule of your sessions, with everything we know so far."),
        placeholders=ABOUT_SESSIONS,
        shows=Shows.ALL,
        shows_agenda=True,
        carries_links=True,
        waits_for_edits=True,
        superseded_by_links=True,
    )
    SCHEDULE_UPDATE = KindSpec(
        "schedule_update",
        _("Schedule update"),
        _("Schedule update for {dates}: {event}"),
        _(
            "There's news in the detailed schedule. Here are your sessions, with everything we "
            "know so far. Your personal links stay the same."
        ),
        placeholders=ABOUT_SESSIONS,
        shows=Shows.ALL,
        shows_agenda=True,
        carries_links=True,
        has_calendar=True,
        waits_for_edits=True,
        superseded_by_links=True,
    )
    THANKS = KindSpec(
        "thanks",
        _("Thank-you"),
        _("Thank you for being part of {event}, {dates}"),
        _("Thank you for being part of {event}. What you shared will carry this work forward."),
        placeholders=(*BASIC, "dates"),
        priority=MailPriority.BULK,
        preview_at="ends_at",
    )
    ANNOUNCEMENT = KindSpec("announcement", _("Announcement"), priority=MailPriority.BULK)
    ACCESS = KindSpec(
        "access",
        _("Arrangements confirmed"),
        _("What we've arranged for you, {dates}: {event}"),
        _("You told us what would help you take part. Here's what we've arranged for you:"),
        placeholders=ABOUT_SESSIONS,
        shows=Shows.ALL,
        waits_for_edits=True,
    )
    ACCOUNT = KindSpec("account", _("Account"), priority=MailPriority.URGENT, is_stored=True)
    MAILBOX_FULL = KindSpec(
        "mailbox_full",
        _("Too many people with the same email"),
        priority=MailPriority.URGENT,
        is_stored=True,
    )
    TEST = KindSpec("test", _("Test announcement"), priority=MailPriority.URGENT, is_stored=True)


# As functions, so that migrations don't list the kinds.


def choices() -> list[tuple[str, str]]:
    return [(kind.value, kind.label) for kind in MailKind]


def choices_with_texts() -> list[tuple[str, str]]:
    """The kinds whose subject and opening organizers can replace."""
    return [(kind.value, kind.label) for kind in MailKind if kind.spec.subject]
