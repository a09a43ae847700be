"""How a mail leaves: claimed, sent over a real SMTP connection, recorded; or tried again."""

import datetime as dt
import itertools
import socket
import threading
import time

import pytest
import time_machine
from django.core.mail import EmailMessage
from django.db import IntegrityError, OperationalError, transaction
from django.utils import timezone

from registrations import monitoring, signup, tasks
from registrations.mail import enqueue, writer
from registrations.models import Announcement, Heartbeat, OutgoingMail, Registration
from registrations.outbox import delivery, mail_queue
from tests.people import sign_up

pytestmark = pytest.mark.django_db

WAITING, SENT, FAILED, DROPPED = "waiting", "sent", "failed", "dropped"


def plain(mails):
    """Every mail is one line of text."""
    return lambda mail: EmailMessage("Hello", "A line.", to=[mail.registration.email])


@pytest.fixture
def people(week) -> list[Registration]:
    return [sign_up(week, name) for name in ("Alice A", "Bob B", "Charlie C", "Dora D")]


def states() -> dict[str, str]:
    mails = OutgoingMail.objects.select_related("registration")
    return {mail.registration.name.split()[0]: mail.state for mail in mails}


def later(**delta: float):
    return time_machine.travel(timezone.now() + dt.timedelta(**delta))


def test_due_mails_are_sent_and_recorded(people, smtp):
    delivery.deliver_due(plain)
    assert states() == {"Alice": SENT, "Bob": SENT, "Charlie": SENT, "Dora": SENT}
    assert [received.recipients for received in smtp.messages] == [
        [person.email] for person in people
    ]
    delivery.deliver_due(plain)
    assert len(smtp.messages) == 4


def test_one_connection_carries_the_batch(people, smtp, monkeypatch):
    connections = []
    connect = socket.create_connection

    def counted(*args, **options):
        connections.append(args)
        return connect(*args, **options)

    monkeypatch.setattr(socket, "create_connection", counted)
    delivery.deliver_due(plain)
    assert len(connections) == 1


def test_queueing_the_same_key_twice_is_harmless(week):
    alice = sign_up(week)
    enqueue.queue_links([alice])
    assert OutgoingMail.objects.count() == 1


def test_message_id_is_the_same_at_every_attempt(people, smtp):
    smtp.close_after_data()
    delivery.deliver_due(plain)
    smtp.close_after_data(False)
    with later(minutes=5):
        delivery.deliver_due(plain)
    first = {each.recipients[0]: each.message["Message-ID"] for each in smtp.unanswered}
    second = {each.recipients[0]: each.message["Message-ID"] for each in smtp.messages}
    assert first
    assert first.items() <= second.items()
    assert len(set(second.values())) == 4


def test_refused_address_fails_and_does_not_block_the_others(people, smtp):
    smtp.refuse("bob@example.org", "550 5.1.1 No such user")
    delivery.deliver_due(plain)
    assert states() == {"Alice": SENT, "Bob": FAILED, "Charlie": SENT, "Dora": SENT}
    bob = OutgoingMail.objects.get(state=FAILED)
    assert bob.last_error == "550 5.1.1 No such user"
    with later(days=1):
        delivery.deliver_due(plain)
    assert len(smtp.messages) == 3


def test_busy_mailbox_is_tried_again_with_growing_pauses(people, smtp):
    smtp.temporarily_refuse("bob@example.org", "451 4.2.1 Try later")
    pauses = []
    moment = timezone.now()
    for _attempt in range(9):
        with time_machine.travel(moment, tick=False):
            delivery.deliver_due(plain)
        bob = OutgoingMail.objects.get(registration__email="bob@example.org")
        assert (bob.state, bob.last_error) == (WAITING, "451 4.2.1 Try later")
        pauses.append((bob.due_at - moment).total_seconds())
        moment = bob.due_at
    assert pauses == [10, 30, 60, 120, 300, 600, 900, 900, 900]
    smtp.accept("bob@example.org")
    with time_machine.travel(moment, tick=False):
        delivery.deliver_due(plain)
    assert states()["Bob"] == SENT
    assert OutgoingMail.objects.get(registration__email="bob@example.org").last_error == ""


