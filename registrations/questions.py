"""What organizers ask besides what everyone is asked: the fields of a form, and the answers."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django import forms
from django.db.models import QuerySet

from events.models import Event, Session
from registrations.models import Answer, Question, Registration
from registrations.validators import validate_visible, validate_visible_lines

Kind = Question.Kind
# As it is kept: several choices are a list, yes or no is a bool.
Value = str | list[str] | bool

SHORT_LENGTH = 200
LONG_LENGTH = 2000
LONGEST_CHOICE = 200

UNANSWERED = "Please answer this question."
CHANGED = "This question has changed since you opened the page. Please answer it anew."
NO_LONGER_OFFERED = "Choose from the list: it has changed since you opened the page."


def asked(event: Event, sessions: Iterable[Session]) -> list[Question]:
    """What an event asks of people who choose among these sessions, each question with its own."""
    offered = {session.pk for session in sessions}
    questions = event.questions.filter(is_asked=True).prefetch_related("sessions")
    return [each for each in questions if applies(each, offered)]


def applies(question: Question, sessions: set[int]) -> bool:
    """Whether a question is for someone who comes to these sessions, by id."""
    only = {session.pk for session in question.sessions.all()}
    return not only or bool(only & sessions)


def choices(question: Question) -> list[str]:
    """What can be chosen, as organizers wrote it: one a line."""
    lines = [line.strip() for line in question.choices.splitlines()]
    return [line for line in lines if line]


def name(question: Question) -> str:
    """Of its field."""
    return f"question_{question.pk}"


def seen(question: Question) -> str:
    """What a form says it asked; another when the question's words or its kind have changed."""
    words = f"{question.kind}\n{question.text}\n{question.help_text}"
    return hashlib.sha256(words.encode()).hexdigest()[:12]


class LongText(forms.CharField):
    """Some lines, which browsers send with line ends of two characters and count as one."""

    def to_python(self, value: Any) -> Any:
        return str(super().to_python(value)).replace("\r\n", "\n")


def fields(questions: Iterable[Question]) -> dict[str, forms.Field]:
    """A field for each, by name. None is required here: `take_answers` knows who must answer."""
    return {name(question): _field(question) for question in questions}


def _field(question: Question) -> forms.Field:
    shared: dict[str, Any] = {"label": question.text, "required": False}
    of_choices = {**shared, "error_messages": {"invalid_choice": NO_LONGER_OFFERED}}
    pairs = [(choice, choice) for choice in choices(question)]
    match question.kind:
        case Kind.LONG:
            return LongText(max_length=LONG_LENGTH, validators=[validate_visible_lines], **shared)
        case Kind.CHOICE:
            return forms.ChoiceField(choices=[("", "Choose an answer"), *pairs], **of_choices)
        case Kind.CHOICES:
            widget = forms.CheckboxSelectMultiple
            return forms.MultipleChoiceField(choices=pairs, widget=widget, **of_choices)
        case Kind.YES_NO:
            no_answer = [] if question.is_required else [("", "No answer")]
            return forms.TypedChoiceField(
                choices=[("yes", "Yes"), ("no", "No"), *no_answer],
                coerce=lambda word: word == "yes",
                empty_value=None,
                **of_choices,
            )
    return forms.CharField(max_length=SHORT_LENGTH, validators=[validate_visible], **shared)


@dataclass(frozen=True)
class Asked:
    """A question on a page: `sessions` are those of the page that it is about, if not all."""

    question: Question
    field: forms.BoundField
    sessions: list[Session]

    @property
    def seen(self) -> str:
        return seen(self.question)

    @property
    def must_be_answered(self) -> bool:
        """By everyone: what only some must answer, the browser cannot know."""
        return self.question.is_required and not self.sessions

    @property
    def described_by(self) -> str:
        """The ids of the words that stand at the field, for those who hear the page."""
        notes = {
            "error": self.field.errors,
            "when": self.sessions,
            "help": self.question.help_text,
        }
        return " ".join(f"{self.field.name}_{note}" for note, stands in notes.items() if stands)


def on_page(
    form: forms.BaseForm, questions: Iterable[Question], sessions: Iterable[Session]
) -> list[Asked]:
    offered = {session.pk: session for session in sessions}
    return [
        Asked(
            question,
            form[name(question)],
            [offered[each.pk] for each in question.sessions.all() if each.pk in offered],
        )
        for question in questions
    ]


def take_answers(
    form: forms.BaseForm, questions: Iterable[Question], sessions: set[int]
) -> dict[Question, Any]:
    """Take the answers out of a form's cleaned data; None for a question left unanswered.

    Says at its field what is wrong. What does not apply to the sessions ticked, by id, is left
    out, whatever was entered.
    """
    answers: dict[Question, Any] = {}
    for question in questions:
        field = name(question)
        value = form.cleaned_data.pop(field, None)
        if not applies(question, sessions):
            form.errors.pop(field, None)
        elif field in form.errors:
            continue
        elif value in (None, "", []):
            answers[question] = None
            if question.is_required:
                form.add_error(field, UNANSWERED)
        elif form.data.get(f"{field}_seen", seen(question)) != seen(question):
            form.add_error(field, CHANGED)
        else:
            answers[question] = value
    return answers


def initial(registration: Registration) -> dict[str, Any]:
    """Someone's answers as a form begins with them."""
    words = {True: "yes", False: "no"}
    return {
        f"question_{answer.question_id}": words[answer.value]
        if isinstance(answer.value, bool)
        else answer.value
        for answer in registration.answers.all()
    }


def save_answers(*, registration: Registration, answers: Mapping[Question, Value | None]) -> None:
    """Write what someone answered, and forget what they took back: None.

    To be called in the transaction that writes the rest.
    """
    given = [
        Answer(registration=registration, question=question, value=value)
        for question, value in answers.items()
        if value is not None
    ]
    withdrawn = [question for question, value in answers.items() if value is None]
    if withdrawn:
        registration.answers.filter(question__in=withdrawn).delete()
    if given:
        Answer.objects.bulk_create(
            given,
            update_conflicts=True,
            unique_fields=["registration", "question"],
            update_fields=["value"],
        )


def delete_inapplicable(*, registration: Registration) -> None:
    """Forget answers to questions about sessions of which someone has chosen none."""
    about_sessions = registration.answers.exclude(question__sessions=None)
    chosen = registration.seats.values("session")
    about_sessions.exclude(question__sessions__in=chosen).delete()


def shown(answer: Answer) -> str:
    """An answer in words: Yes; Vegan; Legislation; Resentencing"""
    if isinstance(answer.value, bool):
        return "Yes" if answer.value else "No"
    if isinstance(answer.value, list):
        return "; ".join(answer.value)
    return str(answer.value)


def answers_that_count(question: Question) -> QuerySet[Answer]:
    """Those of people who come or may come."""
    declined = Registration.Approval.DECLINED
    live = question.answers.filter(registration__canceled_at=None)
    return live.exclude(registration__approval=declined).select_related("registration")


def tally(question: Question) -> list[tuple[str, int]]:
    """How often each choice was taken, as organizers ordered them; [] for texts."""
    if question.kind in (Kind.SHORT, Kind.LONG):
        return []
    values = answers_that_count(question).order_by().values_list("value", flat=True)
    if question.kind == Kind.YES_NO:
        taken = Counter("Yes" if value else "No" for value in values)
        return [(word, taken[word]) for word in ("Yes", "No")]
    taken = Counter(
        choice for value in values for choice in (value if isinstance(value, list) else [value])
    )
    return [(choice, taken[choice]) for choice in choices(question)]
