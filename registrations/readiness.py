"""Who has a working link, who doesn't and why, and the function that fixes what it can.

A link works when an email with it has reached the person, and the join page that it opens can
redirect to Zoom. The number of queries doesn't depend on the number of people.
"""

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import (
    Case,
    Count,
    Exists,
    F,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    TextChoices,
    When,
)
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from events.models import Event, Session
from events.text.search import search_key, typed_words
from events.zoom import client as zoom_client
from events.zoom import sync
from registrations import signup
from registrations.models import UNREACHED_STATES, OutgoingMail, PersonalLink, Registration, Seat
from registrations.zoom import personal_links

# Emails with join links: of their session if they have one, otherwise of all sessions.
LINK_KINDS = [kind for kind in OutgoingMail.Kind if kind.spec.carries_links]


class EmailStatus(TextChoices):
    """Whether the link of a session reached a person's mailbox."""

    ACCEPTED = "accepted", _("Email accepted")
    ON_ITS_WAY = "on its way", _("No email accepted yet, but one is on its way")
    NONE = "none", _("No email accepted yet")
    REFUSED = "refused", _("Email refused")
    CAME_BACK = "came back", _("Email came back")
    SPAM = "spam", _("They marked our email as spam")


class LinkStatus(TextChoices):
    """Whether the join page can redirect a person to Zoom."""

    THERE = "there", _("Has a Zoom link")
    MISSING = "missing", _("The session has no Zoom link")
    GONE = "gone", _("The meeting was deleted in Zoom")
    WANTED = "wanted", _("No personal link yet")
    REFUSED = "refused", _("Zoom refused the address")


WORKING = (EmailStatus.ACCEPTED, LinkStatus.THERE)
ACCEPTED, THERE = WORKING
UNREACHED = (EmailStatus.REFUSED, EmailStatus.CAME_BACK, EmailStatus.SPAM)


class Progress(TextChoices):
    """What people on the board can be filtered by."""

    NO_LINK = "no-link", _("No working link")
    UNREACHED = "unreached", _("Email came back or was refused")
    NOT_OPENED = "not-opened", _("Join page not opened")
    ATTENDED = "attended", _("Attended")


class Person(NamedTuple):
    """Whose seat it is. An erased person has no name."""

    pk: int
    name: str
    email: str


class SeatReadiness(NamedTuple):
    """How far a person is with one session."""

    person: Person
    session_id: int
    email: EmailStatus
    link: LinkStatus
    # Why the link doesn't work, with what the mail server or Zoom said; empty if it does.
    reasons: Mapping[str, str]
    link_fetched_at: dt.datetime | None
    opened_at: dt.datetime | None
    attended: bool


class Tally(NamedTuple):
    """How many of a session's people have come how far; `reasons` why links don't work."""

    seated: int
    issued: int
    accepted: int
    unreached: int
    opened: int
    attended: int
    without_link: int
    reasons: Counter[str]


def tally(seats: Iterable[SeatReadiness]) -> Tally:
    issued = accepted = unreached = opened = attended = without_link = seated = 0
    reasons: Counter[str] = Counter()
    # One loop, because an event has thousands of seats.
    for seat in seats:
        seated += 1
        issued += seat.link is THERE
        accepted += seat.email is ACCEPTED
        unreached += seat.email in UNREACHED
        opened += seat.opened_at is not None
        attended += seat.attended
        if seat.reasons:
            without_link += 1
            reasons.update(seat.reasons.keys())
    return Tally(seated, issued, accepted, unreached, opened, attended, without_link, reasons)


def next_session(sessions: Iterable[Session], now: dt.datetime) -> Session | None:
    """The first of the sessions, in order, that isn't over; None when all are."""
    return next((session for session in sessions if session.ends_at > now), None)


class Board:
    """The seats in an event's sessions, or in the given ones, at one moment."""

    def __init__(
        self, event: Event, now: dt.datetime, *, sessions: Iterable[Session] | None = None
    ) -> None:
        if sessions is None:
            sessions = event.sessions.taking_place().select_related("event", "meeting")
        self.now, self.sessions = now, list(sessions)
        self.seats = list(_load_seats(event, self.sessions))

    def tallies(self) -> dict[int, Tally]:
        """A tally for each session, by its id."""
        seats: dict[int, list[SeatReadiness]] = {session.pk: [] for session in self.sessions}
        for seat in self.seats:
            seats[seat.session_id].append(seat)
        return {pk: tally(of_session) for pk, of_session in seats.items()}

    def upcoming_seats(self) -> list[SeatReadiness]:
        """The seats in sessions that aren't over."""
        upcoming = {session.pk for session in self.sessions if session.ends_at > self.now}
        return [seat for seat in self.seats if seat.session_id in upcoming]

    def people(
        self, *, session: Session | None = None, progress: Progress | None = None, search: str = ""
    ) -> list[Person]:
        """People by name. `search` matches parts of names and addresses, without accents."""
        seats = self.upcoming_seats() if progress == Progress.NO_LINK else self.seats
        seats = [seat for seat in seats if session is None or seat.session_id == session.pk]
        people = {seat.person for seat in seats}
        match progress:
            case Progress.NO_LINK:
                people = {seat.person for seat in seats if seat.reasons}
            case Progress.UNREACHED:
                people = {seat.person for seat in seats if seat.email in UNREACHED}
            case Progress.NOT_OPENED:
                people -= {seat.person for seat in seats if seat.opened_at}
            case Progress.ATTENDED:
                people = {seat.person for seat in seats if seat.attended}
        for word in map(search_key, typed_words(search)):
            people = {each for each in people if word in search_key(f"{each.name} {each.email}")}
        named = (person for person in people if person.name)
        return sorted(named, key=lambda person: (person.name.casefold(), person.pk))


