"""The readiness board of an event: who has a working link, who came, and one button to mend."""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import path
from django.utils import timezone
from django.utils.dateformat import format as date_format
from django.views.decorators.http import require_http_methods, require_safe

from events.admin.shared import by_id
from events.models import Event, Session
from events.templatetags.times import clock, day, hours, zone_name
from events.zoom import status as zoom_status
from registrations import readiness
from registrations.formatting import counted, people
from registrations.models import Registration
from registrations.readiness import Board, Fixed, Link, Mail, Person, Place, Standing, Tally

PER_PAGE = 100
# The others can be looked up in the table.
NAMED_AT_MOST = 50


@dataclass(frozen=True)
class Asked:
    """What of the table someone wants to see, as the page's address says it."""

    session: Session | None = None
    standing: Standing | None = None
    words: str = ""

    def url(self, **changes: Any) -> str:
        asked = {"session": self.session, "state": self.standing, "q": self.words, **changes}
        if asked["session"]:
            asked["session"] = asked["session"].pk
        return f"?{urlencode({name: value for name, value in asked.items() if value})}#people"


@dataclass(frozen=True)
class Mark:
    """What a cell of the table says: a sign for the eye, and the same in words."""

    sign: str
    words: str
    tone: str
    detail: str = ""


ATTENDED = Mark("✔", "Attended", "good")
OPENED = Mark("➜", "Opened", "good")
READY = Mark("●", "Ready", "good")
NO_LINK = Mark("✖", "No link", "bad")
NOT_OPENED = Mark("–", "Not opened", "quiet")
NOT_ATTENDED = Mark("–", "Not seen", "quiet")


@dataclass(frozen=True)
class Row:
    """A person, and under each column's name a mark; None: they have no place there."""

    person: Person
    cells: list[tuple[str, Mark | None]]
    reasons: Iterable[str] = ()


class ReadinessMixin:
    """The board, for the admin of registrations."""

    admin_site: Any
    opts: Any

    def get_urls(self) -> list[Any]:
        view, name = self.admin_site.admin_view, "registrations_registration_readiness"
        board = require_http_methods(["GET", "HEAD", "POST"])(self.readiness_view)
        return [
            path("readiness/", view(require_safe(self.to_readiness_view)), name=f"{name}_current"),
            path("readiness/<str:event_id>/", view(board), name=name),
            *super().get_urls(),  # type: ignore[misc]
        ]

    def to_readiness_view(self, request: HttpRequest) -> HttpResponse:
        """To the board of the event that the list is narrowed down to, else of the current one."""
        chosen = by_id(Event.objects.all(), pk=request.GET.get("event__id__exact"))
        event = chosen or Event.objects.current(timezone.now()) or Event.objects.first()
        if event is None:
            messages.info(request, "There is no event yet.")
            return redirect("admin:registrations_registration_changelist")
        return redirect("admin:registrations_registration_readiness", event.pk)

    def readiness_view(self, request: HttpRequest, event_id: str) -> HttpResponse:
        if not self.has_view_permission(request):  # type: ignore[attr-defined]
            raise PermissionDenied
        event: Event | None = by_id(Event.objects.all(), pk=event_id)
        if event is None:
            raise Http404
        may_change = self.has_change_permission(request)  # type: ignore[attr-defined]
        if request.method != "POST":
            context = {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "title": "Who has a working link?",
                "may_change": may_change,
                **board_context(request, event),
            }
            template = "admin/registrations/readiness/board.html"
            return TemplateResponse(request, template, context)
        if not may_change:
            raise PermissionDenied
        said = mended_words(readiness.fix(event=event))
        # Who pressed the button can be read under the event's History.
        self.log_change(request, event, f"Mend all. {said}")  # type: ignore[attr-defined]
        messages.success(request, said)
        return redirect(request.get_full_path())


