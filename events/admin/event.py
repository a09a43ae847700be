"""The admin pages of events."""

import datetime as dt
import zoneinfo
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html

from events.admin.shared import (
    by_id,
    in_event_time,
    render_now,
    search_texts,
    warning,
    without_times,
)
from events.models import Event, Meeting, Session, Speaker, Track
from events.templatetags.times import day
from events.timezones import known_zone, offered_time_zones
from events.zoom import client as zoom_client
from events.zoom import status as zoom_status

# Nothing is erased within this time after `erase_after_days` was changed.
ERASURE_NOTICE = dt.timedelta(days=7)


class EventForm(forms.ModelForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # People who may only view the event get a form without fields.
        if self.fields:
            if self.instance.pk:
                self.initial["time_zone"] = self.instance.zone.key
            zones = offered_time_zones(self.instance.time_zone)
            self.fields["time_zone"].widget = forms.Select(choices=zones)

    def clean_zoom_mode(self) -> str:
        """Refuse a new choice that needs credentials. An old one may stay, so the rest saves."""
        mode: str = self.cleaned_data["zoom_mode"]
        is_new = "zoom_mode" in self.changed_data
        if is_new and mode != Event.ZoomMode.PASTED and not zoom_client.is_configured():
            raise ValidationError(
                "The site has no Zoom credentials. Whoever runs it sets ZOOM_ACCOUNT_ID, "
                "ZOOM_CLIENT_ID and ZOOM_CLIENT_SECRET; until then paste the links."
            )
        return mode


class TrackInline(admin.TabularInline):
    model = Track
    extra = 0
    verbose_name = "strategy"
    verbose_name_plural = "strategies"


class SpeakerInline(admin.TabularInline):
    model = Speaker
    extra = 0


@admin.register(Event)
class EventAdmin(admin.ModelAdmin):
    form = EventForm
    list_display = ["name", "state", "begins", "session_count", "links"]
    list_filter = ["status"]
    search_fields = ["name", "host"]
    get_search_results = search_texts
    prepopulated_fields = {"slug": ["name"]}
    radio_fields = {"zoom_mode": admin.VERTICAL}
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
        ("Who may come", {"fields": ["requires_approval", "late_places"]}),
        (
            "Zoom",
            {
                "fields": [
                    "zoom_mode",
                    "zoom_host",
                    "zoom_alternative_hosts",
                    "zoom_waiting_room",
                    "zoom_mute_on_entry",
                    "zoom_captions",
                ],
                "description": "Where the sessions' links come from. What stands below the choice "
                "is for meetings that are made for you: they follow within a minute or so.",
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
                ]
            },
        ),
        ("Personal data", {"fields": ["erase_after_days"]}),
    ]

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: Any = None,
        form_url: str = "",
        extra_context: Any = None,
    ) -> HttpResponse:
        event: Event | None = by_id(Event.objects.all(), pk=object_id)
        # All of them, because their agendas name the event's speakers.
        sessions = event.sessions.order_by("pk") if event else []
        with in_event_time(request, event, chosen_zone(request, event), sessions) as context:
            context |= extra_context or {}
            return render_now(super().changeform_view(request, object_id, form_url, context))

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return without_times(self.model, super().get_changeform_initial_data(request))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Event]:
        now = timezone.now()
        without_link = Session.objects.without_link(now)
        in_trouble = Session.objects.filter(zoom_status.needs_attention(now))
        return Event.objects.with_times().annotate(
            sessions_total=Count("sessions"),
            sessions_without_link=Count("sessions", filter=Q(sessions__in=without_link)),
            sessions_in_trouble=Count("sessions", filter=Q(sessions__in=in_trouble)),
        )

    def save_model(self, request: HttpRequest, obj: Event, form: Any, change: bool) -> None:
        if "erase_after_days" in form.changed_data:
            obj.erase_not_before = timezone.now() + ERASURE_NOTICE
        super().save_model(request, obj, form, change)
        if change and "time_zone" in form.changed_data:
            messages.warning(
                request,
                "The sessions keep their moment, so the clock shows other hours for them now. "
                "Look through the list of sessions.",
            )
        if change and "zoom_mode" in form.changed_data:
            explain_zoom_mode(request, obj, form.initial["zoom_mode"])

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
        if trouble := event.sessions_in_trouble:
            need = "needs attention" if trouble == 1 else "need attention"
            return warning(f"{trouble} {need if event.creates_meetings else 'missing'}")
        missing = event.sessions_without_link
        return f"{missing} not made yet" if missing else "complete"


def chosen_zone(request: HttpRequest, event: Event | None) -> zoneinfo.ZoneInfo:
    """Return the zone that the posted form chooses, else the event's."""
    return known_zone(request.POST.get("time_zone", "")) or (event or Event()).zone


def explain_zoom_mode(request: HttpRequest, event: Event, mode_before: str) -> None:
    """After a change of the Zoom mode, say what happens to the links."""
    if event.creates_meetings:
        messages.info(
            request,
            "The meetings are made at Zoom within a minute or so. Links that were pasted "
            "serve until then. The list of sessions says how far it is.",
        )
    elif Meeting.objects.at_zoom().filter(session__event=event).exists():
        text = (
            "The meetings that were made stay at Zoom, and their links stay as they are, but "
            "they are not kept in step any more: what you change here, change at Zoom too."
        )
        if mode_before == Event.ZoomMode.PERSONAL:
            text += (
                " Personal links are not given out any more: turn registration off at Zoom, or "
                "it asks everyone to register there."
            )
        messages.warning(request, text)
