"""The language that a visitor chose, in a cookie. LocaleMiddleware reads it."""

import functools
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import translation


def is_chosen(request: HttpRequest) -> bool:
    return request.COOKIES.get(settings.LANGUAGE_COOKIE_NAME) in dict(settings.LANGUAGES)


def remember(response: HttpResponse, code: str) -> None:
    response.set_cookie(
        settings.LANGUAGE_COOKIE_NAME,
        code,
        max_age=settings.LANGUAGE_COOKIE_AGE,
        samesite="Lax",
        secure=settings.SESSION_COOKIE_SECURE,
    )


def switched_to(request: HttpRequest) -> str:
    """The language that a form was sent to be shown in, or "" if it was sent for its own purpose.

    With `form_id`, the buttons of templates/language.html send the page's form, so that nothing
    that was typed is lost.
    """
    code = request.POST.get("language", "")
    return code if code in dict(settings.LANGUAGES) else ""


def with_form_switch(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """For views of such a form: answer in the language that was switched to, and remember it.

    The view shows what was sent and does nothing else.
    """

    @functools.wraps(view)
    def in_language(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        code = switched_to(request)
        if not code:
            return view(request, *args, **kwargs)
        translation.activate(code)
        response = view(request, *args, **kwargs)
        remember(response, code)
        return response

    return in_language