def test_busy_mailbox_is_given_up_after_three_days(people, smtp):
    smtp.temporarily_refuse("bob@example.org", "451 4.2.1 Try later")
    OutgoingMail.objects.update(attempts=delivery.GIVE_UP_ATTEMPTS - 1)
    with later(days=3, minutes=1):
        delivery.deliver_due(plain)
    assert states()["Bob"] == FAILED


def test_mail_that_waited_for_days_is_not_given_up_at_its_first_attempts(people, smtp):
    smtp.temporarily_refuse("bob@example.org", "451 4.2.1 Try later")
    with later(days=4):
        delivery.deliver_due(plain)
    assert states()["Bob"] == WAITING


@pytest.mark.parametrize(
    "words", ["5.4.5 Daily sending limit exceeded", "5.7.1 Relaying denied", "5.7.26 No DKIM"]
)
def test_refusal_that_is_about_the_sender_is_not_the_mails_last_outcome(people, smtp, words):
    smtp.refuse("bob@example.org", f"550 {words}")
    delivery.deliver_due(plain)
    assert states()["Bob"] == WAITING
    assert words in OutgoingMail.objects.get(state=WAITING).last_error


@pytest.mark.parametrize("trouble", ["stop", "hang", "close_after_data"])
def test_failing_server_keeps_every_mail(people, smtp, trouble):
    getattr(smtp, trouble)()
    delivery.deliver_due(plain)
    mails = OutgoingMail.objects.all()
    assert {mail.state for mail in mails} == {WAITING}
    assert all(mail.last_error and mail.due_at > timezone.now() for mail in mails)
    smtp.close_after_data(False)
    smtp.start()
    with later(minutes=1):
        delivery.deliver_due(plain)
    assert set(states().values()) == {SENT}


def test_failing_server_is_never_the_mails_last_outcome(people, smtp):
    smtp.stop()
    with later(days=30):
        delivery.deliver_due(plain)
    assert set(states().values()) == {WAITING}


def test_bad_mails_do_not_keep_the_others_waiting(week, smtp):
    """Three connections that break in a row end a batch, and these three come first in it."""
    breaking = [sign_up(week, f"Bad{number} X") for number in range(3)]
    for person in breaking:
        smtp.refuse(person.email, "421 4.3.2 Closing")
    for number in range(5):
        sign_up(week, f"Good{number} X")
    delivery.deliver_due(plain)
    handed_back = OutgoingMail.objects.exclude(registration__in=breaking)
    assert {(mail.state, mail.attempts) for mail in handed_back} == {(WAITING, 0)}
    with later(seconds=11):
        delivery.deliver_due(plain)
    assert {mail.state for mail in handed_back.all()} == {SENT}
    assert OutgoingMail.objects.filter(state=WAITING).count() == 3


def test_servers_words_may_be_anything(people, smtp):
    smtp.refuse("bob@example.org", "550 no such\0user " + "x" * 400)
    delivery.deliver_due(plain)
    assert states() == {"Alice": SENT, "Bob": FAILED, "Charlie": SENT, "Dora": SENT}
    assert OutgoingMail.objects.get(state=FAILED).last_error.startswith("550 no such\ufffduser x")


def test_host_that_is_no_host_keeps_every_mail_and_says_so(people, smtp, settings):
    settings.EMAIL_HOST = "smtp..example.org"
    delivery.deliver_due(plain)
    assert set(states().values()) == {WAITING}
    assert all("UnicodeError" in mail.last_error for mail in OutgoingMail.objects.all())


