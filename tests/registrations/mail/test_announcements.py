"""Announcements: who gets one, and how it is started, paused, stopped and sent again."""

import datetime as dt
import re
from contextlib import suppress
from email.utils import parseaddr

import pytest
import time_machine
from django.db import IntegrityError, transaction
from django.utils import timezone

from registrations import signup, tasks
from registrations.mail import announcements, enqueue, unsubscribe, writer
from registrations.mail.previews import sample_attendee
from registrations.models import Announcement, OutgoingMail, Registration, Seat
from registrations.outbox import delivery, mail_queue
from tests.people import sign_up

pytestmark = pytest.mark.django_db

WAITING = {"state": "waiting", "waiting_since": dt.datetime(2021, 10, 1, tzinfo=dt.UTC)}


@pytest.fixture
def announce(week):
    """Make an announcement to everyone, but for what the test says otherwise."""

    def announce(**fields) -> Announcement:
        defaults = {"event": week, "subject": "News", "body": "Dear {name}, **hello**."}
        return Announcement.objects.create(**defaults | fields)

    return announce


@pytest.fixture
def started(week, announce) -> Announcement:
    for name in ("Alice A", "Bob B", "Charlie C", "Dora D"):
        sign_up(week, name)
    announcement = announce()
    announcements.send_now(announcement=announcement)
    tasks.queue_due_mails()
    announcement.refresh_from_db()
    return announcement


def names(people) -> set[str]:
    return {person.name.split()[0] for person in people}


def states(announcement: Announcement) -> dict[str, str]:
    queued = announcement.mails.select_related("registration")
    return {mail.registration.name.split()[0]: mail.state for mail in queued}


def read(smtp) -> set[str]:
    """The first names of those to whom the news went."""
    return {
        received.recipients[0].split("@")[0].capitalize()
        for received in smtp.messages
        if received.message["Subject"] == "News"
    }


def test_audience_is_everyone_who_attends_is_subscribed_and_can_be_reached(week, announce):
    sign_up(week)
    signup.cancel(registration=sign_up(week, "Bob B"))
    unsubscribe.unsubscribe(registration=sign_up(week, "Charlie C"))
    dora, erin = sign_up(week, "Dora D"), sign_up(week, "Erin E")
    dora.mails.update(state="bounced", sent_at=timezone.now())
    erin.mails.update(state="failed")
    assert names(announcements.audience(announce())) == {"Alice"}


def test_people_who_were_reached_again_are_included(week, announce):
    alice = sign_up(week)
    alice.mails.update(state="failed")
    enqueue.queue_confirmation(OutgoingMail.Kind.LINKS, [alice], before={alice.pk: 1})
    alice.mails.filter(state="waiting").update(state="sent", sent_at=timezone.now())
    assert names(announcements.audience(announce())) == {"Alice"}


def test_people_in_one_session(week, announce):
    opening, das = week.sessions.get(slug="opening"), week.sessions.get(slug="das")
    sign_up(week, sessions=[opening])
    sign_up(week, "Bob B", sessions=[das])
    sign_up(week, "Charlie C", sessions=[opening, das])
    Seat.objects.filter(registration=sign_up(week, "Dora D")).update(**WAITING)
    announcement = announce(audience="session", session=das)
    assert names(announcements.audience(announcement)) == {"Bob", "Charlie"}


def test_people_interested_in_one_strategy(week, announce):
    track, other = week.tracks.all()[:2]
    sign_up(week, strategies=[track])
    sign_up(week, "Bob B", strategies=[other])
    announcement = announce(audience="track", track=track)
    assert names(announcements.audience(announcement)) == {"Alice"}


def test_people_on_a_waiting_list(week, announce):
    opening, das = week.sessions.get(slug="opening"), week.sessions.get(slug="das")
    sign_up(week)
    for name, session in (("Bob B", opening), ("Charlie C", das)):
        sign_up(week, name, sessions=[session]).seats.update(**WAITING)
    assert names(announcements.audience(announce(audience="waiting"))) == {"Bob", "Charlie"}
    only = announce(audience="waiting", session=das)
    assert names(announcements.audience(only)) == {"Charlie"}


