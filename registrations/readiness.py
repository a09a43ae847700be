"""Who has a working link, who has not and why: the questions, and the verb that mends.

A link works when the mail that gives it reached the person, and the join page that it opens can
lead on to Zoom. Whatever the number of people, each question takes the same few queries.
"""

import datetime as dt
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import (
    Case,
    CharField,
    Exists,
    F,
    OuterRef,
    Q,
    QuerySet,
    TextChoices,
    Value,
    When,
)
from django.utils import timezone

from events.models import Event, Meeting, Session
from events.zoom import sync
from registrations import signup
from registrations.models import (
    ENDED_STATES,
    UNREACHED_STATES,
    OutgoingMail,
    PersonalLink,
    Registration,
    Seat,
)
from registrations.zoom import personal_links

State = OutgoingMail.State
Kind = OutgoingMail.Kind

CARRYING = [kind for kind in Kind if kind.spec.carries_links]


class Mail(TextChoices):
    """Whether the link of a session reached a person's mailbox."""

    ACCEPTED = "accepted", "Mail accepted"
    ON_ITS_WAY = "on its way", "No mail accepted yet, one is on its way"
    NONE = "none", "No mail accepted yet"
    REFUSED = "refused", "Mail refused"
    CAME_BACK = "came back", "Mail came back"
    SPAM = "spam", "Our mail was reported as spam"


class Link(TextChoices):
    """Whether the join page can lead a person on to Zoom."""

    THERE = "there", "Zoom link there"
    MISSING = "missing", "The session has no Zoom link"
    GONE = "gone", "The meeting was deleted at Zoom"
    WANTED = "wanted", "No personal link yet"
    REFUSED = "refused", "Zoom refused the address"


WORKING = (Mail.ACCEPTED, Link.THERE)
UNREACHED = (Mail.REFUSED, Mail.CAME_BACK, Mail.SPAM)
# Mailed once more by `mend`.
OWED = (Mail.NONE, Mail.REFUSED, Mail.CAME_BACK)


class Standing(TextChoices):
    """What people on the board can be looked up by."""

    NO_LINK = "no-link", "No working link"
    UNREACHED = "unreached", "Mail came back or was refused"
    NOT_OPENED = "not-opened", "Join page not opened"
    ATTENDED = "attended", "Attended"


def seats_of(event: Event, *, session: Session | None = None) -> Any:
    """The places of those who come to a session, or to any that is held, with `mail` and `link`.

    The link works when both are well, see WORKING:

    - `mail`: a server accepted a mail with this session's link, since the person has this place
      and this address; none with all links is on its way; and they are reachable, as in
      `RegistrationQuerySet.unreachable`;
    - `link`: of personal links, the person's own is issued, for the meeting and the address that
      count now; else the session has a link that leads to a meeting.
    """
    seats = Seat.objects.filter(registration__event=event)
    if session is not None:
        seats = seats.filter(session=session)
    # Erased after the session, somebody still had come to it.
    erased = seats.seated().filter(
        registration__approval=Registration.Approval.APPROVED,
        registration__erased_at__isnull=False,
        registration__canceled_at__gte=F("session__ends_at"),
    )
    held = (seats.admitted() | erased).filter(session__in=event.sessions.taking_place())
    return held.annotate(mail=_mail(seats), link=_link(event))


def _mail(seats: QuerySet[Seat]) -> Case:
    """By sets of ids that do not depend on the seat: the database makes each of them once."""
    mails = OutgoingMail.objects.all()
    standing = mails.filter(created_at__gte=F("registration__email_since"))
    newer = mails.filter(
        registration=OuterRef("registration"), pk__gt=OuterRef("pk"), state__in=ENDED_STATES
    )
    refused = mails.filter(~Exists(newer), state=State.FAILED)

    def about(found: QuerySet[OutgoingMail]) -> Q:
        return Q(registration__in=found.values("registration"))

    # What someone holds may be links that were taken away: those that are on their way count.
    newer_links = mails.filter(
        registration=OuterRef("registration"),
        pk__gt=OuterRef("pk"),
        kind=Kind.LINKS,
        state=State.SENT,
    )
    links_anew = mails.filter(~Exists(newer_links), kind=Kind.LINKS, state=State.WAITING)
    on_its_way = When(_carried(seats, State.WAITING), then=Value(Mail.ON_ITS_WAY))
    return Case(
        When(about(standing.filter(state=State.COMPLAINED)), then=Value(Mail.SPAM)),
        When(about(standing.filter(state=State.BOUNCED)), then=Value(Mail.CAME_BACK)),
        When(about(refused), then=Case(on_its_way, default=Value(Mail.REFUSED))),
        When(about(links_anew), then=Value(Mail.ON_ITS_WAY)),
        When(_carried(seats, State.SENT), then=Value(Mail.ACCEPTED)),
        on_its_way,
        default=Value(Mail.NONE),
        output_field=CharField(),
    )


