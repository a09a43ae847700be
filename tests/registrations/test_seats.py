"""Seats in sessions and their waitlists."""

import datetime as dt
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import Permission
from django.db import DatabaseError, connection
from django.utils import timezone

from events.models import Event, Session
from registrations import mailboxes, seats, signup, tasks
from registrations.mail import writer
from registrations.models import OutgoingMail, Registration, Seat
from registrations.outbox import delivery
from tests.conftest import database_url
from tests.people import coming_week, filled_form, sign_up, without_token
from tests.services.process import Process

pytestmark = pytest.mark.django_db


@pytest.fixture
def small(week: Event) -> Session:
    """A session with two spots."""
    session = week.sessions.order_by("starts_at").first()
    Session.objects.filter(pk=session.pk).update(capacity=2)
    session.refresh_from_db()
    return session


def register(session: Session, *names: str, **details: Any) -> list[Seat]:
    """Register people for only this session."""
    people = [
        sign_up(session.event, f"{name} Adams", sessions=[session], **details) for name in names
    ]
    return [person.seats.get() for person in people]


def waitlist(session: Session) -> list[str]:
    """Who is on the waitlist, in order."""
    waiting = Seat.objects.waitlist().filter(session=session)
    return [seat.registration.name.split()[0] for seat in waiting]


def move_to_waiting(*chosen: Seat) -> list[Seat]:
    return seats.move_to_waiting(seats=Seat.objects.filter(pk__in=[seat.pk for seat in chosen]))


def position(seat: Seat) -> int:
    return seats.with_waitlist_position(Seat.objects.filter(pk=seat.pk)).get().waitlist_position


def seated(session: Session) -> set[str]:
    seats = Seat.objects.occupying().seated().filter(session=session)
    return {seat.registration.name.split()[0] for seat in seats}


def promotion_emails(seat: Seat) -> int:
    return seat.registration.mails.filter(kind="promoted").count()


def test_full_session_has_a_waitlist_in_order(small):
    register(small, "Alice", "Bob")
    charlie, dora = register(small, "Charlie", "Dora")
    assert seated(small) == {"Alice", "Bob"}
    assert waitlist(small) == ["Charlie", "Dora"]
    assert (position(charlie), position(dora)) == (1, 2)


def test_session_without_capacity_is_never_full_and_costs_no_query(week, django_assert_num_queries):
    session = week.sessions.first()
    with django_assert_num_queries(0):
        assert seats.full_sessions([session]) == set()
    register(session, "Alice", "Bob", "Charlie")
    assert waitlist(session) == []


def test_open_spot_goes_to_the_first_on_the_waitlist_with_an_email(small):
    alice, _bob, charlie, dora = register(small, "Alice", "Bob", "Charlie", "Dora")
    signup.cancel(registration=alice.registration)
    assert seated(small) == {"Bob", "Charlie"}
    assert waitlist(small) == ["Dora"]
    assert (promotion_emails(charlie), promotion_emails(dora)) == (1, 0)
    assert position(dora) == 1


def test_leaving_the_waitlist_moves_the_others_up_and_opens_no_spot(small):
    _alice, _bob, charlie, dora = register(small, "Alice", "Bob", "Charlie", "Dora")
    signup.cancel(registration=charlie.registration)
    assert waitlist(small) == ["Dora"]
    assert seated(small) == {"Alice", "Bob"}
    assert promotion_emails(dora) == 0


def test_canceling_twice_opens_one_spot(small):
    alice, *_others = register(small, "Alice", "Bob", "Charlie", "Dora")
    signup.cancel(registration=alice.registration)
    signup.cancel(registration=alice.registration)
    assert seated(small) == {"Bob", "Charlie"}


def test_raised_capacity_promotes_the_next_people_periodically(small):
    register(small, "Alice", "Bob", "Charlie", "Dora", "Eve")
    Session.objects.filter(pk=small.pk).update(capacity=4)
    # Someone new goes behind those who wait.
    register(small, "Frank")
    tasks.queue_due_mails()
    assert seated(small) == {"Alice", "Bob", "Charlie", "Dora"}
    assert waitlist(small) == ["Eve", "Frank"]
    tasks.queue_due_mails()
    assert OutgoingMail.objects.filter(kind="promoted").count() == 2


