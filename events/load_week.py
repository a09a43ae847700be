"""Loads the Drop LWOP Coalition's Strategy Week."""

import datetime as dt
import zoneinfo
from collections.abc import Sequence
from typing import NamedTuple

from django.db import transaction
from django.db.models import Max, Q

from events.drop_lwop_2021 import (
    HOST,
    INTRODUCTION,
    NAME,
    SESSIONS,
    SPEAKERS,
    SUMMARY,
    TIME_ZONE,
    TRACKS,
    PlannedSession,
)
from events.models import AgendaItem, Event, Meeting, Session, Speaker, Track

SLUG_PREFIX = "drop-lwop-"
ZONE = zoneinfo.ZoneInfo(TIME_ZONE)
SATURDAY = 5
MIN_NOTICE = dt.timedelta(days=14)


class LoadedWeek(NamedTuple):
    """The week's event. `created` is False if it existed, and was left unchanged."""

    event: Event
    created: bool


@transaction.atomic
def load_strategy_week(
    *, starting: dt.date, sessions: Sequence[PlannedSession] = SESSIONS
) -> LoadedWeek:
    """Create and publish the week that starts on this Saturday, unless it exists.

    An existing week is never changed. Raises ValueError if `starting` is not a Saturday.
    """
    if starting.weekday() != SATURDAY:
        raise ValueError(f"A Strategy Week starts on a Saturday, and {starting} is not one.")
    event = _find_week(starting)
    if event:
        return LoadedWeek(event, created=False)
    # get_or_create, because two servers may start at the same time.
    event, created = Event.objects.get_or_create(
        slug=f"{SLUG_PREFIX}{starting}",
        defaults={
            "name": NAME,
            "status": Event.Status.PUBLISHED,
            "host": HOST,
            "summary": SUMMARY,
            "introduction": INTRODUCTION,
            "time_zone": TIME_ZONE,
        },
    )
    if created:
        _create_content(event, starting, sessions)
    return LoadedWeek(event, created)


def default_start(now: dt.datetime) -> dt.date:
    """The first Saturday at least two weeks ahead, in the coalition's time zone."""
    earliest = now.astimezone(ZONE).date() + MIN_NOTICE
    return earliest + dt.timedelta(days=(SATURDAY - earliest.weekday()) % 7)


def unfinished_week(now: dt.datetime) -> Event | None:
    """The coalition's week that is not over, draft or published.

    This includes a week without sessions, because organizers may be about to add them.
    """
    return (
        Event.objects.filter(Q(slug__startswith=SLUG_PREFIX) | Q(host=HOST))
        .annotate(last_ends_at=Max("sessions__ends_at"))
        .filter(Q(last_ends_at=None) | Q(last_ends_at__gt=now))
        .first()
    )


def _find_week(day: dt.date) -> Event | None:
    """The coalition's week that starts on this day, even if organizers changed its address."""
    return Event.objects.filter(
        host=HOST,
        sessions__kind=Session.Kind.KICKOFF,
        sessions__starts_at__gte=_in_utc(day, dt.time.min),
        sessions__starts_at__lt=_in_utc(day + dt.timedelta(days=1), dt.time.min),
    ).first()


def _in_utc(day: dt.date, time: dt.time) -> dt.datetime:
    return dt.datetime.combine(day, time, tzinfo=ZONE).astimezone(dt.UTC)


def _create_content(event: Event, starting: dt.date, sessions: Sequence[PlannedSession]) -> None:
    tracks = {
        name: Track.objects.create(
            event=event, name=name, description=description, position=position
        )
        for position, (name, description) in enumerate(TRACKS.items(), start=1)
    }
    speakers = {
        name: Speaker.objects.create(event=event, name=name, affiliation=affiliation)
        for name, affiliation in SPEAKERS.items()
    }
    for planned in sessions:
        day = starting + dt.timedelta(days=planned.day)
        session = Session.objects.create(
            event=event,
            track=tracks[planned.track] if planned.track else None,
            kind=planned.kind,
            title=planned.title,
            slug=planned.slug,
            summary=planned.summary,
            starts_at=_in_utc(day, planned.starts),
            ends_at=_in_utc(day, planned.ends),
        )
        Meeting.objects.create(session=session)
        _create_agenda(session, planned, speakers)


def _create_agenda(session: Session, planned: PlannedSession, speakers: dict[str, Speaker]) -> None:
    items = AgendaItem.objects.bulk_create(
        AgendaItem(
            session=session,
            position=10 * position,
            minutes=item.minutes,
            title=item.title,
            description=item.description,
        )
        for position, item in enumerate(planned.agenda, start=1)
    )
    through = AgendaItem.speakers.through
    through.objects.bulk_create(
        through(agendaitem=item, speaker=speakers[name])
        for item, plan in zip(items, planned.agenda, strict=True)
        for name in plan.speakers
    )