def test_people_who_have_not_attended_yet(week, announce):
    das = week.sessions.get(slug="das")
    sign_up(week)
    sign_up(week, "Bob B").seats.filter(session=das).update(attended=True)
    sign_up(week, "Charlie C", sessions=[week.sessions.get(slug="opening")])
    everywhere = announce(audience="not attended")
    assert names(announcements.audience(everywhere)) == {"Alice", "Charlie"}
    there = announce(audience="not attended", session=das)
    assert names(announcements.audience(there)) == {"Alice"}


def test_people_of_an_organization_or_a_state(week, announce):
    sign_up(week, organization="ACLU", us_state="CA")
    sign_up(week, "Bob B", organization="aclu", us_state="NY")
    sign_up(week, "Charlie C")
    assert names(announcements.audience(announce(organization=" ACLU "))) == {"Alice", "Bob"}
    assert names(announcements.audience(announce(organization="ACLU", us_state="NY"))) == {"Bob"}


def test_people_of_another_event_are_not_included(week, announce):
    from events.models import Event

    other = Event.objects.create(name="Other", slug="other", host="Us")
    sign_up(other, "Bob B", sessions=[])
    sign_up(week)
    assert names(announcements.audience(announce())) == {"Alice"}


def test_scheduled_announcement_starts_on_time(week, announce):
    sign_up(week)
    announcement = announce()
    moment = timezone.now() + dt.timedelta(hours=1)
    announcements.schedule(announcement=announcement, send_at=moment)
    tasks.queue_due_mails()
    assert announcement.mails.count() == 0
    with time_machine.travel(moment):
        tasks.queue_due_mails()
        tasks.queue_due_mails()
    announcement.refresh_from_db()
    assert (announcement.state, states(announcement)) == ("sending", {"Alice": "waiting"})


def test_scheduled_announcement_can_be_unscheduled(week, announce):
    sign_up(week)
    announcement = announce()
    announcements.send_now(announcement=announcement)
    announcements.unschedule(announcement=announcement)
    tasks.queue_due_mails()
    assert (announcement.state, announcement.mails.count()) == ("draft", 0)


def test_announcement_has_the_organizers_text(week, announce, smtp):
    sign_up(week, "Siobhán O'Brien")
    announcement = announce(body="Dear {name},\n\n**hello** <script>alert(1)</script> & welcome")
    announcements.send_now(announcement=announcement)
    tasks.queue_due_mails()
    delivery.deliver_due(writer.writer_for)
    message = next(each.message for each in smtp.messages if each.message["Subject"] == "News")
    text = message.get_body(("plain",)).get_content()
    html = message.get_body(("html",)).get_content()
    assert "Dear Siobhán O'Brien," in text
    assert "Dear Siobhán O&#x27;Brien," in html
    assert "<strong>hello</strong>" in html
    assert "<script" not in html


def test_unsubscribing_takes_one_click(week, announce, smtp, client):
    alice = sign_up(week)
    announcements.send_now(announcement=announce())
    tasks.queue_due_mails()
    delivery.deliver_due(writer.writer_for)
    message = smtp.messages[-1].message
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    (url,) = re.findall(r"<http://localhost(\S+)>", message["List-Unsubscribe"])
    assert url in message.get_body(("html",)).get_content()
    # A mail scanner opens every link.
    assert client.get(url).status_code == 200
    alice.refresh_from_db()
    assert alice.unsubscribed_at is None
    assert client.post(url, {"List-Unsubscribe": "One-Click"}).status_code == 200
    alice.refresh_from_db()
    assert alice.unsubscribed_at is not None
    client.post(url, {"again": "1"})
    alice.refresh_from_db()
    assert alice.unsubscribed_at is None


@pytest.mark.parametrize("signed", ["x", "1:x", "1", "99999999999999999999:x", "a:b:c"])
def test_forged_unsubscribe_link_is_not_found(client, week, signed):
    sign_up(week)
    assert client.post(f"/unsubscribe/{signed}/").status_code == 404
    assert Registration.objects.filter(unsubscribed_at=None).count() == 1


def test_unsubscribed_people_still_get_their_links(week, announce, smtp):
    alice = sign_up(week)
    announcements.send_now(announcement=announce())
    tasks.queue_due_mails()
    unsubscribe.unsubscribe(registration=alice)
    delivery.deliver_due(writer.writer_for)
    kinds = dict(OutgoingMail.objects.values_list("kind", "state"))
    assert kinds == {"links": "sent", "announcement": "dropped"}


