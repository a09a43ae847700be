"""The people: who comes to what, and what we told them."""

import datetime as dt
import secrets
import unicodedata
import zoneinfo
from typing import Any

from django.db import models
from django.db.models import F, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce
from django.urls import reverse
from django.utils import timezone

from events.models import Event, Meeting, Revision, Session, Track
from events.timezones import validate_time_zone

from .us_states import US_STATES

TOKEN_LENGTH = 32


def new_token() -> str:
    """A secret for someone's personal links: 192 bits in 32 URL-safe characters."""
    return secrets.token_urlsafe(24)


def email_key(email: str) -> str:
    """What makes two addresses the same one: spaces around, case and Unicode forms do not.

    The domain is written as it travels (RFC 3490). Raises UnicodeError when it cannot be.
    """
    local, _at, domain = unicodedata.normalize("NFKC", email.strip()).casefold().rpartition("@")
    return f"{local}@{domain.encode('idna').decode()}"


class RegistrationQuerySet(models.QuerySet["Registration"]):
    def live(self) -> "RegistrationQuerySet":
        """Those who have not cancelled, whatever the organizers say."""
        return self.filter(cancelled_at=None)

    def admitted(self) -> "RegistrationQuerySet":
        """Those who come: links and the detailed schedule are for nobody else."""
        return self.live().filter(approval=Registration.Approval.APPROVED)

    def with_last_word(self) -> Any:
        """Annotate `last_word`: what came of the newest mail that came to an end, or None.

        That a server took a mail says little: a bounce or a complaint stands until the address
        is put right.
        """
        mails = OutgoingMail.objects.filter(registration=OuterRef("pk")).order_by("-pk")
        came_back = mails.filter(
            state__in=[OutgoingMail.State.BOUNCED, OutgoingMail.State.COMPLAINED],
            created_at__gte=OuterRef("email_since"),
        )
        ended = mails.filter(state__in=ENDED_STATES)
        return self.annotate(
            last_word=Coalesce(
                Subquery(came_back.values("state")[:1]), Subquery(ended.values("state")[:1])
            )
        )

    def unreachable(self) -> "RegistrationQuerySet":
        """Those whose newest mail was refused, or whose mails come back or are called spam."""
        return self.with_last_word().filter(last_word__in=UNREACHED_STATES)


