"""Writes a batch of queued emails, each one for its reader."""

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Sequence

from django.core.mail import EmailMessage
from django.utils import translation

from events.clock import database_time
from events.models import Event, Revision, Session
from registrations.mail import change_notices, default_texts, stored_messages
from registrations.mail.compose import Composer, MailContext
from registrations.mail.enqueue import access_key
from registrations.mail.kinds import COMPOSERS
from registrations.mail.merge import MergeTemplate, unlinked
from registrations.mail_kinds import MailKind
from registrations.models import AccessNeed, Announcement, OutgoingMail, Registration, Seat
from registrations.models.zoom import PersonalLink
from registrations.outbox import delivery, mail_queue

# By then the periodic task has queued what the settled edits need.
RECHECK_AFTER = dt.timedelta(minutes=1)


def writer_for(mails: Sequence[OutgoingMail]) -> delivery.Writer:
    """Load what a batch of emails needs, and return the function that writes each one.

    It returns None for an email that's no longer needed, and raises NotYet if that may change
    because edits haven't settled.
    """
    return _Batch(mails).write


class _Batch:
    """What a batch of emails needs, loaded in a few queries, and rendered once per context."""

    def __init__(self, mails: Sequence[OutgoingMail]) -> None:
        people = {mail.registration_id for mail in mails}
        self._seats = _seat_states(people)
        session_ids = {mail.session_id or 0 for mail in mails}.union(*self._seats.values())
        # Not in_bulk(), which loses the order.
        sessions = Session.objects.filter(pk__in=session_ids).with_details()
        self._sessions = {session.pk: session for session in sessions}
        self._events = Event.objects.in_bulk(
            {mail.registration.event_id for mail in mails if mail.registration}
        )
        is_personal = any(event.has_personal_links for event in self._events.values())
        self._zoom_urls = _zoom_urls(people) if is_personal else {}
        self._revisions = Revision.objects.in_bulk({mail.old_revision_id for mail in mails})
        self._announcements = Announcement.objects.in_bulk({mail.announcement_id for mail in mails})
        self._needs = _needs({m.registration_id for m in mails if m.kind == MailKind.ACCESS})
        self._composer = Composer(database_time(), default_texts.texts_of(self._events))
        self._templates: dict[MailContext, MergeTemplate | None] = {}

    def write(self, mail: OutgoingMail) -> EmailMessage | None:
        person = mail.registration
        if person is None:
            return stored_messages.write(mail)
        if not _may_get(person, mail):
            return None
        if self._events[person.event_id].archived_at and mail.kind != MailKind.LINKS:
            # Links are emailed only to people who ask for them then.
            return None
        if mail.kind == MailKind.LEFT and self._is_back(person, mail):
            return None
        with translation.override(person.language):
            return self._write_in_language(mail, person)

    def _write_in_language(self, mail: OutgoingMail, person: Registration) -> EmailMessage | None:
        context = self._context(mail, person)
        sessions, now = context.sessions + context.waiting, self._composer.now
        if mail.kind == MailKind.LINKS and _waited_too_long(mail, sessions, now):
            return None
        _wait_while_held(mail, context, now)
        template = self._template(context)
        if template is None:
            _wait_for_edits(context, now)
            return None
        return template.merge_for(person, self._zoom_urls.get(person.pk))

    def _template(self, context: MailContext) -> MergeTemplate | None:
        try:  # One look-up: comparing contexts takes a while.
            return self._templates[context]
        except KeyError:
            template = COMPOSERS[context.kind](self._composer, context)
            return self._templates.setdefault(context, template)

    def _is_back(self, person: Registration, mail: OutgoingMail) -> bool:
        """Whether the person is signed up again for the session that they left."""
        return person.canceled_at is None and mail.session_id in self._seats[person.pk]

    def _context(self, mail: OutgoingMail, person: Registration) -> MailContext:
        seats = self._seats[person.pk]
        own = [each for pk, each in self._sessions.items() if pk in seats]
        return MailContext(
            kind=MailKind(mail.kind),
            event=self._events[person.event_id],
            language=person.language,
            zone=person.zone,
            sessions=tuple(each for each in own if seats[each.pk] == Seat.State.SEATED),
            session=self._sessions.get(mail.session_id or 0),
            old_revision=self._revisions.get(mail.old_revision_id or 0),
            announcement=self._announcements.get(mail.announcement_id or 0),
            waiting=tuple(each for each in own if seats[each.pk] != Seat.State.SEATED),
            needs=tuple((pk, unlinked(str(need))) for pk, need in self._needs.get(mail.key, ())),
        )


