"""The page that asks for confirmation before an action ends something for several people."""

from typing import Any

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.http import HttpRequest, HttpResponse

from registrations.admin.shared import fingerprint, page_response
from registrations.formatting import people
from registrations.models import Registration

NAMED_AT_MOST = 20


def is_confirmed(request: HttpRequest, chosen: list[Registration]) -> bool:
    """Whether the page's button was pressed, for exactly these people with these links."""
    return request.POST.get("sure") == _fingerprint(chosen)


def _fingerprint(chosen: list[Registration]) -> str:
    return fingerprint(*sorted((person.pk, person.token) for person in chosen))


def confirmation_page(
    model_admin: ModelAdmin, request: HttpRequest, chosen: list[Registration], *, title: str
) -> HttpResponse:
    """Render the template that is named like the action. Its button sends the action again."""
    if "sure" in request.POST:
        messages.warning(request, "What you chose has changed since. Please look again.")
    action = request.POST["action"]
    unnamed = len(chosen) - NAMED_AT_MOST
    context: dict[str, Any] = {
        "title": title,
        "sure": _fingerprint(chosen),
        "named": chosen[:NAMED_AT_MOST],
        "unnamed": people(unnamed) if unnamed > 0 else "",
        "action": action,
        "checkbox": ACTION_CHECKBOX_NAME,
        "selected": request.POST.getlist(ACTION_CHECKBOX_NAME),
        "select_across": request.POST.get("select_across", "0"),
    }
    return page_response(model_admin, request, f"registration/{action}.html", **context)
