"""Helpers for the admin pages of registrations."""

import hashlib
import json
import logging
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import ModelAdmin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import translation
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from events import history, languages
from events.admin import shared
from events.admin.history.recording import HistoryAdmin
from events.admin.shared import search_stored_keys
from events.models import HistoryEntry
from registrations.models import Registration, Seat

# The confirmation page names this many people.
NAMED_AT_MOST = 20

logger = logging.getLogger(__name__)


def may_see_sensitive_data(request: HttpRequest) -> bool:
    """Access needs and answers often tell something about someone's health."""
    user: User = request.user  # type: ignore[assignment]
    return user.has_perm("registrations.view_sensitive_data")


class ChangeOnlyAdmin(HistoryAdmin):
    """Rows come from elsewhere: organizers can neither add nor delete them."""

    # Filters that links use, and that aren't shown next to the list.
    other_filters: ClassVar[tuple[str, ...]] = ()
    get_search_results = search_stored_keys

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Allow only our own filters.

        Django also accepts every other column. So people could find out what no page shows them,
        such as a token or a sign-in code, one character at a time.
        """
        filters = [
            each[0] if isinstance(each, tuple) else getattr(each, "parameter_name", each)
            for each in self.get_list_filter(request)
        ]
        names = [*self.other_filters, *map(str, filters)]
        return any(lookup == name or lookup.startswith(f"{name}__") for name in names)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ChangeOnlyInline(admin.TabularInline):
    """Rows come from elsewhere: organizers can neither add nor delete them."""

    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def admin_path(
    model_admin: ModelAdmin,
    route: str,
    view: Callable[..., HttpResponse],
    name: str,
    *,
    methods: Iterable[str] = ("GET", "HEAD"),
) -> URLPattern:
    """Return a path for `get_urls`, for people who may view the model.

    `view` gets the model admin, the request, and the values from the URL.
    """

    @require_http_methods([*methods])
    def checked(request: HttpRequest, **values: str) -> HttpResponse:
        if not model_admin.has_view_permission(request):
            raise PermissionDenied
        return view(model_admin, request, **values)

    prefix = f"{model_admin.opts.app_label}_{model_admin.opts.model_name}"
    return path(route, model_admin.admin_site.admin_view(checked), name=f"{prefix}_{name}")


def page_response(
    model_admin: ModelAdmin, request: HttpRequest, template: str, **context: Any
) -> TemplateResponse:
    """Render a template below admin/registrations/."""
    return shared.page_response(model_admin, request, f"registrations/{template}", **context)


def preview_language(request: HttpRequest, otherwise: str = "") -> str:
    """The language that someone chose for a preview, with a link or a form."""
    chosen = request.GET.get("in") or request.POST.get("in") or otherwise
    return chosen if chosen in languages.codes() else translation.get_language()


def preview_languages() -> list[tuple[str, str]]:
    """The languages to choose from: code and name."""
    return [(code, languages.names([code])) for code in languages.codes()]


def person_link(registration: Registration, text: object) -> SafeString:
    url = reverse("admin:registrations_registration_change", args=[registration.pk])
    return format_html('<a href="{}">{}</a>', url, text)


def confirmation_page(
    model_admin: ModelAdmin, request: HttpRequest, chosen: list[Registration], title: str
) -> HttpResponse | None:
    """Ask for confirmation, with the template that is named like the action.

    Returns None when the page's button was pressed for exactly these people with these links.
    """
    sure = fingerprint(*sorted((person.pk, person.token) for person in chosen))
    if request.POST.get("sure") == sure:
        return None
    if "sure" in request.POST:
        messages.warning(request, _("Your selection has changed. Please check it again."))
    action = request.POST["action"]
    return page_response(
        model_admin,
        request,
        f"registration/{action}.html",
        title=title,
        sure=sure,
        named=chosen[:NAMED_AT_MOST],
        unnamed=len(chosen) - NAMED_AT_MOST,
        action=action,
        checkbox=ACTION_CHECKBOX_NAME,
        selected=request.POST.getlist(ACTION_CHECKBOX_NAME),
        select_across=request.POST.get("select_across", "0"),
    )


def given_back_text(seat: Seat) -> str:
    if seat.state == Seat.State.SEATED:
        return _("They got their spot in %(session)s back.") % {"session": seat.session}
    text = _("%(session)s is full. They lost their spot there and are now first in line.")
    return text % {"session": seat.session}


def log_action(request: HttpRequest, rows: Iterable[Model], message: str) -> None:
    """Record under each row's History who did this."""
    history.log(request.user.pk or 0, rows, CHANGE, message)


def log_bulk_action(
    request: HttpRequest, model: type[Model], message: str, event_id: int | None
) -> None:
    """Record in one entry who did something with an event's rows. `message` has no names."""
    entry = LogEntry(
        user=request.user,  # type: ignore[misc]
        content_type=ContentType.objects.get_for_model(model),
        object_repr=str(model._meta.verbose_name_plural),
        action_flag=CHANGE,
        change_message=message,
    )
    entry.save()
    HistoryEntry.objects.create(log=entry, event_id=event_id)
    logger.info("Account %s: %s", request.user.pk, message)


def fingerprint(*values: Any) -> str:
    """Return a text that differs when any of these values does."""
    return hashlib.sha256(json.dumps(values, default=str).encode()).hexdigest()


class VersionedForm(forms.ModelForm):
    """Refuses to save what someone else changed after the page was opened.

    The template must render the hidden field `version`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["version"] = forms.CharField(
            required=False, initial=self.version(self.instance), widget=forms.HiddenInput
        )

    def version(self, row: Any) -> str:
        """Return the fingerprint of all that the page lets people change."""
        return fingerprint(forms.model_to_dict(row, fields=self.fields))

    def clean(self) -> None:
        super().clean()
        # Locked, so that no one else changes it before it is saved.
        rows = self._meta.model._default_manager.select_for_update(no_key=True)
        if self.cleaned_data.get("version") != self.version(rows.get(pk=self.instance.pk)):
            raise forms.ValidationError(
                format_html(
                    _(
                        "Someone else changed this while you had it open, so nothing was saved. "
                        'What you typed is still here. <a href="{url}" target="_blank">Open the '
                        "current version</a> and enter your changes there."
                    ),
                    # This page.
                    url="",
                )
            )
