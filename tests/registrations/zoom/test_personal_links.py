"""Each seat of an event with personal links is a registrant at Zoom, and nobody else is."""

import datetime as dt
import email.policy
import time
from collections.abc import Iterator
from email import message_from_bytes
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from django.core.mail import EmailMessage
from django.test import Client
from django.utils import timezone
from django.utils.html import escape

from events import background, schedule
from events.models import Event, Meeting, Session, ZoomAccount
from events.zoom import client as zoom_client
from events.zoom import sync
from registrations import seats, signup
from registrations.mail import writer
from registrations.models import OutgoingMail, PersonalLink, Registration, Seat
from registrations.privacy import erasure
from registrations.zoom import personal_links
from tests.fake_zoom import CannotJoin, FakeZoom
from tests.people import sign_up

pytestmark = [pytest.mark.django_db, pytest.mark.once]


@pytest.fixture
def personal(week: Event, zoom_account: FakeZoom) -> Event:
    """The week with two sessions, their meetings made at Zoom, and a link for each who comes."""
    late = week.sessions.order_by("-starts_at")[:4]
    Session.objects.filter(pk__in=[session.pk for session in late]).delete()
    week.zoom_mode, week.zoom_captions = Event.ZoomMode.PERSONAL, False
    week.save()
    sync.sync_meetings()
    return week


def keep_up(times: int = 1) -> None:
    """Tick so often, with no pause between."""
    for _tick in range(times):
        now = timezone.now()
        ZoomAccount.objects.update(resumes_at=now)
        PersonalLink.objects.update(due_at=now)
        personal_links.sync_links()


def crowd(event: Event, count: int) -> list[Registration]:
    return [sign_up(event, f"P{number} Adams") for number in range(count)]


def at_zoom(zoom_account: FakeZoom, session: Session) -> dict[str, str]:
    """By address, the links that lead into the session's meeting now."""
    meeting = zoom_account.meetings[Meeting.objects.get(session=session).zoom_id]
    return {
        each.email: each.id for each in meeting.registrants.values() if each.status == "approved"
    }


def links_of(person: Registration) -> list[PersonalLink]:
    return list(PersonalLink.objects.filter(seat__registration=person).order_by("pk"))


# Issuing


def test_each_seat_gets_a_link_of_its_own(personal, zoom_account):
    people = crowd(personal, 3)
    keep_up()
    for session in personal.sessions.all():
        assert set(at_zoom(zoom_account, session)) == {person.email for person in people}
    links = [link for person in people for link in links_of(person)]
    assert {link.state for link in links} == {"issued"}
    assert len({link.join_url for link in links}) == 6


def test_people_are_registered_thirty_at_a_time(personal, zoom_account):
    crowd(personal, 61)
    keep_up()
    assert zoom_account.count("add_registrants") == 2 * 3
    assert PersonalLink.objects.issued().count() == 122
    calls = len(zoom_account.calls)
    keep_up(2)
    assert len(zoom_account.calls) == calls


