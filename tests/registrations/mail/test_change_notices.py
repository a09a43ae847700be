"""What people are told when a session changes: once, when the edits have settled."""

import datetime as dt
import email.policy
from contextlib import ExitStack
from email import message_from_bytes

import pytest
import time_machine
from django.core.mail.backends.base import BaseEmailBackend
from django.utils import timezone
from icalendar import Calendar

from events.models import AgendaItem, Session
from events.schedule import cancel_session, edit_session, restore_session
from registrations import access_needs, seats, signup, tasks
from registrations.mail import enqueue, writer
from registrations.models import AccessNeed, MailText, OutgoingMail, Registration, Seat
from registrations.outbox import delivery, mail_queue
from registrations.outbox.connection import ConnectionFailed
from tests.people import sign_up

pytestmark = pytest.mark.django_db

NOW = dt.datetime(2026, 9, 1, 12, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)


@pytest.fixture(autouse=True)
def clock():
    """A clock that stands still until a test moves it."""
    with time_machine.travel(NOW, tick=False) as clock:
        yield clock


@pytest.fixture
def settled(clock):
    """Let ten minutes pass and ask what is owed."""

    def settled(minutes: float = 10) -> list[tuple[str, str]]:
        clock.shift(minutes * MINUTE)
        tasks.queue_due_mails()
        queued = OutgoingMail.objects.exclude(kind="links").order_by("pk")
        return [(mail.kind, mail.registration.name) for mail in queued]

    return settled


def have_left() -> None:
    """All mails that wait are sent."""
    OutgoingMail.objects.filter(state="waiting").update(state="sent", sent_at=timezone.now())


def move(session: Session, **by: float) -> None:
    with edit_session(session.pk) as current:
        current.starts_at += dt.timedelta(**by)
        current.ends_at += dt.timedelta(**by)
        current.save()


def rename(session: Session, title: str) -> None:
    with edit_session(session.pk) as current:
        current.title = title
        current.save()


def written(kind: str, name: str = ""):
    """The newest mail of this kind, perhaps to this person, as it would travel, parsed again."""
    to = {"registration__name": name} if name else {}
    mail = OutgoingMail.objects.filter(kind=kind, **to).latest("pk")
    message = writer.writer_for([mail])(mail)
    mail_id = {"Message-ID": "<1@localhost>"}
    message.extra_headers |= mail_id
    return message_from_bytes(message.message().as_bytes(), policy=email.policy.default)


def words(message) -> tuple[str, str]:
    return (
        " ".join(message.get_body(("plain",)).get_content().split()),
        " ".join(message.get_body(("html",)).get_content().split()),
    )


def calendar_parts(message) -> list:
    return [part for part in message.walk() if part.get_content_type() == "text/calendar"]


def test_change_is_announced_once_ten_minutes_after_the_last_edit(week, opening, settled):
    sign_up(week)
    rename(opening, "A")
    assert settled(5) == []
    move(opening, hours=1)
    assert settled(9) == []
    assert settled(1) == [("changed", "Alice Adams")]
    assert settled(60) == [("changed", "Alice Adams")]


def test_only_those_registered_for_the_session_are_told(week, opening, settled):
    sign_up(week)
    sign_up(week, "Bob B", sessions=list(week.sessions.exclude(pk=opening.pk)))
    signup.cancel(registration=sign_up(week, "Charlie C"))
    move(opening, hours=1)
    assert settled() == [("changed", "Alice Adams")]


def test_changing_back_before_it_settled_sends_nothing(week, opening, settled):
    sign_up(week)
    rename(opening, "A")
    settled(5)
    rename(opening, week.sessions.get(pk=opening.pk).title.replace("A", opening.title))
    assert settled() == []


def test_canceling_and_restoring_before_it_settled_sends_nothing(week, opening, settled):
    sign_up(week)
    cancel_session(session=opening)
    settled(5)
    restore_session(session=opening)
    assert settled() == []


def test_whoever_registers_while_it_settles_is_told_by_the_links_mail_alone(week, opening, settled):
    sign_up(week)
    rename(opening, "A")
    settled(5)
    sign_up(week, "Bob B", sessions=list(week.sessions.all()))
    assert settled(5) == [("changed", "Alice Adams")]


