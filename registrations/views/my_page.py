"""A person's own page, opened by the secret token in its address, and what they can do there."""

import contextlib
import functools
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import NoReverseMatch, reverse
from django.utils import timezone, translation
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from events import language_choice
from events.models import Event, Session
from events.views import calendar_response
from registrations import joining, mailboxes, seats, signup
from registrations.forms import ChangeForm, forget_errors
from registrations.mail import enqueue
from registrations.models import Registration, Seat
from registrations.outbox import mailbox_limit
from registrations.personal_calendar import personal_calendar_for
from registrations.views.notices import Notice, notice_for, redirect_saying, says_once

# Besides the pages to join a session. The form to change sessions is switched by itself.
WITH_LANGUAGE_SWITCH = ("me", "my_schedule", "my_phone_card", "cancel", "renew", "erase")


def registration_for(token: str) -> Registration:
    """Find a registration, and go on in its language.

    Raises Http404 for an unknown or renewed token, and for an erased registration.
    """
    registrations = Registration.objects.filter(erased_at=None).select_related("event")
    registration = get_object_or_404(registrations, token=token)
    translation.activate(registration.language)
    return registration


@require_safe
@says_once
def me(request: HttpRequest, token: str) -> HttpResponse:
    registration = registration_for(token)
    if registration.canceled_at:
        context = base_context(request, registration)
        context["phase"] = registration_phase(registration.event)
        return render(request, "registrations/canceled.html", context)
    if not registration.is_admitted:
        return pending_page(request, registration)
    now = timezone.now()
    statuses = [joining.SeatStatus(seat, now) for seat in joining.shown_seats(registration)]
    upcoming = next((status for status in statuses if status.is_ahead), None)
    context = base_context(request, registration) | {
        "next": upcoming,
        "others": [each for each in statuses if each is not upcoming and not each.is_over],
        "over": [each for each in statuses if each.is_over],
        "now": now,
        "seconds": joining.my_page_refresh(statuses, now),
        "has_agenda": any(
            status.session.agenda.all() for status in statuses if not status.seat.waiting_since
        ),
    }
    return render(request, "registrations/me.html", context)


@require_safe
def my_schedule(request: HttpRequest, token: str) -> HttpResponse:
    """What happens when in the sessions where the person has a spot, to read or to print."""
    registration = registration_for(token)
    if not registration.is_admitted:
        return redirect_to_my_page(registration)
    seats = joining.shown_seats(registration)
    context = base_context(request, registration) | {
        "sessions": [seat.session for seat in seats if not seat.waiting_since],
        "waits": any(seat.waiting_since for seat in seats),
        "now": timezone.now(),
    }
    return render(request, "registrations/my_schedule.html", context)


@require_safe
def my_phone_card(request: HttpRequest, token: str) -> HttpResponse:
    """A card to print, in large type, for someone who joins by phone."""
    registration = registration_for(token)
    if not registration.is_admitted:
        return redirect_to_my_page(registration)
    context = base_context(request, registration)
    context["sessions"] = joining.sessions_ahead(registration, timezone.now())
    return render(request, "registrations/phone_card.html", context)


def pending_page(request: HttpRequest, registration: Registration) -> HttpResponse:
    """What the person entered, and what is public, while the organizers review it."""
    requested = Session.objects.published().filter(registrations=registration)
    waitlist = registration.seats.filter(state=Seat.State.WAITING).select_related("session")
    context = base_context(request, registration) | {
        "sessions": requested.select_related("event"),
        "waiting": {seat.session for seat in waitlist},
    }
    return render(request, "registrations/pending.html", context)


def base_context(request: HttpRequest, registration: Registration) -> dict[str, Any]:
    """What all these pages need."""
    return {
        "registration": registration,
        "event": registration.event,
        "zone": registration.zone,
        "language_url": reverse("switch_language", args=[registration.token]),
        "notice": notice_for(request),
    }


