"""The page of an event's sessions as a week, where the most important fields are edited in place.

Each session is checked, saved and logged as on its own page, by the same admin.
"""

import contextlib
import copy
from typing import Any, NamedTuple

from django import forms
from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.contrib.admin.widgets import AdminSplitDateTime
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.text import get_text_list
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from events.admin.concurrent_edits import explain_merge, merge_page, opened
from events.admin.merging import row_key
from events.admin.notified import save_and_explain
from events.admin.pending import pending
from events.admin.questions import asked
from events.admin.shared import by_id_or_404, in_event_time, render_now
from events.languages import columns
from events.models import Event, Meeting, Session
from events.zoom.status import MeetingStatus, meeting_status

FIELDS = [*columns("title"), "starts_at", "ends_at", "capacity"]


class DayAndClock(AdminSplitDateTime):
    """A day and a time, with the browser's own calendar and clock."""

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        day = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
        clock = forms.TimeInput(attrs={"type": "time"}, format="%H:%M:%S")
        forms.MultiWidget.__init__(self, [day, clock], attrs)


class Card(NamedTuple):
    """A session as it is stored, its form, and the one of its Zoom link, if that can be pasted."""

    session: Session
    form: Any
    meetings: Any

    @property
    def formsets(self) -> list[Any]:
        return [self.meetings] if self.meetings is not None else []

    @property
    def is_valid(self) -> bool:
        return all([self.form.is_valid(), *(each.is_valid() for each in self.formsets)])

    @property
    def has_changed(self) -> bool:
        return any(each.has_changed() for each in (self.form, *self.formsets))

    @property
    def zoom(self) -> MeetingStatus:
        return meeting_status(self.session, timezone.now())

    @property
    def agenda_minutes(self) -> int:
        return sum(each.minutes for each in self.session.agenda.all())


def week_page_paths(model_admin: ModelAdmin) -> list[URLPattern]:
    @require_http_methods(["GET", "HEAD", "POST"])
    def view(request: HttpRequest, object_id: str) -> HttpResponse:
        session_admin = model_admin.admin_site.get_model_admin(Session)
        if not session_admin.has_view_permission(request):
            raise PermissionDenied
        event: Event = by_id_or_404(Event.objects.all(), pk=object_id)
        if request.method == "POST" and not session_admin.has_change_permission(request):
            raise PermissionDenied
        return week_page(session_admin, request, event)

    checked = model_admin.admin_site.admin_view(view)
    return [path("<str:object_id>/week/", checked, name="events_event_week")]


def week_page(session_admin: Any, request: HttpRequest, event: Event) -> HttpResponse:
    """Show the week, or save the sessions that were changed on it: all of them or none."""
    sessions = list(event.sessions.order_by("pk"))

    def answer(question: str = "") -> HttpResponse:
        with in_event_time(request, event, event.zone, sessions) as context:
            cards = week_cards(session_admin, request, event)
            # All of them are checked, so that all mistakes are shown at once.
            checked = [each.is_valid for each in cards]
            if request.method == "POST" and all(checked) and not question:
                save_cards(session_admin, request, cards)
                return redirect("admin:events_event_week", event.pk)
            page = week_response(session_admin, request, cards, context | {"question": question})
            return render_now(page)

    if request.method == "POST":
        return save_and_explain(request, sessions, answer)
    return answer()


def week_cards(session_admin: Any, request: HttpRequest, event: Event) -> list[Card]:
    """The cards of all sessions. What was posted is merged with what others saved meanwhile."""
    sessions = list(event.sessions.with_details())
    if request.method != "POST":
        return [session_card(session_admin, request, each, None) for each in sessions]
    stored = [session_card(session_admin, request, each, None) for each in sessions]
    merge_page(
        request,
        event,
        [(f" ({card.session})", card.form) for card in stored],
        [each for card in stored for each in card.formsets],
    )
    warn_of_deleted(request, stored)
    cards = [session_card(session_admin, request, each, request.POST) for each in sessions]
    planned = [as_entered(each.form) for each in cards]
    for card in cards:
        card.form.others = [each for each in planned if each.pk != card.session.pk]
    return cards