def _wait_while_held(mail: OutgoingMail, context: MailContext, now: dt.datetime) -> None:
    """Raise NotYet if it's about changes of a session whose notices organizers hold."""
    for session in (context.session, *context.sessions, *context.waiting):
        if session and _is_held(session, now) and change_notices.is_about(mail, session):
            raise mail_queue.NotYet(now + RECHECK_AFTER)


def _is_held(session: Session | None, now: dt.datetime) -> bool:
    return bool(session and session.notices_held_at and session.ends_at > now)


def _wait_for_edits(context: MailContext, now: dt.datetime) -> None:
    """Raise NotYet if the email isn't needed only because of edits that may still be undone."""
    about = (context.session,) if context.session else context.sessions + context.waiting
    if context.kind.spec.waits_for_edits and any(_is_held(each, now) for each in about):
        raise mail_queue.NotYet(now + RECHECK_AFTER)
    moments = [each.settled_at + RECHECK_AFTER for each in about if each.settled_at]
    if context.kind.spec.waits_for_edits and moments and max(moments) > now:
        # Edits of what starts soon are announced before they have settled.
        is_soon = any(change_notices.is_soon(now, each) for each in about)
        raise mail_queue.NotYet(now + RECHECK_AFTER if is_soon else max(moments))


def _may_get(person: Registration, mail: OutgoingMail) -> bool:
    """Whether someone may still get it: they may have canceled, or been declined, since."""
    if mail.kind == MailKind.RECEIVED:
        return person.is_pending
    if mail.kind == MailKind.LEFT:
        return person.approval != Registration.Approval.DECLINED and not person.erased_at
    return person.is_admitted and not (mail.announcement_id and person.unsubscribed_at)


def _waited_too_long(mail: OutgoingMail, sessions: Collection[Session], now: dt.datetime) -> bool:
    """Whether the last session ended while the email with its links was waiting.

    Links that someone asks for after that lead to their own page.
    """
    return bool(sessions) and mail.created_at < max(each.ends_at for each in sessions) <= now


def _seat_states(people: Collection[int | None]) -> dict[int, dict[int, str]]:
    """By registration and session, the state of people's seats."""
    states: dict[int, dict[int, str]] = defaultdict(dict)
    seats = Seat.objects.filter(registration__in=people)
    for registration, session, state in seats.values_list("registration", "session", "state"):
        states[registration][session] = state
    return states


def _needs(people: Collection[int | None]) -> dict[str, list[tuple[int, AccessNeed]]]:
    """By the email's key, the session of each need that it confirms, and the need."""
    needs: dict[str, list[tuple[int, AccessNeed]]] = defaultdict(list)
    confirmed = AccessNeed.objects.filter(
        seat__registration__in=people, state=AccessNeed.State.CONFIRMED
    )
    for need in confirmed.select_related("seat"):
        key = access_key(need.seat.registration_id, need.confirmed_at)
        needs[key].append((need.seat.session_id, need))
    return needs


def _zoom_urls(people: Collection[int | None]) -> dict[int, dict[int, str]]:
    """By registration and session, people's own Zoom links."""
    zoom_urls: dict[int, dict[int, str]] = defaultdict(dict)
    links = PersonalLink.objects.usable().filter(seat__registration__in=people)
    fields = ("seat__registration_id", "seat__session_id", "join_url")
    for registration_id, session_id, zoom_url in links.values_list(*fields):
        zoom_urls[registration_id][session_id] = zoom_url
    return zoom_urls
