"""Zoom meetings, the health of the Zoom account, and Zoom's webhook reports."""

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from events.models.session import Session
from events.phone.dial_in import DialIn, is_dialable, with_urls
from events.text.invitations import validate_join_url


class MeetingQuerySet(models.QuerySet["Meeting"]):
    def at_zoom(self) -> "MeetingQuerySet":
        """Meetings that we created at Zoom, and that we believe still exist."""
        return self.filter(state=Meeting.State.MADE)


class Meeting(models.Model):
    """A session's Zoom meeting: pasted by organizers, or created by `events.zoom.sync`."""

    class State(models.TextChoices):
        PASTED = "pasted", _("Pasted by an organizer")
        WANTED = "wanted", _("Not created yet")
        MADE = "made", _("Created")
        # From before our call until its answer: if that is lost, the meeting may still exist.
        DELETING = "deleting", _("Being deleted in Zoom")
        GONE = "gone", _("Someone deleted this meeting in Zoom")

    # Without a session, it will be deleted at Zoom and then here.
    session = models.OneToOneField(
        Session, on_delete=models.SET_NULL, null=True, related_name="meeting"
    )
    join_url = models.URLField(
        _("Zoom link"),
        max_length=500,
        blank=True,
        validators=[validate_join_url],
        help_text=_(
            "Paste the invite link from Zoom, such as https://zoom.us/j/12345678901?pwd=..., or "
            "Zoom's whole invitation, and we'll fill in the rest. You can change it at any time: "
            "the links in our emails lead to the new one. The ID, passcode and numbers below are "
            "in the emails, so if you change them, people get another email."
        ),
    )
    meeting_id = models.CharField(
        _("meeting ID"),
        max_length=40,
        blank=True,
        help_text=_("For people who type it in or call in by phone, such as 123 4567 8901."),
    )
    passcode = models.CharField(_("passcode"), max_length=40, blank=True)
    phone_passcode = models.CharField(
        _("passcode for phones"),
        max_length=10,
        blank=True,
        validators=[
            RegexValidator(
                r"\A[0-9]+\Z", _("Enter digits only: callers key this in on their phone.")
            )
        ],
        help_text=_(
            "Only if the passcode has letters, which a phone can't dial. This one is all numbers. "
            "You'll find it in Zoom's invitation, next to the phone numbers."
        ),
    )
    dial_in = models.TextField(
        _("dial-in numbers"),
        blank=True,
        help_text=_(
            "One phone number per line, such as +1 669 900 6833 (San Jose). You can paste them "
            "from Zoom's invitation."
        ),
    )
    state = models.CharField(
        _("Zoom meeting"),
        max_length=10,
        choices=State.choices,
        default=State.PASTED,
        editable=False,
    )
    zoom_id = models.BigIntegerField(null=True, unique=True, editable=False)
    # What Zoom was last sent (`sync.spec` and captions): Zoom is updated only if it differs.
    synced_spec = models.JSONField(null=True, editable=False)
    # Whether synced_spec was sent again because the meeting at Zoom differed from it.
    was_resent = models.BooleanField(default=False, editable=False)
    # Text for organizers: Zoom's own message if there was one.
    problem = models.TextField(blank=True, editable=False)
    # Set while the outcome of a call is unknown: the next attempt first reads what is at Zoom.
    call_started_at = models.DateTimeField(null=True, editable=False)
    attempts = models.PositiveIntegerField(default=0, editable=False)
    due_at = models.DateTimeField(default=timezone.now, editable=False)
    checked_at = models.DateTimeField(null=True, editable=False)
    started_at = models.DateTimeField("started", null=True, editable=False)
    ended_at = models.DateTimeField("ended", null=True, editable=False)
    # When Zoom's list of participants was last read.
    attendance_read_at = models.DateTimeField(null=True, editable=False)

    objects = MeetingQuerySet.as_manager()

    class Meta:
        verbose_name = _("Zoom meeting")
        verbose_name_plural = _("Zoom meetings")
        constraints = [
            models.CheckConstraint(
                name="meeting_at_zoom_has_its_id",
                condition=~Q(state__in=["made", "deleting"]) | Q(zoom_id__isnull=False),
            )
        ]

    def __str__(self) -> str:
        return gettext("Zoom meeting for “%(session)s”") % {"session": self.session}

    @property
    def keyed_passcode(self) -> str:
        """The passcode in digits, for the phone; "" if there is none, or only one with letters."""
        if self.phone_passcode:
            return self.phone_passcode
        return self.passcode if is_dialable(self.passcode) else ""

    @property
    def lacks_keyed_passcode(self) -> bool:
        """Whether people who call in need a passcode that they can't key in."""
        return bool(self.passcode and self.dial_in and not self.keyed_passcode)

    def dial_in_numbers(self) -> list[DialIn]:
        """None until a meeting that is to be created has an ID to key in."""
        if self.state == self.State.WANTED and not self.meeting_id:
            return []
        return list(with_urls(self.dial_in, self.meeting_id, self.keyed_passcode))


class ZoomAccount(models.Model):
    """Whether calls to Zoom work. A single row, written by `events.zoom.sync`.

    Until `resumes_at`, no calls are made: Zoom is unavailable, or rejects our credentials.
    """

    problem = models.TextField(blank=True)
    problem_since = models.DateTimeField(null=True)
    failures = models.PositiveIntegerField(default=0)
    resumes_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.problem or "Zoom answers"


class ZoomReport(models.Model):
    """A webhook report from Zoom, to be applied by a worker. A repeated report has the same key."""

    key = models.CharField(max_length=64, unique=True)
    kind = models.CharField(max_length=80)
    zoom_id = models.BigIntegerField(null=True)
    payload = models.JSONField()
    received_at = models.DateTimeField(default=timezone.now)
    done_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["pk"]
        indexes = [
            models.Index(name="zoom_reports_to_do", fields=["id"], condition=Q(done_at=None))
        ]

    def __str__(self) -> str:
        return f"{self.kind} of meeting {self.zoom_id}"
