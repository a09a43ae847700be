"""Each seat of an event with personal links is a registrant at Zoom, and no one else is."""

import contextlib
import datetime as dt
import time

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from events import background, schedule
from events.models import Event, Meeting, Session, ZoomAccount
from events.zoom import client as zoom_client
from events.zoom import sync
from registrations import seats, signup
from registrations.models import PersonalLink, Registration, Seat
from registrations.privacy import erasure
from registrations.zoom import personal_links
from tests.fake_zoom import CannotJoin, FakeZoom
from tests.people import sign_up

pytestmark = [pytest.mark.django_db, pytest.mark.once]


def sync_now(times: int = 1) -> None:
    """Sync this many times, without waiting between retries."""
    for _time in range(times):
        now = timezone.now()
        ZoomAccount.objects.update(resumes_at=now)
        PersonalLink.objects.update(due_at=now)
        personal_links.sync_links()


def crowd(event: Event, count: int) -> list[Registration]:
    return [sign_up(event, f"P{number} Adams") for number in range(count)]


def at_zoom(zoom_account: FakeZoom, session: Session) -> dict[str, str]:
    """The registrant IDs that may enter the session's meeting now, by email address."""
    meeting = zoom_account.meetings[Meeting.objects.get(session=session).zoom_id]
    return {
        each.email: each.id for each in meeting.registrants.values() if each.status == "approved"
    }


def links_of(person: Registration) -> list[PersonalLink]:
    return list(PersonalLink.objects.filter(seat__registration=person).order_by("pk"))


# Issuing


def test_lookalike_domains_get_links_of_their_own(personal, zoom_account):
    people = [sign_up(personal, email=email) for email in ("maria@faß.de", "maria@fass.de")]
    sync_now()
    links = [link for person in people for link in links_of(person)]
    assert {link.state for link in links} == {"issued"}
    assert len({link.join_url for link in links}) == 4
    expected = {"maria@xn--fa-hia.de", "maria@fass.de"}
    assert set(at_zoom(zoom_account, personal.sessions.first())) == expected


def test_each_seat_gets_a_link_of_its_own(personal, zoom_account):
    people = crowd(personal, 3)
    sync_now()
    for session in personal.sessions.all():
        assert set(at_zoom(zoom_account, session)) == {person.email for person in people}
    links = [link for person in people for link in links_of(person)]
    assert {link.state for link in links} == {"issued"}
    assert len({link.join_url for link in links}) == 6


def test_people_are_registered_thirty_at_a_time(personal, zoom_account):
    crowd(personal, 61)
    sync_now()
    assert zoom_account.count("add_registrants") == 2 * 3
    assert PersonalLink.objects.issued().count() == 122
    calls = len(zoom_account.calls)
    sync_now(2)
    assert len(zoom_account.calls) == calls


@pytest.mark.parametrize(
    "disqualify",
    [
        lambda event: Registration.objects.update(canceled_at=timezone.now()),
        lambda event: Registration.objects.update(approval="pending"),
        lambda event: Seat.objects.update(state="waiting", waiting_since=timezone.now()),
        lambda event: Session.objects.update(status="draft"),
        lambda event: Session.objects.update(canceled_at=timezone.now()),
        lambda event: Event.objects.update(zoom_mode="shared"),
        lambda event: Meeting.objects.update(state="gone"),
    ],
)
def test_only_admitted_people_in_published_sessions_get_links(personal, zoom_account, disqualify):
    sign_up(personal)
    disqualify(personal)
    sync_now()
    assert zoom_account.count("add_registrants") == 0


def test_session_that_is_over_needs_no_links(personal, zoom_account):
    sign_up(personal)
    with time_machine.travel(timezone.now() + dt.timedelta(days=60), tick=False):
        sync_now()
    assert zoom_account.count("add_registrants") == 0


# Failures


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


@pytest.mark.parametrize("batch_code", [300, 3027, 3034, 3038, 1001, 98765])
@pytest.mark.parametrize("code", [300, 3027, 3034, 3038, 1001, 98765])
def test_any_refusal_of_one_person_affects_only_that_person(
    zoom_account, monkeypatch, batch_code, code
):
    meeting = zoom_account.account.create_meeting(
        zoom_account.account.owner, {"settings": {"approval_type": 1}}
    )
    add = zoom_client.add_registrant

    def reject_all(zoom_id, people):
        raise zoom_client.ZoomRejected("No.", code=batch_code)

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
        for _tick in range(6 * 40):
            personal_links.sync_links()
            clock.shift(10)
        calls = len(zoom_account.calls)
        for _tick in range(6 * 20):
            personal_links.sync_links()
            clock.shift(10)
        assert len(zoom_account.calls) - calls <= 4 * 4 + 1
        zoom_account.heal()
        clock.shift(300)
        personal_links.sync_links()
    assert PersonalLink.objects.issued().count() == 2


# Revoking


