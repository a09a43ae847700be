"""The admin pages that create a week from a pattern, and that copy a week."""

import datetime as dt
import uuid
import zoneinfo
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

from django import forms
from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.contrib.admin.helpers import AdminForm
from django.contrib.admin.utils import unquote
from django.contrib.admin.widgets import (
    AdminIntegerFieldWidget,
    AdminRadioSelect,
    AdminTextInputWidget,
)
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.text import capfirst
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from events import weeks
from events.admin.shared import EACH_LANGUAGE, EventAddressForm, default_event, page_response
from events.languages import columns, in_main_language, texts
from events.models import Event, Session
from events.templatetags.times import day, hours, zone_name
from events.timezones import moment_of, offered_time_zones
from events.weeks import MOST_EVENINGS, SATURDAY, Pattern, PlannedSession, Slot

MOST_SESSIONS = 20
MOST_DAYS_AHEAD = 3 * 366
# Weeks that are a year apart start on the same day of the week.
A_YEAR = dt.timedelta(weeks=52)
SOON = dt.timedelta(weeks=4)


def week_paths(model_admin: ModelAdmin) -> list[URLPattern]:
    """Paths for `get_urls`, for people who may add events."""

    def checked(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        @require_http_methods(["GET", "HEAD", "POST"])
        def page(request: HttpRequest, **values: str) -> HttpResponse:
            if not model_admin.has_add_permission(request):
                raise PermissionDenied
            if request.POST.get("do") == "create" and (event := draft_made_by(request)):
                # The button was pressed twice.
                return to_event(model_admin, request, event)
            return view(model_admin, request, **values)

        return model_admin.admin_site.admin_view(page)

    return [
        path("create/", checked(create_page), name="events_event_create"),
        path("<path:object_id>/copy/", checked(copy_page), name="events_event_copy"),
    ]


def draft_made_by(request: HttpRequest) -> Event | None:
    """The draft that this form has made before."""
    try:
        return weeks.draft_with_key(uuid.UUID(request.POST.get("draft_key", "")))
    except ValueError:
        return None


def to_event(model_admin: ModelAdmin, request: HttpRequest, event: Event) -> HttpResponse:
    """Lead to the page of an event, if this person may see it."""
    if model_admin.has_view_or_change_permission(request, event):
        return redirect("admin:events_event_change", event.pk)
    return redirect("admin:index")


def log_draft(model_admin: ModelAdmin, request: HttpRequest, event: Event, text: str) -> None:
    model_admin.log_addition(request, event, text)
    if event.creates_meetings:
        messages.info(request, _("We'll create its Zoom meetings in about a minute."))


class DayField(forms.DateField):
    """A day, with the browser's calendar. Not long ago, and not by mistake in another century."""

    def __init__(self, **kwargs: Any) -> None:
        widget = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
        super().__init__(widget=widget, input_formats=["%Y-%m-%d"], **kwargs)
        self.error_messages |= {
            "required": gettext_lazy("Choose a day."),
            "invalid": gettext_lazy("Choose a day, or write it like 2027-10-16."),
        }

    def validate(self, value: Any) -> None:
        super().validate(value)
        if value is None:
            return
        # Somewhere it's still yesterday.
        if value < timezone.now().date() - dt.timedelta(days=1):
            raise ValidationError(_("This day has passed. Choose a later one."))
        if value > timezone.now().date() + dt.timedelta(days=MOST_DAYS_AHEAD):
            raise ValidationError(_("This is years away. Is it the right year?"))


class ClockField(forms.TimeField):
    def __init__(self, **kwargs: Any) -> None:
        widget = forms.TimeInput(attrs={"type": "time"}, format="%H:%M")
        super().__init__(widget=widget, input_formats=["%H:%M", "%H:%M:%S"], **kwargs)
        self.error_messages |= {
            "required": gettext_lazy("Choose a time."),
            "invalid": gettext_lazy("Choose a time, or write it like 18:30."),
        }


class DraftForm(EventAddressForm):
    """What each new week needs. Its key is that of the draft: a page makes one."""

    draft_key = forms.UUIDField(widget=forms.HiddenInput)
    first_day = DayField(label=gettext_lazy("First day"))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial.setdefault("draft_key", uuid.uuid4())
        self.fields["slug"].help_text = _(
            "The last part of its web address. Leave it empty and we'll fill it in."
        )


class WeekForm(DraftForm):
    pattern = forms.ChoiceField(
        label=gettext_lazy("Sessions"),
        choices=Pattern.choices,
        initial=Pattern.WEEK,
        widget=AdminRadioSelect(attrs={"class": "radiolist"}),
        help_text=gettext_lazy("On the next page, you can change each title, day and time."),
    )
    evenings = forms.IntegerField(
        label=gettext_lazy("How many evenings"),
        initial=4,
        widget=AdminIntegerFieldWidget,
        validators=[MinValueValidator(1), MaxValueValidator(MOST_EVENINGS)],
        help_text=gettext_lazy("Only for a series of evenings."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["slug"].widget = forms.HiddenInput()
        zone = self.fields["time_zone"]
        zone.widget = forms.Select(choices=offered_time_zones(self.initial.get("time_zone", "")))
        zone.help_text = _("The time zone you plan in. Everyone also sees times in their own.")

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        first_day: dt.date | None = cleaned.get("first_day")
        is_week = cleaned.get("pattern") == Pattern.WEEK
        if first_day and is_week and first_day.weekday() != SATURDAY:
            text = _("With a kickoff on Saturday, the first day must be a Saturday.")
            self.add_error("first_day", text)
        return cleaned

    def slots(self) -> list[Slot]:
        return weeks.slots(self.cleaned_data["pattern"], self.cleaned_data["evenings"])


def draft_form(
    model_admin: ModelAdmin, request: HttpRequest, form: type[DraftForm], *fields: str
) -> type[Any]:
    """The form with these fields of an event, as the admin shows them."""
    callback = partial(model_admin.formfield_for_dbfield, request=request)
    return forms.modelform_factory(Event, form, fields=fields, formfield_callback=callback)


class SlotForm(forms.Form):
    """A proposed session, in the current language."""

    kind = forms.ChoiceField(choices=Session.Kind.choices, widget=forms.HiddenInput)
    title = forms.CharField(
        label=gettext_lazy("Title"),
        max_length=200,
        widget=AdminTextInputWidget,
        error_messages={"required": gettext_lazy("Enter a title.")},
    )
    day = DayField(label=gettext_lazy("Day"))
    starts = ClockField(label=gettext_lazy("Starts"))
    ends = ClockField(label=gettext_lazy("Ends"))

    def __init__(self, *args: Any, zone: zoneinfo.ZoneInfo, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.zone = zone

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if {"day", "starts", "ends"} <= cleaned.keys():
            starts, ends = (moment_of(self.local(name), self.zone) for name in ("starts", "ends"))
            if ends <= starts:
                self.add_error("ends", _("A session must end after it starts."))
        return cleaned

    def local(self, name: str) -> dt.datetime:
        return dt.datetime.combine(self.cleaned_data["day"], self.cleaned_data[name])

    def planned(self, slot: Slot | None) -> PlannedSession:
        """The session. A proposed title that no one changed is in all languages."""
        title = self.cleaned_data["title"]
        titles = {get_language(): title}
        if slot and slot.title == title:
            titles = weeks.titles_in_all_languages(slot)
        kind = self.cleaned_data["kind"]
        return PlannedSession(titles, kind, self.local("starts"), self.local("ends"))

    def clock_notes(self) -> Iterable[str]:
        for name in ("starts", "ends"):
            yield weeks.clock_note(self.cleaned_data["title"], self.local(name), self.zone)


SlotForms = forms.formset_factory(
    SlotForm, extra=0, max_num=MOST_SESSIONS, absolute_max=MOST_SESSIONS
)


def create_page(model_admin: ModelAdmin, request: HttpRequest) -> HttpResponse:
    """Ask for a week's name, first day and pattern, then show its sessions, then make the draft."""
    do = request.POST.get("do")
    fields = [*columns("name"), "slug", "host", *columns("summary"), "time_zone"]
    form_class = draft_form(model_admin, request, WeekForm, *fields)
    form = form_class(request.POST or None, initial=usual_values())
    if do not in {"plan", "create"} or not form.is_valid():
        return week_page(model_admin, request, form)
    sessions = SlotForms(
        request.POST if do == "create" else None,
        initial=proposed_sessions(form),
        # A row that a browser says it added is checked like the others.
        form_kwargs={"zone": form.instance.zone, "empty_permitted": False},
    )
    if do == "plan" or not sessions.is_valid():
        return sessions_page(model_admin, request, form, sessions)
    return make_week(model_admin, request, form, sessions)


def make_week(
    model_admin: ModelAdmin, request: HttpRequest, form: WeekForm, sessions: Any
) -> HttpResponse:
    slots = form.slots()
    planned = [
        each.planned(slots[number] if number < len(slots) else None)
        for number, each in enumerate(sessions)
    ]
    key = form.cleaned_data["draft_key"]
    try:
        draft = weeks.create_week(event=form.instance, sessions=planned, draft_key=key)
    except weeks.AddressTaken:
        # The form chose it, and will choose another one.
        messages.error(request, _("Someone just created a week like this. Please try again."))
        return sessions_page(model_admin, request, form, sessions)
    if draft.created:
        explain_new_week(model_admin, request, draft.event, sessions)
    return to_event(model_admin, request, draft.event)


def usual_values() -> dict[str, Any]:
    """The host and the time zone of the last week are likely those of the next one."""
    event = default_event()
    return {"host": event.host, "time_zone": event.zone.key} if event else {}


def proposed_sessions(form: WeekForm) -> list[dict[str, Any]]:
    first_day: dt.date = form.cleaned_data["first_day"]
    return [
        {
            "kind": slot.kind,
            "title": slot.title,
            "day": first_day + dt.timedelta(days=slot.days),
            "starts": slot.starts,
            "ends": slot.ends,
        }
        for slot in form.slots()
    ]


def explain_new_week(
    model_admin: ModelAdmin, request: HttpRequest, event: Event, sessions: Iterable[SlotForm]
) -> None:
    with in_main_language():
        log_text = _("Created with its sessions.")
    log_draft(model_admin, request, event, log_text)
    say_with_week(
        request,
        event,
        _(
            "Your week is a draft that only organizers see. Next, add a contact email here, and"
            " an agenda and a Zoom link to each session. Once everything looks right, press "
            "“Publish”."
        ),
    )
    for note in (note for each in sessions for note in each.clock_notes()):
        if note:
            messages.warning(request, note)


def say_with_week(request: HttpRequest, event: Event, text: str) -> None:
    """Say what was done, with a link to the page of the week's sessions."""
    url, link = reverse("admin:events_event_week", args=[event.pk]), _("See the week's sessions")
    messages.success(request, format_html('{} <a href="{}">{}</a>', text, url, link))


def week_page(model_admin: ModelAdmin, request: HttpRequest, form: WeekForm) -> HttpResponse:
    fieldsets: list[Any] = [
        (
            None,
            {"fields": [columns("name"), columns("summary"), "host"], "description": EACH_LANGUAGE},
        ),
        (_("When"), {"fields": ["first_day", "time_zone", "pattern", "evenings"]}),
    ]
    return page_response(
        model_admin,
        request,
        "events/event/create_week.html",
        title=_("Create your week"),
        forms=[admin_form(model_admin, form, fieldsets)],
        hidden=form.hidden_fields(),
        has_errors=bool(form.errors),
    )


def sessions_page(
    model_admin: ModelAdmin, request: HttpRequest, form: WeekForm, sessions: Any
) -> HttpResponse:
    rows = []
    for number, each in enumerate(sessions, start=1):
        heading = _("Session %(number)s") % {"number": number}
        fieldsets = [(heading, {"fields": ["title", ("day", "starts", "ends")]})]
        rows.append(admin_form(model_admin, each, fieldsets))
    hidden = [field.as_hidden() for field in form]
    hidden += [sessions.management_form, *(each["kind"] for each in sessions)]
    return page_response(
        model_admin,
        request,
        "events/event/create_week_sessions.html",
        title=_("The sessions of your week"),
        name=form.instance.name,
        forms=rows,
        hidden=hidden,
        times_in=zone_name(form.instance.zone),
        has_errors=any(sessions.errors),
    )


def admin_form(model_admin: ModelAdmin, form: Any, fieldsets: list[Any]) -> AdminForm:
    """A form as the admin shows it."""
    return AdminForm(form, fieldsets, {}, model_admin=model_admin)


# Copying


class NewDate(NamedTuple):
    """When a session was, and when its copy is."""

    title: str
    before: str
    now: str
    note: str


def copy_page(model_admin: ModelAdmin, request: HttpRequest, object_id: str) -> HttpResponse:
    """Ask for the copy's name and first day, show its dates, and make the draft."""
    event: Event | None = model_admin.get_object(request, unquote(object_id))
    if event is None:
        raise Http404
    if not model_admin.has_view_or_change_permission(request, event):
        raise PermissionDenied
    form_class = draft_form(model_admin, request, DraftForm, *columns("name"), "slug")
    form = form_class(request.POST or None, initial=first_values(event))
    is_sure = request.POST.get("do") == "create"
    if not form.is_valid() or not is_sure or not shows_its_dates(request, form):
        return copy_response(model_admin, request, event, form)
    cleaned = form.cleaned_data
    try:
        draft = weeks.copy_week(
            event=event,
            first_day=cleaned["first_day"],
            names={name: cleaned[name] for name in columns("name")},
            slug=cleaned["slug"],
            draft_key=cleaned["draft_key"],
        )
    except weeks.AddressTaken:
        form.add_error("slug", _("Another event already has this address. Choose another one."))
        return copy_response(model_admin, request, event, form)
    if draft.created:
        explain_copy(model_admin, request, event, draft.event, cleaned["first_day"])
    return to_event(model_admin, request, draft.event)


def shows_its_dates(request: HttpRequest, form: DraftForm) -> bool:
    """Whether the page that was sent had the sessions' dates for the first day that it sends."""
    return request.POST.get("dates_from") == str(form.cleaned_data["first_day"])


def first_values(event: Event) -> dict[str, Any]:
    """The same names, a year later or soon, on the same day of the week."""
    first = event.sessions.first()
    before = event.day_of(first.starts_at) if first else timezone.now().date()
    first_day, earliest = before + A_YEAR, timezone.now().date() + SOON
    if first_day < earliest:
        first_day = earliest + dt.timedelta(days=(before.weekday() - earliest.weekday()) % 7)
    names = dict(zip(columns("name"), texts(event, "name"), strict=True))
    return {**names, "first_day": first_day}


def copy_response(
    model_admin: ModelAdmin, request: HttpRequest, event: Event, form: DraftForm
) -> HttpResponse:
    first_day = form.initial["first_day"]
    if form.is_bound:
        first_day = form.cleaned_data.get("first_day")
    fieldsets: list[Any] = [
        (None, {"fields": [columns("name"), "slug", "first_day"], "description": EACH_LANGUAGE})
    ]
    return page_response(
        model_admin,
        request,
        "events/event/copy_week.html",
        title=_("Copy “%(event)s”") % {"event": event},
        event=event,
        forms=[admin_form(model_admin, form, fieldsets)],
        hidden=form.hidden_fields(),
        dates_from=str(first_day or ""),
        asks_again=not form.errors and request.POST.get("do") == "create",
        dates=new_dates(event, weeks.moved_sessions(event, first_day)) if first_day else [],
        other_weekday=other_weekday(event, first_day) if first_day else "",
        times_in=zone_name(event.zone),
        has_errors=bool(form.errors),
    )


def new_dates(event: Event, sessions: Iterable[weeks.MovedSession]) -> list[NewDate]:
    zone = event.zone
    return [
        NewDate(
            title=moved.session.title,
            before=when(moved.session, zone),
            now=when(Session(starts_at=moved.starts_at, ends_at=moved.ends_at), zone),
            note=weeks.clock_note(moved.session.title, moved.local, zone),
        )
        for moved in sessions
    ]


def when(session: Session, zone: zoneinfo.ZoneInfo) -> str:
    """Saturday, October 16, 2027, 9:00 AM to 1:00 PM PDT"""
    starts_at = session.starts_at
    values = {"days": capfirst(day(starts_at, zone)), "year": starts_at.astimezone(zone).year}
    date = _("%(days)s, %(year)s") % values
    return f"{date}, {hours(session, zone)}"


def other_weekday(event: Event, first_day: dt.date) -> str:
    """A note if the copy doesn't start on the same day of the week."""
    first = event.sessions.first()
    if first is None or first_day.weekday() == event.day_of(first.starts_at).weekday():
        return ""
    return _("The copy starts on a different day of the week than the original.")


def explain_copy(
    model_admin: ModelAdmin, request: HttpRequest, event: Event, new: Event, first_day: dt.date
) -> None:
    with in_main_language():
        log_text = _("Copied from “%(event)s”.") % {"event": event}
    log_draft(model_admin, request, new, log_text)
    say_with_week(
        request,
        new,
        _(
            "The copy is a draft that only organizers see. Next, look for old dates in its "
            "texts and email texts, and give each session a Zoom link. Once everything looks "
            "right, press “Publish”."
        ),
    )
    for date in new_dates(event, weeks.moved_sessions(event, first_day)):
        if date.note:
            messages.warning(request, date.note)
