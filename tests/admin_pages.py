"""Pages of the admin: their addresses, what a browser would post, and what they say."""

import datetime as dt
import re
from html import unescape

from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone


def path(thing, page: str = "change") -> str:
    meta = thing._meta
    args = [thing.pk] if page == "change" else []
    return reverse(f"admin:{meta.app_label}_{meta.model_name}_{page}", args=args)


def form_of(client, url: str) -> dict[str, str]:
    """Return the values of a change form, as a browser would post them."""
    with timezone.override("America/Los_Angeles"):
        return _form_of(client.get(url))


def _form_of(answer) -> dict[str, str]:
    assert answer.status_code == 200
    values = {"opened": answer.context.get("opened")}
    forms = [answer.context["adminform"].form]
    for inline in answer.context["inline_admin_formsets"]:
        forms += [inline.formset.management_form, *inline.formset.forms]
    for form in forms:
        for field in form:
            widget = field.field.widget
            names = getattr(widget, "widgets_names", None)
            value = field.value()
            if names:
                parts = widget.decompress(value)
                for name, part in zip(names, parts, strict=True):
                    values[f"{field.html_name}{name}"] = part
                continue
            if value is not False:
                values[field.html_name] = value
    return {name: value for name, value in values.items() if value is not None}


def move_to(client, clock, moment: dt.datetime) -> None:
    """Go to another time, where the organizer has signed in again."""
    clock.move_to(moment)
    client.force_login(User.objects.get(is_superuser=True))


def questions_of(page: str) -> list[str]:
    """What a form asks at its fields."""
    found = re.findall(r'<div class="question".*?<p>(.*?)</p>', page, re.DOTALL)
    return [" ".join(unescape(text).split()) for text in found]


def answers_of(page: str) -> dict[str, list[str]]:
    """What the browser posts with the next save: what was asked, and what is checked."""
    values: dict[str, list[str]] = {}
    pattern = r'<input type="(?:hidden|radio)" name="(\w+)" value="([^"]*)"(?P<rest>[^>]*)>'
    for found in re.finditer(pattern, page):
        is_radio = found[0].startswith('<input type="radio"')
        if "-" not in found[1] and (not is_radio or "checked" in found["rest"]):
            values.setdefault(found[1], []).append(unescape(found[2]))
    values.pop("csrfmiddlewaretoken", None)
    return values


def post_twice(client, url: str, form: dict[str, str], **answers: str):
    """Save a form that asks, and confirm it, with other answers than the proposed ones."""
    page = client.post(url, form).content.decode()
    return client.post(url, {**form, **answers_of(page), **answers}, follow=True)


def act(client, model, action: str, *things) -> str:
    fields = {"action": action, "_selected_action": [thing.pk for thing in things]}
    return client.post(path(model, "changelist"), fields, follow=True).getvalue().decode()


def sure_of(page: str) -> str:
    """Return the value of the confirmation button."""
    return re.search(r'name="sure" value="([\w. ]+)"', page)[1]


def act_surely(client, action: str, *things) -> str:
    """Choose an action that needs confirmation, and confirm it."""
    model = type(things[0])
    sure = sure_of(act(client, model, action, *things))
    fields = {"action": action, "_selected_action": [each.pk for each in things], "sure": sure}
    return client.post(path(model, "changelist"), fields, follow=True).content.decode()


def messages_of(page: str) -> list[tuple[str, str]]:
    """The color and the text of each message on an admin page."""
    found = re.findall(r'<li class="(success|info|warning|error)">(.*?)</li>', page, re.DOTALL)
    return [(color, " ".join(unescape(text).split())) for color, text in found]
