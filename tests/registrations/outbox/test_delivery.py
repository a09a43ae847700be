"""Emails are claimed, sent over a real SMTP connection and recorded, or tried again."""

import datetime as dt
import socket
import time

import pytest
import time_machine
from django.core.mail import EmailMessage
from django.db import IntegrityError, OperationalError, transaction
from django.utils import timezone

from events import background
from registrations import signup
from registrations.mail import enqueue, writer
from registrations.models import Announcement, OutgoingMail, Registration
from registrations.outbox import delivery, mail_queue
from tests.people import sign_up

pytestmark = pytest.mark.django_db

WAITING, SENT, FAILED, DROPPED = "waiting", "sent", "failed", "dropped"


def plain(mails):
    """Render every email as one line of text."""
    return lambda mail: EmailMessage("Hello", "A line.", to=[mail.registration.email])


def plain_after(action):
    """Do `action(mail)` before each email is rendered as one line of text."""

    def writer_for(mails):
        def write(mail):
            action(mail)
            return plain(mails)(mail)

        return write

    return writer_for


@pytest.fixture
def people(week) -> list[Registration]:
    return [sign_up(week, name) for name in ("Alice A", "Bob B", "Charlie C", "Dora D")]


def states() -> dict[str, str]:
    mails = OutgoingMail.objects.select_related("registration")
    return {mail.registration.name.split()[0]: mail.state for mail in mails}


def later(**delta: float):
    return time_machine.travel(timezone.now() + dt.timedelta(**delta))


def test_due_emails_are_sent_and_recorded(people, smtp):
    delivery.deliver_due(plain)
    assert states() == {"Alice": SENT, "Bob": SENT, "Charlie": SENT, "Dora": SENT}
    assert [received.recipients for received in smtp.messages] == [
        [person.email] for person in people
    ]
    delivery.deliver_due(plain)
    assert len(smtp.messages) == 4


def test_one_connection_sends_the_whole_batch(people, smtp, monkeypatch):
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
    enqueue.queue_confirmation(OutgoingMail.Kind.LINKS, [alice])
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


def test_rejected_address_fails_and_does_not_block_the_others(people, smtp):
    smtp.refuse("bob@example.org", "550 5.1.1 No such user")
    delivery.deliver_due(plain)
    assert states() == {"Alice": SENT, "Bob": FAILED, "Charlie": SENT, "Dora": SENT}
    bob = OutgoingMail.objects.get(state=FAILED)
    assert bob.last_error == "550 5.1.1 No such user"
    with later(days=1):
        delivery.deliver_due(plain)
    assert len(smtp.messages) == 3


def test_busy_mailbox_is_retried_with_growing_delays(people, smtp):
    smtp.temporarily_refuse("bob@example.org", "451 4.2.1 Try later")
    delays = []
    moment = timezone.now()
    for _attempt in range(9):
        with time_machine.travel(moment, tick=False):
            delivery.deliver_due(plain)
        bob = OutgoingMail.objects.get(registration__email="bob@example.org")
        assert (bob.state, bob.last_error) == (WAITING, "451 4.2.1 Try later")
        delays.append((bob.due_at - moment).total_seconds())
        moment = bob.due_at
    assert delays == [10, 30, 60, 120, 300, 600, 900, 900, 900]
    smtp.accept("bob@example.org")
    with time_machine.travel(moment, tick=False):
        delivery.deliver_due(plain)
    assert states()["Bob"] == SENT
    assert OutgoingMail.objects.get(registration__email="bob@example.org").last_error == ""


def test_busy_mailbox_fails_after_three_days(people, smtp):
    smtp.temporarily_refuse("bob@example.org", "451 4.2.1 Try later")
    OutgoingMail.objects.update(attempts=delivery.GIVE_UP_ATTEMPTS - 1)
    with later(days=3, minutes=1):
        delivery.deliver_due(plain)
    assert states()["Bob"] == FAILED


def test_email_that_waited_for_days_does_not_fail_at_its_first_attempt(people, smtp):
    smtp.temporarily_refuse("bob@example.org", "451 4.2.1 Try later")
    with later(days=4):
        delivery.deliver_due(plain)
    assert states()["Bob"] == WAITING


