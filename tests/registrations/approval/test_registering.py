"""Registering, and registering again, where approval is required."""

from html import unescape

import pytest
import time_machine
from django.core.cache import caches
from django.utils import timezone

from events.models import Event
from events.schedule import cancel_session
from registrations import signup
from registrations.models import OutgoingMail, Registration
from tests.people import sign_up
from tests.registrations.approval.registering import (
    HOUR,
    MINUTE,
    deliver,
    parts,
    post,
    queued,
    secrets_in,
)

pytestmark = pytest.mark.django_db


# Registering


def test_registration_is_pending(week):
    post(week)
    alice = Registration.objects.get()
    assert (alice.approval, alice.decided_at, alice.seats.count()) == ("pending", None, 6)
    assert (alice.is_admitted, alice.is_pending) == (False, True)
    assert queued(alice) == [("received", "waiting")]
    assert alice.mails.get().priority == OutgoingMail.Priority.URGENT


def test_event_without_approval_admits_at_once(week):
    Event.objects.update(requires_approval=False)
    post(week)
    alice = Registration.objects.get()
    assert (alice.approval, alice.decided_at, alice.is_admitted) == ("approved", None, True)
    assert queued(alice) == [("links", "waiting"), ("schedule", "waiting")]


@pytest.mark.once
@pytest.mark.parametrize("requires", [True, False])
def test_public_pages_mention_the_approval(client, week, requires):
    Event.objects.update(requires_approval=requires)
    form = client.get(f"/{week.slug}/register/").content
    assert (b"An organizer looks at each registration first" in form) is requires
    answer = post(week)
    assert (b"An organizer looks at each registration before" in answer) is requires
    assert (b"We've sent your Zoom links" in answer) is not requires
    Event.objects.update(registration_closes_at=timezone.now())
    caches["pages"].clear()
    closed = client.get(f"/{week.slug}/register/").content
    assert (b"once the organizers approve you" in closed) is requires


@pytest.mark.once
def test_received_email_shows_only_what_is_public(week, smtp):
    alice = sign_up(week)
    deliver()
    (received,) = smtp.messages
    text, html = parts(received.message)
    assert received.message["Subject"].startswith("We got your registration for ")
    assert list(received.message.iter_attachments()) == []
    titles = [session.title for session in week.sessions.all()]
    for shown in (text, unescape(html)):
        assert "An organizer looks at each registration before we send any links." in shown
        assert shown.count(f"http://localhost/me/{alice.token}/") == 1
        assert [title for title in titles if title not in shown] == []
        assert secrets_in(shown, week) == []


@pytest.mark.once
def test_received_email_leaves_out_canceled_sessions(week, opening, smtp):
    cancel_session(session=opening)
    sign_up(week, sessions=[opening])
    deliver()
    (received,) = smtp.messages
    text, _html = parts(received.message)
    assert opening.title not in text
    assert "WHAT YOU ASKED FOR" not in text


# Registering again


@pytest.mark.once
def test_registering_again_shows_everyone_the_same_page(week, someone):
    new = post(week)
    alice = Registration.objects.get()
    pages = {post(week)}
    with time_machine.travel(timezone.now() + 11 * MINUTE):
        for verb in (signup.approve, signup.decline):
            verb(registrations=[alice])
            pages.add(post(week))
    assert pages == {new}
    assert Registration.objects.count() == 1


def test_pending_person_is_emailed_again_at_most_once_in_ten_minutes(week):
    start = timezone.now()
    for minutes, count in [(0, 1), (9, 1), (11, 2), (12, 2)]:
        with time_machine.travel(start + minutes * MINUTE, tick=False):
            post(week)
            OutgoingMail.objects.update(state="sent", sent_at=timezone.now())
        assert queued(Registration.objects.get()) == [("received", "sent")] * count


def test_declined_person_gets_no_email(week, someone):
    alice = someone("declined")
    before = queued(alice)
    with time_machine.travel(timezone.now() + HOUR):
        post(week)
        post(week, email="ALICE@example.org", name="alice  ÁDAMS")
    assert queued(alice) == before
    alice.refresh_from_db()
    assert (alice.approval, alice.name) == ("declined", "Alice Adams")
    assert Registration.objects.count() == 1


def test_other_name_at_a_declined_persons_mailbox_needs_approval(week, someone):
    someone("declined")
    week.requires_approval = False
    week.save()
    post(week, name="Mallory M")
    mallory = Registration.objects.get(name="Mallory M")
    assert mallory.approval == "pending"
    assert list(mallory.mails.values_list("kind", flat=True)) == ["received"]


def test_links_are_resent_only_to_admitted_people(someone):
    someone("pending", "Alice A")
    someone("declined", "Bob B")
    someone("approved", "Charlie C")
    OutgoingMail.objects.update(state="failed")
    assert signup.resend_links(registrations=Registration.objects.all()) == 1
    mail = OutgoingMail.objects.get(state="waiting")
    assert (mail.kind, mail.registration.name) == ("links", "Charlie C")


@pytest.mark.parametrize(
    ("approval", "expected"),
    [("pending", ["received"]), ("declined", []), ("approved", ["links", "schedule"])],
)
def test_corrected_address_gets_the_confirmation(someone, approval, expected):
    alice = someone(approval)
    signup.correct_email(registration=alice, email="right@example.org")
    waiting = alice.mails.filter(state="waiting").order_by("pk").values_list("kind", flat=True)
    assert list(waiting) == expected
    assert Registration.objects.get().token == alice.token


def test_correcting_an_address_uses_the_latest_decision(someone):
    alice = someone("approved")
    signup.decline(registrations=[alice])
    signup.correct_email(registration=alice, email="right@example.org")
    assert not alice.mails.filter(state="waiting").exists()
