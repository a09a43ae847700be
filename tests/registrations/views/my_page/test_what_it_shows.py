"""What a person's own page shows."""

import datetime as dt
import re
from html import unescape

import pytest
import time_machine
from django.core.mail import EmailMultiAlternatives

from events.models import Event, Meeting, Session
from events.schedule import cancel_session
from registrations import signup
from registrations.mail import writer
from registrations.models import Registration
from tests.people import sign_up
from tests.registrations.views.my_page.pages import (
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    own,
    row_at,
    week_session,
    words,
)

pytestmark = [pytest.mark.django_db, pytest.mark.once]


def test_each_session_shows_its_phase(client, alice, opening):
    phases = {
        -3 * DAY: ("In 3 days", True),
        -2 * HOUR - MINUTE: ("In 2 hours", True),
        -15 * MINUTE: ("Open now", True),
        dt.timedelta(): ("Now", True),
        4 * HOUR: ("Over", False),
    }
    shown = {}
    for after_start in phases:
        row = row_at(client, alice, opening.starts_at + after_start, opening).replace("\xa0", " ")
        (phase,) = [text for text, _can_join in phases.values() if text in row]
        shown[after_start] = phase, "Join" in row
    assert shown == phases


def test_phone_links_dial_meeting_id_and_passcode(client, alice, opening):
    Meeting.objects.update(passcode="123456")
    for page in (own(alice), own(alice, "schedule/"), f"/join/{alice.token}/opening/"):
        answer = client.get(page)
        link = '<a href="tel:+16699006833,,81234567891%23,,,,*123456%23">'
        assert f"{link}+1 669 900 6833 (San Jose)</a>" in answer.content.decode()
        assert "On the phone, press *6 to unmute, *9 to raise your hand." in words(answer)
        assert "all numbers" not in words(answer)


def test_passcode_with_letters_is_not_dialed_and_the_page_says_so(client, alice, opening):
    Meeting.objects.update(passcode="aB3")
    answer = client.get(own(alice))
    assert 'href="tel:+16699006833,,81234567891%23">' in answer.content.decode()
    assert "The passcode has letters, which a phone can't dial. Ask us" in words(answer)
    Meeting.objects.update(phone_passcode="4711")
    answer = client.get(own(alice))
    assert 'href="tel:+16699006833,,81234567891%23,,,,*4711%23">' in answer.content.decode()
    assert "Passcode for phones 4711" in words(answer)
    assert "all numbers" not in words(answer)


def test_many_numbers_are_folded_behind_those_of_ones_country(client, alice, opening):
    american = [f"+1 669 900 683{digit}" for digit in range(3, 7)]
    Meeting.objects.update(dial_in="\n".join(["+52 554 169 6926 Mexico", *american]))
    row = row_at(client, alice, opening.starts_at - DAY, opening)
    before, folded, after = row.partition("More numbers")
    assert folded
    assert "Mexico" not in before
    assert before.count("+1 669 900") == 3
    assert after.count("+1 669 900") == 1
    assert "Mexico" in after


def test_canceled_session_is_marked_and_has_no_join_button(client, alice, opening):
    cancel_session(session=opening)
    row = row_at(client, alice, opening.starts_at, opening)
    assert "Canceled" in row
    assert "Join" not in row


@pytest.mark.parametrize(
    ("started", "ended", "at", "shown"),
    [
        # A host began before the hour, and goes on behind it.
        (-10 * MINUTE, None, -5 * MINUTE, "Now"),
        (dt.timedelta(), None, 4 * HOUR + 20 * MINUTE, "Now"),
        # So long after the end nobody meets any more, whatever Zoom forgot to report.
        (dt.timedelta(), None, 5 * HOUR, "Over"),
        (dt.timedelta(), 4 * HOUR + 10 * MINUTE, 4 * HOUR + 20 * MINUTE, "Over"),
        # It broke off: the hosts may begin again.
        (dt.timedelta(), 90 * MINUTE, 2 * HOUR, "Open now"),
        # A rehearsal the day before says nothing.
        (-DAY, -DAY + HOUR, HOUR, "Now"),
        (-DAY, None, -5 * MINUTE, "Open now"),
    ],
)
def test_zoom_reports_override_the_clock(client, alice, opening, started, ended, at, shown):
    moments = {"started_at": opening.starts_at + started}
    moments["ended_at"] = None if ended is None else opening.starts_at + ended
    Meeting.objects.filter(session=opening).update(**moments)
    row = row_at(client, alice, opening.starts_at + at, opening)
    assert [word for word in ("Open now", "Now", "Over") if word in row] == [shown]