class Registration(models.Model):
    """Someone who comes to an event. The token opens their own page and their join links."""

    class Approval(models.TextChoices):
        """The organizers' word; of an event that does not ask for it everyone is approved."""

        APPROVED = "approved", "Approved"
        PENDING = "pending", "Waits for your yes"
        DECLINED = "declined", "Declined"

    event = models.ForeignKey(Event, on_delete=models.PROTECT, related_name="registrations")
    name = models.CharField(max_length=100)
    email = models.EmailField(max_length=254)
    email_key = models.CharField(max_length=254, editable=False)
    email_since = models.DateTimeField(default=timezone.now, editable=False)
    organization = models.CharField(max_length=150, blank=True)
    state = models.CharField(max_length=2, blank=True, choices=US_STATES)
    time_zone = models.CharField(max_length=64, validators=[validate_time_zone])
    strategies = models.ManyToManyField(
        Track, blank=True, related_name="interested", verbose_name="strategies of interest"
    )
    needs_captions = models.BooleanField("captions", default=False)
    needs_asl = models.BooleanField("ASL", default=False)
    needs_interpretation = models.BooleanField("interpretation", default=False)
    needs_dial_in = models.BooleanField("dial-in by phone", default=False)
    needs_other = models.CharField("another need", max_length=200, blank=True)
    wants_door_calls = models.BooleanField(
        "a mail when doors open",
        default=False,
        help_text="One more mail at the moment when a session's doors open.",
    )
    unsubscribed_at = models.DateTimeField(null=True, blank=True, editable=False)
    token = models.CharField(max_length=64, unique=True, default=new_token, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    cancelled_at = models.DateTimeField(null=True, blank=True, editable=False)
    approval = models.CharField(
        max_length=10, choices=Approval.choices, default=Approval.APPROVED, editable=False
    )
    decided_at = models.DateTimeField(null=True, blank=True, editable=False)
    # When what is personal was erased; the row stays, for the numbers.
    erased_at = models.DateTimeField(null=True, blank=True, editable=False)

    sessions = models.ManyToManyField(Session, through="Seat", related_name="registrations")

    objects = RegistrationQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-pk"]
        constraints = [
            models.UniqueConstraint(
                name="one_live_registration_per_event_and_email",
                fields=["event", "email_key"],
                condition=Q(cancelled_at=None),
            ),
            models.CheckConstraint(
                name="registration_declined_is_decided_and_pending_is_not",
                condition=Q(approval="approved")
                | Q(approval="pending", decided_at__isnull=True)
                | Q(approval="declined", decided_at__isnull=False),
            ),
            models.CheckConstraint(
                name="registration_erased_is_cancelled_and_nobodys",
                condition=Q(erased_at=None)
                | Q(cancelled_at__isnull=False, name="", email="", organization="", state=""),
            ),
        ]

    def __str__(self) -> str:
        return "Erased" if self.erased_at else f"{self.name} <{self.email}>"

    def get_absolute_url(self) -> str:
        return reverse("me", args=[self.token])

    @property
    def zone(self) -> zoneinfo.ZoneInfo:
        return zoneinfo.ZoneInfo(self.time_zone)

    @property
    def is_admitted(self) -> bool:
        """The same rule as `RegistrationQuerySet.admitted`, for a registration at hand."""
        return self.cancelled_at is None and self.approval == self.Approval.APPROVED

    @property
    def is_pending(self) -> bool:
        """Whether an organizer still has to say yes or no."""
        return self.cancelled_at is None and self.approval == self.Approval.PENDING


class SeatQuerySet(models.QuerySet["Seat"]):
    def seated(self) -> "SeatQuerySet":
        return self.filter(state=Seat.State.SEATED)

    def admitted(self) -> "SeatQuerySet":
        """The places of those who come; see `RegistrationQuerySet.admitted`."""
        return self.seated().filter(
            registration__cancelled_at=None,
            registration__approval=Registration.Approval.APPROVED,
        )

    def counting(self) -> "SeatQuerySet":
        """Those of people who may come: who waits for the organizers' yes keeps a place too."""
        return self.filter(registration__cancelled_at=None).exclude(
            registration__approval=Registration.Approval.DECLINED
        )

    def in_line(self) -> "SeatQuerySet":
        """The waiting lists, the first in line first."""
        waiting = self.counting().filter(state=Seat.State.WAITING)
        return waiting.order_by("session", "waiting_since", "pk")


class Seat(models.Model):
    """A registration in a session, or in its waiting list.

    `told_revision` is the session's revision that the person last heard of. `shown_revision`, when
    it is a later one, is of edits that had not settled when a mail showed them; see `told`.
    """

    class State(models.TextChoices):
        SEATED = "seated", "Seated"
        WAITING = "waiting", "On the waiting list"

    registration = models.ForeignKey(Registration, on_delete=models.CASCADE, related_name="seats")
    session = models.ForeignKey(Session, on_delete=models.PROTECT, related_name="seats")
    state = models.CharField(max_length=10, choices=State.choices, default=State.SEATED)
    seated_at = models.DateTimeField(default=timezone.now, editable=False)
    # Its place in the line: whoever waits longer is called first.
    waiting_since = models.DateTimeField(null=True, blank=True, editable=False)
    attended = models.BooleanField(default=False, help_text="Tick it when the person was there.")
    # When its link was first followed to Zoom.
    opened_at = models.DateTimeField(null=True, editable=False)
    told_revision = models.PositiveIntegerField(default=0, editable=False)
    shown_revision = models.PositiveIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = SeatQuerySet.as_manager()

    class Meta:
        ordering = ["session__starts_at", "pk"]
        verbose_name = "place"
        constraints = [
            models.UniqueConstraint(
                name="one_seat_per_registration_and_session", fields=["registration", "session"]
            ),
            models.CheckConstraint(
                name="seat_waits_since_some_moment_iff_it_waits",
                condition=Q(state="waiting", waiting_since__isnull=False)
                | Q(state="seated", waiting_since__isnull=True),
            ),
        ]
        indexes = [
            models.Index(
                name="waiting_lists",
                fields=["session", "waiting_since", "id"],
                condition=Q(state="waiting"),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.registration.name} in {self.session.title}"


class PersonalLinkQuerySet(models.QuerySet["PersonalLink"]):
    def issued(self) -> "PersonalLinkQuerySet":
        return self.filter(state=PersonalLink.State.ISSUED)

    def leading_in(self) -> "PersonalLinkQuerySet":
        """Those that let their person in: for the meeting and the address that count now."""
        return self.issued().filter(
            zoom_id=F("meeting__zoom_id"),
            meeting__state=Meeting.State.MADE,
            email=F("seat__registration__email"),
        )


class PersonalLink(models.Model):
    """A seat as Zoom knows it, a registrant of the session's meeting; see `personal_links`.

    It is about the meeting `zoom_id` at Zoom and the address it was asked for: when either is
    another now, so is the registrant. Without a seat it is to be revoked, and then deleted.
    """

    class State(models.TextChoices):
        WANTED = "wanted", "Not issued yet"
        ISSUED = "issued", "Issued"
        REFUSED = "refused", "Refused by Zoom"

    seat = models.OneToOneField(
        Seat, on_delete=models.SET_NULL, null=True, related_name="personal_link"
    )
    meeting = models.ForeignKey(Meeting, on_delete=models.CASCADE, related_name="personal_links")
    zoom_id = models.BigIntegerField()
    email = models.EmailField(max_length=254)
    state = models.CharField(max_length=10, choices=State.choices, default=State.WANTED)
    registrant_id = models.CharField(max_length=100, blank=True)
    join_url = models.CharField(max_length=1000, blank=True)
    problem = models.TextField(blank=True)
    # As of a Meeting: a try began of which no answer was recorded.
    asked_at = models.DateTimeField(null=True)
    # How often it was added in these days: Zoom allows three times a day.
    attempts = models.PositiveIntegerField(default=0)
    due_at = models.DateTimeField(default=timezone.now)
    issued_at = models.DateTimeField(null=True)

    objects = PersonalLinkQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="personal_link_issued_has_its_address",
                condition=Q(state="issued", issued_at__isnull=False) & ~Q(join_url="")
                | ~Q(state="issued"),
            ),
        ]
        indexes = [
            models.Index(
                name="personal_links_to_do", fields=["due_at"], condition=Q(state="wanted")
            ),
        ]

    def __str__(self) -> str:
        return f"Link of {self.email} to meeting {self.zoom_id}"


