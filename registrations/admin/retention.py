"""When people's data is erased by itself, and erasing someone's now."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path
from django.utils import timezone
from django.views.decorators.http import require_safe

from events.models import Event

from .. import own_data
from ..models import Registration
from ..wording import counted, moment, people
from . import asking

# Each one takes some moments; all of an event go by themselves.
AT_ONCE = 100
SOON = dt.timedelta(days=7)


@dataclass(frozen=True)
class Plan:
    """What becomes of an event's people, in words; `is_soon`: within a week, or overdue."""

    event: Event
    people: str
    ended: str
    when: str
    left: str
    is_soon: bool


def plans(now: dt.datetime) -> list[Plan]:
    """Of every event whose people are known, the next one to be erased first."""
    known = [event for event in own_data.counted_events() if event.people]
    never = dt.datetime.max.replace(tzinfo=dt.UTC)
    return [_plan(each, now) for each in sorted(known, key=lambda each: _at(each) or never)]


def _at(event: Any) -> dt.datetime | None:
    return own_data.erasing_at(event)


def _plan(event: Any, now: dt.datetime) -> Plan:
    at, zone = _at(event), event.zone
    days = (at - now).days if at else 0
    left = counted(days, "day", "days") if days > 0 else "less than a day"
    return Plan(
        event=event,
        people=people(event.people),
        ended=moment(event.last_ended_at, zone) if at else "",
        when=moment(at, zone) if at else "",
        left=left if at and at > now else "",
        is_soon=at is not None and at - SOON <= now,
    )


class RetentionMixin:
    """The page about it and the action, for the admin of registrations."""

    admin_site: Any
    opts: Any

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(require_safe(self.retention_view))
        return [
            path("retention/", view, name="registrations_registration_retention"),
            *super().get_urls(),  # type: ignore[misc]
        ]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nothing can be entered again for someone who was erased."""
        may_change: bool = super().has_change_permission(request, obj)  # type: ignore[misc]
        return may_change and not (obj and obj.erased_at)

    def retention_view(self, request: HttpRequest) -> HttpResponse:
        """What will be erased by itself, and when."""
        if not self.has_view_permission(request):  # type: ignore[attr-defined]
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "When personal data is erased",
            "plans": plans(timezone.now()),
        }
        template = "admin/registrations/registration/retention.html"
        return TemplateResponse(request, template, context)

    @admin.action(description="Erase their personal data…", permissions=["change"])
    def erase(self, request: HttpRequest, queryset: QuerySet[Registration]) -> HttpResponse | None:
        """Asked once more on a page of its own. Who pressed can be read under History."""
        chosen = list(queryset.filter(erased_at=None).select_related("event")[: AT_ONCE + 1])
        if not chosen:
            messages.warning(request, "They are erased already.")
            return None
        if len(chosen) > AT_ONCE:
            messages.warning(request, f"Choose at most {AT_ONCE} people at once.")
            return None
        if not asking.is_sure(request, chosen):
            title = f"Erase the personal data of {people(len(chosen))}?"
            return asking.ask(self, request, chosen, title=title)
        done = own_data.erase_all(registrations=chosen)
        gone = Registration.objects.filter(pk__in=[person.pk for person in done])
        LogEntry.objects.log_actions(request.user.pk, gone, CHANGE, "Erased.")  # type: ignore[arg-type]
        messages.success(request, f"The personal data of {people(len(done))} is erased.")
        return None
