"""What people can ask for to take part, and how far each request is."""

from typing import Any, NamedTuple

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from events.text.search import Searchable, SearchKeyField, search_index


class NeedKind(NamedTuple):
    value: str
    label: Any
    # For organizers' lists and the CSV export.
    short_label: Any


# To offer another kind of need, add a line. No migration is needed.
NEED_KINDS = [
    NeedKind("captions", _("Live captions"), _("captions")),
    NeedKind("asl", _("ASL interpretation"), _("ASL")),
    NeedKind("interpretation", _("Spanish interpretation"), _("interpretation")),
    NeedKind("dial-in", _("I'll call in by phone"), _("dial-in")),
]
# A need that someone describes in their own words.
OTHER_NEED = "other"


def need_choices() -> list[tuple[str, Any]]:
    """The kinds of needs that people choose from, for a form."""
    return [(kind.value, kind.label) for kind in NEED_KINDS]


def access_need_choices() -> list[tuple[str, Any]]:
    """All kinds of `AccessNeed`. Migrations name this function, not its values."""
    return [*need_choices(), (OTHER_NEED, _("Something else"))]


class AccessNeed(Searchable):
    """What someone needs to take part in a session: requested, arranged, confirmed to them."""

    class State(models.TextChoices):
        REQUESTED = "requested", _("Requested")
        ARRANGED = "arranged", _("Arranged")
        CONFIRMED = "confirmed", _("Confirmed to the person")

    seat = models.ForeignKey(
        "registrations.Seat", on_delete=models.CASCADE, related_name="access_needs"
    )
    kind = models.CharField(_("need"), max_length=20, choices=access_need_choices)
    text = models.CharField(_("in their words"), max_length=200, blank=True)
    state = models.CharField(
        _("status"), max_length=10, choices=State.choices, default=State.REQUESTED
    )
    note = models.CharField(
        _("note"),
        max_length=200,
        blank=True,
        help_text=_("Only organizers see it. For example, who interprets."),
    )
    requested_at = models.DateTimeField(default=timezone.now)
    arranged_at = models.DateTimeField(null=True, blank=True)
    confirmed_at = models.DateTimeField(null=True, blank=True)
    # The start of the session that it was arranged for. If the session moves, the interpreter
    # may not be free at the new time.
    arranged_for = models.DateTimeField(null=True, editable=False)
    search_key = SearchKeyField("text")
    note_search_key = SearchKeyField("note")

    class Meta:
        ordering = ["seat__session__starts_at", "kind", "pk"]
        verbose_name = _("access need")
        verbose_name_plural = _("access needs")
        indexes = [search_index("access_needs_search", "search_key", "note_search_key")]
        constraints = [
            models.UniqueConstraint(
                name="one_access_need_per_seat_and_kind", fields=["seat", "kind"]
            ),
            models.CheckConstraint(
                name="access_need_times_match_its_state",
                condition=Q(state="requested", arranged_at=None, confirmed_at=None)
                | Q(state="arranged", arranged_at__isnull=False, confirmed_at=None)
                | Q(state="confirmed", arranged_at__isnull=False, confirmed_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.text or self.get_kind_display()
