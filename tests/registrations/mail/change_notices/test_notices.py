"""What change notices say, and the calendar entries with them."""

import datetime as dt

import pytest
from icalendar import Calendar

from events.schedule import cancel_session, edit_session, restore_session
from registrations.models import MailText
from tests.people import sign_up
from tests.registrations.mail.change_notices.edits import (
    calendar_parts,
    move,
    send_all,
    texts,
    written,
)

pytestmark = pytest.mark.django_db


def test_notice_shows_what_was_and_what_is_now(week, opening, settled):
    sign_up(week, time_zone="America/New_York")
    title = opening.title
    with edit_session(opening.pk) as current:
        current.title = "The kickoff"
        current.starts_at += dt.timedelta(hours=1)
        current.save()
    settled()
    message = written("changed")
    assert message["Subject"].startswith("Changed: Opening session on Saturday, ")
    assert " at 1:00 PM E" in message["Subject"]
    for body in texts(message):
        assert title in body
        assert "The kickoff" in body
        assert "12:00 PM to 4:00 PM E" in body
        assert "1:00 PM to 4:00 PM E" in body
        assert "/join/" in body


def test_notice_updates_the_calendar_entry(week, opening, settled):
    alice = sign_up(week)
    move(opening, hours=1)
    move(opening, hours=1)
    settled()
    inline, attached = calendar_parts(written("changed"))
    assert inline.get_param("method") == "REQUEST"
    assert attached.get_content_disposition() == "attachment"
    calendar = Calendar.from_ical(inline.get_content())
    (entry,) = calendar.events
    assert str(calendar["METHOD"]) == "REQUEST"
    assert str(entry["UID"]) == f"{opening.uid}@strategyweek"
    assert entry["SEQUENCE"] == 2
    assert str(entry["ATTENDEE"]) == "mailto:alice@example.org"
    assert str(entry["ORGANIZER"]) == "mailto:week@example.org"
    assert entry.start == opening.starts_at + dt.timedelta(hours=2)
    assert f"/join/{alice.token}/opening/" in str(entry["URL"])


def test_canceled_session_is_removed_from_calendars(week, opening, settled):
    alice = sign_up(week)
    cancel_session(session=opening)
    assert settled() == [("canceled", "Alice Adams")]
    message = written("canceled")
    inline, _attached = calendar_parts(message)
    calendar = Calendar.from_ical(inline.get_content())
    assert (inline.get_param("method"), str(calendar["METHOD"])) == ("CANCEL", "CANCEL")
    assert str(calendar.events[0]["STATUS"]) == "CANCELLED"
    assert calendar.events[0]["SEQUENCE"] == 1
    for body in texts(message):
        assert opening.title in body
        assert f"/join/{alice.token}/opening/" not in body


def test_restored_session_is_announced(week, opening, settled):
    sign_up(week)
    cancel_session(session=opening)
    settled()
    send_all()
    restore_session(session=opening)
    assert settled() == [("canceled", "Alice Adams"), ("changed", "Alice Adams")]
    assert "a session that was canceled is back on" in texts(written("changed"))[0]


def test_restored_session_is_announced_with_the_default_text(week, opening, settled):
    own = {"subject": "New time for {session}", "opening": "See you then."}
    MailText.objects.create(event=week, kind="changed", **own)
    sign_up(week)
    cancel_session(session=opening)
    settled()
    send_all()
    restore_session(session=opening)
    settled()
    message = written("changed")
    assert message["Subject"].startswith(f"Back on: {opening.brief_title} on Saturday, ")
    assert "See you then." not in texts(message)[0]
