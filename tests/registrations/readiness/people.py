"""People whose links and emails are in every state, and what the readiness board says of them."""

import datetime as dt
import itertools

from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from events.models import Event, Session
from registrations import readiness
from registrations.models import OutgoingMail, PersonalLink, Registration, Seat
from registrations.readiness import Progress

HOUR = dt.timedelta(hours=1)
MINUTE = dt.timedelta(minutes=1)
DAY = dt.timedelta(days=1)
ZOOM_ID = 90_000_000_000


def mailed(person: Registration, state: str = "sent", **about) -> Registration:
    """Give the person's emails, or those that match `about`, this state."""
    took = state in {"sent", "bounced", "complained"}
    sent_at = timezone.now() if took else None
    person.mails.filter(**about).update(state=state, sent_at=sent_at)
    return person


def mail(person: Registration, kind: str = "links", state: str = "sent", **about) -> OutgoingMail:
    """Another email to the person."""
    return OutgoingMail.objects.create(
        key=f"{kind}/{person.pk}/{OutgoingMail.objects.count()}",
        kind=kind,
        registration=person,
        state=state,
        sent_at=timezone.now() if state in {"sent", "bounced", "complained"} else None,
        **about,
    )


def issue(person: Registration, session: Session, state: str = "issued", **about) -> PersonalLink:
    defaults = {"zoom_id": session.meeting.zoom_id, "email": person.email, "state": state}
    if state == "issued":
        defaults |= {"join_url": "https://zoom.example/w/1", "issued_at": timezone.now()}
    seat = person.seats.get(session=session)
    return PersonalLink.objects.create(seat=seat, meeting=session.meeting, **defaults | about)


def board(event: Event) -> readiness.Board:
    return readiness.Board(event, timezone.now())


def seat_of(person: Registration, session: Session) -> readiness.SeatReadiness:
    seats = board(Event.objects.get(pk=session.event_id)).seats
    (seat,) = [
        seat for seat in seats if (seat.person.pk, seat.session_id) == (person.pk, session.pk)
    ]
    return seat


def lacking(session: Session) -> list[str]:
    """The names of the people who have no working link for a session.

    The database counts as many, of all people that it counts.
    """
    shown = board(session.event)
    if session in shown.sessions:
        tally = shown.tallies()[session.pk]
        counted = readiness.summary(next(each for each in shown.sessions if each == session))
        assert counted == (tally.seated, tally.opened, tally.without_link)
    return names(shown.people(session=session, progress=Progress.NO_LINK))


def names(people) -> list[str]:
    return [person.name for person in people]


def queries(work) -> int:
    with CaptureQueriesContext(connection) as context:
        work()
    return len(context)


def crowd(week: Event, count: int) -> None:
    """Replace all people by new ones, of whom every third has received the email."""
    then = timezone.now() - HOUR
    Registration.objects.all().delete()
    people = registered(week, [f"N{number} N" for number in range(count)])
    Seat.objects.bulk_create(
        Seat(registration=person, session=session, seated_at=then)
        for person in people
        for session in week.sessions.all()
    )
    states = itertools.cycle(["sent", "failed", "bounced"])
    OutgoingMail.objects.bulk_create(
        OutgoingMail(
            key=f"links/{person.pk}",
            kind="links",
            registration=person,
            state=state,
            last_error="550 No",
            sent_at=None if state == "failed" else then,
            created_at=then,
        )
        for person, state in zip(people, states, strict=False)
    )


def registered(week: Event, names: list[str]) -> list[Registration]:
    """People without a seat and an email, since yesterday."""
    since = timezone.now() - DAY
    return Registration.objects.bulk_create(
        Registration(event=week, name=name, email_key=name, email_changed_at=since, time_zone="UTC")
        for name in names
    )


def long_ago(person: Registration) -> Registration:
    """Have what came of someone's mails be older than the pause between two of them."""
    then = timezone.now() - HOUR
    person.mails.update(created_at=then)
    person.seats.update(seated_at=then)
    Registration.objects.filter(pk=person.pk).update(email_changed_at=then)
    return person


def waiting_kinds(person: Registration) -> list[str]:
    return list(person.mails.filter(state="waiting").values_list("kind", flat=True))
