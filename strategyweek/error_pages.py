"""Pages for 400, 403 and 404.

Django's own views check the CSRF token first, which reads the form and fails on a malformed one.
"""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils import translation


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Often before LocaleMiddleware, when the language is still the previous visitor's.

    Without the request: its query may be what is malformed.
    """
    with translation.override(translation.get_language_from_request(request)):
        return HttpResponse(render_to_string("400.html"), status=400)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return render(request, "403.html", status=403)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return render(request, "404.html", {"request_path": request.path}, status=404)
