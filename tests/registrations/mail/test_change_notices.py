"""Change notices: one per person, once the edits have settled."""

import datetime as dt
import email.policy
import html
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
from tests.people import sign_up

pytestmark = pytest.mark.django_db

NOW = dt.datetime(2026, 9, 1, 12, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)
MODULE = "tests.registrations.mail.test_change_notices"


@pytest.fixture(autouse=True)
def clock():
    """A clock that starts at the same moment in each test."""
    with time_machine.travel(NOW) as clock:
        yield clock


@pytest.fixture
def settled(clock):
    """Let ten minutes pass, and list what is queued."""

    def settled(minutes: float = 10) -> list[tuple[str, str]]:
        clock.shift(minutes * MINUTE)
        tasks.queue_due_mails()
        queued = OutgoingMail.objects.exclude(kind="links").order_by("pk")
        return [(mail.kind, mail.registration.name) for mail in queued]

    return settled


def send_all() -> None:
    """All waiting emails are sent now."""
    now = timezone.now()
    OutgoingMail.objects.filter(state="waiting").update(state="sent", sent_at=now, claimed_at=now)


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
    """The newest email of this kind, maybe to this person, as it is sent, parsed again."""
    to = {"registration__name": name} if name else {}
    mail = OutgoingMail.objects.filter(kind=kind, **to).latest("pk")
    message = writer.writer_for([mail])(mail)
    mail_id = {"Message-ID": "<1@localhost>"}
    message.extra_headers |= mail_id
    return message_from_bytes(message.message().as_bytes(), policy=email.policy.default)


def texts(message) -> tuple[str, str]:
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


# Emails that show edits before they have settled


@pytest.fixture
def two(week):
    """Alice and Bob, who have their links."""
    people = [sign_up(week, name) for name in ("Alice Adams", "Bob B")]
    send_all()
    return people


def send(clock, kind: str, name: str = "Alice Adams") -> None:
    """Someone's newest email of this kind is sent, a few seconds after the last edit."""
    clock.shift(3)
    mail = OutgoingMail.objects.filter(kind=kind, registration__name=name).latest("pk")
    assert writer.writer_for([mail])(mail)
    now = timezone.now()
    OutgoingMail.objects.filter(pk=mail.pk).update(state="sent", sent_at=now, claimed_at=now)


def links_again(clock, person: Registration) -> None:
    """Someone asks for the links again, and gets them."""
    enqueue.queue_confirmation(
        OutgoingMail.Kind.LINKS, [person], before={person.pk: person.mails.count()}
    )
    send(clock, "links", person.name)


def test_undone_edit_is_announced_only_to_readers_of_an_email_that_showed_it(
    two, opening, settled, clock
):
    before = opening.title
    rename(opening, "Mistake")
    links_again(clock, two[0])
    rename(opening, before)
    assert settled() == [("changed", "Alice Adams")]
    text, html = texts(written("changed"))
    for said in (text, html):
        assert said.index("Mistake") < said.rindex(before)
    send_all()
    rename(opening, "Another")
    assert sorted(settled()[1:]) == [("changed", "Alice Adams"), ("changed", "Bob B")]
    assert "Mistake" not in texts(written("changed", "Alice Adams"))[0]


def test_edit_that_an_email_showed_is_announced_once_to_everyone(two, opening, settled, clock):
    before = opening.title
    rename(opening, "Another")
    links_again(clock, two[0])
    links_again(clock, two[0])
    assert sorted(settled()) == [("changed", "Alice Adams"), ("changed", "Bob B")]
    assert before in texts(written("changed", "Alice Adams"))[0]
    assert len(settled()) == 2


def test_notice_names_what_its_reader_saw_last(two, opening, settled, clock):
    rename(opening, "Mistake")
    links_again(clock, two[0])
    rename(opening, "Another")
    assert len(settled()) == 2
    assert "Mistake" in texts(written("changed", "Alice Adams"))[0]
    assert "Mistake" not in texts(written("changed", "Bob B"))[0]


def test_undone_edit_is_announced_even_if_later_emails_show_what_is_current(
    two, opening, settled, clock
):
    before = opening.title
    rename(opening, "Mistake")
    links_again(clock, two[0])
    rename(opening, before)
    with edit_session(opening.pk) as session:
        AgendaItem.objects.create(session=session, title="A song")
    links_again(clock, two[0])
    assert sorted(settled()) == [("changed", "Alice Adams"), ("schedule_update", "Bob B")]


