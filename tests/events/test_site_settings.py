"""What the owner enters on the page “Set up”: stored encrypted, after the server's environment."""

import datetime as dt

import pytest
import time_machine
from django.core.cache import cache
from django.utils import timezone

from events import site_settings
from events.models import SiteSettings
from events.site_settings import EmailServer, ZoomCredentials

pytestmark = pytest.mark.django_db

SERVER = EmailServer("smtp.example.org", 587, "tls", "week", "pa55word")
ZOOM = ZoomCredentials("account", "client", "z00m-secret")


@pytest.fixture(autouse=True)
def _production(settings):
    """Without a server, a sender or Zoom in the environment."""
    settings.EMAIL_URL = settings.EMAIL_BACKEND = settings.DEFAULT_FROM_EMAIL = ""


def test_stored_values_are_read_again():
    assert site_settings.stored_email_server() is None
    assert site_settings.zoom_credentials() is None
    assert not site_settings.unreadable()
    site_settings.save_email_server(server=SERVER)
    site_settings.save_zoom_credentials(credentials=ZOOM)
    assert site_settings.stored_email_server() == SERVER
    assert site_settings.zoom_credentials() == ZOOM
    assert not site_settings.unreadable()


def test_secrets_are_stored_encrypted_and_never_printed():
    site_settings.save_email_server(server=SERVER)
    site_settings.save_zoom_credentials(credentials=ZOOM)
    (row,) = SiteSettings.objects.values()
    for text in (str(row), repr(SERVER), repr(ZOOM), str(cache.get(site_settings.CACHE_KEY))):
        assert "pa55word" not in text
        assert "z00m-secret" not in text
    assert "smtp.example.org" not in str(row)


def test_same_values_are_encrypted_differently_each_time():
    site_settings.save_email_server(server=SERVER)
    first = SiteSettings.objects.get().email_server
    site_settings.save_email_server(server=SERVER)
    assert SiteSettings.objects.get().email_server != first


def test_another_secret_key_means_that_nothing_is_set(settings):
    key = settings.SECRET_KEY
    site_settings.save_email_server(server=SERVER)
    site_settings.save_zoom_credentials(credentials=ZOOM)
    settings.SECRET_KEY = "x" * 50
    assert site_settings.stored_email_server() is None
    assert site_settings.zoom_credentials() is None
    assert not site_settings.has_email_server()
    assert site_settings.unreadable()
    settings.SECRET_KEY_FALLBACKS = [key]
    assert site_settings.stored_email_server() == SERVER
    assert not site_settings.unreadable()


@pytest.mark.parametrize("stored", ["x", "gAAAAA==", "ñ", '{"host": "a"}'])
def test_damaged_values_count_as_not_set(stored):
    SiteSettings.objects.create(pk=1, zoom_credentials=stored)
    assert site_settings.zoom_credentials() is None
    assert site_settings.unreadable()


def test_values_of_another_version_count_as_not_set():
    """Both are encrypted with the same key, but have other fields."""
    site_settings.save_zoom_credentials(credentials=ZOOM)
    row = SiteSettings.objects.get()
    SiteSettings.objects.update(email_server=row.zoom_credentials)
    site_settings.load(fresh=True)
    assert site_settings.stored_email_server() is None


def test_environment_wins(settings):
    site_settings.save_email_server(server=SERVER)
    site_settings.save_sender(sender='"Stored" <stored@example.org>')
    site_settings.save_zoom_credentials(credentials=ZOOM)
    settings.EMAIL_URL = "smtp://elsewhere.example.org"
    settings.DEFAULT_FROM_EMAIL = "Us <us@example.org>"
    settings.ZOOM_CLIENT_ID = "theirs"
    assert site_settings.stored_email_server() is None
    assert site_settings.sender_address() == "us@example.org"
    assert site_settings.zoom_credentials() == ZoomCredentials("", "theirs", "")
    assert not site_settings.zoom_credentials().is_complete


def test_sender_is_the_stored_one_or_that_of_a_trial(settings):
    assert site_settings.sender() == ""
    settings.DEBUG = True
    assert site_settings.sender_address() == "week@localhost"
    site_settings.save_sender(sender='"Our Week" <week@example.org>')
    assert site_settings.sender() == '"Our Week" <week@example.org>'


def test_emails_can_be_sent_with_a_server_and_a_sender(settings):
    assert not site_settings.can_send()
    site_settings.save_sender(sender="week@example.org")
    assert not site_settings.can_send()
    site_settings.save_email_server(server=SERVER)
    assert site_settings.can_send()
    SiteSettings.objects.update(sender="")
    site_settings.load(fresh=True)
    assert not site_settings.can_send()
    settings.DEFAULT_FROM_EMAIL = "week@example.org"
    assert site_settings.can_send()


def test_change_in_another_process_counts_after_a_minute_or_at_once_if_it_must_be_fresh():
    site_settings.save_sender(sender="old@example.org")
    with time_machine.travel(timezone.now(), tick=False) as clock:
        assert site_settings.sender() == "old@example.org"
        SiteSettings.objects.update(sender="new@example.org")
        assert site_settings.sender() == "old@example.org"
        clock.shift(dt.timedelta(seconds=61))
        assert site_settings.sender() == "new@example.org"
        SiteSettings.objects.update(sender="newest@example.org")
        site_settings.load(fresh=True)
        assert site_settings.sender() == "newest@example.org"


def test_new_server_and_new_credentials_have_not_answered_yet():
    site_settings.save_email_server(server=SERVER)
    site_settings.record_email_answer()
    site_settings.record_zoom_answer(is_complete=True)
    row = site_settings.load()
    assert None not in (row.email_answered_at, row.zoom_answered_at)
    site_settings.save_email_server(server=SERVER)
    site_settings.save_zoom_credentials(credentials=ZOOM)
    row = site_settings.load()
    assert (row.email_answered_at, row.zoom_answered_at) == (None, None)


def test_each_process_reads_the_row_once_a_minute(django_assert_num_queries):
    with django_assert_num_queries(1):
        for _number in range(5):
            site_settings.zoom_credentials()
            site_settings.stored_email_server()
