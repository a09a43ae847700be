"""Registrations, and their seats in sessions."""

import datetime as dt
import secrets
import zoneinfo
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Exists, F, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from events.links import absolute
from events.models import Event, Session, Track
from events.text.search import Searchable, SearchKeyField, search_index
from events.timezones import known_zone, validate_time_zone
from registrations.models.access_needs import NEED_KINDS, NeedKind
from registrations.models.mail import UNREACHED_STATES, OutgoingMail
from registrations.us_states import US_STATES
from registrations.validators import (
    EMAIL_LENGTH,
    name_key,
    validate_address,
    validate_named,
    validate_no_link,
    validate_plain_line,
)

TOKEN_LENGTH = 32
PEOPLE_PER_MAILBOX = 6
# Someone who was emailed this long ago could have used a link.
UNUSED_AFTER = dt.timedelta(days=1)


def new_token() -> str:
    """A secret for someone's personal links: 192 bits in 32 URL-safe characters."""
    return secrets.token_urlsafe(24)


class NameKeyField(SearchKeyField):
    """The `name_key` of a name in the same row."""

    def key_of(self, text: str) -> str:
        return name_key(text)


class RegistrationQuerySet(models.QuerySet["Registration"]):
    def active(self) -> "RegistrationQuerySet":
        """People who haven't canceled, whether or not they are approved."""
        return self.filter(canceled_at=None)

    def admitted(self) -> "RegistrationQuerySet":
        """People who are coming. Only they get links and the detailed schedule."""
        return self.active().filter(approval=Registration.Approval.APPROVED)

    def with_last_outcome(self) -> Any:
        """Annotate `last_outcome`: what became of the newest email that was sent or failed.

        That a server accepted an email says little: a bounce counts until the provider reports that
        a newer email was delivered, or until the address is corrected. A complaint counts until
        then, and more than a bounce.
        """
        state = OutgoingMail.State
        emails = OutgoingMail.objects.filter(registration=OuterRef("pk"))
        came_back = emails.filter(
            Q(state=state.COMPLAINED) | is_current_bounce(state.BOUNCED),
            created_at__gte=OuterRef("email_changed_at"),
        ).order_by("-state")
        ended = emails.filter(state__in=[state.SENT, state.FAILED]).order_by("-pk")
        outcomes = (Subquery(mails.values("state")[:1]) for mails in (came_back, ended))
        return self.annotate(last_outcome=Coalesce(*outcomes))

    def with_bounced_since(self) -> Any:
        """Annotate `bounced_since`: when an email first turned out to have no such address.

        None if there is none, as in `with_last_outcome`: the address was corrected, or a newer
        email was delivered. Soft bounces don't count.
        """
        hard = OutgoingMail.objects.filter(
            is_current_bounce(OutgoingMail.State.BOUNCED, OutgoingMail.State.FAILED),
            registration=OuterRef("pk"),
            is_hard_bounce=True,
            created_at__gte=OuterRef("email_changed_at"),
        )
        # An email that the mail server refused at once was never sent.
        hard = hard.annotate(since=Coalesce("sent_at", "created_at"))
        return self.annotate(bounced_since=Subquery(hard.order_by("since").values("since")[:1]))

    def unverified(self) -> "RegistrationQuerySet":
        """People who have used no link and attended nothing, and whom no organizer registered."""
        used = Seat.objects.filter(
            Q(opened_at__isnull=False) | Q(attended=True), registration=OuterRef("pk")
        )
        return self.filter(~Exists(used), verified_at=None)

    def unused(self, now: dt.datetime) -> "RegistrationQuerySet":
        """Unverified people who were emailed over a day ago."""
        emailed = OutgoingMail.objects.filter(
            registration=OuterRef("pk"),
            created_at__gte=OuterRef("email_changed_at"),
            sent_at__lt=now - UNUSED_AFTER,
        )
        return self.unverified().filter(Exists(emailed))

    def with_returning(self) -> Any:
        """Annotate `is_returning`: whether this name and address registered for a week before."""
        before = Registration.objects.active().filter(
            email_key=OuterRef("email_key"),
            name_key=OuterRef("name_key"),
            created_at__lt=OuterRef("created_at"),
        )
        return self.annotate(is_returning=Exists(before.exclude(event=OuterRef("event"))))

    def needing(self, kind: str) -> "RegistrationQuerySet":
        """People who asked for this kind of access need."""
        # Django has no JSON `contains` for SQLite. This searches the JSON text for the quoted kind.
        return self.filter(needs__icontains=f'"{kind}"')

    def having_failed_mail(self) -> "RegistrationQuerySet":
        """People to whom any email failed, came back or counts as spam. It narrows `unreachable`:
        the last outcome of all others needn't be looked up.
        """
        failed = OutgoingMail.objects.filter(state__in=UNREACHED_STATES, registration__isnull=False)
        return self.filter(pk__in=failed.values("registration"))

    def unreachable(self) -> "RegistrationQuerySet":
        """People whose newest email was rejected, or whose emails bounce or count as spam."""
        return self.with_last_outcome().filter(last_outcome__in=UNREACHED_STATES)


