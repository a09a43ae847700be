"""What each kind of email says: one function per kind, or per two that are alike.

The kinds are declared in registrations/mail_kinds.py. Each has two templates in templates/mails/.
A function returns None if its email is no longer needed.
"""

import datetime as dt
import zoneinfo
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import NamedTuple

from django.utils.safestring import mark_safe
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from events import languages
from events.calendar.entries import invitation, removed_entry
from events.models import Meeting, Revision, Session, SessionSnapshot
from events.models.session import joining_text
from events.templatetags.times import day, hours
from events.text import markdown
from registrations.mail import change_notices, default_texts
from registrations.mail.compose import Composer, MailContext
from registrations.mail.merge import EMAIL, NAME, TOKEN, UNSUBSCRIBE_URL, MergeTemplate
from registrations.mail_kinds import MailKind, MailTexts
from registrations.models import Seat, join_url

# A reminder that was queued in time is sent even if its session has moved this little.
REMINDER_LEEWAY = dt.timedelta(minutes=5)


def received(composer: Composer, context: MailContext) -> MergeTemplate:
    """What someone registered for, as the public sees it: no link and no agenda."""
    without_link, waitlisted = (
        [each for each in sessions if each.takes_place]
        for sessions in (context.sessions, context.waiting)
    )
    return composer.compose(
        context, sessions={"without_link": without_link, "waitlisted": waitlisted}
    )


def links(composer: Composer, context: MailContext) -> MergeTemplate:
    """Every link, the calendar, and the waitlists the person is on."""
    shown = _published(context.sessions)
    waiting = _to_come(context.waiting, composer.now)
    special = default_texts.ALL_ON_WAITLIST if waiting else default_texts.NO_SESSION
    first = next(iter(_to_come(shown, composer.now) or shown or waiting), None)
    calendar = (composer.blocks.calendar(context.event, shown, waiting), "PUBLISH")
    return composer.compose(
        context,
        sessions={"compact": shown, "waitlisted": waiting},
        variables={
            "has_agenda": _have_agenda(_to_come(shown, composer.now)),
            "has_numbers": any(session.dial_in_numbers() for session in shown),
        },
        special_texts=None if shown else special,
        starts_at=first.starts_at if first else None,
        calendar=calendar if first else (b"", ""),
    )


def schedule(composer: Composer, context: MailContext) -> MergeTemplate | None:
    """The agenda of the person's sessions; an update of it has an updated calendar, too.

    Neither is needed if nothing is still to come, nor the first one if there is no agenda.
    """
    shown = _published(context.sessions)
    to_come = _to_come(shown, composer.now)
    is_update = context.kind == MailKind.SCHEDULE_UPDATE
    if not to_come or not (is_update or _have_agenda(to_come)):
        return None
    calendar = b""
    if is_update:
        waiting = _to_come(context.waiting, composer.now)
        calendar = composer.blocks.calendar(context.event, shown, waiting)
    return composer.compose(
        context,
        sessions={"with_agenda": shown},
        starts_at=to_come[0].starts_at,
        calendar=(calendar, "PUBLISH" if calendar else ""),
    )


def _published(sessions: Iterable[Session]) -> list[Session]:
    """Canceled ones too: people should see that they are."""
    return [each for each in sessions if each.status == Session.Status.PUBLISHED]


def _have_agenda(sessions: Iterable[Session]) -> bool:
    return any(each.agenda.all() for each in sessions)


def _to_come(sessions: Iterable[Session], now: dt.datetime) -> list[Session]:
    return [each for each in sessions if each.takes_place and each.ends_at > now]


def reminder(composer: Composer, context: MailContext) -> MergeTemplate | None:
    """The sessions of one day that haven't started, each with its link."""
    first, now = context.session, composer.now
    if first is None or not _is_time_for(context.kind, first, now):
        return None
    date = context.event.day_of(first.starts_at)
    to_come = [
        each
        for each in context.sessions
        if each.takes_place
        and each.starts_at > now
        and context.event.day_of(each.starts_at) == date
    ]
    if first not in to_come:
        return None
    return composer.compose(
        replace(context, session=to_come[0]),
        sessions={"with_link": to_come},
        variables={"several": len(to_come) > 1},
    )


