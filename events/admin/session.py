"""The admin pages of sessions, with their agenda and their Zoom meeting."""

from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urlsplit

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import ModelAdmin
from django.contrib.admin.widgets import AdminTextareaWidget
from django.db import models
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils import timezone
from django.utils.html import format_html
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext

from events import people
from events.admin import cancellation, pending
from events.admin.agenda import AgendaInline, finish_agenda
from events.admin.archive import EventFilter
from events.admin.concurrent_edits import MergedForm
from events.admin.history import reverting
from events.admin.notified import NotifyingAdmin, NotifyingForm, save_and_explain
from events.admin.questions import AskingAdmin, AskingForm
from events.admin.session_checks import TimesForm, ask_about_event, ask_about_times
from events.admin.shared import (
    EACH_LANGUAGE,
    AddressForm,
    TextsAdmin,
    buttons_view,
    by_id,
    choice_filter,
    day_and_year,
    event_of,
    in_event_time,
    render_now,
    save_entered_fields,
    search_texts,
    warning,
)
from events.admin.speakers import (
    NewSpeakerAdmin,
    NewSpeakerForm,
    add_new_speaker,
    without_new_speaker,
)
from events.admin.weeks.changes import duplicate_paths
from events.languages import columns
from events.models import Event, Meeting, Session, Speaker, Track
from events.phone import dial_in
from events.templatetags.times import clock, day, hours
from events.text.invitations import is_zoom, read_invitation
from events.zoom import sync
from events.zoom.status import meeting_status, needs_attention

MAX_INVITATION_CHARACTERS = 10_000
# The section whether a session takes place.
STATUS = gettext_lazy("Status")


LINK_LABELS = {
    "attention": gettext_lazy("Needs attention"),
    "missing": gettext_lazy("Missing"),
    "creating": gettext_lazy("Being created"),
    "there": gettext_lazy("Ready"),
}


def filter_by_link(sessions: Any, value: str) -> QuerySet[Session]:
    now = timezone.now()
    attention = Session.objects.filter(needs_attention(now)).values("pk")
    match value:
        case "attention":
            return sessions.filter(pk__in=attention)
        case "missing":
            return sessions.without_link(now)
        case "creating":
            return sessions.without_link(now).taking_place().exclude(pk__in=attention)
    ahead = sessions.filter(canceled_at=None, ends_at__gt=now)
    return ahead.filter(meeting__join_url__gt="").exclude(pk__in=attention)


ZoomLinkFilter = choice_filter(gettext_lazy("Zoom link"), "link", LINK_LABELS.items, filter_by_link)


