"""The admin pages of events."""

import datetime as dt
import zoneinfo
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE
from django.contrib.admin.options import IS_POPUP_VAR
from django.contrib.admin.utils import flatten
from django.core.exceptions import ValidationError
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import escape, format_html, format_html_join
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from events import history, people, schedule
from events.admin import archive
from events.admin.history import reverting
from events.admin.looks import LookForm
from events.admin.notified import NotifyingAdmin, NotifyingForm, save_and_explain
from events.admin.publishing import publish_paths, remind_of_recording
from events.admin.questions import AskingAdmin, AskingForm
from events.admin.shared import (
    EACH_LANGUAGE,
    EventAddressForm,
    TextsAdmin,
    TextsForm,
    buttons_view,
    by_id,
    counted,
    day_and_year,
    in_event_time,
    render_now,
    search_texts,
    warning,
)
from events.admin.weeks.changes import shift_paths
from events.admin.weeks.creating import week_paths
from events.admin.weeks.page import week_page_paths
from events.images.fields import ImageField, ImagesForm, picture
from events.images.processing import Size
from events.languages import codes, columns, own_name
from events.models import Event, Meeting, Session, Speaker, Track
from events.sharing.embedding import embed_code
from events.templatetags.times import at_clock, clock, zone_name
from events.timezones import known_zone, offered_time_zones
from events.zoom import client as zoom_client
from events.zoom import status as zoom_status

# Of a speaker's photo, which pages show in half this size.
PHOTO_PIXELS = 192
MAX_PHOTO_BYTES = 10_000
# Nothing is erased within this time after `erase_after_days` was changed.
ERASURE_NOTICE = dt.timedelta(days=7)