def test_whoever_registered_with_what_was_changed_back_is_told_so(week, opening, settled):
    before = opening.title
    rename(opening, "A")
    sign_up(week, sessions=list(week.sessions.all()))
    rename(opening, before)
    assert settled() == [("changed", "Alice Adams")]


# What a mail shows of edits that have not settled


@pytest.fixture
def two(week):
    """Alice and Bob, who have their links."""
    people = [sign_up(week, name) for name in ("Alice Adams", "Bob B")]
    have_left()
    return people


def leave(kind: str, name: str = "Alice Adams") -> None:
    """Someone's newest mail of this kind is written, and leaves."""
    mail = OutgoingMail.objects.filter(kind=kind, registration__name=name).latest("pk")
    writer.note_left([writer.writer_for([mail])(mail)])
    OutgoingMail.objects.filter(pk=mail.pk).update(state="sent", sent_at=timezone.now())


def links_again(person: Registration) -> None:
    """Someone asks for the links again, and they leave."""
    enqueue.queue_links([person], before={person.pk: person.mails.count()})
    leave("links", person.name)


def test_what_a_mail_showed_and_was_taken_back_is_told_to_its_reader_alone(two, opening, settled):
    before = opening.title
    rename(opening, "Mistake")
    links_again(two[0])
    rename(opening, before)
    assert settled() == [("changed", "Alice Adams")]
    text, html = words(written("changed"))
    for said in (text, html):
        assert said.index("Mistake") < said.rindex(before)
    have_left()
    rename(opening, "Another")
    assert sorted(settled()[1:]) == [("changed", "Alice Adams"), ("changed", "Bob B")]
    assert "Mistake" not in words(written("changed", "Alice Adams"))[0]


def test_what_a_mail_showed_and_stands_is_told_once_to_all(two, opening, settled):
    before = opening.title
    rename(opening, "Another")
    links_again(two[0])
    links_again(two[0])
    assert sorted(settled()) == [("changed", "Alice Adams"), ("changed", "Bob B")]
    assert before in words(written("changed", "Alice Adams"))[0]
    assert len(settled()) == 2


def test_notice_says_what_its_reader_was_shown_last(two, opening, settled):
    rename(opening, "Mistake")
    links_again(two[0])
    rename(opening, "Another")
    assert len(settled()) == 2
    assert "Mistake" in words(written("changed", "Alice Adams"))[0]
    assert "Mistake" not in words(written("changed", "Bob B"))[0]


def test_mistake_that_was_shown_is_told_of_although_later_mails_show_what_holds(
    two, opening, settled
):
    before = opening.title
    rename(opening, "Mistake")
    links_again(two[0])
    rename(opening, before)
    with edit_session(opening.pk) as session:
        AgendaItem.objects.create(session=session, title="A song")
    links_again(two[0])
    assert sorted(settled()) == [("changed", "Alice Adams"), ("schedule", "Bob B")]


def test_agenda_that_was_shown_and_taken_back_is_told_to_its_reader_alone(two, opening, settled):
    with edit_session(opening.pk) as session:
        AgendaItem.objects.create(session=session, title="A song")
    links_again(two[0])
    with edit_session(opening.pk) as session:
        session.agenda.filter(title="A song").delete()
    assert settled() == [("schedule", "Alice Adams")]


def test_mistake_in_a_notice_that_was_taken_back_is_told_of(two, opening, settled):
    rename(opening, "Another")
    settled()
    rename(opening, "Mistake")
    assert "Mistake" in words(written("changed", "Alice Adams"))[0]
    leave("changed")
    have_left()
    rename(opening, "Another")
    assert settled()[2:] == [("changed", "Alice Adams")]


def test_mistaken_time_in_word_on_access_is_told_of_when_it_is_taken_back(week, opening, settled):
    alice = sign_up(week, needs_captions=True)
    have_left()
    needs = AccessNeed.objects.filter(seat__registration=alice)
    access_needs.arrange(needs=needs)
    access_needs.confirm(needs=needs)
    move(opening, hours=1)
    leave("access")
    move(opening, hours=-1)
    assert settled()[-1] == ("changed", "Alice Adams")


def test_reminder_waits_for_word_on_a_mistake_that_was_shown(two, opening, settled, clock):
    clock.move_to(opening.day_reminder_at - MINUTE)
    before = opening.title
    rename(opening, "Mistake")
    links_again(two[0])
    rename(opening, before)
    assert settled(2) == [("day", "Bob B")]
    assert settled(8)[1:] == [("changed", "Alice Adams")]


