from django.apps import AppConfig


class RegistrationsConfig(AppConfig):
    name = "registrations"

    def ready(self) -> None:
        from anymail.signals import tracking

        from registrations import checks  # noqa: F401
        from registrations.mail import bounces

        tracking.connect(bounces.record)