@pytest.mark.parametrize(
    "disqualify",
    [
        lambda alice: signup.cancel(registration=alice),
        lambda alice: signup.decline(registrations=Registration.objects.filter(pk=alice.pk)),
        lambda alice: alice.seats.update(state="waiting", waiting_since=timezone.now()),
        lambda alice: alice.seats.all().delete(),
    ],
)
def test_link_of_a_seat_that_no_longer_qualifies_is_revoked(personal, zoom_account, disqualify):
    alice, bob = sign_up(personal, "Alice Adams"), sign_up(personal, "Bob Brown")
    sync_now()
    disqualify(alice)
    zoom_account.fail("503", call="update_registrants")
    sync_now(2)
    for session in personal.sessions.all():
        assert set(at_zoom(zoom_account, session)) == {bob.email}
    assert PersonalLink.objects.count() == 2


def test_link_that_zoom_does_not_revoke_holds_up_no_other(personal, zoom_account):
    alice, bob = sign_up(personal, "Alice Adams"), sign_up(personal, "Bob Brown")
    sync_now()
    for meeting in zoom_account.meetings.values():
        limited = {"action": "approve", "registrants": [{"email": alice.email}]}
        for _often in range(10):
            zoom_account.account.update_registrants(meeting, limited)
    for person in (alice, bob):
        signup.cancel(registration=person)
    sync_now()
    for session in personal.sessions.all():
        assert set(at_zoom(zoom_account, session)) == {alice.email}
    assert {link.email for link in PersonalLink.objects.all()} == {alice.email}
    assert all(link.due_at > timezone.now() for link in PersonalLink.objects.all())


def test_link_whose_answer_was_lost_is_revoked_too(personal, zoom_account):
    alice = sign_up(personal)
    zoom_account.fail("lost answer", call="add_registrants", times=2)
    sync_now()
    ZoomAccount.objects.update(resumes_at=timezone.now())
    PersonalLink.objects.update(due_at=timezone.now())
    signup.cancel(registration=alice)
    sync_now(2)
    for session in personal.sessions.all():
        assert at_zoom(zoom_account, session) == {}
    assert not PersonalLink.objects.exists()


def test_corrected_address_gets_a_new_link_and_the_old_one_is_revoked(personal, zoom_account):
    alice = sign_up(personal)
    sync_now()
    signup.correct_email(registration=alice, email="right@example.org")
    # The email waits for the new ones.
    assert not links_of(alice)
    assert alice.mails.order_by("-pk").first().due_at > timezone.now()
    sync_now()
    for session in personal.sessions.all():
        assert set(at_zoom(zoom_account, session)) == {"right@example.org"}
    assert {link.email for link in links_of(alice)} == {"right@example.org"}


def test_address_corrected_to_another_case_keeps_its_links(personal, zoom_account):
    alice = sign_up(personal)
    sync_now()
    before, calls = {link.join_url for link in links_of(alice)}, len(zoom_account.calls)
    signup.correct_email(registration=alice, email="Alice@Example.org")
    sync_now(2)
    assert {link.join_url for link in links_of(alice)} == before
    assert len(zoom_account.calls) == calls
    assert PersonalLink.objects.usable().count() == 2


def test_recreated_meeting_gets_new_links_for_everyone(personal, zoom_account):
    alice = sign_up(personal)
    sync_now()
    meeting = Meeting.objects.get(session=personal.sessions.first())
    zoom_account.delete_by_hand(meeting.zoom_id)
    sync.mark_gone(meeting.zoom_id)
    sync.recreate(meeting=meeting)
    sync.sync_meetings()
    sync_now()
    assert set(at_zoom(zoom_account, meeting.session)) == {alice.email}
    assert {link.state for link in links_of(alice)} == {"issued"}


def test_links_are_kept_after_the_session(personal, zoom_account):
    alice = sign_up(personal)
    sync_now()
    signup.cancel(registration=alice)
    with time_machine.travel(timezone.now() + dt.timedelta(days=60), tick=False):
        sync_now()
    assert len(links_of(alice)) == 2


def test_links_to_detach_are_found_without_a_list_of_all_seats(personal, zoom_account):
    crowd(personal, 3)
    sync_now()
    with CaptureQueriesContext(connection) as context:
        personal_links.sync_links()
    updates = [query["sql"] for query in context if query["sql"].startswith("UPDATE")]
    detaching = [sql for sql in updates if "registrations_registration" in sql]
    assert len(detaching) == 2
    for sql in detaching:
        assert sql.count("SELECT") == 1


# Changes


@pytest.mark.parametrize("fault", ["429", "lost answer", "503"])
def test_new_link_after_approval_survives_revoking_the_old_one(personal, zoom_account, fault):
    alice = sign_up(personal)
    sync_now()
    people = Registration.objects.filter(pk=alice.pk)
    signup.decline(registrations=people)
    zoom_account.fail(fault, call="update_registrants", times=2, retry_after=600)
    sync_now()
    signup.approve(registrations=people)
    sync_now(4)
    for session in personal.sessions.all():
        link = PersonalLink.objects.get(seat__session=session)
        assert at_zoom(zoom_account, session) == {alice.email: link.registrant_id}


