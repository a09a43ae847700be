"""Helpers for the admin pages of registrations."""

import hashlib
import json
import logging
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.contrib.admin import ModelAdmin
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.http import require_http_methods

from registrations.models import Registration

logger = logging.getLogger(__name__)


def may_see_sensitive_data(request: HttpRequest) -> bool:
    """Access needs and answers often tell something about someone's health."""
    user: User = request.user  # type: ignore[assignment]
    return user.has_perm("registrations.view_sensitive_data")


class ChangeOnlyAdmin(admin.ModelAdmin):
    """Rows come from elsewhere: organizers can neither add nor delete them."""

    # Filters that links use, and that aren't shown next to the list.
    other_filters: ClassVar[tuple[str, ...]] = ()

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


def admin_page(
    model_admin: ModelAdmin,
    view: Callable[..., HttpResponse],
    *,
    methods: Iterable[str] = ("GET", "HEAD"),
) -> Callable[..., HttpResponse]:
    """Make a page for `get_urls` from a function, for people who may view the model.

    `view` gets the model admin, the request, and the values from the URL.
    """

    @require_http_methods([*methods])
    def checked(request: HttpRequest, **values: str) -> HttpResponse:
        if not model_admin.has_view_permission(request):
            raise PermissionDenied
        return view(model_admin, request, **values)

    return model_admin.admin_site.admin_view(checked)


def page_response(
    model_admin: ModelAdmin, request: HttpRequest, template: str, **context: Any
) -> TemplateResponse:
    """Render a template below admin/registrations/, with what the admin's base needs."""
    context = {**model_admin.admin_site.each_context(request), "opts": model_admin.opts, **context}
    return TemplateResponse(request, f"admin/registrations/{template}", context)


def person_link(registration: Registration, text: object) -> SafeString:
    url = reverse("admin:registrations_registration_change", args=[registration.pk])
    return format_html('<a href="{}">{}</a>', url, text)


def log_action(request: HttpRequest, rows: Iterable[Model], message: str) -> None:
    """Record under each row's History who did this."""
    LogEntry.objects.log_actions(request.user.pk, rows, CHANGE, message)  # type: ignore[arg-type]


def log_bulk_action(request: HttpRequest, model: type[Model], message: str) -> None:
    """Record in one entry who did something with many rows. `message` has no names."""
    entry = LogEntry(
        user=request.user,
        content_type=ContentType.objects.get_for_model(model),
        object_repr=str(model._meta.verbose_name_plural),
        action_flag=CHANGE,
        change_message=message,
    )
    entry.save()
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
        if self.cleaned_data["version"] != self.version(rows.get(pk=self.instance.pk)):
            raise forms.ValidationError(
                mark_safe(
                    "Someone else changed this while you had it open, so nothing was saved. "
                    'What you typed is still here. <a href="" target="_blank">See how it is '
                    "now</a>, and enter your changes there."
                )
            )
