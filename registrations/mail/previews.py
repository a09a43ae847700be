"""Previews of emails, with sample data, and as a page inside a page of ours."""

import datetime as dt

from django.http import HttpResponse
from django.utils import timezone
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from events import languages
from events.models import Event, Revision, Session
from registrations.mail import change_notices, default_texts, kinds
from registrations.mail.compose import Composer, MailContext
from registrations.mail_kinds import MailKind
from registrations.models import TOKEN_LENGTH, Announcement, MailText, Registration, Seat
from registrations.outbox.prebuilt import PersonalMail

SAMPLE_TOKEN = "sample-token-for-a-preview".ljust(TOKEN_LENGTH, "-")


def preview_response(html: str) -> HttpResponse:
    """An email's HTML for an iframe: with the inline styles that emails need, and nothing else.

    Its links open in a new tab, because our pages can't be framed.
    """
    response = HttpResponse(html.replace("<head>", '<head><base target="_blank">', 1))
    response["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; "
        "sandbox allow-popups allow-popups-to-escape-sandbox"
    )
    response["X-Frame-Options"] = "SAMEORIGIN"
    return response


def sample_attendee(event: Event) -> Registration:
    """A made-up person who reads in the current language, with a name that's easy to get wrong."""
    return Registration(
        pk=0,
        event=event,
        name="Siobhán O'Brien & Co",
        email="siobhan@example.org",
        time_zone="America/New_York",
        language=get_language(),
        token=SAMPLE_TOKEN,
    )


def sample(
    kind: MailKind, event: Event, texts: MailText | None = None, *, on_waitlist: bool = False
) -> PersonalMail:
    """An email of this kind to a made-up attendee of a real event, at a suitable time.

    It's in the current language. `texts` are an organizer's that aren't saved yet. With
    `on_waitlist` the attendee is on the waitlist of the first session. Raises LookupError for an
    event without sessions.
    """
    sessions = list(event.sessions.taking_place().with_details())
    if not sessions:
        raise LookupError(_("This event has no sessions yet."))
    session = sessions[0]
    if kind == MailKind.CANCELED:
        session.canceled_at = timezone.now()
        name = languages.column("cancel_reason", get_language())
        setattr(session, name, _("Our speaker is ill. We'll look for another date."))
    attendee = sample_attendee(event)
    context = MailContext(
        kind=kind,
        event=event,
        language=attendee.language,
        zone=attendee.zone,
        sessions=tuple(sessions[1:] if on_waitlist else sessions),
        waiting=(session,) if on_waitlist else (),
        session=session,
        old_revision=_earlier_revision(session, moved=kind == MailKind.CHANGED),
        announcement=_sample_announcement(event) if kind == MailKind.ANNOUNCEMENT else None,
        needs=((session.pk, _("Live captions")), (session.pk, _("The agenda in large print"))),
    )
    own_texts = {(event.pk, str(kind)): texts} if texts else default_texts.texts_of([event.pk])
    now = getattr(session, kind.spec.preview_at, session.starts_at - dt.timedelta(days=7))
    template = kinds.COMPOSERS[kind](Composer(now, own_texts), context)
    if template is None:
        raise LookupError(_("There's nothing to send for this session."))
    return template.merge_for(attendee)


def announcement_preview(announcement: Announcement, person: Registration) -> PersonalMail:
    """The announcement as this person would get it, but without their secret links.

    It's in the current language: organizers look at it in each.
    """
    event, kind = announcement.event, MailKind.ANNOUNCEMENT
    reader = sample_attendee(event)
    reader.name, reader.email = person.name, person.email
    context = MailContext(
        kind, event, reader.language, person.zone, sessions=(), announcement=announcement
    )
    return kinds.announcement(Composer(timezone.now()), context).merge_for(reader)


def notice_preview(
    session: Session, example: change_notices.Example, now: dt.datetime
) -> PersonalMail | None:
    """The email about an edited session as this person would get it, without their secret links.

    It's in the current language. None if there's nothing to send any more.
    """
    event, person = session.event, example.person
    reader = sample_attendee(event)
    reader.name, reader.email = person.name, person.email
    states = dict(person.seats.values_list("session", "state"))
    own = list(Session.objects.filter(pk__in=states).with_details())
    context = MailContext(
        kind=example.kind,
        event=event,
        language=reader.language,
        zone=person.zone,
        sessions=tuple(each for each in own if states[each.pk] == Seat.State.SEATED),
        waiting=tuple(each for each in own if states[each.pk] != Seat.State.SEATED),
        session=session,
        old_revision=example.old_revision,
    )
    composer = Composer(now, default_texts.texts_of([event.pk]))
    template = kinds.COMPOSERS[example.kind](composer, context)
    return template.merge_for(reader) if template else None


def _earlier_revision(session: Session, *, moved: bool) -> Revision:
    """The session as it is; or, if `moved`, an hour earlier and with another title."""
    snapshot = session.snapshot()._replace(takes_place=True)
    if moved:
        title = _("%(title)s (old title)")
        snapshot = snapshot._replace(
            title=tuple((code, title % {"title": text}) for code, text in snapshot.title),
            starts_at=session.starts_at - dt.timedelta(hours=1),
            ends_at=session.ends_at - dt.timedelta(hours=1),
        )
    return Revision(session=session, number=session.revision, **snapshot.columns())


def _sample_announcement(event: Event) -> Announcement:
    return Announcement(
        event=event,
        subject=_("What to bring on Saturday"),
        body=_(
            "Dear {name},\n\n**One thing to prepare**: think of the person you're here for.\n\n"
            "- Bring a photo, if you like.\n- [Read the invitation](https://example.org/)."
        ),
    )
