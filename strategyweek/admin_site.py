"""Django's admin, with what organizers come for first."""

from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpRequest


class OrganizersSite(AdminSite):
    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """Accounts come last: a week needs them once."""
        apps = super().get_app_list(request, app_label)
        return sorted(apps, key=lambda app: app["app_label"] == "auth")
