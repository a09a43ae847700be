"""Organizers' own texts for the automatic emails, and previews of every email."""

from functools import partial
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import translation
from django.utils.html import format_html
from django.utils.text import format_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from events.admin.archive import EventFilter
from events.admin.history import reverting
from events.admin.shared import (
    EACH_LANGUAGE,
    TextsAdmin,
    TextsForm,
    by_id,
    by_id_or_404,
    default_event,
)
from events.languages import columns
from events.models import Event
from registrations.admin import mail_text_validation as validation
from registrations.admin.shared import (
    admin_path,
    page_response,
    preview_language,
    preview_languages,
)
from registrations.mail import previews
from registrations.mail_kinds import MailKind
from registrations.models import MailText

KINDS = [kind for kind in MailKind if kind.spec.subject]
# Announcements have neither this greeting nor an opening. They aren't in KINDS.
GREETING = gettext_lazy("“Hello <name>,” is added before it automatically.")
# The session key for texts that are previewed before they are saved.
UNSAVED = "unsaved_mail_texts"


def kind_of(value: Any) -> MailKind | None:
    return MailKind(value) if value in KINDS else None


class MailTextForm(TextsForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        fields: dict[str, Any] = self.fields
        # People who may only view texts get a form without fields.
        if not fields:
            return
        fields["event"].widget = forms.Select(choices=fields["event"].choices)
        subjects, openings = columns("subject"), columns("opening")
        fields[openings[0]].help_text = format_html("{}", GREETING)
        kind = kind_of(self.data.get("kind") or self.instance.kind or self.initial.get("kind", ""))
        if kind is None:
            return
        validate = partial(validation.validate_text, kind=kind)
        for name in subjects:
            fields[name].validators += [validation.validate_line, validate]
        for name in openings:
            fields[name].validators.append(validate)
        fields[subjects[0]].help_text = _("If empty: “%(text)s”") % {"text": kind.spec.subject}
        fields[openings[0]].help_text = format_html(
            _(
                "If empty: “{text}”<br>{greeting} The links come after it. Leave an empty line "
                "between paragraphs. In “{kind}” you can use these, here and in the subject:"
                "{placeholders}"
            ),
            text=kind.spec.opening,
            greeting=GREETING,
            kind=kind.label,
            placeholders=validation.placeholders(kind),
        )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        event, kind = self.cleaned_data.get("event"), self.cleaned_data.get("kind")
        others = MailText.objects.filter(event=event, kind=kind).exclude(pk=self.instance.pk)
        if event and kind and others.exists():
            self.add_error(
                "kind", _("This event already has a text for this kind. Change that one instead.")
            )
        return cleaned


@admin.register(MailText)
class MailTextAdmin(TextsAdmin):
    form = MailTextForm
    can_revert = True
    list_display = ["kind", "event", "subject", "own_opening"]
    empty_value_display = gettext_lazy("default")
    list_filter = [("event", EventFilter), "kind"]
    list_select_related = ["event"]
    fieldsets = [
        (
            None,
            {
                "fields": ["event", "kind", columns("subject"), columns("opening")],
                "description": format_lazy(
                    "{} {}",
                    gettext_lazy(
                        "Links, times and the schedule are added automatically. We use the default "
                        "text where yours could be wrong: for people on a waitlist, and when a "
                        "canceled session is back on."
                    ),
                    EACH_LANGUAGE,
                ),
            },
        )
    ]

    def get_urls(self) -> list[Any]:
        url, methods = "preview/<str:event_id>/<str:kind>/", ("GET", "HEAD", "POST")
        return [
            admin_path(self, "preview/", unsaved_preview_page, "preview_unsaved", methods=methods),
            admin_path(self, url, preview_page, "preview"),
            admin_path(self, f"{url}html/", preview_html, "preview_html"),
            *reverting.urls(self),
            *super().get_urls(),
        ]

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        kinds = [(kind, validation.placeholders(kind)) for kind in KINDS]
        return super().add_view(request, form_url, {"all_kinds": kinds, **(extra_context or {})})

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        chosen = by_id(Event.objects.all(), pk=request.GET.get("event__id__exact"))
        event = chosen or default_event()
        context = {"of_event": event, "kinds": kinds_of(event) if event else []}
        return super().changelist_view(request, {**context, **(extra_context or {})})

    @admin.display(description=gettext_lazy("opening"))
    def own_opening(self, text: MailText) -> str:
        return text.opening[:80]


def preview_page(
    model_admin: ModelAdmin, request: HttpRequest, event_id: str, kind: str
) -> HttpResponse:
    """Show a kind of email with the saved texts."""
    return mail_text_preview(model_admin, request, *event_and_kind(event_id, kind))


def unsaved_preview_page(model_admin: MailTextAdmin, request: HttpRequest) -> HttpResponse:
    """Show a kind of email with the texts from the form, without saving them."""
    if request.method != "POST":
        if shown := unsaved_text(request):
            return mail_text_preview(model_admin, request, shown.event, MailKind(shown.kind), shown)
        # Someone reloaded the page by its address, in another session.
        return redirect("admin:registrations_mailtext_changelist")
    if not (model_admin.has_change_permission(request) or model_admin.has_add_permission(request)):
        raise PermissionDenied
    event, kind = event_and_kind(request.POST.get("event", ""), request.POST.get("kind", ""))
    saved = MailText.objects.filter(event=event, kind=kind).first()
    form = model_admin.get_form(request, saved)(request.POST, instance=saved)
    if not form.is_valid():
        return mail_text_preview(model_admin, request, event, kind, errors=form.errors)
    texts = {name: form.cleaned_data[name] for name in columns("subject", "opening")}
    request.session[UNSAVED] = {"event": event.pk, "kind": kind, **texts}
    return mail_text_preview(model_admin, request, event, kind, unsaved_text(request))


def unsaved_text(request: HttpRequest) -> MailText | None:
    """What someone has just written, without saving it."""
    kept = request.session.get(UNSAVED)
    if not isinstance(kept, dict):
        return None
    names = ("kind", *columns("subject", "opening"))
    event = by_id(Event.objects.all(), pk=str(kept.get("event")))
    return MailText(event=event, **{name: kept.get(name) for name in names}) if event else None


def preview_html(
    model_admin: ModelAdmin, request: HttpRequest, event_id: str, kind: str
) -> HttpResponse:
    """Return the email itself, for the frame in a preview."""
    event, known_kind = event_and_kind(event_id, kind)
    texts = unsaved_text(request) if "unsaved" in request.GET else None
    if texts and (texts.event, texts.kind) != (event, known_kind):
        texts = None
    try:
        with translation.override(preview_language(request)):
            mail = previews.sample(known_kind, event, texts)
    except LookupError as error:
        raise Http404 from error
    return previews.preview_response(str(mail.alternatives[0][0]))


def event_and_kind(event_id: str, kind: str) -> tuple[Event, MailKind]:
    event, known_kind = by_id_or_404(Event.objects.all(), pk=event_id), kind_of(kind)
    if known_kind is None:
        raise Http404
    return event, known_kind


def mail_text_preview(
    model_admin: ModelAdmin,
    request: HttpRequest,
    event: Event,
    kind: MailKind,
    unsaved: MailText | None = None,
    errors: Any = None,
) -> HttpResponse:
    mail, trouble, language = None, "", preview_language(request)
    try:
        with translation.override(language):
            mail = None if errors else previews.sample(kind, event, unsaved)
    except LookupError as error:
        trouble = str(error.args[0])
    html_url = reverse("admin:registrations_mailtext_preview_html", args=[event.pk, kind])
    return page_response(
        model_admin,
        request,
        "mailtext/preview.html",
        title=kind.label,
        subtitle=str(event),
        of_event=event,
        mail=mail,
        trouble=trouble,
        errors=errors,
        unsaved=unsaved is not None,
        html_url=f"{html_url}?in={language}{'&unsaved=yes' if unsaved else ''}",
        language=language,
        languages=preview_languages(),
        kinds=kinds_of(event),
        shown=kind,
        may_write=model_admin.has_add_permission(request),
    )


def kinds_of(event: Event) -> list[tuple[MailKind, MailText | None]]:
    """List every kind of email of an event, with the event's own texts."""
    own = {text.kind: text for text in event.mail_texts.all()}
    return [(kind, own.get(kind)) for kind in KINDS]
