"""Erasing deletes everything personal, and keeps the statistics."""

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import time_machine
from allauth.account.models import EmailAddress
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session as SignIn
from django.db import connection
from django.db.models import F
from django.test import Client
from django.utils import timezone

from events.models import Event, Meeting, Session, ZoomAccount, ZoomReport
from events.zoom import sync
from events.zoom.client import Participant
from registrations import readiness, signup
from registrations.mail import mailbox_full, stored_messages, writer
from registrations.mail.unsubscribe import unsubscribe_url
from registrations.mail_kinds import MailKind
from registrations.models import (
    AccessNeed,
    Answer,
    Attendance,
    OutgoingMail,
    PersonalLink,
    Registration,
)
from registrations.outbox import delivery
from registrations.privacy import erasure
from registrations.zoom import attendance, personal_links
from tests.people import filled_form, sign_up
from tests.registrations.privacy.people import (
    EMAIL,
    NAME,
    TRACES,
    downloaded,
    erase_page,
    logged,
    person_everywhere,
    traces,
)

pytestmark = pytest.mark.django_db

DAY = dt.timedelta(days=1)
MINUTE = dt.timedelta(minutes=1)


def test_nothing_is_left_after_erasing(week, dulcinea, admin_user):
    need = dulcinea.seats.last().access_needs.get(kind="other")
    presence = Attendance.objects.get(participant_id="1")
    for thing in (dulcinea, dulcinea.seats.first(), presence, Answer.objects.get(), need):
        logged(admin_user, thing)
    need.delete()
    assert {trace.partition(" in ")[0] for trace in traces(*TRACES)} == set(TRACES)
    assert Client().post(erase_page(dulcinea)).status_code == 200
    assert traces(*TRACES, dulcinea.token.casefold()) == []
    assert Counter(LogEntry.objects.values_list("object_repr", flat=True)) == {"Erased": 5}


@pytest.mark.once
def test_erasing_keeps_everyone_else(week, dulcinea):
    sancho = person_everywhere(week, "Sancho Panza", "sancho@donkey.example")
    before = downloaded(sancho)
    erasure.erase(registration=dulcinea)
    assert {**downloaded(sancho), "fetched_at": 0} == {**before, "fetched_at": 0}
    assert Attendance.objects.filter(email__iexact=sancho.email).count() == 2


def zoom_names(rows: Any) -> list[str]:
    return sorted(rows.values_list("name", flat=True))


def seen_at_zoom(week: Event, *people: dict[str, str]) -> None:
    """People in a meeting whom no one has matched, each with a report that was applied."""
    session = week.sessions.first()
    Meeting.objects.filter(session=session).update(zoom_id=81234567890)
    for number, person in enumerate(people):
        about = {"instance_uuid": "u", "participant_id": str(number), "session": session}
        Attendance.objects.create(**about, joined_at=timezone.now(), **person)
        participant = {"user_name": person["name"], **person}
        ZoomReport.objects.create(
            key=str(number),
            kind="meeting.participant_joined",
            zoom_id=81234567890,
            payload={"object": {"participant": participant}},
            done_at=timezone.now(),
        )


def test_erasing_one_of_a_mailbox_keeps_what_is_about_the_others(week):
    padre, hija = (sign_up(week, name, email="casa@example.org") for name in ("Padré P", "Hija"))
    guest = sign_up(week, "Tía", email="casa@example.org").zoom_email
    PersonalLink.objects.create(
        seat=padre.seats.first(),
        meeting=week.sessions.first().meeting,
        zoom_id=81234567890,
        email=padre.email,
        registrant_id="padres",
    )
    seen_at_zoom(
        week,
        {"name": "PADRE P", "email": "Casa@example.org"},
        {"name": "Dad", "email": "casa@example.org", "registrant_id": "padres"},
        {"name": "Hija", "email": "casa@example.org"},
        {"name": "Phone", "email": "casa@example.org"},
        {"name": "Aunt", "email": guest},
    )
    reports = ZoomReport.objects.annotate(name=F("payload__object__participant__user_name"))
    erasure.erase(registration=padre)
    kept = ["", "", "Aunt", "Hija", "Phone"]
    assert zoom_names(Attendance.objects) == zoom_names(reports) == kept
    erasure.erase(registration=Registration.objects.get(name="Tía"))
    kept = ["", "", "", "Hija", "Phone"]
    assert zoom_names(Attendance.objects) == zoom_names(reports) == kept
    erasure.erase(registration=hija)
    assert zoom_names(Attendance.objects) == zoom_names(reports) == [""] * 5


