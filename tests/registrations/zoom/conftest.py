import datetime as dt
from collections.abc import Iterator

import pytest
import time_machine
from django.utils import timezone

from events.models import Event, Meeting, Session
from events.zoom import sync
from registrations.models import Registration
from tests.fake_zoom import FakeZoom
from tests.people import published_event, sign_up

ZOOM_ID = 81234567890
# In Los Angeles.
NINE = dt.datetime(2021, 10, 16, 16, tzinfo=dt.UTC)
UUID = "4444AAAiAAAAAiAiAiiAii=="


@pytest.fixture
def personal(week: Event, zoom_account: FakeZoom) -> Event:
    """The week with two sessions whose meetings exist at Zoom and need personal links."""
    late = week.sessions.order_by("-starts_at")[:4]
    Session.objects.filter(pk__in=[session.pk for session in late]).delete()
    week.zoom_mode, week.zoom_captions = Event.ZoomMode.PERSONAL, False
    week.save()
    sync.sync_meetings()
    return week


@pytest.fixture
def before_opening() -> Iterator[None]:
    """Three days before nine o'clock on the day of the opening session, which starts then."""
    with time_machine.travel(NINE - dt.timedelta(days=3)):
        yield


@pytest.fixture
def event(db) -> Event:
    """A small week with two sessions; the first one's meeting exists at Zoom."""
    event = published_event(name="Small week", slug="small")
    for number, title in enumerate(["Opening session", "Resentencing"]):
        starts_at = timezone.now() + dt.timedelta(days=3 + number)
        event.sessions.create(
            title=title,
            slug=title.split()[0].lower(),
            starts_at=starts_at,
            ends_at=starts_at + dt.timedelta(hours=4),
        )
    Meeting.objects.create(
        session=event.sessions.get(slug="opening"), zoom_id=ZOOM_ID, state="made"
    )
    return event


@pytest.fixture
def opening(event) -> Session:
    return event.sessions.get(slug="opening")


@pytest.fixture
def alice(event) -> Registration:
    return sign_up(event)


@pytest.fixture
def bob(event) -> Registration:
    return sign_up(event, "Bob Brown")
