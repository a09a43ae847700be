"""Which changes are announced, to whom, and when: once, after the edits have settled."""

import datetime as dt
from contextlib import ExitStack

import pytest
import time_machine
from django.utils import timezone

from events.models import AgendaItem
from events.schedule import cancel_session, edit_session, restore_session
from registrations import signup, tasks
from registrations.models import OutgoingMail
from tests.people import sign_up
from tests.registrations.mail.change_notices.edits import (
    MINUTE,
    move,
    rename,
    send_all,
    texts,
    written,
)

pytestmark = pytest.mark.django_db


def test_change_is_announced_once_ten_minutes_after_the_last_edit(week, opening, settled):
    sign_up(week)
    rename(opening, "A")
    assert settled(5) == []
    move(opening, hours=1)
    assert settled(9) == []
    assert settled(1) == [("changed", "Alice Adams")]
    assert settled(60) == [("changed", "Alice Adams")]


def test_only_people_registered_for_the_session_are_notified(week, opening, settled):
    sign_up(week)
    sign_up(week, "Bob B", sessions=list(week.sessions.exclude(pk=opening.pk)))
    signup.cancel(registration=sign_up(week, "Charlie C"))
    move(opening, hours=1)
    assert settled() == [("changed", "Alice Adams")]


def test_edit_undone_before_it_settled_sends_nothing(week, opening, settled):
    sign_up(week)
    rename(opening, "A")
    settled(5)
    rename(opening, week.sessions.get(pk=opening.pk).title.replace("A", opening.title))
    assert settled() == []


def test_cancellation_undone_before_it_settled_sends_nothing(week, opening, settled):
    sign_up(week)
    cancel_session(session=opening)
    settled(5)
    restore_session(session=opening)
    assert settled() == []


def test_people_who_register_while_it_settles_only_get_their_links(week, opening, settled):
    sign_up(week)
    rename(opening, "A")
    settled(5)
    sign_up(week, "Bob B", sessions=list(week.sessions.all()))
    assert settled(5) == [("changed", "Alice Adams")]


def test_people_who_registered_before_an_edit_was_undone_are_notified(week, opening, settled):
    before = opening.title
    rename(opening, "A")
    sign_up(week, sessions=list(week.sessions.all()))
    rename(opening, before)
    assert settled() == [("changed", "Alice Adams")]


@pytest.mark.parametrize(("hours", "notified"), [(2.9, True), (3.1, False)])
def test_change_of_a_session_that_starts_soon_is_announced_at_once(
    week, opening, settled, clock, hours, notified
):
    sign_up(week)
    clock.move_to(opening.starts_at - dt.timedelta(hours=hours))
    OutgoingMail.objects.all().delete()
    rename(opening, "A")
    queued = [kind for kind, _name in settled(0) if kind == "changed"]
    assert queued == (["changed"] if notified else [])


def test_change_of_a_session_that_would_have_started_soon_is_announced_at_once(
    week, opening, settled, clock
):
    sign_up(week)
    clock.move_to(opening.starts_at - dt.timedelta(hours=2))
    move(opening, days=2)
    assert ("changed", "Alice Adams") in settled(0)


def test_settle_time_is_a_setting_of_the_event(week, opening, settled):
    week.settle_minutes = 30
    week.save()
    sign_up(week)
    rename(opening, "A")
    assert settled(29) == []
    assert settled(1) == [("changed", "Alice Adams")]


def test_change_of_a_past_session_is_not_announced(week, opening, settled, clock):
    sign_up(week)
    clock.move_to(opening.ends_at + MINUTE)
    rename(opening, "A")
    assert [kind for kind, _name in settled() if kind == "changed"] == []


def test_new_name_of_a_speaker_is_news(week, opening, settled, admin_client):
    sign_up(week)
    speaker = week.speakers.filter(agenda_items__session=opening).first()
    with ExitStack() as edits:
        for session in week.sessions.all():
            edits.enter_context(edit_session(session.pk))
        speaker.name = "Another Name"
        speaker.save()
    assert settled() == [("schedule_update", "Alice Adams")]


def test_agenda_two_hours_before_settles_like_any_other(week, opening, settled, clock):
    sign_up(week)
    clock.move_to(opening.starts_at - dt.timedelta(hours=2))
    OutgoingMail.objects.all().delete()
    week.remind_minutes_before = week.remind_day_before = 0
    week.save()
    for number in range(3):
        with edit_session(opening.pk):
            AgendaItem.objects.create(session=opening, title=f"Item {number}")
        assert settled(1) == []
    assert settled(10) == [("schedule_update", "Alice Adams")]


