"""Spots of people who may not exist: their email came back, or they never used a link."""

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
import time_machine
from anymail.signals import AnymailTrackingEvent
from django.db import connection
from django.test import Client
from django.utils import timezone

from events.models import Event, Session
from registrations import seats, signup, tasks
from registrations.mail import bounces, writer
from registrations.models import OutgoingMail, Registration, Seat
from registrations.outbox import delivery, mail_queue
from tests.admin_pages import form_of
from tests.people import coming_week, filled_form, sign_up

pytestmark = pytest.mark.django_db

SEATS_PAGE = "/admin/registrations/seat/"
HARD = {"esp_event": {"Type": "HardBounce"}, "reject_reason": "bounced"}
DAY, MINUTE = dt.timedelta(days=1), dt.timedelta(minutes=1)


def limit(session: Session, capacity: int) -> Session:
    Session.objects.filter(pk=session.pk).update(capacity=capacity)
    session.refresh_from_db()
    return session


@pytest.fixture
def small(opening: Session) -> Session:
    """A session with two spots."""
    return limit(opening, 2)


def register(session: Session, *names: str, **details: Any) -> list[Seat]:
    """Register people for only this session. Their emails are sent."""
    people = [
        sign_up(session.event, f"{name} Adams", sessions=[session], **details) for name in names
    ]
    send(*people)
    return [person.seats.get() for person in people]


def send(*people: Registration) -> None:
    waiting = OutgoingMail.objects.filter(registration__in=people, state="waiting")
    waiting.update(state="sent", sent_at=timezone.now())


def bounce(seat: Seat, mail: OutgoingMail | None = None, **report: Any) -> None:
    """A provider reports that the newest email to someone bounced."""
    mail = mail or seat.registration.mails.filter(state="sent").latest("pk")
    report = {"event_type": "bounced", **(report or HARD)}
    event = AnymailTrackingEvent(metadata={"mail": mail_queue.message_id(mail)}, **report)
    bounces.record(None, event, "Provider")


def seated(session: Session) -> set[str]:
    found = Seat.objects.occupying().seated().filter(session=session)
    return {seat.registration.name.split()[0] for seat in found}


def waitlist(session: Session) -> list[str]:
    found = Seat.objects.waitlist().filter(session=session)
    return [seat.registration.name.split()[0] for seat in found]


def promoted(seat: Seat) -> int:
    return seat.registration.mails.filter(kind="promoted").count()


def correct(seat: Seat, email: str = "right@example.org") -> list[Seat]:
    seat.registration.refresh_from_db()
    return signup.correct_email(registration=seat.registration, email=email)


def my_page(seat: Seat) -> str:
    seat.registration.refresh_from_db()
    page = Client().get(seat.registration.get_absolute_url())
    return " ".join(page.text.replace("&#x27;", "'").split())


# A hard bounce


def test_hard_bounce_frees_the_spot_for_someone_who_waits(small):
    alice, _bob, charlie, dora = register(small, "Alice", "Bob", "Charlie", "Dora")
    bounce(alice)
    tasks.queue_due_mails()
    assert (seated(small), waitlist(small)) == ({"Bob", "Charlie"}, ["Dora", "Alice"])
    assert (promoted(charlie), promoted(dora), promoted(alice)) == (1, 0, 0)


def test_hard_bounce_frees_nothing_until_someone_waits(small):
    alice, _bob = register(small, "Alice", "Bob")
    bounce(alice)
    tasks.queue_due_mails()
    assert seated(small) == {"Alice", "Bob"}
    register(small, "Charlie")
    tasks.queue_due_mails()
    assert (seated(small), waitlist(small)) == ({"Bob", "Charlie"}, ["Alice"])


def test_invented_addresses_lose_their_spots_to_the_people_who_wait(small):
    limit(small, 30)
    invented = register(small, *(f"Nobody{number}" for number in range(30)))
    register(small, "Alice", "Bob")
    for seat in invented:
        bounce(seat)
    tasks.queue_due_mails()
    # The newest spots go, as many as people wait for. The others keep theirs until they do.
    gone = {"Nobody28", "Nobody29"}
    assert seated(small) == {f"Nobody{number}" for number in range(30)} - gone | {"Alice", "Bob"}
    tasks.queue_due_mails()
    assert set(waitlist(small)) == gone
    assert OutgoingMail.objects.filter(kind="promoted").count() == 2