def _is_time_for(kind: MailKind, session: Session, now: dt.datetime) -> bool:
    """Whether a reminder is neither too early, after the session was moved, nor too late."""
    if kind == MailKind.DAY:
        return session.day_reminder_at - REMINDER_LEEWAY <= now < session.hour_reminder_at
    return session.hour_reminder_at - REMINDER_LEEWAY <= now < session.starts_at


def doors(composer: Composer, context: MailContext) -> MergeTemplate | None:
    """The link to use right now, for those who asked for this email."""
    session = context.session
    if session is None or session not in context.sessions or not session.takes_place:
        return None
    if not session.doors_open_at <= composer.now < session.doors_email_until:
        return None
    return composer.compose(context, sessions={"with_link": [session]})


def changed(composer: Composer, context: MailContext) -> MergeTemplate | None:
    """What was and what is now, the whole session, and an updated calendar entry.

    People on the waitlist only get what the public sees.
    """
    session, old_revision = context.session, context.old_revision
    if session is None or old_revision is None or session not in context.sessions + context.waiting:
        return None
    state = Seat.State.WAITING if context.is_waitlisted else Seat.State.SEATED
    before, now = (change_notices.visible_snapshot(each, state) for each in (old_revision, session))
    titles = _title_difference(old_revision, session)
    differences = _differences(before, now, titles, context.zone)
    if not session.takes_place or not differences or session.ends_at <= composer.now:
        return None
    return composer.compose(
        context,
        sessions={"waitlisted" if context.is_waitlisted else "with_agenda": [session]},
        variables={"differences": differences, "back_on": not before.takes_place},
        special_texts=CHANGED_TEXTS[before.takes_place, context.is_waitlisted],
        calendar=composer.blocks.invitation(session, is_waitlisted=context.is_waitlisted),
    )


# By whether it was going to take place before, and whether the reader is on the waitlist.
CHANGED_TEXTS = {
    (True, False): None,
    (True, True): default_texts.CHANGED_ON_WAITLIST,
    (False, False): default_texts.RESTORED,
    (False, True): default_texts.RESTORED_ON_WAITLIST,
}


class Difference(NamedTuple):
    """What a change notice lists. The languages are set where a text isn't in the reader's."""

    label: str
    was: str
    now: str
    was_language: str = ""
    now_language: str = ""


def _differences(
    before: SessionSnapshot, now: SessionSnapshot, titles: Difference, zone: zoneinfo.ZoneInfo
) -> tuple[Difference, ...]:
    listed = [
        *([titles] if _is_renamed(before, now) else []),
        Difference(_("Time"), _day_and_hours(before, zone), _day_and_hours(now, zone)),
        Difference(
            _("How to join without the link"), *map(joining_text, (before.joining, now.joining))
        ),
    ]
    if not before.takes_place:
        listed.insert(0, Difference(_("Status"), _("Canceled"), _("Back on")))
    return tuple(
        each._replace(was=each.was or _("Not set yet"), now=each.now or _("Not available"))
        for each in listed
        if each.was != each.now
    )


def _is_renamed(before: SessionSnapshot, now: SessionSnapshot) -> bool:
    """For the reader: a title may have changed in another language only."""
    return languages.reads_differently(before.title, now.title, get_language())


def _title_difference(before: Revision, now: Session) -> Difference:
    languages_shown = [languages.other_language(each, "title") for each in (before, now)]
    return Difference(_("Title"), before.title, now.title, *languages_shown)


def _day_and_hours(snapshot: SessionSnapshot, zone: zoneinfo.ZoneInfo) -> str:
    return f"{day(snapshot.starts_at, zone)}, {hours(snapshot, zone)}"


def canceled(composer: Composer, context: MailContext) -> MergeTemplate | None:
    """The canceled session, removed from calendars, and the other sessions still to come."""
    session, old_revision = context.session, context.old_revision
    if session is None or old_revision is None or session not in context.sessions + context.waiting:
        return None
    if session.takes_place:
        return None
    before = old_revision.snapshot()
    renamed = _is_renamed(before, session.snapshot())
    was_when = _day_and_hours(before, context.zone)
    return composer.compose(
        context,
        sessions={"compact": _to_come(context.sessions, composer.now)},
        variables={
            "title": session.title,
            "title_language": languages.other_language(session, "title"),
            "reason": session.cancel_reason,
            "reason_language": languages.other_language(session, "cancel_reason"),
            "was": before,
            "was_title": old_revision.title if renamed else "",
            "was_title_marked": languages.marked(old_revision, "title"),
            "was_when": was_when,
        },
        special_texts=default_texts.CANCELED_ON_WAITLIST if context.is_waitlisted else None,
        starts_at=before.starts_at,
        calendar=composer.blocks.invitation(session, is_waitlisted=context.is_waitlisted),
    )


