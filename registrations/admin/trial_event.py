"""The page that deletes a trial event with everyone in it."""

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.contrib.admin.models import DELETION, LogEntry
from django.contrib.admin.widgets import AdminTextInputWidget
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from events import history, languages
from events.admin.shared import by_id_or_404
from events.models import Event
from registrations.admin.shared import page_response
from registrations.privacy import trial_events

PERMISSIONS = ("events.delete_event", "registrations.delete_registration")


class NameForm(forms.Form):
    name = forms.CharField(
        label=gettext_lazy("Type the event's name to delete it"),
        max_length=150,
        widget=AdminTextInputWidget(attrs={"autocomplete": "off"}),
    )

    def __init__(self, *args: Any, event: Event, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.names = {text.strip() for _code, text in languages.written(event, "name")}

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if name not in self.names:
            raise ValidationError(_("That's not the event's name. Nothing was deleted."))
        return name


def delete_event_page(model_admin: ModelAdmin, request: HttpRequest, event_id: str) -> HttpResponse:
    """Show what vanishes, and delete it once the event's name was typed."""
    user: User = request.user  # type: ignore[assignment]
    if not user.has_perms(PERMISSIONS):
        raise PermissionDenied
    event: Event = by_id_or_404(Event.objects.all(), pk=event_id)
    refusal = ""
    try:
        trial_events.require_trial(event)
    except trial_events.CannotDelete as error:
        refusal = str(error)
    form = NameForm(request.POST if request.method == "POST" else None, event=event)
    if not refusal and form.is_valid():
        return _delete(request, event)
    return page_response(
        model_admin,
        request,
        "registration/delete_event.html",
        title=_("Delete “%(event)s” with everyone in it?") % {"event": event},
        event=event,
        contents=trial_events.contents(event),
        refusal=refusal,
        form=form,
    )


def _delete(request: HttpRequest, event: Event) -> HttpResponse:
    deleted = trial_events.contents(event)
    rows = list(Event.objects.filter(pk=event.pk))
    try:
        trial_events.delete_trial(event=event)
    except trial_events.CannotDelete as error:
        messages.error(request, str(error))
        return redirect(request.path)
    values = {name: f"{count:,}" for name, count in deleted._asdict().items()}
    with languages.in_main_language():
        text = _(
            "Deleted as a trial. People: %(people)s, sessions: %(sessions)s, emails: %(emails)s."
        )
        log = LogEntry.objects.log_actions
        entries = log(request.user.pk, rows, DELETION, text % values)  # type: ignore[arg-type]
    # The event is gone, so the entry belongs to none.
    history.record(entries, [Event()])
    messages.success(request, _("“%(event)s” is deleted, with everyone in it.") % {"event": event})
    return redirect("admin:events_event_changelist")