def board_context(request: HttpRequest, event: Event) -> dict[str, Any]:
    now = timezone.now()
    board = readiness.Board(event, now)
    sessions, tallies = board.sessions, board.tallies()
    coming = readiness.next_session(sessions, now)
    named = without_link(board, coming) if coming and tallies[coming.pk].without_link else []
    asked = asked_for(request, sessions)
    found = board.people(session=asked.session, standing=asked.standing, words=asked.words)
    page = Paginator(found, PER_PAGE).get_page(request.GET.get("p"))
    shown = list(page.object_list)
    places, days = Places(board, {*named, *shown}), {each: short_day(each) for each in sessions}
    pending = event.registrations.active().filter(approval=Registration.Approval.PENDING).count()
    return {
        "event": event,
        "times_in": zone_name(event.zone),
        "pending": people(pending) if pending else "",
        "next": coming,
        **(next_context(coming, tallies[coming.pk], now) if coming else {}),
        "named": [places.row(person, {coming: days[coming]}, now) for person in named]
        if coming
        else [],
        "sessions": [session_context(each, tallies[each.pk], now) for each in sessions],
        "asked": asked,
        "session_chips": [
            ("All sessions", "", asked.url(session=None), asked.session is None),
            *(
                (name, each.title, asked.url(session=each), asked.session == each)
                for each, name in days.items()
            ),
        ],
        "standing_chips": [
            ("Everyone", asked.url(state=None), asked.standing is None),
            *((each.label, asked.url(state=each), asked.standing == each) for each in Standing),
        ],
        "found": people(page.paginator.count),
        "page": page,
        "previous_url": asked.url(p=page.number - 1) if page.has_previous() else "",
        "next_url": asked.url(p=page.number + 1) if page.has_next() else "",
        "columns": [(name, "") for name in DETAILS]
        if asked.session
        else [(name, each.title) for each, name in days.items()],
        "rows": [
            places.detailed_row(person, asked.session)
            if asked.session
            else places.row(person, days, now)
            for person in shown
        ],
    }


def without_link(board: Board, session: Session) -> list[Person]:
    """The first of the people who have no working link for a session."""
    return board.people(session=session, standing=Standing.NO_LINK)[:NAMED_AT_MOST]


def asked_for(request: HttpRequest, sessions: Iterable[Session]) -> Asked:
    """Odd words in the address ask for nothing in particular."""
    session, standing = request.GET.get("session"), request.GET.get("state")
    return Asked(
        session=next((each for each in sessions if str(each.pk) == session), None),
        standing=Standing(standing) if standing in Standing.values else None,
        words=request.GET.get("q", "").strip(),
    )


def short_day(session: Session) -> str:
    """Sat, Oct 16"""
    return date_format(session.starts_at.astimezone(session.event.zone), "D, M j")


def when(session: Session) -> str:
    """Saturday, October 16, 9:00 AM to 1:00 PM PDT"""
    zone = session.event.zone
    return f"{day(session.starts_at, zone)}, {hours(session, zone)}"


def next_context(session: Session, tally: Tally, now: dt.datetime) -> dict[str, Any]:
    """How many have no working link for the next session, and why."""
    unnamed = tally.without_link - NAMED_AT_MOST
    return {
        "next_when": when(session),
        "next_is_on": session.starts_at <= now,
        "seated": people(tally.seated),
        "without_link": people(tally.without_link) if tally.without_link else "",
        "mail_waits": Mail.ON_ITS_WAY.label in tally.reasons,
        "reasons": [(words, f"{count:,}") for words, count in tally.reasons.most_common()],
        "session_lacks": any(each.label in tally.reasons for each in (Link.MISSING, Link.GONE)),
        "unnamed": people(unnamed) if unnamed > 0 else "",
        "unnamed_url": Asked(session, Standing.NO_LINK).url(),
    }


# The columns of the table of one session.
DETAILS = ("Mail", "Zoom link", "Join page", "Attended")