def test_links_email_has_no_unsubscribe_link(week, smtp):
    sign_up(week)
    delivery.deliver_due(writer.writer_for)
    assert smtp.messages[0].message["List-Unsubscribe"] is None


def test_paused_announcement_waits_and_resumes(started, smtp):
    announcements.pause(announcement=started)
    delivery.deliver_due(writer.writer_for)
    assert (read(smtp), set(states(started).values())) == (set(), {"paused"})
    announcements.resume(announcement=started)
    delivery.deliver_due(writer.writer_for)
    assert read(smtp) == {"Alice", "Bob", "Charlie", "Dora"}


def test_stopped_announcement_cannot_resume(started, smtp):
    announcements.stop(announcement=started)
    delivery.deliver_due(writer.writer_for)
    assert (read(smtp), set(states(started).values())) == (set(), {"dropped"})
    with pytest.raises(announcements.WrongState):
        announcements.resume(announcement=started)


@pytest.mark.parametrize("verb", [announcements.pause, announcements.stop])
def test_email_being_sent_while_it_is_paused_or_stopped_is_recorded_as_sent(started, verb):
    def writer_for(mails):
        write = writer.writer_for(mails)

        def write_and_interrupt(mail):
            message = write(mail)
            with suppress(announcements.WrongState):
                verb(announcement=started)
            return message

        return write_and_interrupt

    OutgoingMail.objects.filter(kind="links").delete()
    delivery.deliver_due(writer_for)
    assert "sent" in states(started).values()


def test_failed_emails_are_sent_again(started, smtp):
    smtp.refuse("bob@example.org", "550 5.1.1 No such user")
    delivery.deliver_due(writer.writer_for)
    assert states(started)["Bob"] == "failed"
    smtp.accept("bob@example.org")
    assert announcements.resend_failed(announcement=started) == 1
    delivery.deliver_due(writer.writer_for)
    assert set(states(started).values()) == {"sent"}


@pytest.mark.parametrize(
    "verb",
    [announcements.pause, announcements.resume, announcements.stop, announcements.unschedule],
    ids=lambda verb: verb.__name__,
)
def test_draft_can_only_be_scheduled(week, announce, verb):
    announcement = announce()
    with pytest.raises(announcements.WrongState):
        verb(announcement=announcement)
    announcement.refresh_from_db()
    assert announcement.state == "draft"


def test_started_announcement_is_not_started_twice(started):
    with pytest.raises(announcements.WrongState):
        announcements.send_now(announcement=started)


def test_progress_counts_emails_and_estimates_the_time_left(started, smtp):
    moment = started.started_at + dt.timedelta(seconds=30)
    bob = started.mails.get(registration__name="Bob B")
    failed = started.mails.filter(registration__name="Dora D")
    OutgoingMail.objects.filter(pk=bob.pk).update(state="sent", sent_at=moment)
    failed.update(state="failed")
    progress = announcements.progress(started, moment)
    assert progress == announcements.SendingProgress(
        total=4, sent=1, waiting=2, failed=1, dropped=0, time_left=dt.timedelta(seconds=60)
    )


def test_starting_takes_the_same_queries_for_3_people_as_for_30(
    week, announce, django_assert_num_queries
):
    for count in (3, 30):
        for number in range(count):
            sign_up(week, f"P{count}x{number} X")
        announcement = announce()
        announcements.send_now(announcement=announcement)
        with django_assert_num_queries(7):
            announcements.start_due(timezone.now())
    assert announcement.mails.count() == 33


def test_emails_about_sessions_overtake_announcements(started):
    late = sign_up(started.event, "Late L")
    first = mail_queue.claim(limit=5)
    assert {mail.kind for mail in first} == {"links"}
    assert late in {mail.registration for mail in first}


@pytest.mark.parametrize("audience", ["session", "track"])
def test_database_requires_the_session_or_strategy_of_the_audience(week, announce, audience):
    with (
        pytest.raises(IntegrityError, match="announcement_audience_is_named"),
        transaction.atomic(),
    ):
        announce(audience=audience)


# A test to an organizer


