"""What each kind of email says: one function per kind, two templates each."""

import datetime as dt
import zoneinfo
from collections.abc import Callable
from typing import TypeVar

from django.utils.safestring import mark_safe

from events.models import Session, SessionSnapshot
from events.templatetags.times import clock, day, hours
from registrations.mail import change_notices, default_texts, markdown
from registrations.mail.compose import Composer, MailContext
from registrations.mail.merge import NAME, TOKEN, UNSUBSCRIBE_URL, MergeTemplate
from registrations.mail_kinds import MailTexts
from registrations.models import (
    OutgoingMail,
    Seat,
    join_url,
)

Kind = OutgoingMail.Kind
# Returns None if the email is no longer needed.
Compose = Callable[[Composer, MailContext], MergeTemplate | None]
# A reminder that was queued in time is sent although its session was moved a little.
REMINDER_LEEWAY = dt.timedelta(minutes=5)


F = TypeVar("F", bound=Compose)
COMPOSERS: dict[Kind, Compose] = {}


def composes(*kinds: Kind) -> Callable[[F], F]:
    """Register the function that composes these kinds of email."""

    def register(function: F) -> F:
        COMPOSERS.update(dict.fromkeys(kinds, function))
        return function

    return register


@composes(Kind.RECEIVED)
def received(batch: Composer, topic: MailContext) -> MergeTemplate:
    """What someone asked for, as the public sees it: no link, and nothing of the schedule."""
    asked, waited = (
        [each for each in sorted(sessions, key=_begin) if each.takes_place]
        for sessions in (topic.sessions, topic.waiting)
    )
    shown = {"asked": asked, "waited": waited}
    return batch.compose(topic, batch.words(topic), {}, sessions=shown)


def _begin(session: Session) -> tuple[dt.datetime, int]:
    return session.starts_at, session.pk


@composes(Kind.LINKS, Kind.SCHEDULE)
def schedule(batch: Composer, topic: MailContext) -> MergeTemplate | None:
    """Every link, the detailed schedule and the calendar; and what the person waits for.

    There is no news when nothing of it is still to come.
    """
    shown = [each for each in topic.sessions if each.status == Session.Status.PUBLISHED]
    waited_for = [each for each in topic.waiting if each.takes_place and each.ends_at > batch.now]
    to_come = [each for each in shown if each.takes_place and each.ends_at > batch.now] + waited_for
    if topic.kind == Kind.SCHEDULE and not to_come:
        return None
    return batch.compose(
        topic,
        batch.words(topic, default_texts.ALL_ON_WAITLIST if waited_for and not shown else None),
        {},
        sessions={"row": shown, "full": shown, "asked": waited_for},
        calendar=batch.parts.calendar(topic.event, shown) if shown else b"",
        method="PUBLISH" if shown else "",
    )


@composes(Kind.DAY, Kind.HOUR)
def reminder(batch: Composer, topic: MailContext) -> MergeTemplate | None:
    """The sessions of one day that have not begun, each with its link."""
    first = topic.session
    if first is None or not _is_time_for(topic.kind, first, batch.now):
        return None
    date = topic.event.day_of(first.starts_at)
    to_come = [
        each
        for each in topic.sessions
        if each.takes_place
        and each.starts_at > batch.now
        and topic.event.day_of(each.starts_at) == date
    ]
    if first not in to_come:
        return None
    words = batch.words(topic, when=_when(first.starts_at, batch.now, topic.zone))
    count = {"count": len(to_come)}
    return batch.compose(topic, words, count, sessions={"ticket": to_come})


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


@composes(Kind.DOORS)
def doors(batch: Composer, topic: MailContext) -> MergeTemplate | None:
    """For those who asked: one link, to be used now."""
    session = topic.session
    if session is None or session not in topic.sessions or not session.takes_place:
        return None
    if not session.doors_open_at <= batch.now < session.doors_email_until:
        return None
    words = batch.words(topic, session=session.title)
    return batch.compose(topic, words, {}, sessions={"ticket": [session]})


