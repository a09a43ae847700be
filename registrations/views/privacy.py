"""A person's data: downloading and erasing it."""

import logging

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import translation
from django.views.decorators.http import require_http_methods, require_safe

from registrations.models import Registration, RegistrationQuerySet
from registrations.privacy import erasure, export

logger = logging.getLogger(__name__)


def with_data_access() -> RegistrationQuerySet:
    """People who may see and erase their data: also those who are pending or have canceled."""
    declined = Registration.Approval.DECLINED
    registrations = Registration.objects.filter(erased_at=None).exclude(approval=declined)
    return registrations.select_related("event")


@require_safe
def my_data(request: HttpRequest, token: str) -> HttpResponse:
    """All data about the person, as a file."""
    registration = get_object_or_404(with_data_access(), token=token)
    translation.activate(registration.language)
    data = export.personal_data(registration)
    response = JsonResponse(data, json_dumps_params={"indent": 2, "ensure_ascii": False})
    name = f"{registration.event.slug}-my-data.json"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


@require_http_methods(["GET", "HEAD", "POST"])
def erase(request: HttpRequest, token: str) -> HttpResponse:
    """Explain what erasing does, and do it. A second POST, or an old link, finds nothing left."""
    if request.method != "POST":
        registration = get_object_or_404(with_data_access(), token=token)
        translation.activate(registration.language)
        context = {
            "registration": registration,
            "event": registration.event,
            "language_url": reverse("switch_language", args=[token]),
        }
        return render(request, "registrations/erase.html", context)
    found = with_data_access().filter(token=token).first()
    if found:
        translation.activate(found.language)
    if found is None or not erasure.erase(registration=found):
        return render(request, "registrations/erased.html", status=404)
    logger.info("A participant erased their registration for %s.", found.event.slug)
    return render(request, "registrations/erased.html", {"event": found.event})
