"""Events (one Strategy Week each), their tracks and speakers."""

import datetime as dt
import zoneinfo
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, validate_email
from django.db import models
from django.db.models import F, Max, Min, Q
from django.urls import reverse
from django.utils import timezone

from events.addresses import validate_deliverable
from events.timezones import DEFAULT_TIME_ZONE, known_zone, validate_time_zone

if TYPE_CHECKING:
    from events.models.session import Session

# The site's own URLs start with these; an event with such a slug would hide them.
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
    """Validate comma-separated addresses."""
    for address in split_emails(addresses):
        validate_email(address)


def split_emails(addresses: str) -> list[str]:
    return [address.strip() for address in addresses.split(",") if address.strip()]


def in_two_weeks() -> dt.datetime:
    return timezone.now() + dt.timedelta(days=14)


class EventQuerySet(models.QuerySet["Event"]):
    def published(self) -> "EventQuerySet":
        return self.filter(status=Event.Status.PUBLISHED)

    def with_times(self) -> Any:
        """Annotate `first_starts_at` and `last_ends_at` of the sessions that take place."""
        takes_place = Q(sessions__status="published", sessions__canceled_at=None)
        return self.annotate(
            first_starts_at=Min("sessions__starts_at", filter=takes_place),
            last_ends_at=Max("sessions__ends_at", filter=takes_place),
        )

    def current(self, now: dt.datetime) -> "Event | None":
        """The published event that is running or next; if all are over, the last one."""
        events = self.published().with_times()
        upcoming = events.filter(last_ends_at__gte=now).order_by("first_starts_at", "pk").first()
        return upcoming or events.order_by(F("last_ends_at").desc(nulls_first=True), "-pk").first()


class Event(models.Model):
    """A Strategy Week and its settings."""

    class Status(models.TextChoices):
        DRAFT = "draft", "Draft: only organizers see it"
        PUBLISHED = "published", "Published: anyone can see it"

    class ZoomMode(models.TextChoices):
        """Where a session's Zoom link comes from."""

        PASTED = "pasted", "Pasted: organizers make the meetings at Zoom and paste their links"
        SHARED = "shared", "One link for each session: the meetings are made at Zoom for you"
        PERSONAL = "personal", "Personal links: made for you, and each person has one of their own"

    class LatePlaces(models.TextChoices):
        """What happens to a spot that opens less than an hour before a session starts."""

        PROMOTE = "promote", "It goes to the first in line all the same"
        KEEP = "keep", "It stays free: nobody is called that late"

    class Phase(models.TextChoices):
        """Whether people can register."""

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
        validators=[validate_deliverable],
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
        default=DEFAULT_TIME_ZONE,
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
    # Leaves organizers time to review what will be erased, and to export it.
    erase_not_before = models.DateTimeField(default=in_two_weeks, editable=False)
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
        help_text="People are told of a changed or canceled session so long after your last edit "
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
        "waiting room", default=False, help_text="People wait at Zoom until a host lets them in."
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
            )
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("event", args=[self.slug])

    @property
    def zone(self) -> zoneinfo.ZoneInfo:
        return known_zone(self.time_zone) or zoneinfo.ZoneInfo(DEFAULT_TIME_ZONE)

    @property
    def creates_meetings(self) -> bool:
        """Whether `events.zoom.sync` creates its meetings; otherwise organizers paste links."""
        return self.zoom_mode != self.ZoomMode.PASTED

    @property
    def has_personal_links(self) -> bool:
        return self.zoom_mode == self.ZoomMode.PERSONAL

    @property
    def settle_time(self) -> dt.timedelta:
        return dt.timedelta(minutes=self.settle_minutes)

    def day_of(self, moment: dt.datetime) -> dt.date:
        """The date of a moment in the event's time zone."""
        return moment.astimezone(self.zone).date()

    def registration_phase(self, now: dt.datetime, open_sessions: "list[Session]") -> Phase:
        """Whether people can register now, given the sessions that are still open to them."""
        if self.registration_closes_at and now >= self.registration_closes_at:
            return self.Phase.CLOSED
        if self.registration_opens_at and now < self.registration_opens_at:
            return self.Phase.NOT_YET
        return self.Phase.OPEN if open_sessions else self.Phase.CLOSED


class Track(models.Model):
    """One of the week's strategies."""

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
    """A person or group who leads an agenda item."""

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
