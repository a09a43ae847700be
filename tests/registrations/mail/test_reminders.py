"""Reminders, doors emails and thank-yous are queued when due, once, for the right people."""

import datetime as dt

import pytest
import time_machine
from django.utils import timezone

from events import weeks
from events.models import AgendaItem, Meeting, Session
from events.schedule import cancel_session, edit_session, restore_session
from registrations import seats, signup, tasks
from registrations.mail import change_notices, writer
from registrations.models import OutgoingMail, Seat
from registrations.outbox import delivery
from tests.people import sign_up

pytestmark = pytest.mark.django_db

HOUR = dt.timedelta(hours=1)
MINUTE = dt.timedelta(minutes=1)


@pytest.fixture
def opening(week) -> Session:
    return week.sessions.get(slug="opening")


@pytest.fixture
def evening(week, opening) -> Session:
    """A later session of the opening's day."""
    evening = week.sessions.get(slug="legislation")
    evening.starts_at, evening.ends_at = opening.starts_at + 9 * HOUR, opening.starts_at + 11 * HOUR
    evening.save()
    return evening


def queued_at(moment: dt.datetime) -> list[tuple[str, str]]:
    """The kind and reader of each email queued by that time, except links."""
    with time_machine.travel(moment, tick=False):
        tasks.queue_due_mails()
    queued = OutgoingMail.objects.exclude(kind="links").order_by("pk")
    return [(mail.kind, mail.registration.name) for mail in queued]


def test_reminders_are_queued_a_day_and_an_hour_before(week, opening):
    sign_up(week)
    start = opening.starts_at
    assert queued_at(start - 24 * HOUR - MINUTE) == []
    assert queued_at(start - 24 * HOUR) == [("day", "Alice Adams")]
    assert queued_at(start - HOUR - MINUTE) == [("day", "Alice Adams")]
    assert queued_at(start - HOUR) == [("day", "Alice Adams"), ("hour", "Alice Adams")]


def test_second_run_is_harmless(week, opening):
    sign_up(week)
    for _tick in range(3):
        assert len(queued_at(opening.starts_at - HOUR)) == 1


def test_missed_run_is_made_up_for_and_past_reminders_are_not_sent(week, opening):
    sign_up(week)
    start = opening.starts_at
    assert queued_at(start) == []
    assert queued_at(start - MINUTE) == [("hour", "Alice Adams")]


def test_late_day_reminder_is_replaced_by_the_hour_reminder(week, opening):
    sign_up(week)
    assert queued_at(opening.starts_at - 59 * MINUTE) == [("hour", "Alice Adams")]


def test_day_with_several_sessions_has_one_email(week, opening):
    second = week.sessions.get(slug="legislation")
    second.starts_at, second.ends_at = opening.ends_at + HOUR, opening.ends_at + 2 * HOUR
    second.save()
    sign_up(week)
    sign_up(week, "Bob B", sessions=[second])
    assert queued_at(opening.starts_at - 24 * HOUR) == [("day", "Alice Adams")]
    assert queued_at(second.starts_at - 24 * HOUR) == [("day", "Alice Adams"), ("day", "Bob B")]
    OutgoingMail.objects.all().delete()
    assert queued_at(opening.starts_at - HOUR) == [("hour", "Alice Adams"), ("day", "Bob B")]
    assert queued_at(second.starts_at - HOUR)[2:] == [("hour", "Bob B")]


def test_people_who_register_between_reminders_get_the_second(week, opening):
    with time_machine.travel(opening.starts_at - 10 * HOUR, tick=False):
        sign_up(week)
    assert queued_at(opening.starts_at - 9 * HOUR) == []
    assert queued_at(opening.starts_at - HOUR) == [("hour", "Alice Adams")]


def test_people_who_register_in_the_last_hour_get_only_their_links(week, opening):
    with time_machine.travel(opening.starts_at - 30 * MINUTE, tick=False):
        sign_up(week)
    assert queued_at(opening.starts_at - 29 * MINUTE) == []


def test_reminders_are_settings_of_the_event(week, opening):
    week.remind_day_before, week.remind_minutes_before = False, 0
    week.save()
    sign_up(week)
    assert queued_at(opening.starts_at - 24 * HOUR) == []
    assert queued_at(opening.starts_at - HOUR) == []
    week.remind_minutes_before = 90
    week.save()
    assert queued_at(opening.starts_at - 90 * MINUTE) == [("hour", "Alice Adams")]