def test_undone_agenda_is_sent_only_to_readers_of_an_email_that_showed_it(
    two, week, opening, settled, clock
):
    """The links that Bob gets meanwhile don't show it. The schedule that Alice gets does."""
    alice, bob = two
    das = week.sessions.get(slug="das")
    signup.change(registration=alice, offered=[das], sessions=[])
    send_all()
    with edit_session(opening.pk) as session:
        AgendaItem.objects.create(session=session, title="A song")
    signup.change(registration=alice, offered=[das], sessions=[das])
    send(clock, "schedule")
    links_again(clock, bob)
    with edit_session(opening.pk) as session:
        session.agenda.filter(title="A song").delete()
    updates = [who for who in settled() if who[0] == "schedule_update"]
    assert updates == [("schedule_update", "Alice Adams")]


def test_schedule_that_waits_to_be_sent_needs_no_update(week, opening, settled):
    """Bob has got his, Alice has not."""
    for name in ("Bob B", "Alice Adams"):
        sign_up(week, name, with_schedule=True)
        OutgoingMail.objects.filter(registration__name="Bob B").update(
            state="sent", sent_at=timezone.now(), claimed_at=timezone.now()
        )
    with edit_session(opening.pk) as session:
        AgendaItem.objects.create(session=session, title="A song")
    queued = [("schedule", "Bob B"), ("schedule", "Alice Adams"), ("schedule_update", "Bob B")]
    assert settled() == queued
    assert "A song" in texts(written("schedule", "Alice Adams"))[0]
    send_all()
    assert settled(60) == queued


def test_undone_edit_that_a_notice_showed_is_announced(two, opening, settled, clock):
    rename(opening, "Another")
    settled()
    send(clock, "changed", "Bob B")
    rename(opening, "Mistake")
    assert "Mistake" in texts(written("changed", "Alice Adams"))[0]
    send(clock, "changed")
    rename(opening, "Another")
    assert settled()[2:] == [("changed", "Alice Adams")]


def test_undone_time_that_an_access_email_showed_is_announced(week, opening, settled, clock):
    alice = sign_up(week, needs=["captions"])
    send_all()
    needs = AccessNeed.objects.filter(seat__registration=alice)
    access_needs.arrange(needs=needs)
    access_needs.confirm(needs=needs)
    move(opening, hours=1)
    send(clock, "access")
    move(opening, hours=-1)
    assert settled()[-1] == ("changed", "Alice Adams")


def test_reminder_waits_for_the_notice_of_an_undone_edit(two, opening, settled, clock):
    clock.move_to(opening.day_reminder_at - MINUTE)
    before = opening.title
    rename(opening, "Mistake")
    links_again(clock, two[0])
    rename(opening, before)
    assert settled(2) == [("day", "Bob B")]
    assert settled(8)[1:] == [("changed", "Alice Adams")]


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


def test_notice_shows_what_was_and_what_is_now(week, opening, settled):
    sign_up(week, time_zone="America/New_York")
    title = opening.title
    with edit_session(opening.pk) as current:
        current.title = "The kickoff"
        current.starts_at += dt.timedelta(hours=1)
        current.save()
    settled()
    message = written("changed")
    assert message["Subject"].startswith("Changed: The kickoff on Saturday, ")
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
    assert message["Subject"].startswith(f"Back on: {opening.title[:39]}… on Saturday, ")
    assert "See you then." not in texts(message)[0]


def test_unsent_cancellation_is_undone_silently(week, opening, settled):
    sign_up(week)
    cancel_session(session=opening)
    settled()
    restore_session(session=opening)
    settled()
    states = OutgoingMail.objects.exclude(kind="links").values_list("kind", "state")
    assert list(states) == [("canceled", "dropped")]


def test_second_change_replaces_an_unsent_notice_of_the_first(week, opening, settled):
    sign_up(week)
    title = opening.title
    rename(opening, "Never heard of")
    settled()
    rename(opening, "The kickoff")
    settled()
    states = OutgoingMail.objects.exclude(kind="links").order_by("pk").values_list("state")
    assert [state for (state,) in states] == ["dropped", "waiting"]
    text, _html = texts(written("changed"))
    assert title in text
    assert "Never heard of" not in text


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


def test_notice_is_dropped_when_it_is_no_longer_true(week, opening, settled):
    sign_up(week)
    title = opening.title
    rename(opening, "A")
    settled()
    rename(opening, title)
    settled(11)
    mail = OutgoingMail.objects.get(kind="changed")
    assert (mail.state, writer.writer_for([mail])(mail)) == ("dropped", None)


