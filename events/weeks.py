"""Creating a week from a pattern, copying one to other dates, and shifting one.

What is created or copied is a draft.
Days and clock times are those of the event's time zone, also across a daylight saving change.
"""

import datetime as dt
import uuid
import zoneinfo
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

from django.db import IntegrityError, models, transaction
from django.utils import timezone, translation
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from events import languages, schedule
from events.links import free_slug
from events.models import AgendaItem, Event, Session, Speaker, Track
from events.templatetags.times import clock, day
from events.timezones import is_repeated, is_skipped, moment_of

SATURDAY = 5
MOST_EVENINGS = 14

# A copy starts with the defaults of these.
NOT_COPIED_OF_EVENT = (
    *("slug", "status", "created_at", "draft_key", "erase_not_before", "archived_at"),
    *("registration_opens_at", "registration_closes_at"),
)
NOT_COPIED_OF_SESSION = (
    *("uid", "canceled_at", "revision", "revised_at", "created_at", "updated_at"),
    *("cancel_reason", *languages.columns("cancel_reason")),
    *("notices_held_at", "notify_at"),
    *("recording_url", "notes_url", "shows_recording"),
)

Row = TypeVar("Row", bound=models.Model)


class Draft(NamedTuple):
    """A new event. `created` is False if the same form has made it before."""

    event: Event
    created: bool


class AddressTaken(Exception):
    """Another event just got this address."""


def draft_with_key(key: uuid.UUID) -> Event | None:
    """The draft that a form with this key has made."""
    return Event.objects.filter(draft_key=key).first()


# Creating


class Pattern(models.TextChoices):
    """The sessions that a new week starts with."""

    WEEK = "week", gettext_lazy("Kickoff on Saturday, four weekday evenings, closing on Saturday")
    EVENINGS = "evenings", gettext_lazy("A series of evenings, one a day")
    ONE_DAY = "day", gettext_lazy("One day: kickoff, strategy session and closing")


class Slot(NamedTuple):
    """A session of a pattern, this many days after the first one."""

    kind: Session.Kind
    days: int
    starts: dt.time
    ends: dt.time
    number: int = 0

    @property
    def title(self) -> str:
        if self.number:
            return _("Strategy session %(number)s") % {"number": self.number}
        return str(self.kind.label)


class PlannedSession(NamedTuple):
    """A session to be created, with its title in one or more languages."""

    titles: Mapping[str, str]
    kind: str
    starts: dt.datetime
    ends: dt.datetime


def slots(pattern: str, evenings: int) -> list[Slot]:
    """The sessions of a pattern. `evenings` is the length of a series of evenings."""
    kickoff, strategy, closing = Session.Kind.KICKOFF, Session.Kind.STRATEGY, Session.Kind.CLOSING
    evening = (dt.time(18), dt.time(20))
    match Pattern(pattern):
        case Pattern.WEEK:
            return [
                Slot(kickoff, 0, dt.time(9), dt.time(13)),
                *(Slot(strategy, 1 + number, *evening, number) for number in range(1, 5)),
                Slot(closing, 7, dt.time(9), dt.time(12)),
            ]
        case Pattern.EVENINGS:
            return [Slot(strategy, each, *evening, each + 1) for each in range(evenings)]
        case Pattern.ONE_DAY:
            return [
                Slot(kickoff, 0, dt.time(9), dt.time(11)),
                Slot(strategy, 0, dt.time(12), dt.time(14)),
                Slot(closing, 0, dt.time(14, 30), dt.time(16)),
            ]


def titles_in_all_languages(slot: Slot) -> dict[str, str]:
    titles = {}
    for code in languages.codes():
        with translation.override(code):
            titles[code] = slot.title
    return titles


def create_week(*, event: Event, sessions: Iterable[PlannedSession], draft_key: uuid.UUID) -> Draft:
    """Save a new event as a draft, with its sessions.

    Times are on the clocks of the event's zone; a session must end after it starts. A key that was
    used before returns the draft it made. Raises AddressTaken.
    """

    def save() -> Event:
        event.status, event.draft_key = Event.Status.DRAFT, draft_key
        event.save()
        taken: list[str] = []
        for planned in sessions:
            main_title = next(filter(None, planned.titles.values()))
            taken.append(free_slug(main_title, otherwise="session", taken=taken))
            event.sessions.create(
                kind=planned.kind,
                slug=taken[-1],
                starts_at=moment_of(planned.starts, event.zone),
                ends_at=moment_of(planned.ends, event.zone),
                **{languages.column("title", code): each for code, each in planned.titles.items()},
            )
        return event

    return _saved_once(draft_key, event.slug, save)


def _saved_once(draft_key: uuid.UUID, slug: str, save: Callable[[], Event]) -> Draft:
    """Save an event in a transaction, unless its form was sent before, or at the same moment."""
    try:
        with transaction.atomic():
            return Draft(save(), created=True)
    except IntegrityError as error:
        if existing := draft_with_key(draft_key):
            return Draft(existing, created=False)
        if Event.objects.filter(slug=slug).exists():
            raise AddressTaken from error
        raise


