"""What emails put into someone's calendar, an email takes out when they leave."""

import datetime as dt

import pytest
import time_machine
from django.utils import timezone
from icalendar import Calendar

from events.models import Session
from registrations import seats, signup
from registrations.mail import writer
from registrations.models import OutgoingMail, Registration, Seat
from registrations.outbox import delivery
from tests.people import sign_up

pytestmark = pytest.mark.django_db


@pytest.fixture
def opening(week) -> Session:
    return week.sessions.get(slug="opening")


@pytest.fixture
def alice(week) -> Registration:
    return sign_up(week)


def deliver(smtp) -> list:
    """Send what is due. Returns the messages that take something out of a calendar."""
    before = len(smtp.messages)
    delivery.deliver_due(writer.writer_for)
    sent = [received.message for received in smtp.messages[before:]]
    return [each for each in sent if each["Subject"].startswith("You're no longer signed up")]


def calendar_of(message) -> Calendar:
    (attachment,) = message.iter_attachments()
    return Calendar.from_ical(attachment.get_content())


def leave(person: Registration, *sessions: Session) -> None:
    offered = list(person.event.sessions.all())
    own = [seat.session for seat in person.seats.select_related("session")]
    kept = [session for session in own if session not in sessions]
    signup.change(registration=person, offered=offered, sessions=kept)


def test_leaving_a_session_takes_it_out_of_the_calendar(week, opening, alice, smtp):
    deliver(smtp)
    with time_machine.travel(opening.updated_at + dt.timedelta(minutes=1), tick=False):
        leave(alice, opening)
        (message,) = deliver(smtp)
    assert message["Subject"].startswith(f"You're no longer signed up: {opening.brief_title} on ")
    calendar = calendar_of(message)
    (entry,) = calendar.events
    assert calendar["METHOD"] == "CANCEL"
    assert entry["UID"] == f"{opening.uid}@strategyweek"
    assert entry["SEQUENCE"] == opening.revision
    assert entry["ATTENDEE"] == "mailto:alice@example.org"
    # The session itself still takes place.
    assert "STATUS" not in entry
    assert opening.updated_at < entry.DTSTAMP
    assert "/join/" not in message.as_string()


def test_entry_that_was_never_sent_is_not_canceled(week, opening, alice, smtp):
    leave(alice, opening)
    assert deliver(smtp) == []
    assert not OutgoingMail.objects.filter(kind="left").exists()


def test_session_joined_after_the_last_email_is_not_canceled(week, opening, smtp):
    alice = sign_up(week, sessions=list(week.sessions.exclude(pk=opening.pk)))
    deliver(smtp)
    offered = list(week.sessions.all())
    # When an email was sent is known to within the time that claiming it took.
    with time_machine.travel(timezone.now() + dt.timedelta(minutes=1)):
        signup.change(registration=alice, offered=offered, sessions=offered)
        leave(alice, opening)
        assert deliver(smtp) == []


def test_someone_who_is_back_in_time_keeps_the_entry(week, opening, alice, smtp):
    deliver(smtp)
    leave(alice, opening)
    offered = list(week.sessions.all())
    signup.change(registration=alice, offered=offered, sessions=offered)
    assert deliver(smtp) == []
    assert OutgoingMail.objects.get(kind="left").state == "dropped"


def test_canceling_takes_all_sessions_to_come_out_of_the_calendar(week, opening, alice, smtp):
    deliver(smtp)
    with time_machine.travel(opening.ends_at + dt.timedelta(minutes=1)):
        signup.cancel(registration=alice)
        messages = deliver(smtp)
        uids = {calendar_of(message).events[0]["UID"] for message in messages}
    others = week.sessions.exclude(pk=opening.pk)
    assert uids == {f"{session.uid}@strategyweek" for session in others}


def test_restored_registration_keeps_its_entries(week, alice, smtp):
    deliver(smtp)
    signup.cancel(registration=alice)
    signup.restore(registration=alice)
    assert deliver(smtp) == []


def test_organizer_taking_someone_out_takes_out_the_entry_too(week, opening, alice, smtp):
    deliver(smtp)
    seats.release(seats=list(alice.seats.filter(session=opening)))
    assert len(deliver(smtp)) == 1


def test_declined_people_get_no_email(week, opening, alice, smtp):
    deliver(smtp)
    leave(alice, opening)
    signup.decline(registrations=[alice])
    assert deliver(smtp) == []


def test_new_mailbox_gets_no_cancellation_of_what_the_old_one_got(week, opening, alice, smtp):
    deliver(smtp)
    signup.correct_email(registration=alice, email="alice@example.net")
    leave(Registration.objects.get(), opening)
    assert deliver(smtp) == []


def test_waitlist_entry_is_in_both_the_email_and_the_feed(week, opening, client, smtp):
    Session.objects.filter(pk=opening.pk).update(capacity=0)
    alice = sign_up(week, sessions=[Session.objects.get(pk=opening.pk)])
    assert alice.seats.get().state == Seat.State.WAITING
    deliver(smtp)
    (sent,) = calendar_of(smtp.messages[0].message).events
    (fetched,) = Calendar.from_ical(client.get(f"/calendar/{alice.token}.ics").content).events
    for name in ("UID", "SEQUENCE", "DTSTAMP", "SUMMARY", "STATUS", "URL", "DESCRIPTION"):
        assert sent[name] == fetched[name]
    assert sent["STATUS"] == "TENTATIVE"
    leave(alice, opening)
    (message,) = deliver(smtp)
    assert calendar_of(message).events[0]["UID"] == sent["UID"]