@pytest.fixture
def tested(week):
    """Have an announcement tested by the organizer, as it would go to Alice."""
    alice = sign_up(week)
    alice.mails.update(state="dropped")

    def tested(announcement: Announcement, email: str = "organizer@example.org") -> OutgoingMail:
        announcements.send_test(announcement=announcement, person=alice, email=email)
        return OutgoingMail.objects.get(kind="test")

    return tested


def test_test_email_equals_the_real_one_without_the_persons_secret(week, announce, tested, smtp):
    week.contact_email = "desk@example.org"
    week.save()
    announcement = announce(subject="News of {event}")
    tested(announcement)
    delivery.deliver_due(writer.writer_for)
    announcements.send_now(announcement=announcement)
    tasks.queue_due_mails()
    delivery.deliver_due(writer.writer_for)
    test, real = (received.message for received in smtp.messages)
    assert parseaddr(test["To"])[1] == smtp.messages[0].recipients[0] == "organizer@example.org"
    assert test["Subject"] == f"[Test] {real['Subject']}" == f"[Test] News of {week.name}"
    own = {"To", "Subject", "Date", "Message-ID", "Content-Type", "List-Unsubscribe"}
    alike = [{name: each[name] for name in {*each.keys()} - own} for each in (test, real)]
    assert alike[0] == alike[1]
    assert (test["Reply-To"], test["List-Unsubscribe-Post"]) == (
        "desk@example.org",
        "List-Unsubscribe=One-Click",
    )
    alice, nobody = Registration.objects.get(), sample_attendee(week)
    secrets = alice.token, unsubscribe.unsubscribe_url(alice)
    stand_ins = nobody.token, unsubscribe.unsubscribe_url(nobody)
    assert test["List-Unsubscribe"].strip() == f"<{stand_ins[1]}>"
    for kind in ("plain", "html"):
        said, will_say = (each.get_body([kind]).get_content() for each in (test, real))
        assert "Dear Alice Adams" in said
        for secret, stand_in in zip(secrets, stand_ins, strict=True):
            assert secret not in said
            said = said.replace(stand_in, secret)
        assert said == will_say


def test_test_email_has_the_same_message_id_at_every_attempt(announce, tested, smtp):
    mail = tested(announce())
    smtp.close_after_data()
    delivery.deliver_due(writer.writer_for)
    smtp.close_after_data(False)
    with time_machine.travel(timezone.now() + dt.timedelta(minutes=5)):
        delivery.deliver_due(writer.writer_for)
    attempts = [*smtp.unanswered, *smtp.messages]
    assert [each.message["Message-ID"] for each in attempts] == [mail_queue.message_id(mail)] * 2


def test_rejected_test_email_has_failed(announce, tested, smtp):
    smtp.refuse("organizer@example.org", "550 5.1.1 No such user")
    mail = tested(announce())
    for minutes in (0, 5):
        with time_machine.travel(timezone.now() + dt.timedelta(minutes=minutes)):
            delivery.deliver_due(writer.writer_for)
    mail.refresh_from_db()
    assert (mail.state, mail.attempts, mail.last_error) == ("failed", 1, "550 5.1.1 No such user")


def test_test_email_waits_for_the_mail_server_until_it_expires(announce, tested, smtp):
    mail = tested(announce())
    smtp.stop()
    for minutes, state in ((0, "waiting"), (50, "waiting"), (61, "dropped")):
        with time_machine.travel(mail.created_at + dt.timedelta(minutes=minutes)):
            delivery.deliver_due(writer.writer_for)
        mail.refresh_from_db()
        assert mail.state == state


def test_test_email_is_not_one_of_the_announcements_emails(announce, tested):
    announcement = announce()
    mail = tested(announcement)
    assert announcements.progress(announcement, timezone.now()).total == 0
    with pytest.raises(IntegrityError, match="mail_of_an_announcement_names_it"):
        OutgoingMail.objects.filter(pk=mail.pk).update(announcement=announcement)


def test_test_email_keeps_a_very_long_subject(week, announce, tested, smtp):
    week.name = " ".join(["Week"] * 30)
    week.save()
    tested(announce(subject="{event} and {event} and {event}"))
    delivery.deliver_due(writer.writer_for)
    (received,) = smtp.messages
    assert received.message["Subject"] == f"[Test] {week.name} and {week.name} and {week.name}"
