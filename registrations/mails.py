"""WHAT we say: one function a kind, two templates (txt, html).

A mail is drafted once for all who get the same words: same event, same sessions, same time
zone. What is personal, such as the name and the token, is then filled in for each person.
"""

import datetime as dt
import zoneinfo
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.mail import EmailMessage
from django.db import transaction
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import mark_safe

from events.links import absolute
from events.models import Event, Facts, Revision, Session
from events.templatetags.times import clock, day, hours

from . import letters, markdown, outbox, personal_links, texts, told
from .mime import NAME, TOKEN, UNSUBSCRIBE_URL, Draft, Frame
from .models import (
    TOKEN_LENGTH,
    AccessNeed,
    Announcement,
    OutgoingMail,
    PersonalLink,
    Registration,
    Seat,
)
from .parts import PALETTE, Kept, Parts, join_url
from .told import Edits, Place

Kind = OutgoingMail.Kind

SAMPLE_TOKEN = "sample-token-for-a-preview".ljust(TOKEN_LENGTH, "-")
# Some hundred kilobytes for each kind, in as many time zones as there are readers.
_frames = Kept(200)
# Seconds in which those who register are registered at Zoom together.
GATHER = 1
# A reminder that was queued in time is sent although its session was moved a little.
REMINDER_LEEWAY = dt.timedelta(minutes=5)
# Queued once: what says nothing amid edits may be needed after all when they have settled.
OWED_ONCE = {Kind.CHANGED, Kind.CANCELLED, Kind.PROMOTED, Kind.ACCESS, Kind.SCHEDULE}
# By then whoever asks what is owed has seen how it settled.
SEEN_AFTER = dt.timedelta(minutes=1)


def queue_links(
    registrations: Iterable[Registration], *, before: Mapping[int, int] | None = None
) -> None:
    """Owe people their links; `before` says by registration id how often they were mailed."""
    _queue_answer(Kind.LINKS, registrations, before)


def queue_received(
    registrations: Iterable[Registration], *, before: Mapping[int, int] | None = None
) -> None:
    """Owe people word that the organizers look at their registration; `before` as for links."""
    _queue_answer(Kind.RECEIVED, registrations, before)


def _queue_answer(
    kind: Kind, registrations: Iterable[Registration], before: Mapping[int, int] | None
) -> None:
    registrations = list(registrations)
    now = timezone.now()
    waiting = _waiting_for_links(registrations) if kind == Kind.LINKS else set()
    outbox.queue(
        OutgoingMail(
            key=f"{kind}/{registration.pk}/{(before or {}).get(registration.pk, 0)}",
            kind=kind,
            registration=registration,
            due_at=now + personal_links.MAIL_WAIT if registration.pk in waiting else now,
        )
        for registration in registrations
    )


def _waiting_for_links(registrations: Iterable[Registration]) -> set[int]:
    """The ids of those whose personal links are on their way; a worker hears of them."""
    ids = [each.pk for each in registrations if each.event.has_personal_links]
    waiting = personal_links.awaited_by(ids) if ids else set()
    if waiting:
        transaction.on_commit(lambda: outbox.nudge("issue_links", gather=GATHER))
    return waiting


def queue_access(registrations: Iterable[Registration], confirmed_at: dt.datetime) -> None:
    """Owe people word of the needs that were confirmed at this moment."""
    outbox.queue(
        OutgoingMail(
            key=_access_key(registration.pk, confirmed_at),
            kind=Kind.ACCESS,
            registration=registration,
        )
        for registration in registrations
    )


def queue_promoted(seats: Collection[Seat]) -> None:
    """Owe people word that they have a place now."""
    now = timezone.now()
    waiting = _waiting_for_links([seat.registration for seat in seats])
    outbox.queue(
        OutgoingMail(
            key=f"promoted/{seat.pk}/{now.timestamp():.0f}",
            kind=Kind.PROMOTED,
            registration=seat.registration,
            session=seat.session,
            due_at=now + personal_links.MAIL_WAIT if seat.registration_id in waiting else now,
        )
        for seat in seats
    )


