"""The admin pages that shift all sessions of a week, and that duplicate a session."""

import datetime as dt
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.contrib.admin.widgets import AdminIntegerFieldWidget
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from events import schedule, weeks
from events.admin.notified import emails_texts, explain_emails
from events.admin.shared import by_id_or_404, counted, day_and_year, page_response
from events.admin.weeks.creating import DayField, admin_form, new_dates
from events.languages import in_main_language
from events.models import Event, Session
from events.templatetags.times import zone_name
from events.text import parsing

MOST_DAYS = 3 * 366
MOST_MINUTES = 24 * 60
A_DAY = dt.timedelta(days=1)


class ShiftForm(forms.Form):
    """How far to move all sessions of an event."""

    days = forms.IntegerField(
        label=gettext_lazy("Days"),
        initial=0,
        validators=[MinValueValidator(-MOST_DAYS), MaxValueValidator(MOST_DAYS)],
        widget=AdminIntegerFieldWidget,
        help_text=gettext_lazy(
            "7 is a week later. -1 is a day earlier. Clock times stay the same."
        ),
    )
    minutes = forms.IntegerField(
        label=gettext_lazy("Minutes"),
        initial=0,
        validators=[MinValueValidator(-MOST_MINUTES), MaxValueValidator(MOST_MINUTES)],
        widget=AdminIntegerFieldWidget,
        help_text=gettext_lazy("30 is half an hour later. -30 is half an hour earlier."),
    )

    def __init__(self, *args: Any, event: Event, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.event = event

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if self.errors:
            return cleaned
        if not self.by:
            raise ValidationError(_("Enter how many days or minutes to shift the sessions."))
        for moved in weeks.shifted_sessions(self.event, self.by):
            if moved.starts_at <= timezone.now():
                text = _("“%(session)s” would start in the past. Choose other days or minutes.")
                raise ValidationError(text % {"session": moved.session})
        return cleaned

    @property
    def by(self) -> dt.timedelta:
        return dt.timedelta(days=self.cleaned_data["days"], minutes=self.cleaned_data["minutes"])


def shift_paths(model_admin: ModelAdmin) -> list[URLPattern]:
    @require_http_methods(["GET", "HEAD", "POST"])
    def view(request: HttpRequest, object_id: str) -> HttpResponse:
        session_admin = model_admin.admin_site.get_model_admin(Session)
        if not session_admin.has_change_permission(request):
            raise PermissionDenied
        event: Event = by_id_or_404(Event.objects.all(), pk=object_id)
        return shift_page(session_admin, request, event)

    checked = model_admin.admin_site.admin_view(view)
    return [path("<str:object_id>/shift/", checked, name="events_event_shift")]


def shift_page(session_admin: Any, request: HttpRequest, event: Event) -> HttpResponse:
    """Ask how far, show the new dates and how many people hear of it, and then shift."""
    form = ShiftForm(request.POST or None, event=event)
    is_sure = request.POST.get("do") == "shift"
    if not form.is_valid() or not is_sure or request.POST.get("dates_for") != str(form.by):
        return shift_response(session_admin, request, event, form)
    for each in event.sessions.all():
        session_admin.remember(request, each)
    try:
        sessions = weeks.shift_sessions(event=event, by=form.by, seen=seen_revisions(request))
    except schedule.EditedMeanwhile:
        text = _(
            "A session was just edited, so nothing was done. Please check the new dates again."
        )
        messages.warning(request, text)
        return shift_response(session_admin, request, event, form)
    with in_main_language():
        log_text = _("Shifted, with all sessions of the week.")
    for session in sessions:
        session_admin.log_change(request, session, log_text)
    text = counted(len(sessions), "%(count)s session moved.", "%(count)s sessions moved.")
    messages.success(request, text)
    explain_emails(request, sessions)
    return redirect("admin:events_event_week", event.pk)


def seen_revisions(request: HttpRequest) -> dict[int, int]:
    """The sessions whose new dates the page had, and their revisions."""
    pairs = (each.partition(":") for each in request.POST.getlist("seen"))
    return {parsing.integer(pk, 0): parsing.integer(number, -1) for pk, _colon, number in pairs}


def shift_response(
    session_admin: Any, request: HttpRequest, event: Event, form: ShiftForm
) -> HttpResponse:
    moved = weeks.shifted_sessions(event, form.by) if form.is_valid() else []
    return page_response(
        session_admin,
        request,
        "events/event/shift.html",
        title=_("Shift all sessions"),
        event=event,
        forms=[admin_form(session_admin, form, [(None, {"fields": [("days", "minutes")]})])],
        mistakes=form.non_field_errors(),
        dates=new_dates(event, moved),
        dates_for=str(form.by) if moved else "",
        seen=[f"{each.session.pk}:{each.session.revision}" for each in moved],
        emails=foreseen_emails(event, form.by) if moved else [],
        asks_again=form.is_valid() and request.POST.get("do") == "shift",
        stays=event.sessions.filter(starts_at__lte=timezone.now()).exists(),
        is_empty=form.is_valid() and not moved,
        times_in=zone_name(event.zone),
        has_errors=bool(form.errors),
    )


def foreseen_emails(event: Event, by: dt.timedelta) -> list[str]:
    """Who would get an email, and when: found by shifting, which is undone at once."""
    with transaction.atomic():
        texts = emails_texts(weeks.shift_sessions(event=event, by=by))
        transaction.set_rollback(True)
    return texts


class DuplicateForm(forms.Form):
    day = DayField(label=gettext_lazy("Day of the copy"))


def duplicate_paths(model_admin: ModelAdmin) -> list[URLPattern]:
    @require_http_methods(["GET", "HEAD", "POST"])
    def view(request: HttpRequest, object_id: str) -> HttpResponse:
        if not (
            model_admin.has_add_permission(request) and model_admin.has_view_permission(request)
        ):
            raise PermissionDenied
        sessions = Session.objects.select_related("event")
        return duplicate_page(model_admin, request, by_id_or_404(sessions, pk=object_id))

    checked = model_admin.admin_site.admin_view(view)
    return [path("<str:object_id>/duplicate/", checked, name="events_session_duplicate")]


def duplicate_page(model_admin: ModelAdmin, request: HttpRequest, session: Session) -> HttpResponse:
    """Ask for the day of the copy, the next one by default, and make it."""
    event = session.event
    next_day = max(event.day_of(session.starts_at), event.day_of(timezone.now())) + A_DAY
    form = DuplicateForm(request.POST or None, initial={"day": next_day})
    if not form.is_valid():
        return page_response(
            model_admin,
            request,
            "events/event/duplicate.html",
            title=_("Duplicate “%(session)s”") % {"session": session},
            session=session,
            forms=[admin_form(model_admin, form, [(None, {"fields": ["day"]})])],
            has_errors=bool(form.errors),
        )
    day = form.cleaned_data["day"]
    new, is_new = weeks.duplicate_session(session=session, day=day)
    if is_new:
        with in_main_language():
            log_text = _("Copied from “%(event)s”.") % {"event": session}
        model_admin.log_addition(request, new, log_text)
    explain_duplicate(request, session, new)
    return redirect(f"{reverse('admin:events_event_week', args=[event.pk])}#session-{new.pk}")


def explain_duplicate(request: HttpRequest, session: Session, new: Session) -> None:
    zone = session.event.zone
    text = _("“%(session)s” is now on %(day)s, too. The copy is a draft, and has no Zoom link yet.")
    messages.success(request, text % {"session": new, "day": day_and_year(new.starts_at, zone)})
    moved = weeks.day_moved(session, session.event.day_of(new.starts_at))
    if note := weeks.clock_note(str(new), moved.local, zone):
        messages.warning(request, note)
