"""The readiness board of an event: who has a working link, who came, and a button that fixes."""

import datetime as dt
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, NamedTuple

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.dateformat import format as date_format
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext

from events.admin.shared import by_id, by_id_or_404, counted, default_event
from events.models import Event, Session
from events.templatetags import times
from events.zoom.status import meeting_status
from registrations import readiness
from registrations.admin.missing_texts import missing_texts
from registrations.admin.shared import page_response
from registrations.models import Registration
from registrations.readiness import Board, Fixed, Person, Progress, SeatReadiness, Tally

PER_PAGE = 100
# The others can be looked up in the table.
MAX_NAMED = 50


@dataclass(frozen=True, eq=False)
class Mark:
    """The content of a table cell: a sign, and its meaning as text."""

    sign: str
    text: str | Promise
    tone: str
    detail: str = ""


ATTENDED = Mark("✔", gettext_lazy("Attended"), "good")
OPENED = Mark("➜", gettext_lazy("Opened"), "good")
# Maybe only by a mail scanner.
FETCHED = Mark("➜", gettext_lazy("Link visited"), "quiet")
READY = Mark("●", gettext_lazy("Ready"), "good")
NO_LINK = Mark("✖", gettext_lazy("No link"), "bad")
NOT_OPENED = Mark("–", gettext_lazy("Not opened"), "quiet")
NOT_ATTENDED = Mark("–", gettext_lazy("Not seen"), "quiet")


class Row(NamedTuple):
    """A person, and a mark for each column; None where they have no seat."""

    person: Person
    cells: list[tuple[str, Mark | None]]
    reasons: Iterable[str] = ()


def current_board_page(model_admin: Any, request: HttpRequest) -> HttpResponse:
    """Redirect to the board of the event that the list is filtered by, or of the current one."""
    event = by_id(Event.objects.all(), pk=request.GET.get("event__id__exact")) or default_event()
    if event is None:
        messages.info(request, _("There's no event yet."))
        return redirect("admin:registrations_registration_changelist")
    return redirect("admin:registrations_registration_readiness", event.pk)


def board_page(model_admin: Any, request: HttpRequest, event_id: str) -> HttpResponse:
    event: Event = by_id_or_404(Event.objects.all(), pk=event_id)
    may_change = model_admin.has_change_permission(request)
    if request.method != "POST":
        context = board_context(request, event)
        context |= {"title": _("Who has a working link?"), "may_change": may_change}
        return page_response(model_admin, request, "readiness/board.html", **context)
    if not may_change:
        raise PermissionDenied
    fixed = readiness.fix(event=event)
    summary = fixed_text(fixed)
    # The event's History shows who clicked the button.
    model_admin.log_change(request, event, _("Fix all. %(summary)s") % {"summary": summary})
    has_done_something = fixed.emailed or fixed.personal_links or fixed.asks_zoom
    level = messages.SUCCESS if has_done_something else messages.INFO
    messages.add_message(request, level, summary)
    return redirect(request.get_full_path())


def board_context(request: HttpRequest, event: Event) -> dict[str, Any]:
    now = timezone.now()
    pending = event.registrations.active().filter(approval=Registration.Approval.PENDING)
    board = Board(event, now)
    tallies = board.tallies()
    sessions = [(each, tallies[each.pk], meeting_status(each, now)) for each in board.sessions]
    upcoming = [each for each in board.sessions if each.ends_at > now]
    return {
        "event": event,
        "pending": pending.count(),
        **next_context(board, tallies, now),
        "sessions": sessions,
        "missing_texts": list(missing_texts(event, upcoming)),
        **table_context(request, board, now),
    }


def next_context(board: Board, tallies: Mapping[int, Tally], now: dt.datetime) -> dict[str, Any]:
    """The next session: how many people have no working link for it, who, and why."""
    session = readiness.next_session(board.sessions, now)
    if session is None:
        return {"next": None}
    tally = tallies[session.pk]
    named = board.people(session=session, progress=Progress.NO_LINK)[:MAX_NAMED]
    session_reasons = (readiness.LinkStatus.MISSING, readiness.LinkStatus.GONE)
    return {
        "next": session,
        "next_is_on": session.starts_at <= now,
        "tally": tally,
        "mail_waits": str(readiness.EmailStatus.ON_ITS_WAY.label) in tally.reasons,
        "reasons": tally.reasons.most_common(),
        "session_lacks": any(str(each.label) in tally.reasons for each in session_reasons),
        "named": overview_rows(board, named, {session: ""}, now),
        "unnamed": tally.without_link - len(named),
    }


