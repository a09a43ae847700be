"""Django's admin, with what organizers come for first."""

from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpRequest
from django.template.response import TemplateResponse


class OrganizersSite(AdminSite):
    def index(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        """The organizers' desk, above the list of apps."""
        # The modules of the admin's pages register them with this site.
        from registrations.admin.desk import desk_context

        return super().index(request, {**desk_context(request), **(extra_context or {})})

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """Accounts come last: a week needs them once."""
        apps = super().get_app_list(request, app_label)
        return sorted(apps, key=lambda app: app["app_label"] == "auth")
