"""What a page says once, after something that a person did: "Your changes are saved."

A cookie takes the notice from the form to the page that the form leads to, which removes it. So
neither a reload nor "Back" says it again.
"""

import functools
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext_lazy as _

COOKIE = "notice"
SECONDS = 60


class Notice(models.TextChoices):
    """Its label starts the page's title; my_notice.html has the rest of the text."""

    SAVED = "saved", _("Your changes are saved")
    SESSIONS = "sessions", _("Your changes are saved")
    MAILED = "mailed", _("We've sent your links")
    MAILED_BEFORE = "mailed-before", _("We sent your links a few minutes ago")
    MAILBOX_LIMIT = "mailbox-limit", _("We couldn't do that yet")
    RENEWED = "renewed", _("You have a new private link")
    BACK = "back", _("Welcome back")
    TAKEN = "taken", _("You've already registered again")
    MAILBOX_FULL = "mailbox-full", _("We couldn't add you back")
    NO_SEAT = "no-seat", _("You don't have a link for that session")
    CORRECTED = "corrected", _("We've corrected your email address")

    @property
    def is_alarm(self) -> bool:
        return self in {Notice.MAILBOX_LIMIT, Notice.MAILBOX_FULL, Notice.TAKEN, Notice.NO_SEAT}


def redirect_saying(notice: Notice, path: str) -> HttpResponse:
    """Redirect to a page of `says_once`. Its fragment has browsers move the focus to the notice."""
    response = redirect(f"{path}#status")
    response.set_cookie(
        COOKIE,
        notice.value,
        max_age=SECONDS,
        path=path,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )
    return response


def notice_for(request: HttpRequest) -> Notice | None:
    """What `redirect_saying` left for this page."""
    value = request.COOKIES.get(COOKIE)
    return Notice(value) if value in Notice.values else None


def says_once(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """For views that show what `notice_for` finds: have the browser forget it."""

    @functools.wraps(view)
    def once(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = view(request, *args, **kwargs)
        if COOKIE in request.COOKIES and not response.has_header("Location"):
            response.delete_cookie(COOKIE, path=request.path, samesite="Lax")
        return response

    return once
