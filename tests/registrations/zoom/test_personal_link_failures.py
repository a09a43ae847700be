"""Zoom fails, or refuses someone, while personal links are issued."""

import contextlib
import datetime as dt
import time

import pytest
import time_machine
from django.utils import timezone

from events.models import Meeting, Session, ZoomAccount
from events.zoom import client as zoom_client
from events.zoom import sync
from registrations import signup
from registrations.models import PersonalLink, Registration, Seat
from registrations.zoom import personal_links
from tests.people import sign_up
from tests.registrations.zoom.registrants import at_zoom, crowd, links_of, sync_now

pytestmark = [pytest.mark.django_db, pytest.mark.once]


@pytest.mark.parametrize("fault", ["lost answer", "timeout", "cut", "500", "503 html", "429"])
def test_failed_batch_is_retried(personal, zoom_account, settings, fault):
    settings.ZOOM_TIMEOUT = 1
    crowd(personal, 35)
    zoom_account.fail(fault, call="add_registrants", times=2, retry_after=1)
    sync_now(5)
    assert PersonalLink.objects.issued().count() == 70
    for session in personal.sessions.all():
        assert len(at_zoom(zoom_account, session)) == 35


def test_no_one_is_registered_again_blindly(personal, zoom_account):
    crowd(personal, 31)
    zoom_account.fail("lost answer", call="add_registrants", times=4)
    sync_now(6)
    assert PersonalLink.objects.issued().count() == 62
    # Two batches for each of two sessions, none of them twice.
    assert zoom_account.count("add_registrants") == 4


def test_links_whose_call_had_not_begun_are_released_after_an_error(personal, zoom_account):
    people = Registration.objects.bulk_create(
        Registration(event=personal, email=f"p{number}@example.org", email_key=number)
        for number in range(360)
    )
    session = personal.sessions.first()
    Seat.objects.bulk_create(Seat(registration=person, session=session) for person in people)
    zoom_account.fail("lost answer", call="add_registrants", times=None)
    personal_links.sync_links()
    released = PersonalLink.objects.filter(call_started_at=None, due_at__lte=timezone.now())
    assert released.count() == 360 - 30 * zoom_account.count("add_registrants")


def test_batch_of_a_killed_worker_is_completed(personal, zoom_account):
    crowd(personal, 3)
    sync_now()
    issued = {link.pk: link.join_url for link in PersonalLink.objects.all()}
    PersonalLink.objects.update(
        state="wanted",
        registrant_id="",
        join_url="",
        issued_at=None,
        call_started_at=timezone.now(),
    )
    sync_now()
    assert {link.pk: link.join_url for link in PersonalLink.objects.all()} == issued
    assert zoom_account.count("add_registrants") == 2


def test_leased_links_are_left_to_their_worker(personal, zoom_account):
    sign_up(personal)
    zoom_account.fail("503", call="add_registrants", times=2)
    sync_now()
    PersonalLink.objects.update(due_at=timezone.now() + dt.timedelta(minutes=1))
    ZoomAccount.objects.update(resumes_at=timezone.now())
    personal_links.sync_links()
    assert not PersonalLink.objects.issued().exists()


@pytest.mark.clock_alone
@pytest.mark.parametrize("fault", ["503", "killed"])
def test_links_claimed_by_a_clock_that_was_ahead_are_due_again_within_a_lease(
    personal, zoom_account, monkeypatch, fault
):
    people = crowd(personal, 3)
    zoom_account.fail("503", call="add_registrants", times=None)

    def die(*args):
        raise KeyboardInterrupt

    if fault == "killed":
        monkeypatch.setattr(zoom_client, "add_registrants", die)
    with (
        time_machine.travel(timezone.now() + dt.timedelta(hours=1)),
        pytest.raises(KeyboardInterrupt) if fault == "killed" else contextlib.nullcontext(),
    ):
        personal_links.sync_links()
    assert PersonalLink.objects.count() >= len(people)
    latest = PersonalLink.objects.latest("due_at").due_at
    assert timezone.now() < latest <= timezone.now() + personal_links.LEASE