# Copying


class MovedSession(NamedTuple):
    """A session, and when its copy takes place. `local` is what clocks in the zone show."""

    session: Session
    local: dt.datetime
    starts_at: dt.datetime
    ends_at: dt.datetime


class CopiedWeek(NamedTuple):
    """A week, its copy, and the copies of what it has, by the ids of the originals."""

    source: Event
    event: Event
    tracks: dict[int, Track]
    speakers: dict[int, Speaker]
    sessions: dict[int, Session]


_parts: list[Callable[[CopiedWeek], None]] = []


def also_copy(part: Callable[[CopiedWeek], None]) -> None:
    """Have each copied week passed to `part`, in its transaction: for AppConfig.ready."""
    if part not in _parts:
        _parts.append(part)


def moved_sessions(event: Event, first_day: dt.date) -> list[MovedSession]:
    """The sessions if the first one is on this day: as many days apart, and as long, as now."""
    days = _days_to(event, first_day)
    return [_moved_session(each, event.zone, days) for each in event.sessions.all()]


def _moved_session(session: Session, zone: zoneinfo.ZoneInfo, by: dt.timedelta) -> MovedSession:
    local, starts_at = _moved(session.starts_at, zone, by)
    ends_at = starts_at + (session.ends_at - session.starts_at)
    return MovedSession(session, local, starts_at, ends_at)


def _days_to(event: Event, first_day: dt.date) -> dt.timedelta:
    first = event.sessions.first()
    return first_day - event.day_of(first.starts_at) if first else dt.timedelta()


def _moved(
    moment: dt.datetime, zone: zoneinfo.ZoneInfo, by: dt.timedelta
) -> tuple[dt.datetime, dt.datetime]:
    """What the zone's clocks show so much later, and that as a moment. A day keeps the time."""
    local = moment.astimezone(zone).replace(tzinfo=None) + by
    return local, moment_of(local, zone)


def copy_week(
    *,
    event: Event,
    first_day: dt.date,
    names: Mapping[str, str | None],
    slug: str,
    draft_key: uuid.UUID,
) -> Draft:
    """Copy a week, so that its first session is on this day: all that organizers prepared.

    The copy is a draft without people, Zoom meetings, recordings, cancellations or revisions.
    `names` are the columns of its name. A key that was used before returns the draft it made.
    Raises AddressTaken.
    """

    def save() -> Event:
        new = copied(
            event,
            *NOT_COPIED_OF_EVENT,
            **names,
            **_registration_times(event, _days_to(event, first_day)),
            slug=slug,
            draft_key=draft_key,
        )
        new.save()
        week = CopiedWeek(event, new, *_copy_content(event, new, first_day))
        for part in _parts:
            part(week)
        return new

    return _saved_once(draft_key, slug, save)


def copied(row: Row, *left_out: str, **changes: Any) -> Row:
    """An unsaved copy of a row, in all languages. What is left out has its default."""
    fields = [field for field in row._meta.concrete_fields if not field.primary_key]
    values = {each.attname: getattr(row, each.attname) for each in fields}
    kept = {name: value for name, value in values.items() if name not in left_out}
    return type(row)(**kept | changes)


def _registration_times(event: Event, days: dt.timedelta) -> dict[str, dt.datetime | None]:
    """When registration opens and closes, moved along. Unknown if there are no sessions."""
    opens, closes = event.registration_opens_at, event.registration_closes_at
    if not event.sessions.exists():
        return {}
    new_opens = _moved(opens, event.zone, days)[1] if opens else None
    new_closes = _moved(closes, event.zone, days)[1] if closes else None
    if opens and closes and new_opens and new_closes and new_closes <= new_opens:
        # Clocks skip the time between them.
        new_closes = new_opens + (closes - opens)
    return {"registration_opens_at": new_opens, "registration_closes_at": new_closes}


def _copy_content(
    event: Event, new: Event, first_day: dt.date
) -> tuple[dict[int, Track], dict[int, Speaker], dict[int, Session]]:
    """Copy the tracks, the speakers, and the sessions with their agendas."""
    tracks = {each.pk: copied(each, event_id=new.pk) for each in event.tracks.all()}
    # The photo is the same: a stored picture is deleted only when no row shows it.
    speakers = {each.pk: copied(each, event_id=new.pk) for each in event.speakers.all()}
    for row in (*tracks.values(), *speakers.values()):
        row.save()
    sessions = {}
    for moved in moved_sessions(event, first_day):
        track = tracks.get(moved.session.track_id or 0)
        session = copied(
            moved.session,
            *NOT_COPIED_OF_SESSION,
            event_id=new.pk,
            track_id=track.pk if track else None,
            starts_at=moved.starts_at,
            ends_at=moved.ends_at,
        )
        session.save()
        session.hosts.set(
            [speakers[each.pk] for each in moved.session.hosts.filter(pk__in=speakers)]
        )
        _copy_agenda(moved.session, session, speakers)
        sessions[moved.session.pk] = session
    return tracks, speakers, sessions


