"""What holds for every request, whatever it is for."""

from collections.abc import Callable

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.defaults import page_not_found

Respond = Callable[[HttpRequest], HttpResponse]

# Whoever has one of these addresses acts as the person it belongs to.
PERSONAL_PATHS = ("/me/", "/join/", "/calendar/", "/unsubscribe/")


def refuse_odd_requests(respond: Respond) -> Respond:
    """Answer 400 to what no browser sends and what would fail deep inside instead.

    That is a NUL, which PostgreSQL cannot store or look for, and a form in another
    encoding than UTF-8, which Django reads only to raise.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        words = (request.path, request.META.get("QUERY_STRING", ""), *request.COOKIES.values())
        charset = (request.content_params or {}).get("charset", "utf-8").lower()
        odd_words = any("\0" in text or "%00" in text for text in words)
        if odd_words or charset not in {"utf-8", "utf8"}:
            return render(request, "400.html", status=400)
        return respond(request)

    return middleware


def keep_personal_pages_private(respond: Respond) -> Respond:
    """Keep secret addresses out of caches, search engines and Referer headers.

    Errors and redirects under these addresses are meant too. What has an ETag, the calendar
    feed, says by itself who may keep it.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        response = respond(request)
        if request.path.startswith(PERSONAL_PATHS):
            if not response.has_header("ETag"):
                response["Cache-Control"] = "no-store"
            response["Referrer-Policy"] = "no-referrer"
            response["X-Robots-Tag"] = "noindex"
        return response

    middleware.process_exception = not_found  # type: ignore[attr-defined]
    return middleware


def not_found(request: HttpRequest, error: Exception) -> HttpResponse | None:
    """For a personal link that does not work the page that helps, while debugging too."""
    is_lost = isinstance(error, Http404) and request.path.startswith(PERSONAL_PATHS)
    return page_not_found(request, error) if is_lost else None
