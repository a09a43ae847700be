"""The week as readiness sees it, and someone who may only look."""

import pytest
from django.contrib.auth.models import Permission

from events.models import Event, Meeting, Session
from tests.registrations.readiness.people import ZOOM_ID


@pytest.fixture
def second(week) -> Session:
    return week.sessions.all()[1]


@pytest.fixture
def personal(week, settings) -> Event:
    """The week with personal links and meetings at Zoom, on a site with credentials."""
    settings.ZOOM_ACCOUNT_ID = settings.ZOOM_CLIENT_ID = settings.ZOOM_CLIENT_SECRET = "x"
    week.zoom_mode = Event.ZoomMode.PERSONAL
    week.save()
    for number, session in enumerate(week.sessions.all()):
        Meeting.objects.filter(session=session).update(state="made", zoom_id=ZOOM_ID + number)
    return week


@pytest.fixture
def viewer(client, django_user_model):
    """A user who may only look at registrations."""
    user = django_user_model.objects.create_user("viewer", "v@example.org", "x", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_registration"))
    client.force_login(user)
    return client
