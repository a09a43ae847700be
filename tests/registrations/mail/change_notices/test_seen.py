"""Emails that show an edit before it has settled, and the notice when it's undone."""

import datetime as dt

import pytest
from django.utils import timezone

from events.models import AgendaItem
from events.schedule import cancel_session, edit_session, restore_session
from registrations import access_needs, signup, tasks
from registrations.mail import enqueue, writer
from registrations.models import AccessNeed, OutgoingMail
from registrations.outbox import mail_queue
from tests.people import sign_up
from tests.registrations.mail.change_notices.edits import (
    ALICE,
    MINUTE,
    links_again,
    move,
    rename,
    send,
    send_all,
    texts,
    written,
)
from tests.registrations.mail.change_notices.mail_servers import MODULE

pytestmark = pytest.mark.django_db


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
