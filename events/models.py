"""The week: what happens when, and where on Zoom."""

import datetime as dt
import re
import uuid
import zoneinfo
from typing import Any, NamedTuple

from django.core.exceptions import ValidationError
from django.core.validators import (
    MaxValueValidator,
    MinValueValidator,
    URLValidator,
    validate_email,
)
from django.db import models
from django.db.models import F, Max, Min, Prefetch, Q
from django.urls import reverse
from django.utils import timezone

from .timezones import validate_time_zone

# First words of the site's own addresses: an event of that name would hide them.
RESERVED_SLUGS = {
    "accounts",
    "admin",
    "api",
    "calendar",
    "healthz",
    "join",
    "mailbox",
    "me",
    "static",
    "unsubscribe",
    "webhooks",
}


def validate_event_slug(slug: str) -> None:
    if slug in RESERVED_SLUGS:
        raise ValidationError("The site uses this address itself. Choose another.")


def validate_emails(addresses: str) -> None:
    """Addresses with commas between them."""
    for address in split_emails(addresses):
        validate_email(address)


def split_emails(addresses: str) -> list[str]:
    return [address.strip() for address in addresses.split(",") if address.strip()]


def in_a_fortnight() -> dt.datetime:
    return timezone.now() + dt.timedelta(days=14)


class EventQuerySet(models.QuerySet["Event"]):
    def published(self) -> "EventQuerySet":
        return self.filter(status=Event.Status.PUBLISHED)

    def with_times(self) -> Any:
        """Annotate `first_starts_at` and `last_ends_at` of the sessions that the public sees."""
        shown = Q(sessions__status=Session.Status.PUBLISHED, sessions__cancelled_at=None)
        return self.annotate(
            first_starts_at=Min("sessions__starts_at", filter=shown),
            last_ends_at=Max("sessions__ends_at", filter=shown),
        )

    def current(self, now: dt.datetime) -> "Event | None":
        """The published event that runs or comes next; when all are over, the last one."""
        events = self.published().with_times()
        ahead = events.filter(last_ends_at__gte=now).order_by("first_starts_at", "pk").first()
        return ahead or events.order_by(F("last_ends_at").desc(nulls_first=True), "-pk").first()