@pytest.mark.parametrize(("hours", "told"), [(2.9, True), (3.1, False)])
def test_session_that_starts_soon_is_told_of_at_once(week, opening, settled, clock, hours, told):
    sign_up(week)
    clock.move_to(opening.starts_at - dt.timedelta(hours=hours))
    OutgoingMail.objects.all().delete()
    rename(opening, "A")
    queued = [kind for kind, _name in settled(0) if kind == "changed"]
    assert queued == (["changed"] if told else [])


def test_session_that_was_to_start_soon_is_told_of_at_once(week, opening, settled, clock):
    sign_up(week)
    clock.move_to(opening.starts_at - dt.timedelta(hours=2))
    move(opening, days=2)
    assert ("changed", "Alice Adams") in settled(0)


def test_time_to_settle_is_a_setting_of_the_event(week, opening, settled):
    week.settle_minutes = 30
    week.save()
    sign_up(week)
    rename(opening, "A")
    assert settled(29) == []
    assert settled(1) == [("changed", "Alice Adams")]


def test_session_that_is_over_is_not_told_of(week, opening, settled, clock):
    sign_up(week)
    clock.move_to(opening.ends_at + MINUTE)
    rename(opening, "A")
    assert [kind for kind, _name in settled() if kind == "changed"] == []


def test_notice_says_what_was_and_what_is_now(week, opening, settled):
    sign_up(week, time_zone="America/New_York")
    title = opening.title
    with edit_session(opening.pk) as current:
        current.title = "The kickoff"
        current.starts_at += dt.timedelta(hours=1)
        current.save()
    settled()
    message = written("changed")
    assert message["Subject"] == "Changed: The kickoff"
    for body in words(message):
        assert title in body
        assert "The kickoff" in body
        assert "12:00 PM to 4:00 PM E" in body
        assert "1:00 PM to 4:00 PM E" in body
        assert "/join/" in body


def test_notice_replaces_the_calendar_entry_in_place(week, opening, settled):
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


def test_canceled_session_is_taken_out_of_calendars(week, opening, settled):
    alice = sign_up(week)
    cancel_session(session=opening)
    assert settled() == [("canceled", "Alice Adams")]
    message = written("canceled")
    inline, _attached = calendar_parts(message)
    calendar = Calendar.from_ical(inline.get_content())
    assert (inline.get_param("method"), str(calendar["METHOD"])) == ("CANCEL", "CANCEL")
    assert str(calendar.events[0]["STATUS"]) == "CANCELLED"
    assert calendar.events[0]["SEQUENCE"] == 1
    for body in words(message):
        assert opening.title in body
        assert f"/join/{alice.token}/opening/" not in body


def test_session_that_is_on_again_is_told_of(week, opening, settled):
    sign_up(week)
    cancel_session(session=opening)
    settled()
    have_left()
    restore_session(session=opening)
    assert settled() == [("canceled", "Alice Adams"), ("changed", "Alice Adams")]
    assert "takes place after all" in words(written("changed"))[0]


def test_organizers_own_words_on_changes_give_way_when_it_is_on_again(week, opening, settled):
    own = {"subject": "New time for {session}", "opening": "See you then."}
    MailText.objects.create(event=week, kind="changed", **own)
    sign_up(week)
    cancel_session(session=opening)
    settled()
    have_left()
    restore_session(session=opening)
    settled()
    message = written("changed")
    assert message["Subject"] == f"On again: {opening.title}"
    assert "See you then." not in words(message)[0]


def test_cancellation_that_nobody_read_yet_is_taken_back_without_a_word(week, opening, settled):
    sign_up(week)
    cancel_session(session=opening)
    settled()
    restore_session(session=opening)
    settled()
    states = OutgoingMail.objects.exclude(kind="links").values_list("kind", "state")
    assert list(states) == [("canceled", "dropped")]


def test_two_changes_of_which_the_first_still_waits_are_told_in_one(week, opening, settled):
    sign_up(week)
    title = opening.title
    rename(opening, "Never heard of")
    settled()
    rename(opening, "The kickoff")
    settled()
    states = OutgoingMail.objects.exclude(kind="links").order_by("pk").values_list("state")
    assert [state for (state,) in states] == ["dropped", "waiting"]
    text, _html = words(written("changed"))
    assert title in text
    assert "Never heard of" not in text


