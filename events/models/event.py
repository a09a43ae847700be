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
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from events import languages
from events.models.image import StoredImage
from events.models.words import EventWords, both_words_or_none
from events.phone.numbers import validate_phone
from events.sharing.origins import validate_sites
from events.text.addresses import validate_deliverable
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
    "icons",
    "images",
    "join",
    "mailbox",
    "me",
    "static",
    "test-email",
    "unsubscribe",
    "webhooks",
}


def validate_event_slug(slug: str) -> None:
    if slug in RESERVED_SLUGS:
        raise ValidationError(gettext("The site uses this address itself. Choose another one."))


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

    def active(self) -> "EventQuerySet":
        """Those that aren't archived."""
        return self.filter(archived_at=None)

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


class Event(EventWords, models.Model):
    """A Strategy Week and its settings."""

    class Status(models.TextChoices):
        DRAFT = "draft", _("Draft: only organizers see it")
        PUBLISHED = "published", _("Published: anyone can see it")

    class ZoomMode(models.TextChoices):
        """Where a session's Zoom link comes from."""

        PASTED = ("pasted", _("Pasted: you create the meetings in Zoom and paste their links"))
        SHARED = ("shared", _("One link for each session: we create the Zoom meetings for you"))
        PERSONAL = (
            "personal",
            _("Personal links: we create the meetings, and each person gets their own link"),
        )

    class LateSpots(models.TextChoices):
        """What happens to a spot that opens less than an hour before a session starts."""

        PROMOTE = "promote", _("It still goes to the first person on the waitlist")
        KEEP = "keep", _("It stays open: we don't offer spots that late")

    class Poster(models.TextChoices):
        """The picture at the top of its page: templates/events/posters/, or its own."""

        HILLS = "hills", _("Sunrise over hills")
        ROAD = "road", _("An open road")
        CIRCLE = "circle", _("People gathered around the sun")
        BARS = "bars", _("Prison bars and a rising sun")
        OWN = "own", _("Your own picture")

    class Colors(models.TextChoices):
        """See events/palette.py."""

        SUNRISE = "sunrise", _("Sunrise: green and gold")
        HARBOR = "harbor", _("Harbor: navy and sky blue")
        JACARANDA = "jacaranda", _("Jacaranda: purple and lavender")
        CLAY = "clay", _("Clay: brown and apricot")

    class Phase(models.TextChoices):
        """Whether people can register."""

        NOT_YET = "not yet"
        OPEN = "open"
        CLOSED = "closed"

    name = models.CharField(_("name"), max_length=150)
    slug = models.SlugField(
        _("address"),
        unique=True,
        validators=[validate_event_slug],
        help_text=_(
            "The last part of the event's web address, such as drop-lwop-2021. If you change it, "
            "links that people already have stop working."
        ),
    )
    status = models.CharField(
        _("status"), max_length=10, choices=Status.choices, default=Status.DRAFT
    )
    host = models.CharField(
        _("host"),
        max_length=150,
        help_text=_("The group that hosts the week, such as Drop LWOP Coalition."),
    )
    contact_email = models.EmailField(
        _("contact email"),
        blank=True,
        validators=[validate_deliverable],
        help_text=_(
            "People's questions and replies to our emails go here. A published event needs one."
        ),
    )
    contact_phone = models.CharField(
        _("contact phone"),
        max_length=40,
        blank=True,
        validators=[validate_phone],
        help_text=_(
            "A number to call with questions. It's only on the card that people can print to join "
            "by phone."
        ),
    )
    summary = models.CharField(
        _("summary"), max_length=300, help_text=_("One or two sentences, shown first on the page.")
    )
    introduction = models.TextField(
        _("introduction"),
        blank=True,
        help_text=_(
            "What the week is about and who it's for. Leave an empty line between paragraphs. You "
            "can write **bold**, *italic*, # headings, lists with - and links."
        ),
    )
    has_captions = models.BooleanField(
        _("live captions"),
        default=False,
        help_text=_(
            "Check this if you turn on captions in Zoom. If we create your meetings, use the "
            "setting under “Zoom” instead."
        ),
    )
    has_asl = models.BooleanField(
        _("ASL interpretation"),
        default=False,
        help_text=_("Check this once you have interpreters for every session."),
    )
    has_interpretation = models.BooleanField(
        _("Spanish interpretation"),
        default=False,
        help_text=_("Check this once you have interpreters for every session."),
    )
    recording_note = models.CharField(
        _("recording"),
        max_length=300,
        blank=True,
        help_text=_(
            "What you record, and who gets to see it, such as: We record the talks for people who "
            "miss a session. We don't record the small groups."
        ),
    )
    # Its own words, if it has any; see words.py.
    name_of_kickoff = models.CharField(
        _("name of the kickoff"),
        max_length=40,
        blank=True,
        help_text=_("For example: Welcome day. If empty: Kickoff."),
    )
    name_of_strategy = models.CharField(
        _("name of a strategy session"),
        max_length=40,
        blank=True,
        help_text=_("For example: Evening session. If empty: Strategy session."),
    )
    name_of_closing = models.CharField(
        _("name of the closing session"),
        max_length=40,
        blank=True,
        help_text=_("For example: Assembly. If empty: Closing session."),
    )
    word_for_track = models.CharField(
        _("word for one strategy"),
        max_length=40,
        blank=True,
        help_text=_("For example: Working group. If empty: Strategy."),
    )
    word_for_tracks = models.CharField(
        _("word for several strategies"),
        max_length=40,
        blank=True,
        help_text=_("For example: Working groups. If empty: Strategies."),
    )
    time_zone = models.CharField(
        _("time zone"),
        max_length=64,
        default=DEFAULT_TIME_ZONE,
        validators=[validate_time_zone],
        help_text=_(
            "The time zone you plan in. Everyone also sees times in their own. If you change it, "
            "we ask whether the sessions move."
        ),
    )
    registration_opens_at = models.DateTimeField(
        _("registration opens"),
        null=True,
        blank=True,
        help_text=_("If empty: as soon as the event is published."),
    )
    registration_closes_at = models.DateTimeField(
        _("registration closes"),
        null=True,
        blank=True,
        help_text=_("If empty: when the last session ends."),
    )
    requires_approval = models.BooleanField(
        _("requires your approval"),
        default=False,
        help_text=_(
            "People get no link and no detailed schedule until you approve them under "
            "Registrations. When you check this, people who are already registered stay approved. "
            "When you uncheck it, people who are waiting still need your approval."
        ),
    )
    late_spots = models.CharField(
        _("spots that open late"),
        max_length=10,
        choices=LateSpots.choices,
        default=LateSpots.PROMOTE,
        help_text=_(
            "This is for the last hour before a session, and after it starts. Before that, a spot "
            "that opens goes to the first person on the waitlist right away."
        ),
    )
    poster = models.CharField(
        _("poster"),
        max_length=10,
        choices=Poster.choices,
        default=Poster.HILLS,
        help_text=_(
            "It's at the top of the event's page, on the flyer, and in the picture that shows "
            "when someone shares a link."
        ),
    )
    colors = models.CharField(
        _("colors"),
        max_length=10,
        choices=Colors.choices,
        default=Colors.SUNRISE,
        help_text=_(
            "For the public pages, emails and the flyer. All of them are easy to read, in light "
            "and dark mode."
        ),
    )
    # The event's own picture, as a poster for large screens and for phones.
    poster_wide = models.ForeignKey(
        StoredImage,
        on_delete=models.PROTECT,
        null=True,
        editable=False,
        related_name="events_on_desks",
    )
    poster_phone = models.ForeignKey(
        StoredImage,
        verbose_name=_("your own picture"),
        on_delete=models.PROTECT,
        null=True,
        editable=False,
        related_name="events_on_phones",
    )
    embed_sites = models.TextField(
        _("websites that show the schedule"),
        blank=True,
        max_length=1000,
        validators=[validate_sites],
        help_text=_(
            "Websites that may show the week on their own pages, with a Register button. One "
            "address per line, such as https://droplwop.org. No other site can show it."
        ),
    )
    erase_after_days = models.PositiveSmallIntegerField(
        _("erase personal data (days after the end)"),
        default=90,
        validators=[MinValueValidator(7), MaxValueValidator(730)],
        help_text=_(
            "We erase names, email addresses and answers automatically, this many days after "
            "the last session. We keep anonymous counts. Before then, export anything you're "
            "allowed to keep."
        ),
    )
    # Leaves organizers time to review what will be erased, and to export it.
    erase_not_before = models.DateTimeField(default=in_two_weeks, editable=False)
    doors_open_minutes = models.PositiveSmallIntegerField(
        _("open sessions early (minutes)"),
        default=15,
        validators=[MaxValueValidator(24 * 60)],
        help_text=_("We let people into Zoom this long before a session starts."),
    )
    remind_day_before = models.BooleanField(
        _("remind the day before"),
        default=True,
        help_text=_("People get an email a day before their first session of each day."),
    )
    remind_minutes_before = models.PositiveSmallIntegerField(
        _("remind shortly before (minutes)"),
        default=60,
        validators=[MaxValueValidator(12 * 60)],
        help_text=_(
            "People get an email this long before their first session of each day. Enter 0 for no "
            "email."
        ),
    )
    settle_minutes = models.PositiveSmallIntegerField(
        _("wait before notifying (minutes)"),
        default=10,
        validators=[MaxValueValidator(24 * 60)],
        help_text=_(
            "When a session changes or is canceled, people get one email, this long after your "
            "last edit. If the session starts within 3 hours, they get it right away."
        ),
    )
    thank_after_hours = models.PositiveSmallIntegerField(
        _("thank people (hours after the end)"),
        default=24,
        null=True,
        blank=True,
        validators=[MaxValueValidator(14 * 24)],
        help_text=_(
            "People get a thank-you email this long after the last session, with the "
            "links to recordings and notes that you've entered by then. If empty: no "
            "email."
        ),
    )
    zoom_mode = models.CharField(
        _("Zoom links"),
        max_length=10,
        choices=ZoomMode.choices,
        default=ZoomMode.PASTED,
        help_text=_(
            "A personal link lets one person in and can be taken away. It needs a paid Zoom "
            "account. The last two options need your Zoom account's credentials."
        ),
    )
    zoom_host = models.EmailField(
        _("Zoom host"),
        blank=True,
        help_text=_(
            "The email address of the Zoom user who hosts new meetings. If empty: the user that "
            "the site's credentials belong to."
        ),
    )
    zoom_alternative_hosts = models.CharField(
        _("alternative hosts"),
        max_length=500,
        blank=True,
        validators=[validate_emails],
        help_text=_(
            "People who can also start the meetings: email addresses of Zoom users in the same "
            "account, separated by commas."
        ),
    )
    zoom_waiting_room = models.BooleanField(
        _("waiting room"),
        default=False,
        help_text=_("People wait in Zoom until a host lets them in."),
    )
    zoom_mute_on_entry = models.BooleanField(
        _("mute on entry"), default=True, help_text=_("Microphones are off when people come in.")
    )
    zoom_captions = models.BooleanField(
        _("captions"),
        default=True,
        help_text=_("Zoom shows live captions to people who turn them on."),
    )
    # An archived event isn't offered for anything new, and no emails go out for it.
    archived_at = models.DateTimeField(_("archived"), null=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    # Of the form that made the draft: if it's sent twice, there's still one event.
    draft_key = models.UUIDField(null=True, unique=True, editable=False)

    objects = EventQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-pk"]
        verbose_name = _("event")
        verbose_name_plural = _("events")
        constraints = [
            models.CheckConstraint(
                name="event_registration_closes_after_it_opens",
                condition=Q(registration_closes_at__gt=F("registration_opens_at")),
                violation_error_message=_("Registration must close after it opens."),
            ),
            models.CheckConstraint(
                name="published_event_has_a_contact",
                condition=~Q(status="published", contact_email=""),
                violation_error_message=_("A published event needs a contact email."),
            ),
            *both_words_or_none(),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("event", args=[self.slug])

    @property
    def zone(self) -> zoneinfo.ZoneInfo:
        return known_zone(self.time_zone) or zoneinfo.ZoneInfo(DEFAULT_TIME_ZONE)

    @property
    def has_own_poster(self) -> bool:
        return self.poster == self.Poster.OWN and self.poster_phone_id is not None

    @property
    def creates_meetings(self) -> bool:
        """Whether `events.zoom.sync` creates its meetings; otherwise organizers paste links."""
        return self.zoom_mode != self.ZoomMode.PASTED

    @property
    def has_personal_links(self) -> bool:
        return self.zoom_mode == self.ZoomMode.PERSONAL

    @property
    def shows_captions(self) -> bool:
        """Whether meetings have live captions. Those we create have them by their own setting."""
        return self.zoom_captions if self.creates_meetings else self.has_captions

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
    name = models.CharField(_("name"), max_length=80)
    description = models.CharField(_("description"), max_length=300, blank=True)
    position = models.PositiveSmallIntegerField(
        _("position"), default=0, help_text=_("Lower numbers come first.")
    )

    class Meta:
        ordering = ["position", "pk"]
        verbose_name = _("strategy")
        verbose_name_plural = _("strategies")
        constraints = [
            models.UniqueConstraint(
                name=f"track_{name}_once_per_event",
                fields=["event", name],
                violation_error_message=_("This event already has a strategy with that name."),
            )
            for name in languages.columns("name")
        ]

    def __str__(self) -> str:
        return self.name


class Speaker(models.Model):
    """A person or group who hosts a session or leads an agenda item."""

    event = models.ForeignKey(Event, on_delete=models.CASCADE, related_name="speakers")
    name = models.CharField(_("name"), max_length=120)
    affiliation = models.CharField(_("affiliation"), max_length=150, blank=True)
    about = models.CharField(
        _("one line about them"),
        max_length=200,
        blank=True,
        help_text=_("Everyone can see it on the pages of the sessions that this person hosts."),
    )
    photo = models.ForeignKey(
        StoredImage,
        verbose_name=_("Photo"),
        on_delete=models.PROTECT,
        null=True,
        editable=False,
        related_name="speakers",
    )

    class Meta:
        ordering = ["name", "pk"]
        verbose_name = _("speaker")
        verbose_name_plural = _("speakers")
        constraints = [
            models.UniqueConstraint(
                name=f"speaker_{name}_once_per_event",
                fields=["event", name],
                violation_error_message=_("This event already has a speaker with that name."),
            )
            for name in languages.columns("name")
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.affiliation})" if self.affiliation else self.name
