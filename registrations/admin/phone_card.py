"""The card for someone who joins by phone, for organizers to print: it comes by mail."""

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from events.admin.shared import by_id
from registrations import joining
from registrations.models import Registration


def phone_card(model_admin: ModelAdmin, request: HttpRequest, object_id: str) -> HttpResponse:
    """The same card as on the person's own page, in their language, without any secret link."""
    people = Registration.objects.filter(erased_at=None).select_related("event")
    person = by_id(people, pk=object_id)
    if person is None:
        raise Http404
    # It lets people into the meetings, as the link to someone's own page does.
    if not model_admin.has_change_permission(request, person):
        raise PermissionDenied
    if not person.is_admitted:
        messages.warning(request, _("There's no card: this person isn't coming."))
        return redirect("admin:registrations_registration_change", person.pk)
    context = {
        "registration": person,
        "event": person.event,
        "zone": person.zone,
        "sessions": joining.sessions_ahead(person, timezone.now()),
        "is_for_organizers": True,
    }
    translation.activate(person.language)
    return render(request, "registrations/phone_card.html", context)
