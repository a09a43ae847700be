from django.apps import AppConfig
from django.utils.translation import gettext_lazy


class RegistrationsConfig(AppConfig):
    name = "registrations"
    verbose_name = gettext_lazy("Registrations")

    def ready(self) -> None:
        from anymail.signals import tracking

        from registrations import checks  # noqa: F401
        from registrations.mail import bounces

        tracking.connect(bounces.record)
