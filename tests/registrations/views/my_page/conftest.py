"""Alice, who comes to every session, and a question about lunch."""

import pytest

from registrations.models import Question, Registration
from tests.people import sign_up


@pytest.fixture
def alice(week) -> Registration:
    return sign_up(week)


@pytest.fixture
def lunch(week) -> Question:
    return week.questions.create(text="Lunch?", kind="choices", choices="Meat\nVegan\nSoup")
