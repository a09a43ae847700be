"""Setting back what an entry of the history says was changed: texts, times, links and spots.

It asks first, and then saves like any other edit, so people are notified in the same way. A
cancellation is undone on the page that restores a session, and the other way around.
"""

import contextlib
import datetime as dt
import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from django.contrib import messages
from django.contrib.admin.models import LogEntry
from django.contrib.admin.utils import unquote
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import models, transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from events import history, schedule
from events.admin.history.recording import HistoryAdmin, event_of, visible_changes
from events.admin.history.texts import ChangeText, change_texts, known_field, known_model
from events.admin.notified import emails_texts, save_and_explain
from events.admin.shared import by_id_or_404
from events.history import Change
from events.languages import columns
from events.models import AgendaItem, Event, Meeting, Session
from events.templatetags.times import moment

OF_A_CANCELLATION = {"canceled_at", *columns("cancel_reason")}
# Texts that other rows or settings depend on.
NEVER = {"time_zone", "slug", "uid", *columns("choices")}


class Step(NamedTuple):
    """A field to set back, of a row as it is now."""

    row: Any
    field: Any
    value: Any
    change: Change


def urls(model_admin: HistoryAdmin) -> list[URLPattern]:
    @require_http_methods(["GET", "HEAD", "POST"])
    def view(request: HttpRequest, object_id: str, entry_id: int) -> HttpResponse:
        row: Any = model_admin.get_object(request, unquote(object_id))
        if row is None:
            raise Http404
        if not model_admin.has_change_permission(request, row):
            raise PermissionDenied
        own_type = ContentType.objects.get_for_model(row)
        entries = LogEntry.objects.filter(content_type=own_type, object_id=row.pk)
        entry = by_id_or_404(entries.exclude(details=None), pk=str(entry_id))
        return revert_page(model_admin, request, row, entry)

    name = f"{model_admin.opts.app_label}_{model_admin.opts.model_name}_revert"
    checked = model_admin.admin_site.admin_view(view)
    return [path("<path:object_id>/history/<int:entry_id>/", checked, name=name)]


def revert_page(
    model_admin: HistoryAdmin, request: HttpRequest, row: Any, entry: LogEntry
) -> HttpResponse:
    fields = {each["field"] for each in entry.details.changes}
    if "canceled_at" in fields and fields <= OF_A_CANCELLATION:
        return redirect(
            f"admin:events_session_{'restore' if row.is_canceled else 'cancel'}", row.pk
        )

    def answer(question: str = "") -> HttpResponse:
        if request.method != "POST" or question:
            return asking_page(model_admin, request, row, entry, question)
        return press(model_admin, request, row, entry)

    if request.method == "POST":
        return save_and_explain(request, sessions_of(row), answer)
    return answer()


def press(
    model_admin: HistoryAdmin, request: HttpRequest, row: Any, entry: LogEntry
) -> HttpResponse:
    """Set it back, unless someone changed it after the page was opened."""
    name = f"{model_admin.opts.app_label}_{model_admin.opts.model_name}"
    zone = (event_of(row) or Event()).zone
    try:
        with saving(row) as current:
            # Someone may have started the announcement.
            if not model_admin.has_change_permission(request, current):
                raise PermissionDenied
            found = steps(request, current, entry)
            if request.POST.get("seen") != fingerprint(found):
                text = _("Someone just changed this, so nothing was done. Please check it again.")
                messages.warning(request, text)
                return redirect(request.path)
            model_admin.remember(request, current)
            save(found)
            text = _("Reverted the change from %(when)s.")
            text %= {"when": moment(entry.action_time, zone)}
            model_admin.log_change(request, current, text)
    except ValidationError as error:
        problem = " ".join(error.messages)
        messages.error(request, _("Nothing was reverted: %(problem)s") % {"problem": problem})
        return redirect(request.path)
    messages.success(request, _("“%(name)s”: the change is reverted.") % {"name": current})
    return redirect(f"admin:{name}_history", row.pk)


def sessions_of(row: Any) -> list[Session]:
    """The sessions that people see changed when this row is: their agendas name the speakers."""
    if isinstance(row, Event):
        return list(row.sessions.order_by("pk"))
    return [row] if isinstance(row, Session) else []


@contextlib.contextmanager
def saving(row: Any) -> Iterator[Any]:
    """A transaction that edits the row as its own page does. Yields the row, locked."""
    with transaction.atomic(), contextlib.ExitStack() as edits:
        for session in sessions_of(row):
            edits.enter_context(schedule.edit_session(session.pk))
        yield type(row)._base_manager.select_for_update(no_key=True).get(pk=row.pk)


