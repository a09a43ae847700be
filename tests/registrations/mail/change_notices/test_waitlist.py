"""Change notices to people on a waitlist."""

import html

import pytest
from icalendar import Calendar

from events.models import AgendaItem, Session
from events.schedule import cancel_session, edit_session, restore_session
from registrations import seats
from registrations.mail import writer
from registrations.models import MailText, OutgoingMail, Registration
from tests.people import sign_up
from tests.registrations.mail.change_notices.edits import (
    calendar_parts,
    move,
    send_all,
    texts,
    written,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def bob(week, opening) -> Registration:
    """Bob, on the waiting list of the opening session, where Alice has the only seat."""
    Session.objects.filter(pk=opening.pk).update(capacity=1)
    sign_up(week, sessions=[week.sessions.get(pk=opening.pk)])
    return sign_up(week, "Bob B", sessions=[week.sessions.get(pk=opening.pk)])


def test_waitlisted_people_are_notified_once_it_settled(bob, opening, settled):
    move(opening, hours=1)
    assert settled(9) == []
    notified = [("changed", "Alice Adams"), ("changed", "Bob B")]
    assert sorted(settled(1)) == notified
    assert sorted(settled(60)) == notified


def test_waitlisted_people_read_about_the_waiting_list_and_get_no_link(bob, opening, settled):
    with edit_session(opening.pk) as current:
        current.title = "The kickoff"
        current.meeting.passcode = "new-code"
        current.meeting.save()
        current.save()
    settled()
    message = written("changed", "Bob B")
    assert message["Subject"].startswith("Changed: Opening session on ")
    for body in texts(message):
        assert opening.title in body
        assert "The kickoff" in body
        assert "You're still waiting for a spot." in html.unescape(body)
        assert f"/me/{bob.token}/" in body
        secrets = ("/join/", "code-1", "new-code", "Your personal link", "signed up for")
        assert [secret for secret in secrets if secret in body] == []
    assert "/join/" in texts(written("changed", "Alice Adams"))[0]


def test_waitlisted_people_get_the_same_tentative_entry_as_in_their_feed(
    client, bob, opening, settled
):
    move(opening, hours=1)
    settled()
    inline, _attached = calendar_parts(written("changed", "Bob B"))
    notice = Calendar.from_ical(inline.get_content())
    assert (inline.get_param("method"), str(notice["METHOD"])) == ("REQUEST", "REQUEST")
    (entry,) = notice.events
    (fed,) = Calendar.from_ical(client.get(f"/calendar/{bob.token}.ics").content).events
    attendee = entry.pop("ATTENDEE")
    assert (str(attendee), attendee.params["PARTSTAT"]) == ("mailto:bob@example.org", "TENTATIVE")
    assert (entry["STATUS"], entry["SEQUENCE"], entry.subcomponents) == ("TENTATIVE", 1, [])
    assert entry.to_ical() == fed.to_ical()


def test_waitlisted_people_read_that_the_waiting_list_is_over(client, bob, opening, settled):
    cancel_session(session=opening)
    assert sorted(settled()) == [("canceled", "Alice Adams"), ("canceled", "Bob B")]
    message = written("canceled", "Bob B")
    for body in texts(message):
        assert "a session you were on the waitlist for has been canceled" in body
        assert "signed up for" not in body
        assert "/join/" not in body
    inline, _attached = calendar_parts(message)
    notice = Calendar.from_ical(inline.get_content())
    assert (inline.get_param("method"), str(notice["METHOD"])) == ("CANCEL", "CANCEL")
    (fed,) = Calendar.from_ical(client.get(f"/calendar/{bob.token}.ics").content).events
    del notice.events[0]["ATTENDEE"]
    assert notice.events[0].to_ical() == fed.to_ical()


def test_waitlisted_people_are_notified_when_it_is_restored(bob, opening, settled):
    cancel_session(session=opening)
    settled()
    send_all()
    restore_session(session=opening)
    settled()
    assert "You're on its waitlist again" in texts(written("changed", "Bob B"))[0]
    assert "Your personal link stays" in texts(written("changed", "Alice Adams"))[0]


def test_waitlisted_people_are_not_notified_of_joining_details_or_agenda(bob, opening, settled):
    with edit_session(opening.pk) as current:
        current.meeting.passcode = "new-code"
        current.meeting.save()
    assert settled() == [("changed", "Alice Adams")]
    with edit_session(opening.pk):
        AgendaItem.objects.create(session=opening, title="A new item")
    assert settled() == [("changed", "Alice Adams"), ("schedule_update", "Alice Adams")]


def test_organizers_texts_are_only_for_people_with_a_seat(week, bob, opening, settled):
    MailText.objects.create(event=week, kind="changed", opening="Your link is below.")
    move(opening, hours=1)
    settled()
    assert "Your link is below." in texts(written("changed", "Alice Adams"))[0]
    assert "Your link is below." not in texts(written("changed", "Bob B"))[0]


def test_waiting_notice_is_rendered_for_the_seat_its_reader_has_when_it_is_sent(
    bob, opening, settled
):
    move(opening, hours=1)
    settled()
    seats.promote(seat=bob.seats.get())
    assert "/join/" in texts(written("changed", "Bob B"))[0]
    bob.seats.get().delete()
    settled(11)
    mail = OutgoingMail.objects.get(kind="changed", registration=bob)
    assert writer.writer_for([mail])(mail) is None
