"""Asking questions, and reading the answers and the errors."""

from django.test import Client

from events.models import Event
from registrations.models import Answer, Question, Registration
from tests.admin_pages import form_of
from tests.people import filled_form

HOSTILE = "<script>alert('x')</script> O'Brien & Co {{ 7 }} {name}"


def ask(week: Event, kind: str = "short", text: str = "How did you hear of us?", **fields):
    only = fields.pop("sessions", [])
    if kind in ("choice", "choices"):
        fields.setdefault("choices", "Meat\nVegan\nNothing, thanks")
    question = Question.objects.create(event=week, kind=kind, text=text, **fields)
    question.sessions.set(only)
    return question


def post(client: Client, week: Event, **changes):
    return client.post(f"/{week.slug}/register/", filled_form(week, **changes))


def field(question: Question) -> str:
    return f"question_{question.pk}"


def answers() -> dict[int, object]:
    return dict(Answer.objects.values_list("question", "value"))


def errors(response) -> dict[str, list[str]]:
    assert not Registration.objects.exists()
    return {name: list(messages) for name, messages in response.context["form"].errors.items()}


# In the admin

ADD = "/admin/registrations/question/add/"


def entered(week: Event, **changes) -> dict:
    return {
        "event": week.pk,
        "text_en": "Lunch?",
        "kind": "choice",
        "choices_en": "Meat\r\n\r\n  Vegan ",
        "help_text_en": "",
        "is_asked": "on",
        "position": "0",
        **changes,
    }


def edited(client: Client, question: Question, **changes) -> dict:
    return form_of(client, page_of(question)) | changes


def admin_errors(response) -> dict[str, list[str]]:
    return {
        name: list(messages) for name, messages in response.context["adminform"].form.errors.items()
    }


def page_of(question: Question) -> str:
    return f"/admin/registrations/question/{question.pk}/change/"
