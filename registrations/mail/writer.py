"""Writing a batch of queued emails, each to its reader."""

import datetime as dt
from collections.abc import Collection, Iterable, Sequence

from django.core.mail import EmailMessage
from django.utils import timezone

from events.models import Event, Revision, Session
from registrations.mail import change_notices, default_texts, stored_messages
from registrations.mail.compose import Composer, MailContext
from registrations.mail.enqueue import access_key
from registrations.mail.kinds import COMPOSERS
from registrations.mail.merge import MergeTemplate
from registrations.models import (
    AccessNeed,
    Announcement,
    OutgoingMail,
    PersonalLink,
    Registration,
    Seat,
)
from registrations.outbox import delivery, mail_queue

Kind = OutgoingMail.Kind
# By then whoever asks what is owed has seen how it settled.
RECHECK_AFTER = dt.timedelta(minutes=1)


def writer_for(mails: Sequence[OutgoingMail]) -> delivery.Writer:
    """Fetch what a batch of mails speaks of, and return what writes each one.

    A mail that nobody needs any more is written as None: the organizers' word on its
    registration is another now, or it was canceled; its moment has passed; or the announcement's
    reader wants no more of them. While edits have not settled it may be needed later.
    """
    places = _places(mails)
    wanted = _ids(mail.session_id for mail in mails).union(*places.values())
    sessions = {
        session.pk: session for session in Session.objects.filter(pk__in=wanted).with_details()
    }
    events = Event.objects.in_bulk(
        {mail.registration.event_id for mail in mails if mail.registration}
    )
    is_personal = any(event.has_personal_links for event in events.values())
    zoom_urls = _zoom_urls(places) if is_personal else {}
    revisions = Revision.objects.in_bulk(_ids(mail.was_id for mail in mails))
    said = Announcement.objects.in_bulk(_ids(mail.announcement_id for mail in mails))
    needs = _needs([mail for mail in mails if mail.kind == Kind.ACCESS])
    batch = Composer(timezone.now())
    batch.own_texts = default_texts.texts_of(events)
    drafts: dict[MailContext, MergeTemplate | None] = {}

    def write(mail: OutgoingMail) -> EmailMessage | None:
        person = mail.registration
        if person is None:
            return stored_messages.write(mail)
        if not _may_read(person, mail):
            return None
        theirs = places[person.pk]
        attended = {pk for pk, state in theirs.items() if state == Seat.State.SEATED}
        attending = tuple(each for pk, each in sessions.items() if pk in attended)
        waiting = tuple(
            each for pk, each in sessions.items() if pk in theirs and pk not in attended
        )
        if _is_too_late(mail, attending + waiting, batch.now):
            return None
        topic = MailContext(
            kind=Kind(mail.kind),
            event=events[person.event_id],
            zone=person.zone,
            sessions=attending,
            session=sessions.get(mail.session_id or 0),
            was=revisions.get(mail.was_id or 0),
            announcement=said.get(mail.announcement_id or 0),
            waiting=waiting,
            needs=tuple(needs.get(mail.key, ())),
        )
        if topic not in drafts:
            drafts[topic] = COMPOSERS[topic.kind](batch, topic)
        draft = drafts[topic]
        if draft is None:
            _wait_for_edits(topic, batch.now)
            return None
        return draft.address_to(person, zoom_urls.get(person.pk))

    return write


def _wait_for_edits(topic: MailContext, now: dt.datetime) -> None:
    """Raise Later while edits may yet be taken back for which a mail says nothing."""
    about = (topic.session,) if topic.session else topic.sessions + topic.waiting
    moments = [each.settled_at + RECHECK_AFTER for each in about if each.settled_at]
    if topic.kind.spec.waits_for_edits and moments and max(moments) > now:
        # What starts soon is told of before it has settled.
        is_soon = any(
            now < each.ends_at and each.starts_at < now + change_notices.STARTS_SOON
            for each in about
        )
        raise mail_queue.NotYet(now + RECHECK_AFTER if is_soon else max(moments))


def _may_read(person: Registration, mail: OutgoingMail) -> bool:
    if mail.kind == Kind.RECEIVED:
        return person.is_pending
    return person.is_admitted and not (mail.announcement_id and person.unsubscribed_at)


def _is_too_late(mail: OutgoingMail, sessions: Collection[Session], now: dt.datetime) -> bool:
    """Whether the last session has ended while its links waited to leave.

    Who asks for them later is led to their own page.
    """
    if mail.kind != Kind.LINKS or not sessions:
        return False
    return mail.created_at < max(session.ends_at for session in sessions) <= now


def _ids(ids: Iterable[int | None]) -> set[int]:
    return {pk for pk in ids if pk is not None}


def _places(mails: Sequence[OutgoingMail]) -> dict[int, dict[int, str]]:
    """By registration and session, the state of people's seats."""
    places: dict[int, dict[int, str]] = {pk: {} for pk in _ids(m.registration_id for m in mails)}
    rows = Seat.objects.filter(registration__in=places)
    for registration, session, state in rows.values_list("registration", "session", "state"):
        places[registration][session] = state
    return places


def _needs(mails: Sequence[OutgoingMail]) -> dict[str, list[tuple[int, str]]]:
    """By the mail's key, the session and the words of each need that it tells of."""
    needs: dict[str, list[tuple[int, str]]] = {}
    if not mails:
        return needs
    confirmed = AccessNeed.objects.filter(
        seat__registration__in={mail.registration_id for mail in mails},
        state=AccessNeed.State.CONFIRMED,
    )
    for need in confirmed.select_related("seat"):
        key = access_key(need.seat.registration_id, need.confirmed_at)
        needs.setdefault(key, []).append((need.seat.session_id, str(need)))
    return needs


def _zoom_urls(registration_ids: Collection[int]) -> dict[int, dict[int, str]]:
    """By registration and session, people's own Zoom links."""
    zoom_urls: dict[int, dict[int, str]] = {}
    links = PersonalLink.objects.usable().filter(seat__registration__in=registration_ids)
    fields = ("seat__registration_id", "seat__session_id", "join_url")
    for registration_id, session_id, zoom_url in links.values_list(*fields):
        zoom_urls.setdefault(registration_id, {})[session_id] = zoom_url
    return zoom_urls