@pytest.mark.parametrize("gone", ["canceled person", "canceled session", "draft", "waiting"])
def test_people_who_do_not_attend_are_not_reminded(week, opening, gone):
    alice = sign_up(week)
    if gone == "canceled person":
        signup.cancel(registration=alice)
    elif gone == "canceled session":
        Session.objects.filter(pk=opening.pk).update(canceled_at=timezone.now())
    elif gone == "draft":
        Session.objects.filter(pk=opening.pk).update(status="draft")
    else:
        Session.objects.update(capacity=0)
        Seat.objects.update(state="waiting", waiting_since=timezone.now())
    assert queued_at(opening.starts_at - HOUR) == []


@pytest.mark.parametrize(
    ("session", "reminder"),
    [
        # The clocks of Los Angeles go back on Nov 1, 2026, and forward on Mar 14, 2027, at 2 AM.
        ("2026-11-01 09:00", "2026-10-31 09:00"),
        ("2026-11-01 01:30", "2026-10-31 01:30"),
        ("2027-03-14 09:00", "2027-03-13 09:00"),
        ("2027-03-15 02:30", "2027-03-14 03:30"),
    ],
)
def test_day_reminder_is_at_the_same_hour_when_clocks_change(week, opening, session, reminder):
    def moment(text: str) -> dt.datetime:
        return dt.datetime.fromisoformat(text).replace(tzinfo=week.zone)

    Session.objects.exclude(pk=opening.pk).delete()
    opening.starts_at = moment(session)
    opening.ends_at = opening.starts_at + HOUR
    opening.save()
    with time_machine.travel(moment(reminder) - 48 * HOUR):
        sign_up(week)
    due = moment(reminder).astimezone(dt.UTC)
    assert queued_at(due - dt.timedelta(seconds=1)) == []
    assert queued_at(due) == [("day", "Alice Adams")]
    assert queued_at(due + HOUR) == [("day", "Alice Adams")]


def test_people_who_register_between_two_sessions_of_a_day_are_reminded_of_the_later(
    week, opening, evening
):
    with time_machine.travel(opening.starts_at + HOUR, tick=False):
        sign_up(week, sessions=[opening, evening])
    assert queued_at(evening.starts_at - HOUR) == [("hour", "Alice Adams")]


def test_people_who_missed_the_first_reminder_in_an_outage_are_reminded_of_the_second(
    week, opening, evening
):
    sign_up(week)
    assert queued_at(opening.starts_at - 24 * HOUR - MINUTE) == []
    assert queued_at(opening.starts_at) == [("day", "Alice Adams")]
    assert queued_at(evening.starts_at - HOUR) == [("day", "Alice Adams"), ("hour", "Alice Adams")]
    assert set(OutgoingMail.objects.filter(kind__in=["day", "hour"]).values_list("session")) == {
        (evening.pk,)
    }


@pytest.mark.parametrize("kind", ["day", "hour"])
def test_reminder_that_included_both_sessions_of_a_day_is_enough(
    week, opening, evening, smtp, kind
):
    """Also when only the later of the first one's reminders came."""
    sign_up(week)
    due = opening.starts_at - HOUR
    if kind == "day":
        week.remind_minutes_before = 0
        week.save()
        due = opening.starts_at - 24 * HOUR
    assert queued_at(due) == [(kind, "Alice Adams")]
    (subject,) = sent_at(due, smtp)
    (mail,) = [each for each in smtp.to("alice@example.org") if each["Subject"] == subject]
    text = " ".join(mail.get_body(("plain",)).get_content().split())
    assert opening.title in text
    assert evening.title in text
    for moment in (opening.starts_at, evening.starts_at - HOUR, evening.starts_at - MINUTE):
        assert queued_at(moment) == [(kind, "Alice Adams")]


@pytest.mark.parametrize("kind", ["day", "hour"])
def test_people_promoted_after_the_days_reminder_are_reminded_of_the_second_session(
    week, opening, evening, smtp, kind
):
    Session.objects.filter(pk=evening.pk).update(capacity=0)
    alice = sign_up(week, sessions=[opening, Session.objects.get(pk=evening.pk)])
    ahead = 24 * HOUR if kind == "day" else HOUR
    queued_at(opening.starts_at - ahead)
    sent_at(opening.starts_at - ahead, smtp)
    with time_machine.travel(opening.starts_at - ahead + 4 * HOUR, tick=False):
        seats.promote(seat=alice.seats.get(session=evening))
    assert queued_at(evening.starts_at - ahead - MINUTE)[-1] == ("promoted", "Alice Adams")
    for _run in range(2):
        queued_at(evening.starts_at - ahead)
    again = alice.mails.get(kind=kind, session=evening)
    *_earlier, subject = sent_at(evening.starts_at - ahead, smtp)
    again.refresh_from_db()
    assert again.state == "sent"
    if kind == "day":
        title = "Opening session"
        assert subject.startswith(f"Reminder: {title} tomorrow at 12:00 PM E")


