"""Each seat of an event with personal links is a registrant at Zoom, and no one else is."""

import datetime as dt

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from events import background, schedule
from events.models import Event, Meeting, Session, ZoomAccount
from events.zoom import sync
from registrations import seats, signup
from registrations.models import PersonalLink, Registration, Seat
from registrations.privacy import erasure
from registrations.zoom import personal_links
from tests.fake_zoom import CannotJoin
from tests.people import sign_up
from tests.registrations.zoom.registrants import at_zoom, crowd, links_of, sync_now

pytestmark = [pytest.mark.django_db, pytest.mark.once]


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