# Notices that wait while someone edits


@pytest.fixture
def sent(clock, mailoutbox):
    """A minute or more later a worker sends what is waiting. Lists subjects and recipients."""

    def sent(minutes: float = 1) -> list[tuple[str, str]]:
        mailoutbox.clear()
        clock.shift(minutes * MINUTE)
        delivery.deliver_due(writer.writer_for)
        return sorted((mail.subject.partition(":")[0], mail.to[0]) for mail in mailoutbox)

    return sent


ALICE, BOB = "alice@example.org", "bob@example.org"


def test_waiting_cancellation_survives_an_undone_restore(two, opening, settled, sent):
    cancel_session(session=opening)
    settled()
    restore_session(session=opening)
    assert sent() == []
    cancel_session(session=opening)
    assert sent(11) == [("Canceled", ALICE), ("Canceled", BOB)]


def test_waiting_notice_survives_a_cancellation_by_mistake(two, opening, settled, sent):
    move(opening, hours=1)
    settled()
    cancel_session(session=opening)
    assert sent() == []
    restore_session(session=opening)
    assert sent(11) == [("Changed", ALICE), ("Changed", BOB)]


def test_unsent_cancellation_is_undone_silently_even_if_it_was_due(two, opening, settled, sent):
    cancel_session(session=opening)
    settled()
    restore_session(session=opening)
    assert sent() == []
    settled()
    assert sent() == []
    assert set(OutgoingMail.objects.exclude(kind="links").values_list("state", flat=True)) == {
        "dropped"
    }


def test_worker_that_runs_before_the_periodic_task_drops_no_unsent_notice(
    two, opening, settled, sent
):
    cancel_session(session=opening)
    settled()
    restore_session(session=opening)
    assert sent(10) == []
    assert settled(0)[2:] == []
    assert sent() == []
    assert [mail.state for mail in OutgoingMail.objects.filter(kind="canceled")] == ["dropped"] * 2


def test_links_that_overtook_a_notice_are_corrected_when_it_is_undone(two, opening, settled, clock):
    before = opening.title
    rename(opening, "Mistake")
    settled()
    enqueue.queue_confirmation(OutgoingMail.Kind.LINKS, two[:1], before={two[0].pk: 1})
    send(clock, "links")
    rename(opening, before)
    settled()
    (mail,) = OutgoingMail.objects.filter(kind="changed", state="waiting")
    assert (mail.registration, mail.old_revision.title) == (two[0], "Mistake")


def test_notice_that_shows_a_newer_edit_announces_it(two, opening, settled, clock):
    rename(opening, "Another")
    settled()
    rename(opening, "Yet another")
    send(clock, "changed")
    settled()
    notices = OutgoingMail.objects.filter(kind="changed").exclude(state="dropped")
    assert sorted(notices.values_list("registration__name", "state")) == [
        ("Alice Adams", "sent"),
        ("Bob B", "waiting"),
    ]


def test_email_rendered_before_an_edit_is_undone_and_sent_after_it_counts_as_seen(
    two, opening, settled
):
    before = opening.title
    rename(opening, "Mistake")
    enqueue.queue_confirmation(OutgoingMail.Kind.LINKS, two[:1], before={two[0].pk: 1})
    (claimed,) = mail_queue.claim()
    assert writer.writer_for([claimed])(claimed)
    rename(opening, before)
    settled(1)
    OutgoingMail.objects.filter(pk=claimed.pk).update(state="sent", sent_at=timezone.now())
    assert settled() == [("changed", "Alice Adams")]


@pytest.mark.parametrize(("seconds", "seen"), [(1, True), (3, False)])
def test_email_claimed_while_an_edit_is_being_committed_may_show_the_old_revision(
    two, opening, settled, clock, seconds, seen
):
    before = opening.title
    rename(opening, "Mistake")
    clock.shift(MINUTE)
    rename(opening, before)
    clock.shift(seconds)
    enqueue.queue_confirmation(OutgoingMail.Kind.LINKS, two[:1], before={two[0].pk: 1})
    send_all()
    assert settled() == ([("changed", "Alice Adams")] if seen else [])