def test_meeting_that_ended_early_is_explained(client, alice, opening):
    moments = {"started_at": opening.starts_at, "ended_at": opening.starts_at + HOUR}
    Meeting.objects.filter(session=opening).update(**moments)
    with time_machine.travel(opening.starts_at + 2 * HOUR):
        assert "Zoom says the meeting has ended" in words(client.get(own(alice)))


@pytest.fixture
def third_in_line(week, opening) -> Registration:
    """Dora, behind Bob and Charlie, for the one spot that Alice has."""
    Session.objects.filter(pk=opening.pk).update(capacity=1)
    week = Event.objects.get()
    for name in ("Alice A", "Bob B", "Charlie C"):
        sign_up(week, name, sessions=[week.sessions.get(slug="opening")])
    return sign_up(week, "Dora D")


def test_waitlist_shows_the_position_and_no_links(client, third_in_line, opening):
    row = row_at(client, third_in_line, opening.starts_at - DAY, opening)
    assert "You're number 3 in line. We'll email you if a spot opens." in row
    assert [word for word in ("Join", "Passcode", "By phone", "Detailed") if word in row] == []
    second = week_session(opening, 1)
    assert "Join" in row_at(client, third_in_line, opening.starts_at - DAY, second)


def test_waitlist_position_moves_up(client, third_in_line, opening):
    signup.cancel(registration=Registration.objects.get(name="Alice A"))
    row = row_at(client, third_in_line, opening.starts_at - DAY, opening)
    assert "You're number 2 in line." in row


@pytest.mark.parametrize(("late_spots", "is_closed"), [("keep", True), ("promote", False)])
def test_waitlist_says_when_it_is_too_late_to_be_promoted(
    client, third_in_line, opening, late_spots, is_closed
):
    Event.objects.update(late_spots=late_spots)
    for before, is_shown in ((61 * MINUTE, False), (59 * MINUTE, is_closed)):
        row = row_at(client, third_in_line, opening.starts_at - before, opening)
        assert ("it's too close to the start to offer more spots" in row) is is_shown


def test_waitlisted_session_is_not_next_and_has_no_recording(client, third_in_line, opening):
    Session.objects.filter(pk=opening.pk).update(recording_url="https://example.org/r")
    with time_machine.travel(opening.starts_at):
        answer = client.get(own(third_in_line))
    assert answer.context["next"].session == week_session(opening, 1)
    row = row_at(client, third_in_line, opening.ends_at, opening)
    assert "This session stayed full." in row
    assert "recording" not in row


def test_waitlisted_session_is_not_in_the_downloaded_calendar(client, third_in_line):
    calendar = client.get(own(third_in_line, "calendar.ics"))
    assert calendar.content.count(b"BEGIN:VEVENT") == 5


def test_my_page_says_when_to_refresh(client, alice, opening):
    """At the next moment at which something changes, and at least every ten minutes."""
    last = week_session(opening, 5).ends_at
    moments = {
        opening.starts_at - DAY: 600,
        opening.doors_open_at - 90 * SECOND: 90,
        opening.doors_open_at - SECOND / 2: 1,
        opening.doors_open_at: 600,
        opening.starts_at - 70 * SECOND: 70,
        opening.ends_at - 5 * SECOND: 5,
        opening.ends_at + HOUR - 4 * SECOND: 4,
        last + HOUR - 3 * SECOND: 3,
        last + HOUR: None,
    }
    refreshes = {}
    for moment in moments:
        with time_machine.travel(moment, tick=False):
            page = client.get(own(alice)).content.decode()
        seconds = re.search(r'data-seconds="(\d+)"', page)
        assert bool(seconds) is ("js/live.js" in page)
        refreshes[moment] = int(seconds[1]) if seconds else None
    assert refreshes == moments


def test_my_page_refreshes_when_the_waitlist_closes(client, third_in_line, opening):
    with time_machine.travel(opening.starts_at - HOUR - 7 * SECOND, tick=False):
        assert 'data-seconds="7"' in client.get(own(third_in_line)).content.decode()


def test_pending_page_shows_which_sessions_are_full(client, week, opening):
    Session.objects.filter(pk=opening.pk).update(capacity=1)
    sign_up(week, "Bob B", sessions=[week.sessions.get(slug="opening")])
    Event.objects.update(requires_approval=True)
    alice = sign_up(Event.objects.get())
    page = client.get(own(alice)).content.decode()
    (row,) = [row for row in page.split("<li ") if ">Waitlist<" in row]
    assert opening.title in unescape(row)
    assert "It's full right now, so you're on the waitlist" in row
    mail = alice.mails.get()
    message = writer.writer_for([mail])(mail)
    assert isinstance(message, EmailMultiAlternatives)
    for text in (message.body, unescape(str(message.alternatives[0][0]))):
        free, full = " ".join(text.split()).split(
            "These are full right now, so you're on the waitlist."
        )
        titles = [session.title in " ".join(free.split()) for session in week.sessions.all()]
        assert titles == [False, True, True, True, True, True]
        assert opening.title in " ".join(full.split())
    cancel_session(session=opening)
    assert "waiting list" not in words(client.get(own(alice))).lower()


