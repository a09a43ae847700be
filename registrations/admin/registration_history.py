"""What the history of a registration shows, and to whom."""

from typing import Any

from django.http import HttpRequest

from registrations.admin.shared import ChangeOnlyAdmin, may_see_sensitive_data
from registrations.models import need_choices

SENSITIVE_FIELDS = {"needs", "needs_other"}


class RegistrationHistoryAdmin(ChangeOnlyAdmin):
    history_parts = ("seats",)

    def hidden_in_history(self, request: HttpRequest) -> set[str]:
        return set() if may_see_sensitive_data(request) else SENSITIVE_FIELDS

    def history_value(self, field: str, value: Any) -> str:
        if field != "needs":
            return ""
        labels = dict(need_choices())
        return ", ".join(str(labels.get(each, each)) for each in value)
