"""Approving and declining, and coming back afterwards."""

import threading

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from events.models import Event
from registrations import signup
from registrations.models import OutgoingMail, Registration
from tests.admin_pages import act, act_surely
from tests.people import sign_up
from tests.registrations.approval.registering import deliver, parts, queued

pytestmark = pytest.mark.django_db


def read(smtp) -> list[tuple[str, str]]:
    """The recipient and subject of each email."""
    return [(each.recipients[0], each.message["Subject"]) for each in smtp.messages]


def test_approving_sends_the_links(someone, smtp, week):
    alice = someone("pending")
    before = timezone.now()
    assert signup.approve(registrations=[alice]) == 1
    deliver()
    alice.refresh_from_db()
    assert (alice.approval, alice.is_admitted) == ("approved", True)
    assert alice.decided_at > before
    assert queued(alice) == [("received", "dropped"), ("links", "sent"), ("schedule", "sent")]
    recipients, subjects = zip(*read(smtp), strict=True)
    assert recipients == ("alice@example.org",) * 2
    assert subjects[0].startswith("Your Zoom links for ")
    assert subjects[1].startswith("Detailed schedule for ")


def test_declining_sends_nothing_and_keeps_the_seats(someone, smtp):
    alice, bob = someone("pending"), someone("approved", "Bob B")
    assert signup.decline(registrations=[alice, bob]) == 2
    for person in (alice, bob):
        person.refresh_from_db()
        assert person.approval == "declined"
        assert (person.is_admitted, person.is_pending) == (False, False)
        assert (person.seats.count(), person.decided_at is None) == (6, False)
        assert {state for _kind, state in queued(person)} == {"dropped"}
    deliver()
    assert smtp.messages == []


def test_approving_after_declining_gives_new_links_to_the_same_sessions(
    week, opening, someone, smtp
):
    alice = someone("approved", sessions=[opening])
    deliver()
    signup.decline(registrations=[alice])
    assert signup.approve(registrations=[alice]) == 1
    deliver()
    texts = [parts(each.message)[0] for each in smtp.messages]
    again = Registration.objects.get()
    assert again.token != alice.token
    assert [f"/join/{alice.token}/opening/" in text for text in texts[:2]] == [True, True]
    assert [f"/join/{again.token}/opening/" in text for text in texts[2:]] == [True, True]
    assert [alice.token in text for text in texts[2:]] == [False, False]
    sent = [kind for kind, state in queued(alice) if state == "sent"]
    assert sent == ["links", "schedule", "links", "schedule"]


def test_quick_decline_and_approval_leave_one_links_email(someone, smtp):
    alice = someone("approved")
    signup.decline(registrations=[alice])
    signup.approve(registrations=[alice])
    deliver()
    assert [subject.partition(" for ")[0] for _to, subject in read(smtp)] == [
        *("Your Zoom links", "Detailed schedule")
    ]


def test_decided_and_canceled_registrations_are_not_decided_again(someone):
    alice, bob = someone("approved"), someone("declined", "Bob B")
    charlie = someone("pending", "Charlie C")
    signup.cancel(registration=charlie)
    before = list(Registration.objects.order_by("pk").values())
    assert signup.approve(registrations=[alice, charlie]) == 0
    assert signup.decline(registrations=[bob]) == 0
    assert list(Registration.objects.order_by("pk").values()) == before
    assert alice.mails.filter(kind="links").count() == 1


def come_back(client, person: Registration) -> Registration:
    client.post(f"/me/{person.token}/return/")
    person.refresh_from_db()
    return person


@pytest.mark.parametrize("approval", ["approved", "pending"])
def test_canceling_first_does_not_dodge_a_decline(
    client, admin_client, week, opening, someone, approval
):
    opening.capacity = 1
    opening.save()
    alice = someone(approval)
    bob = someone("pending", "Bob B")
    signup.cancel(registration=alice)
    page = act(admin_client, Registration, "decline", alice)
    assert "1 person declined" in page
    alice.refresh_from_db()
    assert (alice.approval, alice.canceled_at is None) == ("declined", False)
    # With the new link, which only a signed-in person could find.
    assert come_back(client, alice).approval == "declined"
    assert bob.seats.get(session=opening).state == "seated"
    assert client.get(f"/me/{alice.token}/calendar.ics").status_code == 404


