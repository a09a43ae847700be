"""A person's own page: what it shows, and what they can do there."""

import datetime as dt
import re
from collections import defaultdict
from html import unescape
from typing import Any

import pytest
import time_machine
from django.core.mail import EmailMultiAlternatives
from django.test import Client
from django.utils import timezone

from events.models import Event, Meeting, Session
from events.schedule import cancel_session, restore_session
from registrations import access_needs, signup
from registrations.mail import writer
from registrations.models import AccessNeed, OutgoingMail, Question, Registration, Seat, new_token
from tests.people import sign_up

pytestmark = [pytest.mark.django_db, pytest.mark.once]

SECOND = dt.timedelta(seconds=1)
MINUTE = dt.timedelta(minutes=1)
HOUR = dt.timedelta(hours=1)
DAY = dt.timedelta(days=1)


@pytest.fixture
def alice(week) -> Registration:
    return sign_up(week)


def own(person: Registration, path: str = "") -> str:
    return f"/me/{person.token}/{path}"


def words(answer) -> str:
    """A page's text, without markup."""
    bare = re.sub(r"<(script|style).*?</\1>|<[^>]+>", " ", answer.content.decode(), flags=re.DOTALL)
    return " ".join(unescape(bare).split())


def sent(person: Registration) -> None:
    """Mark the person's emails as sent."""
    person.mails.update(state="sent", sent_at=timezone.now())


def titles(person: Registration) -> list[str]:
    return [session.slug for session in person.sessions.order_by("starts_at")]


# What the page shows


def row_at(client: Client, person: Registration, moment: dt.datetime, session: Session) -> str:
    """The text about a session on the page at one moment."""
    with time_machine.travel(moment, tick=False):
        page = client.get(own(person)).content.decode()
    rows = re.findall(r'<li class="slot slot--.*?</h3>.*?\n</li>', page, re.DOTALL)
    (row,) = [row for row in rows if f">{session.title}</h3>" in unescape(row)]
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", row)).split())


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


def week_session(opening: Session, number: int) -> Session:
    return list(opening.event.sessions.all())[number]


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
    Event.objects.update(contact_email="")
    for path in ("", "change/"):
        page = client.get(own(alice, path)).content.decode()
        assert f'<a href="/{week.slug}/register/">Register with it</a>' in page
    # There nobody can register any more.
    Event.objects.update(registration_closes_at=timezone.now())
    assert "different email" not in words(client.get(own(alice, "change/")))


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
        assert bool(seconds) is ("js/my_page.js" in page)
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


def test_unknown_notice_shows_nothing(client, alice):
    page = client.get(own(alice))
    assert words(client.get(f"{own(alice)}?notice=<b>you+won</b>")) == words(page)
    assert 'role="status"' not in page.content.decode()


# Changing sessions and details


def form_of(client: Client, person: Registration) -> dict:
    """What a browser would post from the untouched form."""
    return posted_of(client.get(own(person, "change/")).content.decode())


def posted_of(page: str) -> dict[str, list[str]]:
    fields: dict[str, list[str]] = defaultdict(list)
    for tag in re.findall(r"<input [^>]*>", page):
        given = dict(re.findall(r'([\w-]+)="([^"]*)"', tag))
        is_box = given.get("type") in ("checkbox", "radio")
        if is_box and not tag.rstrip(">").endswith("checked"):
            continue
        fields[given["name"]].append(unescape(given.get("value", "on" if is_box else "")))
    for name, options in re.findall(
        r'<select [^>]*name="(\w+)".*?>(.*?)</select>', page, re.DOTALL
    ):
        fields[name] = re.findall(r'value="([^"]*)" selected', options)
    areas = r'<textarea [^>]*name="(\w+)"[^>]*>\n(.*?)</textarea>'
    for name, text in re.findall(areas, page, re.DOTALL):
        fields[name] = [unescape(text).replace("\n", "\r\n")]
    return fields


def offered(client: Client, person: Registration) -> list[str]:
    page = client.get(own(person, "change/")).content.decode()
    return re.findall(r'name="sessions" value="(\d+)"', page)