@dataclass(frozen=True)
class Topic:
    """What a mail is about, apart from whose it is.

    `sessions` are those that the person has a seat in, also cancelled ones, `waiting` those whose
    waiting list they are on; `session` is the one that the mail is about, `was` what it was before.
    `needs` are the session and the words of each access need that it confirms.
    """

    kind: Kind
    event: Event
    zone: zoneinfo.ZoneInfo
    sessions: tuple[Session, ...]
    session: Session | None = None
    was: Revision | None = None
    announcement: Announcement | None = None
    waiting: tuple[Session, ...] = ()
    needs: tuple[tuple[int, str], ...] = ()

    @property
    def is_in_line(self) -> bool:
        """Whether the person waits for a place in the session that the mail is about."""
        return self.session in self.waiting


class Batch:
    """Mails that are written together: whatever they share is fetched and rendered once."""

    def __init__(self, now: dt.datetime) -> None:
        self.now = now
        self.parts = Parts()
        self.own_words: Mapping[tuple[int, str], texts.Words] = {}
        self._drafts: dict[Topic, Draft | None] = {}

    def draft(self, topic: Topic) -> Draft | None:
        """The mail on a topic; None when there is nothing to say any more."""
        if topic not in self._drafts:
            self._drafts[topic] = DRAFTS[topic.kind](self, topic)
        return self._drafts[topic]

    def words(self, topic: Topic, special: texts.Words | None = None, **values: str) -> texts.Words:
        """Subject and opening words, the organizers' own or ours, with the placeholders filled.

        Their own words are for the kind's usual case; they may be wrong in a special one, which
        has words of ours.
        """
        ours, none = special or texts.DEFAULTS[topic.kind], texts.Words("", "")
        own = none if special else self.own_words.get((topic.event.pk, topic.kind), none)
        known = {"name": NAME, "event": topic.event.name, "host": topic.event.host, **values}
        return texts.Words(
            *(texts.fill(mine or our, known) for mine, our in zip(own, ours, strict=True))
        )

    def compose(
        self,
        topic: Topic,
        words: texts.Words,
        context: Mapping[str, Any],
        *,
        sessions: Mapping[str, Sequence[Session]],
        calendar: bytes = b"",
        method: str = "",
        headers: Mapping[str, str] | None = None,
        also: Collection[int] = (),
    ) -> Draft:
        """Render the two templates of the topic's kind, once for all that differ only in blocks.

        `sessions` says which ones are shown in which form: mails/session/<form>.txt and .html
        show one, and the templates place all of a form by its name. `also` are the ids of other
        sessions that the mail tells of, be it by leaving them out.
        """
        forms = [form for form, shown in sessions.items() if shown]
        frame = self._frame(
            topic,
            words,
            context=tuple(context.items()),
            forms=tuple(forms),
            method=method,
            headers=tuple((headers or {}).items()),
        )
        blocks = {
            _block(form, extension): self.parts.sessions(
                f"{form}.{extension}", sessions[form], topic.zone
            )
            for form in forms
            for extension in ("txt", "html")
        }
        in_blocks = [each.pk for form in forms for each in sessions[form]]
        is_personal = topic.event.has_personal_links
        return Draft(
            *(frame, blocks, calendar),
            shown={*in_blocks, *also},
            linked=tuple(in_blocks) if is_personal else (),
            own_link=self.parts.own_link() if is_personal else {},
        )

    def _frame(
        self,
        topic: Topic,
        words: texts.Words,
        *,
        context: tuple[tuple[str, Any], ...],
        forms: tuple[str, ...],
        method: str,
        headers: tuple[tuple[str, str], ...],
    ) -> Frame:
        event = topic.event
        shown = (event.pk, event.slug, event.name, event.host, event.contact_email)
        doors = (event.time_zone, event.doors_open_minutes)
        key = (topic.kind, *shown, doors, topic.zone.key, words, context, forms, method, headers)
        return _frames.once(
            key, lambda: _framed(topic, words, dict(context), forms, method, headers)
        )


def _framed(
    topic: Topic,
    words: texts.Words,
    context: Mapping[str, Any],
    forms: tuple[str, ...],
    method: str,
    headers: tuple[tuple[str, str], ...],
) -> Frame:
    event = topic.event
    shared = {
        "name": NAME,
        "subject": words.subject.replace(NAME, "…"),
        "paragraphs": [each.strip() for each in words.opening.split("\n\n") if each.strip()],
        "event": event,
        "zone": topic.zone,
        "me_url": absolute(reverse("me", args=[TOKEN])),
        "site_url": absolute(event.get_absolute_url()),
        **PALETTE,
        **context,
    }

    def rendered(extension: str) -> str:
        placed = {form: mark_safe(_block(form, extension)) for form in forms}  # noqa: S308
        return render_to_string(f"mails/{topic.kind}.{extension}", {**shared, **placed})

    return Frame(
        # A title may hold line breaks of any kind, a header may not.
        subject=" ".join(words.subject.split()),
        text=rendered("txt"),
        html=rendered("html"),
        reply_to=(event.contact_email,) if event.contact_email else (),
        headers=dict(headers),
        method=method,
    )


