import pytest

from events.models import Event
from registrations.models import Registration
from tests.registrations.privacy.people import person_everywhere


@pytest.fixture
def dulcinea(week: Event) -> Registration:
    return person_everywhere(week)