def table_context(request: HttpRequest, board: Board, now: dt.datetime) -> dict[str, Any]:
    """The table of people. Unknown values in the address are ignored."""
    pk, progress = request.GET.get("session"), request.GET.get("state")
    session = next((each for each in board.sessions if str(each.pk) == pk), None)
    progress = Progress(progress) if progress in Progress.values else None
    search = request.GET.get("q", "").strip()
    days = {each: short_day(each) for each in board.sessions}
    found = board.people(session=session, progress=progress, search=search)
    page = Paginator(found, PER_PAGE).get_page(request.GET.get("p"))
    if session:
        columns = [(str(name), "") for name in DETAILS]
        rows = detailed_rows(board, page, session)
    else:
        columns = [(name, each.title) for each, name in days.items()]
        rows = overview_rows(board, page, days, now)
    return {
        "session": session,
        "progress": progress,
        "search": search,
        "days": days.items(),
        "progress_choices": Progress.choices,
        "page": page,
        "columns": columns,
        "rows": rows,
    }


def overview_rows(
    board: Board, found: Collection[Person], names: Mapping[Session, str], now: dt.datetime
) -> list[Row]:
    """How far people are in each of the named sessions, and why links don't work."""
    shown = set(found)
    seats = {(seat.person, seat.session_id): seat for seat in board.seats if seat.person in shown}

    # Hundreds of cells have the same few marks.
    @cache
    def translated(mark: Mark) -> Mark:
        return replace(mark, text=str(mark.text))

    rows = []
    for person in found:
        cells: list[tuple[str, Mark | None]] = []
        reasons: dict[str, str] = {}
        for session, name in names.items():
            seat = seats.get((person, session.pk))
            step = furthest_step(seat, session, now) if seat else None
            cells.append((name, step and translated(step)))
            if seat and session.ends_at > now:
                reasons |= seat.reasons
        texts = [f"{reason}: {error}" if error else reason for reason, error in reasons.items()]
        rows.append(Row(person, cells, texts))
    return rows


def furthest_step(seat: SeatReadiness, session: Session, now: dt.datetime) -> Mark:
    if seat.attended:
        return ATTENDED
    if seat.opened_at:
        return OPENED
    is_over = session.ends_at <= now
    if seat.reasons and not is_over:
        return NO_LINK
    if seat.link_fetched_at:
        return FETCHED
    return NOT_OPENED if is_over else READY


# The columns of the table of one session.
DETAILS = (
    gettext_lazy("Email"),
    gettext_lazy("Zoom link"),
    gettext_lazy("Join page"),
    gettext_lazy("Attended"),
)


def detailed_rows(board: Board, found: Collection[Person], session: Session) -> list[Row]:
    """Everything about people in one session."""
    seats = {seat.person.pk: seat for seat in board.seats if seat.session_id == session.pk}
    rows = []
    for person in found:
        seat = seats[person.pk]
        marks = (
            status_mark(str(seat.email.label), seat.reasons),
            status_mark(str(seat.link.label), seat.reasons),
            opened_mark(seat, session),
            ATTENDED if seat.attended else NOT_ATTENDED,
        )
        rows.append(Row(person, list(zip(map(str, DETAILS), marks, strict=True))))
    return rows


def status_mark(label: str, reasons: Mapping[str, str]) -> Mark:
    return Mark("✖", label, "bad", reasons[label]) if label in reasons else Mark("✔", label, "good")


def opened_mark(seat: SeatReadiness, session: Session) -> Mark:
    """Opened Oct 16, 8:52 AM"""
    mark, moment = (OPENED, seat.opened_at) if seat.opened_at else (FETCHED, seat.link_fetched_at)
    if moment is None:
        return NOT_OPENED
    local = moment.astimezone(session.event.zone)
    # Translators: the moment Oct 16, 8:52 AM, in the letters of Django's `date` filter.
    when = date_format(local, pgettext("date format", "M j, g:i A"))
    return replace(mark, text=f"{mark.text} {when}")


def short_day(session: Session) -> str:
    """Sat, Oct 16"""
    return times.short_day(session.starts_at, session.event.zone)


def fixed_text(fixed: Fixed) -> str:
    """What the button did."""
    emailed = counted(
        fixed.emailed,
        "We're emailing links to %(count)s person again.",
        "We're emailing links to %(count)s people again.",
    )
    personal_links = counted(
        fixed.personal_links,
        "We're asking Zoom for %(count)s personal link again.",
        "We're asking Zoom for %(count)s personal links again.",
    )
    emailed_recently = counted(
        fixed.emailed_recently,
        "%(count)s person got this email in the last 10 minutes. Try again later.",
        "%(count)s people got this email in the last 10 minutes. Try again later.",
    )
    reported_spam = counted(
        fixed.reported_spam,
        "%(count)s person marked our email as spam, so we aren't emailing them.",
        "%(count)s people marked our email as spam, so we aren't emailing them.",
    )
    texts = (
        (fixed.emailed, emailed),
        (fixed.personal_links, personal_links),
        (fixed.asks_zoom, _("We'll check every meeting against Zoom within a minute.")),
        (fixed.emailed_recently, emailed_recently),
        (fixed.reported_spam, reported_spam),
    )
    nothing = _("There's nothing to fix: what's missing is already on its way.")
    return " ".join(text for applies, text in texts if applies) or nothing
