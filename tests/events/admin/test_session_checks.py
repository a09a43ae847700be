"""The form of a session asks about times that are probably a mistake."""

import datetime as dt
from html import unescape
from zoneinfo import ZoneInfo

import pytest
import time_machine

from events import schedule
from events.models import Event, Session, Speaker, Track
from tests.admin_pages import (
    answers_of,
    form_of,
    messages_of,
    move_to,
    path,
    post_twice,
    questions_of,
)
from tests.people import in_english, published_event, sign_up

pytestmark = [pytest.mark.django_db, pytest.mark.once]

PACIFIC = ZoneInfo("America/Los_Angeles")
# The week is from Saturday, October 16, to Saturday, October 23, 2027.
NOW = dt.datetime(2027, 9, 24, 19, tzinfo=dt.UTC)


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOW, tick=False) as clock:
        yield clock


def times(start: str, end: str) -> dict[str, str]:
    values = {}
    for name, text in (("starts_at", start), ("ends_at", end)):
        values[f"{name}_0"], _space, values[f"{name}_1"] = text.partition(" ")
    return values


def asked(client, session: Session, start: str, end: str) -> list[str]:
    form = form_of(client, path(session)) | times(start, end)
    return questions_of(client.post(path(session), form).content.decode())


def hours_of(session: Session) -> tuple[str, str]:
    session = Session.objects.get(pk=session.pk)
    moments = (session.starts_at, session.ends_at)
    start, end = (f"{each.astimezone(PACIFIC):%m/%d/%Y %H:%M}" for each in moments)
    return start, end


def test_usual_times_are_not_asked_about(organizer, opening):
    assert asked(organizer, opening, "10/16/2027 10:00 AM", "10/16/2027 2:00 PM") == []
    assert hours_of(opening) == ("10/16/2027 10:00", "10/16/2027 14:00")


def test_session_in_the_past_is_asked_about(organizer, opening):
    assert asked(organizer, opening, "09/24/2027 11:00 AM", "09/24/2027 1:00 PM") == [
        "This is in the past: Friday, September 24 at 11:00 AM. If that's right, save again.",
        "This is more than 14 days from the event's other sessions, October 18–23, 2027. "
        "If that's right, save again.",
    ]


def test_end_in_the_past_is_asked_about_but_not_a_longer_one_of_a_running_session(
    organizer, opening, clock
):
    move_to(organizer, clock, opening.starts_at + dt.timedelta(hours=2))
    assert asked(organizer, opening, "10/16/2027 9:00 AM", "10/16/2027 3:00 PM") == []
    (text,) = asked(organizer, opening, "10/16/2027 9:00 AM", "10/16/2027 10:00 AM")
    assert "in the past: Saturday, October 16 at 10:00 AM" in text


def test_title_of_a_session_that_is_over_is_saved_at_once(organizer, opening, clock):
    move_to(organizer, clock, opening.ends_at + dt.timedelta(days=1))
    form = form_of(organizer, path(opening)) | {"title_en": "Renamed"}
    assert organizer.post(path(opening), form).status_code == 302


def test_long_session_is_asked_about(organizer, opening):
    assert asked(organizer, opening, "10/16/2027 9:00 AM", "10/16/2027 9:00 PM") == []
    (text,) = asked(organizer, opening, "10/16/2027 9:00 AM", "10/16/2027 11:00 PM")
    assert text == "This session would be 14 hours long. If that's right, save again."


def test_session_outside_the_week_is_asked_about(organizer, opening):
    assert asked(organizer, opening, "11/06/2027 9:00 AM", "11/06/2027 10:00 AM") == []
    (text,) = asked(organizer, opening, "11/07/2027 9:00 AM", "11/07/2027 10:00 AM")
    assert "more than 14 days from the event's other sessions, October 18–23, 2027" in text
    (text,) = asked(organizer, opening, "10/04/2027 1:00 AM", "10/04/2027 2:00 AM")
    assert "more than 14 days" in text


def test_session_in_another_year_is_asked_about_once(organizer, opening):
    assert asked(organizer, opening, "10/16/2028 9:00 AM", "10/16/2028 1:00 PM") == [
        "This session is in 2028, and the event's other sessions are October 18–23, 2027. "
        "If that's right, save again."
    ]


