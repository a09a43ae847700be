"""The organizers' desk with a few people and with a hundred thousand."""

import datetime as dt
import statistics
from functools import partial
from itertools import islice

from tests.bench.readiness import seconds
from tests.bench.report import figure, title

FEW, MANY = 1_000, 100_000
BATCH = 5_000
ROUNDS = 5


def bench_desk(week) -> None:
    from django.contrib.auth import get_user_model
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext
    from django.urls import reverse

    from registrations.models import Registration

    title(f"The organizers' desk: {FEW:,} people, and {MANY:,}")
    client = Client(headers={"host": "localhost"})
    organizer = get_user_model().objects.create_superuser("desk", "desk@example.org", "x")
    client.force_login(organizer)
    get_page = partial(client.get, reverse("admin:index"))
    Registration.objects.all().delete()
    taken = {}
    for people in (FEW, MANY):
        add_people(week, people)
        # Autovacuum would do this within a minute.
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")
        assert get_page().status_code == 200
        taken[people] = statistics.median(seconds(get_page) for _round in range(ROUNDS))
        with CaptureQueriesContext(connection) as queries:
            get_page()
        figure(f"with {people:,} people", f"{taken[people] * 1000:,.0f} ms")
        figure("queries", f"{len(queries)}")
    figure(f"{MANY:,} to {FEW:,}", f"{taken[MANY] / taken[FEW]:.1f}")


def add_people(week, number: int) -> None:
    """So many people, in all sessions, each with the email that has their links."""
    from django.utils import timezone

    from registrations.models import OutgoingMail, Registration, Seat

    sessions = list(week.sessions.all())
    present = week.registrations.count()
    now = timezone.now()
    people = (
        Registration(
            event=week,
            name=f"Alice{each} Adams",
            email=f"alice{each}@example.org",
            email_key=f"alice{each}@example.org",
            time_zone="America/New_York",
            us_state=("NY", "CA", "TX", "")[each % 4],
            organization=f"Group {each % 50}",
            language=("en", "es")[each % 10 == 0],
            created_at=now - dt.timedelta(minutes=each % 40_000),
        )
        for each in range(present, number)
    )
    while batch := list(islice(people, BATCH)):
        Registration.objects.bulk_create(batch)
        Seat.objects.bulk_create(
            Seat(registration=person, session=session) for person in batch for session in sessions
        )
        OutgoingMail.objects.bulk_create(
            OutgoingMail(
                key=f"links/{person.pk}",
                kind="links",
                registration=person,
                state="sent",
                sent_at=person.created_at,
            )
            for person in batch
        )
