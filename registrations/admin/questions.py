"""What organizers ask people who register, and what these answer."""

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.paginator import Paginator
from django.db import models
from django.db.models import Count, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.views.decorators.http import require_safe

from events.admin.shared import by_id
from events.models import Event, Session
from registrations import questions
from registrations.formatting import people
from registrations.models import Question
from registrations.validators import validate_visible, validate_visible_lines

Kind = Question.Kind
OF_CHOICES = (Kind.CHOICE, Kind.CHOICES)
PER_PAGE = 100


class QuestionForm(forms.ModelForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        fields: dict[str, Any] = self.fields
        # Whoever may only look has no fields.
        if not fields:
            return
        fields["choices"].help_text = "For one or several choices: each on a line of its own."
        # A new question is of an event that is there.
        if "event" in fields:
            widget = fields["event"].widget
            widget.can_add_related = widget.can_change_related = widget.can_view_related = False
        sessions = Session.objects.filter(event=self._event())
        fields["sessions"].queryset = sessions.select_related("event")
        fields["sessions"].widget.can_add_related = False
        fields["sessions"].error_messages["invalid_choice"] = (
            "Choose sessions of the same event. To see another event's, save the question first."
        )

    def _event(self) -> Event | None:
        """The event whose sessions are offered: chosen, or proposed in a new question."""
        if self.instance.pk:
            return self.instance.event
        chosen = self.data.get("event") if self.is_bound else self.initial.get("event")
        return by_id(Event.objects.all(), pk=str(chosen))

    def clean_text(self) -> str:
        text: str = self.cleaned_data["text"]
        validate_visible(text)
        return text

    def clean_help_text(self) -> str:
        text: str = self.cleaned_data["help_text"]
        validate_visible(text)
        return text

    def clean_kind(self) -> str:
        kind: str = self.cleaned_data["kind"]
        if "kind" in self.changed_data and self._is_answered():
            raise ValidationError(
                "People have answered it as it is. Untick “asked” here, and ask a new question."
            )
        return kind

    def clean_choices(self) -> str:
        """One a line, for questions that have them; what someone has chosen must stay."""
        text: str = self.cleaned_data["choices"].replace("\r\n", "\n")
        validate_visible_lines(text)
        lines = questions.choices(Question(choices=text))
        if self.cleaned_data.get("kind") in OF_CHOICES:
            validate_choices(lines)
            gone = self._chosen() - {*lines}
            if gone:
                raise ValidationError(
                    "People have chosen this, so it has to stay as it is: "
                    + ", ".join(f"“{choice}”" for choice in sorted(gone))
                )
        return "\n".join(lines)

    def _is_answered(self) -> bool:
        return bool(self.instance.pk) and self.instance.answers.exists()

    def _chosen(self) -> set[str]:
        if not self.instance.pk:
            return set()
        values = self.instance.answers.values_list("value", flat=True)
        return {
            choice for value in values for choice in (value if isinstance(value, list) else [value])
        }


def validate_choices(lines: list[str]) -> None:
    if len(lines) < 2:
        raise ValidationError("Write at least two choices, one a line.")
    if len({line.casefold() for line in lines}) < len(lines):
        raise ValidationError("There is a choice twice.")
    if max(map(len, lines)) > questions.LONGEST_CHOICE:
        raise ValidationError(
            f"A choice is too long: {questions.LONGEST_CHOICE} characters are the most."
        )


@admin.register(Question)
class QuestionAdmin(admin.ModelAdmin):
    form = QuestionForm
    list_display = ["text", "event", "kind", "is_required", "is_asked", "position", "answered"]
    list_filter = ["event", "is_asked"]
    list_select_related = ["event"]
    ordering = ["-event", "position", "pk"]
    search_fields = ["text"]
    formfield_overrides = {models.ManyToManyField: {"widget": forms.CheckboxSelectMultiple}}
    fieldsets = [
        (
            None,
            {
                "fields": ["event", "text", "help_text", "kind", "choices", "is_required"],
                "description": "People read it when they register and when they change their "
                "registration. Ask for little: each question makes some people turn back.",
            },
        ),
        ("When it is asked", {"fields": ["is_asked", "sessions", "position"]}),
    ]

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(require_safe(self.answers_view))
        name = "registrations_question_answers"
        return [path("<path:object_id>/answers/", view, name=name), *super().get_urls()]

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        event = Event.objects.current(timezone.now()) or Event.objects.first()
        return {
            "event": event.pk if event else None,
            **super().get_changeform_initial_data(request),
        }

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["event"] if obj else []

    def get_queryset(self, request: HttpRequest) -> QuerySet[Question]:
        return super().get_queryset(request).annotate(answer_count=Count("answers"))

    def get_deleted_objects(self, objs: Any, request: Any) -> Any:
        """What stands in the way of deleting: that people have answered, and what to do then."""
        deleted, counts, needed, protected = super().get_deleted_objects(objs, request)
        if protected:
            protected = [
                format_html(
                    "“{}” was answered by {}. To ask it no more, <a href='{}'>untick “asked”</a>: "
                    "the answers so far stay.",
                    *(question, people(count), self._page(question)),
                )
                for question in objs
                if (count := question.answers.count())
            ]
        return deleted, counts, needed, protected

    def _page(self, question: Question) -> str:
        return reverse("admin:registrations_question_change", args=[question.pk])

    @admin.display(description="answers", ordering="answer_count")
    def answered(self, question: Any) -> str:
        page = reverse("admin:registrations_question_answers", args=[question.pk])
        return format_html('<a href="{}">{}</a>', page, question.answer_count)

    def answers_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """How often each choice was taken; texts as people wrote them."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        question: Question | None = by_id(Question.objects.select_related("event"), pk=object_id)
        if question is None:
            raise Http404
        answers = questions.answers_that_count(question)
        tally = questions.tally(question)
        page = Paginator(answers.order_by("pk"), PER_PAGE).get_page(request.GET.get("p"))
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": str(question),
            "question": question,
            "answered": people(page.paginator.count),
            "tally": tally,
            "page": page,
            "rows": [(answer.registration, questions.shown(answer)) for answer in page],
        }
        return TemplateResponse(request, "admin/registrations/question/answers.html", context)
