"""The history of the whole site: also of what belongs to no week, or was deleted with its week."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.views.decorators.http import require_safe

from events.admin.history.recording import HistoryAdmin, history_page


@admin.register(LogEntry)
class SiteHistoryAdmin(HistoryAdmin):
    """A single page, which the front page links to."""

    def get_urls(self) -> list[URLPattern]:
        @require_safe
        def view(request: HttpRequest) -> HttpResponse:
            if not self.has_view_permission(request):
                raise PermissionDenied
            return history_page(self, request)

        checked = self.admin_site.admin_view(view)
        return [path("", checked, name="admin_logentry_changelist")]

    def has_module_permission(self, request: HttpRequest) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        user: Any = request.user
        return bool(user.has_perm("admin.view_logentry"))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