def save(client: Client, person: Registration, form: dict, **changes):
    return client.post(own(person, "change/"), {**form, **changes})


def without(form: dict, *sessions: Session) -> list[str]:
    return [pk for pk in form["sessions"] if pk not in {str(each.pk) for each in sessions}]


def test_change_form_is_prefilled_and_saves_unchanged_data(client, week):
    details: dict[str, Any] = {
        "organization": "Families & Friends",
        "us_state": "CA",
        "needs": ["asl"],
    }
    details |= {"needs_other": "Large print", "time_zone": "Asia/Kathmandu"}
    alice = sign_up(
        week, strategies=week.tracks.all()[1:3], sessions=week.sessions.all()[1:4], **details
    )
    Registration.objects.update(verified_at=timezone.now())
    before = Registration.objects.values().get(), list(Seat.objects.values())
    answer = save(client, alice, form_of(client, alice))
    assert answer["Location"] == f"{own(alice)}?notice=saved"
    assert (Registration.objects.values().get(), list(Seat.objects.values())) == before
    assert alice.strategies.count() == 2
    assert alice.mails.count() == 1
    assert "Your changes are saved." in words(client.get(answer["Location"]))


def test_change_form_changes_details(client, week, alice):
    form = form_of(client, alice)
    entered = {"name": "Alice O'Brien & Co", "time_zone": "America/Chicago", "us_state": "NY"}
    entered |= {"organization": "Friends", "needs_other": "Large print"}
    ticked = {"needs": ["captions"], "wants_doors_email": "on", "email": "mallory@example.org"}
    save(client, alice, form, strategies=[week.tracks.first().pk], **entered, **ticked)
    alice.refresh_from_db()
    assert {name: getattr(alice, name) for name in entered} == entered
    assert (alice.needs, alice.wants_doors_email) == (["captions"], True)
    assert list(alice.strategies.all()) == [week.tracks.first()]
    assert alice.email == "alice@example.org"


def test_changed_sessions_are_emailed(client, week, opening):
    alice = sign_up(week, sessions=week.sessions.all()[:2])
    sent(alice)
    form = form_of(client, alice)
    closing = week_session(opening, 5)
    answer = save(client, alice, form, sessions=[*without(form, opening), closing.pk])
    assert answer["Location"] == f"{own(alice)}?notice=sessions"
    assert titles(alice) == [week_session(opening, 1).slug, closing.slug]
    assert alice.mails.filter(kind="links", state="waiting").count() == 1


def test_saving_twice_sends_one_email(client, alice, opening):
    sent(alice)
    form = form_of(client, alice)
    for notice in ("sessions", "saved"):
        answer = save(client, alice, form, sessions=without(form, opening))
        assert answer["Location"].endswith(f"?notice={notice}")
    assert alice.seats.count() == 5
    assert alice.mails.count() == 2


def test_second_tab_does_not_undo_session_changes(client, alice, opening):
    """It was opened before the other one was saved, and only changes the name."""
    first = form_of(client, alice)
    second = form_of(client, alice)
    save(client, alice, second, sessions=without(second, opening))
    save(client, alice, first, name="Alice O'Brien")
    alice.refresh_from_db()
    assert (alice.name, alice.seats.count()) == ("Alice O'Brien", 5)


NEEDS = ["captions", "asl", "dial-in"]


@pytest.fixture
def lunch(week) -> Question:
    return week.questions.create(text="Lunch?", kind="choices", choices="Meat\nVegan\nSoup")


