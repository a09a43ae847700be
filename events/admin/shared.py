"""Helpers for the admin pages of events and sessions, and of registrations."""

import contextlib
import zoneinfo
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.contrib.admin.utils import unquote
from django.core.exceptions import BadRequest, PermissionDenied
from django.db.models import DateTimeField, Model, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from events import parsing, schedule
from events.models import Event, Session
from events.search import search_key, typed_words
from events.templatetags.times import zone_name
from events.zoom import status as zoom_status


def by_id(rows: QuerySet[Any], **ids: str | None) -> Any:
    """Return the first row with these ids, which come from a URL or a form, or None."""
    numbers = {name: parsing.integer(value, 0) for name, value in ids.items()}
    return rows.filter(**numbers).first() if all(numbers.values()) else None


def default_event() -> Event | None:
    """Return the event that a page is about when nobody chose one."""
    return Event.objects.current(timezone.now()) or Event.objects.first()


def with_default_event(initial: Mapping[str, Any]) -> dict[str, Any]:
    """Add the default event to a form's initial values, unless they name one."""
    event = default_event()
    return {"event": event.pk if event else None, **initial}


def without_times(model: type[Model], initial: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out initial values of times: Django's admin can't show one from a URL."""
    times = {each.name for each in model._meta.fields if isinstance(each, DateTimeField)}
    return {name: value for name, value in initial.items() if name not in times}


def search_stored_keys(
    model_admin: ModelAdmin, request: HttpRequest, queryset: QuerySet[Any], search_term: str
) -> tuple[QuerySet[Any], bool]:
    """Use as `get_search_results`. `search_fields` name a lookup, most of them of a search key."""
    rows = model_admin.model._base_manager
    for word in typed_words(search_term):
        found = Q()
        for lookup in model_admin.get_search_fields(request):
            value = search_key(word) if "search_key" in lookup else word
            # One subquery per field: with an OR of columns, PostgreSQL uses none of their indexes.
            found |= Q(pk__in=rows.filter(**{lookup: value}).values("pk"))
        queryset = queryset.filter(found)
    return queryset, False


def search_texts(
    model_admin: ModelAdmin, request: HttpRequest, queryset: QuerySet[Any], search_term: str
) -> tuple[QuerySet[Any], bool]:
    """Use as `get_search_results` of lists without search keys. It reads the texts of all rows."""
    fields = model_admin.get_search_fields(request)
    keys = [
        (pk, search_key(" ".join(map(str, texts))))
        for pk, *texts in model_admin.model._base_manager.values_list("pk", *fields)
    ]
    words = list(map(search_key, typed_words(search_term)))
    found = [pk for pk, key in keys if all(word in key for word in words)]
    return queryset.filter(pk__in=found), False


def counted(count: int, one: str, many: str, **values: object) -> str:
    """Return `one` or `many` in the reader's language. They contain %(count)s: 1,312."""
    return ngettext(one, many, count) % {"count": f"{count:,}", **values}


def warning(text: str | Promise) -> SafeString:
    return format_html('<b class="warning">{}</b>', text)


@contextlib.contextmanager
def in_event_time(
    request: HttpRequest, event: Event | None, zone: zoneinfo.ZoneInfo, sessions: Iterable[Session]
) -> Iterator[dict[str, Any]]:
    """Handle a change form in the event's time zone. Yields context for its template.

    `sessions` are those that a POST may change: attendees get a notice of it.
    """
    with timezone.override(zone), contextlib.ExitStack() as edits:
        if request.method == "POST":
            for session in sessions:
                edits.enter_context(schedule.edit_session(session.pk))
        yield {
            "times_in": zone_name(zone),
            "event": event,
            "needs_attention": Session.objects.select_related("event", "meeting").filter(
                zoom_status.needs_attention(timezone.now()), event=event
            ),
        }


def render_now(response: HttpResponse) -> HttpResponse:
    """Render a page inside `timezone.override`: later, its times would be in another zone."""
    return response.render() if isinstance(response, TemplateResponse) else response


def save_entered_fields(formset: Any) -> None:
    """Save new rows, and only the changed fields of others: workers write the rest meanwhile."""
    formset.save(commit=False)
    for row in formset.new_objects:
        row.save()
    for row, fields in formset.changed_objects:
        row.save(update_fields=fields)


def buttons_view(
    model_admin: ModelAdmin, buttons: Mapping[str, Callable[..., None]]
) -> Callable[..., HttpResponse]:
    """Make the view for the extra buttons of a change page: `do` in the POST names one."""

    @require_POST
    def press(request: HttpRequest, object_id: str) -> HttpResponse:
        row = model_admin.get_object(request, unquote(object_id))
        if row is None:
            raise Http404
        if not model_admin.has_change_permission(request, row):
            raise PermissionDenied
        button = buttons.get(request.POST.get("do", ""))
        if button is None:
            raise BadRequest
        button(model_admin, request, row)
        return redirect(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", row.pk)

    return model_admin.admin_site.admin_view(press)


def show_result(
    request: HttpRequest,
    done: int,
    text: str,
    *,
    left: int = 0,
    reason: str = "",
    otherwise: str = "",
) -> None:
    """Say in green what an action did, if it did anything, and in yellow what it skipped.

    `reason` says why those were skipped, and `otherwise` that there was nothing to do.
    """
    if done:
        messages.success(request, text)
    elif otherwise:
        messages.warning(request, otherwise)
    if left:
        text = counted(
            left,
            "%(count)s was skipped: %(reason)s",
            "%(count)s were skipped: %(reason)s",
            reason=reason,
        )
        messages.warning(request, text)
