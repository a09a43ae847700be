"""What search engines fetch."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from events.links import absolute
from events.models import Event, Session

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