class EventForm(NotifyingForm, AskingForm, LookForm, EventAddressForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # People who may only view the event get a form without it.
        if "time_zone" in self.fields:
            if self.instance.pk:
                self.initial["time_zone"] = self.instance.zone.key
            zones = offered_time_zones(self.instance.time_zone)
            self.fields["time_zone"].widget = forms.Select(choices=zones)
        if "status" in self.fields and self.instance.status == Event.Status.DRAFT:
            self.fields["status"].help_text = _(
                "Before anyone can see a draft, we show you a checklist with a Publish button."
            )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if self._is_to_be_published(cleaned):
            # Its page with the checklist publishes it: see response_add() and response_change().
            cleaned["status"] = Event.Status.DRAFT
            if "status" in self.changed_data:
                self.changed_data.remove("status")
        if cleaned.get("status") == Event.Status.PUBLISHED and cleaned.get("contact_email") == "":
            text = _("Enter an email, so people have someone to write to. Or keep it a draft.")
            self.add_error("contact_email", text)
        self._require_both_words(cleaned)
        if self.instance.pk:
            self._ask_about_hiding(cleaned)
            self._ask_about_zone(cleaned)
            self._ask_about_closing(cleaned)
            self._ask_about_meetings(cleaned)
        return cleaned

    def _is_to_be_published(self, cleaned: dict[str, Any]) -> bool:
        is_chosen = cleaned.get("status") == Event.Status.PUBLISHED
        return is_chosen and self.instance.status == Event.Status.DRAFT

    def _require_both_words(self, cleaned: dict[str, Any]) -> None:
        for pair in zip(columns("word_for_track"), columns("word_for_tracks"), strict=True):
            empty = [name for name in pair if name in cleaned and not cleaned[name]]
            if len(empty) == 1:
                self.add_error(empty[0], _("Write the word for one and for several."))

    def _ask_about_hiding(self, cleaned: dict[str, Any]) -> None:
        """Ask before a published event with people becomes a draft."""
        was_published = self.instance.status == Event.Status.PUBLISHED
        if not was_published or cleaned.get("status") != Event.Status.DRAFT:
            return
        if count := people.registered(self.instance):
            text = counted(
                count,
                "%(count)s person is registered. If you make this a draft, its public page is "
                "gone, and they get no reminders or emails about changes. Their links keep "
                "working.",
                "%(count)s people are registered. If you make this a draft, its public page is "
                "gone, and they get no reminders or emails about changes. Their links keep "
                "working.",
            )
            self.ask("status", "hidden", text, count)

    def _ask_about_zone(self, cleaned: dict[str, Any]) -> None:
        """After a change of the time zone, ask what happens to the sessions."""
        self.keeps_clock_times = False
        zone, before = known_zone(cleaned.get("time_zone", "")), self.instance.zone
        ahead = self.instance.sessions.filter(ends_at__gt=timezone.now())
        if zone is None or zone == before or not ahead.exists():
            return
        values = {"before": zone_name(before), "zone": zone_name(zone)}
        text = _("The time zone changes from %(before)s to %(zone)s. What happens to the sessions?")
        answer = self.ask(
            *("time_zone", "sessions_in_zone", text % values, before.key, zone.key),
            choices=zone_choices(ahead[0].starts_at, before, zone),
        )
        self.keeps_clock_times = answer == "clock_times"
        if answer == "moments":
            for name in ("registration_opens_at", "registration_closes_at"):
                old, new = getattr(self.instance, name), cleaned.get(name)
                if old and new and clock_time(old, before) == clock_time(new, zone):
                    cleaned[name] = old

    def _ask_about_closing(self, cleaned: dict[str, Any]) -> None:
        closes_at = cleaned.get("registration_closes_at")
        sessions = self.instance.sessions.taking_place()
        last = sessions.order_by("-ends_at").first()
        if not closes_at or closes_at == self.instance.registration_closes_at or not last:
            return
        if closes_at > last.ends_at:
            zone = timezone.get_current_timezone()
            text = _("Registration would close after the last session ends: %(day)s %(at_time)s.")
            values = {"day": day_and_year(last.ends_at, zone)}
            values["at_time"] = at_clock(last.ends_at, zone)
            name = "registration_closes_at"
            self.ask(name, "closes_late", text % values, closes_at.isoformat())

    def _ask_about_meetings(self, cleaned: dict[str, Any]) -> None:
        """Ask before new meetings take the place of pasted ones.

        With personal links there are no meeting IDs: that's an edit of the sessions, which says
        itself who gets an email.
        """
        event, now = self.instance, timezone.now()
        is_new = cleaned.get("zoom_mode") == Event.ZoomMode.SHARED and not event.creates_meetings
        if not is_new or event.status == Event.Status.DRAFT:
            return
        ahead = event.sessions.open_to_register(now).with_details()
        if count := people.seated(each for each in ahead if each.joining_lines()):
            text = counted(
                count,
                "We'll create new Zoom meetings. %(count)s person will get an email about the new "
                "meeting ID.",
                "We'll create new Zoom meetings. %(count)s people will get an email about the new "
                "meeting ID.",
            )
            self.ask("zoom_mode", "new_meetings", text, count)

    def clean_zoom_mode(self) -> str:
        """Refuse a new choice that needs credentials. An old one may stay, so the rest saves."""
        mode: str = self.cleaned_data["zoom_mode"]
        is_new = "zoom_mode" in self.changed_data
        if is_new and mode != Event.ZoomMode.PASTED and not zoom_client.is_configured():
            raise ValidationError(
                _(
                    "The site has no Zoom credentials. The owner of your site can enter them under "
                    "“Set up”. Until then, paste the links."
                )
            )
        return mode


def has_errors(form: Any, section: dict[str, Any]) -> bool:
    return not form.errors.keys().isdisjoint(flatten(section["fields"]))


def zone_choices(
    moment: dt.datetime, before: zoneinfo.ZoneInfo, zone: zoneinfo.ZoneInfo
) -> dict[str, str]:
    """What can happen to the sessions, with the first one's time as an example."""
    values = {"old": clock(moment, before), "new": clock(moment, zone)}
    moments = _("Don't move the sessions: %(old)s becomes %(new)s.")
    clock_times = _(
        "Keep the clock times: %(old)s stays %(old)s. The sessions move, and people get an email "
        "about each one they signed up for. Sessions that are over stay."
    )
    return {"moments": moments % values, "clock_times": clock_times % values}


def clock_time(moment: dt.datetime, zone: zoneinfo.ZoneInfo) -> dt.datetime:
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)