@pytest.mark.parametrize(
    "spoil",
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
def test_only_those_who_come_get_one(personal, zoom_account, spoil):
    sign_up(personal)
    spoil(personal)
    keep_up()
    assert zoom_account.count("add_registrants") == 0


def test_sessions_that_are_over_need_none(personal, zoom_account):
    sign_up(personal)
    with time_machine.travel(timezone.now() + dt.timedelta(days=60), tick=False):
        keep_up()
    assert zoom_account.count("add_registrants") == 0


# What goes wrong


@pytest.mark.parametrize("fault", ["lost answer", "timeout", "cut", "500", "503 html", "429"])
def test_batch_that_fails_is_made_up_for(personal, zoom_account, settings, fault):
    settings.ZOOM_TIMEOUT = 1
    crowd(personal, 35)
    zoom_account.fail(fault, call="add_registrants", times=2, retry_after=1)
    keep_up(5)
    assert PersonalLink.objects.issued().count() == 70
    for session in personal.sessions.all():
        assert len(at_zoom(zoom_account, session)) == 35


def test_nobody_is_registered_again_blindly(personal, zoom_account):
    crowd(personal, 31)
    zoom_account.fail("lost answer", call="add_registrants", times=4)
    keep_up(6)
    assert PersonalLink.objects.issued().count() == 62
    # Two batches for each of two sessions, and none a second time.
    assert zoom_account.count("add_registrants") == 4


def test_worker_that_died_amid_a_batch_leaves_nobody_without(personal, zoom_account):
    crowd(personal, 3)
    keep_up()
    issued = {link.pk: link.join_url for link in PersonalLink.objects.all()}
    PersonalLink.objects.update(
        state="wanted", registrant_id="", join_url="", issued_at=None, asked_at=timezone.now()
    )
    keep_up()
    assert {link.pk: link.join_url for link in PersonalLink.objects.all()} == issued
    assert zoom_account.count("add_registrants") == 2


def test_claimed_links_are_left_to_their_worker(personal, zoom_account):
    sign_up(personal)
    zoom_account.fail("503", call="add_registrants", times=2)
    keep_up()
    PersonalLink.objects.update(due_at=timezone.now() + dt.timedelta(minutes=1))
    ZoomAccount.objects.update(resumes_at=timezone.now())
    personal_links.sync_links()
    assert not PersonalLink.objects.issued().exists()


def test_address_that_zoom_refuses_says_why_and_the_others_go_on(personal, zoom_account):
    good = crowd(personal, 5)
    bad = sign_up(personal, "Bad Adams", email="x" * 125 + "@example.org")
    keep_up()
    assert {link.state for link in links_of(bad)} == {"refused"}
    assert "Validation Failed" in links_of(bad)[0].problem
    for person in good:
        assert {link.state for link in links_of(person)} == {"issued"}
    calls = len(zoom_account.calls)
    keep_up(2)
    assert len(zoom_account.calls) == calls
    assert personal_links.try_again(event=personal) == 2
    keep_up()
    assert len(zoom_account.calls) > calls


def test_someone_whom_zoom_has_seen_too_often_today_waits_and_the_others_go_on(
    personal, zoom_account
):
    alice, bob = sign_up(personal, "Alice Adams"), sign_up(personal, "Bob Brown")
    session = personal.sessions.first()
    zoom_id = Meeting.objects.get(session=session).zoom_id
    for _often in range(3):
        added = zoom_client.add_registrant(zoom_id, zoom_client.Person(alice.email, "Alice"))
    zoom_client.cancel_registrants(zoom_id, [added])
    keep_up()
    assert {link.state for link in links_of(bob)} == {"issued"}
    waiting, issued = links_of(alice)
    assert (waiting.state, issued.state) == ("wanted", "issued")
    assert waiting.problem
    assert waiting.due_at > timezone.now()
    assert waiting.due_at.astimezone(dt.UTC).time() == dt.time()


def test_host_who_may_not_register_anybody_is_not_asked_for_each(personal, zoom_account):
    Meeting.objects.update(state="made")
    zoom_account.account.owner.type = 1
    crowd(personal, 40)
    keep_up()
    assert zoom_account.count("add_registrant") == 0
    assert zoom_account.count("add_registrants") <= 4
    link = PersonalLink.objects.first()
    assert (link.state, "Paid" in link.problem) == ("wanted", True)


def test_meeting_that_is_gone_is_noticed(personal, zoom_account):
    session = personal.sessions.first()
    zoom_account.delete_by_hand(Meeting.objects.get(session=session).zoom_id)
    sign_up(personal)
    keep_up()
    assert Meeting.objects.get(session=session).state == "gone"
    assert PersonalLink.objects.issued().count() == 1


def test_nobody_calls_while_zoom_is_away(personal, zoom_account):
    zoom_account.fail("503", times=None)
    sign_up(personal)
    personal_links.sync_links()
    calls = len(zoom_account.calls)
    personal_links.sync_links()
    assert len(zoom_account.calls) == calls


# Taking away


@pytest.mark.parametrize(
    "leave",
    [
        lambda alice: signup.cancel(registration=alice),
        lambda alice: signup.decline(registrations=Registration.objects.filter(pk=alice.pk)),
        lambda alice: alice.seats.update(state="waiting", waiting_since=timezone.now()),
        lambda alice: alice.seats.all().delete(),
    ],
)
def test_who_comes_no_more_has_no_link_any_more(personal, zoom_account, leave):
    alice, bob = sign_up(personal, "Alice Adams"), sign_up(personal, "Bob Brown")
    keep_up()
    leave(alice)
    zoom_account.fail("503", call="update_registrants")
    keep_up(2)
    for session in personal.sessions.all():
        assert set(at_zoom(zoom_account, session)) == {bob.email}
    assert PersonalLink.objects.count() == 2


def test_link_that_was_asked_for_and_never_heard_of_is_taken_away_too(personal, zoom_account):
    alice = sign_up(personal)
    zoom_account.fail("lost answer", call="add_registrants", times=2)
    keep_up()
    ZoomAccount.objects.update(resumes_at=timezone.now())
    PersonalLink.objects.update(due_at=timezone.now())
    signup.cancel(registration=alice)
    keep_up(2)
    for session in personal.sessions.all():
        assert at_zoom(zoom_account, session) == {}
    assert not PersonalLink.objects.exists()


def test_corrected_address_gets_a_new_link_and_the_old_one_dies(personal, zoom_account):
    alice = sign_up(personal)
    keep_up()
    signup.correct_email(registration=alice, email="right@example.org")
    # The mail waits for the new ones.
    assert not links_of(alice)
    assert alice.mails.order_by("-pk").first().due_at > timezone.now()
    keep_up()
    for session in personal.sessions.all():
        assert set(at_zoom(zoom_account, session)) == {"right@example.org"}
    assert {link.email for link in links_of(alice)} == {"right@example.org"}


def test_remade_meeting_gets_everyone_anew(personal, zoom_account):
    alice = sign_up(personal)
    keep_up()
    meeting = Meeting.objects.get(session=personal.sessions.first())
    zoom_account.delete_by_hand(meeting.zoom_id)
    sync.mark_gone(meeting.zoom_id)
    sync.recreate(meeting=meeting)
    sync.sync_meetings()
    keep_up()
    assert set(at_zoom(zoom_account, meeting.session)) == {alice.email}
    assert {link.state for link in links_of(alice)} == {"issued"}


def test_links_stay_known_once_the_session_is_over(personal, zoom_account):
    alice = sign_up(personal)
    keep_up()
    signup.cancel(registration=alice)
    with time_machine.travel(timezone.now() + dt.timedelta(days=60), tick=False):
        keep_up()
    assert len(links_of(alice)) == 2


# In the mails


def written(mail: OutgoingMail) -> EmailMessage:
    return writer.writer_for([mail])(mail)


def test_mail_says_own_zoom_links_and_no_other(personal, zoom_account):
    alice, bob = sign_up(personal, "Alice Adams"), sign_up(personal, "Bob Brown")
    keep_up()
    mail = written(alice.mails.get())
    sent = message_from_bytes(mail.message().as_bytes(), policy=email.policy.default)
    text = sent.get_body(("plain",)).get_content()
    html = sent.get_body(("html",)).get_content()
    for link in links_of(alice):
        assert f"\n{link.join_url}\n" in text
        assert f'href="{escape(link.join_url)}"' in html
    for link in links_of(bob):
        assert link.registrant_id not in text
        assert parse_qs(urlsplit(link.join_url).query)["tk"][0] not in text + html
    assert text.count(f"/join/{alice.token}/") == 4
    assert "Passcode" not in text + html
    assert mail.body.replace("\r\n", "\n") in text.replace("\r\n", "\n")


def test_mail_says_nothing_of_a_zoom_link_that_there_is_not(personal):
    alice = sign_up(personal)
    mail = written(alice.mails.get())
    assert "out of reach" not in mail.body
    assert "\ue000" not in mail.body
    assert mail.body.count(f"/join/{alice.token}/") == 4


def test_mail_with_links_waits_a_short_while(personal, zoom_account):
    alice = sign_up(personal)
    wait = alice.mails.get().due_at - timezone.now()
    assert dt.timedelta(seconds=15) < wait <= dt.timedelta(seconds=20)
    keep_up()
    assert alice.mails.get().due_at <= timezone.now()


def test_mail_waits_until_the_person_has_all_links(personal, zoom_account):
    alice = sign_up(personal)
    zoom_account.fail("500", call="add_registrants")
    keep_up()
    assert alice.mails.get().due_at > timezone.now()
    keep_up(2)
    assert alice.mails.get().due_at <= timezone.now()


def test_mail_does_not_wait_for_what_zoom_refuses(personal, zoom_account):
    bad = sign_up(personal, "Bad Adams", email="x" * 125 + "@example.org")
    keep_up()
    assert bad.mails.get().due_at <= timezone.now()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda settings: Event.objects.update(zoom_mode="shared"),
        lambda settings: setattr(settings, "ZOOM_CLIENT_ID", ""),
        lambda settings: ZoomAccount.objects.update_or_create(
            pk=1, defaults={"resumes_at": timezone.now() + dt.timedelta(minutes=1)}
        ),
    ],
)
def test_nothing_is_waited_for_that_will_not_come_soon(personal, settings, spoil):
    spoil(settings)
    personal.refresh_from_db()
    assert sign_up(personal).mails.get().due_at <= timezone.now()