@dataclass(eq=False)
class Undelivered:
    """A person's emails that are waiting or weren't delivered, and what became of the last one."""

    last_outcome: str | None = None
    error: str = ""
    # The errors of waiting emails with links, by session; None: with all links.
    waiting: dict[int | None, str] = field(default_factory=dict)
    # The newest links are waiting: those that the person has may have been renewed.
    has_new_links: bool = False

    def email_status(self, session: int, *, was_shown: bool) -> tuple[EmailStatus, str]:
        """The status of the session's link, and the error it is about."""
        if self.last_outcome == OutgoingMail.State.COMPLAINED:
            return EmailStatus.SPAM, self.error
        if self.last_outcome == OutgoingMail.State.BOUNCED:
            return EmailStatus.CAME_BACK, self.error
        waiting = self.waiting.get(None, self.waiting.get(session))
        is_refused = self.last_outcome == OutgoingMail.State.FAILED
        if is_refused and waiting is None:
            return EmailStatus.REFUSED, self.error
        if was_shown and not is_refused and not self.has_new_links:
            return EmailStatus.ACCEPTED, ""
        return (EmailStatus.NONE, "") if waiting is None else (EmailStatus.ON_ITS_WAY, waiting)


def _is_newest() -> Q:
    """The condition for emails with all links after which no other one was sent."""
    newer = {"registration": OuterRef("registration"), "pk__gt": OuterRef("pk")}
    links = OutgoingMail.objects.filter(kind=OutgoingMail.Kind.LINKS)
    newer_links = links.filter(state=OutgoingMail.State.SENT, **newer)
    return Q(~Exists(newer_links), kind=OutgoingMail.Kind.LINKS)


def _load_undelivered(event: Event) -> dict[int, Undelivered]:
    waiting = Q(state=OutgoingMail.State.WAITING, kind__in=LINK_KINDS)
    outcome = event.registrations.with_last_outcome().filter(pk=OuterRef("registration"))
    emails = OutgoingMail.objects.filter(
        waiting | Q(state__in=UNREACHED_STATES), registration__event=event
    ).annotate(last_outcome=Subquery(outcome.values("last_outcome")), is_newest=_is_newest())
    undelivered: dict[int, Undelivered] = {}
    for pk, session, state, error, last_outcome, is_newest in emails.order_by("pk").values_list(
        "registration", "session", "state", "last_error", "last_outcome", "is_newest"
    ):
        person = undelivered.setdefault(pk, Undelivered(last_outcome))
        if state == OutgoingMail.State.WAITING:
            person.waiting[session] = error
            person.has_new_links |= is_newest
        else:
            person.error = error or person.error
    return undelivered


def _load_seats(event: Event, sessions: list[Session]) -> Iterator[SeatReadiness]:
    by_id = {session.pk: session for session in sessions}
    undelivered, delivered = _load_undelivered(event), Undelivered()

    # Thousands of seats have the same few statuses.
    @cache
    def statuses(
        session: int, emails: Undelivered, was_shown: bool, link_state: str, link_error: str
    ) -> tuple[EmailStatus, LinkStatus, dict[str, str]]:
        email, email_error = emails.email_status(session, was_shown=was_shown)
        link = _link_status(by_id[session], link_state)
        both = ((email, email_error), (link, link_error or ""))
        return email, link, {str(each.label): error for each, error in both if each not in WORKING}

    person = Person(0, "", "")
    for pk, name, address, session, fetched_at, opened_at, attended, *details in _seats_in(
        sessions
    ).values_list(
        *("registration", "registration__name", "registration__email", "session"),
        *("link_fetched_at", "opened_at", "attended"),
        *("was_shown", "link_state", "personal_link__problem"),
    ):
        if pk != person.pk:
            person = Person(pk, name, address)
        found = statuses(session, undelivered.get(pk, delivered), *details)
        yield SeatReadiness(person, session, *found, fetched_at, opened_at, attended)