class Event(models.Model):
    """A Strategy Week: its name, its host, and when people may register."""

    class Status(models.TextChoices):
        DRAFT = "draft", "Draft: only organizers see it"
        PUBLISHED = "published", "Published: anyone can see it"

    class ZoomMode(models.TextChoices):
        """Where a session's Zoom link comes from."""

        PASTED = "pasted", "Pasted: organizers make the meetings at Zoom and paste their links"
        SHARED = "shared", "One link for each session: the meetings are made at Zoom for you"
        PERSONAL = "personal", "Personal links: made for you, and each person has one of their own"

    class LatePlaces(models.TextChoices):
        """What becomes of a place that frees within an hour of a session's start, or later."""

        PROMOTE = "promote", "It goes to the first in line all the same"
        KEEP = "keep", "It stays free: nobody is called that late"

    class Phase(models.TextChoices):
        """Where registration stands."""

        NOT_YET = "not yet"
        OPEN = "open"
        CLOSED = "closed"

    name = models.CharField(max_length=150)
    slug = models.SlugField(
        "address",
        unique=True,
        validators=[validate_event_slug],
        help_text="The last part of the event's web address, such as drop-lwop-2021. "
        "Links that people already have stop working when you change it.",
    )
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.DRAFT)
    host = models.CharField(max_length=150, help_text="Who invites, such as Drop LWOP Coalition.")
    contact_email = models.EmailField(
        blank=True,
        help_text="Where people's questions and their replies to our mails go.",
    )
    summary = models.CharField(
        max_length=300, help_text="One or two sentences, shown first on the page."
    )
    introduction = models.TextField(
        blank=True,
        help_text="What the week is about and whom it is for. An empty line starts a paragraph.",
    )
    time_zone = models.CharField(
        max_length=64,
        default="America/Los_Angeles",
        validators=[validate_time_zone],
        help_text="The zone in which you plan. Everyone also sees the times in their own. "
        "Sessions keep their moment when you change it: 9 AM Pacific becomes 12 noon Eastern.",
    )
    registration_opens_at = models.DateTimeField(
        null=True, blank=True, help_text="Empty: as soon as the event is published."
    )
    registration_closes_at = models.DateTimeField(
        null=True, blank=True, help_text="Empty: when the last session ends."
    )
    requires_approval = models.BooleanField(
        "requires your approval",
        default=False,
        help_text="People get no link and no detailed schedule before you approve them under "
        "Registrations. Those who are registered when you tick this stay approved; those who wait "
        "when you untick it go on waiting until you approve them.",
    )
    late_places = models.CharField(
        "places that free late",
        max_length=10,
        choices=LatePlaces.choices,
        default=LatePlaces.PROMOTE,
        help_text="Within an hour of a session's start, or after it. Earlier, a place that frees "
        "goes to the first on the waiting list at once.",
    )
    erase_after_days = models.PositiveSmallIntegerField(
        "erase personal data (days after the end)",
        default=90,
        validators=[MinValueValidator(7), MaxValueValidator(730)],
        help_text="So long after the last session names, addresses and answers are erased by "
        "themselves; numbers stay. Export before what you may keep.",
    )
    # Time to look at what will be erased, and to export it.
    erase_not_before = models.DateTimeField(default=in_a_fortnight, editable=False)
    doors_open_minutes = models.PositiveSmallIntegerField(
        "doors open (minutes)",
        default=15,
        validators=[MaxValueValidator(24 * 60)],
        help_text="How long before its start a session's join link leads on to Zoom.",
    )
    remind_day_before = models.BooleanField(
        "remind the day before",
        default=True,
        help_text="A mail to each person, a day before their first session of a day.",
    )
    remind_minutes_before = models.PositiveSmallIntegerField(
        "remind shortly before (minutes)",
        default=60,
        validators=[MaxValueValidator(12 * 60)],
        help_text="A mail so long before a person's first session of a day. 0: none.",
    )
    settle_minutes = models.PositiveSmallIntegerField(
        "changes settle (minutes)",
        default=10,
        validators=[MaxValueValidator(24 * 60)],
        help_text="People are told of a changed or cancelled session so long after your last edit "
        "of it, once; at once when it starts within three hours.",
    )
    thank_after_hours = models.PositiveSmallIntegerField(
        "thank people (hours after the end)",
        default=24,
        null=True,
        blank=True,
        validators=[MaxValueValidator(14 * 24)],
        help_text="A mail with the links to recordings and notes that you have entered by then, "
        "so long after the last session. Empty: none.",
    )
    zoom_mode = models.CharField(
        "Zoom links",
        max_length=10,
        choices=ZoomMode.choices,
        default=ZoomMode.PASTED,
        help_text="A personal link lets one person in and can be revoked; it needs a paid Zoom "
        "account. For both that are made for you, the site needs the account's credentials.",
    )
    zoom_host = models.EmailField(
        "host at Zoom",
        blank=True,
        help_text="The Zoom user in whose name meetings are made from now on. Empty: the one that "
        "the site's credentials belong to.",
    )
    zoom_alternative_hosts = models.CharField(
        "alternative hosts",
        max_length=500,
        blank=True,
        validators=[validate_emails],
        help_text="Who may start the meetings as well: addresses of Zoom users of the same "
        "account, with commas between them.",
    )
    zoom_waiting_room = models.BooleanField(
        "waiting room",
        default=False,
        help_text="People wait at Zoom until a host lets them in.",
    )
    zoom_mute_on_entry = models.BooleanField(
        "mute on entry", default=True, help_text="Microphones are off when people come in."
    )
    zoom_captions = models.BooleanField(
        "captions",
        default=True,
        help_text="Zoom writes down what is said, live, for whoever turns captions on.",
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = EventQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-pk"]
        constraints = [
            models.CheckConstraint(
                name="event_registration_closes_after_it_opens",
                condition=Q(registration_closes_at__gt=F("registration_opens_at")),
                violation_error_message="Registration must close after it opens.",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("event", args=[self.slug])

    @property
    def zone(self) -> zoneinfo.ZoneInfo:
        return zoneinfo.ZoneInfo(self.time_zone)

    @property
    def makes_meetings(self) -> bool:
        """Whether its meetings are made at Zoom by `meetings`, not pasted."""
        return self.zoom_mode != self.ZoomMode.PASTED

    @property
    def has_personal_links(self) -> bool:
        return self.zoom_mode == self.ZoomMode.PERSONAL

    @property
    def settle_time(self) -> dt.timedelta:
        return dt.timedelta(minutes=self.settle_minutes)

    def day_of(self, moment: dt.datetime) -> dt.date:
        """The day of a moment by the event's clock."""
        return moment.astimezone(self.zone).date()

    def registration_phase(self, now: dt.datetime, open_sessions: "list[Session]") -> Phase:
        """Whether people can register now, given the sessions that can still be joined."""
        if self.registration_closes_at and now >= self.registration_closes_at:
            return self.Phase.CLOSED
        if self.registration_opens_at and now < self.registration_opens_at:
            return self.Phase.NOT_YET
        return self.Phase.OPEN if open_sessions else self.Phase.CLOSED


class Track(models.Model):
    """One of the strategies that the week works on."""

    event = models.ForeignKey(Event, on_delete=models.CASCADE, related_name="tracks")
    name = models.CharField(max_length=80)
    description = models.CharField(max_length=300, blank=True)
    position = models.PositiveSmallIntegerField(default=0, help_text="Lower comes first.")

    class Meta:
        ordering = ["position", "pk"]
        constraints = [
            models.UniqueConstraint(
                name="track_name_once_per_event",
                fields=["event", "name"],
                violation_error_message="This event has a strategy of that name already.",
            )
        ]

    def __str__(self) -> str:
        return self.name


class Speaker(models.Model):
    """Someone, or a group, who leads an agenda item."""

    event = models.ForeignKey(Event, on_delete=models.CASCADE, related_name="speakers")
    name = models.CharField(max_length=120)
    affiliation = models.CharField(max_length=150, blank=True)

    class Meta:
        ordering = ["name", "pk"]
        constraints = [
            models.UniqueConstraint(
                name="speaker_name_once_per_event",
                fields=["event", "name"],
                violation_error_message="This event has a speaker of that name already.",
            )
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.affiliation})" if self.affiliation else self.name


DOOR_CALL = dt.timedelta(minutes=5)


class SessionQuerySet(models.QuerySet["Session"]):
    def published(self) -> "SessionQuerySet":
        return self.filter(status=Session.Status.PUBLISHED)

    def held(self) -> "SessionQuerySet":
        """Sessions that take place: public and not cancelled."""
        return self.published().filter(cancelled_at=None)

    def open_to_register(self, now: dt.datetime) -> "SessionQuerySet":
        """Sessions that someone may still sign up for: public, not cancelled, not over."""
        return self.held().filter(ends_at__gt=now)

    def without_link(self, now: dt.datetime) -> "SessionQuerySet":
        """Sessions still to come without a Zoom link."""
        gone = Q(meeting__state=Meeting.State.GONE) & ~Q(event__zoom_mode=Event.ZoomMode.PASTED)
        no_link = Q(meeting=None) | Q(meeting__join_url="") | gone
        return self.filter(no_link, cancelled_at=None, ends_at__gt=now)

    def with_details(self) -> "SessionQuerySet":
        """Fetch the agenda, its speakers, the Zoom side and the track in a few queries."""
        agenda = AgendaItem.objects.prefetch_related("speakers")
        return self.select_related("event", "track", "meeting").prefetch_related(
            Prefetch("agenda", queryset=agenda)
        )


class Session(models.Model):
    """One meeting of the week. `revision` counts what attendees must learn of."""

    class Kind(models.TextChoices):
        KICKOFF = "kickoff", "Kickoff"
        STRATEGY = "strategy", "Strategy session"
        CLOSING = "closing", "Closing"

    class Status(models.TextChoices):
        DRAFT = "draft", "Draft: only organizers see it"
        PUBLISHED = "published", "Published: on the public page"

    event = models.ForeignKey(Event, on_delete=models.CASCADE, related_name="sessions")
    track = models.ForeignKey(
        Track,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="sessions",
        verbose_name="strategy",
        help_text="Empty for a session that is about all of them.",
    )
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.STRATEGY)
    title = models.CharField(max_length=200)
    slug = models.SlugField(
        "address",
        help_text="The last part of the session's web address, such as legislation. "
        "Join links that people already have go on working when you change it.",
    )
    summary = models.TextField(
        blank=True, help_text="Shown to everyone. The detailed agenda below goes to attendees only."
    )
    starts_at = models.DateTimeField("starts")
    ends_at = models.DateTimeField("ends")
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.PUBLISHED)
    capacity = models.PositiveIntegerField(
        "places",
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="When all are taken, people join a waiting list. Empty: no limit. Lowering it "
        "takes a place from nobody.",
    )
    cancelled_at = models.DateTimeField("cancelled", null=True, blank=True, editable=False)
    recording_url = models.URLField(
        "recording",
        max_length=500,
        blank=True,
        help_text="Where the recording can be watched. People find it in the thank-you mail.",
    )
    notes_url = models.URLField(
        "notes",
        max_length=500,
        blank=True,
        help_text="Where the session's notes can be read. They too stand in the thank-you mail.",
    )
    revision = models.PositiveIntegerField(default=0, editable=False)
    revised_at = models.DateTimeField(null=True, editable=False)
    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    objects = SessionQuerySet.as_manager()

    class Meta:
        ordering = ["starts_at", "pk"]
        constraints = [
            models.UniqueConstraint(
                name="session_slug_once_per_event",
                fields=["event", "slug"],
                violation_error_message="This event has a session with that address already.",
            ),
            models.CheckConstraint(
                name="session_ends_after_it_starts",
                condition=Q(ends_at__gt=F("starts_at")),
                violation_error_message="A session must end after it starts.",
            ),
        ]

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        return reverse("session", args=[self.event.slug, self.slug])

    def is_open_to_register(self, now: dt.datetime) -> bool:
        """The same rule as `SessionQuerySet.open_to_register`, for a session at hand."""
        published = self.status == self.Status.PUBLISHED
        return published and not self.is_cancelled and self.ends_at > now

    def clean(self) -> None:
        if self.track and self.event_id and self.track.event_id != self.event_id:
            raise ValidationError({"track": "This strategy belongs to another event."})

    @property
    def is_cancelled(self) -> bool:
        return self.cancelled_at is not None

    @property
    def is_held(self) -> bool:
        """Whether it takes place, as far as attendees can tell."""
        return self.status == self.Status.PUBLISHED and not self.is_cancelled

    @property
    def settled_at(self) -> dt.datetime | None:
        """When the last edit that attendees could notice has settled, or will have."""
        return self.revised_at + self.event.settle_time if self.revised_at else None

    @property
    def doors_open_at(self) -> dt.datetime:
        return self.starts_at - dt.timedelta(minutes=self.event.doors_open_minutes)

    @property
    def door_call_until(self) -> dt.datetime:
        """When it is too late to say that doors are open: at the start, or soon after them."""
        return max(self.starts_at, self.doors_open_at + DOOR_CALL)

    @property
    def day_reminder_at(self) -> dt.datetime:
        """The same hour the day before, by the event's clock: also when that clock was changed."""
        local = self.starts_at.astimezone(self.event.zone)
        return (local - dt.timedelta(days=1)).astimezone(dt.UTC)

    @property
    def hour_reminder_at(self) -> dt.datetime:
        return self.starts_at - dt.timedelta(minutes=self.event.remind_minutes_before)

    @property
    def join_url(self) -> str:
        """The Zoom link valid now, or "" while there is none."""
        meeting = self.meeting_or_none
        return meeting.join_url if meeting and not self.meeting_is_gone else ""

    @property
    def meeting_is_gone(self) -> bool:
        """Whether its meeting, made by us, was deleted at Zoom by someone."""
        meeting = self.meeting_or_none
        is_gone = meeting is not None and meeting.state == Meeting.State.GONE
        return is_gone and self.event.makes_meetings

    @property
    def meeting_or_none(self) -> "Meeting | None":
        return getattr(self, "meeting", None)

    def joining_lines(self) -> list[str]:
        """What one needs to join without our link: meeting ID, passcode, phone numbers.

        Where links are personal these let nobody in.
        """
        meeting = self.meeting_or_none
        if meeting is None or self.event.has_personal_links or self.meeting_is_gone:
            return []
        lines = [f"Zoom meeting ID: {meeting.meeting_id}"] if meeting.meeting_id else []
        lines += [f"Passcode: {meeting.passcode}"] if meeting.passcode else []
        return lines + [f"By phone: {number.text}" for number in meeting.dial_in_numbers()]

    def facts(self) -> "Facts":
        """What attendees are told of the session; fetch it `with_details()`."""
        return Facts(
            slug=self.slug,
            title=self.title,
            summary=self.summary,
            starts_at=self.starts_at,
            ends_at=self.ends_at,
            is_held=self.is_held,
            joining="\n".join(self.joining_lines()),
            agenda="\n".join(item.as_line() for item in self.agenda.all()),
        )

    def timed_agenda(self) -> list[tuple[dt.datetime, "AgendaItem"]]:
        """Each agenda item with the moment it begins: one after the other from the start."""
        begins = self.starts_at
        timed = []
        for item in self.agenda.all():
            timed.append((begins, item))
            begins += dt.timedelta(minutes=item.minutes)
        return timed


