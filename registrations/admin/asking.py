"""The page that asks once more before something ends for many people at once."""

from typing import Any

from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.http import HttpRequest
from django.template.response import TemplateResponse

from ..models import Registration
from ..wording import people

NAMED_AT_MOST = 20


def is_sure(request: HttpRequest, chosen: list[Registration]) -> bool:
    """Whether the page's button was pressed, for just as many people as it named."""
    return request.POST.get("sure") == str(len(chosen))


def ask(
    model_admin: Any, request: HttpRequest, chosen: list[Registration], *, title: str
) -> TemplateResponse:
    """The page, which says it in a template named as the action; its button sends that again."""
    action = request.POST["action"]
    unnamed = len(chosen) - NAMED_AT_MOST
    context = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "title": title,
        "count": len(chosen),
        "named": chosen[:NAMED_AT_MOST],
        "unnamed": people(unnamed) if unnamed > 0 else "",
        "action": action,
        "checkbox": ACTION_CHECKBOX_NAME,
        "selected": request.POST.getlist(ACTION_CHECKBOX_NAME),
        "select_across": request.POST.get("select_across", "0"),
    }
    return TemplateResponse(request, f"admin/registrations/registration/{action}.html", context)
