"""Outgoing email: the outbox, announcements, and organizers' own texts."""

import datetime as dt
from typing import TypeAlias

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from events.models import Event, Revision, Session, Track
from registrations import mail_kinds
from registrations.mail_kinds import MailKind, MailPriority
from registrations.us_states import US_STATES


class Announcement(models.Model):
    """An organizer's email to many of an event's people; see mail/announcements.py."""

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


STORED_KINDS = [kind.value for kind in MailKind if kind.spec.is_stored]
TAKEN_STATES = ["sent", "bounced", "complained"]


class OutgoingMailQuerySet(models.QuerySet["OutgoingMail"]):
    def due(self, now: dt.datetime | Now) -> "OutgoingMailQuerySet":
        return self.filter(state=OutgoingMail.State.WAITING, due_at__lte=now)


class OutgoingMail(models.Model):
    """A queued or sent email. The rows are the queue, see outbox/mail_queue.py."""

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        PAUSED = "paused", "Paused"
        SENT = "sent", "Sent"
        FAILED = "failed", "Failed"
        BOUNCED = "bounced", "Came back"
        COMPLAINED = "complained", "Reported as spam"
        DROPPED = "dropped", "No longer needed"

    Kind: TypeAlias = MailKind
    Priority: TypeAlias = MailPriority

    key = models.CharField(max_length=200)
    kind = models.CharField(max_length=20, choices=mail_kinds.choices)
    priority = models.PositiveSmallIntegerField(choices=Priority.choices, default=Priority.AT_ONCE)
    registration = models.ForeignKey(
        "registrations.Registration", on_delete=models.CASCADE, null=True, related_name="mails"
    )
    # Instead of a registration, until it's sent or has expired; see mail/stored_messages.py.
    message = models.JSONField(null=True, editable=False)
    # Most emails have none of these three, so their indexes in Meta have a condition.
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
        "next attempt", default=Now, help_text="A claim moves it on; so does a failure."
    )
    # When it was claimed by the attempt that sent it, or that may still have sent it.
    claimed_at = models.DateTimeField(null=True, editable=False)
    last_error = models.TextField(blank=True)
    provider_id = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField("queued", default=timezone.now)
    sent_at = models.DateTimeField("sent", null=True, blank=True)
    # Bounced because the address doesn't exist, not because a mailbox is full or a server is down.
    is_hard_bounce = models.BooleanField(default=False, editable=False)
    # When a provider reported that the mailbox has it. Over SMTP, no one does.
    delivered_at = models.DateTimeField(null=True, editable=False)

    objects = OutgoingMailQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-pk"]
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
                ("mails_of_was", ["was"], Q(was__isnull=False)),
                ("mails_of_announcement", ["announcement"], Q(announcement__isnull=False)),
                ("mails_in_turn", ["priority", "attempts", "due_at", "id"], Q(state="waiting")),
                ("mails_with_a_message", ["id"], Q(message__isnull=False)),
                ("delivered_mails", ["registration", "sent_at"], Q(delivered_at__isnull=False)),
                ("mails_of_a_provider", ["provider_id"], ~Q(provider_id="")),
            ]
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} to {self.recipient}"

    @property
    def recipient(self) -> str:
        if self.registration:
            return self.registration.email
        return self.message["recipient"] if self.message else "a deleted address"


UNREACHED_STATES = (
    OutgoingMail.State.FAILED,
    OutgoingMail.State.BOUNCED,
    OutgoingMail.State.COMPLAINED,
)


class MailText(models.Model):
    """An organizer's own subject and opening for one kind of email."""

    event = models.ForeignKey(Event, on_delete=models.CASCADE, related_name="mail_texts")
    kind = models.CharField(max_length=20, choices=mail_kinds.choices_with_texts)
    subject = models.CharField(max_length=150, blank=True)
    opening = models.TextField("opening words", blank=True)

    class Meta:
        ordering = ["event", "kind"]
        verbose_name = "mail text"
        constraints = [
            models.UniqueConstraint(name="one_text_per_event_and_kind", fields=["event", "kind"])
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} of {self.event}"


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
        WORKER = "worker", "A worker"
        BEAT = "beat", "The beat"

    process = models.CharField(max_length=10, primary_key=True, choices=Process.choices)
    seen_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.get_process_display()}, {self.seen_at}"
