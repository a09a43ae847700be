"""Archiving an event that's over, and leaving archived ones out of lists and choosers."""

from collections.abc import Iterator
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin import ModelAdmin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from events import weeks
from events.admin.history.recording import HistoryAdmin
from events.models import Event


def archive(model_admin: HistoryAdmin, request: HttpRequest, event: Event) -> None:
    model_admin.remember(request, event)
    try:
        done = weeks.archive(event=event)
    except weeks.NotOver:
        messages.error(request, _("Nothing was done: it still has sessions ahead."))
        return
    if done:
        model_admin.log_change(request, event, _("Archived."))
    messages.success(request, _("“%(event)s” is archived.") % {"event": event})


def unarchive(model_admin: HistoryAdmin, request: HttpRequest, event: Event) -> None:
    model_admin.remember(request, event)
    if weeks.unarchive(event=event):
        model_admin.log_change(request, event, _("Taken out of the archive."))
    text = _("“%(event)s” is out of the archive. It's back in lists and menus.")
    messages.success(request, text % {"event": event})


class ArchivedFilter(admin.SimpleListFilter):
    """By default, the list of events has only those that aren't archived."""

    title = gettext_lazy("archive")
    parameter_name = "archived"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", _("Archived"))]

    def choices(self, changelist: Any) -> Iterator[Any]:
        active, *others = super().choices(changelist)
        yield {**active, "display": _("Not archived")}
        yield from others

    def queryset(self, request: HttpRequest, queryset: Any) -> QuerySet[Event]:
        if self.value() == "yes":
            return queryset.exclude(archived_at=None)
        return queryset.active()


class EventFilter(admin.RelatedFieldListFilter):
    """By event. Rows of archived ones are shown for a search, or if a link names the event."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: ModelAdmin) -> Any:
        ordering = self.field_admin_ordering(field, request, model_admin)
        active = {"archived_at": None}
        return field.get_choices(False, ordering=ordering, limit_choices_to=active)

    def has_output(self) -> bool:
        """Django doesn't use a filter that has only one choice."""
        return super().has_output() or Event.objects.exclude(archived_at=None).exists()

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any] | None:
        if self.used_parameters or request.GET.get("q"):
            return super().queryset(request, queryset)
        return queryset.exclude(**{f"{self.field_path}__archived_at__isnull": False})
