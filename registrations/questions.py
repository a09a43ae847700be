"""The organizers' own questions: their form fields, and the answers."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import partial
from itertools import chain
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import get_text_list
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from events import languages
from events.models import Event, Session
from registrations.models import Answer, Question, Registration
from registrations.validators import validate_visible, validate_visible_lines

# An answer as stored: several choices are a list, yes or no is a bool.
Value = str | list[str] | bool

LONGEST_CHOICE = 200

CHANGED = gettext_lazy(
    "This question has changed since you opened the page. Please answer it again."
)


def questions_for(event: Event, sessions: Iterable[Session]) -> list[Question]:
    """The questions for people who choose among these sessions, with `sessions` prefetched."""
    offered = {session.pk for session in sessions}
    questions = event.questions.filter(is_asked=True).prefetch_related("sessions")
    return [question for question in questions if applies(question, offered)]


def applies(question: Question, session_ids: set[int]) -> bool:
    """Whether a question is for someone who comes to these sessions."""
    only = {session.pk for session in question.sessions.all()}
    return not only or bool(only & session_ids)


def lines(text: str | None) -> list[str]:
    """The choices that organizers wrote, one per line."""
    return [line.strip() for line in (text or "").splitlines() if line.strip()]


def choices(question: Question) -> list[tuple[str, str]]:
    """The choices: as they are stored, in the main language, and as they are shown."""
    with languages.in_main_language():
        stored = lines(question.choices)
    shown = lines(question.choices)
    return list(zip(stored, shown if len(shown) == len(stored) else stored, strict=True))


def in_each_language(question: Question) -> dict[str, list[str]]:
    """The choices in each language in which they are written, by the column's name."""
    written = {name: lines(getattr(question, name)) for name in languages.columns("choices")}
    return {name: found for name, found in written.items() if found}


def _shown(question: Question, value: str) -> str:
    """A chosen choice as it is shown.

    It may have been stored in another language, if the choices were only written in that one then.
    """
    offered = choices(question)
    for written in ([stored for stored, _label in offered], *in_each_language(question).values()):
        if value in written[: len(offered)]:
            return offered[written.index(value)][1]
    return value


def field_name(question: Question) -> str:
    return f"question_{question.pk}"


def version(question: Question) -> str:
    """A hash that changes with the question's text or kind. Forms send back the one they had.

    It's the same in every language, in case someone switches in between.
    """
    with languages.in_main_language():
        content = f"{question.kind}\n{question.text}\n{question.help_text}"
    return hashlib.sha256(content.encode()).hexdigest()[:12]


class LongText(forms.CharField):
    """Text with line breaks. Browsers send each as two characters; here it counts as one."""

    widget = forms.Textarea(attrs={"rows": 4})

    def to_python(self, value: Any) -> Any:
        return str(super().to_python(value)).replace("\r\n", "\n")


class BoundQuestion(forms.BoundField):
    """A question in a form. `sessions`: those of the form that it is about; empty for all."""

    def __init__(self, *args: Any, question: Question, sessions: list[Session]) -> None:
        super().__init__(*args)
        self.version = version(question)
        self.sessions = sessions

    def build_widget_attrs(self, attrs: Any, widget: Any = None) -> dict[str, Any]:
        """The browser can't know who must answer a question about some sessions only."""
        required = {"required": False} if self.sessions else {}
        return {**super().build_widget_attrs(attrs, widget), **required}


def form_fields(questions: Iterable[Question], sessions: list[Session]) -> dict[str, forms.Field]:
    """A form field for each question, by name, in a form that offers these sessions."""
    return {
        field_name(question): _form_field(
            question, [session for session in sessions if session in question.sessions.all()]
        )
        for question in questions
    }


def _condition(sessions: list[Session]) -> SafeString:
    titles: list[str] = [
        format_html("“{}”", languages.marked(session, "title")) for session in sessions
    ]
    either = mark_safe(get_text_list(titles, _("or")))  # noqa: S308
    return languages.filled(_("If you come to %(sessions)s"), sessions=either)