@pytest.mark.parametrize(
    "answer", ["5.4.5 Daily sending limit exceeded", "5.7.1 Relaying denied", "5.7.26 No DKIM"]
)
def test_rejection_of_the_sender_is_retried(people, smtp, answer):
    smtp.refuse("bob@example.org", f"550 {answer}")
    delivery.deliver_due(plain)
    assert states()["Bob"] == WAITING
    assert answer in OutgoingMail.objects.get(state=WAITING).last_error


@pytest.mark.parametrize("fault", ["stop", "hang", "close_after_data"])
def test_failing_server_keeps_every_email_waiting(people, smtp, fault):
    getattr(smtp, fault)()
    delivery.deliver_due(plain)
    mails = OutgoingMail.objects.all()
    assert {mail.state for mail in mails} == {WAITING}
    assert all(mail.last_error and mail.due_at > timezone.now() for mail in mails)
    smtp.close_after_data(False)
    smtp.start()
    with later(minutes=1):
        delivery.deliver_due(plain)
    assert set(states().values()) == {SENT}


def test_email_never_fails_because_the_server_is_away(people, smtp):
    smtp.stop()
    with later(days=30):
        delivery.deliver_due(plain)
    assert set(states().values()) == {WAITING}


def test_emails_that_break_the_connection_do_not_hold_up_the_others(week, smtp):
    """Three failed connections in a row end a run, and these three emails come first."""
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


def test_answer_of_the_server_may_contain_anything(people, smtp):
    smtp.refuse("bob@example.org", "550 no such\0user " + "x" * 400)
    delivery.deliver_due(plain)
    assert states() == {"Alice": SENT, "Bob": FAILED, "Charlie": SENT, "Dora": SENT}
    assert OutgoingMail.objects.get(state=FAILED).last_error.startswith("550 no such\ufffduser x")


def test_invalid_host_keeps_every_email_waiting_with_the_error(people, smtp, settings):
    settings.EMAIL_HOST = "smtp..example.org"
    delivery.deliver_due(plain)
    assert set(states().values()) == {WAITING}
    assert all("UnicodeError" in mail.last_error for mail in OutgoingMail.objects.all())


def test_email_is_retried_when_the_server_closes_the_connection(people, smtp):
    smtp.refuse("alice@example.org", "421 4.3.2 Closing")
    delivery.deliver_due(plain)
    assert states() == {"Alice": WAITING, "Bob": SENT, "Charlie": SENT, "Dora": SENT}


@pytest.mark.parametrize("fault", ["rendering", "header"])
def test_email_that_cannot_be_rendered_does_not_block_the_others(people, smtp, fault):
    def but_not_bob(mails):
        def write(mail):
            message = plain(mails)(mail)
            if mail.registration.name == "Bob B":
                if fault == "rendering":
                    raise ValueError("Bob's email cannot be rendered")
                message.subject = "Hello\nBcc: everyone@example.org"
            return message

        return write

    delivery.deliver_due(but_not_bob)
    assert states() == {"Alice": SENT, "Bob": WAITING, "Charlie": SENT, "Dora": SENT}
    assert "could not be written" in OutgoingMail.objects.get(state=WAITING).last_error


def test_email_that_is_no_longer_needed_is_dropped(people, smtp):
    delivery.deliver_due(lambda mails: lambda mail: None)
    assert set(states().values()) == {DROPPED}
    assert smtp.messages == []


def test_claimed_email_is_not_claimed_again(people):
    assert len(mail_queue.claim(limit=3)) == 3
    assert len(mail_queue.claim()) == 1
    assert mail_queue.claim() == []


def test_emails_of_a_dead_worker_are_sent_when_its_lease_has_expired(people, smtp):
    mail_queue.claim()
    with later(seconds=mail_queue.lease().total_seconds() + 1):
        delivery.deliver_due(plain)
    assert set(states().values()) == {SENT}


def test_late_worker_cannot_overwrite_the_outcome_of_the_next_one(people, smtp):
    """The first worker takes longer than its lease. Meanwhile the next one claims the emails."""
    with time_machine.travel(timezone.now()) as clock:

        def drop_late(mails):
            clock.shift(mail_queue.lease() + dt.timedelta(seconds=1))
            assert mail_queue.claim(limit=4)
            return lambda mail: None

        delivery.deliver_due(drop_late)
    assert set(states().values()) == {WAITING}