def _carried(seats: QuerySet[Seat], state: State) -> Q:
    """Seats whose link stands in a mail of this state, to the address that the person has now."""

    def in_mails(**about: Any) -> Q:
        found = seats.filter(
            Q(registration__mails__created_at__gte=F("seated_at")),
            Q(registration__mails__created_at__gte=F("registration__email_since")),
            registration__mails__state=state,
            registration__mails__kind__in=CARRYING,
            **about,
        )
        return Q(pk__in=found.order_by().values("pk"))

    return in_mails(registration__mails__session=None) | in_mails(
        registration__mails__session=F("session")
    )


def _link(event: Event) -> Case:
    gone = When(session__meeting__state=Meeting.State.GONE, then=Value(Link.GONE))
    pasted = When(session__meeting__join_url__gt="", then=Value(Link.THERE))
    if event.has_personal_links:
        # As in `PersonalLinkQuerySet.leading_in`.
        of_now = Q(
            personal_link__zoom_id=F("session__meeting__zoom_id"),
            personal_link__email=F("registration__email"),
        )
        issued = of_now & Q(personal_link__state=PersonalLink.State.ISSUED)
        refused = of_now & Q(personal_link__state=PersonalLink.State.REFUSED)
        whens = [
            gone,
            When(issued, then=Value(Link.THERE)),
            When(session__meeting__zoom_id=None, then=Value(Link.MISSING)),
            When(refused, then=Value(Link.REFUSED)),
        ]
        default = Link.WANTED
    else:
        # Whatever became of a meeting of ours, organizers answer for a link that they paste.
        whens = [gone, pasted] if event.creates_meetings else [pasted]
        default = Link.MISSING
    return Case(*whens, default=Value(default), output_field=CharField())


class Person(NamedTuple):
    """Someone on the board, by the registration's id."""

    pk: int
    name: str
    email: str


class Place(NamedTuple):
    """Someone's place in a session, and how far they have come with it."""

    registration_id: int
    session_id: int
    mail: str
    link: str
    opened_at: dt.datetime | None
    attended: bool

    @property
    def works(self) -> bool:
        return (self.mail, self.link) == WORKING


@dataclass
class Tally:
    """How many of a session's people have come how far; `reasons` why links do not work."""

    seated: int = 0
    issued: int = 0
    accepted: int = 0
    unreached: int = 0
    opened: int = 0
    attended: int = 0
    without_link: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    def add(self, mail: str, link: str, *, opened: bool, attended: bool, count: int) -> None:
        reasons = [str(Mail(mail).label)] if mail != Mail.ACCEPTED else []
        reasons += [str(Link(link).label)] if link != Link.THERE else []
        self.seated += count
        self.issued += count * (link == Link.THERE)
        self.accepted += count * (mail == Mail.ACCEPTED)
        self.unreached += count * (mail in UNREACHED)
        self.opened += count * opened
        self.attended += count * attended
        self.without_link += count * bool(reasons)
        self.reasons.update(dict.fromkeys(reasons, count))


def next_session(sessions: Iterable[Session], now: dt.datetime) -> Session | None:
    """Of sessions in their order the one that runs or comes next, or None when all are over."""
    return next((session for session in sessions if session.ends_at > now), None)


