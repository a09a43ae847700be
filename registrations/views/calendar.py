"""A person's calendar to subscribe to, with the secret token in its address."""

import hashlib

from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import get_object_or_404
from django.utils import translation
from django.utils.cache import get_conditional_response
from django.views.decorators.http import require_safe

from events.models import Session
from events.views import calendar_response
from registrations import joining
from registrations.models import Registration
from registrations.personal_calendar import feed_for


@require_safe
def feed(request: HttpRequest, token: str) -> HttpResponseBase:
    """All of the person's sessions, or a 304 if nothing has changed (RFC 9110, 13.1.2)."""
    registrations = Registration.objects.admitted().select_related("event")
    registration = get_object_or_404(registrations, token=token)
    joining.record_use(registration)
    translation.activate(registration.language)
    seats = registration.seats.filter(session__status=Session.Status.PUBLISHED)
    calendar = feed_for(registration, seats.select_related("session__event", "session__meeting"))
    response = calendar_response(calendar, f"{registration.event.slug}.ics")
    response["ETag"] = etag = f'"{hashlib.sha256(calendar).hexdigest()}"'
    # Not no-store, as on the pages: a program that may not keep the file can't send its ETag.
    # With this only the reader's own program keeps it, and asks each time whether it is current.
    response["Cache-Control"] = "private, no-cache"
    return get_conditional_response(request, etag=etag, response=response) or response