def test_second_tab_does_not_undo_details_strategies_or_answers(client, week, opening, lunch):
    """An organizer has meanwhile arranged what was requested in the other tab."""
    alice = sign_up(week, sessions=week.sessions.exclude(pk=opening.pk))
    story = week.questions.create(text="Your story?", kind="long")
    first, second = form_of(client, alice), form_of(client, alice)
    entered = {"needs": ["asl"], "needs_other": "Large print", "us_state": "NY"}
    answers = {f"question_{lunch.pk}": ["Vegan"], f"question_{story.pk}": "Long"}
    chosen = [each.pk for each in week.tracks.all()[:2]]
    save(client, alice, second, strategies=chosen, **entered, **answers)
    access_needs.arrange(needs=AccessNeed.objects.all())
    save(client, alice, first, sessions=[*first["sessions"], opening.pk], name="Alice O'Brien")
    alice.refresh_from_db()
    assert (alice.name, alice.us_state, alice.needs) == ("Alice O'Brien", "NY", ["asl"])
    assert alice.needs_other == "Large print"
    assert alice.strategies.count() == 2
    assert set(alice.seats.values_list("access_needs__kind", flat=True)) == {"asl", "other"}
    assert AccessNeed.objects.filter(state="arranged").count() == 10
    assert dict(alice.answers.values_list("question", "value")) == {
        lunch.pk: ["Vegan"],
        story.pk: "Long",
    }


def test_second_tab_does_not_restore_what_was_removed(client, week, lunch):
    story = week.questions.create(text="Your story?", kind="long")
    answers = {lunch: ["Meat", "Soup"], story: "Long\n\n& true"}
    alice = sign_up(week, needs=["asl"], strategies=week.tracks.all(), answers=answers)
    first = form_of(client, alice)
    Registration.objects.update(needs=[])
    alice.strategies.clear()
    alice.answers.all().delete()
    save(client, alice, first, name="Alice O'Brien")
    alice.refresh_from_db()
    assert (alice.name, alice.needs) == ("Alice O'Brien", [])
    assert (alice.strategies.count(), alice.answers.count()) == (0, 0)


def test_second_tab_keeps_the_needs_checked_in_the_first(client, week):
    """Each kind of need is merged separately."""
    alice = sign_up(week, needs=["captions", "dial-in"])
    first, second = form_of(client, alice), form_of(client, alice)
    save(client, alice, second, needs=["captions", "asl"])
    save(client, alice, first, needs=["dial-in", "interpretation"])
    alice.refresh_from_db()
    assert alice.needs == ["asl", "interpretation"]


def test_every_optional_field_can_be_cleared(client, week, lunch):
    details: dict[str, Any] = {"needs": NEEDS}
    details |= {"organization": "Friends", "needs_other": "Large print", "us_state": "CA"}
    details |= {"strategies": week.tracks.all(), "answers": {lunch: ["Meat", "Soup"]}}
    alice = sign_up(week, **details)
    form = form_of(client, alice)
    del form["needs"], form[f"question_{lunch.pk}"]
    save(client, alice, form, strategies=[], organization="", needs_other="", us_state="")
    alice.refresh_from_db()
    assert alice.needs == []
    assert (alice.organization, alice.needs_other, alice.us_state) == ("", "", "")
    assert (alice.strategies.count(), alice.answers.count()) == (0, 0)
    assert not AccessNeed.objects.exists()


def test_form_with_errors_still_knows_its_initial_values(client, week, lunch):
    """Values are compared with the first form that was shown, also where it was empty."""
    alice = sign_up(week)
    form = form_of(client, alice)
    first, second, *_others = week.tracks.all()
    entered = {"organization": "Friends", "strategies": [first.pk], f"question_{lunch.pk}": "Soup"}
    answer = save(client, alice, form, **entered, needs=NEEDS, name="")
    assert "aria-" not in "".join(re.findall(r'<input type="hidden"[^>]*>', answer.text))
    again = posted_of(answer.content.decode())
    assert {name: value for name, value in again.items() if name.startswith("initial-")} == {
        name: value for name, value in form.items() if name.startswith("initial-")
    }
    Registration.objects.update(us_state="NY")
    alice.strategies.add(second)
    save(client, alice, again, name="Alice O'Brien")
    alice.refresh_from_db()
    assert alice.needs == NEEDS
    assert (alice.name, alice.organization, alice.us_state) == ("Alice O'Brien", "Friends", "NY")
    assert list(alice.strategies.all()) == [first]
    assert alice.answers.get().value == ["Soup"]


