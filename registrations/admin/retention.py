"""The page that says when personal data is erased, and the action that erases it now."""

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

from registrations.admin import confirmation
from registrations.formatting import people
from registrations.models import Registration
from registrations.privacy import erasure
from registrations.privacy.erasure import erasure_plans

# Each one takes some moments; all of an event go by themselves.
AT_ONCE = 100


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
            "plans": erasure_plans(timezone.now()),
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
        if not confirmation.is_confirmed(request, chosen):
            title = f"Erase the personal data of {people(len(chosen))}?"
            return confirmation.confirmation_page(self, request, chosen, title=title)
        done = erasure.erase_all(registrations=chosen)
        gone = Registration.objects.filter(pk__in=[person.pk for person in done])
        LogEntry.objects.log_actions(request.user.pk, gone, CHANGE, "Erased.")  # type: ignore[arg-type]
        messages.success(request, f"The personal data of {people(len(done))} is erased.")
        return None
