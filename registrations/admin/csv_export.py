"""The CSV export of registrations."""

import csv
import itertools
import re
from collections import Counter
from collections.abc import Iterator

from django.contrib import admin
from django.contrib.admin import ModelAdmin
from django.db.models import QuerySet
from django.http import HttpRequest, StreamingHttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from events import languages
from events.admin.shared import counted
from registrations.admin.shared import log_bulk_action, may_see_sensitive_data
from registrations.models import Question, Registration, Seat
from registrations.questions import answer_text

COLUMNS = (
    gettext_lazy("Name"),
    gettext_lazy("Email"),
    gettext_lazy("Organization"),
    gettext_lazy("State"),
    gettext_lazy("Time zone"),
    gettext_lazy("Approval"),
    gettext_lazy("Registered (event's time)"),
    gettext_lazy("Canceled (event's time)"),
    gettext_lazy("Sessions"),
    gettext_lazy("On the waitlist for"),
    gettext_lazy("Attended"),
)
# People are read from the database in chunks, so that an export of all takes little memory.
ROWS_AT_A_TIME = 500
# Spreadsheets run a cell that starts with one of these characters as a formula. A cell also starts
# behind a `;`, a line break or whatever else a spreadsheet takes for the separator, so only those
# that follow a letter, a digit or similar are harmless: `maria+zoom@example.org`, `well-known`.
FORMULA_START = re.compile(r"(?<![\w.)'=+@-])[=+\-@＝＋－＠]")


@admin.action(description=gettext_lazy("Export as CSV for a spreadsheet"), permissions=["view"])
def export_csv(
    model_admin: ModelAdmin, request: HttpRequest, queryset: QuerySet[Registration]
) -> StreamingHttpResponse:
    events = dict(queryset.values_list("pk", "event"))
    ids, sensitive = list(events), may_see_sensitive_data(request)
    for event_id, count in Counter(events.values()).items():
        text = _log_text(count, sensitive=sensitive)
        log_bulk_action(request, Registration, text, event_id)
    # Excel only recognizes UTF-8 by this byte order mark.
    content = itertools.chain(["\ufeff"], csv_of(ids, sensitive=sensitive))
    response = StreamingHttpResponse(content, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="registrations.csv"'
    response["Cache-Control"] = "no-store"
    return response


def _log_text(count: int, *, sensitive: bool) -> str:
    if sensitive:
        return counted(
            count,
            "Exported %(count)s person, with access needs and answers.",
            "Exported %(count)s people, with access needs and answers.",
        )
    return counted(
        count,
        "Exported %(count)s person, without access needs and answers.",
        "Exported %(count)s people, without access needs and answers.",
    )


class Echo:
    """A file for csv.writer: writing returns the line."""

    def write(self, line: str) -> str:
        return line


def csv_of(ids: list[int], *, sensitive: bool = True) -> Iterator[str]:
    """Yield the people as lines of CSV, without erased ones.

    `sensitive` adds the access needs, and a column per question. The headings are in the reader's
    language; the cells are in the main one, so that exports can be compared.
    """
    found = Registration.objects.filter(pk__in=ids, erased_at=None).order_by("created_at", "pk")
    questions = list(Question.objects.filter(event__in=found.order_by().values("event")))
    more = (_("Access needs"), *(question.text for question in questions)) if sensitive else ()
    writer = csv.writer(Echo())
    yield writer.writerow(map(escape_formula, (*map(str, COLUMNS), *more)))
    rows = found.select_related("event").prefetch_related("seats__session", "answers")
    for person in rows.iterator(chunk_size=ROWS_AT_A_TIME):
        with languages.in_main_language():
            cells = [*_cells(person), *(_sensitive_cells(person, questions) if sensitive else ())]
        yield writer.writerow(map(escape_formula, cells))


def escape_formula(text: str) -> str:
    """Keep spreadsheets from running any part of a cell as a formula."""
    lines = "\n".join(text.splitlines()).replace("\t", " ")
    return FORMULA_START.sub(r"'\g<0>", lines)


def _cells(person: Registration) -> Iterator[str]:
    seats, zone = person.seats.all(), person.event.zone
    waiting = [seat for seat in seats if seat.state == Seat.State.WAITING]
    seated = [seat for seat in seats if seat not in waiting]
    attended = [seat for seat in seats if seat.attended]
    yield from (person.name, person.email, person.organization, person.us_state, person.time_zone)
    yield person.get_approval_display()
    for when in (person.created_at, person.canceled_at):
        yield f"{when.astimezone(zone):%Y-%m-%d %H:%M}" if when else ""
    for group in (seated, waiting, attended):
        yield "; ".join(seat.session.title for seat in group)


def _sensitive_cells(person: Registration, questions: list[Question]) -> Iterator[str]:
    answers = {answer.question_id: answer for answer in person.answers.all()}
    yield "; ".join(person.need_summary)
    for question in questions:
        if answer := answers.get(question.pk):
            answer.question = question
        yield answer_text(answer) if answer else ""