@pytest.mark.clock_alone
def test_email_that_waits_for_links_waits_no_longer_although_the_clock_is_ahead(
    personal, zoom_account
):
    with time_machine.travel(timezone.now() + dt.timedelta(hours=1)):
        alice = sign_up(personal)
    due_at = alice.mails.get().due_at
    assert timezone.now() < due_at <= timezone.now() + personal_links.EMAIL_HOLD
    with time_machine.travel(timezone.now() + dt.timedelta(hours=1)):
        personal_links.sync_links()
    assert alice.mails.get().due_at <= timezone.now()


def test_refused_address_shows_why_and_the_others_get_links(personal, zoom_account):
    good = crowd(personal, 5)
    bad = sign_up(personal, "Bad Adams", email="x" * 125 + "@example.org")
    sync_now()
    assert {link.state for link in links_of(bad)} == {"refused"}
    assert "Validation Failed" in links_of(bad)[0].problem
    for person in good:
        assert {link.state for link in links_of(person)} == {"issued"}
    calls = len(zoom_account.calls)
    sync_now(2)
    assert len(zoom_account.calls) == calls
    assert personal_links.try_again(event=personal) == 2
    sync_now()
    assert len(zoom_account.calls) > calls


def test_host_who_registers_is_refused_and_the_others_get_links(personal, zoom_account):
    host = sign_up(personal, "Host Adams", email=zoom_account.account.owner.email)
    maria = sign_up(personal, "Maria Lopez")
    sync_now()
    assert {(link.state, link.problem, link.is_host) for link in links_of(host)} == {
        ("refused", "Host can not register.", True)
    }
    assert {(link.state, link.problem) for link in links_of(maria)} == {("issued", "")}


@pytest.mark.parametrize("code", [300, 3027, 3034, 3038, 1001, 98765])
def test_any_refusal_of_one_person_affects_only_that_person(zoom_account, monkeypatch, code):
    meeting = zoom_account.account.create_meeting(
        zoom_account.account.owner, {"settings": {"approval_type": 1}}
    )
    add = zoom_client.add_registrant

    def reject_all(zoom_id, people):
        raise zoom_client.ZoomRejected("No.", code=code)

    def reject_one(zoom_id, person):
        if person.email.startswith("host"):
            raise zoom_client.ZoomRejected("Not this person.", code=code)
        return add(zoom_id, person)

    monkeypatch.setattr(zoom_client, "add_registrants", reject_all)
    monkeypatch.setattr(zoom_client, "add_registrant", reject_one)
    people = [zoom_client.NewRegistrant(f"{name}@example.org", name) for name in ("host", "maria")]
    outcomes = sync.register_people(meeting.id, people)
    assert str(outcomes["host@example.org"]) == "Not this person."
    assert isinstance(outcomes["maria@example.org"], zoom_client.Registrant)


def test_rejection_of_the_whole_call_is_not_recorded_as_a_persons(personal, monkeypatch):
    def reject(zoom_id, people):
        raise zoom_client.ZoomRejected("Zoom answered 403.", code=403)

    monkeypatch.setattr(zoom_client, "add_registrants", reject)
    alice = sign_up(personal)
    sync_now()
    assert {link.state for link in links_of(alice)} == {"wanted"}


def test_address_over_the_daily_limit_waits_and_the_others_get_links(personal, zoom_account):
    alice, bob = sign_up(personal, "Alice Adams"), sign_up(personal, "Bob Brown")
    session = personal.sessions.first()
    zoom_id = Meeting.objects.get(session=session).zoom_id
    for _often in range(3):
        added = zoom_client.add_registrant(zoom_id, zoom_client.NewRegistrant(alice.email, "Alice"))
    zoom_client.cancel_registrants(zoom_id, [added])
    sync_now()
    assert {link.state for link in links_of(bob)} == {"issued"}
    waiting, issued = links_of(alice)
    assert (waiting.state, issued.state) == ("wanted", "issued")
    assert waiting.problem
    assert waiting.due_at > timezone.now()
    assert waiting.due_at.astimezone(dt.UTC).time() == dt.time()