def test_returning_requires_approval_again(client, someone):
    alice = someone("approved")
    signup.cancel(registration=alice)
    assert b"An organizer will need to approve you" in client.get(f"/me/{alice.token}/").content
    alice = come_back(client, alice)
    assert (alice.canceled_at, alice.approval, alice.decided_at) == (None, "pending", None)
    assert queued(alice)[-1][0] == "received"
    assert signup.approve(registrations=[alice]) == 1


@pytest.mark.parametrize("canceled_first", [False, True])
@pytest.mark.parametrize("requires_approval", [False, True])
def test_return_does_not_undo_an_organizers_cancellation(
    client, admin_client, week, someone, requires_approval, canceled_first
):
    Event.objects.update(requires_approval=requires_approval)
    alice = someone("approved")
    if canceled_first:
        signup.cancel(registration=alice)
    act_surely(admin_client, "cancel", alice)
    assert come_back(client, alice).canceled_at is not None
    page = client.get(f"/me/{alice.token}/").content
    assert b"An organizer canceled it" in page
    assert b"return/" not in page
    assert "1 registration restored" in act(admin_client, Registration, "restore", alice)
    alice.refresh_from_db()
    assert (alice.canceled_at, alice.approval) == (None, "approved")


@pytest.mark.parametrize("turned_away", ["canceled", "declined"])
def test_registering_again_does_not_undo_an_organizers_decision(week, someone, turned_away):
    Event.objects.update(requires_approval=False)
    week.refresh_from_db()
    alice = someone("approved")
    if turned_away == "canceled":
        signup.cancel(registration=alice, by_organizer=True)
    else:
        signup.cancel(registration=alice)
        signup.decline(registrations=[alice])
    for _attempt in range(2):
        again = sign_up(week)
        assert (again.pk == alice.pk, again.approval) == (False, "pending")
        signup.cancel(registration=again)
    again = sign_up(week)
    signup.approve(registrations=[again])
    signup.cancel(registration=again)
    assert sign_up(week).approval == "approved"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("verb", [signup.approve, signup.decline])
def test_two_simultaneous_decisions_count_once(week, verb):
    """Real concurrency: as many connections as threads, each for all three people."""
    everyone = [sign_up(week, name) for name in ("Alice A", "Bob B", "Charlie C")]
    start = threading.Barrier(4)
    answers, failures = [], []

    def press() -> None:
        try:
            start.wait()
            answers.append(verb(registrations=everyone))
        except Exception as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=press) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert sorted(answers) == [0, 0, 0, 3]
    links = 3 if verb is signup.approve else 0
    assert OutgoingMail.objects.filter(kind="links").count() == links


def test_decisions_take_the_same_queries_for_3_people_as_for_20(week, django_assert_num_queries):
    for count in (3, 20):
        people = [sign_up(week, f"P{count}x{number} X") for number in range(count)]
        # The people, the approval, their seats, earlier links emails, who gets the schedule, the
        # emails; a savepoint.
        with django_assert_num_queries(9):
            assert signup.approve(registrations=people) == count
        # The people, the decision, their spots, the sessions, the waitlists, their tokens, their
        # unsent emails; two savepoints.
        with django_assert_num_queries(11):
            assert signup.decline(registrations=people) == count


def test_switching_approval_on_and_off_changes_no_registration(week):
    Event.objects.update(requires_approval=False)
    week.refresh_from_db()
    alice = sign_up(week)
    Event.objects.update(requires_approval=True)
    week.refresh_from_db()
    bob = sign_up(week, "Bob B")
    Event.objects.update(requires_approval=False)
    week.refresh_from_db()
    sign_up(week, "Bob B")
    for person, approval in ((alice, "approved"), (bob, "pending")):
        person.refresh_from_db()
        assert person.approval == approval
    assert queued(bob) == [("received", "waiting")]


@pytest.mark.parametrize(("approval", "decided"), [("pending", True), ("declined", False)])
def test_database_requires_the_time_of_a_decision(someone, approval, decided):
    alice = someone("approved")
    decided_at = timezone.now() if decided else None
    with pytest.raises(IntegrityError, match="declined_is_decided"), transaction.atomic():
        Registration.objects.filter(pk=alice.pk).update(approval=approval, decided_at=decided_at)