@composes(Kind.CHANGED)
def changed(batch: Composer, topic: MailContext) -> MergeTemplate | None:
    """What was and what is now, the session anew, and its calendar entry in place.

    Those who wait for a place learn as much of it as the public sees.
    """
    session, was, is_waitlisted = topic.session, topic.was, topic.is_waitlisted
    if session is None or was is None or session not in topic.sessions + topic.waiting:
        return None
    state = Seat.State.WAITING if is_waitlisted else Seat.State.SEATED
    before, now = change_notices.known(was, state), change_notices.known(session, state)
    differences = _differences(before, now, topic.zone)
    if not session.takes_place or not differences or session.ends_at <= batch.now:
        return None
    calendar, method = batch.parts.invitation(session, is_waitlisted=is_waitlisted)
    return batch.compose(
        topic,
        batch.words(topic, CHANGED[before.takes_place, is_waitlisted], session=session.title),
        {"differences": differences, "back_on": not before.takes_place},
        sessions={"asked" if is_waitlisted else "full": [session]},
        calendar=calendar,
        method=method,
    )


# By whether it was to take place before, and whether the reader waits for a place.
CHANGED = {
    (True, False): None,
    (True, True): default_texts.CHANGED_ON_WAITLIST,
    (False, False): default_texts.RESTORED,
    (False, True): default_texts.RESTORED_ON_WAITLIST,
}


def _differences(
    was: SessionSnapshot, now: SessionSnapshot, zone: zoneinfo.ZoneInfo
) -> tuple[tuple[str, str, str], ...]:
    """What of a session its people must be told of: its name, what was, what is now."""
    pairs = [
        ("Title", was.title, now.title),
        ("Time", _span(was, zone), _span(now, zone)),
        ("How to join without the link", was.joining, now.joining),
    ]
    if not was.takes_place:
        pairs.insert(0, ("Does it take place?", "Canceled", "Yes, it takes place after all"))
    return tuple(
        (label, before or "nothing yet", after or "nothing any more")
        for label, before, after in pairs
        if before != after
    )


def _span(facts: SessionSnapshot, zone: zoneinfo.ZoneInfo) -> str:
    return f"{day(facts.starts_at, zone)}, {hours(facts, zone)}"


@composes(Kind.CANCELED)
def canceled(batch: Composer, topic: MailContext) -> MergeTemplate | None:
    """What does not take place; calendars take it out."""
    session, was, is_waitlisted = topic.session, topic.was, topic.is_waitlisted
    if session is None or was is None or session not in topic.sessions + topic.waiting:
        return None
    if session.takes_place:
        return None
    calendar, method = batch.parts.invitation(session, is_waitlisted=is_waitlisted)
    ours = default_texts.CANCELED_ON_WAITLIST if is_waitlisted else None
    others = [each for each in topic.sessions if each.takes_place and each.ends_at > batch.now]
    return batch.compose(
        topic,
        batch.words(topic, ours, session=session.title),
        {
            "title": session.title,
            "was": was.snapshot(),
            "was_when": _span(was.snapshot(), topic.zone),
        },
        sessions={"row": others},
        calendar=calendar,
        method=method,
    )


@composes(Kind.PROMOTED)
def promoted(batch: Composer, topic: MailContext) -> MergeTemplate | None:
    """A place, with its link and its calendar entry."""
    session = topic.session
    if session is None or session not in topic.sessions or not session.takes_place:
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


@composes(Kind.ACCESS)
def access(batch: Composer, topic: MailContext) -> MergeTemplate | None:
    """What is arranged for someone in each session, with its link."""
    arranged = []
    for session in topic.sessions:
        needs = tuple(words for pk, words in topic.needs if pk == session.pk)
        if needs and session.takes_place and session.ends_at > batch.now:
            arranged.append((session.snapshot(), join_url(TOKEN, session), needs))
    if not arranged:
        return None
    context = {"arranged": tuple(arranged)}
    return batch.compose(topic, batch.words(topic), context, sessions={})


@composes(Kind.THANKS)
def thanks(batch: Composer, topic: MailContext) -> MergeTemplate:
    """What can be watched and read afterwards."""
    past = [each for each in topic.sessions if each.takes_place]
    return batch.compose(
        topic,
        batch.words(topic),
        {"has_links": any(each.recording_url or each.notes_url for each in past)},
        sessions={"past": past},
    )


@composes(Kind.ANNOUNCEMENT)
def announcement(batch: Composer, topic: MailContext) -> MergeTemplate:
    """An organizer's own words, with a link that stops such mails (RFC 8058)."""
    said = topic.announcement
    assert said is not None  # noqa: S101  # A constraint holds its mails to it.
    known = {"name": NAME, "event": topic.event.name, "host": topic.event.host}
    body = default_texts.substitute(said.body, known)
    return batch.compose(
        topic,
        MailTexts(default_texts.substitute(said.subject, known), ""),
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