def test_post_without_initial_values_is_saved_as_it_is(client, week):
    alice = sign_up(week, needs=["asl"], strategies=week.tracks.all(), organization="Friends")
    form = form_of(client, alice)
    fields = {name: value for name, value in form.items() if not name.startswith("initial-")}
    del fields["needs"]
    save(client, alice, fields, strategies=[], organization="")
    alice.refresh_from_db()
    assert (alice.needs, alice.organization, alice.strategies.count()) == ([], "", 0)


def test_form_without_a_session_does_not_drop_it(client, alice, opening):
    """The form was opened while the session was canceled."""
    cancel_session(session=opening)
    form = form_of(client, alice)
    assert str(opening.pk) not in form["sessions"]
    restore_session(session=opening)
    save(client, alice, form, name="Alice O'Brien")
    assert alice.seats.count() == 6


def over(session: Session) -> None:
    now = timezone.now()
    Session.objects.filter(pk=session.pk).update(starts_at=now - 3 * HOUR, ends_at=now - HOUR)


@pytest.mark.parametrize("become", [over, lambda session: cancel_session(session=session)])
@pytest.mark.parametrize("wish", ["add", "leave"])
def test_session_that_is_gone_is_named_at_the_field_and_input_is_kept(
    client, week, opening, become, wish
):
    alice = sign_up(
        week, sessions=[s for s in week.sessions.all() if wish == "leave" or s != opening]
    )
    form = form_of(client, alice)
    form["sessions"] = (
        without(form, opening) if wish == "leave" else [*form["sessions"], opening.pk]
    )
    become(opening)
    answer = save(client, alice, form, name="Alice O'Brien")
    assert answer.status_code == 200
    page = words(answer)
    assert "You can't change these anymore" in page
    assert f"“{opening.title}”" in page
    assert 'value="Alice O&#x27;Brien"' in answer.content.decode()
    alice.refresh_from_db()
    assert (alice.name, alice.seats.count()) == ("Alice Adams", 6 if wish == "leave" else 5)
    # Pressed again, the form as it is shown now is taken.
    shown = answer.content.decode()
    form["sessions"] = re.findall(r'name="sessions" value="(\d+)" checked', shown) or without(
        form, opening
    )
    form["had"] = re.findall(r'name="had" value="(\d+)"', shown)
    assert str(opening.pk) not in form["had"]
    assert save(client, alice, form, name="Alice O'Brien").status_code == 302


@pytest.mark.parametrize("become", [over, lambda session: cancel_session(session=session)])
def test_session_that_is_gone_but_was_not_changed_does_not_block_saving(
    client, alice, opening, become
):
    form = form_of(client, alice)
    become(opening)
    answer = save(client, alice, form, name="Alice O'Brien")
    assert answer["Location"] == f"{own(alice)}?notice=saved"
    assert alice.seats.count() == 6


def test_session_that_has_started_can_still_be_added_and_left(client, week, opening):
    alice = sign_up(week, sessions=week.sessions.exclude(pk=opening.pk))
    form = form_of(client, alice)
    with time_machine.travel(opening.starts_at + HOUR):
        save(client, alice, form, sessions=[*form["sessions"], opening.pk])
        assert alice.seats.count() == 6
        form = form_of(client, alice)
        save(client, alice, form, sessions=without(form, opening))
    assert alice.seats.count() == 5


def test_attended_session_cannot_be_left_once_it_has_started(client, alice, opening):
    stale = form_of(client, alice)
    was_there = alice.seats.filter(session=opening, attended=True)
    alice.seats.filter(session=opening).update(attended=True)
    # Come early, one may still change one's mind.
    with time_machine.travel(opening.starts_at - MINUTE):
        assert str(opening.pk) in offered(client, alice)
    with time_machine.travel(opening.starts_at, tick=False):
        assert str(opening.pk) not in offered(client, alice)
        assert "neither are ones you've been to" in words(client.get(own(alice, "change/")))
        answer = save(client, alice, stale, sessions=without(stale, opening))
        assert "You can't change these anymore" in words(answer)
        assert f"“{opening.title}”" in words(answer)
        assert was_there.exists()
        # The others are left as ever.
        save(client, alice, form_of(client, alice), sessions=[])
    assert titles(alice) == [opening.slug]
    assert was_there.exists()


