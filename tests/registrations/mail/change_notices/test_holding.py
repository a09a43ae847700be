"""Notices that organizers hold, release, send now, or undo."""

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import time_machine
from django.db import connection, transaction
from django.utils import timezone

from events.languages import texts
from events.models import AgendaItem, Meeting, Session
from events.schedule import (
    EditedMeanwhile,
    SessionIsOver,
    cancel_session,
    edit_session,
    hold_notices,
    release_notices,
    restore_session,
    undo_edit,
)
from events.weeks import NOT_COPIED_OF_SESSION, copied
from registrations.mail import change_notices, writer
from registrations.models import OutgoingMail, Seat
from registrations.outbox import mail_queue
from tests.people import in_english, in_spanish, sign_up
from tests.registrations.mail.change_notices.edits import (
    MINUTE,
    NOW,
    links_again,
    move,
    rename,
    send_all,
)

pytestmark = pytest.mark.django_db

HOUR = dt.timedelta(hours=1)
BOTH_UPDATES = [("schedule_update", "Alice Adams"), ("schedule_update", "Bob B")]
BOTH = [("changed", "Alice Adams"), ("changed", "Bob B")]


def now_of(session: Session) -> Session:
    return Session.objects.get(pk=session.pk)


def start_in(session: Session, hours: float) -> None:
    starts_at = timezone.now() + hours * HOUR
    Session.objects.filter(pk=session.pk).update(starts_at=starts_at, ends_at=starts_at + HOUR)


def add_agenda(session: Session) -> None:
    with edit_session(session.pk):
        AgendaItem.objects.create(session=session, title="A new item")


# Holding


def test_nothing_is_queued_while_held(opening, two, settled):
    rename(opening, "New title")
    assert hold_notices(session=opening) is True
    assert settled(60) == []
    # People who look see what is true.
    assert now_of(opening).title == "New title"


def test_holding_twice_says_so(opening, two):
    assert hold_notices(session=opening) is True
    assert hold_notices(session=opening) is False


def test_new_edit_of_a_held_session_stays_held(opening, two, settled):
    hold_notices(session=opening)
    rename(opening, "New title")
    cancel_session(session=opening)
    restore_session(session=opening)
    move(opening, hours=1)
    assert settled(60) == []


def test_session_that_starts_soon_is_held_too(opening, two, settled):
    start_in(opening, 2)
    hold_notices(session=opening)
    rename(opening, "New title")
    assert [each for each in settled(11) if each[0] == "changed"] == []


def test_agenda_of_a_held_session_is_not_announced_and_others_are(opening, later, two, settled):
    add_agenda(opening)
    hold_notices(session=opening)
    assert settled() == []
    add_agenda(later)
    assert settled() == BOTH_UPDATES
    assert set(Seat.objects.filter(session=opening).values_list("notified_revision")) == {(0,)}


def test_links_go_out_with_what_is_true(clock, opening, two):
    rename(opening, "New title")
    hold_notices(session=opening)
    links_again(clock, two[0])
    assert two[0].mails.filter(kind="links", state="sent").count() == 2


def test_queued_notice_waits_while_held_and_goes_out_after(clock, opening, two, settled, sent):
    rename(opening, "New title")
    settled()
    hold_notices(session=opening)
    assert sent() == []
    assert [each.people for each in change_notices.pending_notices(opening.event, NOW)] == [2]
    release_notices(session=opening)
    assert [each[1] for each in sent(2)] == ["alice@example.org", "bob@example.org"]


def test_queued_schedule_update_waits_while_held_and_goes_out_after(
    clock, opening, two, settled, sent
):
    add_agenda(opening)
    assert settled() == BOTH_UPDATES
    hold_notices(session=opening)
    assert sent() == []
    assert [each.people for each in change_notices.pending_notices(opening.event, NOW)] == [2]
    # The one that waits will show this, too.
    add_agenda(opening)
    release_notices(session=opening, now=True)
    assert settled(0.1) == BOTH_UPDATES
    assert [each[1] for each in sent(2)] == ["alice@example.org", "bob@example.org"]


def test_held_schedule_update_does_not_keep_back_that_of_another_session(
    opening, later, two, settled, sent
):
    add_agenda(opening)
    settled()
    hold_notices(session=opening)
    add_agenda(later)
    assert settled() == BOTH_UPDATES * 2
    assert len(sent()) == 2
    assert set(change_notices.waiting_notices(later)) == set()
    assert change_notices.waiting_notices(opening).count() == 2