def test_speaker_who_gets_another_name_is_news(week, opening, settled, admin_client):
    sign_up(week)
    speaker = week.speakers.filter(agenda_items__session=opening).first()
    with ExitStack() as edits:
        for session in week.sessions.all():
            edits.enter_context(edit_session(session.pk))
        speaker.name = "Another Name"
        speaker.save()
    assert settled() == [("schedule", "Alice Adams")]


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
    assert settled(10) == [("schedule", "Alice Adams")]


def test_news_of_what_starts_soon_waits_for_no_edits_of_other_sessions(
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
    assert settled(1) == [("schedule", "Alice Adams")]
    assert settled(8) == [("schedule", "Alice Adams")]
    assert settled(1) == [("schedule", "Alice Adams")] * 2


def test_passcode_that_changes_amid_a_session_is_told_at_once(week, opening, settled, clock):
    sign_up(week)
    clock.move_to(opening.starts_at + 5 * MINUTE)
    with edit_session(opening.pk) as current:
        current.meeting.passcode = "new-code"
        current.meeting.save()
    assert ("changed", "Alice Adams") in settled(0)


def test_session_taken_off_the_public_page_is_canceled_for_those_who_come(week, opening, settled):
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
    assert "code-1" in words(written("changed"))[0]
    assert "new-code" in words(written("changed"))[0]


def test_new_zoom_link_alone_is_none(week, opening, settled):
    """It is behind our own link, which stays the same."""
    sign_up(week)
    with edit_session(opening.pk) as current:
        current.meeting.join_url = "https://zoom.example/j/99"
        current.meeting.save()
    assert settled() == []


def test_agenda_that_changes_sends_the_detailed_schedule_once_for_all_sessions(
    week, opening, settled
):
    sign_up(week)
    sign_up(week, "Bob B", sessions=[week.sessions.get(slug="das")])
    for session in week.sessions.exclude(slug="das"):
        with edit_session(session.pk):
            AgendaItem.objects.create(session=session, title="A new item", minutes=5)
        assert settled(5) == []
    assert settled(5) == [("schedule", "Alice Adams")]
    assert settled(60) == [("schedule", "Alice Adams")]
    text, html = words(written("schedule"))
    assert text.count("A new item") == html.count("A new item") == 5


def test_zoom_details_that_come_later_are_news_and_no_change(week, opening, settled):
    details = {"meeting_id": "1", "passcode": "2", "dial_in": "+1 669 900 6833"}
    opening.meeting.__class__.objects.filter(session=opening).update(**dict.fromkeys(details, ""))
    sign_up(week)
    with edit_session(opening.pk) as current:
        current.meeting.__class__.objects.filter(session=opening).update(**details)
        current.save()
    assert settled() == [("schedule", "Alice Adams")]


def test_corrected_address_is_not_told_of_changes_of_what_it_never_knew(week, opening, settled):
    alice = sign_up(week)
    rename(opening, "A")
    signup.correct_email(registration=alice, email="new@example.org")
    assert settled() == []


def test_notice_is_dropped_when_it_is_no_longer_true(week, opening, settled):
    sign_up(week)
    title = opening.title
    rename(opening, "A")
    settled()
    rename(opening, title)
    settled(11)
    mail = OutgoingMail.objects.get(kind="changed")
    assert (mail.state, writer.writer_for([mail])(mail)) == ("dropped", None)


# A notice that waits while somebody edits


@pytest.fixture
def sent(clock, mailoutbox):
    """A minute or more later the worker sends what waits: its subjects and to whom."""

    def sent(minutes: float = 1) -> list[tuple[str, str]]:
        mailoutbox.clear()
        clock.shift(minutes * MINUTE)
        delivery.deliver_due(writer.writer_for, note_left=writer.note_left)
        return sorted((mail.subject.partition(":")[0], mail.to[0]) for mail in mailoutbox)

    return sent


ALICE, BOB = "alice@example.org", "bob@example.org"


def test_cancellation_that_waits_amid_edits_is_not_forgotten(two, opening, settled, sent):
    cancel_session(session=opening)
    settled()
    restore_session(session=opening)
    assert sent() == []
    cancel_session(session=opening)
    assert sent(11) == [("Canceled", ALICE), ("Canceled", BOB)]


def test_change_that_waits_while_its_session_is_canceled_by_mistake_is_told(
    two, opening, settled, sent
):
    move(opening, hours=1)
    settled()
    cancel_session(session=opening)
    assert sent() == []
    restore_session(session=opening)
    assert sent(11) == [("Changed", ALICE), ("Changed", BOB)]


def test_cancellation_that_nobody_read_is_taken_back_without_a_word_although_it_was_due(
    two, opening, settled, sent
):
    cancel_session(session=opening)
    settled()
    restore_session(session=opening)
    assert sent() == []
    settled()
    assert sent() == []
    assert set(OutgoingMail.objects.exclude(kind="links").values_list("state", flat=True)) == {
        "dropped"
    }


def test_worker_that_comes_before_the_tick_drops_no_notice_that_nobody_read(
    two, opening, settled, sent
):
    cancel_session(session=opening)
    settled()
    restore_session(session=opening)
    assert sent(10) == []
    assert settled(0)[2:] == []
    assert sent() == []
    assert [mail.state for mail in OutgoingMail.objects.filter(kind="canceled")] == ["dropped"] * 2


def test_links_that_overtook_a_notice_are_put_right_when_it_is_taken_back(two, opening, settled):
    before = opening.title
    rename(opening, "Mistake")
    settled()
    enqueue.queue_links(two[:1], before={two[0].pk: 1})
    leave("links")
    rename(opening, before)
    settled()
    (mail,) = OutgoingMail.objects.filter(kind="changed", state="waiting")
    assert (mail.registration, mail.was.title) == (two[0], "Mistake")


def test_notice_that_shows_a_newer_edit_tells_it(two, opening, settled):
    rename(opening, "Another")
    settled()
    rename(opening, "Yet another")
    leave("changed")
    settled()
    told = OutgoingMail.objects.filter(kind="changed").exclude(state="dropped")
    assert sorted(told.values_list("registration__name", "state")) == [
        ("Alice Adams", "sent"),
        ("Bob B", "waiting"),
    ]


def test_mail_that_was_written_before_an_edit_was_taken_back_and_leaves_after(
    two, opening, settled
):
    before = opening.title
    rename(opening, "Mistake")
    enqueue.queue_links(two[:1], before={two[0].pk: 1})
    mail = OutgoingMail.objects.get(state="waiting")
    message = writer.writer_for([mail])(mail)
    rename(opening, before)
    settled(1)
    writer.note_left([message])
    have_left()
    assert settled() == [("changed", "Alice Adams")]


def test_session_that_a_reminder_left_out_is_told_to_be_on_again(
    two, week, opening, settled, clock
):
    evening = week.sessions.last()
    length = evening.ends_at - evening.starts_at
    evening.starts_at = opening.ends_at + dt.timedelta(hours=1)
    evening.ends_at = evening.starts_at + length
    evening.save()
    clock.move_to(opening.hour_reminder_at)
    tasks.queue_due_mails()
    cancel_session(session=evening)
    leave("hour")
    restore_session(session=evening)
    have_left()
    assert ("changed", "Alice Adams") in settled()


def test_place_from_the_waiting_list_is_told_of_after_a_cancellation_by_mistake(
    two, opening, settled, sent
):
    seat = two[1].seats.get(session=opening)
    Seat.objects.filter(pk=seat.pk).update(state="waiting", waiting_since=NOW)
    assert seats.promote(seat=seat)
    cancel_session(session=opening)
    assert sent() == []
    restore_session(session=opening)
    assert [to for _subject, to in sent(11)] == [BOB]


def test_word_on_access_waits_while_its_session_is_canceled_by_mistake(
    week, opening, settled, sent
):
    alice = sign_up(week, needs_captions=True)
    have_left()
    needs = AccessNeed.objects.filter(seat__registration=alice, seat__session=opening)
    access_needs.arrange(needs=needs)
    access_needs.confirm(needs=needs)
    cancel_session(session=opening)
    assert sent() == []
    restore_session(session=opening)
    assert len(sent(11)) == 1


@pytest.mark.parametrize("tries", [1, 2])
def test_notice_in_a_workers_hands_is_followed_by_another_when_it_is_taken_back(
    two, opening, settled, clock, tries
):
    clock.move_to(opening.starts_at - dt.timedelta(hours=2))
    cancel_session(session=opening)
    settled(0)
    first, other = mail_queue.claim()
    if tries == 2:
        delivery.record_outcome(
            first, ConnectionFailed("SMTPServerDisconnected: gone", had_mail=False)
        )
        clock.shift(MINUTE)
        (first,) = mail_queue.claim()
    delivery.hand_back([other], due_at=timezone.now())
    restore_session(session=opening)
    told = [name for kind, name in settled(0) if kind == "changed"]
    assert told == [first.registration.name]


@pytest.mark.parametrize("may_have_arrived", [True, False])
def test_notice_that_failed_is_taken_back_without_a_word_unless_it_may_have_arrived(
    two, opening, settled, clock, may_have_arrived
):
    clock.move_to(opening.starts_at - dt.timedelta(hours=2))
    cancel_session(session=opening)
    settled(0)
    first, other = mail_queue.claim()
    delivery.record_outcome(
        first, ConnectionFailed("SMTPServerDisconnected: gone", had_mail=may_have_arrived)
    )
    delivery.hand_back([other], due_at=timezone.now())
    restore_session(session=opening)
    told = [name for kind, name in settled(0) if kind == "changed"]
    assert told == [first.registration.name] * may_have_arrived


def test_what_was_written_and_never_left_was_not_shown(two, opening, settled, sent, settings):
    enqueue.queue_links(two[:1], before={two[0].pk: 1})
    before, backend = opening.title, settings.EMAIL_BACKEND
    rename(opening, "Mistake")
    settings.EMAIL_BACKEND = "tests.registrations.mail.test_change_notices.Away"
    assert sent() == []
    settings.EMAIL_BACKEND = backend
    rename(opening, before)
    assert sent() == [("Your links for Drop LWOP Strategy Week", ALICE)]
    assert settled() == []


class Away(BaseEmailBackend):
    """A mail server that is away."""

    def open(self) -> bool:
        raise ConnectionRefusedError


def test_mistake_that_was_shown_is_told_of_although_the_notice_before_it_was_never_read(
    two, opening, settled
):
    before = opening.title
    rename(opening, "Another")
    settled()
    rename(opening, "Mistake")
    enqueue.queue_links(two[:1], before={two[0].pk: 1})
    leave("links")
    rename(opening, before)
    settled()
    (mail,) = OutgoingMail.objects.filter(kind="changed", state="waiting")
    assert (mail.registration, mail.was.title) == (two[0], "Mistake")


def test_what_was_shown_is_asked_once_for_a_batch(
    week, opening, settled, django_assert_max_num_queries
):
    people = [sign_up(week, f"P{number} X") for number in range(20)]
    have_left()
    for session in week.sessions.all():
        rename(session, f"{session.title}, anew")
    enqueue.queue_links(people, before={person.pk: 1 for person in people})
    batch = list(OutgoingMail.objects.filter(state="waiting").select_related("registration"))
    with django_assert_max_num_queries(32):
        write = writer.writer_for(batch)
        writer.note_left([write(mail) for mail in batch])
    assert Seat.objects.filter(shown_revision=1).count() == 20 * 6


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


def test_settling_counts_from_the_last_edit_that_people_would_notice(week, opening, settled):
    sign_up(week)
    rename(opening, "A")
    settled(9)
    with edit_session(opening.pk) as current:
        current.kind = "closing"
        current.save()
    assert settled(1) == [("changed", "Alice Adams")]


# Those who wait for a place


@pytest.fixture
def bob(week, opening) -> Registration:
    """Bob, who waits for a place in the opening session, where Alice has the only one."""
    Session.objects.filter(pk=opening.pk).update(capacity=1)
    sign_up(week, sessions=[week.sessions.get(pk=opening.pk)])
    return sign_up(week, "Bob B", sessions=[week.sessions.get(pk=opening.pk)])


def test_whoever_waits_is_told_once_when_it_settled(bob, opening, settled):
    move(opening, hours=1)
    assert settled(9) == []
    told = [("changed", "Alice Adams"), ("changed", "Bob B")]
    assert sorted(settled(1)) == told
    assert sorted(settled(60)) == told


def test_whoever_waits_reads_of_the_waiting_list_and_gets_no_link(bob, opening, settled):
    with edit_session(opening.pk) as current:
        current.title = "The kickoff"
        current.meeting.passcode = "new-code"
        current.meeting.save()
        current.save()
    settled()
    message = written("changed", "Bob B")
    assert message["Subject"] == "Changed: The kickoff"
    for body in words(message):
        assert opening.title in body
        assert "The kickoff" in body
        assert "You are still waiting for a place." in body
        assert f"/me/{bob.token}/" in body
        secrets = ("/join/", "code-1", "new-code", "Your personal link", "registered for")
        assert [secret for secret in secrets if secret in body] == []
    assert "/join/" in words(written("changed", "Alice Adams"))[0]


def test_whoever_waits_gets_the_tentative_entry_of_their_feed(client, bob, opening, settled):
    move(opening, hours=1)
    settled()
    inline, _attached = calendar_parts(written("changed", "Bob B"))
    notice = Calendar.from_ical(inline.get_content())
    assert (inline.get_param("method"), str(notice["METHOD"])) == ("REQUEST", "REQUEST")
    (told,) = notice.events
    (fed,) = Calendar.from_ical(client.get(f"/calendar/{bob.token}.ics").content).events
    attendee = told.pop("ATTENDEE")
    assert (str(attendee), attendee.params["PARTSTAT"]) == ("mailto:bob@example.org", "TENTATIVE")
    assert (told["STATUS"], told["SEQUENCE"], told.subcomponents) == ("TENTATIVE", 1, [])
    assert told.to_ical() == fed.to_ical()


def test_whoever_waits_learns_that_the_waiting_list_is_over(client, bob, opening, settled):
    cancel_session(session=opening)
    assert sorted(settled()) == [("canceled", "Alice Adams"), ("canceled", "Bob B")]
    message = written("canceled", "Bob B")
    for body in words(message):
        assert "so the waiting list is over" in body
        assert "registered for" not in body
        assert "/join/" not in body
    inline, _attached = calendar_parts(message)
    notice = Calendar.from_ical(inline.get_content())
    assert (inline.get_param("method"), str(notice["METHOD"])) == ("CANCEL", "CANCEL")
    (fed,) = Calendar.from_ical(client.get(f"/calendar/{bob.token}.ics").content).events
    del notice.events[0]["ATTENDEE"]
    assert notice.events[0].to_ical() == fed.to_ical()


def test_whoever_waits_is_told_that_it_is_on_again(bob, opening, settled):
    cancel_session(session=opening)
    settled()
    have_left()
    restore_session(session=opening)
    settled()
    assert "You are on its waiting list again" in words(written("changed", "Bob B"))[0]
    assert "Your personal link stays" in words(written("changed", "Alice Adams"))[0]


def test_whoever_waits_is_told_nothing_of_how_to_join_and_of_the_agenda(bob, opening, settled):
    with edit_session(opening.pk) as current:
        current.meeting.passcode = "new-code"
        current.meeting.save()
    assert settled() == [("changed", "Alice Adams")]
    with edit_session(opening.pk):
        AgendaItem.objects.create(session=opening, title="A new item")
    assert settled() == [("changed", "Alice Adams"), ("schedule", "Alice Adams")]


def test_organizers_own_words_are_for_those_who_have_a_place(week, bob, opening, settled):
    MailText.objects.create(event=week, kind="changed", opening="Your link is below.")
    move(opening, hours=1)
    settled()
    assert "Your link is below." in words(written("changed", "Alice Adams"))[0]
    assert "Your link is below." not in words(written("changed", "Bob B"))[0]


def test_notice_that_waits_says_where_its_reader_stands_when_it_leaves(bob, opening, settled):
    move(opening, hours=1)
    settled()
    seats.promote(seat=bob.seats.get())
    assert "/join/" in words(written("changed", "Bob B"))[0]
    bob.seats.get().delete()
    settled(11)
    mail = OutgoingMail.objects.get(kind="changed", registration=bob)
    assert writer.writer_for([mail])(mail) is None


def test_telling_takes_the_same_queries_for_1_person_as_for_30(
    week, opening, settled, django_assert_num_queries
):
    for count in (1, 30):
        for number in range(count):
            sign_up(week, f"P{count}x{number} X", sessions=list(week.sessions.all()))
        rename(opening, f"Title {count}")
        later = timezone.now() + 11 * MINUTE
        with time_machine.travel(later, tick=False), django_assert_num_queries(22):
            tasks.queue_due_mails()
        have_left()
    assert OutgoingMail.objects.filter(kind="changed").count() == 1 + 31
