"""The page that shows when personal data is erased, and the action that erases it now."""

from django.contrib import admin, messages
from django.contrib.admin import ModelAdmin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from events.admin.shared import show_result
from registrations.admin.shared import confirmation_page, log_action, log_bulk_action, page_response
from registrations.formatting import people
from registrations.models import Registration
from registrations.privacy import erasure

# Erasing one person takes a moment. The people of a past event are erased by a task.
AT_ONCE = 100


def retention_page(model_admin: ModelAdmin, request: HttpRequest) -> HttpResponse:
    """Show what will be erased automatically, and when."""
    return page_response(
        model_admin,
        request,
        "registration/retention.html",
        title="When personal data is erased",
        plans=erasure.erasure_plans(timezone.now()),
    )


@admin.action(description="Erase their personal data…", permissions=["change"])
def erase(
    model_admin: ModelAdmin, request: HttpRequest, queryset: QuerySet[Registration]
) -> HttpResponse | None:
    chosen = list(queryset.filter(erased_at=None).select_related("event")[: AT_ONCE + 1])
    if not chosen:
        messages.warning(request, "They are erased already.")
        return None
    if len(chosen) > AT_ONCE:
        messages.warning(request, f"Choose at most {AT_ONCE} people at once.")
        return None
    title = f"Erase the personal data of {people(len(chosen))}?"
    if page := confirmation_page(model_admin, request, chosen, title):
        return page
    done = erasure.erase_all(registrations=chosen)
    # Read again: the log must not name them.
    log_action(request, Registration.objects.filter(pk__in=[each.pk for each in done]), "Erased.")
    text = f"The personal data of {people(len(done))} is erased."
    log_bulk_action(request, Registration, f"Erased the personal data of {people(len(done))}.")
    left = len(chosen) - len(done)
    show_result(request, len(done), text, left=left, reason="erased already.")
    return None