def _block(form: str, extension: str) -> str:
    """The stand-in for all sessions that a mail shows in this form."""
    return f"\ue000{form}.{extension}\ue000"


def received(batch: Batch, topic: Topic) -> Draft:
    """What someone asked for, as the public sees it: no link, and nothing of the schedule."""
    asked, waited = (
        [each for each in sorted(sessions, key=_begin) if each.is_held]
        for sessions in (topic.sessions, topic.waiting)
    )
    shown = {"asked": asked, "waited": waited}
    return batch.compose(topic, batch.words(topic), {}, sessions=shown)


def _begin(session: Session) -> tuple[dt.datetime, int]:
    return session.starts_at, session.pk


def schedule(batch: Batch, topic: Topic) -> Draft | None:
    """Every link, the detailed schedule and the calendar; and what the person waits for.

    There is no news when nothing of it is still to come.
    """
    shown = [each for each in topic.sessions if each.status == Session.Status.PUBLISHED]
    waited_for = [each for each in topic.waiting if each.is_held and each.ends_at > batch.now]
    to_come = [each for each in shown if each.is_held and each.ends_at > batch.now] + waited_for
    if topic.kind == Kind.SCHEDULE and not to_come:
        return None
    return batch.compose(
        topic,
        batch.words(topic, texts.WAITING if waited_for and not shown else None),
        {},
        sessions={"row": shown, "full": shown, "asked": waited_for},
        calendar=batch.parts.calendar(topic.event, shown) if shown else b"",
        method="PUBLISH" if shown else "",
    )


def reminder(batch: Batch, topic: Topic) -> Draft | None:
    """The sessions of one day that have not begun, each with its link."""
    first = topic.session
    if first is None or not _is_time_for(topic.kind, first, batch.now):
        return None
    date = topic.event.day_of(first.starts_at)
    to_come = [
        each
        for each in topic.sessions
        if each.is_held
        and each.starts_at > batch.now
        and topic.event.day_of(each.starts_at) == date
    ]
    if first not in to_come:
        return None
    words = batch.words(topic, when=_when(first.starts_at, batch.now, topic.zone))
    count = {"count": len(to_come)}
    off = [each.pk for each in topic.sessions if not each.is_held]
    return batch.compose(topic, words, count, sessions={"ticket": to_come}, also=off)


def _is_time_for(kind: Kind, session: Session, now: dt.datetime) -> bool:
    """Whether a reminder of this kind is neither early, after a move, nor late."""
    if kind == Kind.DAY:
        return session.day_reminder_at - REMINDER_LEEWAY <= now < session.hour_reminder_at
    return session.hour_reminder_at - REMINDER_LEEWAY <= now < session.starts_at


def _when(moment: dt.datetime, now: dt.datetime, zone: zoneinfo.ZoneInfo) -> str:
    """tomorrow at 9:00 AM PDT"""
    local = moment.astimezone(zone)
    days = (local.date() - now.astimezone(zone).date()).days
    date = {0: "today", 1: "tomorrow"}.get(days, f"on {day(moment, zone)}")
    return f"{date} at {clock(moment, zone)} {local.tzname()}"


def doors(batch: Batch, topic: Topic) -> Draft | None:
    """For those who asked: one link, to be used now."""
    session = topic.session
    if session is None or session not in topic.sessions or not session.is_held:
        return None
    if not session.doors_open_at <= batch.now < session.door_call_until:
        return None
    words = batch.words(topic, session=session.title)
    return batch.compose(topic, words, {}, sessions={"ticket": [session]})


