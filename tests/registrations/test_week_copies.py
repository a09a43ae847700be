"""The copy of a week gets the organizers' questions and email texts."""

import datetime as dt
import uuid

import pytest

from events import weeks
from registrations.models import Answer, MailText, Question
from tests.people import in_english, in_spanish, sign_up

pytestmark = pytest.mark.django_db


def copy_of(event):
    return weeks.copy_week(
        event=event,
        first_day=dt.date(2027, 3, 13),
        names=in_english(name="A copy"),
        slug="copy",
        draft_key=uuid.uuid4(),
    ).event


def test_questions_are_copied_with_their_sessions_and_without_answers(week, opening):
    texts = in_english(text="Food?", choices="Yes\nNo") | in_spanish(text="¿Comida?")
    details = {"kind": "choice", "is_required": True, "is_asked": False, "position": 3}
    question = Question.objects.create(event=week, **texts, **details)
    question.sessions.add(opening)
    Answer.objects.create(registration=sign_up(week), question=question, value="Yes")
    new = copy_of(week)
    copied = new.questions.get()
    assert (copied.text_en, copied.text_es, copied.choices_en) == ("Food?", "¿Comida?", "Yes\nNo")
    assert {name: getattr(copied, name) for name in details} == details
    assert [(each.event, each.slug) for each in copied.sessions.all()] == [(new, opening.slug)]
    assert copied.answers.count() == 0
    assert question.answers.count() == 1


def test_email_texts_are_copied_in_all_languages(week):
    texts = in_english(subject="Hi", opening="Come") | in_spanish(subject="Hola")
    MailText.objects.create(event=week, kind="links", **texts)
    copied = copy_of(week).mail_texts.get()
    assert (copied.kind, copied.subject_en, copied.subject_es) == ("links", "Hi", "Hola")
    assert (copied.opening_en, copied.opening_es) == ("Come", None)