@pytest.mark.once
def test_erasing_keeps_the_statistics(week, dulcinea):
    ids = set(dulcinea.mails.values_list("pk", "kind", "created_at"))
    seats = dulcinea.seats.count()
    erasure.erase(registration=dulcinea)
    person = Registration.objects.get()
    assert set(person.mails.values_list("pk", "kind", "created_at")) == ids
    assert dict(person.mails.values_list("kind", "state")) == {"links": "dropped", "day": "failed"}
    assert (person.seats.count(), person.created_at) == (seats, dulcinea.created_at)
    assert Attendance.objects.filter(seat__registration=person).count() == 1
    assert AccessNeed.objects.count() == Answer.objects.count() == 0


def board(event: Event) -> dict[int, readiness.Tally]:
    return readiness.Board(event, timezone.now()).tallies()


@pytest.mark.once
@pytest.mark.parametrize("mode", ["pasted", "personal"])
def test_board_still_counts_erased_people(week, dulcinea, mode):
    Event.objects.update(zoom_mode=mode)
    week.refresh_from_db()
    dulcinea.mails.filter(kind="links").update(state="sent", sent_at=timezone.now())
    sign_up(week, "Sancho Panza")
    for number, seat in enumerate(dulcinea.seats.all(), start=1):
        meeting = seat.session.meeting
        Meeting.objects.filter(pk=meeting.pk).update(zoom_id=number, state="made")
        PersonalLink.objects.create(
            seat=seat,
            meeting=meeting,
            zoom_id=number,
            email=EMAIL,
            state="issued",
            registrant_id=f"registrant-{number}",
            join_url=f"https://zoom.example/{EMAIL}",
            issued_at=timezone.now(),
        )
    dulcinea.seats.filter(session__slug="opening").update(
        attended=True, link_fetched_at=timezone.now(), opened_at=timezone.now()
    )
    with time_machine.travel(timezone.now() + 60 * DAY, tick=False):
        before = board(week)
        assert sum(tally.attended for tally in before.values()) == 1
        erasure.erase(registration=dulcinea)
        assert board(week) == before
        assert readiness.Board(week, timezone.now()).people(search="quixote") == []
        assert "" not in {each.name for each in readiness.Board(week, timezone.now()).people()}
    assert traces(*TRACES) == []


@pytest.mark.once
def test_spot_goes_to_the_next_on_the_waitlist(week, dulcinea):
    session = week.sessions.first()
    Session.objects.filter(pk=session.pk).update(capacity=1)
    session.refresh_from_db()
    sancho = sign_up(week, "Sancho Panza", sessions=[session])
    assert sancho.seats.get().state == "waiting"
    erasure.erase(registration=dulcinea)
    assert sancho.seats.get().state == "seated"
    assert sancho.mails.filter(kind="promoted").count() == 1
    assert board(week)[session.pk].seated == 1


@pytest.mark.once
def test_unsent_email_is_dropped(week, dulcinea, mailoutbox):
    erasure.erase(registration=dulcinea)
    delivery.deliver_due(writer.writer_for)
    assert mailoutbox == []
    assert not OutgoingMail.objects.filter(state="waiting").exists()


@pytest.mark.once
def test_rejection_that_arrives_after_erasing_is_not_kept(week, dulcinea, smtp):
    smtp.refuse(EMAIL, f"550 {EMAIL} is unknown")

    def erase_before_sending(mails: Sequence[OutgoingMail]) -> Any:
        write = writer.writer_for(mails)

        def write_and_erase(mail: OutgoingMail) -> Any:
            message = write(mail)
            erasure.erase(registration=dulcinea)
            return message

        return write_and_erase

    delivery.deliver_due(erase_before_sending)
    assert smtp.messages == []
    assert traces(*TRACES) == []


