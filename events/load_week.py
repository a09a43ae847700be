"""Loads the Drop LWOP Coalition's Strategy Week, once for each Saturday it may start on."""

import datetime as dt
import zoneinfo
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
NOTICE = dt.timedelta(days=14)


class LoadedWeek(NamedTuple):
    """The week's event; `created` is False when it was there already and was left as it is."""

    event: Event
    created: bool


@transaction.atomic
def load_strategy_week(*, starting: dt.date) -> LoadedWeek:
    """Create the published week that starts on this Saturday, unless it is there already.

    What organizers have made of an existing week is theirs: nothing of it is touched.
    Raises ValueError when `starting` is not a Saturday.
    """
    if starting.weekday() != SATURDAY:
        raise ValueError(f"A Strategy Week starts on a Saturday, and {starting} is not one.")
    event = _week_kicking_off_on(starting)
    if event:
        return LoadedWeek(event, created=False)
    # Not a plain create: two servers may start, and load, at the same moment.
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
        _fill(event, starting)
    return LoadedWeek(event, created)


def default_start(now: dt.datetime) -> dt.date:
    """The first Saturday that leaves two weeks' notice, by the coalition's calendar."""
    earliest = now.astimezone(ZONE).date() + NOTICE
    return earliest + dt.timedelta(days=(SATURDAY - earliest.weekday()) % 7)


def unfinished_week(now: dt.datetime) -> Event | None:
    """The coalition's week that is still to come or under way, draft or published.

    A week without any session counts: its organizers have emptied it, and may fill it again.
    """
    return (
        Event.objects.filter(Q(slug__startswith=SLUG_PREFIX) | Q(host=HOST))
        .annotate(all_end_at=Max("sessions__ends_at"))
        .filter(Q(all_end_at=None) | Q(all_end_at__gt=now))
        .first()
    )


def _week_kicking_off_on(day: dt.date) -> Event | None:
    """The coalition's week of that day, even if an organizer gave it another address."""
    return Event.objects.filter(
        host=HOST,
        sessions__kind=Session.Kind.KICKOFF,
        sessions__starts_at__gte=_in_utc(day, dt.time.min),
        sessions__starts_at__lt=_in_utc(day + dt.timedelta(days=1), dt.time.min),
    ).first()


def _in_utc(day: dt.date, time: dt.time) -> dt.datetime:
    return dt.datetime.combine(day, time, tzinfo=ZONE).astimezone(dt.UTC)


def _fill(event: Event, starting: dt.date) -> None:
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
    for planned in SESSIONS:
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
        _fill_agenda(session, planned, speakers)


def _fill_agenda(session: Session, planned: PlannedSession, speakers: dict[str, Speaker]) -> None:
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
    leads = AgendaItem.speakers.through
    leads.objects.bulk_create(
        leads(agendaitem=item, speaker=speakers[name])
        for item, plan in zip(items, planned.agenda, strict=True)
        for name in plan.speakers
    )
