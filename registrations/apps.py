from django.apps import AppConfig
from django.utils.translation import gettext_lazy


class RegistrationsConfig(AppConfig):
    name = "registrations"
    verbose_name = gettext_lazy("Registrations")

    def ready(self) -> None:
        from anymail.signals import tracking

        from events import forecasts, people, weeks
        from registrations import checks, seats, week_copies  # noqa: F401
        from registrations.mail import bounces, change_notices

        tracking.connect(bounces.record)
        forecasts.register(
            change_notices.forecast,
            change_notices.last_told,
            change_notices.edited_sessions,
            seats.people_to_promote,
        )
        people.register(seats.COUNTS)
        weeks.also_copy(week_copies.copy_questions)
        weeks.also_copy(week_copies.copy_mail_texts)
