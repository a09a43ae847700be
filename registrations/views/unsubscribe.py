"""Stopping announcements with one click."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from registrations.mail import unsubscribe as announcements_choice


@csrf_exempt
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def unsubscribe(request: HttpRequest, signed: str) -> HttpResponse:
    """Stop announcements, or take that back. A POST without cookies will do (RFC 8058)."""
    registration = announcements_choice.registration_for(signed)
    if announcements_choice.is_sample(signed):
        return render(request, "registrations/unsubscribe_sample.html")
    if registration is None:
        raise Http404
    if request.method == "POST":
        again = "again" in request.POST
        verb = announcements_choice.subscribe if again else announcements_choice.unsubscribe
        verb(registration=registration)
        registration.refresh_from_db()
    context = {"registration": registration, "event": registration.event}
    return render(request, "registrations/unsubscribe.html", context)