def test_late_worker_cannot_overwrite_a_claim_that_was_handed_back(people, smtp):
    """Then the number of attempts is the same again, but not the time when it is due."""
    moment = timezone.now() + dt.timedelta(hours=1)

    def not_yet(mail):
        raise mail_queue.NotYet(moment)

    with time_machine.travel(timezone.now()) as clock:

        def drop_late(mails):
            clock.shift(mail_queue.lease() + dt.timedelta(seconds=1))
            delivery.deliver_due(lambda mails: not_yet)
            return lambda mail: None

        delivery.deliver_due(drop_late)
    mails = OutgoingMail.objects.values_list("state", "attempts", "due_at")
    assert set(mails) == {(WAITING, 1, moment)}


def test_email_whose_lease_has_become_too_short_is_handed_back(people, smtp):
    """Sending it might take until another worker claims it."""
    with time_machine.travel(timezone.now()) as clock:
        almost = mail_queue.lease() - dt.timedelta(seconds=1)
        assert delivery.deliver_due(plain_after(lambda mail: clock.shift(almost))) is True
    assert smtp.messages == []
    assert {mail.attempts for mail in OutgoingMail.objects.all()} == {0}


def test_emails_that_failed_before_are_claimed_last(people):
    OutgoingMail.objects.filter(registration=people[0]).update(attempts=3)
    claimed = mail_queue.claim(limit=3)
    assert [mail.registration for mail in claimed] == people[1:]


@pytest.mark.parametrize(("state", "sent_at"), [("sent", None), ("waiting", "now")])
def test_database_allows_sent_at_only_for_sent_emails(week, state, sent_at):
    alice = sign_up(week)
    rule = "mail_sent_at_iff_a_server_took_it"
    with pytest.raises(IntegrityError, match=rule), transaction.atomic():
        alice.mails.update(state=state, sent_at=sent_at and timezone.now())


def test_canceled_registration_gets_no_email(week, smtp):
    alice = sign_up(week)
    signup.cancel(registration=alice)
    delivery.deliver_due(writer.writer_for)
    assert (states(), smtp.messages) == ({"Alice": DROPPED}, [])


def test_batch_takes_one_query_for_each_email_and_few_others(week, smtp, django_assert_num_queries):
    """The site's settings (1). Claim (2 and a savepoint's 2), read (1), record each, look for more
    (1 and 2).
    """
    for number in range(20):
        sign_up(week, f"P{number} X")
    with django_assert_num_queries(1 + 5 + 20 + 3):
        delivery.deliver_due(plain, recheck_seconds=60)


def test_run_whose_time_is_up_returns_that_more_may_be_due(people, smtp):
    assert delivery.deliver_due(plain, run_seconds=0) is True
    assert delivery.deliver_due(plain) is False
    assert set(states().values()) == {SENT}


def test_run_whose_time_is_up_hands_back_what_it_has_claimed(people, smtp):
    slowly = plain_after(lambda mail: time.sleep(0.12))
    assert delivery.deliver_due(slowly, run_seconds=0.1) is True
    assert sorted(states().values()) == [SENT, WAITING, WAITING, WAITING]
    handed_back = OutgoingMail.objects.filter(state=WAITING)
    assert {(mail.attempts, mail.claimed_at) for mail in handed_back} == {(0, None)}
    assert all(mail.due_at <= timezone.now() for mail in handed_back)


def test_run_hands_back_what_it_has_claimed_when_the_data_cannot_be_loaded(people, smtp):
    def broken(mails):
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        delivery.deliver_due(broken)
    assert {mail.attempts for mail in OutgoingMail.objects.all()} == {0}
    delivery.deliver_due(plain)
    assert set(states().values()) == {SENT}


def test_run_yields_its_batch_to_more_urgent_emails(week, smtp):
    for number in range(5):
        sign_up(week, f"P{number} X")
    OutgoingMail.objects.update(priority=OutgoingMail.Priority.BULK)
    rendered = []

    def sign_zora_up(mail):
        rendered.append(mail.registration.name)
        if len(rendered) == 2:
            sign_up(week, "Zora Z")

    delivery.deliver_due(plain_after(sign_zora_up), recheck_seconds=0)
    assert rendered == ["P0 X", "P1 X", "Zora Z", "P2 X", "P3 X", "P4 X"]
    assert len(smtp.messages) == 6


