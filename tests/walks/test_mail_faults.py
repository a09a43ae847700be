"""Whatever dies or misbehaves during a mailing, everyone gets the email, and no one gets it twice.

One exception: the email that a worker was sending when it was killed may be sent again, with the
same Message-ID.
"""

import datetime as dt
import os
import random
import re
import signal
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from typing import Any

import psycopg2
import pytest
from django.db import connection, transaction
from django.utils import timezone
from django.utils.html import escape
from icalendar import Calendar

from events import background
from events.models import Event
from events.schedule import cancel_session, edit_session, restore_session
from registrations import signup
from registrations.mail import announcements, change_notices, unsubscribe, writer
from registrations.models import Announcement, Heartbeat, OutgoingMail, Registration, Seat
from registrations.outbox import delivery, mail_queue
from strategyweek import celery_app
from tests.conftest import Start, database_url
from tests.people import sign_up
from tests.services.database import Broker
from tests.services.mail import FastSink
from tests.services.process import Process, eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(180)]

WAITING, PAUSED, SENT, FAILED, DROPPED = "waiting", "paused", "sent", "failed", "dropped"
DAY = dt.timedelta(days=1)
ZONES = ["America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles"]


@pytest.fixture
def sink(tmp_path) -> Iterator[FastSink]:
    sink = FastSink(tmp_path)
    yield sink
    sink.stop()


@pytest.fixture
def worker(worker, sink) -> Start:
    """Start a worker that sends its emails to the fast sink."""
    return partial(worker, EMAIL_URL=sink.url, CELERY_SKIP_CHECKS="1")


@pytest.fixture
def beat(beat, sink) -> Start:
    return partial(beat, EMAIL_URL=sink.url, CELERY_SKIP_CHECKS="1")


def emails(count: int, domain: str = "example.org") -> list[str]:
    return [f"p{number}@{domain}" for number in range(count)]


def crowd(week: Event, addresses: Iterable[str]) -> list[Registration]:
    """Register many people for two sessions, as if they got their links long ago."""
    people = Registration.objects.bulk_create(
        Registration(
            event=week,
            name=f"Person {number}",
            email=address,
            email_key=address,
            time_zone=ZONES[number % len(ZONES)],
        )
        for number, address in enumerate(addresses)
    )
    sessions = list(week.sessions.all()[:2])
    long_ago = timezone.now() - dt.timedelta(days=30)
    Seat.objects.bulk_create(
        Seat(
            registration=person,
            session=session,
            seated_at=long_ago,
            notified_revision=session.revision,
        )
        for person in people
        for session in sessions
    )
    return people


def announce(week: Event) -> Announcement:
    """Send an announcement to everyone who is registered now."""
    announcement = Announcement.objects.create(event=week, subject="News", body="Dear {name}, hi.")
    announcements.send_now(announcement=announcement)
    return announcement


def eventually_with_wakeups(condition: Callable[[], Any], what: str, timeout: float = 60) -> Any:
    """Wait like `eventually`, and wake the workers every second, as beat does every ten."""
    next_wakeup = 0.0

    def wake_and_check() -> Any:
        nonlocal next_wakeup
        if time.monotonic() > next_wakeup:
            mail_queue.wake_workers()
            next_wakeup = time.monotonic() + 1
        return condition()

    return eventually(wake_and_check, what, timeout, every=0.05)


def have_ended(count: int) -> Callable[[], bool]:
    """Whether there are at least `count` emails, and none of them is waiting."""
    waiting = OutgoingMail.objects.filter(state__in=[WAITING, PAUSED])
    return lambda: OutgoingMail.objects.count() >= count and not waiting.exists()


def has_taken(sink: FastSink, count: int) -> bool:
    return sink.count() >= count


def states() -> dict[str, int]:
    return Counter(OutgoingMail.objects.values_list("state", flat=True))


def addresses_in(state: str) -> list[str]:
    mails = OutgoingMail.objects.filter(state=state)
    return sorted(mails.values_list("registration__email", flat=True))


