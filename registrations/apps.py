from django.apps import AppConfig
from django.utils.translation import gettext_lazy


class RegistrationsConfig(AppConfig):
    name = "registrations"
    verbose_name = gettext_lazy("Registrations")

    def ready(self) -> None:
        from anymail.signals import tracking

        from events import weeks
        from registrations import checks, week_copies  # noqa: F401
        from registrations.mail import bounces

        tracking.connect(bounces.record)
        weeks.also_copy(week_copies.copy_questions)
        weeks.also_copy(week_copies.copy_mail_texts)
