"""Issuing thousands of personal links: the number of Zoom calls, and how close to its rate."""

from pathlib import Path

from tests.bench.mail import people_of, variables, workers
from tests.bench.report import figure, title
from tests.fake_zoom import FakeZoom
from tests.fake_zoom.limits import PER_SECOND, Label
from tests.services.process import eventually

PEOPLE, SESSIONS, BATCH = 3000, 6, 30


def bench_zoom(week, folder: Path) -> None:
    """One worker registers everyone for every session at the fake Zoom, with Business limits."""
    from django.conf import settings

    from events import background
    from events.models import Event
    from events.zoom import sync
    from registrations.models import PersonalLink, Registration, Seat

    title(f"Personal links of {PEOPLE:,} people in {SESSIONS} sessions")
    people_of(week, PEOPLE)
    seats = PEOPLE * SESSIONS
    Seat.objects.all().delete()
    Seat.objects.bulk_create(
        Seat(registration=person, session=session)
        for session in week.sessions.all()
        for person in Registration.objects.all()
    )
    with FakeZoom() as zoom:
        credentials = {
            "ZOOM_ACCOUNT_ID": zoom.account.id,
            "ZOOM_CLIENT_ID": zoom.account.client[0],
            "ZOOM_CLIENT_SECRET": zoom.account.client[1],
            "ZOOM_API_URL": zoom.api_url,
            "ZOOM_OAUTH_URL": zoom.oauth_url,
            "ZOOM_PLAN": "business",
        }
        for name, value in credentials.items():
            setattr(settings, name, value)
        Event.objects.update(zoom_mode="personal", zoom_captions=False)
        sync.sync_meetings()
        zoom.calls.clear()
        with variables(DEBUG="true", **credentials), workers(folder, 1):
            background.wake_workers("registrations.tasks.issue_links")
            issued = PersonalLink.objects.issued()
            eventually(lambda: issued.count() == seats, f"{seats} links issued", 120, every=0.5)
        calls = list(zoom.calls)
    Event.objects.update(zoom_mode="pasted")
    report(calls, seats)


def report(calls: list, seats: int) -> None:
    times = [call.received_at for call in calls if call.name == "add_registrants"]
    seconds = times[-1] - times[0]
    fewest = seats // BATCH
    possible = (fewest - 1) / PER_SECOND[Label.HEAVY]["business"]
    limited = sum(call.status == 429 for call in calls)
    figure("calls", f"{len(calls):,}")
    figure("ratio to the fewest possible", f"{len(calls) / fewest:.3f}", "wanted: at most 1.05")
    figure("of which over the rate limit (429)", f"{limited}")
    figure("time", f"{seconds:.1f} s, the rate allows {possible:.1f} s")
    figure("ratio to what the rate allows", f"{seconds / possible:.2f}", "wanted: at most 1.30")