def _seats_in(sessions: list[Session]) -> Any:
    """The seats of attendees, with `was_shown` and `link_state`.

    `was_shown`: an email with the session's link was sent since they have this seat and address.
    `link_state`: of their own Zoom link for the current meeting and address, or None.
    """
    seats = Seat.objects.filter(session__in=sessions)
    # People who attended and were erased afterwards still count.
    erased = seats.seated().filter(
        registration__approval=Registration.Approval.APPROVED,
        registration__erased_at__isnull=False,
        registration__canceled_at__gte=F("session__ends_at"),
    )
    emails = OutgoingMail.objects.filter(
        Q(session=None) | Q(session=OuterRef("session")),
        Q(created_at__gte=OuterRef("seated_at")),
        Q(created_at__gte=OuterRef("registration__email_changed_at")),
        registration=OuterRef("registration"),
        state=OutgoingMail.State.SENT,
        kind__in=LINK_KINDS,
    )
    # As in `PersonalLinkQuerySet.usable`.
    is_current = Q(
        personal_link__zoom_id=F("session__meeting__zoom_id"),
        personal_link__email=F("registration__email"),
    )
    link_state = Case(When(is_current, then=F("personal_link__state")))
    attendees = (seats.admitted() | erased).order_by()
    return attendees.annotate(was_shown=Exists(emails), link_state=link_state)


def _link_status(session: Session, link_state: str | None) -> LinkStatus:
    """`link_state` is of the person's own link for the session's current meeting."""
    meeting = session.meeting_or_none
    if session.meeting_is_gone:
        return LinkStatus.GONE
    if not session.event.has_personal_links:
        return LinkStatus.THERE if session.join_url else LinkStatus.MISSING
    if meeting is None or meeting.zoom_id is None:
        return LinkStatus.MISSING
    if link_state == PersonalLink.State.ISSUED:
        return LinkStatus.THERE
    return LinkStatus.REFUSED if link_state == PersonalLink.State.REFUSED else LinkStatus.WANTED


class Summary(NamedTuple):
    """How many people are expected in a session, went to Zoom, and have no working link."""

    expected: int
    opened: int
    without_link: int


def summary(session: Session) -> Summary:
    """The same as a tally of the board, counted by the database: no person is loaded."""
    seats = _seats_in([session])
    expected, opened = seats.aggregate(
        expected=Count("pk"), opened=Count("pk", filter=Q(opened_at__isnull=False))
    ).values()
    # Nobody's link works as long as the session has none.
    if not expected or _link_status(session, PersonalLink.State.ISSUED) is not THERE:
        return Summary(expected, opened, expected)
    if session.event.has_personal_links:
        seats = seats.filter(link_state=PersonalLink.State.ISSUED)
    unreached = session.event.registrations.having_failed_mail().unreachable()
    working = seats.filter(was_shown=True).exclude(registration__in=unreached.values("pk"))
    working = working.exclude(registration__in=_newest_links_waiting().values("registration"))
    return Summary(expected, opened, expected - working.count())


def _newest_links_waiting() -> QuerySet[OutgoingMail]:
    """The emails of `Undelivered.has_new_links`."""
    links = OutgoingMail.objects.filter(kind=OutgoingMail.Kind.LINKS)
    return links.filter(_is_newest(), state=OutgoingMail.State.WAITING)


class Fixed(NamedTuple):
    """What `fix` did: how many people it emailed or not, and what it asked Zoom for."""

    emailed: int
    emailed_recently: int
    reported_spam: int
    asks_zoom: bool
    personal_links: int


def fix(*, event: Event) -> Fixed:
    """Retry everything that has failed, for the sessions that aren't over.

    People whom no email with their links has reached get another one, unless they reported one as
    spam. If their emails bounced, the address counts as correct until one bounces again. Personal
    links that Zoom rejected are requested again. A meeting deleted at Zoom isn't recreated.
    """
    emailed, emailed_recently, reported_spam = _resend_links(event)
    asks_zoom, links = event.creates_meetings and zoom_client.is_configured(), 0
    if asks_zoom:
        sync.retry_now(event=event)
    if asks_zoom and event.has_personal_links:
        links = personal_links.try_again(event=event)
    return Fixed(emailed, emailed_recently, reported_spam, asks_zoom, links)


@transaction.atomic
def _resend_links(event: Event) -> tuple[int, int, int]:
    # One at a time: a second click finds the emails of the first one waiting.
    Event.objects.select_for_update(no_key=True).get(pk=event.pk)
    now = timezone.now()
    people: dict[EmailStatus, set[int]] = {status: set() for status in EmailStatus}
    for seat in Board(event, now).upcoming_seats():
        people[seat.email].add(seat.person.pk)
    came_back = people[EmailStatus.CAME_BACK]
    resendable = people[EmailStatus.NONE] | people[EmailStatus.REFUSED] | came_back
    emailed = signup.resend_links(registrations=event.registrations.filter(pk__in=resendable))
    queued = OutgoingMail.objects.filter(kind=OutgoingMail.Kind.LINKS, created_at__gte=now)
    bounced = event.registrations.filter(pk__in=came_back)
    bounced.filter(pk__in=queued.values("registration")).update(email_changed_at=now)
    return emailed, len(resendable) - emailed, len(people[EmailStatus.SPAM])
