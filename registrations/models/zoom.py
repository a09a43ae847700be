"""Personal Zoom links, and who attended the meetings."""

from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from events.models import Meeting, Session
from events.text.search import Searchable, SearchKeyField, search_index
from registrations.models.registration import Seat


class PersonalLinkQuerySet(models.QuerySet["PersonalLink"]):
    def issued(self) -> "PersonalLinkQuerySet":
        return self.filter(state=PersonalLink.State.ISSUED)

    def usable(self) -> "PersonalLinkQuerySet":
        """Links that work: for the session's current meeting and the person's current address."""
        return self.issued().filter(
            zoom_id=F("meeting__zoom_id"),
            meeting__state=Meeting.State.MADE,
            email=F("seat__registration__zoom_email"),
        )


class PersonalLink(models.Model):
    """A seat's registrant at Zoom, with its own link to the meeting; see `zoom.personal_links`.

    `zoom_id` and `email` are those it was registered with: when the meeting or the address
    changes, the seat needs a new one. A link without a seat is revoked at Zoom, then deleted.
    """

    class State(models.TextChoices):
        WANTED = "wanted", _("Not issued yet")
        ISSUED = "issued", _("Issued")
        REFUSED = "refused", _("Refused by Zoom")

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
    # Refused because this person hosts the meeting: they get in by signing in to Zoom.
    is_host = models.BooleanField(default=False)
    # When a call to register it began whose answer isn't recorded yet.
    call_started_at = models.DateTimeField(null=True)
    # When a worker may next claim it.
    due_at = models.DateTimeField(default=timezone.now)
    issued_at = models.DateTimeField(null=True)

    objects = PersonalLinkQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="personal_link_issued_has_its_address",
                condition=Q(state="issued", issued_at__isnull=False) & ~Q(join_url="")
                | ~Q(state="issued"),
            )
        ]
        indexes = [
            models.Index(
                name="personal_links_to_do", fields=["due_at"], condition=Q(state="wanted")
            )
        ]

    def __str__(self) -> str:
        return f"Link of {self.email} to meeting {self.zoom_id}"


class Attendance(Searchable):
    """Someone's stay in a session's meeting, from joining to leaving, as reported by Zoom.

    `instance_uuid` is Zoom's ID of the meeting's instance, `participant_id` of the stay in it. If
    it has no seat, an organizer can say who it was.
    """

    session = models.ForeignKey(
        Session, on_delete=models.CASCADE, related_name="attendances", verbose_name=_("session")
    )
    seat = models.ForeignKey(
        Seat, on_delete=models.SET_NULL, null=True, blank=True, related_name="attendances"
    )
    instance_uuid = models.CharField(max_length=100)
    participant_id = models.CharField(max_length=100)
    registrant_id = models.CharField(max_length=100, blank=True)
    name = models.CharField(max_length=200, blank=True)
    email = models.CharField(_("email"), max_length=254, blank=True)
    joined_at = models.DateTimeField(null=True)
    left_at = models.DateTimeField(null=True)
    search_key = SearchKeyField("name", "email")

    class Meta:
        ordering = ["joined_at", "pk"]
        verbose_name = _("attendance entry")
        verbose_name_plural = _("attendance")
        indexes = [search_index("attendances_search", "search_key")]
        constraints = [
            models.UniqueConstraint(
                name="one_attendance_per_presence", fields=["instance_uuid", "participant_id"]
            )
        ]

    def __str__(self) -> str:
        values = {"name": self.name or gettext("Someone"), "session": self.session}
        return gettext("%(name)s in %(session)s") % values