def test_claimed_email_that_is_paused_is_not_sent(people, smtp):
    def pause_bob(mail):
        OutgoingMail.objects.filter(registration=people[1]).update(state="paused")

    delivery.deliver_due(plain_after(pause_bob), recheck_seconds=0)
    assert states() == {"Alice": SENT, "Bob": "paused", "Charlie": SENT, "Dora": SENT}
    bob = OutgoingMail.objects.get(state="paused")
    assert (bob.attempts, bob.claimed_at) == (0, None)


@pytest.mark.parametrize(("count", "wakes"), [(1, 0), (2, 1), (4, 1)])
def test_run_wakes_another_worker_once_if_its_first_batch_is_full(
    people, smtp, monkeypatch, django_capture_on_commit_callbacks, count, wakes
):
    OutgoingMail.objects.filter(registration__in=people[count:]).delete()
    woken = []
    monkeypatch.setattr(background, "wake_workers", lambda task, **options: woken.append(task))
    with django_capture_on_commit_callbacks(execute=True):
        delivery.deliver_due(plain, batch_size=2)
    assert woken == ["registrations.tasks.deliver_mails"] * wakes


@pytest.mark.parametrize(
    ("fault", "may_have_it"),
    [("stop", False), ("hang", False), ("close_after_data", True), ("busy", False), ("ok", True)],
)
def test_claimed_at_is_kept_only_if_the_server_may_have_the_email(week, smtp, fault, may_have_it):
    alice = sign_up(week)
    if fault == "busy":
        smtp.temporarily_refuse(alice.email)
    elif fault != "ok":
        getattr(smtp, fault)()
    # SQLite's clock has milliseconds.
    began_at = timezone.now() - dt.timedelta(milliseconds=1)
    delivery.deliver_due(plain)
    claimed_at = alice.mails.get().claimed_at
    assert (claimed_at is not None and claimed_at >= began_at) == may_have_it


def test_links_that_wait_for_their_slot_stay_ahead_of_announcements(
    people, smtp, settings, monkeypatch
):
    """There is a slot every 15 seconds, so some runs end without one."""
    settings.MAIL_PER_MINUTE = 4
    announced = OutgoingMail.objects.filter(registration__in=people[2:])
    announced.update(priority=OutgoingMail.Priority.BULK)
    with time_machine.travel(timezone.now(), tick=False) as clock:
        monkeypatch.setattr(time, "sleep", clock.shift)
        delivery.deliver_due(plain, batch_size=2)
        assert states() == {"Alice": SENT, "Bob": WAITING, "Charlie": WAITING, "Dora": WAITING}
        clock.shift(6)
        delivery.deliver_due(plain, batch_size=2)
    assert states() == {"Alice": SENT, "Bob": SENT, "Charlie": WAITING, "Dora": WAITING}


def test_heartbeats_are_recorded_before_and_after_each_send(people, smtp):
    heartbeats = []
    smtp.hang()
    delivery.deliver_due(plain, record_heartbeat=lambda: heartbeats.append(timezone.now()))
    assert len(heartbeats) == 6
    for before, after in zip(heartbeats[::2], heartbeats[1::2], strict=True):
        assert dt.timedelta(seconds=1) <= after - before < mail_queue.longest_send()


def test_failed_heartbeat_does_not_end_the_run(people, smtp):
    def record_heartbeat():
        raise OperationalError("cut")

    delivery.deliver_due(plain, record_heartbeat=record_heartbeat)
    assert set(states().values()) == {SENT}


# Resending


@pytest.mark.parametrize(
    ("became", "sent_again", "state"),
    [("sending", 4, WAITING), ("paused", 4, "paused"), ("stopped", 3, FAILED)],
)
def test_failed_email_of_an_announcement_is_resent_only_if_that_is_sending(
    week, people, became, sent_again, state
):
    announcement = Announcement.objects.create(event=week, subject="News", state=became)
    doras = OutgoingMail.objects.filter(registration=people[3])
    doras.update(kind="announcement", announcement=announcement)
    OutgoingMail.objects.update(state=FAILED)
    assert mail_queue.resend(OutgoingMail.objects.all()) == sent_again
    assert states() == {"Alice": WAITING, "Bob": WAITING, "Charlie": WAITING, "Dora": state}