# At the door


@pytest.fixture
def at_the_door(personal) -> Iterator[Seat]:
    """Alice's seat in the first session, whose doors are open; of its link nobody has asked."""
    alice = sign_up(personal)
    seat = alice.seats.order_by("session__starts_at").first()
    with time_machine.travel(seat.session.starts_at - dt.timedelta(minutes=5), tick=True):
        yield seat


def knock(client: Client, seat: Seat) -> Any:
    return client.get(f"/join/{seat.registration.token}/{seat.session.slug}/")


def test_door_leads_to_ones_own_link(client, at_the_door):
    keep_up()
    link = PersonalLink.objects.get(seat=at_the_door)
    assert knock(client, at_the_door).headers["Location"] == link.join_url
    at_the_door.refresh_from_db()
    assert at_the_door.opened_at is not None


def test_door_waits_for_a_link_until_the_start_and_then_leads_to_zooms_own_form(
    client, at_the_door
):
    page = knock(client, at_the_door)
    assert "Your own Zoom link is on its way" in page.content.decode()
    at_the_door.refresh_from_db()
    assert at_the_door.opened_at is None
    with time_machine.travel(at_the_door.session.starts_at, tick=False):
        shared = Meeting.objects.get(session=at_the_door.session).join_url
        assert knock(client, at_the_door).headers["Location"] == shared