class Attendance(models.Model):
    """Someone in a session's meeting, from joining until leaving, as Zoom reports it.

    `participant` is Zoom's number of this one presence in this one instance (`uuid`) of the
    meeting. Without a seat it is for an organizer to say who it was.
    """

    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="attendances")
    seat = models.ForeignKey(
        Seat, on_delete=models.SET_NULL, null=True, blank=True, related_name="attendances"
    )
    uuid = models.CharField(max_length=100)
    participant = models.CharField(max_length=100)
    registrant_id = models.CharField(max_length=100, blank=True)
    name = models.CharField(max_length=200, blank=True)
    email = models.CharField(max_length=254, blank=True)
    joined_at = models.DateTimeField(null=True)
    left_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["joined_at", "pk"]
        verbose_name_plural = "attendance"
        constraints = [
            models.UniqueConstraint(
                name="one_attendance_per_presence", fields=["uuid", "participant"]
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name or 'Someone'} in {self.session}"


class AccessNeed(models.Model):
    """What someone needs to take part in a session: requested, arranged, confirmed to them."""

    class Kind(models.TextChoices):
        CAPTIONS = "captions", "Live captions"
        ASL = "asl", "ASL interpretation"
        INTERPRETATION = "interpretation", "Spanish interpretation"
        DIAL_IN = "dial-in", "Joining by phone call"
        OTHER = "other", "Something else"

    class State(models.TextChoices):
        REQUESTED = "requested", "Requested"
        ARRANGED = "arranged", "Arranged"
        CONFIRMED = "confirmed", "Confirmed to the person"

    seat = models.ForeignKey(Seat, on_delete=models.CASCADE, related_name="access_needs")
    kind = models.CharField(max_length=20, choices=Kind.choices)
    words = models.CharField("in their words", max_length=200, blank=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.REQUESTED)
    note = models.CharField(
        max_length=200, blank=True, help_text="Among organizers, such as who interprets."
    )
    requested_at = models.DateTimeField(default=timezone.now)
    arranged_at = models.DateTimeField(null=True, blank=True)
    confirmed_at = models.DateTimeField(null=True, blank=True)
    # The start of the session that it was arranged for: whoever interprets comes at that hour.
    arranged_for = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["seat__session__starts_at", "kind", "pk"]
        constraints = [
            models.UniqueConstraint(
                name="one_access_need_per_seat_and_kind", fields=["seat", "kind"]
            ),
            models.CheckConstraint(
                name="access_need_has_the_moments_of_its_state",
                condition=Q(state="requested", arranged_at=None, confirmed_at=None)
                | Q(state="arranged", arranged_at__isnull=False, confirmed_at=None)
                | Q(state="confirmed", arranged_at__isnull=False, confirmed_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.words or self.get_kind_display()


class Question(models.Model):
    """What organizers ask people who register, besides what everyone is asked."""

    class Kind(models.TextChoices):
        SHORT = "short", "Short text"
        LONG = "long", "Long text"
        CHOICE = "choice", "One choice"
        CHOICES = "choices", "Several choices"
        YES_NO = "yes/no", "Yes or no"

    event = models.ForeignKey(Event, on_delete=models.CASCADE, related_name="questions")
    text = models.CharField("question", max_length=200)
    kind = models.CharField("answer", max_length=10, choices=Kind.choices, default=Kind.SHORT)
    choices = models.TextField(blank=True, help_text="For choices: one a line.")
    help_text = models.CharField(max_length=300, blank=True)
    is_required = models.BooleanField(
        "required", default=False, help_text="Nobody can register without an answer."
    )
    sessions = models.ManyToManyField(
        Session,
        blank=True,
        related_name="questions",
        help_text="Asked only of those who choose one of these. None: asked of everyone.",
    )
    is_asked = models.BooleanField(
        "asked", default=True, help_text="Untick it to ask no more; answers so far stay."
    )
    position = models.PositiveSmallIntegerField(default=0, help_text="Lower comes first.")

    class Meta:
        ordering = ["position", "pk"]

    def __str__(self) -> str:
        return self.text


class Answer(models.Model):
    """What someone answered to a question; several choices are a list, yes or no is a bool."""

    registration = models.ForeignKey(Registration, on_delete=models.CASCADE, related_name="answers")
    question = models.ForeignKey(Question, on_delete=models.PROTECT, related_name="answers")
    value = models.JSONField()

    class Meta:
        ordering = ["question__position", "question"]
        constraints = [
            models.UniqueConstraint(
                name="one_answer_per_registration_and_question",
                fields=["registration", "question"],
            ),
        ]

    def __str__(self) -> str:
        return f"{self.question}: {self.value}"


class Announcement(models.Model):
    """A mail by an organizer to many of an event's people; see `announcing`."""

    class Audience(models.TextChoices):
        ALL = "all", "Everyone who is registered"
        SESSION = "session", "People in one session"
        TRACK = "track", "People interested in one strategy"
        WAITING = "waiting", "People on a waiting list"
        NOT_ATTENDED = "not attended", "People who have not attended yet"

    class State(models.TextChoices):
        DRAFT = "draft", "Draft"
        SCHEDULED = "scheduled", "Scheduled"
        SENDING = "sending", "Started"
        PAUSED = "paused", "Paused"
        STOPPED = "stopped", "Stopped"

    event = models.ForeignKey(Event, on_delete=models.CASCADE, related_name="announcements")
    subject = models.CharField(max_length=150)
    body = models.TextField(
        help_text="Markdown: an empty line starts a paragraph, **bold**, [words](https://...), "
        "- for a list. {name} is the person's name."
    )
    audience = models.CharField(
        "to whom", max_length=20, choices=Audience.choices, default=Audience.ALL
    )
    session = models.ForeignKey(
        Session,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        help_text="For people in one session; narrows a waiting list to that session's.",
    )
    track = models.ForeignKey(
        Track, on_delete=models.PROTECT, null=True, blank=True, verbose_name="strategy"
    )
    organization = models.CharField(
        max_length=150, blank=True, help_text="Only people of this organization. Empty: any."
    )
    us_state = models.CharField(
        "state", max_length=2, blank=True, choices=US_STATES, help_text="Only people there."
    )
    state = models.CharField(
        "progress", max_length=10, choices=State.choices, default=State.DRAFT, editable=False
    )
    send_at = models.DateTimeField(null=True, blank=True, editable=False)
    started_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-created_at", "-pk"]
        constraints = [
            models.CheckConstraint(
                name="announcement_audience_is_named",
                condition=(~Q(audience="session") | Q(session__isnull=False))
                & (~Q(audience="track") | Q(track__isnull=False)),
                violation_error_message="Choose the session or the strategy that it is for.",
            ),
            models.CheckConstraint(
                name="announcement_scheduled_has_a_moment",
                condition=~Q(state="scheduled") | Q(send_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.subject


class Letter(models.Model):
    """A mail of the accounts', or a test; written when queued, kept until it has left or is void.

    It may hold a code that lets someone in: no page shows it.
    """

    recipient = models.EmailField(max_length=254)
    # An announcement's may be long once its placeholders are filled.
    subject = models.TextField()
    text = models.TextField()
    html = models.TextField(blank=True)
    headers = models.JSONField(default=dict, blank=True)
    void_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.subject


class OutgoingMailQuerySet(models.QuerySet["OutgoingMail"]):
    def due(self, now: dt.datetime) -> "OutgoingMailQuerySet":
        return self.filter(state=OutgoingMail.State.WAITING, due_at__lte=now)


class OutgoingMail(models.Model):
    """A mail that is owed: the row is the queue, see `outbox`."""

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        PAUSED = "paused", "Paused"
        SENT = "sent", "Sent"
        FAILED = "failed", "Failed"
        BOUNCED = "bounced", "Came back"
        COMPLAINED = "complained", "Reported as spam"
        DROPPED = "dropped", "No longer needed"

    class Kind(models.TextChoices):
        RECEIVED = "received", "Registration received"
        LINKS = "links", "Links and schedule"
        PROMOTED = "promoted", "Place from the waiting list"
        CHANGED = "changed", "Session changed"
        CANCELLED = "cancelled", "Session cancelled"
        DOORS = "doors", "Doors open"
        HOUR = "hour", "Reminder shortly before"
        DAY = "day", "Reminder the day before"
        SCHEDULE = "schedule", "Detailed schedule"
        THANKS = "thanks", "Thank-you"
        ANNOUNCEMENT = "announcement", "Announcement"
        ACCESS = "access", "Access confirmed"
        ACCOUNT = "account", "Account"
        TEST = "test", "Test of an announcement"

    class Priority(models.IntegerChoices):
        """Lower leaves first."""

        AT_ONCE = 0
        SOON = 1
        IN_TURN = 2

    key = models.CharField(max_length=200)
    kind = models.CharField(max_length=20, choices=Kind.choices)
    priority = models.PositiveSmallIntegerField(choices=Priority.choices, default=Priority.AT_ONCE)
    # None: it is a letter.
    registration = models.ForeignKey(
        Registration, on_delete=models.CASCADE, null=True, related_name="mails"
    )
    letter = models.OneToOneField(Letter, on_delete=models.SET_NULL, null=True, related_name="mail")
    # Most mails have none of these three: their indexes are in Meta, without those.
    session = models.ForeignKey(
        Session, on_delete=models.SET_NULL, null=True, db_index=False, related_name="+"
    )
    was = models.ForeignKey(
        Revision, on_delete=models.SET_NULL, null=True, db_index=False, related_name="+"
    )
    announcement = models.ForeignKey(
        Announcement, on_delete=models.PROTECT, null=True, db_index=False, related_name="mails"
    )
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    attempts = models.PositiveIntegerField(default=0)
    due_at = models.DateTimeField(
        "next attempt", default=timezone.now, help_text="A claim moves it on; so does a failure."
    )
    # A worker has it, or a server may: until the next attempt.
    in_hand = models.BooleanField(default=False, editable=False)
    last_error = models.TextField(blank=True)
    provider_id = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField("queued", default=timezone.now)
    sent_at = models.DateTimeField("sent", null=True, blank=True)

    objects = OutgoingMailQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-pk"]
        constraints = [
            models.UniqueConstraint(name="one_mail_per_key", fields=["key"]),
            models.CheckConstraint(
                name="mail_sent_at_iff_a_server_took_it",
                condition=Q(state__in=["sent", "bounced", "complained"], sent_at__isnull=False)
                | (~Q(state__in=["sent", "bounced", "complained"]) & Q(sent_at__isnull=True)),
            ),
            models.CheckConstraint(
                name="mail_of_an_announcement_names_it",
                condition=Q(kind="announcement", announcement__isnull=False)
                | (~Q(kind="announcement") & Q(announcement__isnull=True)),
            ),
            models.CheckConstraint(
                name="mail_is_to_a_registration_or_a_letter",
                condition=Q(kind__in=["account", "test"], registration__isnull=True)
                | (
                    ~Q(kind__in=["account", "test"])
                    & Q(registration__isnull=False, letter__isnull=True)
                ),
            ),
        ]
        # A mail is updated when it is claimed and when it was sent, and each index is written anew
        # both times: those that a mail does not need have a condition.
        indexes = [
            *(
                models.Index(
                    name=f"mails_of_{field}",
                    fields=[field],
                    condition=Q(**{f"{field}__isnull": False}),
                )
                for field in ("session", "was", "announcement")
            ),
            models.Index(
                name="mails_in_turn",
                fields=["priority", "attempts", "due_at", "id"],
                condition=Q(state="waiting"),
            ),
            models.Index(
                name="mails_of_a_provider",
                fields=["provider_id"],
                condition=~Q(provider_id=""),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} to {self.recipient}"

    @property
    def recipient(self) -> str:
        if self.registration:
            return self.registration.email
        return self.letter.recipient if self.letter else "a deleted address"


UNREACHED_STATES = (
    OutgoingMail.State.FAILED,
    OutgoingMail.State.BOUNCED,
    OutgoingMail.State.COMPLAINED,
)
ENDED_STATES = (OutgoingMail.State.SENT, *UNREACHED_STATES)


class MailText(models.Model):
    """An organizer's own subject and opening words for one kind of mail; see `texts`."""

    event = models.ForeignKey(Event, on_delete=models.CASCADE, related_name="mail_texts")
    kind = models.CharField(
        max_length=20,
        choices=[
            (kind, label)
            for kind, label in OutgoingMail.Kind.choices
            if kind not in ("announcement", "account", "test")
        ],
    )
    subject = models.CharField(max_length=150, blank=True)
    opening = models.TextField("opening words", blank=True)

    class Meta:
        ordering = ["event", "kind"]
        verbose_name = "mail text"
        constraints = [
            models.UniqueConstraint(name="one_text_per_event_and_kind", fields=["event", "kind"]),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} of {self.event}"


class Pace(models.Model):
    """When the next mail may leave under MAIL_PER_MINUTE: one row, shared by all workers."""

    free_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"free at {self.free_at}"


class Heartbeat(models.Model):
    """When a part that works unseen, the beat or a worker, was last alive."""

    class Part(models.TextChoices):
        WORKER = "worker", "A worker"
        BEAT = "beat", "The beat"

    part = models.CharField(max_length=10, primary_key=True, choices=Part.choices)
    seen_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.get_part_display()}, {self.seen_at}"
