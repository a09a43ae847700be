"""A week's announcements, the people who get them, and someone who may only look."""

import pytest
from django.contrib.auth.models import Permission

from registrations.models import Announcement
from tests.people import sign_up
from tests.registrations.admin.announcements.pages import start


@pytest.fixture
def announce(week):
    """Create an announcement to everyone, or with other fields."""

    def announce(**fields) -> Announcement:
        defaults = {"event": week, "subject": "News", "body": "Dear {name}, **hello**."}
        return Announcement.objects.create(**defaults | fields)

    return announce


@pytest.fixture
def draft(announce) -> Announcement:
    return announce()


@pytest.fixture
def people(week):
    return [sign_up(week, name) for name in ("Alice A", "Bob B", "Charlie C", "Dora D")]


@pytest.fixture
def started(announce, people) -> Announcement:
    return start(announce())


@pytest.fixture
def viewer(client, django_user_model):
    """A client of someone who may only view announcements."""
    user = django_user_model.objects.create_user("viewer", "v@example.org", "x", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_announcement"))
    client.force_login(user)
    return client
