"""The people: who comes to what, and what we told them."""

import datetime as dt
import secrets
import unicodedata
import zoneinfo

from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from events.models import Event, Session, Track
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
        return self.filter(cancelled_at=None)


class Registration(models.Model):
    """Someone who comes to an event. The token opens their own page and their join links."""

    event = models.ForeignKey(Event, on_delete=models.PROTECT, related_name="registrations")
    name = models.CharField(max_length=100)
    email = models.EmailField(max_length=254)
    email_key = models.CharField(max_length=254, editable=False)
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
    token = models.CharField(max_length=64, unique=True, default=new_token, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    cancelled_at = models.DateTimeField(null=True, blank=True, editable=False)

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
        ]

    def __str__(self) -> str:
        return f"{self.name} <{self.email}>"

    def get_absolute_url(self) -> str:
        return reverse("me", args=[self.token])

    @property
    def zone(self) -> zoneinfo.ZoneInfo:
        return zoneinfo.ZoneInfo(self.time_zone)


class Seat(models.Model):
    """A registration in a session."""

    registration = models.ForeignKey(Registration, on_delete=models.CASCADE, related_name="seats")
    session = models.ForeignKey(Session, on_delete=models.PROTECT, related_name="seats")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["session__starts_at", "pk"]
        constraints = [
            models.UniqueConstraint(
                name="one_seat_per_registration_and_session", fields=["registration", "session"]
            ),
        ]

    def __str__(self) -> str:
        return f"{self.registration.name} in {self.session.title}"


class OutgoingMailQuerySet(models.QuerySet["OutgoingMail"]):
    def due(self, now: dt.datetime) -> "OutgoingMailQuerySet":
        return self.filter(state=OutgoingMail.State.WAITING, due_at__lte=now)


class OutgoingMail(models.Model):
    """A mail that is owed: the row is the queue, see `outbox`."""

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        SENT = "sent", "Sent"
        FAILED = "failed", "Failed"
        DROPPED = "dropped", "No longer needed"

    class Kind(models.TextChoices):
        LINKS = "links", "Links and schedule"

    key = models.CharField(max_length=200, unique=True)
    kind = models.CharField(max_length=20, choices=Kind.choices)
    registration = models.ForeignKey(Registration, on_delete=models.CASCADE, related_name="mails")
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    attempts = models.PositiveIntegerField(default=0)
    due_at = models.DateTimeField(
        "next attempt", default=timezone.now, help_text="A claim moves it on; so does a failure."
    )
    last_error = models.TextField(blank=True)
    created_at = models.DateTimeField("queued", default=timezone.now)
    sent_at = models.DateTimeField("sent", null=True, blank=True)

    objects = OutgoingMailQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-pk"]
        constraints = [
            models.CheckConstraint(
                name="mail_sent_at_iff_sent",
                condition=Q(state="sent", sent_at__isnull=False)
                | (~Q(state="sent") & Q(sent_at__isnull=True)),
            ),
        ]
        indexes = [
            models.Index(name="mails_due", fields=["due_at"], condition=Q(state="waiting")),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} to {self.registration.email}"