class Facts(NamedTuple):
    """What attendees are told of a session: two that are equal are the same news."""

    slug: str
    title: str
    summary: str
    starts_at: dt.datetime
    ends_at: dt.datetime
    is_held: bool
    joining: str
    agenda: str


class Revision(models.Model):
    """What attendees could know of a session before it was edited; see `schedule.editing`."""

    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="revisions")
    number = models.PositiveIntegerField()
    slug = models.SlugField()
    title = models.CharField(max_length=200)
    summary = models.TextField(blank=True)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    is_held = models.BooleanField()
    joining = models.TextField(blank=True)
    agenda = models.TextField(blank=True)

    class Meta:
        ordering = ["session", "number"]
        constraints = [
            models.UniqueConstraint(
                name="one_revision_per_session_and_number", fields=["session", "number"]
            ),
        ]

    def __str__(self) -> str:
        return f"{self.title}, revision {self.number}"

    def facts(self) -> Facts:
        return Facts(*(getattr(self, name) for name in Facts._fields))


class AgendaItem(models.Model):
    """A part of a session; its time follows from the session's start and what comes before."""

    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="agenda")
    position = models.PositiveSmallIntegerField(
        default=1000, help_text="Lower comes first; a new item goes to the end."
    )
    minutes = models.PositiveSmallIntegerField(
        default=15,
        validators=[MinValueValidator(1), MaxValueValidator(24 * 60)],
        help_text="How long it takes. The next item begins when it is over.",
    )
    title = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    speakers = models.ManyToManyField(Speaker, blank=True, related_name="agenda_items")

    class Meta:
        ordering = ["position", "pk"]

    def __str__(self) -> str:
        return self.title

    def as_line(self) -> str:
        speakers = ", ".join(map(str, self.speakers.all()))
        parts = (f"{self.minutes} min", self.title, speakers, self.description)
        return " | ".join(filter(None, parts))