def assert_served(sink: FastSink, addresses: list[str], *, doubles: int = 0) -> list[str]:
    """Everyone got their email, and it is recorded as sent. Returns who got the same one twice."""
    taken = sink.taken()
    served = {mail.recipient for mail in taken}
    assert served == set(addresses)
    # Each has one Message-ID, and no two the same.
    assert len({mail[2:] for mail in taken}) == len({mail.message_id for mail in taken})
    assert len({mail.message_id for mail in taken}) == len(addresses)
    assert addresses_in(SENT) == sorted(addresses)
    assert len(taken) - len(addresses) <= doubles
    return [address for address, times in Counter(sink.recipients()).items() if times > 1]


# The broker


def tick(broker: Broker) -> None:
    """Do what beat does."""
    with celery_app.connection_for_write(broker.url) as connection_to_broker:
        for task in ("queue_due_mails", "deliver_mails"):
            celery_app.send_task(f"registrations.tasks.{task}", connection=connection_to_broker)


@pytest.mark.served
def test_broker_that_dies_during_a_mailing_loses_no_email(week, sink, broker, worker):
    people = crowd(week, emails(100, "slowish.example"))
    worker(REDIS_URL=broker.url)
    announce(week)
    tick(broker)
    sink.wait_for(20)
    broker.kill()
    # Without it the worker goes on until its delivery run ends.
    sink.wait_for(sink.count() + 20)
    late = [sign_up(week, f"Late{number} L").email for number in range(5)]
    broker.start()
    tick(broker)
    eventually(have_ended(105), "everyone is served", 60)
    assert assert_served(sink, [person.email for person in people] + late) == []


# The database


@pytest.fixture
def postgresql() -> Iterator[Any]:
    """A cursor of a second connection."""
    with closing(psycopg2.connect(database_url())) as own:
        own.autocommit = True
        yield own.cursor()


RECORDING = "wait_event_type = 'Lock' AND query LIKE 'UPDATE%'"


def cut(postgresql: Any, condition: str = "true") -> int:
    """Cut the workers' database connections; returns how many there were."""
    connections = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    postgresql.execute(f"{connections} WHERE application_name = 'a worker' AND {condition}")
    return postgresql.rowcount


@pytest.mark.served
def test_cut_database_connections_lose_and_double_no_email(week, sink, worker, postgresql):
    people = crowd(week, emails(100, "slowish.example"))
    worker(EMAIL_TIMEOUT="1", PGAPPNAME="a worker")
    announce(week)
    for count in (20, 35, 50):
        eventually_with_wakeups(partial(has_taken, sink, count), f"{count} mails")
        eventually(lambda: cut(postgresql), "the worker is back at the database")
    for _time in range(2):
        with transaction.atomic():
            # Recording an outcome waits for these locks. The connection is cut meanwhile.
            waiting = OutgoingMail.objects.select_for_update().filter(state=WAITING)
            assert len(waiting) > 20
            eventually_with_wakeups(
                partial(cut, postgresql, RECORDING), "an outcome is being recorded"
            )
    eventually_with_wakeups(have_ended(100), "everyone is served")
    assert assert_served(sink, [person.email for person in people]) == []


@pytest.mark.served
@pytest.mark.crashes
def test_database_that_crashes_during_a_mailing_loses_and_doubles_no_email(
    week, sink, worker, postgresql
):
    people = crowd(week, emails(150, "slowish.example"))
    # The tests' server may lose commits in a crash, but not those of this worker.
    worker(EMAIL_TIMEOUT="1", PGAPPNAME="a worker", PGOPTIONS="-c synchronous_commit=on")
    announce(week)
    sink.wait_for(40)
    postgresql.execute("CHECKPOINT")
    postgresql.execute("SELECT pid FROM pg_stat_activity WHERE application_name = 'a worker'")
    (backend,) = postgresql.fetchone()
    # When one of its processes is killed, the server ends all of them and recovers.
    os.kill(backend, signal.SIGKILL)
    eventually(lambda: is_cut(postgresql), "the server has ended its processes")
    eventually(has_recovered, "the database has recovered")
    connection.close()
    eventually_with_wakeups(have_ended(150), "everyone is served")
    assert assert_served(sink, [person.email for person in people]) == []