def test_schedule_update_about_other_sessions_does_not_wait(opening, later, two, settled, sent):
    add_agenda(later)
    settled()
    hold_notices(session=opening)
    assert len(sent()) == 2


def test_schedule_that_a_held_edit_makes_needless_waits(clock, week, opening):
    person = sign_up(week, sessions=[opening], with_schedule=True)
    mail = person.mails.get(kind="schedule")
    cancel_session(session=opening)
    hold_notices(session=opening)
    clock.shift(30 * MINUTE)
    with pytest.raises(mail_queue.NotYet):
        writer.writer_for([mail])(mail)
    undo_edit(session=opening)
    assert writer.writer_for([mail])(mail) is not None


def test_copied_session_is_not_held(opening, two):
    hold_notices(session=opening)
    rename(opening, "New title")
    release_notices(session=opening)
    hold_notices(session=opening)
    copy = copied(now_of(opening), *NOT_COPIED_OF_SESSION)
    assert (copy.notices_held_at, copy.notify_at) == (None, None)


# Releasing


def test_released_edit_settles_once_more(opening, two, settled):
    rename(opening, "New title")
    hold_notices(session=opening)
    settled(60)
    assert release_notices(session=opening) is True
    assert settled(9) == []
    assert settled(1.1) == BOTH
    assert settled(60) == BOTH


def test_send_now_waits_for_nothing(opening, two, settled):
    rename(opening, "New title")
    assert release_notices(session=opening, now=True) is True
    assert settled(0.1) == BOTH


def test_send_now_releases_what_is_held(opening, two, settled):
    rename(opening, "New title")
    hold_notices(session=opening)
    release_notices(session=opening, now=True)
    assert settled(0.1) == BOTH
    assert now_of(opening).notices_held_at is None


def test_edit_after_send_now_settles_again(opening, two, settled):
    rename(opening, "New title")
    release_notices(session=opening, now=True)
    rename(opening, "Newer title")
    assert settled(9) == []
    assert settled(1.1) == BOTH


def test_send_now_waits_for_emails_that_may_show_what_was_undone(opening, two, settled):
    rename(opening, "New title")
    rename(opening, opening.title)
    release_notices(session=opening, now=True)
    seats = Seat.objects.filter(session=opening).values_list("notified_revision", flat=True)
    settled(5)
    assert set(seats.all()) == {0}
    settled(6)
    assert set(seats.all()) == {2}


def test_nothing_to_release(opening, two):
    assert release_notices(session=opening) is False
    assert release_notices(session=opening, now=True) is False
    rename(opening, "New title")
    assert release_notices(session=opening) is False


def test_send_now_does_not_send_an_edit_that_was_not_seen(opening, two, settled):
    rename(opening, "New title")
    rename(opening, "Newer title")
    with pytest.raises(EditedMeanwhile):
        release_notices(session=opening, now=True, revision=1)
    assert settled(5) == []


# Undoing


def test_undo_restores_what_people_were_told_and_no_one_gets_an_email(opening, two, settled):
    before = Session.objects.with_details().get(pk=opening.pk).snapshot()
    with edit_session(opening.pk) as current:
        current.slug = "new-address"
        current.save()
        texts_now = in_english(title="New title", summary="New") | in_spanish(title="Nuevo")
        Session.objects.filter(pk=opening.pk).update(**texts_now)
    move(opening, hours=1)
    cancel_session(session=opening, reason={"en": "Ill"})
    hold_notices(session=opening)
    assert undo_edit(session=opening) is True
    after = Session.objects.with_details().get(pk=opening.pk)
    assert after.snapshot() == before
    assert (after.notices_held_at, *texts(after, "cancel_reason")) == (None, None, None)
    assert settled(60) == []


def test_undo_goes_back_to_what_was_told_last_not_to_the_first_state(opening, two, settled):
    rename(opening, "Told")
    settled()
    send_all()
    rename(opening, "Not told")
    rename(opening, "Not told either")
    undo_edit(session=opening)
    assert now_of(opening).title == "Told"
    assert settled(60) == BOTH


def test_undone_restoring_cancels_again(opening, two, settled):
    cancel_session(session=opening, reason={"en": "Ill"})
    settled()
    send_all()
    restore_session(session=opening)
    undo_edit(session=opening)
    assert now_of(opening).is_canceled
    assert [kind for kind, _name in settled(60)] == ["canceled", "canceled"]