class TrackFormSet(forms.BaseInlineFormSet):
    def clean(self) -> None:
        """Refuse to delete what people chose: their choice would be deleted with it."""
        super().clean()
        for form in self.deleted_forms:
            if count := people.who_chose(form.instance):
                text = counted(
                    count,
                    "%(count)s person chose “%(name)s”, so it can't be deleted. Uncheck Delete to "
                    "save the rest.",
                    "%(count)s people chose “%(name)s”, so it can't be deleted. Uncheck Delete to "
                    "save the rest.",
                    name=form.instance,
                )
                raise ValidationError(text)


class TrackInline(admin.StackedInline):
    model = Track
    form = TextsForm
    formset = TrackFormSet
    extra = 0
    fields = [columns("name"), columns("description"), "position"]


class SpeakerForm(ImagesForm, TextsForm):
    picture = ImageField(
        label=gettext_lazy("Photo"),
        sizes={"photo": Size(PHOTO_PIXELS, PHOTO_PIXELS, MAX_PHOTO_BYTES, crop=True)},
        help_text=gettext_lazy(
            "Ask them first. Everyone can see it on the pages of the sessions they host. Attendees "
            "see it in the detailed schedule, too."
        ),
    )


class SpeakerInline(admin.StackedInline):
    model = Speaker
    form = SpeakerForm
    extra = 0
    fields = [columns("name", "affiliation"), columns("about"), "picture"]

    @admin.display(description=gettext_lazy("Photo"))
    def picture(self, speaker: Speaker) -> str:
        return picture(speaker.photo_id)