def test_session_that_a_reminder_left_out_is_announced_when_restored(
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
    send(clock, "hour")
    restore_session(session=evening)
    send_all()
    assert ("changed", "Alice Adams") in settled()


def test_promotion_email_survives_a_cancellation_by_mistake(two, opening, settled, sent):
    seat = two[1].seats.get(session=opening)
    Seat.objects.filter(pk=seat.pk).update(state="waiting", waiting_since=NOW)
    assert seats.promote(seat=seat)
    cancel_session(session=opening)
    assert sent() == []
    restore_session(session=opening)
    assert [to for _subject, to in sent(11)] == [BOB]


def test_access_email_survives_a_cancellation_by_mistake(week, opening, settled, sent):
    alice = sign_up(week, needs=["captions"])
    send_all()
    needs = AccessNeed.objects.filter(seat__registration=alice, seat__session=opening)
    access_needs.arrange(needs=needs)
    access_needs.confirm(needs=needs)
    cancel_session(session=opening)
    assert sent() == []
    restore_session(session=opening)
    assert len(sent(11)) == 1


class Away(BaseEmailBackend):
    """A mail server that is away."""

    def open(self) -> bool:
        raise ConnectionRefusedError


class Breaking(BaseEmailBackend):
    """A mail server that breaks the connection, perhaps after it has accepted the email."""

    def send_messages(self, email_messages) -> int:
        raise ConnectionResetError


@pytest.mark.parametrize("tries", [1, 2])
def test_notice_that_is_being_sent_is_followed_by_another_when_it_is_undone(
    two, opening, settled, sent, clock, settings, tries
):
    clock.move_to(opening.starts_at - dt.timedelta(hours=2))
    cancel_session(session=opening)
    settled(0)
    if tries == 2:
        settings.EMAIL_BACKEND = f"{MODULE}.Away"
        assert sent(0) == []
        clock.shift(MINUTE)
    (claimed,) = mail_queue.claim(limit=1)
    restore_session(session=opening)
    notified = [name for kind, name in settled(0) if kind == "changed"]
    assert notified == [claimed.registration.name]


@pytest.mark.parametrize("backend", ["Breaking", "Away"])
def test_failed_notice_is_undone_silently_unless_it_may_have_arrived(
    two, opening, settled, sent, clock, settings, backend
):
    signup.cancel(registration=two[1])
    clock.move_to(opening.starts_at - dt.timedelta(hours=2))
    cancel_session(session=opening)
    settled(0)
    settings.EMAIL_BACKEND = f"{MODULE}.{backend}"
    assert sent(0) == []
    restore_session(session=opening)
    notified = [name for kind, name in settled(0) if kind == "changed"]
    assert notified == (["Alice Adams"] if backend == "Breaking" else [])


def test_email_that_was_rendered_but_not_sent_was_not_seen(two, opening, settled, sent, settings):
    enqueue.queue_confirmation(OutgoingMail.Kind.LINKS, two[:1], before={two[0].pk: 1})
    before, backend = opening.title, settings.EMAIL_BACKEND
    rename(opening, "Mistake")
    settings.EMAIL_BACKEND = f"{MODULE}.Away"
    assert sent() == []
    settings.EMAIL_BACKEND = backend
    rename(opening, before)
    ((subject, recipient),) = sent()
    assert (subject[:19], recipient) == ("Your Zoom links for", ALICE)
    assert settled() == []


def test_undone_edit_is_announced_even_if_the_notice_before_it_was_not_sent(
    two, opening, settled, clock
):
    before = opening.title
    rename(opening, "Another")
    settled()
    rename(opening, "Mistake")
    enqueue.queue_confirmation(OutgoingMail.Kind.LINKS, two[:1], before={two[0].pk: 1})
    send(clock, "links")
    rename(opening, before)
    settled()
    (mail,) = OutgoingMail.objects.filter(kind="changed", state="waiting")
    assert (mail.registration, mail.old_revision.title) == (two[0], "Mistake")


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


# People on the waiting list


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
    assert message["Subject"].startswith("Changed: The kickoff on ")
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


def test_queuing_notices_takes_the_same_queries_for_1_person_as_for_30(
    week, opening, settled, django_assert_num_queries
):
    for count in (1, 30):
        for number in range(count):
            sign_up(week, f"P{count}x{number} X", sessions=list(week.sessions.all()))
        rename(opening, f"Title {count}")
        later = timezone.now() + 11 * MINUTE
        with time_machine.travel(later, tick=False), django_assert_num_queries(27):
            tasks.queue_due_mails()
        send_all()
    assert OutgoingMail.objects.filter(kind="changed").count() == 1 + 31
