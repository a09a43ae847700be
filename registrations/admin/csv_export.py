"""The CSV export of registrations."""

import csv
import io
from collections.abc import Iterator

from django.contrib import admin
from django.contrib.admin import ModelAdmin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from registrations.models import Question, Registration, Seat
from registrations.questions import shown

COLUMNS = (
    *("Name", "Email", "Organization", "State", "Time zone", "Approval"),
    *("Registered (event's time)", "Canceled (event's time)"),
    *("Sessions", "On the waiting list of", "Attended", "Access needs"),
)
# Spreadsheets run a cell that starts with one of these as a formula.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


@admin.action(description="Export as CSV, for a spreadsheet", permissions=["view"])
def export_csv(
    model_admin: ModelAdmin, request: HttpRequest, queryset: QuerySet[Registration]
) -> HttpResponse:
    ids = list(queryset.values_list("pk", flat=True))
    # Excel only recognizes UTF-8 by this byte order mark.
    response = HttpResponse("\ufeff" + csv_of(ids), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="registrations.csv"'
    response["Cache-Control"] = "no-store"
    return response


def csv_of(ids: list[int]) -> str:
    """Return the people as CSV, without erased ones, and a column per question."""
    people = Registration.objects.filter(pk__in=ids, erased_at=None).order_by("created_at", "pk")
    questions = list(Question.objects.filter(event__in=people.order_by().values("event")))
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(map(escape_formula, (*COLUMNS, *(question.text for question in questions))))
    for person in people.select_related("event").prefetch_related("seats__session", "answers"):
        writer.writerow(map(escape_formula, _cells(person, questions)))
    return table.getvalue()


def escape_formula(text: str) -> str:
    """Keep spreadsheets from running a cell as a formula."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def _cells(person: Registration, questions: list[Question]) -> Iterator[str]:
    seats, zone = person.seats.all(), person.event.zone
    waiting = [seat for seat in seats if seat.state == Seat.State.WAITING]
    seated = [seat for seat in seats if seat not in waiting]
    attended = [seat for seat in seats if seat.attended]
    answers = {answer.question_id: answer for answer in person.answers.all()}
    yield from (person.name, person.email, person.organization, person.us_state, person.time_zone)
    yield person.get_approval_display()
    for when in (person.created_at, person.canceled_at):
        yield f"{when.astimezone(zone):%Y-%m-%d %H:%M}" if when else ""
    for group in (seated, waiting, attended):
        yield "; ".join(seat.session.title for seat in group)
    yield "; ".join(person.need_summary)
    for question in questions:
        answer = answers.get(question.pk)
        yield shown(answer) if answer else ""
