"""The page that asks once more before something ends for many people at once."""

import hashlib
from typing import Any

from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.http import HttpRequest
from django.template.response import TemplateResponse

from registrations.formatting import people
from registrations.models import Registration

NAMED_AT_MOST = 20


def is_confirmed(request: HttpRequest, chosen: list[Registration]) -> bool:
    """Whether the page's button was pressed, for the very people it named and their links then."""
    return request.POST.get("sure") == _fingerprint(chosen)


def _fingerprint(chosen: list[Registration]) -> str:
    known = sorted(f"{person.pk}:{person.token}" for person in chosen)
    return hashlib.sha256(" ".join(known).encode()).hexdigest()[:32]


def confirmation_page(
    model_admin: Any, request: HttpRequest, chosen: list[Registration], *, title: str
) -> TemplateResponse:
    """The page, which says it in a template named as the action; its button sends that again."""
    if "sure" in request.POST:
        messages.warning(request, "What you chose has changed since. Please look again.")
    action = request.POST["action"]
    unnamed = len(chosen) - NAMED_AT_MOST
    context = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "title": title,
        "sure": _fingerprint(chosen),
        "named": chosen[:NAMED_AT_MOST],
        "unnamed": people(unnamed) if unnamed > 0 else "",
        "action": action,
        "checkbox": ACTION_CHECKBOX_NAME,
        "selected": request.POST.getlist(ACTION_CHECKBOX_NAME),
        "select_across": request.POST.get("select_across", "0"),
    }
    return TemplateResponse(request, f"admin/registrations/registration/{action}.html", context)
