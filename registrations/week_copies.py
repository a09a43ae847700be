"""What the copy of a week gets from this app: the organizers' questions and email texts."""

from events.weeks import CopiedWeek, copied
from registrations.models import MailText, Question


def copy_questions(week: CopiedWeek) -> None:
    """Copy the questions, without answers."""
    for question in Question.objects.filter(event=week.source):
        copy = copied(question, event_id=week.event.pk)
        copy.save()
        asked_for = question.sessions.filter(pk__in=week.sessions)
        copy.sessions.set([week.sessions[each.pk] for each in asked_for])


def copy_mail_texts(week: CopiedWeek) -> None:
    for text in MailText.objects.filter(event=week.source):
        copied(text, event_id=week.event.pk).save()
