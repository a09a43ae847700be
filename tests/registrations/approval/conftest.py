"""A week that requires approval, and people who were approved, declined or neither."""

import pytest

from events.models import Event
from registrations import signup
from registrations.models import Registration
from tests.people import sign_up


@pytest.fixture
def week(week) -> Event:
    """The Strategy Week, which requires approval."""
    week.requires_approval = True
    week.save()
    return week


@pytest.fixture
def someone(week):
    """Register someone with this approval."""

    def someone(approval: str, name: str = "Alice Adams", **details) -> Registration:
        person = sign_up(week, name, **details)
        if approval != "pending":
            signup.approve(registrations=[person])
        if approval == "declined":
            signup.decline(registrations=[person])
        person.refresh_from_db()
        return person

    return someone