def changed(batch: Batch, topic: Topic) -> Draft | None:
    """What was and what is now, the session anew, and its calendar entry in place.

    Those who wait for a place learn as much of it as the public sees.
    """
    session, was, is_in_line = topic.session, topic.was, topic.is_in_line
    if session is None or was is None or session not in topic.sessions + topic.waiting:
        return None
    state = Seat.State.WAITING if is_in_line else Seat.State.SEATED
    before, now = told.known(was, state), told.known(session, state)
    differences = _differences(before, now, topic.zone)
    if not session.is_held or not differences or session.ends_at <= batch.now:
        return None
    calendar, method = batch.parts.invitation(session, is_in_line=is_in_line)
    return batch.compose(
        topic,
        batch.words(topic, CHANGED[before.is_held, is_in_line], session=session.title),
        {"differences": differences, "back_on": not before.is_held},
        sessions={"asked" if is_in_line else "full": [session]},
        calendar=calendar,
        method=method,
    )


# By whether it was to take place before, and whether the reader waits for a place.
CHANGED = {
    (True, False): None,
    (True, True): texts.CHANGED_IN_LINE,
    (False, False): texts.ON_AGAIN,
    (False, True): texts.ON_AGAIN_IN_LINE,
}


def _differences(
    was: Facts, now: Facts, zone: zoneinfo.ZoneInfo
) -> tuple[tuple[str, str, str], ...]:
    """What of a session its people must be told of: its name, what was, what is now."""
    pairs = [
        ("Title", was.title, now.title),
        ("Time", _span(was, zone), _span(now, zone)),
        ("How to join without the link", was.joining, now.joining),
    ]
    if not was.is_held:
        pairs.insert(0, ("Does it take place?", "Cancelled", "Yes, it takes place after all"))
    return tuple(
        (label, before or "nothing yet", after or "nothing any more")
        for label, before, after in pairs
        if before != after
    )


def _span(facts: Facts, zone: zoneinfo.ZoneInfo) -> str:
    return f"{day(facts.starts_at, zone)}, {hours(facts, zone)}"


def cancelled(batch: Batch, topic: Topic) -> Draft | None:
    """What does not take place; calendars take it out."""
    session, was, is_in_line = topic.session, topic.was, topic.is_in_line
    if session is None or was is None or session not in topic.sessions + topic.waiting:
        return None
    if session.is_held:
        return None
    calendar, method = batch.parts.invitation(session, is_in_line=is_in_line)
    ours = texts.CANCELLED_IN_LINE if is_in_line else None
    others = [each for each in topic.sessions if each.is_held and each.ends_at > batch.now]
    return batch.compose(
        topic,
        batch.words(topic, ours, session=session.title),
        {"title": session.title, "was": was.facts(), "was_when": _span(was.facts(), topic.zone)},
        sessions={"row": others},
        calendar=calendar,
        method=method,
    )


def promoted(batch: Batch, topic: Topic) -> Draft | None:
    """A place, with its link and its calendar entry."""
    session = topic.session
    if session is None or session not in topic.sessions or not session.is_held:
        return None
    if session.ends_at <= batch.now:
        return None
    calendar, method = batch.parts.invitation(session, since=batch.now)
    return batch.compose(
        topic,
        batch.words(topic, session=session.title),
        {},
        sessions={"full": [session]},
        calendar=calendar,
        method=method,
    )


def access(batch: Batch, topic: Topic) -> Draft | None:
    """What is arranged for someone in each session, with its link."""
    arranged, ids = [], []
    for session in topic.sessions:
        needs = tuple(words for pk, words in topic.needs if pk == session.pk)
        if needs and session.is_held and session.ends_at > batch.now:
            arranged.append((session.facts(), join_url(TOKEN, session), needs))
            ids.append(session.pk)
    if not arranged:
        return None
    context = {"arranged": tuple(arranged)}
    return batch.compose(topic, batch.words(topic), context, sessions={}, also=ids)


def thanks(batch: Batch, topic: Topic) -> Draft:
    """What can be watched and read afterwards."""
    past = [each for each in topic.sessions if each.is_held]
    return batch.compose(
        topic,
        batch.words(topic),
        {"has_links": any(each.recording_url or each.notes_url for each in past)},
        sessions={"past": past},
    )


