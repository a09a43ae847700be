"""Someone whose personal data is in every table that can contain it."""

import datetime as dt
import json
from typing import Any

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import Max
from django.test import Client
from django.utils import timezone

from events.models import Event, Meeting, ZoomReport
from registrations.models import Answer, Attendance, Question, Registration
from tests.people import sign_up

NAME, EMAIL = "Dulcinea Quixote", "dulcinea@windmill.example"
# What must not be found anywhere after erasing.
TRACES = ("quixote", "dulcinea", "windmill", "left-handed", "by the door", "registrant-7")


def person_everywhere(week: Event, name: str = NAME, email: str = EMAIL) -> Registration:
    """A person with data in every table that can contain it."""
    person = sign_up(
        week,
        name,
        email=email,
        organization="Windmill Union",
        us_state="CA",
        strategies=week.tracks.all()[:2],
        needs=["asl"],
        needs_other="a chair by the door",
        wants_doors_email=True,
    )
    seat = person.seats.first()
    seat.access_needs.update_or_create(kind="other", defaults={"text": "a chair by the door"})
    question, _new = Question.objects.get_or_create(event=week, text="Which hand?")
    Answer.objects.create(registration=person, question=question, value="left-handed")
    person.mails.create(
        key=f"day/{person.pk}",
        kind="day",
        session=seat.session,
        state="failed",
        last_error=f"550 {email} is unknown",
        provider_id=f"{email}/1",
    )
    about = {"instance_uuid": f"u{person.pk}", "session": seat.session, "joined_at": timezone.now()}
    person_at_zoom = {"name": name, "email": email, "registrant_id": "registrant-7"}
    Attendance.objects.create(**about, participant_id="1", seat=seat, **person_at_zoom)
    Attendance.objects.create(**about, participant_id="2", name=name.upper())
    Attendance.objects.create(**about, participant_id="3", email=email.upper())
    Meeting.objects.filter(session=seat.session).update(zoom_id=81234567890)
    ZoomReport.objects.create(
        key=str(person.pk),
        kind="meeting.participant_joined",
        zoom_id=81234567890,
        payload={"object": {"participant": {"user_id": 1, "user_name": name, "email": email}}},
        done_at=timezone.now(),
    )
    return person


def logged(admin: User, thing: Any) -> None:
    change = [{"changed": {"fields": ["Name"], "name": "seat", "object": str(thing)}}]
    LogEntry.objects.log_actions(admin.pk, [thing], CHANGE, json.dumps(change))


def traces(*words: str) -> list[str]:
    """The tables in which one of these words occurs, in any column."""
    found = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')  # noqa: S608
            rows = " ".join(str(cell) for row in cursor.fetchall() for cell in row).casefold()
            found += [f"{word} in {table}" for word in words if word in rows]
    return found


def downloaded(person: Registration) -> dict[str, Any]:
    return Client().get(f"/me/{person.token}/data.json").json()


def erase_page(person: Registration) -> str:
    return f"/me/{person.token}/erase/"


def end_of(event: Event) -> dt.datetime:
    return event.sessions.aggregate(at=Max("ends_at"))["at"]


def erased() -> set[str]:
    return set(Registration.objects.exclude(erased_at=None).values_list("event__slug", flat=True))
