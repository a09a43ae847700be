"""The History pages of the admin: who changed what and when, with old and new values.

An event's has everything about the event. What someone may not view elsewhere isn't on it either.
"""

import zoneinfo
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from django.contrib import admin
from django.contrib.admin.models import ADDITION, DELETION, LogEntry
from django.contrib.admin.utils import unquote
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.db.models import Exists, Model, OuterRef, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from events import history
from events.admin.history.texts import ChangeText, change_texts
from events.history import Change
from events.models import Event
from events.templatetags.times import moment, zone_name
from events.text import parsing

PER_PAGE = 50


class HistoryAdmin(admin.ModelAdmin):
    """Adds the old and new values to Django's log, and shows them."""

    # The names of the rows that belong to one and are changed on its page, such as "agenda".
    history_parts: tuple[str, ...] = ()
    # Whether its texts, times and links can be set back: see reverting.py.
    can_revert = False

    def hidden_in_history(self, request: HttpRequest) -> set[str]:
        """The fields that this person may not see."""
        return set()

    def history_value(self, field: str, value: Any) -> str:
        """A stored value as text, if the field doesn't know how to show it, or ""."""
        return ""

    def remember(self, request: HttpRequest, row: Model) -> None:
        """Note what is stored before a change. `log_change` then records what differs."""
        known = request.__dict__.setdefault("history_before", {})
        known[row._meta.label_lower, row.pk] = history.snapshot(row, self.history_parts)

    def save_form(self, request: HttpRequest, form: Any, change: bool) -> Any:
        """Django calls this on each page that saves a form, before anything is written."""
        if change:
            self.remember(request, form.instance)
        return super().save_form(request, form, change)

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> LogEntry:
        entry = super().log_addition(request, obj, message)
        history.record([entry], [obj])
        return entry

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        """Add an entry and return it, unless a form was saved without a change."""
        known = request.__dict__.get("history_before", {})
        before = known.pop((obj._meta.label_lower, obj.pk), None)
        after = history.snapshot(obj, self.history_parts) if before else {}
        changed = history.changes(before, after) if before else []
        if not message and not changed:
            return None
        entry = super().log_change(request, obj, message)
        history.record([entry], [obj], changed)
        return entry

    def log_deletions(self, request: HttpRequest, queryset: Any) -> list[LogEntry]:
        rows = list(queryset)
        entries: Any = super().log_deletions(request, rows)  # type: ignore[arg-type]
        for entry, row in zip(entries, rows, strict=True):
            deleted = history.changes(history.snapshot(row, self.history_parts), {})
            history.record([entry], [row], deleted)
        return list(entries)

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: Any = None
    ) -> HttpResponse:
        row: Any = self.get_object(request, unquote(object_id))
        if row is None:
            answer: HttpResponse = self._get_obj_does_not_exist_redirect(  # type: ignore[attr-defined]
                request, self.opts, object_id
            )
            return answer
        if not self.has_view_or_change_permission(request, row):
            raise PermissionDenied
        return history_page(self, request, row)


class EntryText(NamedTuple):
    """An entry as people read it. `url` leads to its row, `revert_url` to setting it back."""

    who: str
    when: str
    what: str
    url: str
    done: str
    changes: list[ChangeText]
    revert_url: str


def history_page(model_admin: HistoryAdmin, request: HttpRequest, row: Any = None) -> HttpResponse:
    """What was changed of a row or, without one, on the whole site."""
    event = event_of(row)
    zone = (event or Event()).zone
    rows = entries_about(model_admin, request, row)
    if who := parsing.integer(request.GET.get("by"), 0):
        rows = rows.filter(user=who)
    if before := parsing.integer(request.GET.get("before"), 0):
        rows = rows.filter(pk__lt=before)
    found = list(rows[: PER_PAGE + 1])
    context = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "title": _("History: %(name)s") % {"name": row} if row else _("History of the whole site"),
        "object": row,
        "may_view_event": request.user.has_perm("events.view_event"),
        "of_event": event if event and event != row else None,
        "entries": list(entry_texts(model_admin, request, found[:PER_PAGE], zone)),
        "older_than": found[PER_PAGE - 1].pk if len(found) > PER_PAGE else None,
        "is_newest": not before,
        "people": people_to_choose(),
        "by": who,
        "times_in": zone_name(zone),
    }
    return TemplateResponse(request, "admin/events/history.html", context)


def people_to_choose() -> QuerySet[User]:
    """Today's organizers, and everyone else who ever changed something."""
    has_entries = Exists(LogEntry.objects.filter(user=OuterRef("pk")))
    return User.objects.filter(Q(is_staff=True) | has_entries).order_by("username")


