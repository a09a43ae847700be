"""The page that shows when personal data is erased, and the action that erases it now."""

from collections import Counter

from django.contrib import admin, messages
from django.contrib.admin import ModelAdmin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from events.admin.shared import counted, show_result
from registrations.admin.shared import confirmation_page, log_action, log_bulk_action, page_response
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
        title=_("When personal data is erased"),
        plans=erasure.erasure_plans(timezone.now()),
    )


@admin.action(description=gettext_lazy("Erase their personal data…"), permissions=["change"])
def erase(
    model_admin: ModelAdmin, request: HttpRequest, queryset: QuerySet[Registration]
) -> HttpResponse | None:
    chosen = list(queryset.filter(erased_at=None).select_related("event")[: AT_ONCE + 1])
    if not chosen:
        messages.warning(request, _("Their data is already erased."))
        return None
    if len(chosen) > AT_ONCE:
        messages.warning(request, _("Choose at most %(most)s people at once.") % {"most": AT_ONCE})
        return None
    title = counted(
        len(chosen),
        "Erase the personal data of %(count)s person?",
        "Erase the personal data of %(count)s people?",
    )
    if page := confirmation_page(model_admin, request, chosen, title):
        return page
    done = erasure.erase_all(registrations=chosen)
    # Read again: the log must not name them.
    rows = Registration.objects.filter(pk__in=[each.pk for each in done])
    log_action(request, rows, _("Erased."))
    text = counted(
        len(done),
        "Erased the personal data of %(count)s person.",
        "Erased the personal data of %(count)s people.",
    )
    for event_id, count in Counter(each.event_id for each in done).items():
        log = counted(
            count,
            "Erased the personal data of %(count)s person.",
            "Erased the personal data of %(count)s people.",
        )
        log_bulk_action(request, Registration, log, event_id)
    left = len(chosen) - len(done)
    show_result(request, len(done), text, left=left, reason=_("already erased."))
    return None
