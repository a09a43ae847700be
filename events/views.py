"""The public pages of an event."""

import functools
from collections.abc import Callable, Iterable
from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.cache import cache_control, cache_page
from django.views.decorators.http import conditional_page, require_safe

from events.calendar import entries
from events.links import in_current_language
from events.models import Event, EventQuerySet, Session, SessionQuerySet
from events.sharing import palette


def briefly_cached(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Cache the page for five seconds, except for people who are signed in.

    Organizers have to see their own edits at once.
    """
    cached = cache_page(5, cache="pages")(view)

    @functools.wraps(view)
    def choose(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        signed_in = settings.SESSION_COOKIE_NAME in request.COOKIES
        return (view if signed_in else cached)(request, *args, **kwargs)

    return choose


@require_safe
@cache_control(public=True, max_age=86400)
def icon(request: HttpRequest, mark: str = "sun", colors: str = palette.DEFAULT) -> HttpResponse:
    """The icon for browser tabs: a sun over hills, or before bars."""
    check_icon(mark, colors)
    context = {"mark": mark, "colors": colors}
    return render(request, "events/icon.svg", context, content_type="image/svg+xml")


def check_icon(mark: str, colors: str) -> None:
    if mark not in ("sun", "bars") or colors not in palette.SETS:
        raise Http404


def may_see_drafts(request: HttpRequest, model: str) -> bool:
    """Whether someone is signed in who may view these in the admin: "event" or "session"."""
    # Without the cookie no one is signed in. Reading the session would add Vary: Cookie.
    if settings.SESSION_COOKIE_NAME not in request.COOKIES or not request.user.is_staff:
        return False
    return any(request.user.has_perm(f"events.{verb}_{model}") for verb in ("view", "change"))


def visible_events(request: HttpRequest) -> EventQuerySet:
    """Published events; organizers see their drafts too."""
    return Event.objects.all() if may_see_drafts(request, "event") else Event.objects.published()


@require_safe
@briefly_cached
def home(request: HttpRequest) -> HttpResponse:
    event = Event.objects.current(timezone.now())
    return event_page(request, event) if event else render(request, "events/no_event.html")


@require_safe
@briefly_cached
def event(request: HttpRequest, slug: str) -> HttpResponse:
    return event_page(request, get_object_or_404(visible_events(request), slug=slug))


def event_page(request: HttpRequest, event: Event) -> HttpResponse:
    sessions = list(visible_sessions(request, event).with_phone_numbers())
    active_sessions = [session for session in sessions if not session.is_canceled]
    context = {
        **schedule_context(event, sessions),
        # Such as "Estrategia": the largest letters would break it.
        "has_long_words": any(len(word) > 8 for word in event.name.split()),
        "tracks": event.tracks.all(),
        "first_session": active_sessions[0] if active_sessions else None,
        "last_session": active_sessions[-1] if active_sessions else None,
        "takes_calls": takes_calls(active_sessions),
        "has_recordings": any(session.public_links for session in sessions),
        # Programs that subscribe don't ask for a language.
        "calendar_url": in_current_language(f"{event.get_absolute_url()}calendar.ics"),
    }
    return render(request, "events/event.html", context)


def schedule_context(event: Event, sessions: list[Session]) -> dict[str, Any]:
    """What all pages that show these sessions need to know."""
    now = timezone.now()
    open_sessions = [session for session in sessions if session.is_open_to_register(now)]
    return {
        "event": event,
        "zone": event.zone,
        "sessions": sessions,
        "now": now,
        "open_sessions": open_sessions,
        "phase": event.registration_phase(now, open_sessions),
        # That is running, or the next one.
        "next_session": open_sessions[0] if open_sessions else None,
        "next_to_start": next((each for each in open_sessions if each.starts_at > now), None),
    }


def takes_calls(sessions: Iterable[Any]) -> bool:
    """Whether people can call in to any of them. Wants them `with_phone_numbers`."""
    return any(session.has_phone_numbers for session in sessions)


def visible_sessions(request: HttpRequest, event: Event) -> SessionQuerySet:
    """Published sessions; organizers see their drafts too."""
    sessions = Session.objects.filter(event=event).select_related("event", "track")
    return sessions if may_see_drafts(request, "session") else sessions.published()


@require_safe
@briefly_cached
def session(request: HttpRequest, event_slug: str, slug: str) -> HttpResponse:
    event = get_object_or_404(visible_events(request), slug=event_slug)
    sessions = list(visible_sessions(request, event))
    places = {session.slug: place for place, session in enumerate(sessions)}
    if slug not in places:
        raise Http404
    place = places[slug]
    session = sessions[place]
    context = {
        **schedule_context(event, sessions),
        "session": session,
        "hosts": session.hosts.all(),
        "outline": session.agenda.all() if session.shows_outline else [],
        "previous": sessions[place - 1] if place else None,
        "following": sessions[place + 1] if place + 1 < len(sessions) else None,
    }
    return render(request, "events/session.html", context)


@require_safe
@conditional_page
@briefly_cached
def calendar(request: HttpRequest, slug: str) -> HttpResponse:
    """The public calendar, to download or subscribe to. It has no Zoom links."""
    event = get_object_or_404(Event.objects.published(), slug=slug)
    sessions = event.sessions.published().select_related("event")
    return calendar_response(entries.public_calendar(event, sessions), f"{event.slug}.ics")


@require_safe
@conditional_page
@briefly_cached
def session_calendar(request: HttpRequest, event_slug: str, slug: str) -> HttpResponse:
    """The same for one session."""
    sessions = Session.objects.published().select_related("event")
    event = get_object_or_404(Event.objects.published(), slug=event_slug)
    session = get_object_or_404(sessions.filter(event=event), slug=slug)
    return calendar_response(entries.public_calendar(event, [session]), f"{session.slug}.ics")


def calendar_response(content: bytes, filename: str) -> HttpResponse:
    """Respond with a calendar file (RFC 5545)."""
    response = HttpResponse(content, content_type="text/calendar; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{filename}"'
    return response
