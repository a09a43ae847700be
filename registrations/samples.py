"""Each kind of mail as someone would get it, for previews and tests to oneself."""

import datetime as dt
from typing import Any

from django.utils import timezone

from events.models import Event, Revision, Session

from . import mails, texts
from .mails import DRAFTS, SAMPLE_TOKEN, Batch, Kind, Topic
from .mime import PersonalMail
from .models import Announcement, Registration


def attendee(event: Event) -> Registration:
    """Someone made up, with a name that is easily got wrong."""
    return Registration(
        pk=0,
        event=event,
        name="Siobhán O'Brien & Co",
        email="siobhan@example.org",
        time_zone="America/New_York",
        token=SAMPLE_TOKEN,
    )


def sample(
    kind: Kind, event: Event, words: texts.Words | None = None, *, in_line: bool = False
) -> PersonalMail:
    """A mail of this kind to a made-up attendee of a real event, at a fitting moment.

    `words` are an organizer's that are not saved yet. With `in_line` the attendee waits for a place
    in the first session. Raises LookupError for an event without
    a session, of which most mails have nothing to say.
    """
    sessions = list(event.sessions.held().with_details())
    if not sessions:
        raise LookupError("The event has no session yet.")
    session = sessions[0]
    if kind == Kind.CANCELLED:
        session.cancelled_at = timezone.now()
    topic = Topic(
        kind=kind,
        event=event,
        zone=attendee(event).zone,
        sessions=tuple(sessions[1:] if in_line else sessions),
        waiting=(session,) if in_line else (),
        session=session,
        was=_before(session, moved=kind == Kind.CHANGED),
        announcement=_announcement(event) if kind == Kind.ANNOUNCEMENT else None,
        needs=((session.pk, "Live captions"), (session.pk, "Large print of the agenda")),
    )
    batch = Batch(_moment(kind, session))
    batch.own_words = {(event.pk, kind): words} if words else texts.words_of([event.pk])
    draft = DRAFTS[kind](batch, topic)
    if draft is None:
        raise LookupError("There is nothing to say of this session.")
    return draft.address_to(attendee(event))


def announced(announcement: Announcement, person: Registration) -> PersonalMail:
    """The announcement as this person would get it, but for the secret links."""
    event = announcement.event
    topic = Topic(
        kind=Kind.ANNOUNCEMENT,
        event=event,
        zone=person.zone,
        sessions=(),
        announcement=announcement,
    )
    draft = mails.announcement(Batch(timezone.now()), topic)
    reader = attendee(event)
    reader.name, reader.email = person.name, person.email
    return draft.address_to(reader)


def _moment(kind: Kind, session: Session) -> dt.datetime:
    moments: dict[Any, dt.datetime] = {
        Kind.DAY: session.day_reminder_at,
        Kind.HOUR: session.hour_reminder_at,
        Kind.DOORS: session.doors_open_at,
        Kind.THANKS: session.ends_at,
    }
    return moments.get(kind, session.starts_at - dt.timedelta(days=7))


def _before(session: Session, *, moved: bool) -> Revision:
    """The session as it was; or as it may have been, an hour earlier and under another title."""
    facts = session.facts()._replace(is_held=True)
    if moved:
        facts = facts._replace(
            title=f"{session.title} (old title)",
            starts_at=session.starts_at - dt.timedelta(hours=1),
            ends_at=session.ends_at - dt.timedelta(hours=1),
        )
    return Revision(session=session, number=session.revision, **facts._asdict())


def _announcement(event: Event) -> Announcement:
    return Announcement(
        event=event,
        subject="What to bring on Saturday",
        body="Dear {name},\n\n**one thing to prepare**: think of the person you are here for.\n\n"
        "- Bring a photo, if you like.\n- [Read the invitation](https://example.org/).",
    )
