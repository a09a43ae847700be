"""Having one's links mailed again, without being told who is registered."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_http_methods

from events.models import Event

from .. import signup
from ..forms import FindForm


@require_http_methods(["GET", "HEAD", "POST"])
def find(request: HttpRequest, event_slug: str) -> HttpResponse:
    """Whatever the address, the answer is the same; only its mailbox gets to know more."""
    event = get_object_or_404(Event.objects.published(), slug=event_slug)
    form = FindForm(request.POST if request.method == "POST" else None)
    context = {"event": event, "form": form, "is_sent": form.is_valid()}
    if context["is_sent"]:
        signup.find(event=event, email=form.cleaned_data["email"])
    response = render(request, "registrations/find.html", context)
    response["Cache-Control"] = "no-store"
    response["Referrer-Policy"] = "no-referrer"
    response["X-Robots-Tag"] = "noindex"
    return response