class KindFilter(admin.ChoicesFieldListFilter):
    """Names the kinds as the event does that the list is filtered by."""

    def __init__(self, field: Any, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().__init__(field, request, *args, **kwargs)
        self.event = by_id(Event.objects.all(), pk=request.GET.get("event__id__exact"))

    def choices(self, changelist: Any) -> Iterator[Any]:
        names = kind_names(self.event or Event())
        own = {str(each.label): names[each.value] for each in Session.Kind}
        for choice in super().choices(changelist):
            label = str(choice["display"])
            yield {**choice, "display": own.get(label, label)}


def kind_names(event: Event) -> dict[str, str]:
    return {each.value: event.kind_name(each) for each in Session.Kind}


class SessionForm(NotifyingForm, NewSpeakerForm, TimesForm, AddressForm):
    address_from = "title"

    class Meta(cancellation.ReasonMeta):
        pass

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        # The week's page has only some of the fields.
        event = cleaned.get("event") if "event" in self.fields else self.instance.event
        if event and "event" in self.fields:
            ask_about_event(self, event)
        # Of a session that exists, the form has no event, so Django doesn't check the constraint.
        if self.instance.pk and cleaned.get("slug", "") in self.taken_addresses(cleaned):
            self.add_error("slug", _("This event already has a session with that address."))
        if event and cleaned.get("starts_at") and cleaned.get("ends_at"):
            ask_about_times(self, event)
        return cleaned

    def taken_addresses(self, cleaned: dict[str, Any]) -> Iterable[str]:
        event = cleaned.get("event", self.instance.event_id)
        others = Session.objects.filter(event=event).exclude(pk=self.instance.pk)
        return others.values_list("slug", flat=True)


class MeetingForm(AskingForm, MergedForm):
    """A pasted Zoom link. It may be wrapped, or in the text of Zoom's invitation."""

    join_url = forms.CharField(
        label=Meeting._meta.get_field("join_url").verbose_name,
        help_text=Meeting._meta.get_field("join_url").help_text,
        max_length=MAX_INVITATION_CHARACTERS,
        required=False,
        widget=AdminTextareaWidget(attrs={"rows": 2}),
    )

    def clean_join_url(self) -> str:
        text: str = self.cleaned_data["join_url"]
        if not text or "join_url" not in self.changed_data:
            return text
        self.invitation = read_invitation(text)
        return self.invitation.join_url

    def clean_dial_in(self) -> str:
        """Accept lines as Zoom writes them. What is stored and wasn't changed stays as it is."""
        text: str = self.cleaned_data["dial_in"]
        return dial_in.cleaned(text) if "dial_in" in self.changed_data else text

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if hasattr(self, "invitation"):
            self._fill_in(cleaned)
            self._ask_about_host()
        return cleaned

    def _fill_in(self, cleaned: dict[str, Any]) -> None:
        """Take the rest from the invitation, except what was entered at the same time."""
        for name in ("meeting_id", "passcode", "phone_passcode", "dial_in"):
            value = getattr(self.invitation, name)
            # The phone's passcode belongs to the other one: an earlier one doesn't stay.
            is_known = value or (name == "phone_passcode" and self.invitation.passcode)
            if is_known and name not in self.changed_data:
                cleaned[name] = value
                self.changed_data.append(name)

    def _ask_about_host(self) -> None:
        url = self.invitation.join_url
        if not is_zoom(url):
            text = _("This link leads to %(host)s, not to Zoom.")
            self.ask("join_url", "other_site", text % {"host": urlsplit(url).hostname}, url)


class MeetingInline(admin.StackedInline):
    model = Meeting
    form = MeetingForm
    verbose_name = verbose_name_plural = gettext_lazy("Zoom meeting")
    extra = 1
    can_delete = False


class SyncedMeetingInline(MeetingInline):
    """A meeting that is synced with Zoom: only what Zoom doesn't know can be entered."""

    readonly_fields = ["standing", "link", "meeting_id", "passcode", "phone_passcode", "ran"]

    def get_fields(self, request: HttpRequest, obj: Session | None = None) -> Any:
        fields = ["standing", "link", "meeting_id", "passcode", "phone_passcode"]
        meeting = obj.meeting_or_none if obj else None
        if meeting is None:
            return fields
        return [*fields, *(["ran"] if meeting.started_at else []), "dial_in"]

    @admin.display(description=gettext_lazy("Zoom meeting"))
    def standing(self, meeting: Meeting) -> str:
        if meeting.session is None:
            return _("We'll create it within a minute after you save")
        status = meeting_status(meeting.session, timezone.now())
        text = warning(status.text) if status.is_problem else status.text
        if not meeting.problem:
            return text
        return format_html('{}<span class="said">{}</span>', text, _(meeting.problem))

    @admin.display(description=gettext_lazy("Zoom link"))
    def link(self, meeting: Meeting) -> str:
        if not meeting.join_url:
            return _("None yet")
        shown = format_html('<a href="{0}">{0}</a>', meeting.join_url)
        if meeting.session and meeting.session.event.has_personal_links:
            note = _("Each person gets their own link.")
            return format_html('{}<span class="said">{}</span>', shown, note)
        return shown

    @admin.display(description=gettext_lazy("took place"))
    def ran(self, meeting: Meeting) -> str:
        """Started Saturday, October 16, 8:55 AM, ended 1:04 PM"""
        zone = timezone.get_current_timezone()
        started, ended = meeting.started_at, meeting.ended_at
        if started is None:
            return _("Not yet")
        values = {"day": day(started, zone), "start": clock(started, zone)}
        if ended is None:
            return _("Started %(day)s, %(start)s") % values
        values["end"] = clock(ended, zone)
        return _("Started %(day)s, %(start)s, ended %(end)s") % values


def recreate_meeting(model_admin: ModelAdmin, request: HttpRequest, session: Session) -> None:
    meeting = session.meeting_or_none
    if meeting is None or not sync.recreate(meeting=meeting):
        messages.warning(request, _("Nothing was done: this meeting is still in Zoom."))
        return
    model_admin.log_change(request, session, _("New Zoom meeting created."))
    messages.success(
        request,
        _(
            "We'll create a new Zoom meeting within a minute. The links in our emails will lead "
            "to it."
        ),
    )


def retry_sync(model_admin: ModelAdmin, request: HttpRequest, session: Session) -> None:
    sync.retry_now(event=session.event)
    messages.success(request, _("We'll try again within a minute. Then reload this page."))


@admin.register(Session)
class SessionAdmin(NewSpeakerAdmin, NotifyingAdmin, AskingAdmin, TextsAdmin):
    form = SessionForm
    history_parts = ("meeting", "agenda")
    can_revert = True
    list_display = ["title", "link", "when", "kind_name", "state"]
    list_filter = [("event", EventFilter), ZoomLinkFilter, ("kind", KindFilter), "status"]
    list_select_related = ["event", "meeting"]
    search_fields = columns("title", "summary")
    get_search_results = search_texts
    prepopulated_fields = {"slug": [columns("title")[0]]}
    readonly_fields = ["canceled"]
    formfield_overrides = {
        **AskingAdmin.formfield_overrides,
        models.URLField: {"assume_scheme": "https"},
        models.ManyToManyField: {"widget": forms.CheckboxSelectMultiple},
    }
    actions = [cancellation.cancel, cancellation.restore]
    fieldsets = [
        (
            None,
            {
                "fields": [
                    *("event", columns("title"), columns("short_title"), "slug", "kind", "track"),
                    *(columns("summary"), "hosts", "new_speaker", "shows_outline"),
                ],
                "description": EACH_LANGUAGE,
            },
        ),
        (
            STATUS,
            {
                "fields": ["status", "canceled"],
                "description": gettext_lazy(
                    "To cancel or restore a session, use the button at the top. Registered people "
                    "get an email about that, and about a new title, time or agenda, a few minutes "
                    "after your last edit (10, unless you change it in the event)."
                ),
            },
        ),
        (
            gettext_lazy("When"),
            {
                "fields": ["starts_at", "ends_at", "capacity"],
                "description": gettext_lazy("Enter times in the event's time zone."),
            },
        ),
        (gettext_lazy("Afterward"), {"fields": ["recording_url", "notes_url", "shows_recording"]}),
    ]

    def get_urls(self) -> list[Any]:
        buttons = buttons_view(self, {"remake": recreate_meeting, "try": retry_sync})
        return [
            path("<path:object_id>/zoom/", buttons, name="events_session_zoom"),
            *cancellation.urls(self),
            *duplicate_paths(self),
            *pending.urls(self),
            *reverting.urls(self),
            *super().get_urls(),
        ]

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: Any = None,
        form_url: str = "",
        extra_context: Any = None,
    ) -> HttpResponse:
        event = event_of(request, object_id)
        sessions = list(event.sessions.filter(pk=object_id)) if event and object_id else []

        def answer(question: str = "") -> HttpResponse:
            asked = self.asking(request, question)
            with in_event_time(request, event, (event or Event()).zone, sessions) as context:
                context |= (extra_context or {}) | asked
                if object_id is None:
                    others = Event.objects.active().exclude(pk=event.pk) if event else ()
                    context |= {"other_events": others}
                view = super(SessionAdmin, self).changeform_view
                return render_now(view(request, object_id, form_url, context))

        if request.method == "POST" and sessions:
            return save_and_explain(request, sessions, answer)
        return answer()

    def get_form(
        self, request: HttpRequest, obj: Session | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        event = obj.event if obj else event_of(request, None)
        if event:
            kwargs |= {"labels": {"track": capfirst(event.track_label())}}
            kwargs |= {"help_texts": {"track": about_all_tracks(event)}}
        if obj is None:
            own = {"event": _("You can't change this later.")}
            kwargs["help_texts"] = own | kwargs.get("help_texts", {})
        return without_new_speaker(request, super().get_form(request, obj, change, **kwargs))

    def get_readonly_fields(self, request: HttpRequest, obj: Session | None = None) -> Any:
        """People registered for it in its event, so it stays there."""
        return [*super().get_readonly_fields(request, obj), *(["event"] if obj else [])]

    def get_fieldsets(self, request: HttpRequest, obj: Session | None = None) -> Any:
        """Of a canceled session, the reason can be changed."""
        fieldsets = super().get_fieldsets(request, obj)
        if obj and not self.has_change_permission(request, obj):
            # Where it can't be chosen, Django names the kind as we do.
            fields = dict(fieldsets)[None]["fields"]
            fields[fields.index("kind")] = "kind_name"
        if obj and obj.is_canceled:
            dict(fieldsets)[STATUS]["fields"].append(columns("cancel_reason"))
        return fieldsets

    def formfield_for_manytomany(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        """Offer the speakers of the session's event, or of the one chosen for a new session."""
        event = event_of(request, request.resolver_match.kwargs.get("object_id"))
        kwargs["queryset"] = event.speakers.all() if event else Speaker.objects.none()
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    def formfield_for_choice_field(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        """Name the kinds as the event does."""
        event = event_of(request, request.resolver_match.kwargs.get("object_id"))
        if db_field.name == "kind" and event:
            kwargs["choices"] = [*kind_names(event).items()]
        return super().formfield_for_choice_field(db_field, request, **kwargs)

    def formfield_for_foreignkey(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        """Offer the strategies of the session's event, or of the one chosen for a new session."""
        if db_field.name == "track":
            event = event_of(request, request.resolver_match.kwargs.get("object_id"))
            kwargs["queryset"] = event.tracks.all() if event else Track.objects.none()
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def get_inlines(self, request: HttpRequest, obj: Session | None) -> list[Any]:
        event = obj.event if obj else event_of(request, None)
        creates_meetings = event is not None and event.creates_meetings
        return [SyncedMeetingInline if creates_meetings else MeetingInline, AgendaInline]

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        if formset.model is Meeting:
            save_entered_fields(formset)
            if formset.has_changed():
                # Calendars take the entry with the newer stamp, and with it the new meeting ID.
                form.instance.save(update_fields=["updated_at"])
        else:
            super().save_formset(request, form, formset, change)
            finish_agenda(formset)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        add_new_speaker(form, form.instance.hosts, form.instance.event)
        session = Session.objects.with_details().get(pk=form.instance.pk)
        changed = any(formset.model is Meeting and formset.has_changed() for formset in formsets)
        explain_meeting(request, session, changed)
        meeting = session.usable_meeting
        if changed and meeting and meeting.lacks_keyed_passcode:
            text = _(
                "The passcode of “%(session)s” has letters, so people can't key it in on a phone. "
                "Enter the passcode for phones: Zoom's invitation has it next to the phone numbers."
            )
            messages.warning(request, text % {"session": session})
        renamed = not {*columns("title")}.isdisjoint(form.changed_data)
        if change and renamed and {*columns("short_title")}.isdisjoint(form.changed_data):
            explain_short_title(request, session)
        planned = sum(item.minutes for item in session.agenda.all())
        length = int((session.ends_at - session.starts_at).total_seconds() // 60)
        if planned > length:
            text = _(
                "The agenda of “%(session)s” takes %(planned)s minutes, but the session is "
                "%(length)s minutes long."
            )
            values = {"session": session, "planned": planned, "length": length}
            messages.warning(request, text % values)

    @admin.display(description=gettext_lazy("when"), ordering="starts_at")
    def when(self, session: Session) -> str:
        zone = session.event.zone
        return f"{capfirst(day_and_year(session.starts_at, zone))}, {hours(session, zone)}"

    @admin.display(description=gettext_lazy("kind"), ordering="kind")
    def kind_name(self, session: Session) -> str:
        return session.event.kind_name(session.Kind(session.kind))

    @admin.display(description=gettext_lazy("status"))
    def state(self, session: Session) -> str:
        if session.is_canceled:
            return _("Canceled")
        return (
            pgettext("a session", "Published")
            if session.status == session.Status.PUBLISHED
            else _("Draft")
        )

    @admin.display(description=gettext_lazy("canceled"))
    def canceled(self, session: Session) -> str:
        return warning(_("This session is canceled")) if session.is_canceled else _("No")

    @admin.display(description=gettext_lazy("Zoom link"))
    def link(self, session: Session) -> str:
        status = meeting_status(session, timezone.now())
        if status.is_running:
            return format_html('<b class="badge badge--sending">{}</b>', status.label)
        return warning(status.label) if status.is_problem else status.label


def about_all_tracks(event: Event) -> str:
    return event.worded(
        _("Leave this empty if the session is about all strategies."),
        _("Leave this empty if the session is about all of them."),
    )


def explain_short_title(request: HttpRequest, session: Session) -> None:
    """After the title was changed, say that the short one was not."""
    if session.short_title:
        text = _("You changed the title. The short title is still “%(title)s”.")
        messages.warning(request, text % {"title": session.short_title})


def explain_meeting(request: HttpRequest, session: Session, changed: bool) -> None:
    """After saving, say what a changed meeting means for attendees, and how far it is."""
    event = session.event
    # Who gets an email, and when, is said with every edit.
    if changed and not event.creates_meetings and people.seated([session]):
        text = _("“%(session)s”: the links in our emails now lead to the new Zoom link.")
        messages.info(request, text % {"session": session.brief_title})
    elif changed and event.creates_meetings and not event.has_personal_links:
        messages.info(
            request,
            _("A few minutes after your last edit, people get an email about a new phone number."),
        )
    if event.creates_meetings:
        status = meeting_status(session, timezone.now())
        level = messages.WARNING if status.is_problem else messages.INFO
        text = _("Zoom meeting for “%(session)s”: %(status)s") % {
            "session": session,
            "status": status.text,
        }
        messages.add_message(request, level, text)
    elif not session.join_url and not session.is_canceled:
        messages.warning(
            request,
            _(
                "“%(session)s” has no Zoom link yet. People can't join until you paste one under "
                "“Zoom meeting”."
            )
            % {"session": session},
        )
