"""Where organizers keep the week."""

import contextlib
import zoneinfo
from collections.abc import Iterable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.widgets import AdminTextareaWidget
from django.db import models
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html

from . import schedule
from .models import AgendaItem, Event, Meeting, Session, Speaker, Track
from .templatetags.times import day, hours, zone_name
from .timezones import all_time_zones, offered_time_zones


class EventTimeMixin:
    """Dates and hours are read and written in the event's own time zone."""

    def event_of(self, request: HttpRequest, object_id: str | None) -> Event | None:
        """The event that the page is about."""
        raise NotImplementedError

    def zone_of(self, request: HttpRequest, event: Event | None) -> zoneinfo.ZoneInfo:
        return (event or Event()).zone

    def edited(self, event: Event, object_id: str | None) -> Iterable[Session]:
        """The sessions of which people may learn something new when the page is saved."""
        raise NotImplementedError

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        event = self.event_of(request, object_id)
        zone = self.zone_of(request, event)
        edited = self.edited(event, object_id) if request.method == "POST" and event else []
        with timezone.override(zone), contextlib.ExitStack() as edits:
            for session in edited:
                edits.enter_context(schedule.editing(session.pk))
            without_link = event.sessions.without_link(timezone.now()) if event else []
            context = {
                "times_in": zone_name(zone),
                "sessions_without_link": list(without_link),
                **(extra_context or {}),
            }
            response = super().changeform_view(request, object_id, form_url, context)  # type: ignore[misc]
            # Rendered here: after this block its times would be another zone's.
            return response.render() if isinstance(response, TemplateResponse) else response


def by_id(rows: QuerySet[Any], **ids: str | None) -> Any:
    """The first of the rows with these ids, which come from an address or a form."""
    if all(str(value).isdecimal() for value in ids.values()):
        return rows.filter(**ids).first()
    return None


class EventForm(forms.ModelForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["time_zone"].widget = forms.Select(
            choices=offered_time_zones(self.instance.time_zone)
        )


class TrackInline(admin.TabularInline):
    model = Track
    extra = 0
    verbose_name = "strategy"
    verbose_name_plural = "strategies"


class SpeakerInline(admin.TabularInline):
    model = Speaker
    extra = 0


@admin.register(Event)
class EventAdmin(EventTimeMixin, admin.ModelAdmin):
    form = EventForm
    list_display = ["name", "state", "begins", "session_count", "links"]
    list_filter = ["status"]
    search_fields = ["name", "host"]
    prepopulated_fields = {"slug": ["name"]}
    inlines = [TrackInline, SpeakerInline]
    fieldsets = [
        (None, {"fields": ["name", "slug", "status", "host", "contact_email"]}),
        ("What people read", {"fields": ["summary", "introduction"]}),
        (
            "Times",
            {
                "fields": [
                    "time_zone",
                    "registration_opens_at",
                    "registration_closes_at",
                    "doors_open_minutes",
                ],
                "description": "Days and hours on this page are in the event's time zone.",
            },
        ),
        (
            "Mails that go out by themselves",
            {
                "fields": [
                    "remind_day_before",
                    "remind_minutes_before",
                    "settle_minutes",
                    "thank_after_hours",
                ],
            },
        ),
    ]

    def event_of(self, request: HttpRequest, object_id: str | None) -> Event | None:
        return by_id(Event.objects.all(), pk=object_id)

    def edited(self, event: Event, object_id: str | None) -> Iterable[Session]:
        """All: their agendas name the event's speakers."""
        return event.sessions.order_by("pk") if object_id else []

    def zone_of(self, request: HttpRequest, event: Event | None) -> zoneinfo.ZoneInfo:
        """The zone that the form itself names counts at once."""
        chosen = request.POST.get("time_zone", "")
        if chosen in all_time_zones():
            return zoneinfo.ZoneInfo(chosen)
        return super().zone_of(request, event)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Event]:
        without_link = Session.objects.without_link(timezone.now())
        return Event.objects.with_times().annotate(
            sessions_total=Count("sessions"),
            sessions_without_link=Count("sessions", filter=Q(sessions__in=without_link)),
        )

    def save_model(self, request: HttpRequest, obj: Event, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if change and "time_zone" in form.changed_data:
            messages.warning(
                request,
                "The sessions keep their moment, so the clock shows other hours for them now. "
                "Look through the list of sessions.",
            )

    @admin.display(description="status", ordering="status")
    def state(self, event: Event) -> str:
        return event.Status(event.status).name.capitalize()

    @admin.display(description="begins", ordering="first_starts_at", empty_value="no sessions yet")
    def begins(self, event: Any) -> str | None:
        return day(event.first_starts_at, event.zone) if event.first_starts_at else None

    @admin.display(description="sessions", ordering="sessions_total")
    def session_count(self, event: Any) -> str:
        sessions = reverse("admin:events_session_changelist")
        return format_html(
            '<a href="{}?event__id__exact={}">{}</a>', sessions, event.pk, event.sessions_total
        )

    @admin.display(description="Zoom links", ordering="sessions_without_link")
    def links(self, event: Any) -> str:
        if not event.sessions_without_link:
            return "complete"
        return format_html('<b class="warning">{} missing</b>', event.sessions_without_link)


class HasLinkFilter(admin.SimpleListFilter):
    title = "Zoom link"
    parameter_name = "link"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("missing", "Missing"), ("there", "There")]

    def queryset(self, request: HttpRequest, queryset: Any) -> QuerySet[Session]:
        if self.value() == "missing":
            return queryset.without_link(timezone.now())
        return queryset.filter(meeting__join_url__gt="") if self.value() == "there" else queryset


