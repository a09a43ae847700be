"""Test data: the Strategy Week, and people who register for it."""

import datetime as dt
import re
from typing import Any

from django.db import transaction
from django.db.models import Model
from django.utils import timezone

from events.load_week import load_strategy_week
from events.models import AgendaItem, Event, Meeting, Session, Speaker, Track
from registrations import signup
from registrations.models import Registration

DIAL_IN = "+1 669 900 6833 (San Jose)\n+1 646 558 8656 (New York)"
MODELS: list[type[Model]] = [Event, Track, Speaker, Session, Meeting, AgendaItem]
MODELS += [AgendaItem.speakers.through, Session.hosts.through]
_rows_by_date: dict[dt.date, list[list[Model]]] = {}


def a_saturday_ahead() -> dt.date:
    ahead = timezone.localdate() + dt.timedelta(days=21)
    return ahead + dt.timedelta(days=(5 - ahead.weekday()) % 7)


def coming_week() -> Event:
    """The Strategy Week, a few weeks ahead, with a pasted Zoom link in every session."""
    return with_links(load_strategy_week(starting=a_saturday_ahead()).event)


def coming_week_from_memory() -> Event:
    """The same, inserted in bulk once a test has created it the normal way."""
    if Event.objects.exists():
        return coming_week()
    saturday = a_saturday_ahead()
    if saturday not in _rows_by_date:
        coming_week()
        _rows_by_date[saturday] = [list(model._default_manager.all()) for model in MODELS]
    else:
        for model, rows in zip(MODELS, _rows_by_date[saturday], strict=True):
            model._default_manager.bulk_create(_as_of_now(rows))
    return Event.objects.get()


def _as_of_now(rows: list[Model]) -> list[Model]:
    fields = [field for field in rows[0]._meta.concrete_fields if field.default is timezone.now]
    for row in rows:
        for field in fields:
            setattr(row, field.attname, timezone.now())
    return rows


def in_english(**texts: Any) -> dict[str, Any]:
    """The columns of these texts: `Event.objects.update(**in_english(name="A week"))`."""
    return {f"{name}_en": text for name, text in texts.items()}


def in_spanish(**texts: Any) -> dict[str, Any]:
    return {f"{name}_es": text for name, text in texts.items()}


def published_event(**fields: Any) -> Event:
    """An event without sessions."""
    about = {"host": "Us", "contact_email": "us@example.org", "status": "published"}
    return Event.objects.create(**about | fields)


def with_links(event: Event) -> Event:
    for number, session in enumerate(event.sessions.all(), start=1):
        Meeting.objects.update_or_create(
            session=session,
            defaults={
                "join_url": f"https://zoom.example/j/{number}?pwd=secret{number}",
                "meeting_id": f"812 3456 789{number}",
                "passcode": f"code-{number}",
                "dial_in": DIAL_IN,
            },
        )
    return event


# In both languages, without a word of ours.
OWN_WORDS = {
    "name_of_kickoff_en": "Welcome day",
    "name_of_kickoff_es": "Bienvenida",
    "name_of_strategy_en": "Evening talk",
    "name_of_strategy_es": "Charla",
    "name_of_closing_en": "Assembly",
    "name_of_closing_es": "Asamblea",
    "word_for_track_en": "Working group",
    "word_for_track_es": "Grupo de trabajo",
    "word_for_tracks_en": "Working groups",
    "word_for_tracks_es": "Grupos de trabajo",
}


def with_own_words(event: Event, **words: str | None) -> Event:
    """The event with these words, by default all of OWN_WORDS."""
    Event.objects.filter(pk=event.pk).update(**words or OWN_WORDS)
    event.refresh_from_db()
    return event


def sign_up(
    event: Event, name: str = "Alice Adams", *, with_schedule: bool = False, **details: Any
) -> Registration:
    """Register someone for every session, as the form would.

    Without `with_schedule` they only get their links: most tests are about one email per person.
    """
    details.setdefault("email", f"{name.split()[0].lower()}@example.org")
    details.setdefault("time_zone", "America/New_York")
    details.setdefault("sessions", list(event.sessions.all()))
    with transaction.atomic():
        (person,) = signup.register(event=event, name=name, **details)
        if not with_schedule:
            person.mails.filter(kind="schedule").delete()
    return person


def without_token(answer: Any) -> str:
    """A page without its forms' CSRF token, which is another one each time."""
    return re.sub('name="csrfmiddlewaretoken" value="[^"]*"', "", answer.content.decode())


def filled_form(event: Event, **changes: Any) -> dict[str, Any]:
    """What a browser posts when someone fills in the register page."""
    return {
        "name": "Alice Adams",
        "email": "alice@example.org",
        "time_zone": "America/New_York",
        "sessions": [session.pk for session in event.sessions.all()],
        **changes,
    }
