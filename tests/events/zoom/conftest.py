"""Weeks whose meetings the site creates."""

import pytest

from events.models import Event, Meeting
from tests.fake_zoom import FakeZoom


@pytest.fixture
def shared(week: Event, zoom_account: FakeZoom) -> Event:
    """A week whose meetings the site creates. None exists yet."""
    Meeting.objects.all().delete()
    week.zoom_mode = Event.ZoomMode.SHARED
    week.zoom_captions = False
    week.save()
    return week