def test_people_are_reminded_of_a_session_moved_to_a_day_whose_reminder_was_sent(
    week, opening, evening, smtp
):
    Session.objects.filter(pk=evening.pk).update(
        starts_at=evening.starts_at + 48 * HOUR, ends_at=evening.ends_at + 48 * HOUR
    )
    sign_up(week)
    queued_at(opening.starts_at - 24 * HOUR)
    sent_at(opening.starts_at - 24 * HOUR, smtp)
    with (
        time_machine.travel(opening.starts_at - 20 * HOUR, tick=False),
        edit_session(evening.pk) as current,
    ):
        current.starts_at, current.ends_at = evening.starts_at, evening.ends_at
        current.save()
    assert queued_at(evening.starts_at - 24 * HOUR - MINUTE)[1:] == [("changed", "Alice Adams")]
    assert queued_at(evening.starts_at - 24 * HOUR)[2:] == [("day", "Alice Adams")]


def test_reminder_dropped_while_the_session_was_canceled_is_queued_again(week, opening, smtp):
    sign_up(week)
    due = opening.starts_at - HOUR
    queued_at(due)
    cancel_session(session=opening)
    assert sent_at(due, smtp) == []
    restore_session(session=opening)
    queued_at(due)
    assert len(sent_at(due, smtp)) == 1
    queued_at(due)
    assert len(sent_at(due, smtp)) == 1


def test_agenda_edits_in_the_last_hour_do_not_stop_reminders(week, opening):
    week.remind_minutes_before = 60
    week.save()
    sign_up(week)
    with time_machine.travel(opening.starts_at - 65 * MINUTE, tick=False), edit_session(opening.pk):
        AgendaItem.objects.create(session=opening, title="A new item")
    assert queued_at(opening.starts_at - HOUR) == [("hour", "Alice Adams")]


def test_change_notice_replaces_a_reminder(week, opening):
    sign_up(week)
    due = opening.starts_at - 24 * HOUR
    with time_machine.travel(due - 5 * MINUTE, tick=False), edit_session(opening.pk) as current:
        current.title = "Another title"
        current.save()
    assert queued_at(due) == []
    assert queued_at(due + 5 * MINUTE) == [("changed", "Alice Adams")]
    assert queued_at(due + HOUR) == [("changed", "Alice Adams")]
    assert queued_at(opening.starts_at - HOUR)[1:] == [("hour", "Alice Adams")]


def test_doors_email_is_for_people_who_asked_for_it(week, opening):
    sign_up(week)
    sign_up(week, "Bob B", wants_doors_email=True)
    week.remind_day_before = week.remind_minutes_before = 0
    week.save()
    assert queued_at(opening.starts_at - 16 * MINUTE) == []
    assert queued_at(opening.starts_at - 15 * MINUTE) == [("doors", "Bob B")]
    assert queued_at(opening.starts_at - 14 * MINUTE) == [("doors", "Bob B")]


def test_doors_email_waits_for_a_link(week, opening):
    sign_up(week, wants_doors_email=True)
    week.remind_day_before = week.remind_minutes_before = 0
    week.save()
    Meeting.objects.filter(session=opening).update(join_url="")
    assert queued_at(opening.starts_at - 14 * MINUTE) == []
    Meeting.objects.filter(session=opening).update(join_url="https://zoom.example/j/1")
    assert queued_at(opening.starts_at - 13 * MINUTE) == [("doors", "Alice Adams")]


def test_doors_email_is_sent_at_the_start_if_doors_open_then(week, opening):
    week.doors_open_minutes = week.remind_minutes_before = 0
    week.remind_day_before = False
    week.save()
    sign_up(week, wants_doors_email=True)
    assert queued_at(opening.starts_at - MINUTE) == []
    assert queued_at(opening.starts_at) == [("doors", "Alice Adams")]


def test_doors_email_is_not_sent_after_the_start(week, opening):
    sign_up(week, wants_doors_email=True)
    assert queued_at(opening.starts_at) == []


def test_moved_session_has_another_reminder(week, opening):
    sign_up(week)
    assert len(queued_at(opening.starts_at - HOUR)) == 1
    Session.objects.filter(pk=opening.pk).update(
        starts_at=opening.starts_at + 2 * HOUR, ends_at=opening.ends_at + 2 * HOUR
    )
    assert queued_at(opening.starts_at + HOUR) == [("hour", "Alice Adams")] * 2


def test_thank_you_is_queued_a_day_after_the_last_session(week):
    sign_up(week)
    last = week.sessions.order_by("ends_at").last()
    assert queued_at(last.ends_at + 23 * HOUR) == []
    assert queued_at(last.ends_at + 24 * HOUR) == [("thanks", "Alice Adams")]
    assert queued_at(last.ends_at + 48 * HOUR) == [("thanks", "Alice Adams")]