SHORTEST_NUMBER = 7


class DialIn(NamedTuple):
    """A phone number as an organizer entered it, perhaps with a place or more behind it."""

    text: str

    @property
    def tel(self) -> str:
        """The number that the line begins with, for a tel: link (RFC 3966); "" without one."""
        found = re.match(r"\+?[\d .-]*(\(\d+\)[\d .-]*)?\d", self.text)
        number = re.sub(r"[^+\d]", "", found[0]) if found else ""
        return number if len(number) >= SHORTEST_NUMBER else ""


class MeetingQuerySet(models.QuerySet["Meeting"]):
    def at_zoom(self) -> "MeetingQuerySet":
        """Those that were made there by us, and are still there as far as we know."""
        return self.filter(state=Meeting.State.MADE)


class Meeting(models.Model):
    """A session's Zoom side: pasted by organizers, or kept in step with Zoom by `meetings`.

    Attendees reach it by our join page.
    """

    class State(models.TextChoices):
        PASTED = "pasted", "Pasted by an organizer"
        WANTED = "wanted", "Not made yet"
        MADE = "made", "At Zoom"
        GONE = "gone", "Deleted at Zoom by someone"

    # Without a session it is to be deleted at Zoom, and then here.
    session = models.OneToOneField(
        Session, on_delete=models.SET_NULL, null=True, related_name="meeting"
    )
    join_url = models.URLField(
        "Zoom link",
        max_length=500,
        blank=True,
        validators=[URLValidator(schemes=["https"], message="Paste the whole https:// link.")],
        help_text="The invite link from Zoom, such as https://zoom.us/j/12345678901?pwd=... "
        "You may change it at any time: links already mailed lead to the new one. The ID, "
        "passcode and numbers below stand in the mails: when they change, people are told.",
    )
    meeting_id = models.CharField(
        "meeting ID",
        max_length=40,
        blank=True,
        help_text="For people who type it in or join by phone, such as 123 4567 8901.",
    )
    passcode = models.CharField(max_length=40, blank=True)
    dial_in = models.TextField(
        "dial-in numbers",
        blank=True,
        help_text="One phone number a line, such as +1 669 900 6833 (San Jose).",
    )
    state = models.CharField(
        "at Zoom", max_length=10, choices=State.choices, default=State.PASTED, editable=False
    )
    zoom_id = models.BigIntegerField(null=True, unique=True, editable=False)
    # What Zoom was last told, see `meetings.wish`: an update is made only when it differs.
    told = models.JSONField(null=True, editable=False)
    # Words for organizers: Zoom's own where it said something.
    problem = models.TextField(blank=True, editable=False)
    # A try began of which no answer was recorded: before the next one Zoom is asked what is there.
    asked_at = models.DateTimeField(null=True, editable=False)
    attempts = models.PositiveIntegerField(default=0, editable=False)
    due_at = models.DateTimeField(default=timezone.now, editable=False)
    checked_at = models.DateTimeField(null=True, editable=False)
    started_at = models.DateTimeField("started", null=True, editable=False)
    ended_at = models.DateTimeField("ended", null=True, editable=False)
    # When Zoom's own list of who was there was last read.
    counted_at = models.DateTimeField(null=True, editable=False)

    objects = MeetingQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="meeting_at_zoom_has_its_id",
                condition=~Q(state="made") | Q(zoom_id__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"Zoom meeting of {self.session}"

    def dial_in_numbers(self) -> list[DialIn]:
        lines = [line.strip() for line in self.dial_in.splitlines()]
        return [DialIn(line) for line in lines if line]


class ZoomAccount(models.Model):
    """How we stand with Zoom: one row, written by whoever calls it; see `meetings`.

    While `resumes_at` is ahead nobody calls: Zoom is away, or refuses our credentials.
    """

    problem = models.TextField(blank=True)
    problem_since = models.DateTimeField(null=True)
    failures = models.PositiveIntegerField(default=0)
    resumes_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.problem or "Zoom answers"


class ZoomReport(models.Model):
    """What Zoom told us by a webhook, kept until a worker has worked on it.

    `key` is the same for the same report sent again.
    """

    key = models.CharField(max_length=64, unique=True)
    kind = models.CharField(max_length=80)
    zoom_id = models.BigIntegerField(null=True)
    payload = models.JSONField()
    received_at = models.DateTimeField(default=timezone.now)
    done_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["pk"]
        indexes = [
            models.Index(name="zoom_reports_to_do", fields=["id"], condition=Q(done_at=None)),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of meeting {self.zoom_id}"
