import pytest


@pytest.fixture
def _production(settings):
    """A fresh site without a server, a sender or Zoom in its environment."""
    settings.EMAIL_URL = settings.EMAIL_BACKEND = settings.DEFAULT_FROM_EMAIL = ""
    settings.EMAIL_TIMEOUT = 1
