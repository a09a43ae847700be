"""Zoom meetings, how we stand with the Zoom account, and what Zoom reported."""

import re
from typing import NamedTuple

from django.core.validators import (
    URLValidator,
)
from django.db import models
from django.db.models import Q
from django.utils import timezone

from events.models.session import Session

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
    # What Zoom was last told, see `sync.spec`: an update is made only when it differs.
    synced_spec = models.JSONField(null=True, editable=False)
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

    @property
    def is_gone(self) -> bool:
        """Whether someone deleted it at Zoom."""
        return self.state == self.State.GONE

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