def test_door_leads_whom_zoom_refused_to_its_own_form(client, at_the_door):
    keep_up()
    PersonalLink.objects.update(state="refused")
    shared = Meeting.objects.get(session=at_the_door.session).join_url
    assert knock(client, at_the_door).headers["Location"] == shared


def test_door_knows_no_link_of_a_meeting_that_is_not_there_any_more(client, at_the_door):
    keep_up()
    Meeting.objects.filter(session=at_the_door.session).update(state="gone")
    assert "Almost ready" in knock(client, at_the_door).content.decode()
    Meeting.objects.filter(session=at_the_door.session).update(state="made", zoom_id=1)
    assert "Almost ready" in knock(client, at_the_door).content.decode()


@pytest.mark.parametrize("how", ["head", "prefetch", "closed"])
def test_only_whoever_is_led_on_has_opened_it(client, at_the_door, how):
    keep_up()
    address = f"/join/{at_the_door.registration.token}/{at_the_door.session.slug}/"
    if how == "head":
        client.head(address)
    elif how == "prefetch":
        client.get(address, headers={"Sec-Purpose": "prefetch"})
    else:
        with time_machine.travel(at_the_door.session.starts_at - dt.timedelta(hours=2)):
            client.get(address)
    at_the_door.refresh_from_db()
    assert at_the_door.opened_at is None


# Coming back


@pytest.mark.parametrize("fault", ["429", "lost answer", "503"])
def test_link_of_whoever_comes_back_is_not_taken_away_with_the_old_one(
    personal, zoom_account, fault
):
    alice = sign_up(personal)
    keep_up()
    people = Registration.objects.filter(pk=alice.pk)
    signup.decline(registrations=people)
    zoom_account.fail(fault, call="update_registrants", times=2, retry_after=600)
    keep_up()
    signup.approve(registrations=people)
    keep_up(4)
    for session in personal.sessions.all():
        link = PersonalLink.objects.get(seat__session=session)
        assert at_zoom(zoom_account, session) == {alice.email: link.registrant_id}


def test_links_survive_another_mode_and_back(personal, zoom_account):
    crowd(personal, 3)
    keep_up()
    before = {link.pk: link.join_url for link in PersonalLink.objects.all()}
    for mode in ("shared", "personal"):
        Event.objects.update(zoom_mode=mode)
        keep_up()
        Meeting.objects.update(due_at=timezone.now())
        sync.sync_meetings()
        keep_up()
    assert {link.pk: link.join_url for link in PersonalLink.objects.issued()} == before


def test_nobody_is_registered_before_zoom_knows_of_it(week, zoom_account):
    Event.objects.update(zoom_mode="shared", zoom_captions=False)
    sync.sync_meetings()
    Event.objects.update(zoom_mode="personal")
    sign_up(week)
    keep_up()
    assert zoom_account.count("add_registrants") == 0
    Meeting.objects.update(due_at=timezone.now())
    sync.sync_meetings()
    keep_up()
    assert PersonalLink.objects.issued().count() == 6