def announcement(batch: Batch, topic: Topic) -> Draft:
    """An organizer's own words, with a link that stops such mails (RFC 8058)."""
    said = topic.announcement
    assert said is not None  # noqa: S101  # A constraint holds its mails to it.
    known = {"name": NAME, "event": topic.event.name, "host": topic.event.host}
    body = texts.fill(said.body, known)
    return batch.compose(
        topic,
        texts.Words(texts.fill(said.subject, known), ""),
        {
            "body": body,
            # nh3 has cleaned it.
            "body_html": mark_safe(markdown.to_html(body)),  # noqa: S308
            "unsubscribe_url": UNSUBSCRIBE_URL,
        },
        sessions={},
        headers={
            "List-Unsubscribe": f"<{UNSUBSCRIBE_URL}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        },
    )


DRAFTS: dict[Kind, Callable[[Batch, Topic], Draft | None]] = {
    Kind.RECEIVED: received,
    Kind.LINKS: schedule,
    Kind.SCHEDULE: schedule,
    Kind.DAY: reminder,
    Kind.HOUR: reminder,
    Kind.DOORS: doors,
    Kind.CHANGED: changed,
    Kind.CANCELLED: cancelled,
    Kind.PROMOTED: promoted,
    Kind.ACCESS: access,
    Kind.THANKS: thanks,
    Kind.ANNOUNCEMENT: announcement,
}


def prepare(mails: Sequence[OutgoingMail]) -> outbox.Writer:
    """Fetch what a batch of mails speaks of, and return what writes each one.

    A mail that nobody needs any more is written as None: the organizers' word on its
    registration is another now, or it was cancelled; its moment has passed; or the announcement's
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
    edits = Edits(sessions, places)
    batch = Batch(timezone.now())
    batch.own_words = texts.words_of(events)

    def write(mail: OutgoingMail) -> EmailMessage | None:
        person = mail.registration
        if person is None:
            return letters.write(mail)
        if not _may_read(person, mail):
            return None
        theirs = places[person.pk]
        attended = {pk for pk, place in theirs.items() if place.state == Seat.State.SEATED}
        attending = tuple(each for pk, each in sessions.items() if pk in attended)
        waiting = tuple(
            each for pk, each in sessions.items() if pk in theirs and pk not in attended
        )
        if _is_too_late(mail, attending + waiting, batch.now):
            return None
        topic = Topic(
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
        draft = batch.draft(topic)
        if draft is None:
            _wait_for_edits(topic, batch.now)
            return None
        message = draft.address_to(person, zoom_urls.get(person.pk))
        message.shown = edits.shown(mail, draft.shown)
        return message

    return write


def _wait_for_edits(topic: Topic, now: dt.datetime) -> None:
    """Raise Later while edits may yet be taken back for which a mail says nothing."""
    about = (topic.session,) if topic.session else topic.sessions + topic.waiting
    moments = [each.settled_at + SEEN_AFTER for each in about if each.settled_at]
    if topic.kind in OWED_ONCE and moments and max(moments) > now:
        # What starts soon is told of before it has settled.
        is_soon = any(now < each.ends_at and each.starts_at < now + told.SOON for each in about)
        raise outbox.Later(now + SEEN_AFTER if is_soon else max(moments))


def note_left(messages: Iterable[EmailMessage]) -> None:
    """Remember what these, which have left or may have, showed their readers."""
    told.note(shown for message in messages for shown in getattr(message, "shown", ()))


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


def _places(mails: Sequence[OutgoingMail]) -> dict[int, dict[int, Place]]:
    """By registration and session, the places that people have there, or in its waiting list."""
    people = _ids(mail.registration_id for mail in mails)
    places: dict[int, dict[int, Place]] = {pk: {} for pk in people}
    rows = Seat.objects.filter(registration__in=places)
    fields = ("registration_id", "session_id", *Place._fields)
    for registration_id, session_id, *place in rows.values_list(*fields):
        places[registration_id][session_id] = Place(*place)
    return places


def _access_key(registration_id: int, confirmed_at: dt.datetime | None) -> str:
    """Of the mail that tells someone of the needs confirmed at this moment."""
    moment = confirmed_at.astimezone(dt.UTC).isoformat() if confirmed_at else ""
    return f"{Kind.ACCESS}/{registration_id}/{moment}"


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
        key = _access_key(need.seat.registration_id, need.confirmed_at)
        needs.setdefault(key, []).append((need.seat.session_id, str(need)))
    return needs


def _zoom_urls(registration_ids: Collection[int]) -> dict[int, dict[int, str]]:
    """By registration and session, people's own Zoom links."""
    zoom_urls: dict[int, dict[int, str]] = {}
    links = PersonalLink.objects.leading_in().filter(seat__registration__in=registration_ids)
    fields = ("seat__registration_id", "seat__session_id", "join_url")
    for registration_id, session_id, zoom_url in links.values_list(*fields):
        zoom_urls.setdefault(registration_id, {})[session_id] = zoom_url
    return zoom_urls