class Places:
    """Where some of the people stand, and what servers said of their mails and links."""

    def __init__(self, board: Board, people: Iterable[Person]) -> None:
        ids = {person.pk for person in people}
        self._places = board.places(ids)
        self._said_of_mails = readiness.said_of_mails(ids)
        self._said_of_links = readiness.said_of_links(ids)

    def row(self, person: Person, sessions: Mapping[Session, str], now: dt.datetime) -> Row:
        """How far someone is in each session, of which the name is given, and why links fail."""
        cells: list[tuple[str, Mark | None]] = []
        reasons: dict[str, None] = {}
        for session, name in sessions.items():
            place = self._places.get((person.pk, session.pk))
            cells.append((name, step(place, session, now) if place else None))
            if place and session.ends_at > now and not place.works:
                reasons |= dict.fromkeys(self._reasons(place))
        return Row(person, cells, reasons)

    def detailed_row(self, person: Person, session: Session) -> Row:
        """All about someone in one session."""
        place = self._places[person.pk, session.pk]
        marks = (
            self._mail(place),
            self._link(place),
            opened(place, session),
            ATTENDED if place.attended else NOT_ATTENDED,
        )
        return Row(person, list(zip(DETAILS, marks, strict=True)))

    def _mail(self, place: Place) -> Mark:
        if place.mail == Mail.ACCEPTED:
            return Mark("✔", Mail.ACCEPTED.label, "good")
        key = place.registration_id, place.mail == Mail.ON_ITS_WAY
        return Mark("✖", Mail(place.mail).label, "bad", self._said_of_mails.get(key, ""))

    def _link(self, place: Place) -> Mark:
        if place.link == Link.THERE:
            return Mark("✔", Link.THERE.label, "good")
        key = place.registration_id, place.session_id
        return Mark("✖", Link(place.link).label, "bad", self._said_of_links.get(key, ""))

    def _reasons(self, place: Place) -> list[str]:
        """Why a link does not work, with what servers said: Mail refused: 550 No such user"""
        return [
            f"{mark.words}: {mark.detail}" if mark.detail else mark.words
            for mark in (self._mail(place), self._link(place))
            if mark.tone == "bad"
        ]


def opened(place: Place, session: Session) -> Mark:
    """Opened Oct 16, 8:52 AM"""
    if not place.opened_at:
        return NOT_OPENED
    local = place.opened_at.astimezone(session.event.zone)
    return Mark("➜", f"Opened {date_format(local, 'M j, g:i A')}", "good")


def step(place: Place, session: Session, now: dt.datetime) -> Mark:
    """The furthest that someone has come on the way into a session."""
    if place.attended:
        return ATTENDED
    if place.opened_at:
        return OPENED
    if session.ends_at <= now:
        return NOT_OPENED
    return READY if place.works else NO_LINK


def session_context(session: Session, tally: Tally, now: dt.datetime) -> dict[str, Any]:
    meeting = session.meeting_or_none
    return {
        "session": session,
        "when": when(session),
        "zoom": zoom_words(session, now),
        "problem": meeting.problem if meeting and session.event.creates_meetings else "",
        "figures": [
            (name, f"{figure:,}", Asked(session, standing).url() if figure and url else "")
            for name, figure, url, standing in (
                ("Seated", tally.seated, True, None),
                ("Links issued", tally.issued, False, None),
                ("Mails accepted", tally.accepted, False, None),
                ("Came back", tally.unreached, True, Standing.UNREACHED),
                ("Opened", tally.opened, False, None),
                ("Attended", tally.attended, True, Standing.ATTENDED),
            )
        ],
    }


def zoom_words(session: Session, now: dt.datetime) -> zoom_status.MeetingStatus:
    """The state of a session's meeting at Zoom, and whether an organizer should look at it."""
    meeting, live = session.meeting_or_none, zoom_status.activity(session, now)
    if live and meeting and (since := meeting.ended_at or meeting.started_at):
        words = "Running since" if live == zoom_status.MeetingActivity.RUNNING else "Ended at"
        return zoom_status.MeetingStatus(f"{words} {clock(since, session.event.zone)}")
    if session.event.creates_meetings:
        return zoom_status.meeting_status(session, now)
    if session.join_url:
        return zoom_status.MeetingStatus("Link pasted")
    return zoom_status.MeetingStatus("No Zoom link yet", is_trouble=session.ends_at > now)


def mended_words(mended: Fixed) -> str:
    """What the button did."""
    words = []
    if mended.mailed:
        words.append(f"The links are on their way again to {people(mended.mailed)}.")
    if mended.personal_links:
        links = counted(mended.personal_links, "personal link", "personal links")
        words.append(f"Zoom is asked again for {links}.")
    if mended.asks_zoom:
        words.append("Every meeting is compared with Zoom within a minute.")
    if mended.mailed_lately:
        was = "was" if mended.mailed_lately == 1 else "were"
        words.append(
            f"{people(mended.mailed_lately)} {was} mailed within the last ten minutes: "
            "for them, try again later."
        )
    if mended.in_peace:
        is_left = "is left" if mended.in_peace == 1 else "are left"
        words.append(f"{people(mended.in_peace)} {is_left} in peace: our mail is spam to them.")
    return " ".join(words) or "There was nothing to mend: what is missing is on its way already."