def is_cut(cursor: Any) -> bool:
    try:
        cursor.execute("SELECT 1")
    except psycopg2.Error:
        return True
    return False


def has_recovered() -> bool:
    try:
        with closing(psycopg2.connect(database_url())):
            return True
    except psycopg2.OperationalError:
        return False


# The mail server


@pytest.mark.once
def test_mail_server_that_misbehaves_gets_every_email_and_twice_only_those_it_did_not_answer(
    week, sink, worker
):
    domains = ["busy.example", "gone.example", "mute.example", "cut.example", "deaf.example"]
    addresses = [
        f"{name}{number}@{domain}"
        for number in range(2)
        for domain in domains
        for name, domain in [("odd", domain), (domain[:4], "example.org")]
    ]
    people = crowd(week, addresses)
    assert len(people) == 20
    worker(EMAIL_TIMEOUT="1")
    announce(week)
    untried = OutgoingMail.objects.filter(state=WAITING, last_error="")
    eventually(lambda: OutgoingMail.objects.exists() and not untried.exists(), "each was tried")
    to_come = {"busy.example", "mute.example", "cut.example", "deaf.example"}
    assert {address.partition("@")[2] for address in addresses_in(WAITING)} == to_come
    # The retry delay is over, as it would be ten seconds later.
    OutgoingMail.objects.filter(state=WAITING).update(due_at=timezone.now())
    mail_queue.wake_workers()
    eventually(have_ended(20), "each was tried again")

    refused = [address for address in addresses if address.endswith("@gone.example")]
    assert addresses_in(FAILED) == sorted(refused)
    errors = set(OutgoingMail.objects.filter(state=FAILED).values_list("last_error", flat=True))
    assert errors == {"550 5.1.1 No such user"}
    served = [address for address in addresses if address not in refused]
    doubled = assert_served(sink, served, doubles=2)
    assert sorted(doubled) == ["odd0@deaf.example", "odd1@deaf.example"]


@pytest.mark.once
@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_slots_of_a_worker_send_in_parallel_from_the_start_of_a_mailing(week, sink, worker, pool):
    people = crowd(week, emails(400, "slow.example"))
    worker(f"--pool={pool}", "--concurrency=4")
    announce(week)
    eventually(have_ended(400), "everyone is served", 60)
    assert assert_served(sink, [person.email for person in people]) == []
    at_a_time = [mail.in_progress for mail in sink.taken()]
    assert max(at_a_time) == 4
    assert statistics.median(at_a_time) >= 3
    assert Heartbeat.objects.filter(process="worker").exists()


# The workers


@pytest.mark.served
@pytest.mark.once
def test_wakeup_that_a_busy_worker_cannot_take_is_left_to_an_idle_one(week, sink, worker):
    crowd(week, emails(300, "slow.example"))
    worker()
    announce(week)
    sink.wait_for(5)
    mail_queue.wake_workers()
    idle = worker()
    idle.wait_for_log(r"deliver_mails\[.*received", timeout=4)
    eventually(lambda: max(mail.in_progress for mail in sink.taken()) == 2, "both send", 4)


@pytest.mark.once
def test_worker_that_is_stopped_hands_back_what_it_has_not_sent(week, sink, worker):
    people = crowd(week, emails(230, "slow.example"))
    # Its lease would last for fifteen minutes.
    stopping = worker(EMAIL_TIMEOUT="60")
    announce(week)
    sink.wait_for(20)
    os.kill(stopping.pid, signal.SIGTERM)
    assert stopping.wait(mail_queue.DELIVERY_RUN_SECONDS + 5) == 0
    rest = OutgoingMail.objects.filter(state=WAITING)
    assert len(rest) == 230 - sink.count() > 0
    assert {mail.attempts for mail in rest} == {0}
    assert max(mail.due_at for mail in rest) <= timezone.now()
    worker(EMAIL_TIMEOUT="60")
    eventually(have_ended(230), "the next worker serves the others", 30)
    assert assert_served(sink, [person.email for person in people]) == []


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


