"""Helpers for the admin pages of events and sessions, and of registrations."""

import contextlib
import datetime as dt
import zoneinfo
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import ModelAdmin
from django.contrib.admin.utils import unquote
from django.core.exceptions import BadRequest, PermissionDenied, ValidationError
from django.db.models import DateTimeField, Model, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import format_lazy, get_text_list
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_POST
from modeltranslation.translator import translator

from events import languages, schedule
from events.admin.concurrent_edits import ConcurrentEditsAdmin, MergedForm
from events.admin.history.recording import HistoryAdmin
from events.admin.merging import plain
from events.links import free_slug
from events.models import RESERVED_SLUGS, Event, Session
from events.templatetags.times import at_clock, day, zone_name
from events.text import parsing
from events.text.search import search_key, typed_words
from events.zoom import status as zoom_status


def by_id(rows: QuerySet[Any], **ids: str | None) -> Any:
    """Return the first row with these ids, which come from a URL or a form, or None."""
    numbers = {name: parsing.integer(value, 0) for name, value in ids.items()}
    return rows.filter(**numbers).first() if all(numbers.values()) else None


def by_id_or_404(rows: QuerySet[Any], **ids: str | None) -> Any:
    row = by_id(rows, **ids)
    if row is None:
        raise Http404
    return row


def default_event() -> Event | None:
    """Return the event that a page is about when nobody chose one."""
    events = Event.objects.active()
    return events.current(timezone.now()) or events.first()


def event_of(request: HttpRequest, session_id: str | None) -> Event | None:
    """Return the event of a session; for a new one, the event chosen in the form or the URL."""
    if session_id:
        return by_id(Event.objects.all(), sessions__pk=session_id)
    chosen = request.POST.get("event") or request.GET.get("event")
    return by_id(Event.objects.all(), pk=chosen) if chosen else default_event()


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
        (pk, search_key(" ".join(text or "" for text in texts)))
        for pk, *texts in model_admin.model._base_manager.values_list("pk", *fields)
    ]
    words = list(map(search_key, typed_words(search_term)))
    found = [pk for pk, key in keys if all(word in key for word in words)]
    return queryset.filter(pk__in=found), False


# For the descriptions of forms.
EACH_LANGUAGE = gettext_lazy(
    "Write in one language or in each. Where one is missing, people see the other, with a note."
)


class TextsForm(MergedForm):
    """A form with the texts of a model in each language; see events/languages.py.

    A required text may be in any of them.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if isinstance(of_event := self.fields.get("event"), forms.ModelChoiceField):
            own = Q(pk=getattr(self.instance, "event_id", None))
            of_event.queryset = Event.objects.filter(own | Q(archived_at=None))
        for shown in self._texts().values():
            for name in shown[1:]:
                # It's next to the first one, which has the same.
                self.fields[name].help_text = ""

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        for name, shown in self._texts().items():
            is_required = not self._meta.model._meta.get_field(name).blank
            if is_required and not any(cleaned.get(each) or each in self.errors for each in shown):
                text = _("Write this in at least one language.")
                self.add_error(shown[0], ValidationError(text, code="required"))
        return cleaned

    def one_sided(self) -> Iterator[tuple[str, str, str, bool]]:
        """Yield what was just written or changed in one language, but not in another.

        That is: the field's label, the one language, the other, and whether the other has a text.
        """
        for name in self._texts():
            columns = {code: languages.column(name, code) for code in languages.codes()}
            now = {code: plain(self.cleaned_data.get(each)) for code, each in columns.items()}
            changed = [
                code for code, each in columns.items() if now[code] != plain(self.initial.get(each))
            ]
            written = [code for code in (*changed, *now) if now[code]]
            if not changed or not written:
                continue
            label = str(self._meta.model._meta.get_field(name).verbose_name)
            for code in now:
                is_old = code not in changed and any(now[each] for each in changed)
                if is_old or not now[code]:
                    yield label, written[0], code, bool(now[code])

    def _texts(self) -> dict[str, list[str]]:
        """By field of the model, the form's fields for each language."""
        names = text_fields(self._meta.model)
        columns = {name: languages.columns(name) for name in names}
        shown = {name: [each for each in columns[name] if each in self.fields] for name in names}
        return {name: found for name, found in shown.items() if found}


def text_fields(model: type[Model]) -> list[str]:
    """The fields with a column for each language, in the model's order."""
    known = translator.get_options_for_model(model).all_fields
    return [each.name for each in model._meta.fields if each.name in known]


class AddressForm(TextsForm):
    """A form where the last part of a web address may be left empty: it's made from a text."""

    # The text's field of the model.
    address_from: str

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if slug := self.fields.get("slug"):
            slug.required = False
            slug.help_text = format_lazy(
                "{} {}", slug.help_text, _("Leave it empty and we'll fill it in.")
            )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if "slug" in cleaned and not cleaned["slug"]:
            texts = (cleaned.get(each) for each in languages.columns(self.address_from))
            cleaned["slug"] = free_slug(
                next(filter(None, texts), ""),
                otherwise=str(self._meta.model._meta.model_name),
                taken=self.taken_addresses(cleaned),
            )
        return cleaned

    def taken_addresses(self, cleaned: dict[str, Any]) -> Iterable[str]:
        """The addresses of other rows, given what was entered."""
        raise NotImplementedError