def test_invalid_sessions_are_rejected(client, week, alice, opening):
    times = {"starts_at": opening.starts_at, "ends_at": opening.ends_at}
    draft = week.sessions.create(title="D", slug="d", status="draft", **times)
    other = Event.objects.create(name="Other", slug="other", host="H", summary="S")
    foreign = other.sessions.create(title="O", slug="o", **times)
    form = form_of(client, alice)
    for odd in ("0", "-1", "abc", "99999999999999999999", "١", str(draft.pk), str(foreign.pk)):
        answer = save(client, alice, form, sessions=[*form["sessions"], odd])
        assert answer.status_code == 200
        assert "is no longer open" in words(answer)
        assert save(client, alice, form, had=[*form["had"], odd]).status_code == 302
    assert alice.seats.count() == 6


def test_leaving_every_session_is_rejected_and_canceling_offered(client, alice):
    form = form_of(client, alice)
    answer = save(client, alice, form, sessions=[], name="Alice O'Brien")
    assert "Keep at least one session." in words(answer)
    assert f'href="{own(alice, "cancel/")}">Cancel my registration</a>' in answer.content.decode()
    assert alice.seats.count() == 6


def test_person_who_attended_a_session_can_leave_the_rest(client, alice, opening):
    over(opening)
    form = form_of(client, alice)
    save(client, alice, form, sessions=[])
    assert titles(alice) == ["opening"]


def test_details_can_be_changed_without_sessions_to_choose(client, alice, week):
    for session in week.sessions.all():
        cancel_session(session=session)
    form = form_of(client, alice)
    assert form["sessions"] == []
    assert save(client, alice, form, name="Alice O'Brien").status_code == 302


def test_closed_registration_allows_leaving_but_not_adding_sessions(client, week, opening):
    alice = sign_up(week, sessions=week.sessions.all()[:2])
    stale = form_of(client, alice)
    Event.objects.update(registration_closes_at=timezone.now())
    assert offered(client, alice) == [str(each.pk) for each in alice.sessions.order_by("starts_at")]
    closing = week_session(opening, 5)
    answer = save(client, alice, stale, sessions=[*stale["sessions"], closing.pk])
    assert f"“{closing.title}”" in words(answer)
    assert alice.seats.count() == 2
    save(client, alice, stale, sessions=without(stale, opening))
    assert titles(alice) == [week_session(opening, 1).slug]


def test_full_session_is_marked_and_joined_on_its_waitlist(client, week, opening):
    Session.objects.filter(pk=opening.pk).update(capacity=1)
    opening.refresh_from_db()
    bob = sign_up(week, "Bob B", sessions=[opening])
    alice = sign_up(week, sessions=week.sessions.exclude(pk=opening.pk))
    form = form_of(client, alice)
    assert "Full. We'll put you on the waitlist" in words(client.get(own(alice, "change/")))
    assert "Full." not in words(client.get(own(bob, "change/")))
    save(client, alice, form, sessions=[*form["sessions"], opening.pk])
    assert alice.seats.get(session=opening).state == "waiting"
    assert "You're on the waitlist." in words(client.get(own(alice, "change/")))


def test_bad_input_is_explained_at_the_field_and_kept(client, alice, opening):
    bad = {
        "name": ("Win at www.evil.example", "Remove any web address"),
        "time_zone": ("Mars/Olympus", "Choose a time zone"),
        "us_state": ("ZZ", "Choose a state from the list."),
        "strategies": (["0"], "Choose strategies from the list."),
        "needs_other": ("x" * 201, "Use 200 characters or fewer."),
    }
    form = form_of(client, alice)
    changes = {"organization": "Friends", "sessions": without(form, opening)}
    entered = {field: value for field, (value, _error) in bad.items()}
    answer = save(client, alice, form, **changes, **entered)
    assert answer.status_code == 200
    page = answer.content.decode()
    for field, (_value, error) in bad.items():
        assert error in words(answer)
        assert f'id="id_{field}_error"' in page
    assert 'value="Friends"' in page
    assert f'value="{opening.pk}" checked' not in page
    alice.refresh_from_db()
    assert (alice.organization, alice.seats.count()) == ("", 6)


