"""Sessions, their agendas, and their revisions."""

import datetime as dt
import re
import uuid
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import BooleanField, ExpressionWrapper, F, Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext, gettext_noop
from django.utils.translation import gettext_lazy as _

from events import languages
from events.models.event import Event, Speaker, Track
from events.text.invitations import validate_no_personal_link

if TYPE_CHECKING:
    from events.models.zoom import Meeting
    from events.phone.dial_in import DialIn

# Snapshots have these in English, and `joining_text` translates them.
MEETING_ID = gettext_noop("Zoom meeting ID:")
PASSCODE = gettext_noop("Passcode:")
PHONE_PASSCODE = gettext_noop("Passcode for phones:")
BY_PHONE = gettext_noop("By phone:")

# People who stay on or come late still attended.
ATTENDANCE_AFTER_END = dt.timedelta(minutes=30)


class SessionQuerySet(models.QuerySet["Session"]):
    def published(self) -> "SessionQuerySet":
        return self.filter(status=Session.Status.PUBLISHED)

    def taking_place(self) -> "SessionQuerySet":
        """Published and not canceled."""
        return self.filter(status=Session.Status.PUBLISHED, canceled_at=None)

    def open_to_register(self, now: dt.datetime) -> "SessionQuerySet":
        """Published, not canceled, and not over."""
        return self.taking_place().filter(ends_at__gt=now)

    def without_link(self, now: dt.datetime) -> "SessionQuerySet":
        """Sessions that are not canceled or over, and have no Zoom link."""
        gone = Q(meeting__state="gone") & ~Q(event__zoom_mode=Event.ZoomMode.PASTED)
        no_link = Q(meeting=None) | Q(meeting__join_url="") | gone
        return self.filter(no_link, canceled_at=None, ends_at__gt=now)

    def with_phone_numbers(self) -> Any:
        """Annotate `has_phone_numbers`: whether people can call in to the session's meeting."""
        can_call = Q(meeting__dial_in__gt="") & ~Q(event__zoom_mode=Event.ZoomMode.PERSONAL)
        return self.annotate(
            has_phone_numbers=ExpressionWrapper(can_call, output_field=BooleanField())
        )

    def with_details(self) -> "SessionQuerySet":
        """Fetch the event, track, meeting, and the agenda with its speakers."""
        return self.select_related("event", "track", "meeting").prefetch_related("agenda__speakers")