@pytest.mark.once
def test_bounce_that_arrives_after_erasing_is_deleted_by_the_next_run(week, dulcinea):
    erasure.erase(registration=dulcinea)
    OutgoingMail.objects.update(last_error=f"bounced: {EMAIL}", provider_id=EMAIL)
    erasure.erase_expired()
    assert traces(*TRACES) == []


@pytest.mark.once
def test_name_reported_by_zoom_after_erasing_is_not_kept(week, monkeypatch):
    session = week.sessions.first()
    Meeting.objects.filter(session=session).update(zoom_id=81234567890, state="made")
    joined = session.starts_at
    participant = Participant(
        registrant_id="", user_id="1", name=NAME, email=EMAIL, joined_at=joined, left_at=None
    )
    attendance.save_participants(session, "uuid", [participant])
    person = sign_up(week, NAME, email=EMAIL)
    erasure.erase(registration=person)
    left = joined + 90 * MINUTE
    # The report about leaving, and Zoom's participant list.
    attendance.save_participants(
        session, "uuid", [participant._replace(joined_at=None, left_at=left)]
    )
    listed = participant._replace(
        user_id="", joined_at=joined + dt.timedelta(seconds=2), left_at=left
    )
    other = listed._replace(name="Sancho Panza", email="", joined_at=joined + MINUTE)
    monkeypatch.setattr(sync, "past_participants", lambda meeting: [[listed, other]])
    attendance.complete(Meeting.objects.get(session=session))
    assert traces("quixote", EMAIL) == []
    assert list(Attendance.objects.order_by("pk").values_list("name", "left_at")) == [
        ("", left),
        ("Sancho Panza", left),
    ]


@pytest.mark.once
def test_every_link_becomes_unknown(week, dulcinea):
    unsubscribe = unsubscribe_url(dulcinea).partition("/unsubscribe/")[2]
    pages = ["", "data.json", "erase/", "calendar.ics"]
    pages = [f"/me/{dulcinea.token}/{page}" for page in pages]
    pages += [f"/join/{dulcinea.token}/opening/", f"/unsubscribe/{unsubscribe}"]
    for page in pages:
        assert Client().get(page).status_code == 200 or "join" in page
    erasure.erase(registration=dulcinea)
    unknown = Client().get(f"/me/{'x' * 32}/")
    for page in pages:
        answer = Client().get(page)
        assert (page, answer.status_code) == (page, 404)
        if page.startswith("/me/"):
            assert answer.content == unknown.content


@pytest.mark.once
def test_erasing_twice_changes_nothing_and_shows_a_clear_page(week, dulcinea):
    first, second = (Client().post(erase_page(dulcinea)) for _tab in range(2))
    assert (first.status_code, second.status_code) == (200, 404)
    assert b"Your data is erased" in first.content
    assert b"If you just pressed the button, it worked" in second.content
    person = Registration.objects.get()
    assert erasure.erase(registration=dulcinea) is False
    assert Registration.objects.get().erased_at == person.erased_at
    unknown = Client().post(f"/me/{'x' * 32}/erase/")
    assert (unknown.status_code, unknown.content) == (404, second.content)


@pytest.mark.django_db(transaction=True)
def test_simultaneous_clicks_erase_once(week):
    person = sign_up(week, NAME, email=EMAIL)

    def click(_number: int) -> bool:
        try:
            return erasure.erase(registration=person)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(click, range(4))) == [False, False, False, True]
    assert traces("quixote", EMAIL) == []


@pytest.mark.once
def test_viewing_the_page_or_forging_the_form_erases_nothing(week, dulcinea):
    page = Client().get(erase_page(dulcinea))
    assert b"This can't be undone" in page.content
    assert Client(enforce_csrf_checks=True).post(erase_page(dulcinea)).status_code == 403
    assert Registration.objects.get().erased_at is None


