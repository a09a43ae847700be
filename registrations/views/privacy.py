"""What is held about a person, for themselves: to fetch, and to erase."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_http_methods, require_safe

from registrations.models import Registration, RegistrationQuerySet
from registrations.privacy import erasure, export

FORMAT = {"indent": 2, "ensure_ascii": False}


def known() -> RegistrationQuerySet:
    """Those who may see what is held: also who waits for the organizers' yes, or has canceled."""
    declined = Registration.Approval.DECLINED
    people = Registration.objects.filter(erased_at=None).exclude(approval=declined)
    return people.select_related("event")


@require_safe
def my_data(request: HttpRequest, token: str) -> HttpResponse:
    """Everything held, as a file."""
    registration = get_object_or_404(known(), token=token)
    response = JsonResponse(export.personal_data(registration), json_dumps_params=FORMAT)
    name = f"{registration.event.slug}-my-data.json"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


@require_http_methods(["GET", "HEAD", "POST"])
def erase(request: HttpRequest, token: str) -> HttpResponse:
    """Say what erasing does, and do it. Once more, or by a link that has ended: nothing is left."""
    if request.method != "POST":
        registration = get_object_or_404(known(), token=token)
        context = {"registration": registration, "event": registration.event}
        return render(request, "registrations/erase.html", context)
    found = known().filter(token=token).first()
    if found is None or not erasure.erase(registration=found):
        return render(request, "registrations/erased.html", status=404)
    return render(request, "registrations/erased.html", {"event": found.event})