def test_my_page_shows_what_was_entered(client, week):
    alice = sign_up(
        week,
        strategies=[week.tracks.first()],
        wants_doors_email=True,
        organization="Families & Friends",
        us_state="CA",
        needs_other="Large print",
    )
    page = words(client.get(own(alice)))
    shown = ["Alice Adams", "alice@example.org", "Eastern (New York)", "Families & Friends"]
    shown += ["California", "Large print", str(week.tracks.first()), "One more email"]
    assert [each for each in shown if each not in page] == []


@pytest.mark.parametrize("requires_approval", [False, True])
def test_my_page_says_how_to_move_to_another_address(client, week, requires_approval):
    Event.objects.update(requires_approval=requires_approval, contact_email="team@example.org")
    alice = sign_up(Event.objects.get())
    for path in ("", "change/"):
        page = words(client.get(own(alice, path)))
        assert "Need to use a different email? Write to team@example.org" in page


def test_page_opens_on_the_next_session_and_folds_the_rest(client, alice, opening):
    cancel_session(session=week_session(opening, 2))
    with time_machine.travel(week_session(opening, 1).starts_at, tick=False):
        answer = client.get(own(alice))
    shown = answer.context
    assert shown["next"].session == week_session(opening, 1)
    assert [each.session for each in shown["others"]] == list(opening.event.sessions.all())[2:]
    assert [each.session for each in shown["over"]] == [opening]
    page = answer.content.decode()
    folded = [
        f'<details class="fold" id="session-{each.session.pk}">' in page for each in shown["others"]
    ]
    # What is canceled has nothing to unfold.
    assert folded == [False, True, True, True]
    assert page.index('class="panel"') < page.index('<h2 class="subhead" id="sessions">')
    assert '<details class="fold" id="over">' in page


def test_sessions_are_unfolded_once_all_are_over(client, alice, opening):
    Session.objects.filter(pk=opening.pk).update(recording_url="https://example.org/r")
    with time_machine.travel(week_session(opening, 5).ends_at + DAY, tick=False):
        answer = client.get(own(alice))
    assert answer.context["next"] is None
    assert '<details class="fold" id="over" open>' in answer.content.decode()
    assert "All your sessions are over." in words(answer)


@pytest.mark.parametrize(("needs", "is_open"), [(["dial-in"], True), (["asl"], False)])
def test_meeting_codes_are_unfolded_only_for_those_who_call_in(
    client, week, opening, needs, is_open
):
    bob = sign_up(week, "Bob B", needs=needs)
    page = client.get(own(bob)).content.decode()
    assert (f'id="codes-{opening.pk}" open' in page) is is_open
    assert page.count('<details class="disclosure" id="codes-') == 1


def test_last_hour_before_the_doors_is_counted_in_minutes(client, alice, opening):
    shown = {}
    for before in (61 * MINUTE, 59 * MINUTE, 90 * SECOND, 10 * SECOND):
        row = row_at(client, alice, opening.doors_open_at - before, opening)
        shown[before] = re.search(
            r"Next session (\w+ \w+ \d+ minutes?|In \d+ \w+)", row.replace("\xa0", " ")
        )
    assert {before: found and found[1] for before, found in shown.items()} == {
        61 * MINUTE: "In 1 hour",
        59 * MINUTE: "Opens in 59 minutes",
        90 * SECOND: "Opens in 2 minutes",
        10 * SECOND: "Opens in 1 minute",
    }


def test_open_page_asks_every_minute_for_a_link_that_is_missing(client, alice, opening):
    Meeting.objects.filter(session=opening).update(join_url="")
    with time_machine.travel(opening.starts_at + HOUR, tick=False):
        assert 'data-seconds="60"' in client.get(own(alice)).content.decode()


@pytest.mark.parametrize("others", [0, 3])
def test_own_page_takes_as_many_queries_with_any_number_of_sessions(
    client, week, others, django_assert_num_queries
):
    alice = sign_up(week, sessions=week.sessions.all()[: 1 + others])
    with django_assert_num_queries(8):
        client.get(own(alice))