class MeetingForm(forms.ModelForm):
    join_url = forms.URLField(
        label=Meeting._meta.get_field("join_url").verbose_name,
        help_text=Meeting._meta.get_field("join_url").help_text,
        max_length=Meeting._meta.get_field("join_url").max_length,
        required=False,
        assume_scheme="https",
        error_messages={"invalid": "Paste the whole https:// link."},
        widget=admin.widgets.AdminURLFieldWidget,
    )


class MeetingInline(admin.StackedInline):
    model = Meeting
    form = MeetingForm
    verbose_name = verbose_name_plural = "Zoom meeting"
    extra = 1
    can_delete = False


class AgendaInline(admin.TabularInline):
    model = AgendaItem
    verbose_name_plural = "detailed agenda, for attendees only"
    extra = 0
    formfield_overrides = {
        models.TextField: {"widget": AdminTextareaWidget(attrs={"rows": 3})},
        models.ManyToManyField: {"widget": forms.CheckboxSelectMultiple},
    }

    def get_formset(self, request: HttpRequest, obj: Session | None = None, **kwargs: Any) -> Any:
        formset = super().get_formset(request, obj, **kwargs)
        fields: dict[str, Any] = formset.form.base_fields
        fields["speakers"].queryset = obj.event.speakers.all() if obj else Speaker.objects.all()
        return formset


@admin.register(Session)
class SessionAdmin(EventTimeMixin, admin.ModelAdmin):
    list_display = ["title", "link", "when", "kind", "state"]
    list_filter = ["event", HasLinkFilter, "kind", "status"]
    list_select_related = ["event", "meeting"]
    search_fields = ["title", "summary"]
    prepopulated_fields = {"slug": ["title"]}
    readonly_fields = ["cancelled"]
    inlines = [MeetingInline, AgendaInline]
    formfield_overrides = {models.URLField: {"assume_scheme": "https"}}
    actions = ["cancel", "restore"]
    fieldsets = [
        (
            None,
            {
                "fields": ["event", "title", "slug", "kind", "track", "summary"],
            },
        ),
        (
            "Does it take place?",
            {
                "fields": ["status", "cancelled"],
                "description": "To cancel a session, or to take that back, tick it in the list of "
                "sessions and choose the action. People who are registered are told, as of any "
                "change of title, time or agenda, once your edits have rested for a while.",
            },
        ),
        (
            "When",
            {
                "fields": ["starts_at", "ends_at"],
                "description": "Enter days and hours as the clock shows them "
                "in the event's time zone.",
            },
        ),
        ("Afterwards", {"fields": ["recording_url", "notes_url"]}),
    ]

    def event_of(self, request: HttpRequest, object_id: str | None) -> Event | None:
        if object_id:
            return by_id(Event.objects.all(), sessions__pk=object_id)
        chosen = request.POST.get("event") or request.GET.get("event")
        if chosen:
            return by_id(Event.objects.all(), pk=chosen)
        return Event.objects.current(timezone.now()) or Event.objects.first()

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        event = self.event_of(request, None)
        return {
            "event": event.pk if event else None,
            **super().get_changeform_initial_data(request),
        }

    def edited(self, event: Event, object_id: str | None) -> Iterable[Session]:
        return event.sessions.filter(pk=object_id) if object_id else []

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        session = Session.objects.with_details().get(pk=form.instance.pk)
        if any(formset.model is Meeting and formset.has_changed() for formset in formsets):
            messages.info(
                request,
                "Links that people already have lead to the new Zoom link. Of a new meeting ID, "
                "passcode or phone number they are told by mail, once your edits have rested.",
            )
        if not session.join_url and not session.is_cancelled:
            messages.warning(
                request,
                f"“{session}” has no Zoom link yet. People who are registered will "
                "wait at its door until you paste one under “Zoom meeting”.",
            )
        planned = sum(item.minutes for item in session.agenda.all())
        length = int((session.ends_at - session.starts_at).total_seconds() // 60)
        if planned > length:
            messages.warning(
                request,
                f"The agenda of “{session}” takes {planned} minutes, the session {length}.",
            )

    @admin.display(description="when", ordering="starts_at")
    def when(self, session: Session) -> str:
        zone = session.event.zone
        return f"{day(session.starts_at, zone)}, {hours(session, zone)}"

    @admin.display(description="status")
    def state(self, session: Session) -> str:
        return (
            "Cancelled"
            if session.is_cancelled
            else session.Status(session.status).name.capitalize()
        )

    @admin.display(description="cancelled")
    def cancelled(self, session: Session) -> str:
        if not session.is_cancelled:
            return "no"
        return format_html('<b class="warning">{}</b>', "This session is cancelled")

    @admin.display(description="Zoom link")
    def link(self, session: Session) -> str:
        if session.join_url:
            return "there"
        if session.is_cancelled or session.ends_at < timezone.now():
            return "not needed"
        return format_html('<b class="warning">{}</b>', "missing")

    @admin.action(description="Cancel the selected sessions")
    def cancel(self, request: HttpRequest, queryset: QuerySet[Session]) -> None:
        done = sum(schedule.cancel_session(session=session) for session in queryset)
        messages.success(
            request,
            f"{done} cancelled. Their pages, join links and calendars say so now. People who are "
            "registered are told by mail, unless you take it back within a few minutes.",
        )

    @admin.action(description="Take back the cancellation of the selected sessions")
    def restore(self, request: HttpRequest, queryset: QuerySet[Session]) -> None:
        done = sum(schedule.restore_session(session=session) for session in queryset)
        messages.success(
            request, f"{done} on again. People who were told of the cancellation are told of this."
        )