def registration_phase(event: Event) -> Event.Phase:
    now = timezone.now()
    return event.registration_phase(now, list(event.sessions.open_to_register(now)))


@csrf_exempt
@require_POST
def visit(request: HttpRequest, token: str) -> HttpResponse:
    """Record that someone has the page open. Its script posts this after some seconds.

    Mail scanners fetch the page too, but they don't stay.
    """
    joining.record_use(registration_for(token))
    return HttpResponse(status=204)


@csrf_exempt
@require_POST
def switch_language(request: HttpRequest, token: str) -> HttpResponse:
    """Set the language of someone's page, emails and calendar, and of the rest of the site.

    The secret in the address is enough, also where the browser blocks cookies.
    """
    registration = registration_for(token)
    response = redirect(_switched_on(request, token))
    if (language := request.POST.get("language")) in dict(settings.LANGUAGES):
        signup.switch_language(registration=registration, language=language)
        language_choice.remember(response, language)
    return response


def _switched_on(request: HttpRequest, token: str) -> str:
    """Where someone was when they switched the language: never an address from the form."""
    name, slug = (request.POST.get(each, "") for each in ("back", "session"))
    if name == "join":
        with contextlib.suppress(NoReverseMatch):
            return reverse(name, args=[token, slug])
    return reverse(name if name in WITH_LANGUAGE_SWITCH else "me", args=[token])


@require_safe
def my_calendar(request: HttpRequest, token: str) -> HttpResponse:
    registration = registration_for(token)
    if not registration.is_admitted:
        raise Http404
    seated = (each for each in joining.shown_seats(registration) if not each.waiting_since)
    calendar = personal_calendar_for(registration, [seat.session for seat in seated])
    return calendar_response(calendar, f"{registration.event.slug}.ics")


def redirect_to_my_page(registration: Registration, notice: Notice | None = None) -> HttpResponse:
    path = registration.get_absolute_url()
    return redirect_saying(notice, path) if notice else redirect(path)


def for_active_registration(
    view: Callable[[HttpRequest, Registration], HttpResponse],
) -> Callable[[HttpRequest, str], HttpResponse]:
    """Pass the registration to the view; redirect people who canceled to their own page."""

    @require_http_methods(["GET", "HEAD", "POST"])
    @functools.wraps(view)
    def with_registration(request: HttpRequest, token: str) -> HttpResponse:
        registration = registration_for(token)
        if registration.canceled_at:
            return redirect_to_my_page(registration)
        if request.method == "POST":
            joining.record_use(registration)
        return view(request, registration)

    return with_registration


@language_choice.with_form_switch
@for_active_registration
def change(request: HttpRequest, registration: Registration) -> HttpResponse:
    """Choose other sessions, and correct one's details."""
    if language := language_choice.switched_to(request):
        signup.switch_language(registration=registration, language=language)
        translation.activate(language)
    context = change_context(request, registration)
    form: ChangeForm = context["form"]
    if language:
        forget_errors(form)
    if language or request.method != "POST" or not form.is_valid():
        return render(request, "registrations/my_change.html", context)
    emails = _emails_about(form)
    if emails and not mailbox_limit.allow(registration.email, emails=emails):
        context["is_mailbox_limited"] = True
        return render(request, "registrations/my_change.html", context, status=429)
    try:
        has_changed_sessions = signup.change(registration=registration, **form.cleaned_data)
    except Registration.DoesNotExist:
        return redirect_to_my_page(registration)
    except mailboxes.CannotRegister as error:
        form.add_error("name", str(error.text))
        return render(request, "registrations/my_change.html", context)
    notice = Notice.SESSIONS if has_changed_sessions else Notice.SAVED
    return redirect_to_my_page(registration, notice)


def _emails_about(form: ChangeForm) -> int:
    """How many emails a change causes: about all sessions, and one about each that was left."""
    changed, added = form.cleaned_data["offered"], form.cleaned_data["sessions"]
    about_all = enqueue.EMAILS_PER_CONFIRMATION if added else 1
    return about_all + len(changed - added) if changed else 0


