"""The page after registering, where a mistyped address can be corrected.

It only repeats what was sent, in a signed cookie of the visitor's own: whether the address was
registered before is only for its owner to know. So which registrations may be corrected isn't in
the cookie, but in the database.
"""

import datetime as dt
from collections.abc import Collection, Mapping
from typing import Any

from django.conf import settings
from django.core import signing
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.translation import get_language
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from events.models import Event, Session
from events.timezones import known_zone
from registrations import mailboxes, signup
from registrations.forms import FindForm, RegistrationForm
from registrations.mail import enqueue
from registrations.models import Registration
from registrations.outbox import mailbox_limit
from registrations.validators import email_key
from registrations.views import rate_limit
from registrations.views.notices import Notice, notice_for, redirect_saying, says_once

COOKIE = "registered"
# So long the page can be opened again. Someone else may use the computer after that.
SHOWN_SECONDS = 30 * 60
# Browsers drop cookies above four kilobytes.
LONGEST_COOKIE = 3500
DETAILS = [name for name in RegistrationForm.Meta.fields if name != "email"]


def redirect_there(
    event: Event, data: Mapping[str, Any], full: Collection[Session]
) -> HttpResponse:
    """Redirect to the page, so that loading it again doesn't register again.

    `data` is the form's cleaned data.
    """
    sent = {
        "event": event.pk,
        "email": data["email"],
        "details": {name: data[name] for name in DETAILS},
        "other_names": data["other_names"],
        "sessions": [session.pk for session in data["sessions"]],
        "full": [session.pk for session in data["sessions"] if session in full],
        "strategies": [track.pk for track in data["strategies"]],
        "answers": {question.pk: answer for question, answer in data["answers"].items()},
    }
    if sent["answers"] and len(_signed(sent)) > LONGEST_COOKIE:
        sent["answers"] = {}
    return _remember(event, sent)


def claim_of(request: HttpRequest) -> str:
    """What tells this browser from others: made of the secret in its cookie against CSRF.

    Unlike a cookie of the form's answer, that is the same for two quick presses of its button.
    """
    get_token(request)
    return salted_hmac("claim", request.META["CSRF_COOKIE"], algorithm="sha256").hexdigest()


def _signed(sent: Mapping[str, Any]) -> str:
    return signing.dumps(sent, salt=COOKIE, compress=True)


def _remember(event: Event, sent: Mapping[str, Any], notice: Notice | None = None) -> HttpResponse:
    path = reverse("registered", args=[event.slug])
    response = redirect_saying(notice, path) if notice else redirect(path)
    response.set_cookie(
        COOKIE,
        _signed(sent),
        max_age=SHOWN_SECONDS,
        path=path,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )
    return response


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@says_once
def registered(request: HttpRequest, event_slug: str) -> HttpResponse:
    event = get_object_or_404(Event.objects.published(), slug=event_slug)
    sent = _sent_by(request)
    if sent.get("event") != event.pk:
        return redirect("register", event.slug)
    problem = ""
    form = FindForm(request.POST or None, initial={"email": sent["email"]})
    if request.method == "POST":
        now = timezone.now()
        open_sessions = list(event.sessions.open_to_register(now))
        if event.registration_phase(now, open_sessions) != Event.Phase.OPEN:
            # The register page says why, and where to write.
            return redirect("register", event.slug)
        if rate_limit.is_rate_limited(request, "register"):
            problem = "rate"
        elif form.is_valid():
            email = form.cleaned_data["email"]
            if correct_address(event, sent, email, open_sessions, claim_of(request)):
                notice = Notice.CORRECTED if email != sent["email"] else None
                return _remember(event, sent | {"email": email}, notice)
            problem = "mailbox"
    sessions = event.sessions.published().filter(pk__in=sent["sessions"])
    context = {
        "event": event,
        "zone": known_zone(sent["details"]["time_zone"]) or event.zone,
        "names": [sent["details"]["name"], *sent["other_names"]],
        "email": sent["email"],
        "sessions": [(session, session.pk in sent["full"]) for session in sessions],
        "form": form,
        "notice": notice_for(request),
        "is_rate_limited": problem == "rate",
        "is_mailbox_limited": problem == "mailbox",
    }
    status = 429 if problem else 200
    return render(request, "registrations/registered.html", context, status=status)


def _sent_by(request: HttpRequest) -> dict[str, Any]:
    """What the visitor sent in the last half hour; {} if nothing."""
    cookie = request.COOKIES.get(COOKIE, "")
    try:
        sent: dict[str, Any] = signing.loads(cookie, salt=COOKIE, max_age=SHOWN_SECONDS)
    except signing.BadSignature:
        return {}
    return sent


@transaction.atomic
def correct_address(
    event: Event,
    sent: Mapping[str, Any],
    email: str,
    open_sessions: Collection[Session],
    claim: str,
) -> bool:
    """Move the registrations that this browser has just made to this address, with their spots.

    Returns False if the mailbox has had too many emails. If the mistyped address is that of someone
    who was registered, there is nothing to move. If someone is registered at the right one, that
    registration stays, and only the mistyped one is canceled.
    """
    people = 1 + len(sent["other_names"])
    if email == sent["email"]:
        return True
    if not mailbox_limit.allow(email, emails=people * enqueue.EMAILS_PER_CONFIRMATION):
        return False
    if _moved(event, sent["email"], email, claim) >= people:
        return True
    answers = {int(pk): answer for pk, answer in sent["answers"].items()}
    asked = event.questions.in_bulk(answers)
    signup.register(
        event=event,
        email=email,
        sessions=[session for session in open_sessions if session.pk in sent["sessions"]],
        other_names=sent["other_names"],
        strategies=event.tracks.filter(pk__in=sent["strategies"]),
        answers={question: answers[pk] for pk, question in asked.items()},
        language=get_language(),
        claim=claim,
        **sent["details"],
    )
    return True


def _moved(event: Event, mistyped: str, email: str, claim: str) -> int:
    """Move what this browser has just registered at one address to another. Returns how many.

    Not once someone there used a link: then the address was right.
    """
    created = Registration.objects.active().unverified().filter(event=event, claim=claim)
    created = created.filter(
        email_key=email_key(mistyped),
        created_at__gt=timezone.now() - dt.timedelta(seconds=SHOWN_SECONDS),
    )
    moved = 0
    for registration in created.order_by("pk"):
        try:
            signup.correct_email(registration=registration, email=email)
        except mailboxes.CannotRegister:
            signup.withdraw(registration=registration)
        else:
            moved += 1
    return moved