def test_archived_week_sends_only_links_that_people_ask_for(week):
    person = sign_up(week)
    OutgoingMail.objects.update(state="sent", sent_at=timezone.now())
    last = week.sessions.last()
    assert queued_at(last.ends_at + 24 * HOUR) == [("thanks", "Alice Adams")]
    with time_machine.travel(last.ends_at + 24 * HOUR, tick=False):
        weeks.archive(event=week)
        signup.resend_links(registrations=[person])
        rows = list(OutgoingMail.objects.select_related("registration").order_by("-pk")[:2])
        write = writer.writer_for(rows)
        assert {mail.kind: write(mail) is not None for mail in rows} == {
            "links": True,
            "thanks": False,
        }


@pytest.mark.parametrize("hours", [None, 24])
def test_thank_you_is_not_sent_weeks_late_or_when_switched_off(week, hours):
    week.thank_after_hours = hours
    week.save()
    sign_up(week)
    last = week.sessions.order_by("ends_at").last()
    assert queued_at(last.ends_at + (9 * 24 if hours else 24) * HOUR) == []


def test_queueing_takes_the_same_queries_for_1_person_as_for_30(
    week, opening, django_assert_num_queries
):
    due = opening.starts_at - HOUR
    for count in (1, 30):
        for number in range(count):
            sign_up(week, f"P{count}x{number} X")
        with time_machine.travel(due, tick=False), django_assert_num_queries(20):
            tasks.queue_due_mails()
    assert OutgoingMail.objects.filter(kind="hour").count() == 31


def test_one_failing_check_does_not_stop_the_others(week, opening, monkeypatch, caplog):
    # The first check fails.
    monkeypatch.setattr(change_notices, "Event", None)
    sign_up(week)
    assert queued_at(opening.starts_at - HOUR) == [("hour", "Alice Adams")]
    assert "Failed for <function queue_changes" in caplog.text


# What has been queued is still asked, when it is written, whether its moment has passed.


def sent_at(moment: dt.datetime, smtp) -> list[str]:
    """The subjects of the mails, but the links, that leave at that moment."""
    with time_machine.travel(moment, tick=False):
        delivery.deliver_due(writer.writer_for)
    subjects = [received.message["Subject"] for received in smtp.messages]
    return [subject for subject in subjects if not subject.startswith("Your Zoom links")]


@pytest.mark.parametrize(
    ("late", "subjects"), [(59, 1), (61, 0)], ids=["before the start", "after the start"]
)
def test_reminder_that_waited_too_long_is_dropped(week, opening, smtp, late, subjects):
    sign_up(week)
    queued_at(opening.starts_at - HOUR)
    assert len(sent_at(opening.starts_at - HOUR + late * MINUTE, smtp)) == subjects
    state = "sent" if subjects else "dropped"
    assert OutgoingMail.objects.get(kind="hour").state == state


def test_late_reminder_is_replaced_by_that_of_the_days_second_session(week, opening, evening, smtp):
    week.remind_day_before = False
    week.save()
    sign_up(week)
    queued_at(opening.starts_at - HOUR)
    # Until it is written it may yet be on its way.
    assert queued_at(evening.starts_at - HOUR) == [("hour", "Alice Adams")]
    assert sent_at(evening.starts_at - HOUR, smtp) == []
    for _tick in range(2):
        queued_at(evening.starts_at - HOUR)
        assert len(sent_at(evening.starts_at - HOUR, smtp)) == 1
    reminders_of = OutgoingMail.objects.filter(kind="hour").values_list("session", "state")
    assert set(reminders_of) == {(opening.pk, "dropped"), (evening.pk, "sent")}


def test_reminder_says_today_or_tomorrow_by_the_readers_clock(week, opening, smtp):
    sign_up(week, time_zone="America/New_York")
    queued_at(opening.starts_at - 24 * HOUR)
    queued_at(opening.starts_at - HOUR)
    with time_machine.travel(opening.starts_at - 24 * HOUR, tick=False):
        OutgoingMail.objects.filter(kind="hour").update(due_at=opening.starts_at - HOUR)
    (day,) = sent_at(opening.starts_at - 24 * HOUR, smtp)
    _day, hour = sent_at(opening.starts_at - HOUR, smtp)
    assert day.startswith("Reminder: Opening session tomorrow at 12:00 PM E")
    assert hour.startswith("Starting soon: Opening session today at 12:00")


def test_reminder_of_a_session_moved_away_is_dropped(week, opening, smtp):
    sign_up(week)
    queued_at(opening.starts_at - HOUR)
    Session.objects.filter(pk=opening.pk).update(
        starts_at=opening.starts_at + 2 * HOUR, ends_at=opening.ends_at + 2 * HOUR
    )
    assert sent_at(opening.starts_at - HOUR, smtp) == []