class EventAddressForm(AddressForm):
    """A form where an event's address may be left empty."""

    address_from = "name"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if slug := self.fields.get("slug"):
            text = _("Another event already has this address. Choose another one.")
            slug.error_messages["unique"] = text

    def taken_addresses(self, cleaned: dict[str, Any]) -> Iterable[str]:
        others = Event.objects.exclude(pk=self.instance.pk)
        return [*RESERVED_SLUGS, *others.values_list("slug", flat=True)]


class TextsAdmin(HistoryAdmin, ConcurrentEditsAdmin):
    """An admin of a model with texts in each language. Its log has names in the main language."""

    form = TextsForm
    # Whether to say after saving that a language is missing.
    notes_missing = True

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Choose the default event, unless the URL names one. A time in a URL can't be shown."""
        initial: dict[str, Any] = super().get_changeform_initial_data(request)
        fields = {each.name: each for each in self.model._meta.fields}
        for name in [each for each in initial if isinstance(fields.get(each), DateTimeField)]:
            del initial[name]
        if "event" in fields and "event" not in initial:
            initial["event"] = getattr(default_event(), "pk", None)
        return initial

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        rows = [(form, "")]
        for formset in formsets:
            kept = [each for each in formset.forms if each not in formset.deleted_forms]
            rows += [(each, f" ({each.instance})") for each in kept if isinstance(each, TextsForm)]
        found: dict[tuple[str, str, bool], list[str]] = {}
        for each, of_row in rows:
            for field, one, other, is_written in each.one_sided():
                found.setdefault((one, other, is_written), []).append(field + of_row)
        texts = [
            one_sided_text(*each, get_text_list(fields, _("and")))
            for each, fields in found.items()
            if self.notes_missing or each[2]
        ]
        if texts:
            messages.warning(request, " ".join(texts))

    def log_addition(self, *args: Any, **kwargs: Any) -> Any:
        with languages.in_main_language():
            return super().log_addition(*args, **kwargs)

    def log_change(self, *args: Any, **kwargs: Any) -> Any:
        with languages.in_main_language():
            return super().log_change(*args, **kwargs)

    def log_deletions(self, *args: Any, **kwargs: Any) -> Any:
        with languages.in_main_language():
            return super().log_deletions(*args, **kwargs)


def one_sided_text(one: str, other: str, is_written: bool, fields: str) -> str:
    values = {"one": languages.names([one]), "other": languages.names([other]), "fields": fields}
    if is_written:
        text = _("You changed this in %(one)s, but not in %(other)s: %(fields)s.")
    else:
        text = _(
            "Not in %(other)s yet: %(fields)s. People who read %(other)s see the text in %(one)s."
        )
    return text % values


def counted(count: int, one: str, many: str, **values: object) -> str:
    """Return `one` or `many` in the reader's language. They contain %(count)s: 1,312."""
    return ngettext(one, many, count) % {"count": f"{count:,}", **values}


def day_and_year(moment: dt.datetime, zone: dt.tzinfo) -> str:
    """Saturday, October 16; in another year than this: Saturday, October 16, 2021"""
    text, year = day(moment, zone), moment.astimezone(zone).year
    if year == timezone.now().astimezone(zone).year:
        return text
    return _("%(days)s, %(year)s") % {"days": text, "year": year}


def named(session: Session) -> str:
    """Opening session, Saturday, October 16 at 9:00 AM"""
    zone = session.event.zone
    return _("%(session)s, %(day)s %(time)s") % {
        "session": session.brief_title,
        "day": day(session.starts_at, zone),
        "time": at_clock(session.starts_at, zone),
    }


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


def page_response(
    model_admin: ModelAdmin, request: HttpRequest, template: str, **context: Any
) -> TemplateResponse:
    """Render a template below admin/, with what the admin's base needs."""
    context = {**model_admin.admin_site.each_context(request), "opts": model_admin.opts, **context}
    return TemplateResponse(request, f"admin/{template}", context)


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


def choice_filter(
    label: str | Promise,
    parameter: str,
    choices: Callable[[], Iterable[tuple[str, str | Promise]]],
    apply: Callable[[Any, str], QuerySet[Any]],
) -> type[admin.SimpleListFilter]:
    """Make a list filter. `choices` returns values and labels, `apply` filters by a value."""

    class ChoiceFilter(admin.SimpleListFilter):
        title = label  # type: ignore[assignment]
        parameter_name = parameter

        def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
            return list(choices())

        def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
            value = self.value()
            is_known = any(value == choice for choice, _label in self.lookup_choices)
            return apply(queryset, value) if value and is_known else queryset

    return ChoiceFilter