def test_news_of_a_session_that_starts_soon_does_not_wait_for_other_sessions(
    week, opening, settled, clock
):
    sign_up(week)
    clock.move_to(opening.starts_at - dt.timedelta(hours=2))
    week.remind_minutes_before = week.remind_day_before = 0
    week.save()
    with edit_session(opening.pk):
        AgendaItem.objects.create(session=opening, title="A new item")
    assert settled(9) == []
    das = week.sessions.get(slug="das")
    with edit_session(das.pk):
        AgendaItem.objects.create(session=das, title="Another")
    assert settled(1) == [("schedule_update", "Alice Adams")]
    # One that's still waiting would show the other news, too.
    send_all()
    assert settled(8) == [("schedule_update", "Alice Adams")]
    assert settled(1) == [("schedule_update", "Alice Adams")] * 2


def test_new_passcode_during_a_session_is_announced_at_once(week, opening, settled, clock):
    sign_up(week)
    clock.move_to(opening.starts_at + 5 * MINUTE)
    with edit_session(opening.pk) as current:
        current.meeting.passcode = "new-code"
        current.meeting.save()
    assert ("changed", "Alice Adams") in settled(0)


def test_unpublished_session_is_canceled_for_its_attendees(week, opening, settled):
    sign_up(week)
    with edit_session(opening.pk) as current:
        current.status = "draft"
        current.save()
    assert settled() == [("canceled", "Alice Adams")]


def test_new_phone_number_or_passcode_is_a_change(week, opening, settled):
    sign_up(week)
    with edit_session(opening.pk) as current:
        current.meeting.passcode = "new-code"
        current.meeting.save()
    assert settled() == [("changed", "Alice Adams")]
    assert "code-1" in texts(written("changed"))[0]
    assert "new-code" in texts(written("changed"))[0]


def test_new_zoom_link_alone_is_no_change(week, opening, settled):
    """It is behind our own link, which stays the same."""
    sign_up(week)
    with edit_session(opening.pk) as current:
        current.meeting.join_url = "https://zoom.example/j/99"
        current.meeting.save()
    assert settled() == []


def test_new_agenda_sends_one_schedule_for_all_sessions(week, opening, settled):
    sign_up(week)
    sign_up(week, "Bob B", sessions=[week.sessions.get(slug="das")])
    for session in week.sessions.exclude(slug="das"):
        with edit_session(session.pk):
            AgendaItem.objects.create(session=session, title="A new item", minutes=5)
        assert settled(5) == []
    assert settled(5) == [("schedule_update", "Alice Adams")]
    assert settled(60) == [("schedule_update", "Alice Adams")]
    text, html = texts(written("schedule_update"))
    assert text.count("A new item") == html.count("A new item") == 5


def test_zoom_details_added_later_are_news_and_no_change(week, opening, settled):
    details = {"meeting_id": "1", "passcode": "2", "dial_in": "+1 669 900 6833"}
    opening.meeting.__class__.objects.filter(session=opening).update(**dict.fromkeys(details, ""))
    sign_up(week)
    with edit_session(opening.pk) as current:
        current.meeting.__class__.objects.filter(session=opening).update(**details)
        current.save()
    assert settled() == [("schedule_update", "Alice Adams")]


def test_corrected_address_gets_no_notice_of_earlier_changes(week, opening, settled):
    alice = sign_up(week)
    rename(opening, "A")
    signup.correct_email(registration=alice, email="new@example.org")
    assert settled() == [("schedule", "Alice Adams")]


def test_editing_that_fails_keeps_nothing(week, opening):
    def fail() -> None:
        with edit_session(opening.pk) as current:
            current.title = "A"
            current.save()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    opening.refresh_from_db()
    assert (opening.title != "A", opening.revision, opening.revised_at) == (True, 0, None)


def test_settle_time_counts_from_the_last_edit_that_attendees_can_notice(week, opening, settled):
    sign_up(week)
    rename(opening, "A")
    settled(9)
    with edit_session(opening.pk) as current:
        current.kind = "closing"
        current.save()
    assert settled(1) == [("changed", "Alice Adams")]


def test_queuing_notices_takes_the_same_queries_for_1_person_as_for_30(
    week, opening, settled, django_assert_num_queries
):
    for count in (1, 30):
        for number in range(count):
            sign_up(week, f"P{count}x{number} X", sessions=list(week.sessions.all()))
        rename(opening, f"Title {count}")
        later = timezone.now() + 11 * MINUTE
        with time_machine.travel(later, tick=False), django_assert_num_queries(28):
            tasks.queue_due_mails()
        send_all()
    assert OutgoingMail.objects.filter(kind="changed").count() == 1 + 31
