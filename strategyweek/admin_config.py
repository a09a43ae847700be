"""Django's admin, for organizers."""

from django.apps import apps
from django.contrib.admin.apps import AdminConfig
from django.utils.translation import gettext_lazy as _


class OrganizersConfig(AdminConfig):
    default_site = "strategyweek.admin_site.OrganizersSite"

    def ready(self) -> None:
        super().ready()
        # Django's name is "Authentication and Authorization".
        apps.get_app_config("auth").verbose_name = _("Accounts")
