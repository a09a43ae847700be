"""A person's calendar to subscribe to, by the secret in its address."""

import hashlib

from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import get_object_or_404
from django.utils.cache import get_conditional_response
from django.views.decorators.http import require_safe

from events.models import Session
from events.views import calendar_response
from registrations.models import Registration
from registrations.personal_calendar import feed_for


@require_safe
def feed(request: HttpRequest, token: str) -> HttpResponseBase:
    """All of someone's sessions, fetched again and again by the programs that show them.

    What has not changed since is answered by 304 (RFC 9110, 13.1.2).
    """
    people = Registration.objects.admitted().select_related("event")
    registration = get_object_or_404(people, token=token)
    seats = registration.seats.filter(session__status=Session.Status.PUBLISHED)
    calendar = feed_for(registration, seats.select_related("session__event", "session__meeting"))
    response = calendar_response(calendar, f"{registration.event.slug}.ics")
    response["ETag"] = etag = f'"{hashlib.sha256(calendar).hexdigest()}"'
    # Not no-store, as on the pages: what may not be kept cannot be asked for again by its ETag.
    # Only the program that shows it keeps it, and asks each time whether it still holds.
    response["Cache-Control"] = "private, no-cache"
    return get_conditional_response(request, etag=etag, response=response) or response
