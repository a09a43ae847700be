"""The page after registering.

It only repeats what was sent, in a signed cookie of the visitor's own: whether the address was
registered before is only for its owner to know.
"""

from collections.abc import Collection, Mapping
from typing import Any

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from events.models import Event, Session
from events.timezones import known_zone

COOKIE = "registered"
# So long the page can be opened again. Someone else may use the computer after that.
SHOWN_SECONDS = 30 * 60


def redirect_there(
    event: Event, sent: Mapping[str, Any], full: Collection[Session]
) -> HttpResponse:
    """Redirect to the page, so that loading it again doesn't register again."""
    shown = {
        "event": event.pk,
        "name": sent["name"],
        "email": sent["email"],
        "zone": sent["time_zone"],
        "sessions": [session.pk for session in sent["sessions"]],
        "full": [session.pk for session in sent["sessions"] if session in full],
    }
    path = reverse("registered", args=[event.slug])
    response = redirect(path)
    response.set_cookie(
        COOKIE,
        signing.dumps(shown, salt=COOKIE, compress=True),
        max_age=SHOWN_SECONDS,
        path=path,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )
    return response


@never_cache
@require_safe
def registered(request: HttpRequest, event_slug: str) -> HttpResponse:
    event = get_object_or_404(Event.objects.published(), slug=event_slug)
    try:
        cookie = request.COOKIES.get(COOKIE, "")
        sent = signing.loads(cookie, salt=COOKIE, max_age=SHOWN_SECONDS)
    except signing.BadSignature:
        sent = {}
    if sent.get("event") != event.pk:
        return redirect("register", event.slug)
    sessions = event.sessions.published().select_related("event").filter(pk__in=sent["sessions"])
    context = {
        "event": event,
        "zone": known_zone(sent["zone"]) or event.zone,
        "name": sent["name"],
        "email": sent["email"],
        "sessions": [(session, session.pk in sent["full"]) for session in sessions],
    }
    response = render(request, "registrations/registered.html", context)
    response["Referrer-Policy"] = "no-referrer"
    return response
