"""The page that asks for confirmation before an action ends something for several people."""

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.http import HttpRequest, HttpResponse

from registrations.admin.shared import fingerprint, page_response
from registrations.formatting import people
from registrations.models import Registration

NAMED_AT_MOST = 20


def confirmation_page(
    model_admin: ModelAdmin, request: HttpRequest, chosen: list[Registration], title: str
) -> HttpResponse | None:
    """Ask for confirmation, with the template that is named like the action.

    Returns None when the page's button was pressed for exactly these people with these links.
    """
    sure = fingerprint(*sorted((person.pk, person.token) for person in chosen))
    if request.POST.get("sure") == sure:
        return None
    if "sure" in request.POST:
        messages.warning(request, "What you chose has changed since. Please look again.")
    action = request.POST["action"]
    unnamed = len(chosen) - NAMED_AT_MOST
    return page_response(
        model_admin,
        request,
        f"registration/{action}.html",
        title=title,
        sure=sure,
        named=chosen[:NAMED_AT_MOST],
        unnamed=people(unnamed) if unnamed > 0 else "",
        action=action,
        checkbox=ACTION_CHECKBOX_NAME,
        selected=request.POST.getlist(ACTION_CHECKBOX_NAME),
        select_across=request.POST.get("select_across", "0"),
    )
