"""What someone answered to the organizers' questions."""

from django import template

from registrations import questions
from registrations.models import Registration

register = template.Library()


@register.simple_tag
def answers_of(registration: Registration) -> list[tuple[str, str]]:
    """Each question that someone answered, and what they said."""
    answers = registration.answers.select_related("question")
    return [(answer.question.text, questions.shown(answer)) for answer in answers]