def promoted(composer: Composer, context: MailContext) -> MergeTemplate | None:
    """A spot from the waitlist, with its link and its calendar entry."""
    session = context.session
    if session is None or session not in _to_come(context.sessions, composer.now):
        return None
    calendar = composer.blocks.invitation(session, since=composer.now)
    return composer.compose(context, sessions={"with_agenda": [session]}, calendar=calendar)


def left(composer: Composer, context: MailContext) -> MergeTemplate | None:
    """A session that the person is no longer signed up for, taken out of their calendar."""
    session = context.session
    if session is None or session.ends_at <= composer.now:
        return None
    calendar = invitation(removed_entry(session), EMAIL, composer.now)
    return composer.compose(context, sessions={"without_link": [session]}, calendar=calendar)


class Arranged(NamedTuple):
    """A session in an email about access needs."""

    title: str
    title_language: str
    starts_at: dt.datetime
    ends_at: dt.datetime
    join_url: str
    joining: str
    meeting: Meeting | None
    needs: tuple[str, ...]


def _arranged(session: Session, needs: tuple[str, ...]) -> Arranged:
    return Arranged(
        title=session.title,
        title_language=languages.other_language(session, "title"),
        starts_at=session.starts_at,
        ends_at=session.ends_at,
        join_url=join_url(TOKEN, session),
        joining=joining_text("\n".join(session.joining_lines())),
        meeting=session.usable_meeting,
        needs=needs,
    )


def access(composer: Composer, context: MailContext) -> MergeTemplate | None:
    """What is arranged for someone in each session, with its link."""
    arranged, about = [], []
    for session in _to_come(context.sessions, composer.now):
        if needs := tuple(text for pk, text in context.needs if pk == session.pk):
            arranged.append(_arranged(session, needs))
            about.append(session)
    if not arranged:
        return None
    return composer.compose(
        context,
        sessions={},
        variables={"arranged": tuple(arranged)},
        starts_at=about[0].starts_at,
        about=about,
    )


def thanks(composer: Composer, context: MailContext) -> MergeTemplate | None:
    """What can be watched and read afterward."""
    past = [each for each in context.sessions if each.takes_place]
    if not past:
        return None
    has_links = any(each.recording_url or each.notes_url for each in past)
    return composer.compose(
        context, sessions={"recording": past}, variables={"has_links": has_links}
    )


def announcement(composer: Composer, context: MailContext) -> MergeTemplate:
    """An organizer's own text, with a link to unsubscribe (RFC 8058)."""
    announcement = context.announcement
    assert announcement is not None  # noqa: S101  # By a constraint of OutgoingMail.
    with languages.as_written(announcement, "body"):
        values = {"name": NAME, "event": context.event.name, "host": context.event.host}
        body = default_texts.fill(announcement.body, values)
    return composer.compose(
        context,
        sessions={},
        variables={
            "body": body,
            "body_language": languages.other_language(announcement, "body"),
            # nh3 has sanitized it.
            "body_html": mark_safe(markdown.to_html(body)),  # noqa: S308
            "unsubscribe_url": UNSUBSCRIBE_URL,
        },
        special_texts=MailTexts(announcement.subject, ""),
        headers={
            "List-Unsubscribe": f"<{UNSUBSCRIBE_URL}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        },
    )


# The function that composes each kind. Stored messages have none.
COMPOSERS: dict[MailKind, Callable[[Composer, MailContext], MergeTemplate | None]] = {
    MailKind.RECEIVED: received,
    MailKind.LINKS: links,
    MailKind.SCHEDULE: schedule,
    MailKind.SCHEDULE_UPDATE: schedule,
    MailKind.DAY: reminder,
    MailKind.HOUR: reminder,
    MailKind.DOORS: doors,
    MailKind.CHANGED: changed,
    MailKind.CANCELED: canceled,
    MailKind.PROMOTED: promoted,
    MailKind.LEFT: left,
    MailKind.ACCESS: access,
    MailKind.THANKS: thanks,
    MailKind.ANNOUNCEMENT: announcement,
}
