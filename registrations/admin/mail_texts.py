"""Organizers' own words for the mails that go out by themselves, and how each mail looks."""

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.views.decorators.http import require_http_methods, require_safe

from events.admin.shared import by_id
from events.models import Event
from registrations.admin.mail_text_validation import placeholders, validate_line, validate_text
from registrations.mail import previews
from registrations.mail.previews import preview_response
from registrations.mail_kinds import MailKind, MailTexts
from registrations.models import MailText

KINDS = [kind for kind in MailKind if kind.spec.subject]
# An announcement alone has no such greeting, and no opening words.
GREETED = "“Hello <name>,” stands before it by itself"
# Words that are looked at before they are saved.
UNSAVED = "unsaved_mail_words"


def kind_of(value: Any) -> MailKind | None:
    return MailKind(value) if value in {kind.value for kind in KINDS} else None


ALL_KINDS = [
    {"label": kind.label, "placeholders": placeholders(kind), **kind.spec.texts._asdict()}
    for kind in KINDS
]


class MailTextForm(forms.ModelForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        fields: dict[str, Any] = self.fields
        # Whoever may only look has no fields.
        if not fields:
            return
        fields["event"].widget = forms.Select(choices=fields["event"].choices)
        fields["opening"].help_text = format_html("{}.", GREETED)
        kind = kind_of(self.data.get("kind") or self.instance.kind or self.initial.get("kind", ""))
        if kind is None:
            return
        ours = kind.spec.texts
        fields["subject"].help_text = f"Empty: “{ours.subject}”"
        fields["opening"].help_text = format_html(
            "Empty: “{}”<br>{}, and the links after it. An empty line starts a paragraph. "
            "Of the words in “{}” you may use, here and in the subject:{}",
            ours.opening,
            GREETED,
            kind.label,
            placeholders(kind),
        )

    def clean_subject(self) -> str:
        subject: str = self.cleaned_data["subject"]
        validate_line(subject)
        self._validate(subject)
        return subject

    def clean_opening(self) -> str:
        opening: str = self.cleaned_data["opening"]
        self._validate(opening)
        return opening

    def _validate(self, text: str) -> None:
        if kind := self.cleaned_data.get("kind"):
            validate_text(text, kind)

    def clean(self) -> None:
        super().clean()
        event, kind = self.cleaned_data.get("event"), self.cleaned_data.get("kind")
        others = MailText.objects.filter(event=event, kind=kind).exclude(pk=self.instance.pk)
        if event and kind and others.exists():
            self.add_error(
                "kind", "This event has words of its own for this kind. Change those instead."
            )


@admin.register(MailText)
class MailTextAdmin(admin.ModelAdmin):
    form = MailTextForm
    list_display = ["kind", "event", "own_subject", "own_opening"]
    list_filter = ["event", "kind"]
    list_select_related = ["event"]
    fieldsets = [
        (
            None,
            {
                "fields": ["event", "kind", "subject", "opening"],
                "description": "Links, times and the schedule stand in the mail by themselves. "
                "The words are yours. Ours stay where yours could be wrong: for people who wait "
                "for a place, and when a canceled session takes place after all.",
            },
        ),
    ]

    def get_urls(self) -> list[Any]:
        view, posting = self.admin_site.admin_view, require_http_methods(["GET", "HEAD", "POST"])
        preview = "preview/<str:event_id>/<str:kind>/"
        name = "registrations_mailtext_preview"
        return [
            path("preview/", view(posting(self.unsaved_view)), name=f"{name}_unsaved"),
            path(preview, view(require_safe(self.preview_view)), name=name),
            path(f"{preview}html/", view(require_safe(self.html_view)), name=f"{name}_html"),
            *super().get_urls(),
        ]

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        event = Event.objects.current(timezone.now()) or Event.objects.first()
        return {
            "event": event.pk if event else None,
            **super().get_changeform_initial_data(request),
        }

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return super().add_view(
            request, form_url, {"all_kinds": ALL_KINDS, **(extra_context or {})}
        )

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        chosen = by_id(Event.objects.all(), pk=request.GET.get("event__id__exact"))
        event = chosen or Event.objects.current(timezone.now()) or Event.objects.first()
        context = {"of_event": event, "kinds": self._kinds(event, None) if event else []}
        return super().changelist_view(request, {**context, **(extra_context or {})})

    def preview_view(self, request: HttpRequest, event_id: str, kind: str) -> HttpResponse:
        """A kind of mail with the words that are saved."""
        event, known = self._asked(request, event_id, kind)
        return self._preview(request, event, known)

    def unsaved_view(self, request: HttpRequest) -> HttpResponse:
        """A kind of mail with the words in the form, of which nothing is saved."""
        # Its address, opened anew, has no words.
        if request.method != "POST":
            return redirect("admin:registrations_mailtext_changelist")
        if not (self.has_change_permission(request) or self.has_add_permission(request)):
            raise PermissionDenied
        posted = request.POST
        event, kind = self._asked(request, posted.get("event", ""), posted.get("kind", ""))
        saved = MailText.objects.filter(event=event, kind=kind).first()
        form = self.get_form(request, saved)(posted, instance=saved)
        if not form.is_valid():
            return self._preview(request, event, kind, errors=form.errors)
        words = MailTexts(form.cleaned_data["subject"], form.cleaned_data["opening"])
        request.session[UNSAVED] = [event.pk, kind, *words]
        return self._preview(request, event, kind, words)

    def html_view(self, request: HttpRequest, event_id: str, kind: str) -> HttpResponse:
        """The mail itself, for a frame."""
        event, known = self._asked(request, event_id, kind)
        of_event, of_kind, *words = request.session.get(UNSAVED, [0, ""])
        unsaved = "unsaved" in request.GET and (of_event, of_kind) == (event.pk, known)
        try:
            mail = previews.sample(known, event, MailTexts(*words) if unsaved else None)
        except LookupError as error:
            raise Http404 from error
        return preview_response(str(mail.alternatives[0][0]))

    def _asked(self, request: HttpRequest, event_id: str, kind: str) -> tuple[Event, MailKind]:
        if not self.has_view_permission(request):
            raise PermissionDenied
        event, known = by_id(Event.objects.all(), pk=event_id), kind_of(kind)
        if event is None or known is None:
            raise Http404
        return event, known

    def _preview(
        self,
        request: HttpRequest,
        event: Event,
        kind: MailKind,
        words: MailTexts | None = None,
        errors: Any = None,
    ) -> HttpResponse:
        mail, trouble = None, ""
        try:
            mail = None if errors else previews.sample(kind, event, words)
        except LookupError as error:
            trouble = str(error.args[0])
        html_url = reverse("admin:registrations_mailtext_preview_html", args=[event.pk, kind])
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": kind.label,
            "subtitle": str(event),
            "of_event": event,
            "mail": mail,
            "trouble": trouble,
            "errors": errors,
            "unsaved": words is not None,
            "html_url": f"{html_url}?unsaved=yes" if words else html_url,
            "kinds": self._kinds(event, kind),
            "may_write": self.has_add_permission(request),
        }
        template = "admin/registrations/mailtext/preview.html"
        return TemplateResponse(request, template, context)

    def _kinds(self, event: Event, shown: MailKind | None) -> list[dict[str, Any]]:
        """Every kind of mail of an event: where it can be seen, and where its words are changed."""
        own = {text.kind: text for text in event.mail_texts.all()}
        add = reverse("admin:registrations_mailtext_add")
        return [
            {
                "label": kind.label,
                "shown": kind == shown,
                "own": kind in own,
                "preview_url": reverse(
                    "admin:registrations_mailtext_preview", args=[event.pk, kind]
                ),
                "words_url": reverse("admin:registrations_mailtext_change", args=[own[kind].pk])
                if kind in own
                else f"{add}?event={event.pk}&kind={kind}",
            }
            for kind in KINDS
        ]

    @admin.display(description="subject")
    def own_subject(self, text: MailText) -> str:
        return text.subject or "ours"

    @admin.display(description="opening words")
    def own_opening(self, text: MailText) -> str:
        return text.opening[:80] or "ours"