def test_last_spots_of_a_meeting_are_given_and_the_others_wait(personal, zoom_account):
    Session.objects.filter(pk=personal.sessions.last().pk).delete()
    zoom_account.account.max_registrants = 2
    people = crowd(personal, 5)
    sync_now()
    links = [links_of(person)[0] for person in people]
    assert [link.state for link in links] == ["issued"] * 2 + ["wanted"] * 3
    assert {link.problem for link in links[2:]} == {
        "Meeting has reached maximum attendee capacity."
    }
    assert all(link.due_at > timezone.now() for link in links[2:])
    # One call shows that the meeting is full, not one for each of the others.
    assert zoom_account.count("add_registrant") == 3
    signup.cancel(registration=people[0])
    sync_now(2)
    assert PersonalLink.objects.issued().count() == 2


def test_host_without_registration_is_not_asked_for_each_person(personal, zoom_account):
    Meeting.objects.update(state="made")
    zoom_account.account.owner.type = 1
    crowd(personal, 40)
    sync_now()
    assert zoom_account.count("add_registrant") == 0
    assert zoom_account.count("add_registrants") <= 4
    link = PersonalLink.objects.first()
    assert (link.state, "Paid" in link.problem) == ("wanted", True)


def test_deleted_meeting_is_noticed(personal, zoom_account):
    session = personal.sessions.first()
    zoom_account.delete_by_hand(Meeting.objects.get(session=session).zoom_id)
    sign_up(personal)
    sync_now()
    assert Meeting.objects.get(session=session).state == "gone"
    assert PersonalLink.objects.issued().count() == 1


def test_no_call_is_made_while_zoom_is_down(personal, zoom_account):
    zoom_account.fail("503", times=None)
    sign_up(personal)
    personal_links.sync_links()
    calls = len(zoom_account.calls)
    personal_links.sync_links()
    assert len(zoom_account.calls) == calls


def test_rate_limit_whose_end_zoom_does_not_say_is_retried_less_and_less(
    personal, zoom_account, monkeypatch
):
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    sign_up(personal)
    zoom_account.fail("429", call="add_registrants", times=None)
    with time_machine.travel(timezone.now(), tick=False) as clock:
        for _tick in range(2 * 40):
            personal_links.sync_links()
            clock.shift(30)
        calls = len(zoom_account.calls)
        for _tick in range(2 * 20):
            personal_links.sync_links()
            clock.shift(30)
        assert len(zoom_account.calls) - calls <= 4 * 4 + 1
        zoom_account.heal()
        clock.shift(300)
        personal_links.sync_links()
    assert PersonalLink.objects.issued().count() == 2


def test_one_rejecting_meeting_does_not_block_the_others(personal, zoom_account):
    alice, bob = sign_up(personal, "Alice Adams"), sign_up(personal, "Bob Brown")
    sync_now()
    signup.cancel(registration=alice)
    first, second = personal.sessions.all()
    refusing = Meeting.objects.get(session=first)
    zoom_account.meetings[refusing.zoom_id].settings["approval_type"] = 2
    carol = sign_up(personal, "Carol Chen")
    sync_now()
    assert set(at_zoom(zoom_account, second)) == {bob.email, carol.email}


def test_interrupted_single_calls_register_no_one_twice(personal, zoom_account):
    Session.objects.filter(pk=personal.sessions.last().pk).delete()
    crowd(personal, 3)
    sign_up(personal, "Bad Adams", email="x" * 125 + "@example.org")
    added = zoom_client.add_registrant
    calls: list[str] = []

    def breaking(zoom_id, person):
        calls.append(person.email)
        if len(calls) == 3:
            raise zoom_client.TryLater("Too many.")
        return added(zoom_id, person)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(zoom_client, "add_registrant", breaking)
        sync_now()
    sync_now(2)
    assert PersonalLink.objects.issued().count() == 3
    assert zoom_account.count("list_registrants") == 1


def test_registrant_without_a_link_waits_for_the_host(personal, zoom_account, monkeypatch):
    def pending(zoom_id, people):
        return [zoom_client.Registrant("r", person.email, "") for person in people]

    monkeypatch.setattr(zoom_client, "add_registrants", pending)
    alice = sign_up(personal)
    sync_now()
    assert {link.state for link in links_of(alice)} == {"refused"}
    assert "host" in links_of(alice)[0].problem