@pytest.mark.parametrize(
    "report",
    [
        {"esp_event": {"Type": "SoftBounce"}, "reject_reason": "bounced"},
        {"esp_event": {"event": "soft_bounce"}, "reject_reason": "bounced"},
        {"esp_event": {"hard_bounce": False}, "reject_reason": "bounced"},
        {"esp_event": {"bounce": {"bounceType": "Transient"}}, "reject_reason": "bounced"},
        {**HARD, "mta_response": "552 5.2.2 The email account that you tried to reach is full"},
        {**HARD, "mta_response": "550 5.7.1 Message rejected by policy"},
        {"event_type": "rejected", "reject_reason": "blocked"},
        {"event_type": "failed", "esp_event": None},
        {"event_type": "deferred", "mta_response": "450 4.1.1 Try again"},
        {"event_type": "complained", "reject_reason": "spam"},
    ],
)
def test_other_bounces_free_nothing(small, report):
    alice, *_others = register(small, "Alice", "Bob", "Charlie")
    bounce(alice, **report)
    tasks.queue_due_mails()
    assert (seated(small), waitlist(small)) == ({"Alice", "Bob"}, ["Charlie"])


@pytest.mark.parametrize(
    "report",
    [
        {"esp_event": {"event": "hard_bounce"}},
        {"esp_event": {"hard_bounce": True}},
        {"esp_event": {"event-data": {"severity": "permanent"}}},
        {"esp_event": {"bounce": {"bounceType": "Permanent"}}},
        {"esp_event": {"type": "activity.hard_bounced"}},
        {"mta_response": "550 5.1.1 <alice@example.org>: no such user"},
        {"description": "550 5.4.4 Host not found"},
        {"event_type": "rejected", "reject_reason": "invalid"},
    ],
)
def test_providers_words_for_a_hard_bounce(small, report):
    alice, *_others = register(small, "Alice", "Bob", "Charlie")
    bounce(alice, **report)
    tasks.queue_due_mails()
    assert waitlist(small) == ["Alice"]


@pytest.mark.parametrize(
    ("answer", "freed"),
    [("550 5.1.1 No such user", ["Alice"]), ("552 5.2.2 Mailbox full", []), ("550 Go away", [])],
)
def test_mail_server_refuses_an_address_at_once(small, smtp, answer, freed):
    smtp.refuse("alice@example.org", answer)
    alice = sign_up(small.event, "Alice Adams", sessions=[small])
    delivery.deliver_due(writer.writer_for)
    assert alice.mails.get().state == "failed"
    register(small, "Bob", "Charlie")
    tasks.queue_due_mails()
    assert waitlist(small) == (freed or ["Charlie"])
    assert correct(alice.seats.get()) == [alice.seats.get()] * len(freed)


def test_bounce_of_an_old_address_frees_nothing(small):
    alice, *_others = register(small, "Alice", "Bob", "Charlie")
    old = alice.registration.mails.get()
    assert correct(alice) == []
    bounce(alice, old)
    tasks.queue_due_mails()
    assert (seated(small), waitlist(small)) == ({"Alice", "Bob"}, ["Charlie"])


def test_bounce_before_a_delivery_frees_nothing(small):
    alice, *_others = register(small, "Alice", "Bob", "Charlie")
    bounce(alice)
    with time_machine.travel(timezone.now() + MINUTE):
        signup.renew_links(registrations=[alice.registration])
        send(alice.registration)
        bounce(alice, event_type="delivered")
        tasks.queue_due_mails()
    assert waitlist(small) == ["Charlie"]


def visited(seat: Seat) -> None:
    seat.registration.refresh_from_db()
    assert Client().post(f"/me/{seat.registration.token}/visit/").status_code == 204