def test_links_survive_another_zoom_mode_and_back(personal, zoom_account):
    crowd(personal, 3)
    sync_now()
    before = {link.pk: link.join_url for link in PersonalLink.objects.all()}
    for mode in ("shared", "personal"):
        Event.objects.update(zoom_mode=mode)
        sync_now()
        Meeting.objects.update(due_at=timezone.now())
        sync.sync_meetings()
        sync_now()
    assert {link.pk: link.join_url for link in PersonalLink.objects.issued()} == before


def test_no_one_is_registered_before_the_meeting_requires_it(week, zoom_account):
    Event.objects.update(zoom_mode="shared", zoom_captions=False)
    sync.sync_meetings()
    Event.objects.update(zoom_mode="personal")
    sign_up(week)
    sync_now()
    assert zoom_account.count("add_registrants") == 0
    Meeting.objects.update(due_at=timezone.now())
    sync.sync_meetings()
    sync_now()
    assert PersonalLink.objects.issued().count() == 6


def test_session_canceled_by_mistake_keeps_its_links(personal, zoom_account):
    sign_up(personal)
    sync_now()
    session = personal.sessions.first()
    schedule.cancel_session(session=session)
    sync_now()
    schedule.restore_session(session=session)
    sync_now()
    assert zoom_account.count("update_registrants") == 0
    assert PersonalLink.objects.issued().count() == 2


def test_links_are_issued_again_when_a_deletion_was_undone(personal, zoom_account):
    Event.objects.update(settle_minutes=0)
    alice = sign_up(personal)
    sync_now()
    session = personal.sessions.first()
    schedule.cancel_session(session=session)
    zoom_account.fail("lost answer", call="delete_meeting")
    sync.sync_meetings()
    schedule.restore_session(session=session)
    for _tick in range(3):
        ZoomAccount.objects.update(resumes_at=timezone.now())
        Meeting.objects.update(due_at=timezone.now())
        sync.sync_meetings()
    sync_now(2)
    assert set(at_zoom(zoom_account, session)) == {alice.email}
    assert PersonalLink.objects.usable().count() == 2


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


def test_renewed_link_replaces_a_stolen_one(personal, zoom_account):
    alice = sign_up(personal)
    sync_now()
    before, token = {link.join_url for link in links_of(alice)}, alice.token
    assert signup.renew_links(registrations=[alice]) == 1
    sync_now(2)
    alice.refresh_from_db()
    now = {link.join_url for link in links_of(alice)}
    assert len(now) == 2
    assert not now & before
    assert alice.token != token
    assert alice.mails.filter(kind="links", state="waiting").count() == 1
    for session in personal.sessions.all():
        meeting = zoom_account.meetings[Meeting.objects.get(session=session).zoom_id]
        zoom_account.start(meeting.id)
        stolen = next(url for url in before if str(meeting.id) in url)
        with pytest.raises(CannotJoin):
            zoom_account.join(stolen)


@pytest.mark.parametrize(
    "end",
    [
        lambda alice: signup.decline(registrations=[alice]),
        lambda alice: signup.cancel(registration=alice),
        lambda alice: seats.release(seats=[alice.seats.first()]),
        lambda alice: erasure.erase(registration=alice),
    ],
    ids=["decline", "cancel", "disqualify", "erase"],
)
def test_worker_is_woken_to_revoke_a_link(
    personal, zoom_account, end, monkeypatch, django_capture_on_commit_callbacks
):
    alice = sign_up(personal)
    sync_now()
    woken = []
    monkeypatch.setattr(background, "wake_workers", lambda task, **options: woken.append(task))
    with django_capture_on_commit_callbacks(execute=True):
        end(alice)
    assert "registrations.tasks.issue_links" in woken


def test_meeting_requires_manual_approval_of_strangers(personal, zoom_account):
    meeting = zoom_account.meetings[Meeting.objects.first().zoom_id]
    assert meeting.settings["approval_type"] == sync.MANUAL_APPROVAL == 1


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


def test_person_who_cancels_during_the_call_loses_the_link_afterwards(
    personal, zoom_account, monkeypatch
):
    alice = sign_up(personal)
    recording = sync.tracking_account_health

    def cancel_first():
        """Between Zoom's answer and its recording. Another worker then has nothing to revoke."""
        monkeypatch.setattr(sync, "tracking_account_health", recording)
        signup.cancel(registration=alice)
        personal_links.sync_links()
        assert zoom_account.count("update_registrants") == 0
        return recording()

    monkeypatch.setattr(sync, "tracking_account_health", cancel_first)
    personal_links.sync_links()
    assert zoom_account.count("add_registrants") == 1
    personal_links.sync_links()
    for session in personal.sessions.all():
        assert at_zoom(zoom_account, session) == {}
    assert not PersonalLink.objects.exists()