def test_pending_person_can_change_too(client, week, opening):
    Event.objects.update(requires_approval=True)
    alice = sign_up(Event.objects.get(), sessions=week.sessions.all())
    form = form_of(client, alice)
    answer = save(client, alice, form, sessions=without(form, opening))
    page = words(client.get(answer["Location"]))
    assert "Your changes are saved." in page
    assert "We got your registration" in page
    assert alice.seats.count() == 5
    assert set(alice.mails.values_list("kind", flat=True)) == {"received"}


def test_change_after_canceling_in_another_tab_leads_to_the_canceled_page(client, alice):
    form = form_of(client, alice)
    signup.cancel(registration=alice)
    answer = client.post(own(alice, "change/"), {**form, "name": "Alice O'Brien"}, follow=True)
    assert "Your registration is canceled" in words(answer)
    alice.refresh_from_db()
    assert alice.name == "Alice Adams"


def test_change_by_a_declined_person_changes_and_reveals_nothing(client, alice):
    signup.decline(registrations=[alice])
    alice.refresh_from_db()
    form = form_of(client, alice)
    answer = save(client, alice, form, name="Alice O'Brien")
    assert answer["Location"] == own(alice)
    assert Registration.objects.get().name == "Alice Adams"


def test_answers_about_a_past_session_are_kept(client, week, opening):
    """The question is also about another session, for which Alice is not registered."""
    alice = sign_up(week, sessions=week.sessions.all()[:2])
    question = week.questions.create(text="Where do you sit?")
    question.sessions.add(opening, week_session(opening, 5))
    alice.answers.create(question=question, value="In front")
    over(opening)
    assert save(client, alice, form_of(client, alice), name="Alice O'Brien").status_code == 302
    assert alice.answers.get().value == "In front"


# Links again, and new ones


def test_links_are_resent_at_most_every_ten_minutes(client, alice):
    sent(alice)
    later = timezone.now() + 11 * MINUTE
    for minutes, notice, count in ((0, "mailed", 2), (1, "mailed-before", 2), (11, "mailed", 3)):
        with time_machine.travel(later + minutes * MINUTE, tick=False):
            answer = client.post(own(alice, "resend/"))
            sent(alice)
        assert answer["Location"] == f"{own(alice)}?notice={notice}"
        assert alice.mails.count() == count
    assert "We've sent your links" in words(client.get(f"{own(alice)}?notice=mailed"))
    assert "We sent your links a few minutes ago." in words(
        client.get(f"{own(alice)}?notice=mailed-before")
    )


def test_renew_page_explains_first_and_changes_nothing(client, alice):
    page = words(client.get(own(alice, "renew/")))
    assert "All the links in our earlier emails will stop working" in page
    assert "calendar" in page
    assert Registration.objects.get().token == alice.token


def test_renewing_leads_to_the_new_page_and_ends_the_old_one(client, alice):
    sent(alice)
    answer = client.post(own(alice, "renew/"))
    renewed = Registration.objects.get()
    assert renewed.token != alice.token
    assert answer["Location"] == f"{own(renewed)}?notice=renewed"
    assert "This is your new private link." in words(client.get(answer["Location"]))
    assert alice.mails.filter(kind="links", state="waiting").count() == 1
    unknown = client.get(f"/me/{new_token()}/").content
    for old in (own(alice), own(alice, "calendar.ics"), f"/join/{alice.token}/opening/"):
        gone = client.get(old)
        assert (gone.status_code, gone.content) == (404, unknown)