def test_removed_capacity_promotes_everyone(small):
    register(small, "Alice", "Bob", "Charlie", "Dora")
    Session.objects.filter(pk=small.pk).update(capacity=None)
    tasks.queue_due_mails()
    assert waitlist(small) == []


def test_promoting_many_takes_the_same_queries_as_promoting_one(small, django_assert_num_queries):
    register(small, "Alice", "Bob", *(f"P{number}" for number in range(21)))
    for capacity, promoted in ((3, 1), (23, 21)):
        Session.objects.filter(pk=small.pk).update(capacity=capacity)
        with django_assert_num_queries(8):
            seats.promote_waiting(sessions=[small.pk])
        assert OutgoingMail.objects.filter(kind="promoted").count() == promoted
    assert waitlist(small) == []


def test_lowered_capacity_removes_no_one_and_promotes_no_one(small):
    alice, _bob, _charlie = register(small, "Alice", "Bob", "Charlie")
    Session.objects.filter(pk=small.pk).update(capacity=1)
    tasks.queue_due_mails()
    assert seated(small) == {"Alice", "Bob"}
    signup.cancel(registration=alice.registration)
    assert (seated(small), waitlist(small)) == ({"Bob"}, ["Charlie"])


def test_canceled_session_promotes_no_one_until_it_is_restored(small):
    alice, *_others = register(small, "Alice", "Bob", "Charlie")
    Session.objects.filter(pk=small.pk).update(canceled_at=timezone.now())
    signup.cancel(registration=alice.registration)
    tasks.queue_due_mails()
    assert waitlist(small) == ["Charlie"]
    Session.objects.filter(pk=small.pk).update(canceled_at=None)
    tasks.queue_due_mails()
    assert seated(small) == {"Bob", "Charlie"}


@pytest.mark.parametrize(
    ("minutes_before", "setting", "is_promoted"),
    [
        (61, Event.LateSpots.KEEP, True),
        (59, Event.LateSpots.KEEP, False),
        (-10, Event.LateSpots.KEEP, False),
        (59, Event.LateSpots.PROMOTE, True),
        (-10, Event.LateSpots.PROMOTE, True),
    ],
)
def test_late_spot_follows_the_setting(small, minutes_before, setting, is_promoted):
    alice, _bob, charlie = register(small, "Alice", "Bob", "Charlie")
    Event.objects.update(late_spots=setting)
    with time_machine.travel(small.starts_at - dt.timedelta(minutes=minutes_before)):
        signup.cancel(registration=alice.registration)
        tasks.queue_due_mails()
        # Someone new doesn't get the spot either.
        register(small, "Dora")
    assert seated(small) == ({"Bob", "Charlie"} if is_promoted else {"Bob"})
    assert waitlist(small) == (["Dora"] if is_promoted else ["Charlie", "Dora"])
    assert promotion_emails(charlie) == is_promoted


def test_session_that_is_over_promotes_no_one(small):
    alice, *_others = register(small, "Alice", "Bob", "Charlie")
    with time_machine.travel(small.ends_at):
        signup.cancel(registration=alice.registration)
        tasks.queue_due_mails()
    assert waitlist(small) == ["Charlie"]


def test_pending_person_keeps_a_spot_and_declining_opens_it(small):
    Event.objects.update(requires_approval=True)
    small.event.refresh_from_db()
    alice, _bob, charlie = register(small, "Alice", "Bob", "Charlie")
    assert waitlist(small) == ["Charlie"]
    signup.decline(registrations=[alice.registration])
    assert seated(small) == {"Bob", "Charlie"}
    # Their email comes with the approval, not before.
    assert promotion_emails(charlie) == 0
    signup.approve(registrations=[alice.registration])
    assert waitlist(small) == ["Alice"]


def test_several_declined_people_are_approved_into_the_open_spots(small):
    people = [seat.registration for seat in register(small, "Alice", "Bob")]
    signup.decline(registrations=people)
    register(small, "Charlie")
    signup.approve(registrations=people)
    assert len(seated(small)) == 2
    assert len(waitlist(small)) == 1


def test_restored_registration_goes_to_the_end_of_the_waitlist(small):
    alice, *_others = register(small, "Alice", "Bob", "Charlie", "Dora")
    signup.cancel(registration=alice.registration)
    assert signup.restore(registration=alice.registration)
    assert waitlist(small) == ["Dora", "Alice"]
    assert not signup.restore(registration=alice.registration)


