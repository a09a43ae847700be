"""The readiness board of a large week: how long the page and the fix take."""

import datetime as dt
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from tests.bench.report import figure, title

PEOPLE = 3000
REMINDERS = ("day", "hour")
# The people, of each hundred, whose email was not simply sent.
OUTCOMES = {0: "bounced", 1: "failed", 2: "waiting", 3: "complained", 4: None}
ROUNDS = 5


def bench_readiness(week) -> None:
    from django.contrib.auth import get_user_model
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext
    from django.urls import reverse

    from registrations import readiness
    from registrations.models import OutgoingMail

    crowd(week)
    title(f"The readiness board: {PEOPLE:,} people in {week.sessions.count()} sessions")
    client = Client(headers={"host": "localhost"})
    organizer = get_user_model().objects.create_superuser("board", "board@example.org", "x")
    client.force_login(organizer)
    board = reverse("admin:registrations_registration_readiness", args=[week.pk])
    first = week.sessions.first().pk

    for label, query in (
        ("everyone in all sessions", ""),
        ("one session", f"?session={first}"),
        ("no working link", "?state=no-link"),
        ("mail came back, of one session", f"?session={first}&state=unreached"),
        ("a name", "?q=alice29"),
    ):
        get_page = partial(client.get, board + query)
        assert get_page().status_code == 200
        taken = statistics.median(seconds(get_page) for _round in range(ROUNDS))
        with CaptureQueriesContext(connection) as queries:
            get_page()
        figure(label, f"{taken * 1000:,.0f} ms", "wanted: under 400")
        figure("queries", f"{len(queries)}")
    with CaptureQueriesContext(connection) as queries:
        taken = seconds(partial(readiness.fix, event=week))
    figure("fix all", f"{taken:.2f} s", "wanted: under 2")
    figure("queries", f"{len(queries)}")
    OutgoingMail.objects.all().delete()
    taken = seconds(partial(readiness.fix, event=week))
    figure(f"fix all, when {PEOPLE:,} people lack their mail", f"{taken:.2f} s", "wanted: under 2")


def seconds(work: Callable[[], Any]) -> float:
    started = time.monotonic()
    work()
    return time.monotonic() - started


def crowd(week) -> None:
    """People with personal links, each in all sessions, and the emails they would have received."""
    from django.db import connection
    from django.utils import timezone

    from events.models import Event, Meeting
    from registrations.models import OutgoingMail, PersonalLink, Registration, Seat

    Event.objects.filter(pk=week.pk).update(zoom_mode=Event.ZoomMode.PERSONAL)
    week.refresh_from_db()
    sessions = list(week.sessions.all())
    for number, session in enumerate(sessions, start=1):
        Meeting.objects.filter(session=session).update(
            state="made", zoom_id=90_000_000_000 + number
        )
    Registration.objects.all().delete()
    people = Registration.objects.bulk_create(
        Registration(
            event=week,
            name=f"Alice{number} Adams",
            email=f"alice{number}@example.org",
            email_key=f"alice{number}@example.org",
            time_zone="America/New_York",
        )
        for number in range(PEOPLE)
    )
    seats = Seat.objects.bulk_create(
        Seat(registration=person, session=session) for person in people for session in sessions
    )
    meetings = {session.pk: session.meeting for session in week.sessions.select_related("meeting")}
    now = timezone.now()
    links = []
    for number, seat in enumerate(seats):
        meeting = meetings[seat.session_id]
        # One in fifty is rejected.
        state = {"state": "refused", "problem": "No."} if number % 50 == 0 else {"state": "issued"}
        url = "" if number % 50 == 0 else "https://zoom.example/w/1"
        links.append(
            PersonalLink(
                seat=seat,
                meeting=meeting,
                zoom_id=meeting.zoom_id,
                email=seat.registration.email,
                join_url=url,
                issued_at=now if url else None,
                **state,
            )
        )
    PersonalLink.objects.bulk_create(links)
    OutgoingMail.objects.bulk_create(mails_of(people, sessions, now))
    # Autovacuum would do this within a minute.
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def mails_of(people, sessions, now: dt.datetime) -> list[Any]:
    """The links emails, and reminders of half the sessions."""
    from registrations.models import OutgoingMail

    mails = []
    for number, person in enumerate(people):
        state = OUTCOMES.get(number % 100, "sent")
        kinds = [("links", None)]
        kinds += [(kind, session) for session in sessions[::2] for kind in REMINDERS]
        for kind, session in kinds if state else []:
            mails.append(
                OutgoingMail(
                    key=f"{kind}/{person.pk}/{session and session.pk}",
                    kind=kind,
                    session=session,
                    registration=person,
                    state=state,
                    last_error="" if state == "sent" else "550 No such user",
                    sent_at=None if state in {"failed", "waiting"} else now,
                )
            )
    return mails