def opened(seat: Seat) -> None:
    Seat.objects.filter(pk=seat.pk).update(opened_at=timezone.now())


def attended(seat: Seat) -> None:
    Seat.objects.filter(pk=seat.pk).update(attended=True)


@pytest.mark.parametrize("act", [visited, opened, attended])
def test_hard_bounce_takes_nothing_from_people_who_are_there(small, act):
    alice, *_others = register(small, "Alice", "Bob", "Charlie")
    act(alice)
    bounce(alice)
    tasks.queue_due_mails()
    assert waitlist(small) == ["Charlie"]


def test_spot_that_an_organizer_gives_after_the_bounce_stays(small):
    alice, _bob, _charlie = register(small, "Alice", "Bob", "Charlie")
    bounce(alice)
    tasks.queue_due_mails()
    assert seats.promote(seat=alice)
    register(small, "Dora")
    # The email about it bounces, too.
    send(alice.registration)
    bounce(alice)
    tasks.queue_due_mails()
    assert (seated(small), waitlist(small)) == ({"Alice", "Bob", "Charlie"}, ["Dora"])


def test_restored_registration_keeps_its_spot_in_spite_of_the_bounce(small):
    alice, *_others = register(small, "Alice", "Bob")
    bounce(alice)
    signup.cancel(registration=alice.registration, by_organizer=True)
    signup.restore(registration=alice.registration, by_organizer=True)
    register(small, "Charlie")
    tasks.queue_due_mails()
    assert (seated(small), waitlist(small)) == ({"Alice", "Bob"}, ["Charlie"])


def test_address_that_does_not_exist_is_not_promoted(small):
    alice, _bob, charlie, dora = register(small, "Alice", "Bob", "Charlie", "Dora")
    bounce(charlie)
    signup.cancel(registration=alice.registration)
    assert (seated(small), waitlist(small)) == ({"Bob", "Dora"}, ["Charlie"])
    signup.cancel(registration=dora.registration)
    tasks.queue_due_mails()
    assert (seated(small), waitlist(small), promoted(charlie)) == ({"Bob"}, ["Charlie"], 0)
    # A corrected one is.
    correct(charlie)
    tasks.queue_due_mails()
    assert seated(small) == {"Bob", "Charlie"}


def test_someone_who_used_a_link_is_promoted_in_spite_of_a_bounce(small):
    alice, _bob, charlie = register(small, "Alice", "Bob", "Charlie")
    visited(charlie)
    bounce(charlie)
    signup.cancel(registration=alice.registration)
    assert seated(small) == {"Bob", "Charlie"}


def test_people_whose_email_bounces_take_no_spots_from_each_other(small):
    for seat in register(small, "Alice", "Bob", "Charlie"):
        bounce(seat)
    tasks.queue_due_mails()
    assert (seated(small), waitlist(small)) == ({"Alice", "Bob"}, ["Charlie"])


def test_unlimited_session_takes_no_ones_spot(opening):
    alice, bob = register(opening, "Alice", "Bob")
    Seat.objects.filter(pk=bob.pk).update(state="waiting", waiting_since=timezone.now())
    bounce(alice)
    seats.free_bounced(timezone.now())
    assert seated(opening) == {"Alice"}


def test_no_spot_is_freed_when_it_is_too_late_to_promote_anyone(small):
    alice, *_others = register(small, "Alice", "Bob", "Charlie")
    Event.objects.update(late_spots=Event.LateSpots.KEEP)
    bounce(alice)
    with time_machine.travel(small.starts_at - 59 * MINUTE):
        seats.free_bounced(timezone.now())
    assert seated(small) == {"Alice", "Bob"}


def test_bounce_frees_the_spot_of_a_pending_person_and_approval_keeps_them_waiting(small):
    Event.objects.update(requires_approval=True)
    small.event.refresh_from_db()
    alice, bob, _charlie = register(small, "Alice", "Bob", "Charlie")
    bounce(alice)
    tasks.queue_due_mails()
    assert (seated(small), waitlist(small)) == ({"Bob", "Charlie"}, ["Alice"])
    signup.approve(registrations=[each.registration for each in (alice, bob)])
    assert waitlist(small) == ["Alice"]
    signup.cancel(registration=bob.registration)
    assert [seat.state for seat in correct(alice)] == ["seated"]


