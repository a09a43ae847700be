"""What search engines and other sites fetch, pages to print, and one for other sites' pages."""

from functools import partial

from csp.constants import NONE
from csp.decorators import csp_replace
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import cache_control
from django.views.decorators.clickjacking import xframe_options_exempt
from django.views.decorators.http import require_safe

from events.links import absolute
from events.models import Event, Session
from events.sharing import palette, pictures
from events.sharing.origins import origins
from events.templatetags.times import dates, day, hours
from events.views import (
    briefly_cached,
    check_icon,
    schedule_context,
    takes_calls,
    visible_events,
    visible_sessions,
)

# Personal pages aren't listed here: they say themselves that they aren't to be indexed.
ROBOTS = "User-agent: *\nDisallow: /admin/\nDisallow: /accounts/\n\nSitemap: {sitemap}\n"


@require_safe
@cache_control(public=True, max_age=3600)
def robots(request: HttpRequest) -> HttpResponse:
    """Which pages search engines may fetch (RFC 9309)."""
    return HttpResponse(ROBOTS.format(sitemap=absolute("/sitemap.xml")), content_type="text/plain")


@require_safe
@cache_control(public=True, max_age=3600)
def sitemap(request: HttpRequest) -> HttpResponse:
    """The public pages in each language (https://www.sitemaps.org/protocol.html)."""
    events = Event.objects.published()
    sessions = Session.objects.published().filter(event__in=events).select_related("event")
    paths = [each.get_absolute_url() for each in events]
    paths += [each.get_absolute_url() for each in sessions.order_by("starts_at", "pk")]
    return render(request, "events/sitemap.xml", {"paths": paths}, content_type="application/xml")


@require_safe
@briefly_cached
def flyer(request: HttpRequest, slug: str) -> HttpResponse:
    """A flyer to print, with a QR code that leads to the event in the flyer's language."""
    return _sheet(request, slug, "events/flyer.html")


@require_safe
@briefly_cached
def printed_schedule(request: HttpRequest, slug: str) -> HttpResponse:
    """The week's sessions on one page to print."""
    return _sheet(request, slug, "events/printed_schedule.html")


def _sheet(request: HttpRequest, slug: str, template: str) -> HttpResponse:
    event = get_object_or_404(visible_events(request), slug=slug)
    sessions = list(visible_sessions(request, event).filter(canceled_at=None).with_phone_numbers())
    context = schedule_context(event, sessions) | {"takes_calls": takes_calls(sessions)}
    return render(request, template, context)


@require_safe
@xframe_options_exempt
@briefly_cached
def embed(request: HttpRequest, slug: str) -> HttpResponseBase:
    """The schedule and a Register button, for the pages of the websites that the event lists."""
    event = get_object_or_404(visible_events(request), slug=slug)
    allow = csp_replace({"frame-ancestors": origins(event.embed_sites) or [NONE]})
    context = schedule_context(event, list(visible_sessions(request, event)))
    return allow(partial(render, template_name="events/embed.html", context=context))(request)


@require_safe
@cache_control(public=True, max_age=86400)
def touch_icon(
    request: HttpRequest, mark: str = "sun", colors: str = palette.DEFAULT
) -> HttpResponse:
    """The icon for the home screen of a phone."""
    check_icon(mark, colors)
    return HttpResponse(pictures.icon(mark, colors), content_type="image/png")


@require_safe
def event_picture(request: HttpRequest, slug: str) -> HttpResponse:
    """The picture that other sites and messengers show with the event's address."""
    event = get_object_or_404(visible_events(request), slug=slug)
    starts = [each.starts_at for each in visible_sessions(request, event).filter(canceled_at=None)]
    days = dates(min(starts), max(starts), event.zone) if starts else ""
    when = _("%(days)s, online on Zoom") % {"days": days} if days else ""
    return _picture(request, event, event.name, event.host, when)


@require_safe
def session_picture(request: HttpRequest, event_slug: str, slug: str) -> HttpResponse:
    event = get_object_or_404(visible_events(request), slug=event_slug)
    session = get_object_or_404(visible_sessions(request, event), slug=slug)
    when = f"{day(session.starts_at, event.zone)}, {hours(session, event.zone)}"
    below = when[:1].upper() + when[1:]
    return _picture(request, event, session.brief_title, event.name, below)


def _picture(
    request: HttpRequest, event: Event, title: str, above: str, below: str
) -> HttpResponse:
    own_key = event.poster_wide_id or "" if event.has_own_poster else ""
    poster = Event.Poster.HILLS if event.poster == Event.Poster.OWN else event.poster
    content = pictures.shared(title, above, below, poster, event.colors, own_key)
    # Organizers see drafts, and their own edits at once.
    signed_in = settings.SESSION_COOKIE_NAME in request.COOKIES
    headers = {"Cache-Control": "private, no-cache" if signed_in else "public, max-age=3600"}
    return HttpResponse(content, content_type="image/png", headers=headers)
