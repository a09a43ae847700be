"""During a mailing people leave, organizers pause or stop it, and more urgent emails come up."""

import datetime as dt
import re
import time
from functools import partial

import pytest
from django.utils import timezone

from events import background
from events.schedule import cancel_session, restore_session
from registrations import signup
from registrations.mail import announcements, change_notices, unsubscribe
from registrations.models import OutgoingMail
from registrations.outbox import mail_queue
from tests.people import sign_up
from tests.services.mail import FastSink
from tests.services.process import eventually
from tests.walks.mail_faults.mailing import (
    DROPPED,
    PAUSED,
    SENT,
    WAITING,
    addresses_in,
    announce,
    assert_served,
    crowd,
    emails,
    eventually_with_wakeups,
    has_taken,
    have_ended,
    states,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(180)]

DAY = dt.timedelta(days=1)


def test_everyone_who_was_mailed_a_cancellation_is_mailed_that_it_was_undone(week, sink, worker):
    people = crowd(week, emails(150, "slowish.example"))
    opening = week.sessions.all()[0]
    soon = timezone.now() + dt.timedelta(hours=2)
    week.sessions.filter(pk=opening.pk).update(starts_at=soon, ends_at=soon + DAY)
    cancel_session(session=opening)
    change_notices.queue_changes(timezone.now())
    worker()
    mail_queue.wake_workers()
    sink.wait_for(20)
    restore_session(session=opening)
    change_notices.queue_changes(timezone.now())
    week.sessions.filter(pk=opening.pk).update(revised_at=soon - DAY)

    def have_settled() -> bool:
        OutgoingMail.objects.filter(state=WAITING, attempts=0).update(due_at=timezone.now())
        return have_ended(150)()

    eventually_with_wakeups(have_settled, "everyone knows what is true")
    mailed = {
        kind: {*OutgoingMail.objects.filter(kind=kind, state=SENT).values_list("registration")}
        for kind in ("canceled", "changed")
    }
    assert mailed["canceled"]
    assert len(mailed["canceled"]) < len(people)
    assert mailed["canceled"] <= mailed["changed"]


@pytest.mark.once
def test_announcement_reaches_those_who_were_there_at_its_start_and_have_not_left(
    week, sink, worker
):
    people = crowd(week, emails(160, "slowish.example"))
    worker()
    announcement = announce(week)
    sink.wait_for(5)
    mails = announcement.mails.order_by("pk").select_related("registration")
    turns = [mail.registration for mail in mails]
    # The first ones are in the batch that the worker has claimed.
    canceled, unsubscribed = turns[88:90] + turns[113:115], turns[98:100] + turns[118:120]
    for person in canceled:
        signup.cancel(registration=person)
    for person in unsubscribed:
        unsubscribe.unsubscribe(registration=person)

    sink.wait_for(95)
    announcements.pause(announcement=announcement)
    paused_at = time.time()
    eventually(partial(is_quiet, sink), "nothing leaves any more")
    assert sink.taken()[-1].moment - paused_at < 2
    assert states()[PAUSED] > 0
    late = [sign_up(week, f"Late{number} L").email for number in range(3)]
    announcements.resume(announcement=announcement)
    eventually(have_ended(160 + 3), "everyone is served")

    left = {person.email for person in canceled + unsubscribed}
    stayed = [person.email for person in people if person.email not in left]
    assert assert_served(sink, stayed + late) == []
    assert addresses_in(DROPPED) == sorted(left)


@pytest.mark.once
def test_stopped_announcement_records_exactly_who_got_it(week, sink, worker):
    people = crowd(week, emails(200, "slowish.example"))
    worker()
    announcement = announce(week)
    sink.wait_for(50)
    announcements.stop(announcement=announcement)
    eventually(partial(is_quiet, sink), "nothing leaves any more")
    reached = sink.recipients()
    assert 50 <= len(reached) < 200
    assert addresses_in(SENT) == sorted(reached)
    unreached = {person.email for person in people}.difference(reached)
    assert addresses_in(DROPPED) == sorted(unreached)


def is_quiet(sink: FastSink) -> bool:
    return time.time() - sink.taken()[-1].moment > 1


def test_links_overtake_an_announcement_to_many(week, sink, worker):
    crowd(week, emails(1500))
    worker()
    announce(week)
    sink.wait_for(200)
    registered_at = time.time()
    alice = sign_up(week)
    eventually(lambda: alice.email in sink.recipients(), "the links have come")
    (links,) = [mail for mail in sink.taken() if mail.recipient == alice.email]
    assert links.moment - registered_at < 2
    assert states()[WAITING] > 0


@pytest.mark.once
def test_workers_keep_to_their_rate_together_and_links_still_overtake(week, sink, worker):
    crowd(week, emails(40))
    started = [worker(wait=False, MAIL_PER_MINUTE="240") for _number in range(2)]
    for each in started:
        each.wait_for_log(" ready")
    began_at = time.time()
    announce(week)
    # So that both take part, and not just the one that was woken.
    eventually_with_wakeups(partial(has_taken, sink, 4), "under way")
    alice = sign_up(week)
    before = sink.count()
    eventually_with_wakeups(lambda: alice.email in sink.recipients(), "her links")
    ahead = sink.recipients().index(alice.email)
    eventually_with_wakeups(partial(has_taken, sink, ahead + 4), "the announcement goes on")
    assert all("deliver_mails" in each.log for each in started)
    too_early = [
        number
        for number, mail in enumerate(sink.taken())
        if mail.moment < began_at + number * 60 / 240
    ]
    assert too_early == []
    # Each worker was waiting to send one, and may send another one before it looks again.
    assert ahead <= before + 4


@pytest.mark.served
@pytest.mark.once
def test_task_queued_behind_a_mailing_runs_after_one_or_two_delivery_runs(week, sink, worker):
    crowd(week, emails(600, "slow.example"))
    busy = worker()
    announce(week)
    # The first run has about nine seconds left, so another one is queued before the task.
    sink.wait_for(20)
    mail_queue.wake_workers()
    background.wake_workers("events.tasks.sync_meetings")
    busy.wait_for_log(r"sync_meetings\[.*succeeded", timeout=2.5 * mail_queue.DELIVERY_RUN_SECONDS)
    assert len(re.findall(r"deliver_mails\[.*succeeded", busy.log)) in (1, 2)
    assert states()[WAITING] > 0