def test_server_that_says_goodbye_is_tried_again(people, smtp):
    smtp.refuse("alice@example.org", "421 4.3.2 Closing")
    delivery.deliver_due(plain)
    assert states() == {"Alice": WAITING, "Bob": SENT, "Charlie": SENT, "Dora": SENT}


@pytest.mark.parametrize("fault", ["writing", "header"])
def test_unwritable_mail_does_not_block_the_others(people, smtp, fault):
    def but_not_bob(mails):
        def write(mail):
            message = plain(mails)(mail)
            if mail.registration.name == "Bob B":
                if fault == "writing":
                    raise ValueError("Bob's mail cannot be written")
                message.subject = "Hello\nBcc: everyone@example.org"
            return message

        return write

    delivery.deliver_due(but_not_bob)
    assert states() == {"Alice": SENT, "Bob": WAITING, "Charlie": SENT, "Dora": SENT}
    assert "could not be written" in OutgoingMail.objects.get(state=WAITING).last_error


def test_mail_no_longer_needed_is_dropped(people, smtp):
    delivery.deliver_due(lambda mails: lambda mail: None)
    assert set(states().values()) == {DROPPED}
    assert smtp.messages == []


def test_claimed_mail_is_no_one_elses(people):
    assert len(mail_queue.claim(limit=3)) == 3
    assert len(mail_queue.claim()) == 1
    assert mail_queue.claim() == []


def test_dead_workers_mails_fall_due_again(people, smtp):
    mail_queue.claim()
    with later(seconds=mail_queue.lease().total_seconds() + 1):
        delivery.deliver_due(plain)
    assert set(states().values()) == {SENT}


def test_late_worker_cannot_write_over_its_successor(people, smtp):
    (late,) = mail_queue.claim(limit=1)
    with later(seconds=mail_queue.lease().total_seconds() + 1):
        mail_queue.claim()
        delivery._record([late], state=FAILED, last_error="too late")
        assert set(states().values()) == {WAITING}


def test_late_worker_cannot_write_over_a_claim_of_the_same_number(people, smtp):
    OutgoingMail.objects.exclude(registration=people[0]).delete()
    (late,) = mail_queue.claim(limit=1)
    with later(seconds=mail_queue.lease().total_seconds() + 1):
        (again,) = mail_queue.claim(limit=1)
        delivery._hand_back([again], due_at=timezone.now())
        with later(seconds=1):
            (third,) = mail_queue.claim(limit=1)
        assert third.attempts == again.attempts
        delivery._record([again], state=FAILED, last_error="too late")
    assert late.pk == third.pk
    assert states() == {"Alice": WAITING}


def test_mail_whose_lease_has_become_too_short_is_handed_back(people, smtp, monkeypatch):
    """Its sending might last until another worker has it."""
    monkeypatch.setattr(delivery, "longest_send", lambda: dt.timedelta(hours=1))
    monkeypatch.setattr(mail_queue, "lease", lambda: dt.timedelta(minutes=1))
    assert delivery.deliver_due(plain) is True
    assert smtp.messages == []
    assert {mail.attempts for mail in OutgoingMail.objects.all()} == {0}


def test_mails_that_failed_before_come_last(people):
    OutgoingMail.objects.filter(registration=people[0]).update(attempts=3)
    claimed = mail_queue.claim(limit=3)
    assert [mail.registration for mail in claimed] == people[1:]


@pytest.mark.parametrize(("state", "sent_at"), [("sent", None), ("waiting", "now")])
def test_database_knows_sent_at_only_with_sent(week, state, sent_at):
    alice = sign_up(week)
    rule = "mail_sent_at_iff_a_server_took_it"
    with pytest.raises(IntegrityError, match=rule), transaction.atomic():
        alice.mails.update(state=state, sent_at=sent_at and timezone.now())


def test_canceled_registration_gets_no_mail(week, smtp):
    alice = sign_up(week)
    signup.cancel(registration=alice)
    delivery.deliver_due(writer.writer_for)
    assert (states(), smtp.messages) == ({"Alice": DROPPED}, [])


