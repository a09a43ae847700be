from django.apps import AppConfig


class RegistrationsConfig(AppConfig):
    name = "registrations"

    def ready(self) -> None:
        from anymail.signals import tracking

        from . import bounces, checks  # noqa: F401

        tracking.connect(bounces.record)