def _copy_agenda(session: Session, new: Session, speakers: dict[int, Speaker]) -> None:
    for item in AgendaItem.objects.filter(session=session):
        copy = copied(item, session_id=new.pk)
        copy.save()
        copy.speakers.set([speakers[each.pk] for each in item.speakers.filter(pk__in=speakers)])


def day_moved(session: Session, day: dt.date) -> MovedSession:
    """A session on another day, at the same time."""
    zone = session.event.zone
    return _moved_session(session, zone, day - session.event.day_of(session.starts_at))


class Duplicate(NamedTuple):
    """A copy of a session. `created` is False if there was one already."""

    session: Session
    created: bool


@transaction.atomic
def duplicate_session(*, session: Session, day: dt.date) -> Duplicate:
    """Copy a session with its agenda and hosts to a day, at the same time. The copy is a draft.

    A draft with the same title and times is that copy: someone may have pressed the button twice.
    """
    # The lock lets the second press see the copy that the first one makes.
    Session.objects.select_for_update(no_key=True).get(pk=session.pk)
    moved, others = day_moved(session, day), Session.objects.filter(event=session.event_id)
    same = {"starts_at": moved.starts_at, "ends_at": moved.ends_at, "canceled_at": None}
    same |= {name: getattr(session, name) for name in languages.columns("title")}
    drafts = others.exclude(pk=session.pk).filter(status=Session.Status.DRAFT)
    if existing := drafts.filter(**same).first():
        return Duplicate(existing, created=False)
    new = copied(
        session,
        *NOT_COPIED_OF_SESSION,
        status=Session.Status.DRAFT,
        slug=free_slug(
            next(filter(None, languages.texts(session, "title")), ""),
            otherwise="session",
            taken=others.values_list("slug", flat=True),
        ),
        starts_at=moved.starts_at,
        ends_at=moved.ends_at,
    )
    new.save()
    new.hosts.set(session.hosts.all())
    _copy_agenda(session, new, {each.pk: each for each in session.event.speakers.all()})
    return Duplicate(new, created=True)


# Shifting


def shifted_sessions(event: Event, by: dt.timedelta) -> list[MovedSession]:
    """The sessions that haven't started, so much later on the clocks of the event's zone."""
    ahead = event.sessions.filter(starts_at__gt=timezone.now())
    return [_moved_session(each, event.zone, by) for each in ahead]


@transaction.atomic
def shift_sessions(
    *, event: Event, by: dt.timedelta, seen: Mapping[int, int] | None = None
) -> list[Session]:
    """Move all sessions that haven't started, on the clocks of the event's zone. Returns them.

    `seen` are their revisions that the organizer saw, by id. Raises EditedMeanwhile.
    """
    ids = sorted(each.session.pk for each in shifted_sessions(event, by))
    if seen is not None and ids != sorted(seen):
        raise schedule.EditedMeanwhile
    sessions = []
    for pk in ids:
        with schedule.edit_session(pk) as session:
            if seen is not None and session.revision != seen[pk]:
                raise schedule.EditedMeanwhile
            moved = _moved_session(session, event.zone, by)
            session.starts_at, session.ends_at = moved.starts_at, moved.ends_at
            session.save(update_fields=["starts_at", "ends_at", "updated_at"])
        sessions.append(session)
    return sessions


# Archiving


class NotOver(Exception):
    """An event with sessions ahead can't be archived."""


@transaction.atomic
def archive(*, event: Event) -> bool:
    """Put away an event that's over. Returns False if it was already. Raises NotOver."""
    if event.sessions.open_to_register(timezone.now()).exists():
        raise NotOver
    rows = Event.objects.filter(pk=event.pk, archived_at=None)
    return bool(rows.update(archived_at=timezone.now()))


def unarchive(*, event: Event) -> bool:
    """Take it out of the archive. Returns False if it wasn't there."""
    rows = Event.objects.filter(pk=event.pk, archived_at__isnull=False)
    return bool(rows.update(archived_at=None))


# Saying what clocks do


def clock_note(name: str, local: dt.datetime, zone: zoneinfo.ZoneInfo) -> str:
    """What to know about a time that clocks skip or show twice; "" for any other."""
    moment = moment_of(local, zone)
    values = {
        "session": name,
        "day": capfirst(day(local.replace(tzinfo=dt.UTC), dt.UTC)),
        "time": clock(local.replace(tzinfo=dt.UTC), dt.UTC),
        "used": clock(moment, zone),
    }
    if is_skipped(local, zone):
        text = _(
            "“%(session)s”: clocks move forward on %(day)s and skip %(time)s. We used %(used)s."
        )
        return text % values
    if is_repeated(local, zone):
        text = _(
            "“%(session)s”: clocks move back on %(day)s, so %(time)s comes twice. We used the "
            "first one."
        )
        return text % values
    return ""