def test_killed_workers_double_at_most_one_email_each(week, sink, worker):
    people = crowd(week, emails(300))
    announce(week)
    for _time in range(3):
        dying = worker()
        mail_queue.wake_workers()
        sink.wait_for(sink.count() + random.randrange(5, 60))
        dying.kill()
        assert states()[WAITING] > 0
        # Its lease has expired, as it would some minutes later.
        OutgoingMail.objects.filter(state=WAITING).update(due_at=timezone.now())
    worker()
    eventually_with_wakeups(have_ended(300), "everyone is served")
    assert_served(sink, [person.email for person in people], doubles=3)


@pytest.mark.served
@pytest.mark.once
def test_killed_child_of_a_worker_does_not_take_the_wakeup_with_it(week, sink, worker, postgresql):
    people = crowd(week, emails(20))
    announce(week)
    # So that the child has taken the wake-up, but claimed no email.
    postgresql.execute("BEGIN; LOCK TABLE registrations_outgoingmail")
    running = worker()
    waiting = "SELECT 1 FROM pg_locks WHERE relation = 'registrations_outgoingmail'::regclass"
    eventually(lambda: is_any(postgresql, f"{waiting} AND NOT granted"), "the child waits", 10)
    (child,) = running.children()
    os.kill(child, signal.SIGKILL)
    postgresql.execute("COMMIT")
    # Without the wake-up it would wait for beat.
    sink.wait_for(1, timeout=2)
    eventually(have_ended(20), "everyone is served")
    assert assert_served(sink, [person.email for person in people]) == []


@pytest.mark.once
@pytest.mark.parametrize("children", [1, 2])
def test_mailing_goes_on_at_once_when_a_child_of_a_worker_is_killed(week, sink, worker, children):
    crowd(week, emails(2000))
    announce(week)
    running = worker(f"--concurrency={children}")
    mail_queue.wake_workers()
    sink.wait_for(20 * children)
    os.kill(running.children()[0], signal.SIGKILL)
    # The mail server may still be working on one of the killed child's.
    sink.wait_for(sink.count() + 2, timeout=2)


def is_any(postgresql: Any, query: str) -> bool:
    postgresql.execute(query)
    return bool(postgresql.fetchone())


def test_concurrent_claims_share_no_email(week):
    crowd(week, emails(10))
    mail_queue.queue_all(Registration.objects.all(), key="links", kind="links")
    with ThreadPoolExecutor(1) as elsewhere:
        with transaction.atomic():
            ours = mail_queue.claim(limit=5)
            claiming = elsewhere.submit(claim_elsewhere)
            if connection.vendor == "postgresql":
                # It does not wait for the first claim. (SQLite has one writer at a time.)
                claiming.result(timeout=10)
        theirs = claiming.result()
    assert len({mail.pk for mail in ours + theirs}) == 10


def claim_elsewhere() -> list[OutgoingMail]:
    try:
        return mail_queue.claim(limit=5)
    finally:
        connection.close()


@pytest.mark.once
def test_two_beats_and_two_workers_send_everything_once(week, sink, worker, beat):
    people = crowd(week, emails(40))
    soon, changed = week.sessions.all()[:2]
    starts_at = timezone.now() + dt.timedelta(minutes=30)
    week.sessions.filter(pk=soon.pk).update(starts_at=starts_at)
    with edit_session(changed.pk) as session:
        session.title = "Another title"
        session.save()
    week.sessions.filter(pk=changed.pk).update(revised_at=timezone.now() - dt.timedelta(hours=1))
    Announcement.objects.create(
        event=week, subject="News", body="Hi.", state="scheduled", send_at=timezone.now()
    )
    started = [start(wait=False) for start in (beat, beat, worker, worker)]
    eventually(have_ended(3 * 40), "the beats' first sweep", 60)
    for _time in range(4):
        celery_app.send_task("registrations.tasks.queue_due_mails")
    eventually(lambda: times_asked(started) >= 2 + 4, "asked again and again")
    kinds = OutgoingMail.objects.values_list("kind", flat=True)
    assert Counter(kinds) == {"hour": 40, "changed": 40, "announcement": 40}
    assert states() == {SENT: 120}
    assert Counter(sink.recipients()) == {person.email: 3 for person in people}