def steps(request: HttpRequest, row: Any, entry: LogEntry) -> list[Step]:
    """What this person can set back, and isn't as it was already."""
    found = []
    stored = history.stored_changes(entry.details)
    changed = visible_changes(request, entry, stored, "change")
    # Without its passcode, the rest of a meeting would only confuse people.
    lost = {(each["model"], each["pk"]) for each in changed if is_lost(each)}
    for change in changed:
        if (change["model"], change["pk"]) in lost:
            continue
        owner = row
        if (change["model"], change["pk"]) != (row._meta.label_lower, row.pk):
            owner = part_of(row, change)
        field, _code = known_field(known_model(change["model"]), change["field"])
        if owner and can_set_back(owner, field, change):
            old = change["secret"] if change["hidden"] else change["old"]
            step = Step(owner, field, python_value(field, old), change)
            if getattr(owner, field.name) != step.value:
                found.append(step)
    return found


def part_of(row: Any, change: Change) -> Any:
    """A row that belongs to the one that was changed, if it's still there."""
    model = known_model(change["model"])
    found = model._base_manager.filter(pk=change["pk"]).first() if model else None
    return found if found and history.event_id_of(found) == history.event_id_of(row) else None


def is_lost(change: Change) -> bool:
    """Whether the old value was a secret that can't be read any more."""
    return bool(change["hidden"] and change["old"] and not change["secret"])


def can_set_back(row: Any, field: Any, change: Change) -> bool:
    if field is None or change["added"] or change["field"] in NEVER:
        return False
    if isinstance(row, Meeting):
        is_pasted = row.state == Meeting.State.PASTED
        return is_pasted and row.session is not None and not row.session.event.creates_meetings
    is_text = isinstance(field, models.CharField | models.TextField) and not field.choices
    is_time = isinstance(field, models.DateTimeField) and field.editable
    return is_text or is_time or change["field"] == "capacity"


def python_value(field: Any, value: Any) -> Any:
    if value is None:
        return None if field.null else ""
    return dt.datetime.fromisoformat(value) if isinstance(field, models.DateTimeField) else value


def save(found: Iterable[Step]) -> None:
    """Check the values like a form, and save them. Raises ValidationError."""
    by_row: dict[tuple[str, int], list[Step]] = {}
    for step in found:
        by_row.setdefault((step.row._meta.label, step.row.pk), []).append(step)
    for of_row in by_row.values():
        row, names = of_row[0].row, {step.field.name for step in of_row}
        for step in of_row:
            # One of the same row may have been fetched for each of its fields.
            setattr(row, step.field.name, step.value)
        times = [getattr(row, each) for each in names & {"starts_at", "ends_at"}]
        if isinstance(row, Session) and any(each <= timezone.now() for each in times):
            raise ValidationError(_("The old time has passed."))
        row.clean_fields(exclude={each.name for each in row._meta.fields} - names)
        row.validate_constraints()
        row.save(update_fields=names)
        session = row.session if isinstance(row, Meeting | AgendaItem) else row
        if isinstance(session, Session):
            # Calendars take the entry with the newer stamp.
            session.save(update_fields=["updated_at"])


def asking_page(
    model_admin: HistoryAdmin, request: HttpRequest, row: Any, entry: LogEntry, question: str
) -> HttpResponse:
    # As it's stored: a save that asks is undone, but not in the row.
    row = type(row)._base_manager.get(pk=row.pk)
    found, event = steps(request, row, entry), event_of(row)
    zone = (event or Event()).zone
    context = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "title": _("Revert this change?"),
        "object": row,
        "event": event,
        "session": row if isinstance(row, Session) else None,
        "emails": [] if isinstance(row, Session) else foreseen_emails(request, row, entry),
        "when": moment(entry.action_time, zone),
        "who": entry.user.get_full_name() or entry.user.get_username(),
        "changes": list(texts(model_admin, found, zone)),
        "left": len(entry.details.changes) - len(found),
        "seen": fingerprint(found),
        "question": question,
    }
    return TemplateResponse(request, "admin/events/revert.html", context)


def foreseen_emails(request: HttpRequest, row: Any, entry: LogEntry) -> list[str]:
    """Who would get an email, and when: found by reverting, which is undone at once."""
    before = {session.pk: session.revision for session in sessions_of(row)}
    with transaction.atomic(), contextlib.suppress(ValidationError):
        with saving(row) as current:
            save(steps(request, current, entry))
        found = Session.objects.filter(pk__in=before).select_related("event")
        told = emails_texts(each for each in found if each.revision != before[each.pk])
        transaction.set_rollback(True)
        return told
    return []


def texts(model_admin: HistoryAdmin, found: list[Step], zone: Any) -> Iterator[ChangeText]:
    """What each field is now, and what it will be."""
    for step in found:
        now = getattr(step.row, step.field.name)
        stored = now.isoformat() if isinstance(now, dt.datetime) else now
        stored = history.without_secret(step.field.name, stored)
        shown: Change = {**step.change, "old": stored, "new": step.change["old"]}
        yield from change_texts(model_admin, [shown], zone)


def fingerprint(found: list[Step]) -> str:
    """Differs when any of the values that would be replaced does."""
    values = [(step.change["field"], getattr(step.row, step.field.name)) for step in found]
    return hashlib.sha256(json.dumps(values, default=str).encode()).hexdigest()
