"""Announcements: writing one, and the list of them. What comes after is in `reviewing`."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html

from events.admin.shared import by_id
from events.models import Event
from events.templatetags.times import zone_name
from registrations.admin.announcement_review import (
    EDITABLE_STATES,
    ReviewMixin,
    progress_words,
    to_whom,
    went_wrong,
)
from registrations.admin.mail_text_validation import (
    placeholders,
    validate_line,
    validate_markdown,
    validate_text,
)
from registrations.formatting import moment
from registrations.mail_kinds import MailKind
from registrations.models import UNREACHED_STATES, Announcement, OutgoingMail
from registrations.us_states import US_STATES

Audience = Announcement.Audience

# The people that a session narrows down.
OF_A_SESSION = {Audience.SESSION, Audience.WAITING, Audience.NOT_ATTENDED}


class AnnouncementForm(forms.ModelForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        fields: dict[str, Any] = self.fields
        # Whoever may only look has no fields.
        if not fields:
            return
        event = by_id(Event.objects.all(), pk=self.data.get("event")) or self._event()
        fields["event"].widget = forms.Select(choices=fields["event"].choices)
        for name in ("session", "track"):
            # Offered is the event's own; of another one, `clean` says what is wrong.
            offered = fields[name].queryset.filter(event=event)
            fields[name].widget = forms.Select(
                choices=[("", "Any"), *((each.pk, str(each)) for each in offered)]
            )
        fields["us_state"].choices = [("", "Any"), *US_STATES]
        fields["body"].widget.attrs["rows"] = 16
        fields["body"].help_text = format_html(
            "An empty line starts a paragraph. <b>**bold**</b>, <i>*leaning*</i>, "
            "[words that are a link](https://...), a line that starts with - for a list. "
            "You may use, here and in the subject:{}",
            placeholders(MailKind.ANNOUNCEMENT),
        )

    def _event(self) -> Event | None:
        if self.instance.event_id:
            return self.instance.event
        return by_id(Event.objects.all(), pk=str(self.initial.get("event", "")))

    def clean_subject(self) -> str:
        subject: str = self.cleaned_data["subject"]
        validate_line(subject)
        validate_text(subject, MailKind.ANNOUNCEMENT)
        return subject

    def clean_body(self) -> str:
        body: str = self.cleaned_data["body"]
        validate_text(body, MailKind.ANNOUNCEMENT)
        validate_markdown(body)
        return body

    def clean(self) -> None:
        super().clean()
        event, audience = self.cleaned_data.get("event"), self.cleaned_data.get("audience")
        session, track = self.cleaned_data.get("session"), self.cleaned_data.get("track")
        if session and event and session.event_id != event.pk:
            self.add_error("session", "This session belongs to another event.")
        elif audience == Audience.SESSION and not session:
            self._require("session", "Choose the session whose people you mean.")
        elif session and audience and audience not in OF_A_SESSION:
            self.add_error(
                "session",
                "Leave this empty, or choose “People in one session” above: "
                "as it stands, the session would change nothing.",
            )
        if track and event and track.event_id != event.pk:
            self.add_error("track", "This strategy belongs to another event.")
        elif audience == Audience.TRACK and not track:
            self._require("track", "Choose the strategy whose people you mean.")
        elif track and audience and audience != Audience.TRACK:
            self.add_error(
                "track",
                "Leave this empty, or choose “People interested in one strategy” above: "
                "as it stands, the strategy would change nothing.",
            )

    def _require(self, name: str, words: str) -> None:
        if name not in self.errors:
            self.add_error(name, ValidationError(words, code="required"))


class AnnouncementList(ChangeList):
    def url_for_result(self, result: Any) -> str:
        """A draft is opened to be written on, any other to see how it fares."""
        if result.state == Announcement.State.DRAFT:
            return super().url_for_result(result)
        return reverse("admin:registrations_announcement_review", args=[result.pk])


@admin.register(Announcement)
class AnnouncementAdmin(ReviewMixin, admin.ModelAdmin):
    form = AnnouncementForm
    list_display = ["subject", "progress", "sent", "audience_in_words", "event", "written"]
    list_filter = ["event", "state"]
    list_select_related = ["event", "session", "track"]
    search_fields = ["subject", "body"]
    fieldsets = [
        (
            "What you say",
            {
                "fields": ["event", "subject", "body"],
                "description": "You look at it before anyone gets it: saving sends nothing.",
            },
        ),
        (
            "Whom you say it to",
            {
                "fields": ["audience", "session", "track", "organization", "us_state"],
                "description": "People who want no announcements, and those whose mail has come "
                "back, are left out by themselves.",
            },
        ),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Announcement]:
        states = OutgoingMail.State
        open_states = [states.WAITING, states.PAUSED]
        return (
            super()
            .get_queryset(request)
            .annotate(
                mails_total=Count("mails"),
                mails_sent=Count("mails", filter=Q(mails__state=states.SENT)),
                mails_waiting=Count("mails", filter=Q(mails__state__in=open_states)),
                mails_failed=Count("mails", filter=Q(mails__state__in=UNREACHED_STATES)),
            )
        )

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return AnnouncementList

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        event = Event.objects.current(timezone.now()) or Event.objects.first()
        return {
            "event": event.pk if event else None,
            **super().get_changeform_initial_data(request),
        }

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """What has been started cannot be written anew."""
        editable = obj is None or obj.state in EDITABLE_STATES
        return editable and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """One draft at a time."""
        draft = obj is not None and obj.state == Announcement.State.DRAFT
        return draft and super().has_delete_permission(request, obj)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        if request.method != "POST":
            return super().changeform_view(request, object_id, form_url, extra_context)
        with transaction.atomic():
            # Held, so that it cannot start while it is written on.
            edited = by_id(Announcement.objects.select_for_update(), pk=object_id)
            if edited and edited.state not in EDITABLE_STATES:
                if not self.has_change_permission(request):
                    return super().changeform_view(request, object_id, form_url, extra_context)
                messages.error(
                    request, "It has been started meanwhile, so your edits were not saved."
                )
                return redirect("admin:registrations_announcement_review", edited.pk)
            return super().changeform_view(request, object_id, form_url, extra_context)

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Who pressed what, by the clock of the event."""
        found = self.get_object(request, unquote(object_id))
        if found is None:
            return super().history_view(request, object_id, extra_context)
        zone = found.event.zone
        clock = {"subtitle": f"By the clock of the event: {zone_name(zone)}"}
        with timezone.override(zone):
            context = {**clock, **(extra_context or {})}
            response: Any = super().history_view(request, object_id, context)
            # Rendered here: outside its times would be another zone's.
            rendered: HttpResponse = response.render()
        return rendered

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: Any = None) -> Any:
        return redirect("admin:registrations_announcement_review", obj.pk)

    def response_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        return redirect("admin:registrations_announcement_review", obj.pk)

    @admin.display(description="progress", ordering="state")
    def progress(self, announcement: Any) -> str:
        counts = {
            "sent": announcement.mails_sent,
            "waiting": announcement.mails_waiting,
            "failed": announcement.mails_failed,
        }
        words = progress_words(
            announcement, timezone.now(), total=announcement.mails_total, **counts
        )
        if went_wrong(announcement, **counts):
            return format_html('<b class="warning">{}</b>', words)
        return words

    @admin.display(description="sent", ordering="mails_sent")
    def sent(self, announcement: Any) -> str:
        return f"{announcement.mails_sent:,}" if announcement.started_at else ""

    @admin.display(description="to whom")
    def audience_in_words(self, announcement: Announcement) -> str:
        return to_whom(announcement)

    @admin.display(description="written", ordering="created_at")
    def written(self, announcement: Announcement) -> str:
        return moment(announcement.created_at, announcement.event.zone)