class Board:
    """The places of an event, or of one of its sessions, as they stood at one moment."""

    def __init__(self, event: Event, now: dt.datetime, *, session: Session | None = None) -> None:
        self._event, self._now = event, now
        self.sessions = list(event.sessions.taking_place().select_related("event", "meeting"))
        seats = seats_of(event, session=session).order_by()
        # Of thousands of people these are many: a Place is made of those only that are shown.
        self._rows = list(seats.values_list(*Place._fields))

    def places(self, people: Collection[int]) -> dict[tuple[int, int], Place]:
        """Where these people stand, by registration and session."""
        return {(row[0], row[1]): Place._make(row) for row in self._rows if row[0] in people}

    def tallies(self) -> dict[int, Tally]:
        """A tally for each session, by its id."""
        tallies = {session.pk: Tally() for session in self.sessions}
        alike = Counter(
            (session, mail, link, opened_at is not None, attended)
            for _person, session, mail, link, opened_at, attended in self._rows
        )
        for (session, mail, link, opened, attended), count in alike.items():
            tallies[session].add(mail, link, opened=opened, attended=attended, count=count)
        return tallies

    def people(
        self,
        *,
        session: Session | None = None,
        standing: Standing | None = None,
        words: str = "",
    ) -> list[Person]:
        """People who come to the session, or to any, by name; `words` are of name or email."""
        fit, wanted = self._fitting(session, standing), words.casefold().split()
        found = []
        people = self._event.registrations.filter(erased_at=None).order_by("pk")
        for row in people.values_list(*Person._fields):
            person = Person._make(row)
            known = f"{person.name} {person.email}".casefold()
            if person.pk in fit and all(word in known for word in wanted):
                found.append(person)
        return sorted(found, key=lambda person: person.name.casefold())

    def _fitting(self, session: Session | None, standing: Standing | None) -> set[int]:
        """The registrations with such a place. Nobody needs a link for what is over."""
        rows = self._rows
        if session is not None:
            rows = [row for row in rows if row[1] == session.pk]
        match standing:
            case None:
                return {person for person, *_place in rows}
            case Standing.NO_LINK:
                to_come = {each.pk for each in self.sessions if each.ends_at > self._now}
                return {
                    person
                    for person, of, mail, link, _opened_at, _attended in rows
                    if (mail, link) != WORKING and of in to_come
                }
            case Standing.UNREACHED:
                return {person for person, _of, mail, *_rest in rows if mail in UNREACHED}
            case Standing.ATTENDED:
                return {person for person, *_rest, attended in rows if attended}
            case Standing.NOT_OPENED:
                opened = {person for person, *_rest, opened_at, _attended in rows if opened_at}
                return {person for person, *_place in rows} - opened


def said_of_links(people: Collection[int]) -> dict[tuple[int, int], str]:
    """What Zoom said last of these people's links, by registration and session."""
    links = PersonalLink.objects.filter(seat__registration__in=people).exclude(problem="")
    return {
        (registration, session): problem
        for registration, session, problem in links.values_list(
            "seat__registration", "seat__session", "problem"
        )
    }


def said_of_mails(people: Collection[int]) -> dict[tuple[int, bool], str]:
    """What was said last of these people's mails: of those that wait (True), and did not get there.

    The key is the registration's id and which of the two it is.
    """
    mails = OutgoingMail.objects.filter(registration__in=people).exclude(last_error="")
    troubled = mails.filter(state__in=(*UNREACHED_STATES, State.WAITING)).order_by("pk")
    return {
        (registration, state == State.WAITING): words
        for registration, state, words in troubled.values_list(
            "registration", "state", "last_error"
        )
    }


@dataclass(frozen=True)
class Fixed:
    """What `mend` did: how many people it mails again and how many not, and what it asks Zoom."""

    mailed: int
    mailed_lately: int
    in_peace: int
    asks_zoom: bool
    personal_links: int


def fix(*, event: Event) -> Fixed:
    """Do again all that came to nothing, for the sessions that are not over.

    People whom no mail with their links has reached are mailed them. An address from which mail
    came back is held to be right from now on, until mail comes back again. Whoever reported our
    mail as spam is left in peace. Zoom is asked again for the personal links that it refused, and
    every meeting is looked at anew; one that somebody deleted there is not remade.
    """
    mailed, mailed_lately, in_peace = _mail_again(event)
    asks_zoom, tried = event.creates_meetings and sync.is_configured(), 0
    if asks_zoom:
        sync.retry_now(event=event)
    if asks_zoom and event.has_personal_links:
        tried = personal_links.try_again(event=event)
    return Fixed(mailed, mailed_lately, in_peace, asks_zoom, tried)


@transaction.atomic
def _mail_again(event: Event) -> tuple[int, int, int]:
    # One at a time: whoever presses the button meanwhile finds the mails on their way.
    Event.objects.select_for_update(no_key=True).get(pk=event.pk)
    now = timezone.now()
    seats = seats_of(event).filter(session__ends_at__gt=now, mail__in=(*OWED, Mail.SPAM))
    found: dict[str, set[int]] = {mail: set() for mail in Mail}
    for pk, mail in seats.order_by().values_list("registration", "mail").distinct():
        found[mail].add(pk)
    owed = set[int]().union(*(found[mail] for mail in OWED))
    mailed = signup.resend_links(registrations=Registration.objects.filter(pk__in=owed).only("pk"))
    anew = OutgoingMail.objects.filter(kind=Kind.LINKS, created_at__gte=now)
    came_back = event.registrations.filter(pk__in=found[Mail.CAME_BACK])
    came_back.filter(pk__in=anew.values("registration")).update(email_since=now)
    return mailed, len(owed) - mailed, len(found[Mail.SPAM])