def test_pending_person_can_renew_their_link(client, week):
    Event.objects.update(requires_approval=True)
    alice = sign_up(Event.objects.get())
    assert f'href="{own(alice, "renew/")}"' in client.get(own(alice)).content.decode()
    page = words(client.get(own(alice, "renew/")))
    assert [word for word in ("calendar", "Zoom", "join") if word in page] == []
    answer = client.post(own(alice, "renew/"))
    renewed = Registration.objects.get()
    assert renewed.token != alice.token
    assert answer["Location"] == f"{own(renewed)}?notice=renewed"
    assert client.get(own(alice)).status_code == 404
    mailed = alice.mails.order_by("pk").values_list("kind", "state")
    assert list(mailed) == [("received", "dropped"), ("received", "waiting")]


def test_renewing_by_a_declined_person_does_nothing(client, alice):
    signup.decline(registrations=[alice])
    alice.refresh_from_db()
    assert client.post(own(alice, "renew/"))["Location"] == own(alice)
    assert Registration.objects.get().token == alice.token


def test_renewing_twice_renews_once(client, alice):
    client.post(own(alice, "renew/"))
    token = Registration.objects.get().token
    assert client.post(own(alice, "renew/")).status_code == 404
    assert Registration.objects.get().token == token


# Canceling and coming back


def test_cancel_page_asks_first(client, alice):
    page = words(client.get(own(alice, "cancel/")))
    assert "Yes, cancel my registration" in page
    assert Registration.objects.get().canceled_at is None


def test_canceled_page_offers_to_restore_the_registration(client, alice):
    sent(alice)
    page = client.post(own(alice, "cancel/"), follow=True)
    assert "Your registration is canceled" in words(page)
    for closed in (own(alice, "calendar.ics"), f"/join/{alice.token}/opening/"):
        assert client.get(closed).status_code == 404
    for _press in range(2):
        answer = client.post(own(alice, "return/"))
        assert answer["Location"] == f"{own(alice)}?notice=back"
    assert "Welcome back." in words(client.get(answer["Location"]))
    assert client.get(f"/join/{alice.token}/opening/").status_code == 200
    assert alice.seats.filter(state="seated").count() == 6
    kinds = alice.mails.order_by("pk").values_list("kind", flat=True)
    assert list(kinds) == ["links", "links", "schedule"]


def test_restoring_after_a_new_registration_is_explained(client, week, alice):
    signup.cancel(registration=alice)
    sign_up(week)
    answer = client.post(own(alice, "return/"), follow=True)
    assert "You've already registered again." in words(answer)
    assert f'href="/{week.slug}/find/"' in answer.content.decode()
    assert Registration.objects.active().count() == 1


def test_registration_is_not_restored_once_registration_is_closed(client, week, alice):
    signup.cancel(registration=alice)
    Event.objects.update(registration_closes_at=timezone.now())
    answer = client.post(own(alice, "return/"), follow=True)
    assert "Registration has closed, so you can't sign up again here." in words(answer)
    assert Registration.objects.active().count() == 0


def test_cancel_page_warns_when_it_is_final(client, alice):
    assert "you can sign up again while registration is open" in words(
        client.get(own(alice, "cancel/"))
    )
    Event.objects.update(registration_closes_at=timezone.now())
    assert "you won't be able to sign up again here" in words(client.get(own(alice, "cancel/")))


# Links that do not work


def erased(person: Registration) -> None:
    fields = ("name", "email", "email_key", "organization", "us_state")
    blank = dict.fromkeys((*fields, "search_key", "organization_search_key"), "")
    now = timezone.now()
    Registration.objects.filter(pk=person.pk).update(canceled_at=now, erased_at=now, **blank)


PATHS = ("", "change/", "renew/", "cancel/", "calendar.ics")


def test_invalid_links_of_every_kind_get_the_same_friendly_page(client, week):
    alice, bob, charlie = (sign_up(week, name) for name in ("Alice A", "Bob B", "Charlie C"))
    erased(alice)
    signup.decline(registrations=[bob])
    signup.renew_links(registrations=[charlie])
    bad = [new_token(), charlie.token[:-1], alice.token, bob.token, charlie.token, "x"]
    answers = [client.get(f"/me/{token}/{path}") for token in bad for path in PATHS]
    answers.append(client.get(f"/join/{new_token()}/opening/"))
    assert {answer.status_code for answer in answers} == {404}
    (page,) = {answer.content for answer in answers}
    assert b"This link no longer works" in page
    assert f'href="/{week.slug}/find/"'.encode() in page


