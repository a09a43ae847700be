"""Who has a working link, who has not and why: the questions, and the verb that mends.

A link works when the mail that gives it reached the person, and the join page that it opens can
lead on to Zoom. Whatever the number of people, each question takes the same few queries.
"""

import datetime as dt
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.db.models import (
    BooleanField,
    Case,
    CharField,
    Count,
    Exists,
    ExpressionWrapper,
    F,
    OuterRef,
    Q,
    QuerySet,
    TextChoices,
    Value,
    When,
)
from django.utils import timezone

from events import meetings
from events.models import Event, Meeting, Session

from . import personal_links, signup
from .models import (
    ENDED_STATES,
    UNREACHED_STATES,
    OutgoingMail,
    PersonalLink,
    Registration,
    RegistrationQuerySet,
    Seat,
)

State = OutgoingMail.State
Kind = OutgoingMail.Kind

# Mails that hold join links: those about no one session hold all of them.
CARRYING = (
    *(Kind.LINKS, Kind.SCHEDULE, Kind.PROMOTED, Kind.CHANGED),
    *(Kind.DAY, Kind.HOUR, Kind.DOORS),
)


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


WORKING = Q(mail=Mail.ACCEPTED, link=Link.THERE)
UNREACHED = (Mail.REFUSED, Mail.CAME_BACK, Mail.SPAM)
# Mailed once more by `mend`.
OWED = (Mail.NONE, Mail.REFUSED, Mail.CAME_BACK)


class Standing(TextChoices):
    """What people on the board can be looked up by."""

    NO_LINK = "no-link", "No working link"
    UNREACHED = "unreached", "Mail came back or was refused"
    NOT_OPENED = "not-opened", "Join page not opened"
    ATTENDED = "attended", "Attended"


def seats_of(
    event: Event,
    *,
    session: Session | None = None,
    people: Collection[int] | None = None,
    after: dt.datetime | None = None,
) -> Any:
    """The places of those who come, in sessions that are held, each with its `mail` and `link`.

    In one session only, of these people (registration ids) only, in sessions that end after that
    moment only. The link works when both are well, see WORKING:

    - `mail`: a server accepted a mail with this session's link, since the person has this place
      and this address, and they are reachable, as in `RegistrationQuerySet.unreachable`;
    - `link`: of personal links, the person's own is issued, for the meeting that is at Zoom now;
      else the session has a link that leads to a meeting.
    """
    sessions = event.sessions.held()
    seats = Seat.objects.admitted()
    mails = OutgoingMail.objects.filter(registration__event=event)
    if session is not None:
        sessions = sessions.filter(pk=session.pk)
    if after is not None:
        sessions = sessions.filter(ends_at__gt=after)
    if people is not None:
        seats, mails = seats.filter(registration__in=people), mails.filter(registration__in=people)
    seats = seats.filter(session__in=sessions)
    return seats.annotate(mail=_mail(seats, mails), link=_link(event))


def _mail(seats: QuerySet[Seat], mails: QuerySet[OutgoingMail]) -> Case:
    """By sets of ids that do not depend on the seat: the database makes each of them once."""
    standing = mails.filter(created_at__gte=F("registration__email_since"))
    newer = OutgoingMail.objects.filter(
        registration=OuterRef("registration"), pk__gt=OuterRef("pk"), state__in=ENDED_STATES
    )
    unreached = mails.filter(~Exists(newer), state__in=UNREACHED_STATES)

    def about(found: QuerySet[OutgoingMail]) -> Q:
        return Q(registration__in=found.values("registration"))

    return Case(
        When(about(standing.filter(state=State.COMPLAINED)), then=Value(Mail.SPAM)),
        When(about(standing.filter(state=State.BOUNCED)), then=Value(Mail.CAME_BACK)),
        When(_carried(seats, State.SENT) & ~about(unreached), then=Value(Mail.ACCEPTED)),
        When(_carried(seats, State.WAITING), then=Value(Mail.ON_ITS_WAY)),
        When(about(unreached), then=Value(Mail.REFUSED)),
        default=Value(Mail.NONE),
        output_field=CharField(),
    )


def _carried(seats: QuerySet[Seat], state: State) -> Q:
    """Seats whose link stands in a mail of this state, to the address that the person has now."""

    def in_mails(**about: Any) -> Q:
        found = seats.order_by().filter(
            Q(registration__mails__created_at__gte=F("seated_at")),
            Q(registration__mails__created_at__gte=F("registration__email_since")),
            registration__mails__state=state,
            registration__mails__kind__in=CARRYING,
            **about,
        )
        return Q(pk__in=found.values("pk"))

    # Nearly all are in the first set, and then the second is never made.
    return in_mails(registration__mails__session=None) | in_mails(
        registration__mails__session=F("session")
    )


def _link(event: Event) -> Case:
    gone = When(session__meeting__state=Meeting.State.GONE, then=Value(Link.GONE))
    pasted = When(session__meeting__join_url__gt="", then=Value(Link.THERE))
    if event.has_personal_links:
        this_meeting = Q(personal_link__zoom_id=F("session__meeting__zoom_id"))
        issued = this_meeting & Q(personal_link__state=PersonalLink.State.ISSUED)
        refused = this_meeting & Q(personal_link__state=PersonalLink.State.REFUSED)
        whens = [
            gone,
            When(issued, then=Value(Link.THERE)),
            When(session__meeting__zoom_id=None, then=Value(Link.MISSING)),
            When(refused, then=Value(Link.REFUSED)),
        ]
        default = Link.WANTED
    else:
        # Whatever became of a meeting of ours, organizers answer for a link that they paste.
        whens = [gone, pasted] if event.makes_meetings else [pasted]
        default = Link.MISSING
    return Case(*whens, default=Value(default), output_field=CharField())


