"""The questions that organizers ask people who register, and the answers."""

import itertools
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.paginator import Paginator
from django.db import models
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.text import format_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from events.admin.archive import EventFilter
from events.admin.history import reverting
from events.admin.shared import (
    EACH_LANGUAGE,
    TextsAdmin,
    TextsForm,
    by_id,
    by_id_or_404,
    search_texts,
)
from events.languages import columns
from events.models import Event, Session
from registrations import questions
from registrations.admin.shared import admin_path, may_see_sensitive_data, page_response
from registrations.models import Question
from registrations.validators import validate_visible, validate_visible_lines

PER_PAGE = 100


class QuestionForm(TextsForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        fields: dict[str, Any] = self.fields
        # People who may only view questions get a form without fields.
        if not fields:
            return
        for name in columns("text", "help_text"):
            fields[name].validators.append(validate_visible)
        fields[columns("choices")[0]].help_text = _(
            "For one or several choices: write each on its own line, in the same order in each "
            "language."
        )
        # Only a new question has this field. It must belong to an existing event.
        if "event" in fields:
            widget = fields["event"].widget
            widget.can_add_related = widget.can_change_related = widget.can_view_related = False
        sessions = Session.objects.filter(event=self._event())
        fields["sessions"].queryset = sessions.select_related("event")
        fields["sessions"].widget.can_add_related = False
        fields["sessions"].error_messages["invalid_choice"] = _(
            "Choose sessions of the same event. To see another event's sessions, save the question "
            "first."
        )

    def _event(self) -> Event | None:
        """Return the event whose sessions can be chosen."""
        if self.instance.pk:
            return self.instance.event
        chosen = self.data.get("event") if self.is_bound else self.initial.get("event")
        return by_id(Event.objects.all(), pk=str(chosen))

    def clean_kind(self) -> str:
        kind: str = self.cleaned_data["kind"]
        is_answered = bool(self.instance.pk) and self.instance.answers.exists()
        if is_answered and "kind" in self.changed_data:
            raise ValidationError(
                _(
                    "People have already answered this question, so its kind can't change. "
                    "Uncheck “asked” here and add a new question."
                )
            )
        return kind

    def clean(self) -> dict[str, Any]:
        """Check that there is one choice per line, and that every choice in use stays."""
        cleaned = super().clean()
        written = {}
        for name in columns("choices"):
            try:
                validate_visible_lines(cleaned.get(name) or "")
            except ValidationError as error:
                self.add_error(name, error)
                continue
            if found := questions.lines(cleaned.get(name)):
                written[name] = found
            cleaned[name] = "\n".join(found) or None
        if cleaned.get("kind") in {Question.Kind.CHOICE, Question.Kind.CHOICES}:
            self._check_choices(written)
        return cleaned

    def _check_choices(self, written: dict[str, list[str]]) -> None:
        """Check the choices in each language, by the name of their field."""
        for name, lines in written.items():
            if problem := problem_of(lines):
                self.add_error(name, problem)
        first, *others = columns("choices")
        if not written:
            self.add_error(first, _("Write at least two choices, one per line."))
        for name in others:
            if name in written and first in written and len(written[name]) != len(written[first]):
                text = _("Write as many choices as in the other language, in the same order.")
                self.add_error(name, text)
        if gone := self._choices_in_use() - {line for lines in written.values() for line in lines}:
            text = _("People have chosen this, so it can't change: %(choices)s")
            choices = ", ".join(f"“{choice}”" for choice in sorted(gone))
            self.add_error(next(iter(written), first), text % {"choices": choices})

    def _choices_in_use(self) -> set[str]:
        if not self.instance.pk:
            return set()
        values = self.instance.answers.values_list("value", flat=True)
        lists = (value if isinstance(value, list) else [value] for value in values)
        return set(itertools.chain.from_iterable(lists))


def problem_of(choices: list[str]) -> str:
    """What's wrong with the choices in one language, or ""."""
    longest = questions.LONGEST_CHOICE
    if len(choices) < 2:
        return _("Write at least two choices, one per line.")
    if len({choice.casefold() for choice in choices}) < len(choices):
        return _("Two choices are the same.")
    if max(map(len, choices)) > longest:
        return _("A choice can have at most %(most)s characters.") % {"most": longest}
    return ""


@admin.register(Question)
class QuestionAdmin(TextsAdmin):
    form = QuestionForm
    can_revert = True
    list_display = ["text", "event", "kind", "is_required", "is_asked", "position", "answered"]
    list_filter = [("event", EventFilter), "is_asked"]
    list_select_related = ["event"]
    ordering = ["-event", "position", "pk"]
    search_fields = columns("text")
    get_search_results = search_texts
    formfield_overrides = {models.ManyToManyField: {"widget": forms.CheckboxSelectMultiple}}
    fieldsets = [
        (
            None,
            {
                "fields": [
                    *("event", columns("text"), columns("help_text")),
                    *("kind", columns("choices"), "is_required"),
                ],
                "description": format_lazy(
                    "{} {}",
                    gettext_lazy(
                        "People see this when they register and when they change their "
                        "registration. Keep it short: each question makes some people give up."
                    ),
                    EACH_LANGUAGE,
                ),
            },
        ),
        (gettext_lazy("When it's asked"), {"fields": ["is_asked", "sessions", "position"]}),
    ]

    def get_urls(self) -> list[Any]:
        answers = admin_path(self, "<path:object_id>/answers/", answers_page, "answers")
        return [answers, *reverting.urls(self), *super().get_urls()]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["event"] if obj else []

    def get_queryset(self, request: HttpRequest) -> QuerySet[Question]:
        return super().get_queryset(request).annotate(answer_count=Count("answers"))

    def get_deleted_objects(self, objs: Any, request: Any) -> Any:
        """For a question with answers, say what to do instead of deleting it."""
        deleted, counts, needed, protected = super().get_deleted_objects(objs, request)
        if protected:
            protected = [question for question in objs if question.answer_count]
        return deleted, counts, needed, protected

    @admin.display(description=gettext_lazy("answers"), ordering="answer_count")
    def answered(self, question: Any) -> str:
        url = reverse("admin:registrations_question_answers", args=[question.pk])
        return format_html('<a href="{}">{}</a>', url, question.answer_count)


def answers_page(model_admin: ModelAdmin, request: HttpRequest, object_id: str) -> HttpResponse:
    """Show how often each choice was taken, and every person's answer."""
    if not may_see_sensitive_data(request):
        raise PermissionDenied
    question: Question = by_id_or_404(Question.objects.select_related("event"), pk=object_id)
    answers = questions.answers_that_count(question).order_by("pk")
    page = Paginator(answers, PER_PAGE).get_page(request.GET.get("p"))
    return page_response(
        model_admin,
        request,
        "question/answers.html",
        title=str(question),
        question=question,
        tally=questions.tally(question),
        page=page,
        rows=[(answer.registration, questions.answer_text(answer)) for answer in page],
    )
