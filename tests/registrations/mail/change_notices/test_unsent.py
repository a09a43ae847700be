"""Notices that wait to be sent, or are being sent, while someone goes on editing."""

import datetime as dt

import pytest

from events.schedule import cancel_session, restore_session
from registrations import access_needs, seats, signup
from registrations.mail import writer
from registrations.models import AccessNeed, OutgoingMail, Seat
from registrations.outbox import mail_queue
from tests.people import sign_up
from tests.registrations.mail.change_notices.edits import (
    ALICE,
    BOB,
    MINUTE,
    NOW,
    move,
    rename,
    send,
    send_all,
    texts,
    written,
)
from tests.registrations.mail.change_notices.mail_servers import MODULE

pytestmark = pytest.mark.django_db


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


def test_notice_is_dropped_when_it_is_no_longer_true(week, opening, settled):
    sign_up(week)
    title = opening.title
    rename(opening, "A")
    settled()
    rename(opening, title)
    settled(11)
    mail = OutgoingMail.objects.get(kind="changed")
    assert (mail.state, writer.writer_for([mail])(mail)) == ("dropped", None)


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
