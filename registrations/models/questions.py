"""The organizers' own questions, and the answers."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from events.models import Event, Session
from registrations.models.registration import Registration


class Question(models.Model):
    """A question that the organizers add to the registration form."""

    class Kind(models.TextChoices):
        SHORT = "short", _("Short text")
        LONG = "long", _("Long text")
        CHOICE = "choice", _("One choice")
        CHOICES = "choices", _("Several choices")
        YES_NO = "yes/no", _("Yes or no")

    event = models.ForeignKey(
        Event, on_delete=models.CASCADE, related_name="questions", verbose_name=_("event")
    )
    text = models.CharField(_("question"), max_length=200)
    kind = models.CharField(_("answer"), max_length=10, choices=Kind.choices, default=Kind.SHORT)
    choices = models.TextField(_("choices"), blank=True)
    help_text = models.CharField(_("help text"), max_length=300, blank=True)
    is_required = models.BooleanField(
        _("required"), default=False, help_text=_("No one can register without answering.")
    )
    sessions = models.ManyToManyField(
        Session,
        blank=True,
        related_name="questions",
        verbose_name=_("sessions"),
        help_text=_(
            "We only ask people who choose one of these sessions. If you check none, we ask "
            "everyone."
        ),
    )
    is_asked = models.BooleanField(
        _("asked"),
        default=True,
        help_text=_("Uncheck this to stop asking. We keep the answers so far."),
    )
    position = models.PositiveSmallIntegerField(
        _("position"), default=0, help_text=_("Lower numbers come first.")
    )

    class Meta:
        ordering = ["position", "pk"]
        verbose_name = _("question")
        verbose_name_plural = _("questions")

    def __str__(self) -> str:
        return self.text


class Answer(models.Model):
    """An answer. Several choices are stored as a list, yes or no as a bool."""

    registration = models.ForeignKey(Registration, on_delete=models.CASCADE, related_name="answers")
    question = models.ForeignKey(Question, on_delete=models.PROTECT, related_name="answers")
    value = models.JSONField()

    class Meta:
        ordering = ["question__position", "question"]
        constraints = [
            models.UniqueConstraint(
                name="one_answer_per_registration_and_question", fields=["registration", "question"]
            )
        ]

    def __str__(self) -> str:
        return f"{self.question}: {self.value}"