def event_of(row: Any) -> Event | None:
    event_id = history.event_id_of(row)
    return Event.objects.filter(pk=event_id).first() if event_id else None


def entries_about(model_admin: HistoryAdmin, request: HttpRequest, row: Any) -> QuerySet[LogEntry]:
    """The newest first. Each page reads only its own entries: an event may have 100,000."""
    entries = LogEntry.objects.select_related("user", "content_type", "details")
    if row is not None and not isinstance(row, Event):
        own_type = ContentType.objects.get_for_model(row)
        return entries.filter(content_type=own_type, object_id=str(row.pk)).order_by("-pk")
    # On the site's page, superusers also see what has no page in the admin, or no model any more.
    if row is not None or not request.user.is_superuser:
        types = viewable_types(model_admin.admin_site, request)
        entries = entries.filter(content_type__in=types)
    if row is None:
        return entries.order_by("-pk")
    # Not by `details__pk`: Django would order by the log's own order, the oldest first.
    return entries.filter(details__event=row).order_by("-details__log_id")


def viewable_types(site: admin.AdminSite, request: HttpRequest) -> list[int]:
    """The kinds of rows that this person may view in the admin."""
    return [
        ContentType.objects.get_for_model(model).pk
        for model, model_admin in site._registry.items()
        if model_admin.has_view_permission(request)
    ]


def entry_texts(
    model_admin: HistoryAdmin, request: HttpRequest, entries: Iterable[LogEntry], zone: Any
) -> Iterator[EntryText]:
    for entry in entries:
        model: Any = entry.content_type.model_class() if entry.content_type else None
        owner = model_admin.admin_site._registry.get(model)
        owner = owner if isinstance(owner, HistoryAdmin) else model_admin
        yield entry_text(owner, request, entry, zone)


def entry_text(
    owner: HistoryAdmin, request: HttpRequest, entry: LogEntry, zone: zoneinfo.ZoneInfo
) -> EntryText:
    details = getattr(entry, "details", None)
    hidden = owner.hidden_in_history(request)
    changed = visible_changes(request, entry, details.changes) if details else []
    stored = [each for each in changed if each["field"] not in hidden]
    name = f"{owner.opts.app_label}_{owner.opts.model_name}"
    url = entry.action_flag != DELETION and entry.object_id and entry.get_admin_url()
    can_revert = owner.can_revert and stored and entry.action_flag not in (ADDITION, DELETION)
    may_revert = can_revert and owner.has_change_permission(request)
    args = [entry.object_id, entry.pk]
    return EntryText(
        who=entry.user.get_full_name() or entry.user.get_username(),
        when=moment(entry.action_time, zone),
        what=what_text(entry),
        url=url or "",
        done=done_text(entry, bool(stored)),
        changes=list(change_texts(owner, stored, zone)),
        revert_url=reverse(f"admin:{name}_revert", args=args) if may_revert else "",
    )


def visible_changes(
    request: HttpRequest, entry: LogEntry, changes: Iterable[Change], *verbs: str
) -> list[Change]:
    """Leave out rows that belong to the entry's, such as a meeting, if someone may not view them.

    `verbs` are the permissions of which one is needed, otherwise "view" or "change".
    """
    kind = entry.content_type
    own = f"{kind.app_label}.{kind.model}" if kind else ""
    user: Any = request.user

    def is_visible(label: str) -> bool:
        names = (label.replace(".", f".{verb}_") for verb in verbs or ("view", "change"))
        return label == own or any(map(user.has_perm, names))

    return [each for each in changes if is_visible(each["model"])]


def what_text(entry: LogEntry) -> str:
    """Session “Legislation”; Registrations"""
    kind, kinds = kind_names(entry)
    if not entry.object_id:
        return capfirst(kinds)
    return _("%(kind)s “%(name)s”") % {"kind": capfirst(kind), "name": entry.object_repr}


def kind_names(entry: LogEntry) -> tuple[str, str]:
    """What the entry's kind of row is called, one and several. Also if there's no such kind now."""
    model: Any = entry.content_type.model_class() if entry.content_type else None
    if model:
        return str(model._meta.verbose_name), str(model._meta.verbose_name_plural)
    name = entry.content_type.model if entry.content_type else ""
    return name, name


def done_text(entry: LogEntry, has_values: bool) -> str:
    if entry.action_flag == DELETION:
        return entry.get_change_message() or _("Deleted.")
    is_saved_form = entry.change_message.startswith("[")
    if entry.action_flag == ADDITION and is_saved_form:
        return _("Added.")
    return _("Changed:") if is_saved_form and has_values else entry.get_change_message()
