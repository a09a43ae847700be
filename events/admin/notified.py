"""Who gets an email about what an organizer just did to a session, and when."""

import collections
from collections.abc import Callable, Iterable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.messages.storage import default_storage
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from events.admin.shared import counted
from events.forecasts import Forecast, forecasts, promoted
from events.models import Event, Session
from events.templatetags.times import at_clock, day
from events.timezones import time_label

# When people get an email that is on hold.
HELD = "held"


def explain_emails(request: HttpRequest, sessions: Iterable[Session]) -> None:
    """After these sessions were changed, say how many people get an email about it, and when."""
    told = _people_told(sessions)
    for (event, when), people in told.items():
        text = _emails_text(len(people), when)
        messages.info(request, _with_link(text, event) if when else text)
    if not told:
        messages.info(request, _("No one gets an email about this."))


def emails_texts(sessions: Iterable[Session]) -> list[str]:
    """How many people get an email about a change of these sessions, and when, in words."""
    told = _people_told(sessions)
    texts = [_emails_text(len(people), when) for (_event, when), people in told.items()]
    return texts or [_("No one gets an email about this.")]


def _people_told(sessions: Iterable[Session]) -> dict[tuple[Event, str], set[int]]:
    """Who gets an email about a change of these sessions, by event and time."""
    now, told = timezone.now(), collections.defaultdict[tuple[Event, str], set[int]](set)
    for session in sessions:
        held_at = Session.objects.values_list("notices_held_at", flat=True).get(pk=session.pk)
        for each in forecasts(session, now):
            when = HELD if held_at else _when(each, session.event)
            told[session.event, when].update(each.people)
    return told


def _with_link(text: str, event: Event) -> SafeString:
    url = reverse("admin:events_session_notices", args=[event.pk])
    link = _("See it, hold it or undo the change")
    return format_html('{} <a href="{}">{}</a>', text, url, link)


def _when(forecast: Forecast, event: Event) -> str:
    """at 4:14 PM PDT, on another day with the day; "" for right away"""
    now, due_at, zone = timezone.now(), forecast.due_at, event.zone
    if due_at <= now:
        return ""
    time = at_clock(due_at, zone, time_label(due_at, zone))
    if event.day_of(due_at) == event.day_of(now):
        return time
    return _("on %(day)s %(at_time)s") % {"day": day(due_at, zone), "at_time": time}


def _emails_text(people: int, when: str) -> str:
    if when == HELD:
        return counted(
            people,
            "The email about this to %(count)s person is on hold until you release it.",
            "The emails about this to %(count)s people are on hold until you release them.",
        )
    if when:
        return counted(
            people,
            "%(count)s person gets an email about this %(at_time)s, unless you undo it first.",
            "%(count)s people get an email about this %(at_time)s, unless you undo it first.",
            at_time=when,
        )
    return counted(
        people,
        "%(count)s person gets an email about this right away.",
        "%(count)s people get an email about this right away.",
    )


def save_and_explain(
    request: HttpRequest, sessions: Iterable[Session], save: Callable[..., HttpResponse]
) -> HttpResponse:
    """Save an edit of sessions, and say who gets an email about it.

    If people would get it right away, this asks first: the edit is undone, and `save` is called
    again with `question`, to show the form with it instead of saving. The form then posts
    `notify_now`.
    """
    before = {session.pk: (session.revision, session.capacity) for session in sessions}
    with transaction.atomic():
        response = save(question="")
        found = list(Session.objects.filter(pk__in=before).select_related("event"))
        edited = [each for each in found if each.revision != before[each.pk][0]]
        resized = [each for each in found if each.capacity != before[each.pk][1]]
        given = {pk for each in resized for pk in promoted(each, timezone.now())}
        question = " ".join(filter(None, [_question(edited), _spots_question(len(given))]))
        is_asking = bool(question) and "notify_now" not in request.POST
        transaction.set_rollback(is_asking)
    if is_asking:
        # What was said about the edit isn't true any more.
        request_with_messages: Any = request
        request_with_messages._messages = default_storage(request)
        return save(question=question)
    if edited:
        explain_emails(request, edited)
    if given:
        messages.info(request, _spots_text(len(given)))
    return response


def _question(sessions: Iterable[Session]) -> str:
    now = timezone.now()
    foreseen = [each for one in sessions if not one.notices_held_at for each in forecasts(one, now)]
    people = {pk for each in foreseen if each.due_at <= now for pk in each.people}
    if not people:
        return ""
    return counted(
        len(people),
        "%(count)s person would get an email about this right away. If that's what you want, save "
        "again.",
        "%(count)s people would get an email about this right away. If that's what you want, save "
        "again.",
    )


def _spots_question(people: int) -> str:
    if not people:
        return ""
    return counted(
        people,
        "%(count)s person on the waitlist would get a spot and an email about it right away. If "
        "that's what you want, save again.",
        "%(count)s people on the waitlist would get a spot and an email about it right away. If "
        "that's what you want, save again.",
    )


def _spots_text(people: int) -> str:
    return counted(
        people,
        "%(count)s person on the waitlist gets a spot and an email about it.",
        "%(count)s people on the waitlist get a spot and an email about it.",
    )


class NotifyingForm(forms.ModelForm):
    """The form of a NotifyingAdmin."""

    # What to ask instead of saving, if anything.
    question = ""

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if self.question:
            self.add_error(None, self.question)
        return cleaned


class NotifyingAdmin(admin.ModelAdmin):
    """An admin whose `changeform_view` uses `save_and_explain`, and `asking` in what it calls."""

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        form: Any = super().get_form(request, obj, change, **kwargs)
        form.question = getattr(request, "question", "")
        return form

    def asking(self, request: HttpRequest, question: str) -> dict[str, Any]:
        """Have the form ask this. Returns context for its template."""
        request.question = question  # type: ignore[attr-defined]
        # It's no mistake: nothing below is to be corrected.
        return {"question": question, "errors": ()} if question else {}