# The address is corrected


def test_corrected_address_gets_a_free_spot_back(small):
    alice, bob, _charlie = register(small, "Alice", "Bob", "Charlie")
    bounce(alice)
    tasks.queue_due_mails()
    signup.cancel(registration=bob.registration)
    assert seated(small) == {"Charlie"}
    assert correct(alice) == [alice]
    assert (seated(small), waitlist(small)) == ({"Alice", "Charlie"}, [])
    # One email with all links, and the schedule: the new mailbox has seen neither.
    emails = alice.registration.mails.filter(state="waiting").order_by("pk")
    assert [mail.kind for mail in emails] == ["links", "schedule"]
    assert "You had a spot here" not in my_page(alice)


def test_corrected_address_is_first_in_line_if_the_session_is_full(small):
    alice, *_others = register(small, "Alice", "Bob", "Charlie", "Dora")
    bounce(alice)
    tasks.queue_due_mails()
    for address in ("right@example.org", "really@example.org"):
        assert correct(alice, address) == [alice]
        assert (seated(small), waitlist(small)) == ({"Bob", "Charlie"}, ["Alice", "Dora"])
    page = my_page(alice)
    assert "You had a spot here, but it went to the next person in line." in page
    assert "You're number 1 in line." in page


def test_correcting_an_address_moves_no_one_up_who_never_had_a_spot(small):
    Event.objects.update(requires_approval=True)
    small.event.refresh_from_db()
    people = register(small, "Alice", "Bob", "Charlie", "Dora")
    with time_machine.travel(timezone.now() + MINUTE):
        signup.approve(registrations=[seat.registration for seat in people])
        assert correct(people[-1]) == []
    assert waitlist(small) == ["Charlie", "Dora"]


def test_own_page_says_that_a_bounce_cost_the_spot(small):
    Event.objects.update(contact_email="week@example.org")
    alice, _bob, charlie, _dora = register(small, "Alice", "Bob", "Charlie", "Dora")
    assert "You had a spot here" not in my_page(charlie)
    bounce(alice)
    tasks.queue_due_mails()
    page = my_page(alice)
    assert "You had a spot here, but our emails to you came back" in page
    assert "week@example.org" in page
    assert "You're number 2 in line." in page
    assert "We'll email you if a spot opens" not in page


def test_admin_says_what_correcting_an_address_gave_back(admin_client, small):
    alice, bob, _charlie = register(small, "Alice", "Bob", "Charlie")
    bounce(alice)
    bounce(bob)
    tasks.queue_due_mails()
    assert waitlist(small) == ["Bob"]
    assert f"{small} is full. They lost their spot there and are now first in line." in save_email(
        admin_client, bob
    )
    signup.cancel(registration=alice.registration)
    assert seated(small) == {"Bob", "Charlie"}


def test_admin_says_that_someone_has_their_spot_back(admin_client, small):
    alice, bob, _charlie = register(small, "Alice", "Bob", "Charlie")
    bounce(alice)
    tasks.queue_due_mails()
    page = admin_client.get(f"/admin/registrations/registration/{alice.registration_id}/change/")
    assert "On the waitlist: their spot went to the next person in line" in page.text
    signup.cancel(registration=bob.registration)
    assert f"They got their spot in {small} back." in save_email(admin_client, alice)


def save_email(admin_client: Client, seat: Seat) -> str:
    url = f"/admin/registrations/registration/{seat.registration_id}/change/"
    form = form_of(admin_client, url) | {"email": "right@example.org"}
    return admin_client.post(url, form, follow=True).text


# No link was used


def unused(session: Session) -> set[str]:
    tomorrow = timezone.now() + DAY + MINUTE
    found = Seat.objects.filter(session=session).with_idle_flags(tomorrow)
    return {seat.registration.name.split()[0] for seat in found.filter(is_unused=True)}