class Session(models.Model):
    """One session of the week. `revision` counts the edits that attendees would notice."""

    class Kind(models.TextChoices):
        KICKOFF = "kickoff", _("Kickoff")
        STRATEGY = "strategy", _("Strategy session")
        CLOSING = "closing", _("Closing session")

    class Status(models.TextChoices):
        DRAFT = "draft", _("Draft: only organizers see it")
        PUBLISHED = "published", _("Published: on the public page")

    class State(models.TextChoices):
        """What a session is at a moment. Pages have it as `data-state`."""

        CANCELED = "canceled"
        AHEAD = "ahead"
        NOW = "now"
        OVER = "over"

    event = models.ForeignKey(
        Event, on_delete=models.CASCADE, related_name="sessions", verbose_name=_("event")
    )
    track = models.ForeignKey(
        Track,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="sessions",
        verbose_name=_("strategy"),
        help_text=_("Leave this empty if the session is about all strategies."),
    )
    kind = models.CharField(_("kind"), max_length=10, choices=Kind.choices, default=Kind.STRATEGY)
    title = models.CharField(_("title"), max_length=200)
    short_title = models.CharField(
        _("short title"),
        max_length=60,
        blank=True,
        help_text=_(
            "Used where there's little room, such as email subjects. For example: Opening session. "
            "If empty: the title. No one gets an email if you change it."
        ),
    )
    slug = models.SlugField(
        _("address"),
        help_text=_(
            "The last part of the session's web address, such as legislation. If you change it, "
            "join links that people already have keep working."
        ),
    )
    summary = models.TextField(
        _("summary"),
        blank=True,
        help_text=_("Everyone can see this. Only attendees get the detailed agenda below."),
    )
    hosts = models.ManyToManyField(
        Speaker,
        blank=True,
        related_name="hosted_sessions",
        verbose_name=_("hosts"),
        help_text=_(
            "Everyone can see them on the session's page. Only attendees see the speakers in the "
            "agenda. Both come from the event's list of speakers."
        ),
    )
    shows_outline = models.BooleanField(
        _("show an outline"),
        default=False,
        help_text=_(
            "Everyone can see the titles in the agenda on the session's page, but no times, "
            "details or speakers."
        ),
    )
    starts_at = models.DateTimeField(_("starts"))
    ends_at = models.DateTimeField(_("ends"))
    status = models.CharField(
        _("status"), max_length=10, choices=Status.choices, default=Status.PUBLISHED
    )
    capacity = models.PositiveIntegerField(
        _("spots"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text=_(
            "When all are taken, people join a waitlist. If empty: no limit. If you lower the "
            "number, no one loses their spot."
        ),
    )
    canceled_at = models.DateTimeField(_("canceled"), null=True, blank=True, editable=False)
    # Empty unless the session is canceled. A change of it alone is not announced.
    cancel_reason = models.CharField(
        _("reason"),
        max_length=500,
        blank=True,
        help_text=_(
            "People read this in the email, on the session's page, on their own page and in their "
            "calendars."
        ),
    )
    recording_url = models.URLField(
        _("recording"),
        max_length=500,
        blank=True,
        validators=[validate_no_personal_link],
        help_text=_("A link to the recording. It's in the thank-you email."),
    )
    notes_url = models.URLField(
        _("notes"),
        max_length=500,
        blank=True,
        validators=[validate_no_personal_link],
        help_text=_("A link to the notes. They're in the thank-you email, too."),
    )
    shows_recording = models.BooleanField(
        _("show them to everyone"),
        default=False,
        help_text=_(
            "Once the session is over, everyone can find the recording and notes on its page. If "
            "unchecked, only people who registered for it get them."
        ),
    )
    revision = models.PositiveIntegerField(default=0, editable=False)
    revised_at = models.DateTimeField(null=True, editable=False)
    # While it's set, no one gets an email about edits.
    notices_held_at = models.DateTimeField(null=True, editable=False)
    # When an organizer wants people emailed about the last edit. If empty: once it has settled.
    notify_at = models.DateTimeField(null=True, editable=False)
    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    objects = SessionQuerySet.as_manager()

    class Meta:
        ordering = ["starts_at", "pk"]
        verbose_name = _("session")
        verbose_name_plural = _("sessions")
        constraints = [
            models.UniqueConstraint(
                name="session_slug_once_per_event",
                fields=["event", "slug"],
                violation_error_message=_("This event already has a session with that address."),
            ),
            models.CheckConstraint(
                name="session_ends_after_it_starts",
                condition=Q(ends_at__gt=F("starts_at")),
                violation_error_message=_("A session must end after it starts."),
            ),
        ]

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        return reverse("session", args=[self.event.slug, self.slug])

    def is_open_to_register(self, now: dt.datetime) -> bool:
        """The same rule as `SessionQuerySet.open_to_register`."""
        return self.takes_place and self.ends_at > now

    def clean(self) -> None:
        if self.track and self.event_id and self.track.event_id != self.event_id:
            raise ValidationError({"track": self.event.wrong_event_text()})

    @property
    def is_canceled(self) -> bool:
        return self.canceled_at is not None

    def state(self, now: dt.datetime) -> State:
        if self.is_canceled:
            return self.State.CANCELED
        if self.ends_at <= now:
            return self.State.OVER
        return self.State.NOW if self.starts_at <= now else self.State.AHEAD

    @property
    def brief_field(self) -> str:
        """The title for where there's little room: "short_title" or, if it's missing, "title".

        One in the reader's language comes before one that is shorter.
        """
        is_foreign = bool(languages.other_language(self, "short_title"))
        if not self.short_title or (is_foreign and not languages.other_language(self, "title")):
            return "title"
        return "short_title"

    @property
    def brief_title(self) -> str:
        title: str = getattr(self, self.brief_field)
        return title

    @property
    def takes_place(self) -> bool:
        """The same rule as `SessionQuerySet.taking_place`."""
        return self.status == self.Status.PUBLISHED and not self.is_canceled

    @property
    def public_links(self) -> dict[str, str]:
        """The links to what remains of the session, if everyone may see them."""
        links = {"recording": self.recording_url, "notes": self.notes_url}
        return {name: url for name, url in links.items() if url and self.shows_recording}

    @property
    def settled_at(self) -> dt.datetime | None:
        """When the last edit that attendees would notice has settled, or will have."""
        return self.revised_at + self.event.settle_time if self.revised_at else None

    @property
    def notices_due_at(self) -> dt.datetime | None:
        """When people get emails about the last edit, unless they are held."""
        return self.notify_at or self.settled_at

    @property
    def doors_open_at(self) -> dt.datetime:
        """When people are let in. The join page, the doors email and attendance go by it."""
        return self.starts_at - dt.timedelta(minutes=self.event.doors_open_minutes)

    @property
    def attendance_until(self) -> dt.datetime:
        """From when the doors open until then, being in the meeting counts as attending."""
        return self.ends_at + ATTENDANCE_AFTER_END

    @property
    def doors_email_until(self) -> dt.datetime:
        """The latest time to email that doors are open: the start, or soon after they open."""
        return max(self.starts_at, self.doors_open_at + dt.timedelta(minutes=5))

    @property
    def day_reminder_at(self) -> dt.datetime:
        """The same local time the day before, also across a daylight saving change."""
        local = self.starts_at.astimezone(self.event.zone)
        return (local - dt.timedelta(days=1)).astimezone(dt.UTC)

    @property
    def hour_reminder_at(self) -> dt.datetime:
        return self.starts_at - dt.timedelta(minutes=self.event.remind_minutes_before)

    @property
    def join_url(self) -> str:
        """The current Zoom link, or "" if there is none."""
        return self.usable_meeting.join_url if self.usable_meeting else ""

    @property
    def usable_meeting(self) -> "Meeting | None":
        """The meeting that people can join, as far as we know."""
        return None if self.meeting_is_gone else self.meeting_or_none

    @property
    def meeting_is_gone(self) -> bool:
        """Whether someone deleted at Zoom the meeting that we created."""
        meeting = self.meeting_or_none
        is_gone = meeting is not None and meeting.state == meeting.State.GONE
        return is_gone and self.event.creates_meetings

    @property
    def meeting_or_none(self) -> "Meeting | None":
        return getattr(self, "meeting", None)

    def joining_lines(self, numbers: "Iterable[DialIn] | None" = None) -> list[str]:
        """How to join without our link: meeting ID, passcode, phone numbers: all, or only these.

        Empty if links are personal, because these would not let anyone in.
        """
        meeting = self.usable_meeting
        if meeting is None or self.event.has_personal_links:
            return []
        lines = [f"{MEETING_ID} {meeting.meeting_id}"] if meeting.meeting_id else []
        lines += [f"{PASSCODE} {meeting.passcode}"] if meeting.passcode else []
        if meeting.phone_passcode:
            lines.append(f"{PHONE_PASSCODE} {meeting.phone_passcode}")
        numbers = self.dial_in_numbers() if numbers is None else numbers
        return lines + [f"{BY_PHONE} {number.text}" for number in numbers]

    def dial_in_numbers(self) -> "list[DialIn]":
        """Empty if links are personal: callers couldn't say whose it is."""
        meeting = None if self.event.has_personal_links else self.usable_meeting
        return meeting.dial_in_numbers() if meeting else []

    def snapshot(self) -> "SessionSnapshot":
        """The session as attendees see it, in all languages. Fetch it `with_details()`."""
        return SessionSnapshot(
            slug=self.slug,
            title=languages.written(self, "title"),
            summary=languages.written(self, "summary"),
            starts_at=self.starts_at,
            ends_at=self.ends_at,
            takes_place=self.takes_place,
            joining="\n".join(self.joining_lines()),
            agenda=tuple((item.minutes, item.texts()) for item in self.agenda.all()),
        )

    def timed_agenda(self) -> list[tuple[dt.datetime, "AgendaItem"]]:
        """Each agenda item with its start time. Items follow each other without breaks."""
        starts_at = self.starts_at
        timed = []
        for item in self.agenda.all():
            timed.append((starts_at, item))
            starts_at += dt.timedelta(minutes=item.minutes)
        return timed


# The minutes and the texts of each agenda item.
Agenda = tuple[tuple[int, tuple[languages.Text, ...]], ...]


class SessionSnapshot(NamedTuple):
    """A session as attendees see it, whatever their language.

    If two snapshots are equal, there is nothing to announce.
    """

    slug: str
    title: languages.Text
    summary: languages.Text
    starts_at: dt.datetime
    ends_at: dt.datetime
    takes_place: bool
    joining: str
    agenda: Agenda

    def columns(self) -> dict[str, Any]:
        """The snapshot as columns of a Revision, which has one for the title in each language."""
        columns = self._asdict()
        title = {languages.column("title", code): text for code, text in columns.pop("title")}
        return columns | title


def agenda_reads_differently(before: Agenda, now: Agenda, code: str) -> bool:
    """Whether the agenda says something new to people who read in this language."""
    if [(minutes, len(texts)) for minutes, texts in before] != [
        (minutes, len(texts)) for minutes, texts in now
    ]:
        return True
    old, new = ([text for _minutes, texts in each for text in texts] for each in (before, now))
    return any(languages.reads_differently(*pair, code) for pair in zip(old, new, strict=True))


def joining_text(joining: str) -> str:
    """A snapshot's `joining` in the reader's language."""
    for label in (MEETING_ID, PASSCODE, PHONE_PASSCODE, BY_PHONE):
        joining = re.sub(f"^{label}", gettext(label), joining, flags=re.MULTILINE)
    return joining


class Revision(models.Model):
    """A session as attendees saw it before an edit. Written by `schedule.edit_session`.

    A notice shows its title in the reader's language. The other texts are only compared: they are
    JSON, as in a SessionSnapshot.
    """

    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="revisions")
    number = models.PositiveIntegerField()
    slug = models.SlugField()
    title = models.CharField(max_length=200)
    summary = models.JSONField(default=list)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    takes_place = models.BooleanField()
    joining = models.TextField(blank=True)
    agenda = models.JSONField(default=list)
    replaced_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["session", "number"]
        constraints = [
            models.UniqueConstraint(
                name="one_revision_per_session_and_number", fields=["session", "number"]
            )
        ]

    def __str__(self) -> str:
        return f"{self.title}, revision {self.number}"

    def snapshot(self) -> SessionSnapshot:
        """What `Session.snapshot` was then."""
        return SessionSnapshot(
            slug=self.slug,
            title=languages.written(self, "title"),
            summary=_frozen(self.summary),
            starts_at=self.starts_at,
            ends_at=self.ends_at,
            takes_place=self.takes_place,
            joining=self.joining,
            agenda=_frozen(self.agenda),
        )