def is_current_bounce(*states: str) -> Q:
    """The condition for emails in such a state, if no newer one to the person was delivered."""
    delivered_later = OutgoingMail.objects.filter(
        registration=OuterRef("registration"),
        delivered_at__isnull=False,
        sent_at__gt=Coalesce(OuterRef("sent_at"), OuterRef("created_at")),
    )
    return Q(~Exists(delivered_later), state__in=states)


class Registration(Searchable):
    """A person who signed up for an event. The token opens their own page and join links.

    Several people may share a mailbox, such as a family. Their names tell them apart.
    """

    class Approval(models.TextChoices):
        """The organizers' decision. If the event doesn't require approval: always approved."""

        APPROVED = "approved", _("Approved")
        PENDING = "pending", _("Waiting for approval")
        DECLINED = "declined", _("Declined")

    event = models.ForeignKey(
        Event, on_delete=models.PROTECT, related_name="registrations", verbose_name=_("event")
    )
    name = models.CharField(
        _("name"),
        max_length=100,
        validators=[validate_plain_line, validate_named, validate_no_link],
    )
    email = models.EmailField(_("email"), max_length=EMAIL_LENGTH, validators=[validate_address])
    email_key = models.CharField(max_length=EMAIL_LENGTH, editable=False)
    name_key = NameKeyField("name")
    # Tells apart the people who share a mailbox, from 1 on.
    mailbox_number = models.PositiveSmallIntegerField(default=1, editable=False)
    # The address that Zoom knows them by: it lets each address in only once. Only the first person
    # at a mailbox has its address there, the others have one of ours.
    zoom_email = models.EmailField(max_length=EMAIL_LENGTH, editable=False)
    email_changed_at = models.DateTimeField(default=timezone.now, editable=False)
    organization = models.CharField(
        _("organization"), max_length=150, blank=True, validators=[validate_plain_line]
    )
    us_state = models.CharField(
        pgettext_lazy("of the USA", "state"), max_length=2, blank=True, choices=US_STATES
    )
    time_zone = models.CharField(_("time zone"), max_length=64, validators=[validate_time_zone])
    # Of their own page, emails and calendar.
    language = models.CharField(
        _("language"), max_length=10, choices=settings.LANGUAGES, default=settings.LANGUAGE_CODE
    )
    strategies = models.ManyToManyField(
        Track, blank=True, related_name="interested", verbose_name=_("strategies of interest")
    )
    # Values of `NEED_KINDS`.
    needs = models.JSONField(_("access needs"), default=list, blank=True)
    needs_other = models.CharField(
        _("another need"), max_length=200, blank=True, validators=[validate_plain_line]
    )
    wants_doors_email = models.BooleanField(
        _("email when sessions open"),
        default=False,
        help_text=_("They get one more email when each session is about to start."),
    )
    unsubscribed_at = models.DateTimeField(null=True, blank=True, editable=False)
    token = models.CharField(max_length=64, unique=True, default=new_token, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    # The browser that registered them. For half an hour it may correct the address.
    claim = models.CharField(max_length=64, blank=True, editable=False)
    # When we first knew that someone real is there: they used their page or their calendar, or a
    # signed-in organizer registered them.
    verified_at = models.DateTimeField(null=True, editable=False)
    canceled_at = models.DateTimeField(null=True, blank=True, editable=False)
    # Only an organizer can restore it then.
    canceled_by_organizer = models.BooleanField(default=False, editable=False)
    approval = models.CharField(
        _("approval"),
        max_length=10,
        choices=Approval.choices,
        default=Approval.APPROVED,
        editable=False,
    )
    decided_at = models.DateTimeField(null=True, blank=True, editable=False)
    # When the personal data was erased. The row stays, for the statistics.
    erased_at = models.DateTimeField(null=True, blank=True, editable=False)

    search_key = SearchKeyField("name", "email")
    organization_search_key = SearchKeyField("organization")

    sessions = models.ManyToManyField(Session, through="Seat", related_name="registrations")

    objects = RegistrationQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-pk"]
        verbose_name = _("registration")
        verbose_name_plural = _("registrations")
        permissions = [("view_sensitive_data", "Can see people's access needs and answers")]
        indexes = [
            models.Index(name="registrations_of_an_address", fields=["event", "email_key"]),
            search_index("registrations_search", "search_key", "organization_search_key"),
        ]
        constraints = [
            models.UniqueConstraint(
                name="one_active_registration_per_event_email_and_name",
                fields=["event", "email_key", "name_key"],
                condition=Q(canceled_at=None),
            ),
            models.UniqueConstraint(
                name="one_active_registration_per_event_email_and_number",
                fields=["event", "email_key", "mailbox_number"],
                condition=Q(canceled_at=None),
            ),
            models.CheckConstraint(
                name="registration_mailbox_number_in_range",
                condition=Q(mailbox_number__range=(1, PEOPLE_PER_MAILBOX)),
            ),
            models.CheckConstraint(
                name="registration_declined_is_decided_and_pending_is_not",
                condition=Q(approval="approved")
                | Q(approval="pending", decided_at__isnull=True)
                | Q(approval="declined", decided_at__isnull=False),
            ),
            models.CheckConstraint(
                name="registration_canceled_by_organizer_is_canceled",
                condition=Q(canceled_by_organizer=False) | Q(canceled_at__isnull=False),
            ),
            models.CheckConstraint(
                name="registration_erased_is_canceled_and_blank",
                condition=Q(erased_at=None)
                | Q(
                    canceled_at__isnull=False,
                    **dict.fromkeys(["name", "email", "organization", "us_state"], ""),
                    **dict.fromkeys(["search_key", "organization_search_key"], ""),
                    **dict.fromkeys(["name_key", "zoom_email"], ""),
                ),
            ),
        ]

    def __str__(self) -> str:
        return gettext("Erased") if self.erased_at else f"{self.name} <{self.email}>"

    def validate_constraints(self, exclude: Any = None) -> None:
        """Left to the database: no form has all the fields of any of them."""

    def get_absolute_url(self) -> str:
        return reverse("me", args=[self.token])

    @property
    def zone(self) -> zoneinfo.ZoneInfo:
        return known_zone(self.time_zone) or self.event.zone

    @property
    def need_kinds(self) -> list[NeedKind]:
        """The requested kinds of needs, in the order of the list."""
        return [kind for kind in NEED_KINDS if kind.value in self.needs]

    @property
    def need_summary(self) -> list[str]:
        """Short labels of all requested needs, such as `["ASL", "A chair by the door"]`."""
        other = [self.needs_other] if self.needs_other else []
        return [str(kind.short_label) for kind in self.need_kinds] + other

    @property
    def is_admitted(self) -> bool:
        """The same rule as `RegistrationQuerySet.admitted()`."""
        return self.canceled_at is None and self.approval == self.Approval.APPROVED

    @property
    def is_pending(self) -> bool:
        """Whether an organizer still has to approve or decline."""
        return self.canceled_at is None and self.approval == self.Approval.PENDING


class SeatQuerySet(models.QuerySet["Seat"]):
    def seated(self) -> "SeatQuerySet":
        return self.filter(state=Seat.State.SEATED)

    def admitted(self) -> "SeatQuerySet":
        """Seats of people who come; see `RegistrationQuerySet.admitted()`."""
        return self.filter(is_admitted_seat())

    def occupying(self) -> "SeatQuerySet":
        """Seats that count: of people who are approved, or may still be."""
        return self.filter(registration__canceled_at=None).exclude(
            registration__approval=Registration.Approval.DECLINED
        )

    def waitlist(self) -> "SeatQuerySet":
        """The waitlists, by session, in the order of promotion."""
        waiting = self.occupying().filter(state=Seat.State.WAITING)
        return waiting.order_by("session", "waiting_since", "pk")

    def promotable(self) -> "SeatQuerySet":
        """The waitlists, without people whose address seems not to exist and who used no link."""
        people = Registration.objects.unverified().with_bounced_since()
        bounced = people.filter(pk=OuterRef("registration"), bounced_since__isnull=False)
        return self.waitlist().exclude(Exists(bounced))

    def lost_to_bounce(self) -> "SeatQuerySet":
        """Spots of people whose address turned out not to exist after they got the spot.

        Not of people who are there anyway, nor spots that an organizer gave them afterwards.
        """
        people = Registration.objects.unverified().with_bounced_since()
        bounced = people.filter(
            pk=OuterRef("registration"), bounced_since__gt=OuterRef("seated_at")
        )
        return self.occupying().seated().filter(Exists(bounced))

    def had_spot(self) -> "SeatQuerySet":
        """See `Seat.had_spot`."""
        return self.filter(waiting_since__isnull=False).exclude(waiting_since=F("seated_at"))

    def with_idle_flags(self, now: dt.datetime) -> Any:
        """Annotate `has_bounced` and `is_unused`: whether the person may not exist."""
        states = (OutgoingMail.State.FAILED, OutgoingMail.State.BOUNCED)
        bounced = Registration.objects.with_last_outcome().filter(last_outcome__in=states)
        unused = Registration.objects.unused(now)
        return self.annotate(
            has_bounced=Exists(bounced.filter(pk=OuterRef("registration"))),
            is_unused=Exists(unused.filter(pk=OuterRef("registration"))),
        )


def is_admitted_seat(path: str = "") -> Q:
    """The condition of `SeatQuerySet.admitted`, for queries with a seat at this path."""
    conditions = {
        "state": Seat.State.SEATED,
        "registration__canceled_at": None,
        "registration__approval": Registration.Approval.APPROVED,
    }
    return Q(**{f"{path}{name}": value for name, value in conditions.items()})


class Seat(models.Model):
    """A registration's spot in a session, or on its waitlist.

    `notified_revision` is the last revision of the session that the person was notified of.
    """

    class State(models.TextChoices):
        SEATED = "seated", _("Has a spot")
        WAITING = "waiting", _("On the waitlist")

    registration = models.ForeignKey(Registration, on_delete=models.CASCADE, related_name="seats")
    session = models.ForeignKey(
        Session, on_delete=models.PROTECT, related_name="seats", verbose_name=_("session")
    )
    state = models.CharField(
        _("status"), max_length=10, choices=State.choices, default=State.SEATED
    )
    seated_at = models.DateTimeField(default=timezone.now, editable=False)
    # Who has waited longest is promoted first.
    waiting_since = models.DateTimeField(null=True, blank=True, editable=False)
    attended = models.BooleanField(
        _("attended"), default=False, help_text=_("Check this if the person was there.")
    )
    # When the join link was first fetched while it led to Zoom, maybe only by a mail scanner.
    link_fetched_at = models.DateTimeField(null=True, editable=False)
    # When the person first went from their join page to Zoom.
    opened_at = models.DateTimeField(null=True, editable=False)
    notified_revision = models.PositiveIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = SeatQuerySet.as_manager()

    class Meta:
        ordering = ["session__starts_at", "pk"]
        verbose_name = _("spot")
        verbose_name_plural = _("spots")
        constraints = [
            models.UniqueConstraint(
                name="one_seat_per_registration_and_session", fields=["registration", "session"]
            ),
            models.CheckConstraint(
                name="seat_has_waiting_since_iff_waiting",
                condition=Q(state="waiting", waiting_since__isnull=False)
                | Q(state="seated", waiting_since__isnull=True),
            ),
        ]
        indexes = [
            models.Index(
                name="waiting_lists",
                fields=["session", "waiting_since", "id"],
                condition=Q(state="waiting"),
            )
        ]

    def __str__(self) -> str:
        values = {"name": self.registration.name, "session": self.session.title}
        return gettext("%(name)s in %(session)s") % values

    @property
    def had_spot(self) -> bool:
        """Whether they had a spot, and were moved to the waitlist.

        For those who never had one, both times are the same.
        """
        return self.waiting_since is not None and self.waiting_since != self.seated_at


def join_url(token: str, session: Session) -> str:
    """The personal join link of a session. It redirects to the current Zoom link."""
    return absolute(reverse("join", args=[token, session.slug]))