def test_overlap_with_a_session_that_takes_place_is_asked_about(organizer, opening, later):
    during = ("10/18/2027 7:00 PM", "10/18/2027 9:00 PM")
    assert asked(organizer, opening, *during) == [
        "Another session is at the same time: “Legislation and Policy (discussion and "
        "brainstorming)” (Monday, October 18, 6:00 PM to 8:00 PM PDT). If that's right, save again."
    ]
    assert asked(organizer, opening, "10/18/2027 8:00 PM", "10/18/2027 9:00 PM") == []
    schedule.cancel_session(session=later)
    assert asked(organizer, opening, "10/18/2027 7:00 PM", "10/18/2027 9:30 PM") == []


def test_several_questions_keep_what_was_entered_and_are_confirmed_together(organizer, opening):
    entered = times("10/16/2028 9:00 AM", "10/16/2028 11:00 PM") | {"title_en": "New title"}
    form = form_of(organizer, path(opening)) | entered
    before = hours_of(opening)
    page = organizer.post(path(opening), form).content.decode()
    assert len(questions_of(page)) == 2
    assert "Nothing is saved yet" in page
    assert "Please correct" not in page
    assert 'value="New title"' in page
    assert '<a href="#question-long">Ends</a>' in page
    assert hours_of(opening) == before
    organizer.post(path(opening), form | answers_of(page))
    assert hours_of(opening) == ("10/16/2028 09:00", "10/16/2028 23:00")


def test_mistakes_and_questions_are_shown_together(organizer, opening):
    form = form_of(organizer, path(opening)) | times("10/16/2028 9:00 AM", "10/16/2028 1:00 PM")
    page = organizer.post(path(opening), form | {"capacity": "0"}).content.decode()
    assert len(questions_of(page)) == 1
    assert "Please correct" in page


def test_changed_value_is_asked_about_again(organizer, opening):
    form = form_of(organizer, path(opening)) | times("10/16/2028 9:00 AM", "10/16/2028 1:00 PM")
    answers = answers_of(organizer.post(path(opening), form).content.decode())
    other = form | times("10/17/2028 9:00 AM", "10/17/2028 1:00 PM") | answers
    assert len(questions_of(organizer.post(path(opening), other).content.decode())) == 1


def test_start_moved_alone_takes_the_end_along(organizer, opening):
    form = form_of(organizer, path(opening)) | {"starts_at_1": "3:30 PM"}
    page = organizer.post(path(opening), form).content.decode()
    assert questions_of(page) == ["You moved the start, but not the end."]
    assert "Move the end, too: it ends Saturday, October 16 at 7:30 PM" in page
    # The start is after the old end, but that's no mistake yet.
    assert "must end after it starts" not in page
    organizer.post(path(opening), form | answers_of(page))
    assert hours_of(opening) == ("10/16/2027 15:30", "10/16/2027 19:30")


def test_start_moved_alone_can_leave_the_end(organizer, opening):
    form = form_of(organizer, path(opening)) | {"starts_at_1": "10:00 AM"}
    post_twice(organizer, path(opening), form, end_moves="keep")
    assert hours_of(opening) == ("10/16/2027 10:00", "10/16/2027 13:00")
    form = form_of(organizer, path(opening)) | {"starts_at_1": "3:00 PM"}
    page = post_twice(organizer, path(opening), form, end_moves="keep").content.decode()
    assert "must end after it starts" in page


def test_answers_stay_when_the_page_asks_about_emails(organizer, week, opening, clock):
    sign_up(week)
    move_to(organizer, clock, opening.starts_at - dt.timedelta(hours=1))
    form = form_of(organizer, path(opening)) | {"starts_at_1": "10:00 AM"}
    page = post_twice(organizer, path(opening), form).content.decode()
    assert "would get an email about this right away" in page
    assert questions_of(page) == []
    organizer.post(path(opening), form | answers_of(page))
    assert hours_of(opening) == ("10/16/2027 10:00", "10/16/2027 14:00")


def test_skipped_time_is_an_error_in_plain_words(organizer, opening):
    form = form_of(organizer, path(opening)) | times("03/12/2028 2:30 AM", "03/12/2028 4:00 AM")
    page = organizer.post(path(opening), form).content.decode()
    assert (
        "This time doesn't exist: clocks move forward on Sunday, March 12, 2028 and skip 2:30 AM. "
        "Enter another time, such as 3:30 AM."
    ) in unescape(page)
    assert "Please correct" in page