def test_only_someone_who_saw_the_change_hears_that_it_was_undone(clock, opening, two, settled):
    rename(opening, "New title")
    hold_notices(session=opening)
    links_again(clock, two[0])
    clock.shift(MINUTE)
    undo_edit(session=opening)
    assert settled(11) == [("changed", "Alice Adams")]


def test_agenda_and_meeting_stay_and_stay_held(opening, two, settled):
    rename(opening, "New title")
    add_agenda(opening)
    with edit_session(opening.pk):
        Meeting.objects.filter(session=opening).update(passcode="new")
    hold_notices(session=opening)
    assert undo_edit(session=opening) is True
    after = now_of(opening)
    assert after.title.startswith("Opening session")
    assert after.agenda.filter(title="A new item").exists()
    assert after.meeting.passcode == "new"
    assert after.notices_held_at is not None
    assert settled(60) == []
    assert undo_edit(session=opening) is False


def test_nothing_to_undo(opening, two):
    assert undo_edit(session=opening) is False
    assert now_of(opening).revision == 0


def test_time_that_has_passed_is_not_restored(opening, two):
    start_in(opening, 1)
    move(opening, days=1)
    with time_machine.travel(NOW + 3 * HOUR), pytest.raises(SessionIsOver):
        undo_edit(session=opening)
    assert now_of(opening).starts_at > NOW + 24 * HOUR


def test_undo_does_not_undo_an_edit_that_was_not_seen(opening, two):
    rename(opening, "New title")
    rename(opening, "Newer title")
    with pytest.raises(EditedMeanwhile):
        undo_edit(session=opening, revision=1)
    assert now_of(opening).title == "Newer title"


def test_address_that_is_taken_by_now_is_not_restored(opening, later, two):
    with edit_session(opening.pk) as current:
        current.slug, current.title = "new-address", "New title"
        current.save()
    Session.objects.filter(pk=later.pk).update(slug="opening")
    undo_edit(session=opening)
    assert now_of(opening).slug == "new-address"
    assert now_of(opening).title != "New title"


# At the same moment


def at_once(*works) -> list:
    """Each in its own thread and connection. Returns their results or errors."""
    barrier = Barrier(len(works))

    def run(work):
        try:
            barrier.wait(10)
            return work()
        except (EditedMeanwhile, SessionIsOver) as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(run, works))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("_round", range(3))
def test_hold_undo_and_edit_at_once_leave_one_consistent_state(week, opening, two, settled, _round):
    title = opening.title
    rename(opening, "New title")
    held, undone, _edited = at_once(
        lambda: hold_notices(session=opening),
        lambda: undo_edit(session=opening, revision=1),
        lambda: move(opening, hours=1),
    )
    after = now_of(opening)
    is_moved = after.starts_at == opening.starts_at + HOUR
    assert held is True
    assert is_moved
    # Undone before it was moved, or not at all: then the title is still the new one.
    assert after.title == (title if undone is True else "New title")
    queued = settled(60)
    assert queued == ([] if after.notices_held_at else BOTH)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("_round", range(3))
def test_worker_queues_before_the_hold_or_not_at_all(clock, opening, two, sent, _round):
    rename(opening, "New title")
    clock.shift(11 * MINUTE)
    at_once(
        lambda: change_notices.queue_changes(timezone.now()), lambda: hold_notices(session=opening)
    )
    queued = OutgoingMail.objects.filter(kind="changed").count()
    told = Seat.objects.filter(session=opening, notified_revision=1).count()
    assert (queued, told) in ((0, 0), (2, 2))
    assert sent() == []
    release_notices(session=opening, now=True)
    change_notices.queue_changes(timezone.now())
    assert len(sent(2)) == 2


@pytest.mark.django_db(transaction=True)
def test_hold_waits_for_the_worker_that_has_the_lock(opening, two):
    rename(opening, "New title")
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            Session.objects.select_for_update(no_key=True).get(pk=opening.pk)

            def hold() -> bool:
                try:
                    return hold_notices(session=opening)
                finally:
                    connection.close()

            holding = pool.submit(hold)
            with pytest.raises(TimeoutError):
                holding.result(timeout=0.3)
        assert holding.result(timeout=10) is True
