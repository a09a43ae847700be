"""A mail's HTML inside a page of ours."""

import datetime as dt

from django.http import HttpResponse
from django.utils import timezone

from events.models import Event, Revision, Session
from registrations.mail import default_texts, kinds
from registrations.mail.compose import SAMPLE_TOKEN, Composer, MailContext
from registrations.mail.kinds import COMPOSERS
from registrations.mail_kinds import MailTexts
from registrations.models import Announcement, OutgoingMail, Registration
from registrations.outbox.prebuilt import PersonalMail


def preview_response(html: str) -> HttpResponse:
    """A mail's HTML for a frame of ours: inline styles, as mails need them, and nothing else.

    Its links open in a tab of their own: our pages refuse to be framed.
    """
    response = HttpResponse(html.replace("<head>", '<head><base target="_blank">', 1))
    response["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; "
        "sandbox allow-popups allow-popups-to-escape-sandbox"
    )
    response["X-Frame-Options"] = "SAMEORIGIN"
    return response


Kind = OutgoingMail.Kind


def sample_attendee(event: Event) -> Registration:
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
    kind: Kind,
    event: Event,
    words: MailTexts | None = None,
    *,
    on_waitlist: bool = False,
) -> PersonalMail:
    """A mail of this kind to a made-up attendee of a real event, at a fitting moment.

    `words` are an organizer's that are not saved yet. With `on_waitlist` the attendee waits
    for a spot in the first session. Raises LookupError for an event without a session.
    """
    sessions = list(event.sessions.taking_place().with_details())
    if not sessions:
        raise LookupError("The event has no session yet.")
    session = sessions[0]
    if kind == Kind.CANCELED:
        session.canceled_at = timezone.now()
    topic = MailContext(
        kind=kind,
        event=event,
        zone=sample_attendee(event).zone,
        sessions=tuple(sessions[1:] if on_waitlist else sessions),
        waiting=(session,) if on_waitlist else (),
        session=session,
        was=_before(session, moved=kind == Kind.CHANGED),
        announcement=_announcement(event) if kind == Kind.ANNOUNCEMENT else None,
        needs=((session.pk, "Live captions"), (session.pk, "Large print of the agenda")),
    )
    batch = Composer(_moment(kind, session))
    batch.own_texts = {(event.pk, kind): words} if words else default_texts.texts_of([event.pk])
    draft = COMPOSERS[kind](batch, topic)
    if draft is None:
        raise LookupError("There is nothing to say of this session.")
    return draft.address_to(sample_attendee(event))


def announcement_preview(announcement: Announcement, person: Registration) -> PersonalMail:
    """The announcement as this person would get it, but for the secret links."""
    event = announcement.event
    topic = MailContext(
        kind=Kind.ANNOUNCEMENT,
        event=event,
        zone=person.zone,
        sessions=(),
        announcement=announcement,
    )
    draft = kinds.announcement(Composer(timezone.now()), topic)
    reader = sample_attendee(event)
    reader.name, reader.email = person.name, person.email
    return draft.address_to(reader)


def _moment(kind: Kind, session: Session) -> dt.datetime:
    default = session.starts_at - dt.timedelta(days=7)
    moment: dt.datetime = getattr(session, kind.spec.preview_at, default)
    return moment


def _before(session: Session, *, moved: bool) -> Revision:
    """The session as it was; or as it may have been, an hour earlier and under another title."""
    facts = session.snapshot()._replace(takes_place=True)
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