def test_batch_of_many_takes_few_queries(week, smtp, monkeypatch, django_assert_num_queries):
    """Claim (2 and a savepoint's 2), read (1), record each, look for more (1 and 2)."""
    monkeypatch.setattr(delivery, "RECHECK_SECONDS", 60)
    for number in range(20):
        sign_up(week, f"P{number} X")
    with django_assert_num_queries(5 + 20 + 3):
        delivery.deliver_due(plain)


def test_turn_that_ends_before_the_mails_do_asks_for_another(people, smtp, monkeypatch):
    monkeypatch.setattr(delivery, "DELIVERY_RUN_SECONDS", 0)
    assert delivery.deliver_due(plain) is True
    monkeypatch.undo()
    assert delivery.deliver_due(plain) is False
    assert set(states().values()) == {SENT}


def test_turn_that_ends_hands_back_what_it_has_claimed(people, smtp, monkeypatch):
    def slowly(mails):
        def write(mail):
            time.sleep(0.12)
            return plain(mails)(mail)

        return write

    monkeypatch.setattr(delivery, "DELIVERY_RUN_SECONDS", 0.1)
    assert delivery.deliver_due(slowly) is True
    assert sorted(states().values()) == [SENT, WAITING, WAITING, WAITING]
    handed_back = OutgoingMail.objects.filter(state=WAITING)
    assert {mail.attempts for mail in handed_back} == {0}
    assert all(mail.due_at <= timezone.now() for mail in handed_back)


def test_links_that_wait_for_their_slot_stay_ahead_of_announcements(
    people, smtp, settings, monkeypatch
):
    """There is a slot every 15 seconds: some turns end without one. Two are claimed at a time."""
    settings.MAIL_PER_MINUTE = 4
    monkeypatch.setattr(delivery, "BATCH_SIZE", 2)
    announced = OutgoingMail.objects.filter(registration__in=people[2:])
    announced.update(priority=OutgoingMail.Priority.IN_TURN)
    with time_machine.travel(timezone.now(), tick=False) as clock:
        monkeypatch.setattr(time, "sleep", clock.shift)
        delivery.deliver_due(plain)
        assert states() == {"Alice": SENT, "Bob": WAITING, "Charlie": WAITING, "Dora": WAITING}
        clock.shift(6)
        delivery.deliver_due(plain)
    assert states() == {"Alice": SENT, "Bob": SENT, "Charlie": WAITING, "Dora": WAITING}


def test_worker_that_waits_for_a_mail_server_gives_signs_of_life(week, smtp, monkeypatch):
    monkeypatch.setattr(monitoring, "HEARTBEAT_SECONDS", 0)
    sign_up(week)
    smtp.hang()
    began_at = timezone.now()
    tasks.deliver_mails()
    last_sign = Heartbeat.objects.get(process="worker").seen_at
    assert (last_sign - began_at).total_seconds() > delivery.RECHECK_SECONDS


def test_sign_of_life_that_fails_costs_no_outcome(week, smtp):
    def record_heartbeat():
        raise OperationalError("cut")

    alice = sign_up(week)
    smtp.hang()
    delivery.deliver_due(plain, record_heartbeat=record_heartbeat)
    assert "timed out" in alice.mails.get().last_error


# Mails that failed, sent again


@pytest.mark.parametrize(
    ("became", "sent_again", "state"),
    [("sending", 4, WAITING), ("paused", 4, "paused"), ("stopped", 3, FAILED)],
)
def test_mail_that_failed_is_sent_again_as_its_announcement_has_it(
    week, people, became, sent_again, state
):
    """Of four one is of an announcement that has moved on since."""
    announcement = Announcement.objects.create(event=week, subject="News", state=became)
    its = OutgoingMail.objects.filter(registration=people[3])
    its.update(kind="announcement", announcement=announcement)
    OutgoingMail.objects.update(state=FAILED)
    assert mail_queue.resend(OutgoingMail.objects.all()) == sent_again
    assert states() == {"Alice": WAITING, "Bob": WAITING, "Charlie": WAITING, "Dora": state}