def test_session_canceled_by_mistake_costs_nobody_the_link(personal, zoom_account):
    sign_up(personal)
    keep_up()
    session = personal.sessions.first()
    schedule.cancel_session(session=session)
    keep_up()
    schedule.restore_session(session=session)
    keep_up()
    assert zoom_account.count("update_registrants") == 0
    assert PersonalLink.objects.issued().count() == 2


def test_one_meeting_that_refuses_holds_up_neither_taking_nor_giving(personal, zoom_account):
    alice, bob = sign_up(personal, "Alice Adams"), sign_up(personal, "Bob Brown")
    keep_up()
    signup.cancel(registration=alice)
    first, second = personal.sessions.all()
    refusing = Meeting.objects.get(session=first)
    zoom_account.meetings[refusing.zoom_id].settings["approval_type"] = 2
    carol = sign_up(personal, "Carol Chen")
    keep_up()
    assert set(at_zoom(zoom_account, second)) == {bob.email, carol.email}


def test_stolen_link_is_renewed(personal, zoom_account):
    alice = sign_up(personal)
    keep_up()
    before, token = {link.join_url for link in links_of(alice)}, alice.token
    assert signup.renew_links(registrations=[alice]) == 1
    keep_up(2)
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
    ids=["decline", "cancel", "leave", "erase"],
)
def test_worker_hears_at_once_of_a_link_that_is_to_end(
    personal, zoom_account, end, monkeypatch, django_capture_on_commit_callbacks
):
    alice = sign_up(personal)
    keep_up()
    told = []
    monkeypatch.setattr(background, "wake_workers", lambda task, **options: told.append(task))
    with django_capture_on_commit_callbacks(execute=True):
        end(alice)
    assert "registrations.tasks.issue_links" in told


def test_stranger_who_knows_the_meeting_registers_in_vain(personal, zoom_account):
    meeting = zoom_account.meetings[Meeting.objects.first().zoom_id]
    assert meeting.settings["approval_type"] == sync.MANUAL_APPROVAL == 1


def test_round_of_single_calls_that_breaks_off_registers_nobody_twice(personal, zoom_account):
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
        keep_up()
    keep_up(2)
    assert PersonalLink.objects.issued().count() == 3
    assert zoom_account.count("list_registrants") == 1


def test_registrant_without_a_link_waits_for_the_host(personal, zoom_account, monkeypatch):
    def pending(zoom_id, people):
        return [zoom_client.Registrant("r", person.email, "") for person in people]

    monkeypatch.setattr(zoom_client, "add_registrants", pending)
    alice = sign_up(personal)
    keep_up()
    assert {link.state for link in links_of(alice)} == {"refused"}
    assert "host" in links_of(alice)[0].problem


def test_whoever_is_let_go_amid_the_asking_is_taken_away_afterwards(personal, zoom_account):
    alice = sign_up(personal)
    batch = next(personal_links._claimed_batches(time.monotonic() + 5, set()))
    signup.cancel(registration=alice)
    personal_links._detach_unqualified()
    assert not personal_links._revoke_some(batch.meeting)
    people = [zoom_client.Person(alice.email, alice.name)]
    personal_links._record(batch.links, sync.register_people(batch.zoom_id, people))
    personal_links.sync_links()
    assert at_zoom(zoom_account, batch.meeting.session) == {}


def test_mail_has_no_link_of_an_earlier_address(personal, zoom_account):
    alice = sign_up(personal)
    keep_up()
    ZoomAccount.objects.update_or_create(
        pk=1, defaults={"resumes_at": timezone.now() + dt.timedelta(minutes=1)}
    )
    signup.correct_email(registration=alice, email="right@example.org")
    mail = alice.mails.order_by("-pk").first()
    assert mail.due_at <= timezone.now()
    assert "out of reach" not in written(mail).body


def test_mail_to_someone_who_has_all_links_does_not_wait(personal, zoom_account):
    alice = sign_up(personal)
    keep_up()
    OutgoingMail.objects.update(created_at=timezone.now() - dt.timedelta(hours=1), state="failed")
    signup.resend_links(registrations=[alice])
    assert alice.mails.order_by("-pk").first().due_at <= timezone.now()


def test_mail_about_a_place_from_the_waiting_list_waits_too(personal, zoom_account):
    alice = sign_up(personal)
    alice.seats.update(state="waiting", waiting_since=timezone.now())
    seats.promote(seat=alice.seats.first())
    mail = alice.mails.get(kind="promoted")
    assert mail.due_at > timezone.now()
    keep_up()
    mail.refresh_from_db()
    assert mail.due_at <= timezone.now()
