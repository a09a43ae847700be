"""The page for people who lost their link."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_http_methods

from events.models import Event
from registrations import signup
from registrations.forms import FindForm
from registrations.views import rate_limit


@require_http_methods(["GET", "HEAD", "POST"])
def find(request: HttpRequest, event_slug: str) -> HttpResponse:
    """The answer is the same for every address: only its owner may learn if it's registered."""
    event = get_object_or_404(Event.objects.published(), slug=event_slug)
    is_post = request.method == "POST"
    form = FindForm(request.POST if is_post else None)
    is_rate_limited = is_post and rate_limit.is_rate_limited(request, "find")
    is_sent = not is_rate_limited and form.is_valid()
    if is_sent:
        signup.find(event=event, email=form.cleaned_data["email"])
    context = {"event": event, "form": form, "is_sent": is_sent, "is_rate_limited": is_rate_limited}
    status = 429 if is_rate_limited else 200
    response = render(request, "registrations/find.html", context, status=status)
    response["Cache-Control"] = "no-store"
    response["Referrer-Policy"] = "no-referrer"
    response["X-Robots-Tag"] = "noindex"
    return response
