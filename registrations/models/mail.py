"""Outgoing email: the outbox, announcements, and organizers' own texts."""

import datetime as dt
from typing import TypeAlias

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from events.clock import Now
from events.models import Event, Revision, Session, Track
from registrations import mail_kinds
from registrations.mail_kinds import MailKind, MailPriority
from registrations.us_states import US_STATES


class Announcement(models.Model):
    """An organizer's email to many of an event's people; see mail/announcements.py."""

    class Audience(models.TextChoices):
        ALL = "all", _("Everyone who's registered")
        SESSION = "session", _("People in one session")
        TRACK = "track", _("People interested in one strategy")
        WAITING = "waiting", _("People on a waitlist")
        NOT_ATTENDED = "not attended", _("People who haven't attended yet")

        def label_for(self, event: Event) -> str:
            """In the event's own words."""
            if self != self.TRACK:
                return str(self.label)
            return event.worded(str(self.label), gettext("People with this interest (%(word)s)"))

    class State(models.TextChoices):
        DRAFT = "draft", _("Draft")
        SCHEDULED = "scheduled", _("Scheduled")
        SENDING = "sending", _("Started")
        PAUSED = "paused", _("Paused")
        STOPPED = "stopped", _("Stopped")

    event = models.ForeignKey(
        Event, on_delete=models.CASCADE, related_name="announcements", verbose_name=_("event")
    )
    subject = models.CharField(_("subject"), max_length=150)
    # The form explains how to format it.
    body = models.TextField(_("text"))
    audience = models.CharField(
        _("recipients"), max_length=20, choices=Audience.choices, default=Audience.ALL
    )
    session = models.ForeignKey(
        Session,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        verbose_name=_("session"),
        help_text=_("For people in one session or on one session's waitlist."),
    )
    track = models.ForeignKey(
        Track, on_delete=models.PROTECT, null=True, blank=True, verbose_name=_("strategy")
    )
    organization = models.CharField(
        _("organization"),
        max_length=150,
        blank=True,
        help_text=_("Only people from this organization. If empty: everyone."),
    )
    us_state = models.CharField(
        pgettext_lazy("of the USA", "state"),
        max_length=2,
        blank=True,
        choices=US_STATES,
        help_text=_("Only people in this state."),
    )
    state = models.CharField(
        _("progress"), max_length=10, choices=State.choices, default=State.DRAFT, editable=False
    )
    send_at = models.DateTimeField(null=True, blank=True, editable=False)
    started_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-created_at", "-pk"]
        verbose_name = _("announcement")
        verbose_name_plural = _("announcements")
        constraints = [
            models.CheckConstraint(
                name="announcement_audience_is_named",
                condition=(~Q(audience="session") | Q(session__isnull=False))
                & (~Q(audience="track") | Q(track__isnull=False)),
                violation_error_message=_("Choose the session or the strategy it's for."),
            ),
            models.CheckConstraint(
                name="announcement_scheduled_has_a_moment",
                condition=~Q(state="scheduled") | Q(send_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.subject


STORED_KINDS = [kind.value for kind in MailKind if kind.spec.is_stored]
TAKEN_STATES = ["sent", "bounced", "complained"]


class OutgoingMailQuerySet(models.QuerySet["OutgoingMail"]):
    def due(self, now: dt.datetime | Now) -> "OutgoingMailQuerySet":
        return self.filter(state=OutgoingMail.State.WAITING, due_at__lte=now)


class OutgoingMail(models.Model):
    """A queued or sent email. The rows are the queue, see outbox/mail_queue.py."""

    class State(models.TextChoices):
        WAITING = "waiting", _("Waiting")
        PAUSED = "paused", _("Paused")
        SENT = "sent", _("Sent")
        FAILED = "failed", _("Failed")
        BOUNCED = "bounced", _("Came back")
        COMPLAINED = "complained", _("Marked as spam")
        DROPPED = "dropped", _("No longer needed")

    Kind: TypeAlias = MailKind
    Priority: TypeAlias = MailPriority

    key = models.CharField(max_length=200)
    kind = models.CharField(_("kind"), max_length=20, choices=mail_kinds.choices)
    priority = models.PositiveSmallIntegerField(choices=Priority.choices, default=Priority.URGENT)
    registration = models.ForeignKey(
        "registrations.Registration",
        on_delete=models.CASCADE,
        null=True,
        related_name="mails",
        verbose_name=_("registration"),
    )
    # Instead of a registration, until it's sent or has expired; see mail/stored_messages.py.
    message = models.JSONField(null=True, editable=False)
    # Most emails have none of these three, so their indexes in Meta have a condition.
    session = models.ForeignKey(
        Session,
        on_delete=models.SET_NULL,
        null=True,
        db_index=False,
        related_name="+",
        verbose_name=_("session"),
    )
    old_revision = models.ForeignKey(
        Revision, on_delete=models.SET_NULL, null=True, db_index=False, related_name="+"
    )
    announcement = models.ForeignKey(
        Announcement,
        on_delete=models.PROTECT,
        null=True,
        db_index=False,
        related_name="mails",
        verbose_name=_("announcement"),
    )
    state = models.CharField(
        _("status"), max_length=10, choices=State.choices, default=State.WAITING
    )
    attempts = models.PositiveIntegerField(_("tries"), default=0)
    # A claim moves it on, and so does a failure.
    due_at = models.DateTimeField(_("next try"), default=Now)
    # When it was claimed by the attempt that sent it, or that may still have sent it.
    claimed_at = models.DateTimeField(null=True, editable=False)
    last_error = models.TextField(_("last error"), blank=True)
    provider_id = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(_("queued"), default=timezone.now)
    sent_at = models.DateTimeField(_("sent"), null=True, blank=True)
    # Bounced because the address doesn't exist, not because a mailbox is full or a server is down.
    is_hard_bounce = models.BooleanField(default=False, editable=False)
    # When a provider reported that the mailbox has it. Over SMTP, no one does.
    delivered_at = models.DateTimeField(null=True, editable=False)

    objects = OutgoingMailQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-pk"]
        verbose_name = _("outgoing email")
        verbose_name_plural = _("outgoing emails")
        constraints = [
            models.UniqueConstraint(name="one_mail_per_key", fields=["key"]),
            models.CheckConstraint(
                name="mail_sent_at_iff_a_server_took_it",
                condition=Q(state__in=TAKEN_STATES, sent_at__isnull=False)
                | (~Q(state__in=TAKEN_STATES) & Q(sent_at__isnull=True)),
            ),
            models.CheckConstraint(
                name="mail_of_an_announcement_names_it",
                condition=Q(kind="announcement", announcement__isnull=False)
                | (~Q(kind="announcement") & Q(announcement__isnull=True)),
            ),
            models.CheckConstraint(
                name="mail_has_a_registration_or_a_message",
                condition=Q(kind__in=STORED_KINDS, registration__isnull=True)
                | (~Q(kind__in=STORED_KINDS) & Q(registration__isnull=False, message__isnull=True)),
            ),
        ]
        # An update writes to all indexes of a row, so those that few rows need have a condition.
        indexes = [
            models.Index(name=name, fields=fields, condition=condition)
            for name, fields, condition in [
                ("mails_of_session", ["session"], Q(session__isnull=False)),
                ("mails_of_old_revision", ["old_revision"], Q(old_revision__isnull=False)),
                ("mails_of_announcement", ["announcement"], Q(announcement__isnull=False)),
                ("mails_in_turn", ["priority", "attempts", "due_at", "id"], Q(state="waiting")),
                ("mails_with_a_message", ["id"], Q(message__isnull=False)),
                ("delivered_mails", ["registration", "sent_at"], Q(delivered_at__isnull=False)),
                ("mails_of_a_provider", ["provider_id"], ~Q(provider_id="")),
            ]
        ]

    def __str__(self) -> str:
        values = {"kind": self.get_kind_display(), "recipient": self.recipient}
        return gettext("%(kind)s to %(recipient)s") % values

    @property
    def recipient(self) -> str:
        if self.registration:
            return self.registration.email
        return self.message["recipient"] if self.message else gettext("a deleted address")


UNREACHED_STATES = (
    OutgoingMail.State.FAILED,
    OutgoingMail.State.BOUNCED,
    OutgoingMail.State.COMPLAINED,
)


class MailText(models.Model):
    """An organizer's own subject and opening for one kind of email."""

    event = models.ForeignKey(
        Event, on_delete=models.CASCADE, related_name="mail_texts", verbose_name=_("event")
    )
    kind = models.CharField(_("kind"), max_length=20, choices=mail_kinds.choices_with_texts)
    subject = models.CharField(_("subject"), max_length=150, blank=True)
    opening = models.TextField(_("opening"), blank=True)

    class Meta:
        ordering = ["event", "kind"]
        verbose_name = _("email text")
        verbose_name_plural = _("email texts")
        constraints = [
            models.UniqueConstraint(name="one_text_per_event_and_kind", fields=["event", "kind"])
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.event}"


class MailThrottle(models.Model):
    """When the next email may be sent under MAIL_PER_MINUTE: one row, shared by all workers."""

    free_at = models.DateTimeField(default=Now)

    def __str__(self) -> str:
        return f"free at {self.free_at}"


class MailboxUse(models.Model):
    """Emails that a visitor's request caused to a mailbox; see outbox/mailbox_limit.py."""

    # A hash with the secret key, not the address.
    mailbox = models.CharField(max_length=64)
    at = models.DateTimeField()
    emails = models.PositiveSmallIntegerField()

    class Meta:
        indexes = [models.Index(name="uses_of_a_mailbox", fields=["mailbox", "at"])]

    def __str__(self) -> str:
        return f"{self.emails} emails at {self.at}"


class Heartbeat(models.Model):
    """When a background process last reported that it's alive."""

    class Process(models.TextChoices):
        WORKER = "worker", _("Worker")
        BEAT = "beat", _("Scheduler")

    process = models.CharField(max_length=10, primary_key=True, choices=Process.choices)
    seen_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.get_process_display()}, {self.seen_at}"