# Over several connections


@pytest.fixture
def two_connections(settings, monkeypatch) -> None:
    settings.MAIL_CONNECTIONS = 2
    monkeypatch.setattr(delivery, "BATCH_SIZE", 2)


@pytest.mark.django_db(transaction=True)
def test_next_mails_are_fetched_while_these_are_sent(people, smtp, two_connections):
    fetching = []

    def fetched(mails):
        fetching.append(threading.current_thread())
        return plain(mails)

    delivery.deliver_due(fetched)
    assert [thread is threading.main_thread() for thread in fetching] == [True, False]
    assert len(smtp.messages) == 4
    assert set(states().values()) == {SENT}


@pytest.mark.django_db(transaction=True)
def test_what_was_fetched_ahead_gives_way_to_links(week, smtp, two_connections, monkeypatch):
    """Zora comes while four are written and four more are fetched; nobody looks again later."""
    for number in range(9):
        sign_up(week, f"P{number} X")
    OutgoingMail.objects.update(priority=OutgoingMail.Priority.IN_TURN)
    monkeypatch.setattr(delivery, "BATCH_SIZE", 4)
    monkeypatch.setattr(delivery, "RECHECK_SECONDS", 0)
    written = []

    def fetched(mails):
        def write(mail):
            written.append(mail.registration.name)
            if len(written) == 3:
                sign_up(week, "Zora Z")
                monkeypatch.setattr(delivery, "RECHECK_SECONDS", 60)
            return plain(mails)(mail)

        return write

    delivery.deliver_due(fetched)
    assert len(smtp.messages) == 10
    assert written.index("Zora Z") <= 4


@pytest.mark.django_db(transaction=True)
def test_what_was_fetched_ahead_is_looked_at_before_it_is_sent(
    week, smtp, two_connections, monkeypatch
):
    people = [sign_up(week, f"P{number} X") for number in range(8)]
    monkeypatch.setattr(delivery, "BATCH_SIZE", 4)
    ahead, written = threading.Event(), itertools.count(1)

    def fetched(mails):
        if threading.current_thread() is not threading.main_thread():
            ahead.set()

        def write(mail):
            if next(written) == 4:
                assert ahead.wait(10)
                OutgoingMail.objects.filter(registration=people[4]).update(state="paused")
            return plain(mails)(mail)

        return write

    delivery.deliver_due(fetched)
    reached = {received.recipients[0] for received in smtp.messages}
    assert reached == {person.email for person in people} - {people[4].email}


@pytest.mark.django_db(transaction=True)
def test_turn_ends_well_when_the_next_mails_cannot_be_fetched(
    week, smtp, two_connections, monkeypatch, caplog
):
    for number in range(8):
        sign_up(week, f"P{number} X")
    monkeypatch.setattr(delivery, "BATCH_SIZE", 4)
    claim, written = mail_queue.claim, itertools.count(1)

    def claim_here_only(**limit):
        if threading.current_thread() is threading.main_thread():
            return claim(**limit)
        raise OperationalError("cut")

    def until_the_lease_is_too_short(mails):
        def write(mail):
            if next(written) == 3:
                monkeypatch.setattr(delivery, "longest_send", lambda: dt.timedelta(days=1))
            return plain(mails)(mail)

        return write

    monkeypatch.setattr(delivery, "claim", claim_here_only)
    assert delivery.deliver_due(until_the_lease_is_too_short) is True
    assert "could not be fetched: cut" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_mails_that_could_not_be_prepared_are_handed_back(people, smtp, two_connections):
    def broken(mails):
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        delivery.deliver_due(broken)
    assert {mail.attempts for mail in OutgoingMail.objects.all()} == {0}
    delivery.deliver_due(plain)
    assert set(states().values()) == {SENT}