def _frozen(value: Any) -> Any:
    """JSON has lists where a snapshot has tuples."""
    return tuple(map(_frozen, value)) if isinstance(value, (list, tuple)) else value


# The place of an agenda item for which no one entered one: behind all others.
AGENDA_END = 1000


class AgendaItem(models.Model):
    """A part of a session. Its start time follows from the items before it."""

    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="agenda")
    position = models.PositiveSmallIntegerField(
        _("order"),
        default=AGENDA_END,
        help_text=_("1 comes first. To move an item, enter its new place. If empty: at the end."),
    )
    minutes = models.PositiveSmallIntegerField(
        _("minutes"),
        default=15,
        validators=[MinValueValidator(1), MaxValueValidator(24 * 60)],
        help_text=_("How long it takes. The next item starts right after."),
    )
    title = models.CharField(_("title"), max_length=200)
    description = models.TextField(_("description"), blank=True)
    speakers = models.ManyToManyField(
        Speaker, blank=True, related_name="agenda_items", verbose_name=_("speakers")
    )

    class Meta:
        ordering = ["position", "pk"]
        verbose_name = _("agenda item")
        verbose_name_plural = _("agenda items")

    def __str__(self) -> str:
        return self.title

    def texts(self) -> tuple[languages.Text, ...]:
        """All that people read of it, in all languages."""
        # The database orders them by their names in the current language.
        speakers = sorted(self.speakers.all(), key=lambda speaker: speaker.pk)
        fields: list[tuple[models.Model, str]] = [(self, "title"), (self, "description")]
        fields += [(each, name) for each in speakers for name in ("name", "affiliation")]
        return tuple(languages.written(*field) for field in fields)