def test_invalid_links_get_that_page_in_debug_mode_too(client, week, settings):
    page = client.get("/me/x/").content
    settings.DEBUG = True
    for path in ("/me/x/", "/join/x/opening/", "/calendar/x.ics"):
        same = client.get(path)
        assert (same.status_code, same.content) == (404, page)
        assert same["Cache-Control"] == "no-store"
    # Of other addresses Django tells what it looked for.
    assert b"You\xe2\x80\x99re seeing this error because" in client.get("/nothing/").content


def test_invalid_links_do_nothing(client, alice):
    erased(alice)
    for path in ("change/", "resend/", "renew/", "cancel/", "return/"):
        assert client.post(own(alice, path)).status_code == 404
        assert client.post(f"/me/{new_token()}/{path}").status_code == 404
    assert OutgoingMail.objects.count() == 1


def test_other_missing_pages_do_not_mention_a_link(client, week):
    assert b"This link no longer works" not in client.get("/nothing/here/").content


def test_missing_page_names_the_events_that_it_may_belong_to(client, week):
    Event.objects.create(name="Draft", slug="draft-week", host="H", summary="S")
    page = client.get("/me/x/").content.decode()
    assert re.findall(r'href="/([\w-]+)/find/"', page) == [week.slug]
    with time_machine.travel(timezone.now() + 400 * DAY):
        assert b"/find/" not in client.get("/me/x/").content
    Event.objects.update(status="draft")
    assert b"/find/" not in client.get("/me/x/").content


# What holds for all of it


@pytest.mark.parametrize("is_canceled", [False, True])
def test_get_of_a_post_only_page_redirects_to_my_page(client, alice, is_canceled):
    if is_canceled:
        signup.cancel(registration=alice)
    for path in ("resend/", "return/"):
        assert client.get(own(alice, path))["Location"] == own(alice)
        assert client.get(f"/me/{new_token()}/{path}").status_code == 404


def test_opening_every_page_changes_nothing(client, week, alice):
    """An email scanner opens every link, and then every link on the page."""

    def everything():
        return [
            list(model.objects.order_by("pk").values())
            for model in (Registration, Seat, OutgoingMail)
        ]

    paths = ("", "change/", "resend/", "renew/", "cancel/", "return/", "calendar.ics")
    pages = [own(alice, path) for path in paths]
    pages += [f"/join/{alice.token}/opening/", f"/{week.slug}/find/?email={alice.email}"]
    before = everything()
    for page in pages:
        client.get(page)
        client.head(page)
    assert everything() == before


def test_every_change_needs_a_csrf_token(alice):
    strict = Client(enforce_csrf_checks=True)
    for path in ("change/", "resend/", "renew/", "cancel/", "return/"):
        assert strict.post(own(alice, path)).status_code == 403
    assert strict.post(f"/{alice.event.slug}/find/", {"email": alice.email}).status_code == 403


def test_my_pages_are_kept_out_of_caches_referrers_and_search_engines(client, week, alice):
    """Each button does what it's for: a new link comes last."""
    answers = [client.get(f"/{week.slug}/find/"), client.post(f"/{week.slug}/find/")]
    for path in ("", "change/", "resend/", "cancel/", "return/", "renew/"):
        answers += [client.get(own(alice, path)), client.post(own(alice, path))]
    shown = [200, 200, 200, 405, 200, 200, 302, 302, 200, 302, 302, 302, 200, 302]
    assert [answer.status_code for answer in answers] == shown
    for answer in answers:
        headers = ("Cache-Control", "Referrer-Policy", "X-Robots-Tag")
        assert [answer[name] for name in headers] == ["no-store", "no-referrer", "noindex"]