def test_registering_again_with_the_same_address_works(week, dulcinea):
    erasure.erase(registration=dulcinea)
    Client().post(f"/{week.slug}/register/", filled_form(week, email=EMAIL, name=NAME))
    again = Registration.objects.active().get()
    assert (again.name, again.email, again.seats.count()) == (NAME, EMAIL, 6)
    erasure.erase(registration=again)
    assert Registration.objects.exclude(erased_at=None).count() == 2
    assert traces(*TRACES) == []


@pytest.mark.once
def test_earlier_registration_is_erased_too_and_a_later_one_kept(week, dulcinea):
    signup.cancel(registration=dulcinea)
    again = sign_up(week, NAME, email=EMAIL)
    erasure.erase(registration=dulcinea)
    again.refresh_from_db()
    assert (again.name, again.erased_at) == (NAME, None)
    signup.cancel(registration=again)
    third = sign_up(week, NAME, email=EMAIL)
    erasure.erase(registration=third)
    assert traces(*TRACES) == []


@pytest.mark.once
def test_erased_registration_cannot_be_restored(week, dulcinea):
    erasure.erase(registration=dulcinea)
    assert signup.restore(registration=dulcinea) is False
    assert Registration.objects.active().count() == 0


@pytest.mark.once
def test_link_is_revoked_at_zoom_and_then_deleted(week, zoom_account):
    Event.objects.update(zoom_mode="personal", zoom_captions=False)
    Session.objects.filter(pk__in=[each.pk for each in week.sessions.all()[1:]]).delete()
    sync.sync_meetings()
    person = sign_up(week, NAME, email=EMAIL)
    personal_links.sync_links()
    (meeting,) = zoom_account.meetings.values()
    assert [each.status for each in meeting.registrants.values()] == ["approved"]
    erasure.erase(registration=person)
    assert traces(EMAIL) == [f"{EMAIL} in registrations_personallink"]
    ZoomAccount.objects.update(resumes_at=timezone.now())
    personal_links.sync_links()
    assert [each.status for each in meeting.registrants.values()] != ["approved"]
    assert traces(EMAIL) == []


@pytest.mark.once
def test_unrevoked_link_is_deleted_when_the_session_is_over(week, dulcinea):
    session = week.sessions.first()
    PersonalLink.objects.create(
        seat=dulcinea.seats.get(session=session), meeting=session.meeting, zoom_id=1, email=EMAIL
    )
    erasure.erase(registration=dulcinea)
    erasure.erase_expired(session.ends_at - MINUTE)
    assert PersonalLink.objects.count() == 1
    erasure.erase_expired(session.ends_at)
    assert traces(*TRACES) == []


# Accounts


def account(email: str = EMAIL, *, verified: bool = True, **about: Any) -> User:
    user = User.objects.create_user(f"user of {email}", email, None, **about)
    EmailAddress.objects.create(user=user, email=email, verified=verified, primary=True)
    return user


@pytest.mark.parametrize("has_account", [True, False])
def test_unfinished_sign_in_is_deleted(week, dulcinea, has_account):
    """It has the address and the code, also after the unverified account was deleted."""
    browser, bystander = Client(), Client()
    browser.post("/accounts/login/code/", {"email": EMAIL.upper()})
    bystander.post("/accounts/login/code/", {"email": "sancho@donkey.example"})
    if not has_account:
        User.objects.filter(email__iexact=EMAIL).delete()
    assert SignIn.objects.count() == 2
    erasure.erase(registration=dulcinea)
    assert SignIn.objects.get().session_key == bystander.session.session_key
    answer = browser.post("/accounts/login/code/confirm/", {"code": "AAAA-BBBB"}, follow=True)
    assert answer.redirect_chain == [("/accounts/login/code/", 302)]


def test_account_of_a_lookalike_domain_is_kept(week):
    """PostgreSQL compares them as equal if the case is ignored."""
    lookalikes = [account("maria@gıthub.com"), account("maria@github.com")]
    erasure.erase(registration=sign_up(week, "Maria M", email="maria@gıthub.com"))
    assert list(User.objects.filter(pk__in=[user.pk for user in lookalikes])) == lookalikes[1:]