def _form_field(question: Question, sessions: list[Session]) -> forms.Field:
    condition = _condition(sessions) if sessions else ""
    help_text = languages.marked(question, "help_text")
    shared: dict[str, Any] = {
        "label": languages.marked(question, "text"),
        "help_text": format_html_join(
            "\n", "{}", ((each,) for each in (condition, help_text) if each)
        ),
        "required": question.is_required,
        "error_messages": {
            "required": _("Please answer this question."),
            "invalid_choice": _("Choose from the list. It has changed since you opened the page."),
        },
        "bound_field_class": partial(BoundQuestion, question=question, sessions=sessions),
    }
    offered, language = choices(question), languages.other_language(question, "choices")
    match question.kind:
        case Question.Kind.LONG:
            return LongText(max_length=2000, validators=[validate_visible_lines], **shared)
        case Question.Kind.CHOICE:
            # An option can't contain the element that would mark it.
            one = forms.Select(attrs={"lang": language} if language else {})
            pairs = [("", _("Choose an answer")), *offered]
            return forms.ChoiceField(choices=pairs, widget=one, **shared)
        case Question.Kind.CHOICES:
            pairs = [
                (value, languages.marked(question, "choices", text)) for value, text in offered
            ]
            many = forms.CheckboxSelectMultiple
            return forms.MultipleChoiceField(choices=pairs, widget=many, **shared)
        case Question.Kind.YES_NO:
            no_answer = [] if question.is_required else [("", _("No answer"))]
            return forms.TypedChoiceField(
                choices=[("yes", _("Yes")), ("no", _("No")), *no_answer],
                coerce=lambda choice: choice == "yes",
                empty_value=None,
                widget=forms.RadioSelect,
                **shared,
            )
    return forms.CharField(max_length=200, validators=[validate_visible], **shared)


def take_answers(
    form: forms.BaseForm, questions: Iterable[Question], session_ids: set[int]
) -> dict[Question, Any]:
    """Move the answers out of a form's cleaned data. None: the question was left unanswered.

    Questions that don't apply to the chosen sessions are left out, with their errors.
    """
    answers: dict[Question, Any] = {}
    for question in questions:
        name = field_name(question)
        answer = form.cleaned_data.pop(name, None)
        if not applies(question, session_ids):
            form.errors.pop(name, None)
        elif name in form.errors:
            continue
        elif answer in (None, "", []):
            answers[question] = None
        elif form.data.get(f"{name}_version", version(question)) != version(question):
            form.add_error(name, ValidationError(CHANGED, code="changed"))
        else:
            answers[question] = answer
    return answers


def initial_values(registration: Registration) -> dict[str, Any]:
    """A registration's answers, as the initial values of a form."""
    answers = registration.answers.select_related("question")
    return {field_name(each.question): _initial(each) for each in answers}


def _initial(answer: Answer) -> Any:
    value = answer.value
    if isinstance(value, bool):
        return "yes" if value else "no"
    with languages.in_main_language():
        chosen = _chosen(answer.question, value)
    return chosen if isinstance(value, list) else chosen[0]


def save_answers(*, registration: Registration, answers: Mapping[Question, Value | None]) -> None:
    """Save answers, and delete those that are None, in the caller's transaction."""
    if not answers:
        return
    given = [
        Answer(registration=registration, question=question, value=value)
        for question, value in answers.items()
        if value is not None
    ]
    withdrawn = [question for question, value in answers.items() if value is None]
    registration.answers.filter(question__in=withdrawn).delete()
    Answer.objects.bulk_create(
        given,
        update_conflicts=True,
        unique_fields=["registration", "question"],
        update_fields=["value"],
    )


def delete_inapplicable(*, registration: Registration) -> None:
    """Delete answers to questions about sessions that the person no longer comes to."""
    about_sessions = registration.answers.exclude(question__sessions=None)
    chosen = registration.seats.values("session")
    about_sessions.exclude(question__sessions__in=chosen).delete()


def answer_text(answer: Answer) -> str:
    """An answer as text, such as `Yes` or `Legislation; Resentencing`."""
    return "; ".join(_chosen(answer.question, answer.value))


def _chosen(question: Question, value: Value) -> list[str]:
    """What was chosen or written, as it is shown."""
    if isinstance(value, bool):
        return [_("Yes") if value else _("No")]
    return [_shown(question, each) for each in (value if isinstance(value, list) else [value])]


def answers_that_count(question: Question) -> QuerySet[Answer]:
    """The answers of people who come or may still be approved."""
    declined = Registration.Approval.DECLINED
    active = question.answers.filter(registration__canceled_at=None)
    return active.exclude(registration__approval=declined).select_related("registration")


def tally(question: Question) -> list[tuple[str, int]]:
    """How often each choice was chosen, in the organizers' order; [] for text questions."""
    if question.kind in (Question.Kind.SHORT, Question.Kind.LONG):
        return []
    values = answers_that_count(question).order_by().values_list("value", flat=True)
    counts = Counter(chain.from_iterable(_chosen(question, value) for value in values))
    if question.kind == Question.Kind.YES_NO:
        offered = [_("Yes"), _("No")]
    else:
        offered = [shown for _stored, shown in choices(question)]
    return [(choice, counts[choice]) for choice in offered]
