"""Loads the Drop LWOP Coalition's Strategy Week."""

import datetime as dt
import tomllib
import zoneinfo
from pathlib import Path
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import Max, Q
from django.utils import timezone

from events import languages, site_settings
from events.models import AgendaItem, Event, Meeting, Session

WEEK = tomllib.loads(Path(__file__).with_name("drop_lwop_2021.toml").read_text("utf-8"))
HOST = WEEK["event"]["host"]
ZONE = zoneinfo.ZoneInfo(WEEK["event"]["time_zone"])
SLUG_PREFIX = "drop-lwop-"
SATURDAY = 5
MIN_NOTICE = dt.timedelta(days=14)
# Of the event, in any language.
FIXED = ("host", "time_zone", "poster", "has_captions")


class LoadedWeek(NamedTuple):
    """The week's event. `created` is False if it existed, and was left unchanged."""

    event: Event
    created: bool


@transaction.atomic
def load_strategy_week(*, starting: dt.date, week: dict[str, Any] = WEEK) -> LoadedWeek:
    """Create and publish the week that starts on this Saturday, unless it exists.

    It's a draft while the site has no sender, whose address is its first contact. An existing week
    is never changed. `week` is the content, as in drop_lwop_2021.toml. Raises ValueError if
    `starting` is not a Saturday.
    """
    if starting.weekday() != SATURDAY:
        raise ValueError(f"A Strategy Week starts on a Saturday, and {starting} is not one.")
    # By its kickoff: organizers may have changed its address.
    kickoffs = Session.objects.filter(kind=Session.Kind.KICKOFF, event__host=HOST)
    with timezone.override(ZONE):
        event = Event.objects.filter(sessions__in=kickoffs.filter(starts_at__date=starting)).first()
    if event:
        return LoadedWeek(event, created=False)
    # Until organizers enter another one. A published week needs a contact.
    contact = site_settings.sender_address()
    # get_or_create, because two servers may start at the same time.
    event, created = Event.objects.get_or_create(
        slug=f"{SLUG_PREFIX}{starting}",
        defaults={
            **_texts(week["event"], "name", "summary", "introduction", "recording_note"),
            **{
                name: week["event"][name]
                for name in ("host", "time_zone", "poster", "has_captions")
            },
            "contact_email": contact,
            "status": Event.Status.PUBLISHED if contact else Event.Status.DRAFT,
        },
    )
    if created:
        _create_content(event, starting, week)
    return LoadedWeek(event, created)


def default_start(now: dt.datetime) -> dt.date:
    """The first Saturday at least two weeks ahead, in the coalition's time zone."""
    earliest = now.astimezone(ZONE).date() + MIN_NOTICE
    return earliest + dt.timedelta(days=(SATURDAY - earliest.weekday()) % 7)


def unfinished_week(now: dt.datetime) -> Event | None:
    """The coalition's week that is not over, draft or published.

    This includes a week without sessions, because organizers may be about to add them.
    """
    weeks = Event.objects.filter(Q(slug__startswith=SLUG_PREFIX) | Q(host=HOST))
    weeks = weeks.alias(last_ends_at=Max("sessions__ends_at"))
    return weeks.filter(Q(last_ends_at=None) | Q(last_ends_at__gt=now)).first()


def _create_content(event: Event, starting: dt.date, week: dict[str, Any]) -> None:
    tracks = {
        planned["name"]: event.tracks.create(
            position=position, **_texts(planned, "name", "description")
        )
        for position, planned in enumerate(week["tracks"], start=1)
    }
    speakers = {
        name: event.speakers.create(
            **_texts({"name": name, **planned}, "name", "affiliation", "about")
        )
        for name, planned in week["speakers"].items()
    }
    for planned in week["sessions"]:
        day = starting + dt.timedelta(days=planned["day"])
        session = event.sessions.create(
            track=tracks[planned["track"]] if "track" in planned else None,
            kind=planned["kind"],
            slug=planned["slug"],
            starts_at=dt.datetime.combine(day, planned["starts"], ZONE),
            ends_at=dt.datetime.combine(day, planned["ends"], ZONE),
            shows_outline=planned["shows_outline"],
            **_texts(planned, "title", "short_title", "summary"),
        )
        session.hosts.add(*(speakers[name] for name in planned["hosts"]))
        Meeting.objects.create(session=session)
        agenda = AgendaItem.objects.bulk_create(
            AgendaItem(
                session=session,
                position=position,
                minutes=item["minutes"],
                **_texts(item, "title", "description"),
            )
            for position, item in enumerate(planned["agenda"], start=1)
        )
        for item, planned_item in zip(agenda, planned["agenda"], strict=True):
            item.speakers.add(*(speakers[name] for name in planned_item.get("speakers", [])))


def _texts(planned: dict[str, Any], *names: str) -> dict[str, Any]:
    """The columns of these fields. Without a suffix, a text is in English."""
    texts = {**planned, **{f"{name}_en": planned.get(name) for name in names}}
    return {column: texts.get(column) for column in languages.columns(*names)}
