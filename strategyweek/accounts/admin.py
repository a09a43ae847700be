"""Organizers' accounts in the admin. Nobody can give themselves or others more rights.

Only superusers give rights, and only they change the accounts of other members of staff: someone
who can change another account's password or email address has its rights too.
"""

from typing import Any

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.forms import UserCreationForm
from django.contrib.auth.models import Group, User
from django.db.models import Exists, OuterRef
from django.http import HttpRequest

from events.admin.shared import search_texts

RIGHTS = ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")

admin.site.unregister([User, Group])


def is_superuser(request: HttpRequest) -> bool:
    return request.user.is_active and request.user.is_superuser


@admin.register(User)
class AccountAdmin(UserAdmin):
    get_search_results = search_texts
    # Django's form also offers accounts without a password. The address is for a forgotten one.
    add_form = UserCreationForm
    add_fieldsets = ((None, {"fields": ("username", "email", "password1", "password2")}),)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fields = super().get_readonly_fields(request, obj)
        return fields if is_superuser(request) else (*fields, *RIGHTS)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        may_change = super().has_change_permission(request, obj)
        return may_change and _is_within_reach(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        may_delete = super().has_delete_permission(request, obj)
        return may_delete and _is_within_reach(request, obj)

    def get_deleted_objects(self, objs: Any, request: Any) -> Any:
        """Protect the accounts that the history names: their entries would vanish with them."""
        deleted, counts, needed, _protected = super().get_deleted_objects(objs, request)
        accounts = User.objects.filter(pk__in=[each.pk for each in objs])
        named = accounts.filter(Exists(LogEntry.objects.filter(user=OuterRef("pk"))))
        # No one may delete entries, so these accounts would lack a permission, too.
        return deleted, counts, set() if named else needed, list(named.order_by("username"))


def _is_within_reach(request: HttpRequest, account: User | None) -> bool:
    """Whether the account is the person's own, or has no rights."""
    if account is None or account == request.user or is_superuser(request):
        return True
    has_rights = account.is_staff or account.is_superuser or account.groups.exists()
    return not has_rights and not account.user_permissions.exists()


@admin.register(Group)
class RightsAdmin(GroupAdmin):
    get_search_results = search_texts

    def has_add_permission(self, request: HttpRequest) -> bool:
        return is_superuser(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return is_superuser(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return is_superuser(request)
