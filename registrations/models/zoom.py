"""Each seat as a registrant at Zoom, and who was in the meetings."""

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from events.models import Meeting, Session
from registrations.models.registration import Seat


class PersonalLinkQuerySet(models.QuerySet["PersonalLink"]):
    def issued(self) -> "PersonalLinkQuerySet":
        return self.filter(state=PersonalLink.State.ISSUED)

    def usable(self) -> "PersonalLinkQuerySet":
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