def test_restored_registration_gets_a_spot_that_is_still_open(small):
    (alice,) = register(small, "Alice")
    signup.cancel(registration=alice.registration)
    signup.restore(registration=alice.registration)
    assert seated(small) == {"Alice"}
    states = alice.registration.mails.filter(kind="links").values_list("state", flat=True)
    assert sorted(states) == ["dropped", "waiting"]


def test_restoring_during_a_canceled_session_takes_no_ones_spot(small):
    alice, *_others = register(small, "Alice", "Bob", "Charlie")
    signup.cancel(registration=alice.registration)
    Session.objects.filter(pk=small.pk).update(canceled_at=timezone.now())
    signup.restore(registration=alice.registration)
    assert (seated(small), waitlist(small)) == ({"Bob", "Charlie"}, ["Alice"])


def no_failing_statement():
    """PostgreSQL logs a failed statement with its values, such as an email address."""

    def execute(execute, sql, *args):
        try:
            return execute(sql, *args)
        except DatabaseError:
            pytest.fail(f"The database rejected {sql}")

    return connection.execute_wrapper(execute)


def test_address_cannot_be_corrected_to_one_that_is_taken(small):
    (alice,) = register(small, "Alice")
    sign_up(small.event, "Alice Adams", email="bob@example.org", sessions=[small])
    with no_failing_statement(), pytest.raises(mailboxes.AlreadyRegistered):
        signup.correct_email(registration=alice.registration, email="bob@example.org")


def test_registration_cannot_be_restored_after_registering_again(small):
    (alice,) = register(small, "Alice")
    signup.cancel(registration=alice.registration)
    register(small, "Alice")
    with no_failing_statement(), pytest.raises(mailboxes.AlreadyRegistered):
        signup.restore(registration=alice.registration)
    assert Registration.objects.active().count() == 1
    assert seated(small) == {"Alice"}


# Changes


def change(person: Registration, *sessions: Session, **details: Any) -> bool:
    return signup.change(
        registration=person,
        offered=person.event.sessions.all(),
        sessions=sessions,
        strategies=[],
        **details,
    )


def test_changing_sessions_releases_assigns_and_emails_once(small):
    alice, _bob, charlie = register(small, "Alice", "Bob", "Charlie")
    other = small.event.sessions.exclude(pk=small.pk).first()
    assert change(alice.registration, other)
    assert not change(alice.registration, other)
    assert list(alice.registration.sessions.all()) == [other]
    assert seated(small) == {"Bob", "Charlie"}
    assert promotion_emails(charlie) == 1
    waiting = alice.registration.mails.filter(state="waiting")
    assert [mail.kind for mail in waiting.order_by("pk")] == ["links", "schedule"]


def test_changing_only_details_sends_no_email(small):
    (alice,) = register(small, "Alice")
    assert not change(alice.registration, small, name="Alicia", time_zone="America/Chicago")
    alice.registration.refresh_from_db()
    assert (alice.registration.name, alice.registration.time_zone) == ("Alicia", "America/Chicago")
    assert alice.registration.mails.count() == 1


def test_session_that_was_not_offered_stays(small):
    (alice,) = register(small, "Alice")
    signup.change(registration=alice.registration, offered=[], sessions=[], strategies=[])
    assert seated(small) == {"Alice"}


def test_canceled_registration_cannot_be_changed(small):
    (alice,) = register(small, "Alice")
    signup.cancel(registration=alice.registration)
    with pytest.raises(Registration.DoesNotExist):
        change(alice.registration, small, name="Alicia")


# Organizers


def test_organizer_moves_someone_to_the_waitlist_and_back(small):
    alice, _bob, charlie, _dora = register(small, "Alice", "Bob", "Charlie", "Dora")
    assert move_to_waiting(alice) == [alice]
    assert (seated(small), waitlist(small)) == ({"Bob", "Charlie"}, ["Dora", "Alice"])
    assert promotion_emails(charlie) == 1
    assert not move_to_waiting(alice)
    assert seats.promote(seat=alice)
    assert not seats.promote(seat=alice)
    assert seated(small) == {"Alice", "Bob", "Charlie"}