def test_repeated_time_is_the_first_one_if_confirmed(organizer, opening):
    form = form_of(organizer, path(opening)) | times("11/07/2027 1:30 AM", "11/07/2027 3:00 AM")
    page = organizer.post(path(opening), form).content.decode()
    assert questions_of(page)[0] == (
        "Clocks move back on Sunday, November 7, so 1:30 AM comes twice. We'll use the first one, "
        "1:30 AM PDT. If that's right, save again."
    )
    post_twice(organizer, path(opening), form)
    opening.refresh_from_db()
    assert opening.starts_at == dt.datetime(2027, 11, 7, 8, 30, tzinfo=dt.UTC)


def test_second_of_two_equal_times_stays_if_something_else_is_changed(organizer, opening):
    second = dt.datetime(2027, 11, 7, 9, 30, tzinfo=dt.UTC)
    ends_at = second + dt.timedelta(hours=2)
    Session.objects.filter(pk=opening.pk).update(starts_at=second, ends_at=ends_at)
    form = form_of(organizer, path(opening)) | {"title_en": "Renamed"}
    assert organizer.post(path(opening), form).status_code == 302
    opening.refresh_from_db()
    assert (opening.starts_at, opening.title) == (second, "Renamed")


def test_impossible_year_is_an_error(organizer, opening):
    for year in ("0202", "9999"):
        entered = times(f"12/31/{year} 11:00 PM", f"12/31/{year} 11:30 PM")
        page = organizer.post(path(opening), form_of(organizer, path(opening)) | entered)
        assert "Check the year. It must be from 2000 to 2100." in page.content.decode()


@pytest.fixture
def eastern(week) -> Event:
    """Another event, without sessions."""
    event = published_event(
        **in_english(name="Eastern Week"), slug="eastern", time_zone="America/New_York"
    )
    Track.objects.create(event=event, **in_english(name="Parole"))
    Speaker.objects.create(event=event, **in_english(name="Dana Dee"))
    return event


def test_new_session_has_the_zone_strategies_and_hosts_of_its_event(organizer, week, eastern):
    page = organizer.get(f"{path(Session, 'add')}?event={eastern.pk}").content.decode()
    assert "Times on this page: <b>Eastern (New York)</b>" in page
    assert ("Parole" in page, "Dana Dee" in page) == (True, True)
    assert "Commutations" not in page
    assert f'<option value="{week.pk}">{week}</option>' in page


def test_another_event_for_a_new_session_asks_to_check_the_times(organizer, week, eastern):
    url = path(Session, "add")
    form = form_of(organizer, f"{url}?event={week.pk}")
    form |= times("10/16/2027 9 AM", "10/16/2027 10 AM") | {"title_en": "New"}
    for inline in ("meeting", "agenda"):
        form |= {f"{inline}-TOTAL_FORMS": "0", f"{inline}-INITIAL_FORMS": "0"}
    form |= {"event": str(eastern.pk), "shown_event": str(week.pk)}
    page = organizer.post(url, form).content.decode()
    (text,) = questions_of(page)
    assert "You chose another event. Times are now Eastern (New York)" in text
    answer = organizer.post(url, form | answers_of(page))
    assert answer.status_code == 302, answer.context["errors"]
    assert Session.objects.get(event=eastern).starts_at == dt.datetime(
        2027, 10, 16, 13, tzinfo=dt.UTC
    )


def test_lists_show_the_year_unless_it_is_this_one(organizer, week, clock):
    pages = [path(Session, "changelist"), path(Event, "changelist")]
    for url in pages:
        page = organizer.get(url).content.decode()
        assert ("Saturday, October 16" in page, "2027" in page) == (True, False)
    move_to(organizer, clock, NOW + dt.timedelta(days=365))
    for url in pages:
        assert "Saturday, October 16, 2027" in organizer.get(url).content.decode()


def test_questions_are_not_messages(organizer, opening):
    form = form_of(organizer, path(opening)) | {"starts_at_1": "10:00 AM"}
    assert messages_of(organizer.post(path(opening), form).content.decode()) == []


def test_end_that_is_kept_is_what_other_questions_go_by(organizer, opening):
    form = form_of(organizer, path(opening)) | {"starts_at_0": "10/15/2027"}
    page = post_twice(organizer, path(opening), form, end_moves="keep").content.decode()
    assert questions_of(page) == [
        "This session would be 28 hours long. If that's right, save again."
    ]