def warn_of_deleted(request: Any, stored: list[Card]) -> None:
    """Say so if a session isn't there any more that the page had."""
    before = {key for key in request.merge.opened or () if key.startswith("session:")}
    if before - {row_key(card.form) for card in stored}:
        text = _(
            "Someone deleted a session while you were editing. What you wrote about it is gone."
        )
        messages.warning(request, text)


def session_card(session_admin: Any, request: HttpRequest, session: Session, data: Any) -> Card:
    form_class = session_admin.get_form(request, session, change=True, fields=FIELDS)
    # Without those that the form has whatever is asked for.
    form_class.base_fields = {
        name: field for name, field in form_class.base_fields.items() if name in FIELDS
    }
    # People who may only view sessions get a form without fields.
    for name in {"starts_at", "ends_at"} & form_class.base_fields.keys():
        form_class.base_fields[name].widget = DayAndClock()
    form = form_class(data, instance=session, prefix=f"session-{session.pk}")
    # A form changes its instance before it's known to be valid.
    form.row = copy.copy(session)
    return Card(form.row, form, link_formset(session_admin, request, session, data))


def link_formset(session_admin: Any, request: HttpRequest, session: Session, data: Any) -> Any:
    """The form of a session's pasted Zoom link, as on its own page; None if it isn't pasted."""
    if session.event.creates_meetings:
        return None
    for formset, inline in session_admin.get_formsets_with_inlines(request, session):
        if inline.model is Meeting and inline.has_change_permission(request, session):
            found = formset(
                data,
                instance=session,
                prefix=f"meeting-{session.pk}",
                queryset=inline.get_queryset(request),
            )
            # Fetched with the sessions: otherwise, each formset would ask the database.
            meeting = session.meeting_or_none
            rows = [copy.copy(meeting)] if meeting else []
            found.get_queryset = rows.copy
            for form in found:
                form.row = session
            return found
    return None


def as_entered(form: Any) -> Session:
    """The session with the times that were entered, as far as they are times."""
    session: Session = copy.copy(form.instance)
    length = session.ends_at - session.starts_at
    for name in ("starts_at", "ends_at"):
        with contextlib.suppress(ValidationError):
            if name in form.changed_data:
                setattr(session, name, form.fields[name].clean(form[name].data))
    if "starts_at" in form.changed_data and "ends_at" not in form.changed_data:
        session.ends_at = session.starts_at + length
    return session


def save_cards(session_admin: Any, request: HttpRequest, cards: list[Card]) -> None:
    """Save what was changed, with the same functions as the page of a single session."""
    changed = [card for card in cards if card.has_changed]
    for card in changed:
        session = session_admin.save_form(request, card.form, change=True)
        session_admin.save_model(request, session, card.form, change=True)
        session_admin.save_related(request, card.form, card.formsets, change=True)
        text = session_admin.construct_change_message(request, card.form, card.formsets)
        session_admin.log_change(request, session, text)
    explain_merge(request)
    if changed:
        names = get_text_list([str(card.form.instance) for card in changed], _("and"))
        messages.success(request, _("Saved: %(sessions)s") % {"sessions": names})
    else:
        messages.info(request, _("You changed nothing, so nothing was saved."))


def week_response(
    session_admin: Any, request: HttpRequest, cards: list[Card], context: dict[str, Any]
) -> HttpResponse:
    event, all_forms = context["event"], [card.form for card in cards]
    formsets = [each for card in cards for each in card.formsets]
    is_post = request.method == "POST"
    questions = asked(all_forms, formsets)
    has_errors = any(each.errors for each in all_forms) or any(
        not each.is_valid() for each in formsets if each.is_bound
    )
    notices = {each.session.pk: each for each in pending(event, timezone.now())}
    context = {
        **session_admin.admin_site.each_context(request),
        **context,
        **questions,
        "opts": session_admin.opts,
        "title": _("The week"),
        "rows": [(card, notices.get(card.session.pk)) for card in cards],
        "sessions": [card.session for card in cards],
        "opened": request.POST.get("opened") if is_post else opened(event, all_forms, formsets),
        "has_errors": has_errors and not questions["only_asks"],
        "may_change": session_admin.has_change_permission(request),
        "may_add": session_admin.has_add_permission(request),
    }
    return TemplateResponse(request, "admin/events/event/week.html", context)