def test_move_to_the_waitlist_needs_someone_waiting(small):
    alice, _bob = register(small, "Alice", "Bob")
    assert not move_to_waiting(alice)
    assert seated(small) == {"Alice", "Bob"}


def test_releasing_one_seat_keeps_the_registration(small):
    alice, _bob, _charlie = register(small, "Alice", "Bob", "Charlie")
    seats.release(seats=[alice])
    assert seated(small) == {"Bob", "Charlie"}
    assert Registration.objects.active().count() == 3


# Emails and pages


def test_email_lists_waitlisted_sessions(small, mailoutbox):
    register(small, "Alice", "Bob")
    other = small.event.sessions.exclude(pk=small.pk).first()
    sign_up(small.event, "Charlie Adams", sessions=[small, other])
    sign_up(small.event, "Dora Adams", sessions=[small])
    delivery.deliver_due(writer.writer_for)
    charlie, dora = mailoutbox[-2:]
    assert "ON THE WAITLIST" in charlie.body
    assert charlie.subject.startswith("Your Zoom links for ")
    assert charlie.body.count("/join/") == 1
    assert dora.subject.startswith("You're on the waitlist for ")
    assert "/join/" not in dora.body
    (calendar,) = dora.attachments
    assert "SUMMARY:Waitlist: Opening session" in calendar.content


def test_register_page_shows_full_sessions(small, client):
    page = f"/{small.event.slug}/register/"
    assert "Full. We'll put you on the waitlist" not in client.get(page).text
    register(small, "Alice", "Bob")
    answer = client.post(page, filled_form(small.event, name=""))
    assert answer.text.count("Full. We'll put you on the waitlist") == 1
    fields = filled_form(small.event)
    registered = client.post(page, fields | {"email": "new@example.org"}, follow=True)
    again = client.post(page, fields | {"email": "alice@example.org"}, follow=True)
    assert registered.text.count("This session is full.") == 1
    assert without_token(again).replace("alice@", "new@") == without_token(registered)


# Races

PEOPLE, CAPACITY, PROCESSES = 500, 100, 4

REGISTER = """
import pathlib, sys, time
import django
django.setup()
from events.models import Session
from registrations import signup
session, first, people, step = map(int, sys.argv[1:5])
session = Session.objects.select_related("event").get(pk=session)
print("ready", flush=True)
while not pathlib.Path(sys.argv[5]).exists():
    time.sleep(0.001)
for number in range(first, people, step):
    signup.register(
        event=session.event,
        name=f"P{number}",
        email=f"p{number}@example.org",
        time_zone="America/New_York",
        sessions=[session],
    )
"""


@pytest.mark.long
@pytest.mark.django_db(transaction=True)
def test_race_for_spots_is_fair(tmp_path):
    session = coming_week().sessions.first()
    Session.objects.filter(pk=session.pk).update(capacity=CAPACITY)
    start = tmp_path / "start"
    runners = [
        Process(
            *(sys.executable, "-c", REGISTER, str(session.pk)),
            *(str(first), str(PEOPLE), str(PROCESSES), start),
            log=tmp_path / f"runner-{first}.log",
            environment={**os.environ, "DATABASE_URL": database_url()},
        )
        for first in range(PROCESSES)
    ]
    for runner in runners:
        runner.wait_for_log("ready")
    start.touch()
    assert [runner.wait(90) for runner in runners] == [0] * PROCESSES, runners[0].log
    everyone = Seat.objects.filter(session=session).order_by("pk")
    assert everyone.count() == PEOPLE
    seated, waiting = everyone.seated(), Seat.objects.waitlist()
    assert (seated.count(), waiting.count()) == (CAPACITY, PEOPLE - CAPACITY)
    # The first ones have a spot; the others wait in the order in which they registered.
    assert list(waiting) == list(everyone)[CAPACITY:]
    assert position(waiting.last()) == PEOPLE - CAPACITY