@pytest.mark.once
@pytest.mark.parametrize("kind", ["account", "test"])
def test_account_is_deleted_with_its_sign_ins_and_messages(week, dulcinea, kind):
    user = account()
    browser = Client()
    browser.force_login(user)
    session = browser.session
    session["authentication"] = EMAIL
    session.save()
    bystander = Client()
    bystander.force_login(account("sancho@donkey.example"))
    stored_messages.queue(
        kind=MailKind(kind),
        recipient=EMAIL,
        subject="Your code",
        text="code-987",
        valid_for=dt.timedelta(hours=1),
    )
    mail = OutgoingMail.objects.get(kind=kind)
    assert downloaded(dulcinea)["accounts"][0]["addresses"] == [
        {"email": EMAIL, "verified": True, "primary": True}
    ]
    assert browser.post(erase_page(dulcinea)).status_code == 200
    assert traces(*TRACES, "code-987") == []
    mail.refresh_from_db()
    assert mail.state == "dropped"
    assert User.objects.count() == SignIn.objects.count() == 1


def full_mailbox_email(week: Event, email: str) -> OutgoingMail:
    """The email to a mailbox that has six people, about a seventh."""
    mailbox_full.queue(registrations=[Registration(event=week, name="Dulcinea II", email=email)])
    return OutgoingMail.objects.filter(kind="mailbox_full").latest("pk")


@pytest.mark.parametrize("about", [None, {}, {"is_staff": True}])
@pytest.mark.parametrize("email", [EMAIL, f" {EMAIL.upper()}"])
def test_email_about_a_full_mailbox_is_deleted(week, dulcinea, about, email):
    if about is not None:
        account(**about)
    mail = full_mailbox_email(week, email)
    erasure.erase(registration=dulcinea)
    mail.refresh_from_db()
    assert (mail.state, mail.message) == ("dropped", None)


@pytest.mark.once
def test_stored_emails_stay_while_others_are_registered_with_the_address(week, dulcinea):
    sancho = sign_up(week, "Sancho", email=EMAIL)
    mails = [full_mailbox_email(week, EMAIL), full_mailbox_email(week, "sancho@donkey.example")]
    erasure.erase(registration=dulcinea)
    assert OutgoingMail.objects.exclude(message=None).count() == 2
    erasure.erase(registration=sancho)
    assert list(OutgoingMail.objects.exclude(message=None)) == mails[1:]


@pytest.mark.once
def test_organizer_who_is_erased_can_still_sign_in(week, dulcinea):
    account(is_staff=True)
    Client().post("/accounts/login/code/", {"email": EMAIL})
    erasure.erase(registration=dulcinea)
    assert OutgoingMail.objects.get(kind="account").state == "waiting"


@pytest.mark.once
@pytest.mark.parametrize("about", [{"is_staff": True}, {"is_superuser": True, "is_staff": True}])
def test_organizers_account_is_kept(week, dulcinea, about):
    account(**about)
    erasure.erase(registration=dulcinea)
    assert User.objects.count() == EmailAddress.objects.count() == 1


@pytest.mark.once
@pytest.mark.parametrize("email", [EMAIL, "other@windmill.example"])
def test_account_is_kept_while_one_of_its_addresses_is_registered(week, dulcinea, email):
    user = account()
    EmailAddress.objects.get_or_create(user=user, email=email, defaults={"verified": True})
    other = Event.objects.create(name="Other week", slug="other", host="Us")
    elsewhere = sign_up(other, NAME, email=email.upper())
    erasure.erase(registration=dulcinea)
    assert User.objects.count() == 1
    erasure.erase(registration=elsewhere)
    assert User.objects.count() == 0


@pytest.mark.once
def test_account_with_the_unverified_address_is_not_exported_or_deleted(week, dulcinea):
    user = account("sancho@donkey.example")
    EmailAddress.objects.create(user=user, email=EMAIL, verified=False)
    assert downloaded(dulcinea)["accounts"] == []
    erasure.erase(registration=dulcinea)
    assert list(EmailAddress.objects.filter(user=user).values_list("email", flat=True)) == [
        "sancho@donkey.example"
    ]
    assert traces(*TRACES) == []
