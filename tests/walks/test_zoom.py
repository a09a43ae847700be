"""From a Zoom account to the attendance of a session, with every server running."""

import datetime as dt
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery import current_app
from django.test import Client
from django.urls import reverse
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from events import schedule
from events.models import Event, Meeting, ZoomAccount
from registrations.models import OutgoingMail, PersonalLink, Registration, Seat
from tests.conftest import Start
from tests.fake_zoom import FakeZoom
from tests.people import coming_week, filled_form, sign_up
from tests.services.mail import SmtpSink
from tests.services.process import eventually

# Zoom registers 30 people in a call.
PEOPLE, BY_FORM = 70, 10
BEAT = [
    "events.tasks.sync_meetings",
    "registrations.tasks.issue_links",
    "registrations.tasks.apply_zoom_reports",
    "registrations.tasks.queue_due_mails",
    "registrations.tasks.deliver_mails",
]


@pytest.fixture
def account(live_server: LiveServer, settings: Settings) -> Iterator[FakeZoom]:
    """An account at a fake Zoom, with webhooks to the test's server."""
    settings.ZOOM_WEBHOOK_SECRET = "webhook-secret"
    with FakeZoom(webhook_url=f"{live_server.url}/webhooks/zoom/") as zoom:
        yield zoom


@pytest.fixture
def running(account: FakeZoom, worker: Start, settings: Settings) -> None:
    """A worker with the account's credentials."""
    variables: dict[str, Any] = {
        "ZOOM_ACCOUNT_ID": account.account.id,
        "ZOOM_CLIENT_ID": account.account.client[0],
        "ZOOM_CLIENT_SECRET": account.account.client[1],
        "ZOOM_API_URL": account.api_url,
        "ZOOM_OAUTH_URL": account.oauth_url,
        "ZOOM_PLAN": "business",
    }
    for name, value in variables.items():
        setattr(settings, name, value)
    worker("--concurrency=2", DEBUG="true", ZOOM_TIMEOUT="1", **variables)


def until(condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
    """Run beat's tasks, only more often, until the condition is true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds:g} s: {what}"
        ZoomAccount.objects.update(resumes_at=dt.datetime.now(dt.UTC))
        for task in BEAT:
            current_app.send_task(task, expires=5)
        time.sleep(0.5)


@pytest.mark.long
@pytest.mark.parametrize(
    "rate", [0, pytest.param(0.2, marks=pytest.mark.once)], ids=["well", "failing"]
)
def test_walk_from_credentials_to_attendance(running, account, smtp_sink, admin_client, rate):
    if rate:
        account.fail_at_random(rate, seed=4, hang_seconds=0.1)
    event = coming_week()
    Meeting.objects.all().delete()
    Event.objects.update(zoom_mode="personal", settle_minutes=0, thank_after_hours=None)
    check_meetings(event, account)
    register_people(event)
    check_emailed_links(event, account, smtp_sink)
    move_a_session(event, account, smtp_sink)
    account.heal()
    attend(event, account)
    check_readiness_page(event, admin_client)


def check_meetings(event: Event, account: FakeZoom) -> None:
    until(lambda: Meeting.objects.at_zoom().count() == 6, "six meetings created")
    assert len(account.meetings) == 6
    for meeting in Meeting.objects.select_related("session"):
        assert account.meetings[meeting.zoom_id].start_time == meeting.session.starts_at


def register_people(event: Event) -> None:
    event.refresh_from_db()
    client = Client()
    for number in range(BY_FORM):
        form = filled_form(event, name=f"Alice{number} Adams", email=f"alice{number}@example.org")
        assert client.post(f"/{event.slug}/register/", form).status_code == 302
    for number in range(BY_FORM, PEOPLE):
        sign_up(event, f"Alice{number} Adams")
    assert Registration.objects.count() == PEOPLE


def check_emailed_links(event: Event, account: FakeZoom, sink: SmtpSink) -> None:
    sent = OutgoingMail.objects.filter(kind="links", state="sent")
    until(lambda: sent.count() == PEOPLE, "links emailed to everyone", 100)
    issued = PersonalLink.objects.issued()
    until(lambda: issued.count() == 6 * PEOPLE, "links issued to everyone", 100)
    for meeting in account.meetings.values():
        assert len(meeting.registrants) == PEOPLE
    with_zoom_links = 0
    for person in Registration.objects.all():
        (mail,) = [each for each in sink.to(person.email) if "Your Zoom links" in each["Subject"]]
        text = mail.get_body(("plain",)).get_content()
        assert len(set(re.findall(rf"/join/{person.token}/([\w-]+)/", text))) == 6
        own_links = {link.join_url for link in issued.filter(seat__registration=person)}
        found = set(re.findall(r"http://localhost:\d+/w/\S+", text))
        # Only links issued in time are in the email, and never another person's.
        assert found <= own_links
        with_zoom_links += found == own_links
    assert with_zoom_links > 0
    if not account.faults.rate:
        assert with_zoom_links == PEOPLE


def move_a_session(event: Event, account: FakeZoom, sink: SmtpSink) -> None:
    session = event.sessions.order_by("-starts_at").first()
    later = session.starts_at + dt.timedelta(minutes=30)
    with schedule.edit_session(session.pk) as edited:
        edited.starts_at = later
        edited.save()
    meeting = account.meetings[session.meeting.zoom_id]
    changed = OutgoingMail.objects.filter(kind="changed", state="sent")
    until(lambda: meeting.start_time == later, "the meeting moved at Zoom")
    until(lambda: changed.count() == PEOPLE, "one notice to everyone", 100)
    assert len(account.meetings) == 6
    (notice,) = [
        each for each in sink.to("alice7@example.org") if each["Subject"].startswith("Changed: ")
    ]
    (entry,) = [part for part in notice.walk() if part.get_content_type() == "text/calendar"][:1]
    assert f"UID:{session.uid}" in entry.get_content()


def attend(event: Event, account: FakeZoom) -> None:
    meeting = Meeting.objects.filter(session__event=event).order_by("session__starts_at").first()
    starts_at = meeting.session.starts_at
    account.account.clock = lambda: starts_at
    account.start(meeting.zoom_id)
    for link in meeting.personal_links.order_by("pk")[:3]:
        account.join(link.join_url)
    account.join(meeting.zoom_id, name="A stranger")
    account.end(meeting.zoom_id)
    account.account.clock = account.clock
    assert [each.status for each in account.sent if each.status >= 400] == []
    attended = Seat.objects.filter(attended=True)
    until(lambda: attended.count() == 3, "three people attended")


def check_readiness_page(event: Event, admin_client: Client) -> None:
    board = admin_client.get(reverse("admin:registrations_registration_readiness", args=[event.pk]))
    assert board.status_code == 200
    eventually(lambda: Meeting.objects.filter(ended_at__isnull=False).exists(), "it has ended")
    text = " ".join(re.sub(r"<[^>]+>", " ", board.content.decode()).split())
    assert "Alice0 Adams" in text