def times_asked(workers: Iterable[Process]) -> int:
    """How often these workers have queued what is due."""
    return sum(len(re.findall(r"queue_due_mails\[.*succeeded", each.log)) for each in workers)


@pytest.mark.once
def test_announcement_reaches_those_who_were_there_at_its_start_and_have_not_left(
    week, sink, worker
):
    people = crowd(week, emails(160, "slowish.example"))
    worker()
    announcement = announce(week)
    sink.wait_for(10)
    mails = announcement.mails.order_by("pk").select_related("registration")
    turns = [mail.registration for mail in mails]
    # The first ones are in the batch that the worker has claimed.
    canceled, unsubscribed = turns[85:90] + turns[110:115], turns[95:100] + turns[115:120]
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


def test_links_overtake_an_announcement_to_thousands(week, sink, worker):
    crowd(week, emails(3000))
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
    started = [worker(wait=False, MAIL_PER_MINUTE="120") for _number in range(2)]
    for each in started:
        each.wait_for_log(" ready")
    began_at = time.time()
    announce(week)
    # So that both take part, and not just the one that was woken.
    eventually_with_wakeups(partial(has_taken, sink, 4), "under way")
    alice = sign_up(week)
    before = sink.count()
    eventually_with_wakeups(partial(has_taken, sink, 12), "a dozen mails")
    assert all("deliver_mails" in each.log for each in started)
    too_early = [
        number
        for number, mail in enumerate(sink.taken())
        if mail.moment < began_at + number * 60 / 120
    ]
    assert too_early == []
    # Each worker was already waiting to send one.
    assert alice.email in sink.recipients()[: before + 4]


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


# Odd texts


TITLES = [
    "He said \"no\" & <b>left</b>; \\n 'so', they say: {name} %s",
    "Pasted\x0bBcc: everyone@example.org\x0cfrom\u2028a text\x85with\x1cbreaks",
    "Pasted\x0bBcc: everyone@example.org",
    "Two lines\r\nBcc: everyone@example.org",
    "👩🏽\u200d⚖️ ünïcödé 🎉",
    "جلسة عن العفو \u202e(עברית)",
    "x" * 200,
    "é" * 200,
]
NAME = 'Siobhán "Shi" O\'Brien & Söhne 👩🏽\u200d⚖️ مريم'
PASTED = "One: \x0bsoft\r\n\r\nTwo\rThree\u2028Four\n.\n..\nFrom here\x85on"


def squeezed(text: str) -> str:
    """Without spaces, because an email may wrap its lines between any two words."""
    return "".join(text.split())


