"""An organizer with a password."""

import pytest
from django.contrib.auth.models import User


@pytest.fixture
def organizer(db) -> User:
    return User.objects.create_superuser("organizer", "o@example.org", "correct horse")