@admin.register(Event)
class EventAdmin(NotifyingAdmin, AskingAdmin, TextsAdmin):
    form = EventForm
    history_parts = ("tracks", "speakers")
    can_revert = True
    list_display = ["name", "state", "begins", "session_count", "links"]
    list_filter = ["status", archive.ArchivedFilter]
    search_fields = [*columns("name"), "host"]
    get_search_results = search_texts
    prepopulated_fields = {"slug": [columns("name")[0]]}
    radio_fields = {"zoom_mode": admin.VERTICAL}
    inlines = [TrackInline, SpeakerInline]
    fieldsets = [
        (
            None,
            {
                "fields": [
                    *(columns("name"), "slug", "status", "host"),
                    *("contact_email", "contact_phone"),
                ],
                "description": EACH_LANGUAGE,
            },
        ),
        (gettext_lazy("Public texts"), {"fields": [columns("summary"), columns("introduction")]}),
        (
            gettext_lazy("Your own words"),
            {
                "classes": ["collapse"],
                "fields": [
                    *(columns("name_of_kickoff"), columns("name_of_strategy")),
                    *(columns("name_of_closing"),),
                    *(columns("word_for_track"), columns("word_for_tracks")),
                ],
                "description": gettext_lazy(
                    "What you call the kinds of sessions and the strategies. You and everyone "
                    "else see these words instead of ours. Titles that you wrote stay as they "
                    "are."
                ),
            },
        ),
        (gettext_lazy("Poster and colors"), {"fields": ["poster", "poster_upload", "colors"]}),
        (
            gettext_lazy("Everyone can take part"),
            {
                "fields": [
                    *("has_captions", "has_asl", "has_interpretation"),
                    columns("recording_note"),
                ],
                "description": gettext_lazy(
                    "The event's page shows what you check. People can ask for the rest when they "
                    "register."
                ),
            },
        ),
        (
            gettext_lazy("Times"),
            {
                "fields": [
                    "time_zone",
                    "registration_opens_at",
                    "registration_closes_at",
                    "doors_open_minutes",
                ],
                "description": gettext_lazy("Times on this page are in the event's time zone."),
            },
        ),
        (gettext_lazy("Approval and spots"), {"fields": ["requires_approval", "late_spots"]}),
        (
            gettext_lazy("Zoom"),
            {
                "fields": [
                    "zoom_mode",
                    "zoom_host",
                    "zoom_alternative_hosts",
                    "zoom_waiting_room",
                    "zoom_mute_on_entry",
                    "zoom_captions",
                ],
                "description": gettext_lazy(
                    "Where the sessions' links come from. The other settings here are "
                    "only for meetings we create for you. Changes take about a minute."
                ),
            },
        ),
        (
            gettext_lazy("Automatic emails"),
            {
                "fields": [
                    "remind_day_before",
                    "remind_minutes_before",
                    "settle_minutes",
                    "thank_after_hours",
                ]
            },
        ),
        (gettext_lazy("On other websites"), {"fields": ["embed_sites", "embed_code"]}),
        (gettext_lazy("Personal data"), {"fields": ["erase_after_days"]}),
    ]
    readonly_fields = ["embed_code"]

    class Media:
        css = {"all": ["css/looks.css"]}

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: Any = None,
        form_url: str = "",
        extra_context: Any = None,
    ) -> HttpResponse:
        event: Event | None = by_id(Event.objects.all(), pk=object_id)
        # All of them, because their agendas name the event's speakers.
        sessions = list(event.sessions.order_by("pk")) if event else []

        def answer(question: str = "") -> HttpResponse:
            if question and request.FILES:
                question += " " + _("Choose the picture again, too.")
            asked = self.asking(request, question)
            with in_event_time(request, event, chosen_zone(request, event), sessions) as context:
                context |= {"nothing_is_ahead": event is not None and nothing_is_ahead(event)}
                context |= (extra_context or {}) | asked
                view = super(EventAdmin, self).changeform_view
                return render_now(view(request, object_id, form_url, context))

        if request.method == "POST" and sessions:
            return save_and_explain(request, sessions, answer)
        return answer()

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Open a closed section with an error: Django doesn't if fields are next to each other."""
        shown = context["adminform"]
        shown.fieldsets = [
            (name, {**options, "classes": ()} if has_errors(shown.form, options) else options)
            for name, options in shown.fieldsets
        ]
        return super().render_change_form(request, context, *args, **kwargs)

    def merge(self, request: HttpRequest, row: Event) -> None:
        """Compare times in the event's zone, and read them in the zone that is to be saved."""
        with timezone.override(row.zone):
            super().merge(request, row)
        timezone.activate(chosen_zone(request, row))

    def get_inline_instances(self, request: HttpRequest, obj: Event | None = None) -> list[Any]:
        inlines: list[Any] = super().get_inline_instances(request, obj)
        for each in inlines:
            if obj and obj.renames_tracks and each.model is Track:
                each.verbose_name, each.verbose_name_plural = obj.track_label(), obj.tracks_label()
        return inlines

    def get_urls(self) -> list[Any]:
        buttons = buttons_view(self, {"archive": archive.archive, "unarchive": archive.unarchive})
        return [
            path("<path:object_id>/archive/", buttons, name="events_event_archive"),
            *week_paths(self),
            *week_page_paths(self),
            *shift_paths(self),
            *publish_paths(self),
            *reverting.urls(self),
            *super().get_urls(),
        ]

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
        form.save_images()
        remind_of_recording(request, obj)
        if change and "time_zone" in form.changed_data:
            explain_zone(request, obj, form)
        if change and "zoom_mode" in form.changed_data:
            explain_zoom_mode(request, obj, form.initial["zoom_mode"])

    def response_add(self, request: HttpRequest, obj: Event, *args: Any) -> HttpResponse:
        return to_checklist(self, request, obj) or super().response_add(request, obj, *args)

    def response_change(self, request: HttpRequest, obj: Event) -> HttpResponse:
        return to_checklist(self, request, obj) or super().response_change(request, obj)

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        super().save_formset(request, form, formset, change)
        saved = [row for row, _fields in formset.changed_objects] + formset.new_objects
        for each in formset.forms:
            if isinstance(each, ImagesForm) and each.instance in saved:
                each.save_images()

    @admin.display(description=gettext_lazy("your own picture"))
    def poster_upload(self, event: Event) -> str:
        """For people who may only view the event."""
        return picture(event.poster_phone_id)

    @admin.display(description=gettext_lazy("code to copy"))
    def embed_code(self, event: Event) -> str:
        if not event.pk or not event.embed_sites:
            return _("Add a website above and save. Then you'll find the code to copy here.")
        return format_html_join(
            "\n",
            '<p><label>{}<br><textarea rows="5" cols="60" readonly>{}</textarea></label></p>',
            ((own_name(code), escape(embed_code(event, code))) for code in codes()),
        )

    @admin.display(description=gettext_lazy("status"), ordering="status")
    def state(self, event: Event) -> str:
        return _("Published") if event.status == event.Status.PUBLISHED else _("Draft")

    @admin.display(description=gettext_lazy("starts"), ordering="first_starts_at")
    def begins(self, event: Any) -> str:
        starts_at = event.first_starts_at
        return capfirst(day_and_year(starts_at, event.zone)) if starts_at else _("No sessions yet")

    @admin.display(description=gettext_lazy("sessions"), ordering="sessions_total")
    def session_count(self, event: Any) -> str:
        sessions = reverse("admin:events_session_changelist")
        return format_html(
            '<a href="{}?event__id__exact={}">{}</a>', sessions, event.pk, event.sessions_total
        )

    @admin.display(description=gettext_lazy("Zoom links"), ordering="sessions_without_link")
    def links(self, event: Any) -> str:
        if trouble := event.sessions_in_trouble:
            if not event.creates_meetings:
                return warning(_("%(count)s missing") % {"count": trouble})
            text = counted(trouble, "%(count)s needs attention", "%(count)s need attention")
            return warning(text)
        if missing := event.sessions_without_link:
            return _("%(count)s not created yet") % {"count": missing}
        return _("Ready")