@pytest.mark.once
@pytest.mark.django_db
@pytest.mark.parametrize("title", TITLES)
def test_odd_names_and_titles_arrive_as_they_are(week, smtp, title):
    (session,) = sessions = week.sessions.all()[:1]
    session.agenda.update(title=title, description=PASTED)
    alice = sign_up(week, NAME, sessions=sessions, email="alice@example.org", with_schedule=True)
    with edit_session(session.pk) as edited:
        edited.title, edited.summary = title, PASTED
        edited.save()
    announcement = Announcement.objects.create(event=week, subject=title[:150], body=PASTED)
    announcement.subject = announcement.subject.replace("{name} %s", "")
    announcement.save()
    more = {"registration": alice, "session": session, "old_revision": session.revisions.get()}
    mail_queue.queue(
        [
            OutgoingMail(key="1", kind="changed", **more),
            OutgoingMail(key="2", kind="promoted", **more),
            OutgoingMail(
                key="3", kind="announcement", registration=alice, announcement=announcement
            ),
        ]
    )
    delivery.deliver_due(writer.writer_for)
    received = {str(mail["Subject"]): mail for mail in smtp.to("alice@example.org")}
    said = " ".join(announcement.subject.split())
    start = " ".join(title.split())[:20]
    about = sorted(subject for subject in received if subject != said)
    assert [len(about), said in received] == [4, True]
    begins = (
        f"Changed: {start}",
        f"Detailed schedule for {week.name}, ",
        f"You have a spot: {start}",
        f"Your Zoom links for {week.name}, ",
    )
    assert [a.startswith(b) for a, b in zip(about, begins, strict=True)] == [True] * 4
    for mail in received.values():
        assert [part.defects for part in mail.walk() if part.defects] == []
        assert mail["To"] == "alice@example.org"
        assert "Bcc" not in mail
        assert len(set(mail.keys())) == len(mail.keys())
        text = mail.get_body(("plain",)).get_content()
        html = mail.get_body(("html",)).get_content()
        # The links are the only one without the agenda.
        assert (squeezed(PASTED) in squeezed(text)) != mail["Subject"].startswith(begins[-1])
        assert "<b>left" not in html
        if mail["Subject"] == said:
            continue
        assert squeezed(title) in squeezed(text)
        assert squeezed(escape(title)) in squeezed(html)
        assert squeezed(NAME) in squeezed(text)
        assert squeezed(escape(NAME)) in squeezed(html)
        calendars = [
            Calendar.from_ical(part.get_content())
            for part in mail.walk()
            if part.get_content_type() == "text/calendar"
        ]
        titles = {squeezed(str(each["SUMMARY"])) for file in calendars for each in file.events}
        has_calendar = not mail["Subject"].startswith(begins[1])
        assert titles == ({squeezed(title)} if has_calendar else set())


# The whole


@pytest.mark.long
@pytest.mark.served
@pytest.mark.timeout(300)
def test_twenty_killed_workers_lose_no_email_to_ten_thousand_people(week, sink, worker):
    people = crowd(week, emails(10_000))
    start = partial(worker, wait=False, EMAIL_TIMEOUT="1")
    workers = [start(), start()]
    announce(week)
    began_at = time.monotonic()
    for count in sorted(random.sample(range(100, 9_500), 20)):
        eventually_with_wakeups(partial(has_taken, sink, count), f"{count} mails")
        sending = eventually_with_wakeups(partial(all_sending, workers), "a worker sends")
        time.sleep(random.random() / 10)
        dying = random.choice(sending)
        dying.kill()
        workers.remove(dying)
        workers.append(start())
    eventually_with_wakeups(at_rest(sink), "all but the dead workers' mails are served", 120)
    # Their leases expire, as they would half a minute later.
    OutgoingMail.objects.filter(state=WAITING).update(due_at=timezone.now())
    eventually_with_wakeups(have_ended(10_000), "everyone is served", 120)
    doubled = assert_served(sink, [person.email for person in people], doubles=20)
    seconds = time.monotonic() - began_at
    print(f"{10_000 / seconds:.0f} mails/s in {seconds:.0f} s, {len(doubled)} doubled")


def at_rest(sink: FastSink) -> Callable[[], bool]:
    """Whether no email is due, and none has arrived for three seconds."""
    seen, since = -1, 0.0

    def rests() -> bool:
        nonlocal seen, since
        if sink.count() != seen or OutgoingMail.objects.due(timezone.now()).exists():
            seen, since = sink.count(), time.monotonic()
        return time.monotonic() - since > 3

    return rests


def all_sending(workers: Iterable[Process]) -> list[Process]:
    """The workers that have received a task."""
    return [each for each in workers if "deliver_mails" in each.log.partition(" ready.")[2]]
