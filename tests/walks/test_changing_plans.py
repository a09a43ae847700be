"""Plans change: what organizers do then, by clicking, counted: `pytest -s` prints it."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from celery import current_app
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Page
from pytest_django.live_server_helper import LiveServer

from events.models import Event, Session
from registrations import tasks
from registrations.models import OutgoingMail, Registration
from tests.conftest import Start
from tests.people import sign_up
from tests.services.mail import SmtpSink
from tests.walks.counted import Organizer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(120), pytest.mark.once]

PHONE: dict[str, Any] = {
    "viewport": {"width": 320, "height": 640},
    "has_touch": True,
    "is_mobile": True,
    "java_script_enabled": False,
}
HOUR = dt.timedelta(hours=1)
SignIn = Callable[..., Organizer]


@pytest.fixture
def sign_in(new_page: Callable[..., Page], live_server: LiveServer) -> SignIn:
    """Someone who may do everything, in a browser of their own; takes what `new_page` takes."""

    def signed_in(name: str = "dora", **options: Any) -> Organizer:
        user = User.objects.create_superuser(name, f"{name}@example.org", "correct horse")
        client, page = Client(), new_page(**options)
        client.force_login(user)
        session = client.cookies["sessionid"].value
        page.context.add_cookies([{"name": "sessionid", "value": session, "url": live_server.url}])
        return Organizer(page)

    return signed_in


@pytest.fixture
def two(week: Event) -> list[Registration]:
    """Alice, and Beto, who reads Spanish. They have their links."""
    people = [sign_up(week), sign_up(week, "Beto Núñez", language="es")]
    an_hour_ago = timezone.now() - HOUR
    OutgoingMail.objects.update(state="sent", sent_at=an_hour_ago, claimed_at=an_hour_ago)
    return people


def edits_have_settled() -> None:
    Session.objects.exclude(revised_at=None).update(revised_at=timezone.now() - HOUR)


def now_of(session: Session) -> Session:
    return Session.objects.get(pk=session.pk)


def test_moved_session_is_held_and_undone_on_a_phone(
    sign_in: SignIn, week: Event, opening: Session, two: list[Registration]
) -> None:
    dora = sign_in(**PHONE)
    dora.open("/admin/")
    dora.follow("Sessions")
    dora.follow(opening.title)
    dora.enter("starts_at_1", "10:00 AM")
    dora.press("Save")
    # Asked whether it ends later, too. That is the proposal.
    dora.reads("Nothing is saved yet")
    dora.press("Save")
    dora.reads("2 people get an email about this at")
    moved = now_of(opening)
    assert (moved.starts_at, moved.ends_at) == (opening.starts_at + HOUR, opening.ends_at + HOUR)

    dora.follow("See it, hold it or undo the change")
    dora.reads("What changed since people were last told", "9:00 AM")
    dora.press("Hold")
    dora.reads("The emails about this to 2 people are on hold until you release them.")
    edits_have_settled()
    tasks.queue_due_mails()

    dora.open("/admin/")
    dora.reads("1 session was changed, and people will be emailed about it.")
    dora.follow("Check, hold or undo")
    dora.press("Undo the change")
    dora.reads("The title, time, summary, address and status are what people were last told.")
    dora.reads("No one gets an email about this.")
    undone = now_of(opening)
    assert (undone.starts_at, undone.ends_at) == (opening.starts_at, opening.ends_at)
    edits_have_settled()
    tasks.queue_due_mails()
    assert not OutgoingMail.objects.filter(kind="changed").exists()
    dora.report("Move a session, hold the emails, undo it")
    assert dora.clicks <= 8
    assert dora.inputs == 1


def test_two_organizers_edit_one_session_at_the_same_time(
    sign_in: SignIn, opening: Session
) -> None:
    dora, eli = sign_in(), sign_in("eli")
    for organizer in (dora, eli):
        organizer.open(f"/admin/events/session/{opening.pk}/change/")
    dora.enter("capacity", "40")
    dora.press("Save")
    dora.reads("was changed successfully")
    eli.enter("title_en", "How we end LWOP")
    eli.press("Save and continue editing")
    eli.reads("We kept their changes, too: Spots.")
    assert (now_of(opening).capacity, now_of(opening).title) == (40, "How we end LWOP")

    dora.open(f"/admin/events/session/{opening.pk}/change/")
    dora.enter("title_en", "How LWOP ends")
    dora.press("Save")
    dora.reads("was changed successfully")
    eli.enter("title_en", "Ending LWOP")
    eli.press("Save")
    eli.reads("Someone else changed this while you were editing.", "You wrote", "Ending LWOP")
    eli.reads("They saved", "How LWOP ends")
    assert now_of(opening).title == "How LWOP ends"
    eli.check("Use theirs")
    eli.press("Save")
    eli.reads("was changed successfully")
    assert (now_of(opening).capacity, now_of(opening).title) == (40, "How LWOP ends")
    dora.report("Edit a session twice")
    eli.report("Edit it at the same time, see both versions, choose")
    assert eli.clicks <= 4


def test_session_is_canceled_with_a_reason_that_people_read(
    sign_in: SignIn, opening: Session, two: list[Registration], smtp_sink: SmtpSink, worker: Start
) -> None:
    worker(wait=False)
    dora = sign_in(**PHONE)
    dora.open("/admin/")
    dora.follow("Sessions")
    dora.follow(opening.title)
    dora.follow("Cancel this session…")
    dora.reads("2 people", "What happens")
    dora.enter("cancel_reason_en", "Our speaker is ill.")
    dora.enter("cancel_reason_es", "La ponente está enferma.")
    dora.press("Yes, cancel this session")
    dora.reads("is canceled. Its pages, join links and calendars are updated.")
    dora.reads("2 people get an email about this at")
    dora.report("Cancel a session, and say why in two languages")
    assert (dora.clicks, dora.inputs) == (4, 2)

    edits_have_settled()
    current_app.send_task("registrations.tasks.queue_due_mails")
    smtp_sink.wait_for(2)
    reasons = {"alice": "Our speaker is ill.", "beto": "La ponente está enferma."}
    for name, reason in reasons.items():
        (email,) = smtp_sink.to(f"{name}@example.org")
        assert reason in email.get_body(("plain",)).get_content()
        (entry, *_same) = [
            part for part in email.walk() if part.get_content_type() == "text/calendar"
        ]
        calendar = entry.get_content().replace("\r\n ", "")
        assert "METHOD:CANCEL" in calendar
        assert f"UID:{opening.uid}" in calendar
        assert reason in calendar
    dora.open(opening.get_absolute_url())
    dora.reads("Our speaker is ill.")


def next_clock_change() -> dt.date:
    """The Sunday of a coming March on which US clocks move forward, at least a month ahead."""
    sundays = (
        day
        for year in (timezone.now().year, timezone.now().year + 1)
        for day in (dt.date(year, 3, number) for number in range(8, 15))
        if day.weekday() == 6
    )
    return next(day for day in sundays if day > timezone.localdate() + dt.timedelta(days=30))


def test_week_is_copied_onto_a_clock_change(
    sign_in: SignIn, week: Event, two: list[Registration]
) -> None:
    sunday = next_clock_change()
    dora = sign_in(**PHONE)
    dora.open("/admin/")
    dora.follow("Events", within="tbody")
    dora.follow(str(week))
    dora.follow("Copy this week")
    dora.enter("name_en", "Spring Strategy Week")
    dora.enter("first_day", f"{sunday - dt.timedelta(days=1)}")
    dora.press("Create the draft")
    # The dates are shown first.
    assert Event.objects.count() == 1
    dora.reads("You chose another first day.", "Sessions keep their clock times")
    dora.press("Create the draft")
    dora.reads("Spring Strategy Week")
    dora.report("Copy a week")
    assert dora.clicks <= 5
    assert dora.inputs <= 2

    copy = Event.objects.get(slug="spring-strategy-week")
    assert (copy.status, copy.registrations.count()) == ("draft", 0)
    old, new = list(week.sessions.all()), list(copy.sessions.all())
    ahead = (
        new[0].starts_at.astimezone(week.zone).date()
        - old[0].starts_at.astimezone(week.zone).date()
    )
    for before, after in zip(old, new, strict=True):
        for name in ("starts_at", "ends_at"):
            then, now = (getattr(each, name).astimezone(week.zone) for each in (before, after))
            assert now.replace(tzinfo=None) == then.replace(tzinfo=None) + ahead
    offsets = {each.starts_at.astimezone(week.zone).utcoffset() for each in new}
    assert len(offsets) == 2