def change_context(request: HttpRequest, registration: Registration) -> dict[str, Any]:
    """The form, and the sessions that can still be added or left."""
    event, now = registration.event, timezone.now()
    own = {seat.session_id: seat for seat in registration.seats.select_related("session")}
    sessions = list(event.sessions.published().select_related("event"))
    open_sessions = [session for session in sessions if session.is_open_to_register(now)]
    phase = event.registration_phase(now, open_sessions)
    attended = {pk for pk, seat in own.items() if seat.attended and seat.session.starts_at <= now}
    offered = [session for session in open_sessions if session.pk not in attended]
    if phase != Event.Phase.OPEN:
        offered = [session for session in offered if session.pk in own]
    data = request.POST if request.method == "POST" else None
    form = ChangeForm(
        data, registration=registration, sessions=sessions, offered=offered, seats=own.values()
    )
    return base_context(request, registration) | {
        "form": form,
        "phase": phase,
        "sessions": offered,
        "waiting": {seat.session for seat in own.values() if seat.waiting_since},
        "full": seats.full_sessions(offered) - {seat.session for seat in own.values()},
    }


@for_active_registration
def resend(request: HttpRequest, registration: Registration) -> HttpResponse:
    """Email the links again. A GET, as by a link scanner, only leads to the page."""
    if request.method != "POST":
        return redirect_to_my_page(registration)
    if not mailbox_limit.allow(registration.email):
        return redirect_to_my_page(registration, Notice.MAILBOX_LIMIT)
    is_sent = signup.resend_links(registrations=[registration])
    return redirect_to_my_page(registration, Notice.MAILED if is_sent else Notice.MAILED_BEFORE)


@for_active_registration
def renew(request: HttpRequest, registration: Registration) -> HttpResponse:
    """Explain what a new secret link means, and then make one."""
    if request.method != "POST":
        context = base_context(request, registration)
        return render(request, "registrations/my_renewal.html", context)
    if not mailbox_limit.allow(registration.email):
        return redirect_to_my_page(registration, Notice.MAILBOX_LIMIT)
    if not signup.renew_links(registrations=[registration]):
        return redirect_to_my_page(registration)
    registration.refresh_from_db(fields=["token"])
    return redirect_to_my_page(registration, Notice.RENEWED)


@for_active_registration
def cancel(request: HttpRequest, registration: Registration) -> HttpResponse:
    """Ask for confirmation, and then cancel the registration."""
    if request.method != "POST":
        context = base_context(request, registration)
        context["phase"] = registration_phase(registration.event)
        return render(request, "registrations/my_cancellation.html", context)
    # Canceling is always possible. Coming back isn't, so no one can do both again and again.
    mailbox_limit.allow(registration.email, emails=registration.seats.count())
    signup.cancel(registration=registration)
    return redirect_to_my_page(registration)


@require_http_methods(["GET", "HEAD", "POST"])
def restore(request: HttpRequest, token: str) -> HttpResponse:
    """Undo a cancellation, while registration is open."""
    registration = registration_for(token)
    is_open = registration_phase(registration.event) == Event.Phase.OPEN
    if request.method != "POST" or (registration.canceled_at and not is_open):
        return redirect_to_my_page(registration)
    if registration.canceled_by_organizer:
        return redirect_to_my_page(registration)
    emails = enqueue.EMAILS_PER_CONFIRMATION
    if not mailbox_limit.allow(registration.email, emails=emails):
        return redirect_to_my_page(registration, Notice.MAILBOX_LIMIT)
    try:
        signup.restore(registration=registration)
    except mailboxes.AlreadyRegistered:
        return redirect_to_my_page(registration, Notice.TAKEN)
    except mailboxes.MailboxFull:
        return redirect_to_my_page(registration, Notice.MAILBOX_FULL)
    return redirect_to_my_page(registration, Notice.BACK)