def test_link_counts_as_unused_a_day_after_the_email(small):
    alice, _bob = register(small, "Alice", "Bob")
    found = Seat.objects.filter(pk=alice.pk)
    for passed, is_unused in ((DAY - MINUTE, False), (DAY + MINUTE, True)):
        seat = found.with_idle_flags(timezone.now() + passed).get()
        assert seat.is_unused is is_unused
    # An email that is still waiting tells nothing.
    sign_up(small.event, "Charlie Adams", sessions=[small])
    assert unused(small) == {"Alice", "Bob"}


def fetched_by_a_scanner(seat: Seat) -> None:
    for path in ("me", "join"):
        end = f"{seat.session.slug}/" if path == "join" else ""
        url = f"/{path}/{seat.registration.token}/{end}"
        assert [Client().get(url).status_code, Client().head(url).status_code] == [200, 200]
    for page in ("change/", "cancel/", "resend/", "renew/", "erase/", "calendar.ics"):
        assert Client().get(f"/me/{seat.registration.token}/{page}").status_code in (200, 302)


def resent(seat: Seat) -> None:
    Client().post(f"/me/{seat.registration.token}/resend/")


def subscribed(seat: Seat) -> None:
    assert Client().get(f"/calendar/{seat.registration.token}.ics").status_code == 200


@pytest.mark.parametrize(
    ("act", "is_unused"),
    [
        (fetched_by_a_scanner, True),
        *((act, False) for act in (visited, opened, attended, resent, subscribed)),
    ],
)
def test_use_of_a_link_by_a_person(small, act, is_unused):
    (alice,) = register(small, "Alice")
    act(alice)
    assert unused(small) == ({"Alice"} if is_unused else set())


def test_first_use_is_recorded_once(small, django_assert_num_queries):
    (alice,) = register(small, "Alice")
    visited(alice)
    alice.registration.refresh_from_db()
    first = alice.registration.verified_at
    with django_assert_num_queries(1):
        Client().post(f"/me/{alice.registration.token}/visit/")
    alice.registration.refresh_from_db()
    assert alice.registration.verified_at == first
    assert "js/visit.js" not in my_page(alice)


def test_people_whom_an_organizer_registers_do_not_count_as_unused(admin_client, client, small):
    page = f"/{small.event.slug}/register/"
    form = filled_form(small.event, sessions=[small.pk])
    client.post(page, form | {"name": "Alice"})
    admin_client.post(page, form | {"name": "Bob", "email": "bob@example.org"})
    send(*Registration.objects.all())
    assert unused(small) == {"Alice"}


def test_page_that_stays_open_counts_as_a_visit(page, transactional_db):
    (alice,) = register(coming_week().sessions.first(), "Alice")
    page.goto(alice.registration.get_absolute_url())
    with page.expect_response("**/visit/") as answer:
        pass
    assert answer.value.status == 204
    alice.registration.refresh_from_db()
    assert alice.registration.verified_at is not None


# The admin


def free(admin_client: Client, *chosen: Seat, query: str = "") -> str:
    form = {"action": "move_to_waiting", "_selected_action": [seat.pk for seat in chosen]}
    return admin_client.post(f"{SEATS_PAGE}{query}", form, follow=True).text


@pytest.fixture
def invented(small: Session) -> list[Seat]:
    """Two days ago: Alice's email bounced softly, and Bob used no link. Charlie and Dora wait."""
    with time_machine.travel(timezone.now() - 2 * DAY):
        alice, bob = register(small, "Alice", "Bob")
        bounce(alice, esp_event={"Type": "SoftBounce"}, reject_reason="bounced")
        waiting = register(small, "Charlie", "Dora")
        for seat in waiting:
            visited(seat)
    return [alice, bob]


