"""Rejects malformed requests, and keeps secret URLs secret."""

from collections.abc import Callable
from urllib.parse import quote

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.cache import patch_vary_headers

from events import language_choice
from events.text import parsing
from strategyweek.error_pages import bad_request, page_not_found
from strategyweek.logs import PERSONAL_PATHS

GetResponse = Callable[[HttpRequest], HttpResponse]

# The largest request body of visitors. Organizers' announcements may be larger.
MAX_PUBLIC_BODY_BYTES = 64 * 1024


def reject_malformed_requests(get_response: GetResponse) -> GetResponse:
    """Respond with 400 to requests that no browser sends and that would raise errors later.

    These are NUL characters, which PostgreSQL rejects, and forms that are not UTF-8.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        texts = (request.path, request.META.get("QUERY_STRING", ""), *request.COOKIES.values())
        has_nul = any("\0" in text or "%00" in text for text in texts)
        charset = (request.content_params or {}).get("charset", "utf-8").lower()
        if has_nul or charset not in {"utf-8", "utf8"}:
            return bad_request(request)
        return get_response(request)

    return middleware


def choose_language(get_response: GetResponse) -> GetResponse:
    """Remember the language that someone chose with a link to `?language=`, in a cookie.

    Without one, Django's LocaleMiddleware takes the browser's language. `?in=` chooses for one
    page, without a redirect or a cookie: for calendar programs and search engines.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        if (only_here := request.GET.get("in")) in dict(settings.LANGUAGES):
            request.COOKIES[settings.LANGUAGE_COOKIE_NAME] = str(only_here)
        chosen = request.GET.get("language")
        if chosen not in dict(settings.LANGUAGES) or request.method != "GET":
            response = get_response(request)
            # The server's own cache tells languages apart. A browser's would not.
            patch_vary_headers(response, ["Cookie"])
            return response
        query = request.GET.copy()
        query.pop("language")
        query.pop("in", None)
        # A path that starts with two slashes would lead to another site.
        path = "/" + quote(request.path).lstrip("/")
        response = redirect(f"{path}?{query.urlencode()}" if query else path)
        language_choice.remember(response, chosen)
        return response

    return middleware


def limit_public_forms(get_response: GetResponse) -> GetResponse:
    """Respond with 413 to a large form of a visitor, before anything reads it.

    Reading and checking long texts takes CPU time. Webhooks verify a secret or signature first.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        size = request.META.get("CONTENT_LENGTH") or "0"
        is_large = parsing.integer(size, MAX_PUBLIC_BODY_BYTES + 1) > MAX_PUBLIC_BODY_BYTES
        if is_large and not request.path.startswith("/webhooks/") and not is_organizer(request):
            return render(request, "413.html", status=413)
        return get_response(request)

    return middleware


def is_organizer(request: HttpRequest) -> bool:
    return request.user.is_authenticated and request.user.is_staff


def protect_personal_pages(get_response: GetResponse) -> GetResponse:
    """Keep secret URLs out of caches, search engines and Referer headers.

    This includes errors and redirects. A response with an ETag, the calendar feed, sets its own
    Cache-Control.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if request.path.startswith(PERSONAL_PATHS):
            if not response.has_header("ETag"):
                response["Cache-Control"] = "no-store"
            response["Referrer-Policy"] = "no-referrer"
            response["X-Robots-Tag"] = "noindex"
        return response

    middleware.process_exception = not_found  # type: ignore[attr-defined]
    return middleware


def not_found(request: HttpRequest, error: Exception) -> HttpResponse | None:
    """Show our 404 page for an invalid personal link, even with DEBUG."""
    is_invalid_link = isinstance(error, Http404) and request.path.startswith(PERSONAL_PATHS)
    return page_not_found(request, error) if is_invalid_link else None