def to_checklist(
    model_admin: admin.ModelAdmin, request: HttpRequest, event: Event
) -> HttpResponse | None:
    """Lead someone who chose to publish a draft to the page that does it."""
    is_chosen = request.POST.get("status") == Event.Status.PUBLISHED
    if not is_chosen or event.status != Event.Status.DRAFT or IS_POPUP_VAR in request.POST:
        return None
    if not model_admin.has_view_or_change_permission(request, event):
        return None
    messages.info(
        request, _("Everything else is saved. Check these first, then press “Publish this week”.")
    )
    return redirect("admin:events_event_publish", event.pk)


def nothing_is_ahead(event: Event) -> bool:
    """Whether it has no session ahead, not even a draft. Then it can be archived."""
    return not event.sessions.filter(canceled_at=None, ends_at__gt=timezone.now()).exists()


def chosen_zone(request: HttpRequest, event: Event | None) -> zoneinfo.ZoneInfo:
    """Return the zone that the posted form chooses, else the event's."""
    return known_zone(request.POST.get("time_zone", "")) or (event or Event()).zone


def explain_zone(request: HttpRequest, event: Event, form: EventForm) -> None:
    """Move the sessions to another time zone if that was chosen, and say so."""
    if not form.keeps_clock_times:
        text = _(
            "The sessions haven't moved, but their times look different in the new time zone. "
            "Please check the list of sessions."
        )
        messages.warning(request, text)
        return
    before = known_zone(form.initial["time_zone"]) or Event().zone
    known = {each.pk: history.snapshot(each) for each in event.sessions.all()}
    moved = schedule.keep_clock_times(event=event, before=before)
    for each in moved:
        changed = history.changes(known[each.pk], history.snapshot(each))
        text = _("Moved along with the event's time zone.")
        history.log(request.user.pk or 0, [each], CHANGE, text, changed)
    text = counted(
        len(moved),
        "%(count)s session moved: it has the same clock time in the new time zone.",
        "%(count)s sessions moved: they have the same clock times in the new time zone.",
    )
    messages.info(request, text)


def explain_zoom_mode(request: HttpRequest, event: Event, mode_before: str) -> None:
    """After a change of the Zoom mode, say what happens to the links."""
    if event.creates_meetings:
        messages.info(
            request,
            _(
                "We'll create the Zoom meetings in about a minute. Until then, the pasted links "
                "keep working. See the progress in the list of sessions."
            ),
        )
    elif Meeting.objects.at_zoom().filter(session__event=event).exists():
        text = _(
            "The meetings we created stay in Zoom with the same links, but we no longer update "
            "them. If you change a session here, change its meeting in Zoom, too."
        )
        messages.warning(request, text)
        if mode_before == Event.ZoomMode.PERSONAL:
            text = _(
                "We no longer give out personal links. Turn off registration in Zoom, or Zoom will "
                "ask everyone to register there."
            )
            messages.warning(request, text)