def test_organizers_find_spots_of_people_who_may_not_exist(admin_client, invented, small):
    shown = admin_client.get("/admin/").text
    link = f"{SEATS_PAGE}?session={small.pk}&amp;state__exact=seated&amp;idle=any"
    assert f'<a href="{link}">2 spots may be unused</a>' in shown
    assert f'<a href="{link}">2 spots may be unused</a>' in admin_client.get(SEATS_PAGE).text
    for value, names in {"any": "AB", "bounced": "A", "unused": "AB"}.items():
        found = admin_client.get(f"{SEATS_PAGE}?state__exact=seated&idle={value}")
        rows = found.context["cl"].result_list
        assert {seat.registration.name[0] for seat in rows} == set(names)
    visited(invented[1])
    assert f'<a href="{link}">1 spot may be unused</a>' in admin_client.get("/admin/").text
    visited(invented[0])
    # It is still known that their email came back.
    assert "1 spot may be unused" in admin_client.get("/admin/").text


def test_freeing_spots_promotes_who_waits_and_says_so(admin_client, invented, small):
    query = f"?session={small.pk}&state__exact=seated&idle=any"
    shown = free(admin_client, *invented, query=query)
    assert (seated(small), waitlist(small)) == ({"Charlie", "Dora"}, ["Alice", "Bob"])
    assert (
        "2 people moved to the end of the waitlist. Their spots go to the first people on it. "
        "Their own pages say so. 1 person gets an email."
    ) in shown
    assert "skipped" not in shown
    assert [mail.registration.name for mail in OutgoingMail.objects.filter(state="waiting")] == [
        *("Bob Adams", "Dora Adams", "Charlie Adams")
    ]
    listed = admin_client.get(SEATS_PAGE).text
    assert "<b>Number 1 in line</b>, had a spot" in listed
    assert "Email came back" in listed
    assert "You had a spot here, but it went to the next person in line." in my_page(invented[1])


def test_only_as_many_spots_are_freed_as_people_wait_for(admin_client, invented, small):
    signup.cancel(registration=Registration.objects.get(name="Dora Adams"))
    shown = free(admin_client, *invented)
    assert (seated(small), waitlist(small)) == ({"Alice", "Charlie"}, ["Bob"])
    assert (
        "1 person moved to the end of the waitlist. Their spot goes to the first person on it."
        in shown
    )
    assert "1 was skipped: they&#x27;re on the waitlist already" in shown
    assert promoted(invented[0]) == promoted(invented[1]) == 0


def test_list_of_many_spots_takes_as_many_queries(admin_client, small, django_assert_num_queries):
    limit(small, 30)
    for names in ("AB", "CDEFGHIJKL"):
        register(small, *names)
        with django_assert_num_queries(9):
            admin_client.get(SEATS_PAGE)


@pytest.mark.django_db(transaction=True)
def test_race_for_spots_that_are_given_back():
    """Eight addresses are corrected at the same time. The four open spots are given once."""
    small = limit(coming_week().sessions.first(), 8)
    seats_of_all = register(small, *(f"P{number}" for number in range(16)))
    lost = seats_of_all[:8]
    for seat in lost:
        bounce(seat)
    seats.free_bounced(timezone.now())
    for seat in seats_of_all[8:12]:
        signup.cancel(registration=seat.registration)
    assert (len(seated(small)), len(waitlist(small))) == (4, 8)
    together = Barrier(8)

    def correct_one(number: int) -> None:
        try:
            together.wait()
            seats.free_bounced(timezone.now())
            correct(lost[number], f"right{number}@example.org")
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(correct_one, range(8)))
    assert (len(seated(small)), len(waitlist(small))) == (8, 4)


@pytest.mark.django_db(transaction=True)
def test_race_of_correcting_and_promoting_ends_without_a_deadlock():
    small = limit(coming_week().sessions.first(), 8)
    people = register(small, *(f"P{number}" for number in range(16)))
    lost = seats.move_to_waiting(seats=Seat.objects.filter(pk__in=[seat.pk for seat in people[:8]]))
    assert len(lost) == 8
    together = Barrier(8)

    def churn(share: int) -> None:
        try:
            together.wait()
            for number in range(share // 2, 8, 4):
                if share % 2:
                    signup.cancel(registration=people[8 + number].registration)
                else:
                    correct(people[number], f"right{number}@example.org")
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(churn, range(8)))
    assert (len(seated(small)), waitlist(small)) == (8, [])
