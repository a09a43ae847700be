"""The organizers' own questions, and the answers."""

from django.db import models

from events.models import Event, Session
from registrations.models.registration import Registration


class Question(models.Model):
    """A question that the organizers add to the registration form."""

    class Kind(models.TextChoices):
        SHORT = "short", "Short text"
        LONG = "long", "Long text"
        CHOICE = "choice", "One choice"
        CHOICES = "choices", "Several choices"
        YES_NO = "yes/no", "Yes or no"

    event = models.ForeignKey(Event, on_delete=models.CASCADE, related_name="questions")
    text = models.CharField("question", max_length=200)
    kind = models.CharField("answer", max_length=10, choices=Kind.choices, default=Kind.SHORT)
    choices = models.TextField(blank=True, help_text="For choices: one a line.")
    help_text = models.CharField(max_length=300, blank=True)
    is_required = models.BooleanField(
        "required", default=False, help_text="Nobody can register without an answer."
    )
    sessions = models.ManyToManyField(
        Session,
        blank=True,
        related_name="questions",
        help_text="Asked only of those who choose one of these. None: asked of everyone.",
    )
    is_asked = models.BooleanField(
        "asked", default=True, help_text="Untick it to ask no more; answers so far stay."
    )
    position = models.PositiveSmallIntegerField(default=0, help_text="Lower comes first.")

    class Meta:
        ordering = ["position", "pk"]

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
