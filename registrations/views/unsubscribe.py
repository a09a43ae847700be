"""Unsubscribing from announcements with one click."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import translation
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from events import language_choice
from registrations.mail import unsubscribe as subscriptions


@csrf_exempt
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def unsubscribe(request: HttpRequest, signed: str) -> HttpResponse:
    """Stop announcements, or get them again. A POST works without cookies (RFC 8058).

    The page is in the language of the person's emails. Its link must not lead to their own page, so
    choosing another language here is only for this browser.
    """
    registration = subscriptions.registration_for(signed)
    if subscriptions.is_sample(signed):
        return render(request, "registrations/unsubscribe_sample.html")
    if registration is None:
        raise Http404
    if not language_choice.is_chosen(request):
        translation.activate(registration.language)
    if request.method == "POST":
        is_again = "again" in request.POST
        change = subscriptions.subscribe if is_again else subscriptions.unsubscribe
        change(registration=registration)
        registration.refresh_from_db()
    context = {"registration": registration, "event": registration.event}
    return render(request, "registrations/unsubscribe.html", context)