def next_session(event: Event, now: dt.datetime) -> Session | None:
    """The session that runs or comes next, or None when all are over."""
    return event.sessions.open_to_register(now).select_related("event", "meeting").first()


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


def tallies(event: Event) -> dict[int, Tally]:
    """A tally for each session of the event that is held, by the session's id."""
    found = {pk: Tally() for pk in event.sessions.held().values_list("pk", flat=True)}
    seats = seats_of(event).annotate(
        opened=ExpressionWrapper(Q(opened_at__isnull=False), BooleanField())
    )
    alike = seats.order_by().values_list("session", "mail", "link", "opened", "attended")
    for session, mail, link, opened, attended, count in alike.annotate(count=Count("pk")):
        tally, reasons = found[session], reasons_of(mail, link)
        tally.seated += count
        tally.issued += count * (link == Link.THERE)
        tally.accepted += count * (mail == Mail.ACCEPTED)
        tally.unreached += count * (mail in UNREACHED)
        tally.opened += count * opened
        tally.attended += count * attended
        tally.without_link += count * bool(reasons)
        tally.reasons.update(dict.fromkeys(reasons, count))
    return found


def reasons_of(mail: str, link: str) -> list[str]:
    """Why a link does not work, in words; empty when it does."""
    reasons: list[str] = []
    if mail != Mail.ACCEPTED:
        reasons.append(Mail(mail).label)
    if link != Link.THERE:
        reasons.append(Link(link).label)
    return reasons


def people_on_board(
    event: Event,
    now: dt.datetime,
    *,
    session: Session | None = None,
    standing: Standing | None = None,
    words: str = "",
) -> RegistrationQuerySet:
    """People who come to the session, or to any, by name; `words` are looked for in name or email.

    Of a session that is over nobody needs a link any more.
    """
    sessions = event.sessions.held()
    # No mail and no link is asked for unless it has to be: those are the costly questions.
    seats = Seat.objects.admitted().filter(session__in=[session] if session else sessions)
    people = event.registrations.filter(pk__in=seats.values("registration"))
    match standing:
        case Standing.NO_LINK:
            lacking = seats_of(event, session=session, after=now).exclude(WORKING)
            people = people.filter(pk__in=_registrations(lacking))
        case Standing.UNREACHED:
            unreached = seats_of(event, session=session).filter(mail__in=UNREACHED)
            people = people.filter(pk__in=_registrations(unreached))
        case Standing.NOT_OPENED:
            opened = seats.filter(opened_at__isnull=False)
            people = people.exclude(pk__in=opened.values("registration"))
        case Standing.ATTENDED:
            people = people.filter(pk__in=seats.filter(attended=True).values("registration"))
    for word in words.split():
        people = people.filter(Q(name__icontains=word) | Q(email__icontains=word))
    return people.order_by("name", "pk")


def _registrations(seats: Any) -> set[int]:
    """Whose they are. Found out once: people are counted first, and then shown page by page."""
    return set(seats.order_by().values_list("registration", flat=True))


def last_words(people: Collection[int]) -> dict[tuple[int, bool], str]:
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
class Mended:
    """What `mend` did: how many people it mails again and how many not, and what it asks Zoom."""

    mailed: int
    mailed_lately: int
    in_peace: int
    asks_zoom: bool
    personal_links: int


def mend(*, event: Event) -> Mended:
    """Do again all that came to nothing, for the sessions that are not over.

    People whom no mail with their links has reached are mailed them. An address from which mail
    came back is held to be right from now on, until mail comes back again. Whoever reported our
    mail as spam is left in peace. Zoom is asked again for the personal links that it refused, and
    every meeting is looked at anew; one that somebody deleted there is not remade.
    """
    mailed, mailed_lately, in_peace = _mail_again(event)
    asks_zoom, tried = event.makes_meetings and meetings.is_configured(), 0
    if asks_zoom:
        meetings.try_now(event=event)
    if asks_zoom and event.has_personal_links:
        tried = personal_links.try_again(event=event)
    return Mended(mailed, mailed_lately, in_peace, asks_zoom, tried)


@transaction.atomic
def _mail_again(event: Event) -> tuple[int, int, int]:
    # One at a time: whoever presses the button meanwhile finds the mails on their way.
    Event.objects.select_for_update(no_key=True).get(pk=event.pk)
    now = timezone.now()
    seats = seats_of(event, after=now).filter(mail__in=(*OWED, Mail.SPAM))
    found: dict[str, set[int]] = {mail: set() for mail in Mail}
    for pk, mail in seats.order_by().values_list("registration", "mail").distinct():
        found[mail].add(pk)
    owed = set[int]().union(*(found[mail] for mail in OWED))
    mailed = signup.resend_links(registrations=Registration.objects.filter(pk__in=owed).only("pk"))
    anew = OutgoingMail.objects.filter(kind=Kind.LINKS, created_at__gte=now)
    came_back = event.registrations.filter(pk__in=found[Mail.CAME_BACK])
    came_back.filter(pk__in=anew.values("registration")).update(email_since=now)
    return mailed, len(owed) - mailed, len(found[Mail.SPAM])
