"""Writing announcements, and their list. Sending them is in `announcement_review`."""

from collections.abc import Collection
from functools import partial
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.text import capfirst, format_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from events.admin.archive import EventFilter
from events.admin.history import reverting
from events.admin.shared import EACH_LANGUAGE, TextsAdmin, TextsForm, by_id, search_texts, warning
from events.languages import columns
from events.models import Event
from registrations.admin import announcement_review as review
from registrations.admin import mail_text_validation as validation
from registrations.admin.shared import admin_path
from registrations.formatting import moment
from registrations.mail.announcements import SendingProgress, email_counts
from registrations.mail_kinds import MailKind
from registrations.models import Announcement
from registrations.us_states import us_state_choices

# The audiences that can be limited to one session.
SESSION_AUDIENCES = {
    Announcement.Audience.SESSION,
    Announcement.Audience.WAITING,
    Announcement.Audience.NOT_ATTENDED,
}


class AnnouncementForm(TextsForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        fields: dict[str, Any] = self.fields
        # People who may only view announcements get a form without fields.
        if not fields:
            return
        chosen = self.data.get("event") or self.instance.event_id or self.initial.get("event")
        event = by_id(Event.objects.all(), pk=str(chosen))
        fields["event"].widget = forms.Select(choices=fields["event"].choices)
        if event:
            audiences = [(each.value, each.label_for(event)) for each in Announcement.Audience]
            fields["audience"].choices = audiences
            fields["track"].label = capfirst(event.track_label())
        for name in ("session", "track"):
            # Only the choices are limited to the event: `clean` has a better error message.
            rows = fields[name].queryset.filter(event=event)
            fields[name].widget = forms.Select(
                choices=[("", _("Any")), *((each.pk, str(each)) for each in rows)]
            )
        fields["us_state"].choices = [("", _("Any")), *us_state_choices()]
        validate = partial(validation.validate_text, kind=MailKind.ANNOUNCEMENT)
        for name in columns("subject"):
            fields[name].validators += [validation.validate_line, validate]
        for name in columns("body"):
            fields[name].validators += [validate, validation.validate_markdown]
            fields[name].widget.attrs["rows"] = 16
        fields[columns("body")[0]].help_text = format_html(
            _(
                "Leave an empty line between paragraphs. <b>**bold**</b>, <i>*italic*</i>, "
                "[link text](https://...), and - at the start of a line for a list. "
                "You can use these here and in the subject:{placeholders}"
            ),
            placeholders=validation.placeholders(MailKind.ANNOUNCEMENT),
        )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        event: Event = cleaned.get("event") or Event()
        self._clean_narrowing(
            "session",
            Announcement.Audience.SESSION,
            SESSION_AUDIENCES,
            other_event=_("This session belongs to another event."),
            required=_("Choose a session. The people in it will get the announcement."),
        )
        self._clean_narrowing(
            "track",
            Announcement.Audience.TRACK,
            {Announcement.Audience.TRACK},
            other_event=event.wrong_event_text(),
            required=event.worded(
                _("Choose a strategy. The people interested in it will get the announcement."),
                _("Choose one. The people interested in it will get the announcement."),
            ),
        )
        return cleaned

    def _clean_narrowing(
        self,
        name: str,
        required_by: Announcement.Audience,
        allowed_by: Collection[Announcement.Audience],
        *,
        other_event: str,
        required: str,
    ) -> None:
        """Check the session or track that narrows the audience."""
        event, audience = self.cleaned_data.get("event"), self.cleaned_data.get("audience")
        chosen = self.cleaned_data.get(name)
        if chosen and event and chosen.event_id != event.pk:
            self.add_error(name, other_event)
        elif audience == required_by and not chosen and name not in self.errors:
            self.add_error(name, ValidationError(required, code="required"))
        elif chosen and audience and audience not in allowed_by:
            text = _("This only works with “{audience}” above. Choose that, or leave this empty.")
            label = required_by.label_for(event or Event())
            self.add_error(name, text.format(audience=label))


class AnnouncementList(ChangeList):
    def url_for_result(self, result: Any) -> str:
        """Link a draft to its form, and any other announcement to its progress."""
        if result.state == Announcement.State.DRAFT:
            return super().url_for_result(result)
        return reverse("admin:registrations_announcement_review", args=[result.pk])


@admin.register(Announcement)
class AnnouncementAdmin(TextsAdmin):
    form = AnnouncementForm
    can_revert = True
    # The page that follows says how many people read in that language.
    notes_missing = False
    list_display = ["subject", "progress", "sent", "recipients", "event", "written"]
    list_filter = [("event", EventFilter), "state"]
    list_select_related = ["event", "session", "track"]
    search_fields = columns("subject", "body")
    get_search_results = search_texts
    fieldsets = [
        (
            gettext_lazy("Message"),
            {
                "fields": ["event", columns("subject"), columns("body")],
                "description": format_lazy(
                    "{} {}",
                    gettext_lazy("Saving doesn't send anything. You'll see a preview first."),
                    EACH_LANGUAGE,
                ),
            },
        ),
        (
            gettext_lazy("Recipients"),
            {
                "fields": ["audience", "session", "track", "organization", "us_state"],
                "description": gettext_lazy(
                    "We skip people who don't want announcements and people our email "
                    "doesn't reach."
                ),
            },
        ),
    ]

    def get_urls(self) -> list[Any]:
        url, methods = "<path:object_id>/review/", ("GET", "HEAD", "POST")
        return [
            admin_path(self, url, review.review_page, "review", methods=methods),
            admin_path(self, f"{url}mail/", review.mail_html, "mail"),
            *reverting.urls(self),
            *super().get_urls(),
        ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Announcement]:
        counts = {f"mails_{name}": each for name, each in email_counts("mails__").items()}
        return super().get_queryset(request).annotate(**counts)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return AnnouncementList

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """An announcement that has been started can't be edited."""
        editable = obj is None or obj.state in review.EDITABLE_STATES
        return editable and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Only a draft can be deleted, on its own page."""
        draft = obj is not None and obj.state == Announcement.State.DRAFT
        return draft and super().has_delete_permission(request, obj)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: Any = None,
        form_url: str = "",
        extra_context: Any = None,
    ) -> HttpResponse:
        form_page = super().changeform_view
        if request.method != "POST":
            return form_page(request, object_id, form_url, extra_context)
        with transaction.atomic():
            # Locked, so that it can't start while it is being saved.
            locked = by_id(Announcement.objects.select_for_update(), pk=object_id)
            is_started = locked and locked.state not in review.EDITABLE_STATES
            if is_started and self.has_change_permission(request):
                messages.error(
                    request,
                    _("Sending started while you were editing, so your changes weren't saved."),
                )
                return redirect("admin:registrations_announcement_review", locked.pk)
            return form_page(request, object_id, form_url, extra_context)

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: Any = None) -> Any:
        return redirect("admin:registrations_announcement_review", obj.pk)

    def response_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        return redirect("admin:registrations_announcement_review", obj.pk)

    @admin.display(description=gettext_lazy("progress"), ordering="state")
    def progress(self, announcement: Any) -> str:
        counts = {name: getattr(announcement, f"mails_{name}") for name in email_counts()}
        progress = SendingProgress(**counts, time_left=None)
        text = review.progress_text(announcement, progress, timezone.now())
        return warning(text) if review.went_wrong(announcement, progress) else text

    @admin.display(description=gettext_lazy("sent"), ordering="mails_sent")
    def sent(self, announcement: Any) -> str:
        return f"{announcement.mails_sent:,}" if announcement.started_at else ""

    @admin.display(description=gettext_lazy("recipients"))
    def recipients(self, announcement: Announcement) -> str:
        return review.to_whom(announcement)

    @admin.display(description=gettext_lazy("written"), ordering="created_at")
    def written(self, announcement: Announcement) -> str:
        return moment(announcement.created_at, announcement.event.zone)