@pytest.mark.django_db(transaction=True)
def test_race_of_canceling_and_changing_loses_no_spot(tmp_path):
    """Threads cancel, restore and change at the same time. No spot is lost or given twice."""
    week = coming_week()
    sessions = list(week.sessions.all()[:2])
    Session.objects.filter(pk__in=[session.pk for session in sessions]).update(capacity=5)
    sessions = list(week.sessions.all()[:2])
    people = [sign_up(week, f"P{number} Adams", sessions=sessions) for number in range(16)]

    def churn(share: int) -> None:
        try:
            for person in people[share::4]:
                signup.cancel(registration=person)
                signup.restore(registration=person)
                for chosen in (sessions[:1], sessions[1:], sessions[::-1]):
                    change(person, *chosen)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(churn, range(4)))
    for session in sessions:
        count = Seat.objects.occupying().seated().filter(session=session).count()
        assert (count, len(waitlist(session))) == (5, 11)


# Admin


def do(admin_client: Any, action: str, *chosen: Seat) -> str:
    form = {"action": action, "_selected_action": [seat.pk for seat in chosen]}
    return admin_client.post(SEATS_PAGE, form, follow=True).text


SEATS_PAGE = "/admin/registrations/seat/"


def test_organizers_see_the_waitlist_in_order(admin_client, small, django_assert_max_num_queries):
    register(small, "Alice", "Bob", "Charlie", "Dora")
    page = admin_client.get(f"{SEATS_PAGE}?session={small.pk}").text
    assert "2 of 2 spots taken" in page
    assert "2 waiting" in page
    assert page.index("Number 1 in line") < page.index("Number 2 in line")
    found = admin_client.get(f"{SEATS_PAGE}?q=dora").text
    assert "Number 2 in line" in found
    register(small, *"EFGHIJ")
    with django_assert_max_num_queries(11):
        admin_client.get(SEATS_PAGE)


def test_organizers_overrule_the_waitlist(admin_client, small):
    alice, _bob, _charlie, dora = register(small, "Alice", "Bob", "Charlie", "Dora")
    page = do(admin_client, "give_spot", dora, alice)
    assert "1 person now has a spot" in page
    assert "1 was skipped: they already have a spot." in page
    assert seated(small) == {"Alice", "Bob", "Dora"}
    assert "1 person moved to the end" in do(admin_client, "move_to_waiting", alice)
    assert waitlist(small) == ["Charlie", "Alice"]
    assert "1 spot freed." in do(admin_client, "take_out", dora)
    assert seated(small) == {"Bob", "Charlie"}
    histories = {
        seat: admin_client.get(
            f"/admin/registrations/registration/{seat.registration_id}/history/"
        ).text
        for seat in (alice, dora)
    }
    assert f"Moved to the waitlist of {small.title}." in histories[alice]
    assert f"Got a spot in {small.title}." in histories[dora]
    assert f"Removed from {small.title}." in histories[dora]


def test_spot_for_a_pending_person_promises_no_link(admin_client, small):
    *_others, charlie, dora = register(small, "Alice", "Bob", "Charlie", "Dora")
    Registration.objects.filter(pk=dora.registration_id).update(approval="pending")
    shown = do(admin_client, "give_spot", charlie, dora)
    assert (
        "1 person now has a spot, even if the session is full. Their link is on its way." in shown
    )
    assert "1 person now has a spot. They&#x27;ll get their link once you approve them." in shown
    assert list(OutgoingMail.objects.filter(kind="promoted")) == [
        charlie.registration.mails.get(kind="promoted")
    ]
    assert seated(small) == {"Alice", "Bob", "Charlie", "Dora"}


def test_no_one_is_removed_from_a_session_that_is_over(admin_client, admin_user, small):
    alice, bob = register(small, "Alice", "Bob")
    Seat.objects.update(attended=True)
    with time_machine.travel(small.ends_at, tick=False):
        admin_client.force_login(admin_user)
        shown = do(admin_client, "take_out", alice, bob)
    assert "2 were skipped: the session is over." in shown
    assert "freed. Their link" not in shown
    assert Seat.objects.filter(attended=True).count() == 2


def test_viewer_cannot_overrule_the_waitlist(client, django_user_model, small):
    viewer = django_user_model.objects.create_user("viewer", password="x", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_seat"))
    client.force_login(viewer)
    *_others, charlie = register(small, "Alice", "Bob", "Charlie")
    assert "Number 1 in line" in client.get(SEATS_PAGE).text
    do(client, "give_spot", charlie)
    assert waitlist(small) == ["Charlie"]
