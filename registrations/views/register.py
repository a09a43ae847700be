"""The registration page."""

from typing import Any

from django.core.cache import caches
from django.db import transaction
from django.http import HttpRequest, HttpResponse, QueryDict
from django.middleware.csrf import get_token
from django.shortcuts import get_object_or_404, render
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.translation import get_language
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from events import language_choice
from events.models import Event
from events.views import takes_calls
from registrations import seats, signup
from registrations.forms import RegistrationForm, forget_errors
from registrations.mail import enqueue
from registrations.outbox import mailbox_limit
from registrations.views import rate_limit, registered

CSRF_PLACEHOLDER = "csrf-token-goes-here"


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@language_choice.with_form_switch
def register(request: HttpRequest, event_slug: str) -> HttpResponse:
    if request.method != "POST":
        return blank_form(request, event_slug)
    context = sign_up_context(event_slug, request.POST)
    if context["phase"] != Event.Phase.OPEN:
        return render(request, "registrations/not_open.html", context)
    form = context["form"]
    if language_choice.switched_to(request):
        forget_errors(form)
        return render(request, "registrations/register.html", context)
    if rate_limit.is_rate_limited(request, "register"):
        context["is_rate_limited"] = True
        return render(request, "registrations/register.html", context, status=429)
    if not form.is_valid():
        return render(request, "registrations/register.html", context)
    for _name in form.cleaned_data["other_names"]:
        # Each person counts as a form. Those of this one are still registered.
        rate_limit.is_rate_limited(request, "register")
    if not register_people(request, context["event"], form.cleaned_data):
        context["is_mailbox_limited"] = True
        return render(request, "registrations/register.html", context, status=429)
    return registered.redirect_there(context["event"], form.cleaned_data, context["full"])


# One transaction, because its commit is what takes longest.
@transaction.atomic
def register_people(request: HttpRequest, event: Event, data: dict[str, Any]) -> bool:
    """Returns False if the mailbox has had too many emails."""
    people = 1 + len(data["other_names"])
    if not mailbox_limit.allow(data["email"], emails=people * enqueue.EMAILS_PER_CONFIRMATION):
        return False
    # Organizers also register people here, such as those who called.
    verified_at = timezone.now() if request.user.is_staff else None
    signup.register(
        event=event,
        verified_at=verified_at,
        language=get_language(),
        claim=registered.claim_of(request),
        **data,
    )
    return True


def sign_up_context(event_slug: str, data: QueryDict | None = None) -> dict[str, Any]:
    """The event, its sessions that are open for registration, and the form. Raises Http404."""
    event = get_object_or_404(Event.objects.published(), slug=event_slug)
    now = timezone.now()
    sessions = list(event.sessions.open_to_register(now).with_phone_numbers())
    return {
        "event": event,
        "zone": event.zone,
        "phase": event.registration_phase(now, sessions),
        "sessions": sessions,
        "takes_calls": takes_calls(sessions),
        "full": seats.full_sessions(sessions),
        "form": RegistrationForm(data, event=event, sessions=sessions),
    }


def blank_form(request: HttpRequest, event_slug: str) -> HttpResponse:
    """The blank form, cached for five seconds: only the CSRF token is each visitor's own.

    Many people open this page at once when registration is announced.
    """

    def rendered(request: HttpRequest | None = None) -> str:
        context = sign_up_context(event_slug)
        if request is None:
            context["csrf_token"] = CSRF_PLACEHOLDER
        name = "register" if context["phase"] == Event.Phase.OPEN else "not_open"
        return render_to_string(f"registrations/{name}.html", context, request)

    if request.user.is_staff:
        # It has a note for organizers.
        return HttpResponse(rendered(request))
    key = f"register/{get_language()}/{event_slug}"
    page = caches["pages"].get_or_set(key, rendered, 5)
    return HttpResponse(str(page).replace(CSRF_PLACEHOLDER, get_token(request)))
