"""Registrations, their seats in sessions, and what people need to take part."""

import secrets
import unicodedata
import zoneinfo
from typing import Any

from django.db import models
from django.db.models import OuterRef, Q, Subquery
from django.db.models.functions import Coalesce
from django.urls import reverse
from django.utils import timezone

from events.links import absolute
from events.models import Event, Session, Track
from events.timezones import validate_time_zone
from registrations.models.mail import ENDED_STATES, UNREACHED_STATES, OutgoingMail
from registrations.us_states import US_STATES

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
    def active(self) -> "RegistrationQuerySet":
        """Those who have not canceled, whatever the organizers say."""
        return self.filter(canceled_at=None)

    def admitted(self) -> "RegistrationQuerySet":
        """Those who come: links and the detailed schedule are for nobody else."""
        return self.active().filter(approval=Registration.Approval.APPROVED)

    def with_last_outcome(self) -> Any:
        """Annotate `last_outcome`: what came of the newest mail that came to an end, or None.

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
            last_outcome=Coalesce(
                Subquery(came_back.values("state")[:1]), Subquery(ended.values("state")[:1])
            )
        )

    def unreachable(self) -> "RegistrationQuerySet":
        """Those whose newest mail was refused, or whose mails come back or are called spam."""
        return self.with_last_outcome().filter(last_outcome__in=UNREACHED_STATES)


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
    us_state = models.CharField("state", max_length=2, blank=True, choices=US_STATES)
    time_zone = models.CharField(max_length=64, validators=[validate_time_zone])
    strategies = models.ManyToManyField(
        Track, blank=True, related_name="interested", verbose_name="strategies of interest"
    )
    needs_captions = models.BooleanField("captions", default=False)
    needs_asl = models.BooleanField("ASL", default=False)
    needs_interpretation = models.BooleanField("interpretation", default=False)
    needs_dial_in = models.BooleanField("dial-in by phone", default=False)
    needs_other = models.CharField("another need", max_length=200, blank=True)
    wants_doors_email = models.BooleanField(
        "a mail when doors open",
        default=False,
        help_text="One more mail at the moment when a session's doors open.",
    )
    unsubscribed_at = models.DateTimeField(null=True, blank=True, editable=False)
    token = models.CharField(max_length=64, unique=True, default=new_token, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    canceled_at = models.DateTimeField(null=True, blank=True, editable=False)
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
                condition=Q(canceled_at=None),
            ),
            models.CheckConstraint(
                name="registration_declined_is_decided_and_pending_is_not",
                condition=Q(approval="approved")
                | Q(approval="pending", decided_at__isnull=True)
                | Q(approval="declined", decided_at__isnull=False),
            ),
            models.CheckConstraint(
                name="registration_erased_is_canceled_and_nobodys",
                condition=Q(erased_at=None)
                | Q(canceled_at__isnull=False, name="", email="", organization="", us_state=""),
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
        return self.canceled_at is None and self.approval == self.Approval.APPROVED

    @property
    def is_pending(self) -> bool:
        """Whether an organizer still has to say yes or no."""
        return self.canceled_at is None and self.approval == self.Approval.PENDING


class SeatQuerySet(models.QuerySet["Seat"]):
    def seated(self) -> "SeatQuerySet":
        return self.filter(state=Seat.State.SEATED)

    def admitted(self) -> "SeatQuerySet":
        """The places of those who come; see `RegistrationQuerySet.admitted`."""
        return self.seated().filter(
            registration__canceled_at=None,
            registration__approval=Registration.Approval.APPROVED,
        )

    def occupying(self) -> "SeatQuerySet":
        """Those of people who may come: who waits for the organizers' yes keeps a place too."""
        return self.filter(registration__canceled_at=None).exclude(
            registration__approval=Registration.Approval.DECLINED
        )

    def waitlist(self) -> "SeatQuerySet":
        """The waiting lists, the first in line first."""
        waiting = self.occupying().filter(state=Seat.State.WAITING)
        return waiting.order_by("session", "waiting_since", "pk")


class Seat(models.Model):
    """A registration in a session, or in its waiting list.

    `notified_revision` is the last revision of the session that the person was notified of.
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
    notified_revision = models.PositiveIntegerField(default=0, editable=False)
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


def join_url(token: str, session: Session) -> str:
    """The personal address that leads to the session's Zoom link valid at that time."""
    return absolute(reverse("join", args=[token, session.slug]))
