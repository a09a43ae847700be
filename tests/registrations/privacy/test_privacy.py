"""People's own data: fetched whole, erased at once or by itself, and the numbers stay."""

import csv
import datetime as dt
import io
import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import time_machine
from allauth.account.models import EmailAddress
from django.apps import apps
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import Permission, User
from django.contrib.sessions.models import Session as SignIn
from django.db import connection
from django.db.models import Max
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django.utils.html import escape

from events.models import Event, Meeting, Session, ZoomAccount, ZoomReport
from events.zoom import sync
from events.zoom.client import Participant
from registrations import readiness, signup, tasks
from registrations.admin.csv_export import csv_of
from registrations.mail import writer
from registrations.mail.unsubscribe import unsubscribe_url
from registrations.models import (
    AccessNeed,
    Answer,
    Attendance,
    OutgoingMail,
    PersonalLink,
    Question,
    Registration,
    Seat,
    StoredMessage,
)
from registrations.outbox import delivery, mail_queue
from registrations.outbox.connection import Rejected
from registrations.privacy import erasure, export
from registrations.zoom import attendance, personal_links
from tests.people import filled_form, sign_up
from tests.registrations.admin.test_registrations import act_surely, form_of, sure_of

pytestmark = pytest.mark.django_db

DAY = dt.timedelta(days=1)
MINUTE = dt.timedelta(minutes=1)
NAME, EMAIL = "Dulcinea Quixote", "dulcinea@windmill.example"
# What of her may stand nowhere any more.
TRACES = ("quixote", "dulcinea", "windmill", "left-handed", "by the door", "registrant-7")


@pytest.fixture
def dulcinea(week) -> Registration:
    return known_to_us(week)


def known_to_us(week: Event, name: str = NAME, email: str = EMAIL) -> Registration:
    """Someone of whom there is something in every table that can hold it."""
    person = sign_up(
        week,
        name,
        email=email,
        organization="Windmill Union",
        us_state="CA",
        strategies=week.tracks.all()[:2],
        needs_asl=True,
        needs_other="a chair by the door",
        wants_doors_email=True,
    )
    seat = person.seats.first()
    seat.access_needs.update_or_create(kind="other", defaults={"words": "a chair by the door"})
    question, _new = Question.objects.get_or_create(event=week, text="Which hand?")
    Answer.objects.create(registration=person, question=question, value="left-handed")
    person.mails.create(
        key=f"day/{person.pk}",
        kind="day",
        session=seat.session,
        state="failed",
        last_error=f"550 {email} is unknown",
        provider_id=f"{email}/1",
    )
    about = {"uuid": f"u{person.pk}", "session": seat.session, "joined_at": timezone.now()}
    person_at_zoom = {"name": name, "email": email, "registrant_id": "registrant-7"}
    Attendance.objects.create(**about, participant="1", seat=seat, **person_at_zoom)
    Attendance.objects.create(**about, participant="2", name=name.upper())
    Attendance.objects.create(**about, participant="3", email=email.upper())
    Meeting.objects.filter(session=seat.session).update(zoom_id=81234567890)
    ZoomReport.objects.create(
        key=str(person.pk),
        kind="meeting.participant_joined",
        zoom_id=81234567890,
        payload={"object": {"participant": {"user_id": 1, "user_name": name, "email": email}}},
        done_at=timezone.now(),
    )
    return person


def logged(admin: User, thing: Any) -> None:
    words = json.dumps([{"changed": {"fields": ["Name"], "name": "seat", "object": str(thing)}}])
    LogEntry.objects.log_actions(admin.pk, [thing], CHANGE, words)


def traces(*words: str) -> list[str]:
    """The tables in which one of these words stands, whatever the column."""
    found = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')  # noqa: S608
            rows = " ".join(str(cell) for row in cursor.fetchall() for cell in row).casefold()
            found += [f"{word} in {table}" for word in words if word in rows]
    return found


def fetched(person: Registration) -> dict[str, Any]:
    return Client().get(f"/me/{person.token}/data.json").json()


def erase_page(person: Registration) -> str:
    return f"/me/{person.token}/erase/"


# To fetch


@pytest.mark.once
def test_file_holds_what_is_held(week, dulcinea):
    person = dulcinea
    answer = Client().get(f"/me/{person.token}/data.json")
    assert answer["Content-Type"] == "application/json"
    assert answer["Content-Disposition"] == f'attachment; filename="{week.slug}-my-data.json"'
    assert answer["Cache-Control"] == "no-store"
    data = answer.json()
    assert data["event"] == week.name
    told = data["registration"]
    assert (told["name"], told["email"], told["us_state"]) == (NAME, EMAIL, "CA")
    assert told["strategies"] == [track.name for track in week.tracks.all()[:2]]
    assert (told["needs_asl"], told["needs_other"]) == (True, "a chair by the door")
    first = data["sessions"][0]
    assert (len(data["sessions"]), first["session"]) == (6, person.seats.first().session.title)
    assert [need["words"] for need in first["access_needs"] if need["kind"] == "other"] == [
        "a chair by the door"
    ]
    assert [each["participant"] for each in first["attendance"]] == ["1"]
    assert data["answers"] == [{"question": "Which hand?", "value": "left-handed"}]
    assert [(mail["kind"], mail["state"]) for mail in data["mails"]] == [
        ("links", "waiting"),
        ("day", "failed"),
    ]
    assert data["mails"][1]["last_error"] == f"550 {EMAIL} is unknown"
    assert data["accounts"] == []


@pytest.mark.once
def test_file_holds_no_secret_and_nothing_of_our_server(week, dulcinea):
    seat = dulcinea.seats.first()
    meeting = Meeting.objects.get(session=seat.session)
    PersonalLink.objects.create(
        seat=seat,
        meeting=meeting,
        zoom_id=1,
        email=EMAIL,
        state="issued",
        registrant_id="registrant-7",
        join_url="https://zoom.example/w/1?tk=secret",
        issued_at=timezone.now(),
    )
    dulcinea.mails.filter(kind="links").update(last_error="10.0.0.7:25 refused the connection")
    text = json.dumps(fetched(dulcinea))
    assert "registrant-7" in text
    for secret in (dulcinea.token, "tk=secret", "10.0.0.7"):
        assert secret not in text


@pytest.mark.once
def test_file_holds_nobody_else(week, dulcinea):
    sign_up(week, "Sancho Panza", organization="Donkey Riders")
    text = json.dumps(fetched(dulcinea))
    assert [word for word in ("Sancho", "sancho", "Donkey") if word in text] == []


@pytest.mark.once
def test_every_field_about_a_person_is_in_the_file_or_left_out_for_a_reason():
    about: set[Any] = {Registration}
    while (
        grown := {
            model
            for model in apps.get_models()
            if any(field.related_model in about for field in model._meta.concrete_fields)
        }
        - about
    ):
        about |= grown
    installed = [label for label in export.EXPORTED if label.split(".")[0] in apps.app_configs]
    for model in about | set(map(apps.get_model, installed)):
        label, meta = model._meta.label_lower, model._meta
        fields = {field.name for field in (*meta.concrete_fields, *meta.many_to_many)}
        held, left_out = set(export.EXPORTED[label]), set(export.LEFT_OUT[label])
        assert (label, held & left_out) == (label, set())
        assert (label, held | left_out | {"id"}) == (label, fields | {"id"})


@pytest.mark.once
@pytest.mark.parametrize("standing", ["pending", "canceled"])
def test_who_waits_or_has_canceled_can_fetch_and_erase(week, dulcinea, standing):
    if standing == "pending":
        Registration.objects.update(approval="pending")
    else:
        signup.cancel(registration=dulcinea)
    assert fetched(dulcinea)["registration"]["name"] == NAME
    assert Client().get(erase_page(dulcinea)).status_code == 200
    assert Client().post(erase_page(dulcinea)).status_code == 200
    assert Registration.objects.get().erased_at


@pytest.mark.once
def test_declined_person_has_no_file(week, dulcinea):
    Registration.objects.update(approval="declined", decided_at=timezone.now())
    for page in ("data.json", "erase/"):
        assert Client().get(f"/me/{dulcinea.token}/{page}").status_code == 404
    assert Client().post(erase_page(dulcinea)).status_code == 404
    assert Registration.objects.get().name == NAME


# To erase


def test_nothing_is_left_of_someone_erased(week, dulcinea, admin_user):
    need = dulcinea.seats.last().access_needs.get(kind="other")
    presence = Attendance.objects.get(participant="1")
    for thing in (dulcinea, dulcinea.seats.first(), presence, Answer.objects.get(), need):
        logged(admin_user, thing)
    need.delete()
    assert {trace.partition(" in ")[0] for trace in traces(*TRACES)} == set(TRACES)
    assert Client().post(erase_page(dulcinea)).status_code == 200
    assert traces(*TRACES, dulcinea.token.casefold()) == []
    assert Counter(LogEntry.objects.values_list("object_repr", flat=True)) == {"Erased": 5}


@pytest.mark.once
def test_somebody_else_keeps_everything(week, dulcinea):
    sancho = known_to_us(week, "Sancho Panza", "sancho@donkey.example")
    before = fetched(sancho)
    erasure.erase(registration=dulcinea)
    assert {**fetched(sancho), "fetched_at": 0} == {**before, "fetched_at": 0}
    assert Attendance.objects.filter(email__iexact=sancho.email).count() == 2


@pytest.mark.once
def test_numbers_stay(week, dulcinea):
    ids = set(dulcinea.mails.values_list("pk", "kind", "created_at"))
    places = dulcinea.seats.count()
    erasure.erase(registration=dulcinea)
    person = Registration.objects.get()
    assert set(person.mails.values_list("pk", "kind", "created_at")) == ids
    assert dict(person.mails.values_list("kind", "state")) == {"links": "dropped", "day": "failed"}
    assert (person.seats.count(), person.created_at) == (places, dulcinea.created_at)
    assert Attendance.objects.filter(seat__registration=person).count() == 1
    assert AccessNeed.objects.count() == Answer.objects.count() == 0


def board(event: Event) -> dict[int, readiness.Tally]:
    return readiness.Board(event, timezone.now()).tallies()


@pytest.mark.once
@pytest.mark.parametrize("mode", ["pasted", "personal"])
def test_board_of_a_week_that_is_over_counts_the_erased(week, dulcinea, mode):
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
    dulcinea.seats.filter(session__slug="opening").update(attended=True, opened_at=timezone.now())
    with time_machine.travel(timezone.now() + 60 * DAY, tick=False):
        before = board(week)
        assert sum(tally.attended for tally in before.values()) == 1
        erasure.erase(registration=dulcinea)
        assert board(week) == before
        assert readiness.Board(week, timezone.now()).people(words="quixote") == []
        assert "" not in {each.name for each in readiness.Board(week, timezone.now()).people()}
    assert traces(*TRACES) == []


@pytest.mark.once
def test_place_goes_to_the_next_in_line(week, dulcinea):
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
def test_mail_that_waits_is_not_sent(week, dulcinea, mailoutbox):
    erasure.erase(registration=dulcinea)
    delivery.deliver_due(writer.writer_for)
    assert mailoutbox == []
    assert not OutgoingMail.objects.filter(state="waiting").exists()


@pytest.mark.once
def test_what_a_server_says_late_is_not_kept(week, dulcinea):
    (claimed,) = mail_queue.claim()
    erasure.erase(registration=dulcinea)
    delivery.record_outcome(claimed, Rejected(f"550 {EMAIL} is unknown", permanent=True))
    assert traces(*TRACES) == []
    # A provider reports by the mail itself.
    OutgoingMail.objects.update(last_error=f"bounced: {EMAIL}", provider_id=EMAIL)
    erasure.erase_expired()
    assert traces(*TRACES) == []


@pytest.mark.once
def test_what_zoom_says_late_is_not_kept(week, monkeypatch):
    session = week.sessions.first()
    Meeting.objects.filter(session=session).update(zoom_id=81234567890, state="made")
    joined = session.starts_at
    heard = Participant(
        registrant_id="", user_id="1", name=NAME, email=EMAIL, joined_at=joined, left_at=None
    )
    attendance.take_participants(session, "uuid", [heard])
    person = sign_up(week, NAME, email=EMAIL)
    erasure.erase(registration=person)
    left = joined + 90 * MINUTE
    # The report that they left, and Zoom's own list.
    attendance.take_participants(session, "uuid", [heard._replace(joined_at=None, left_at=left)])
    listed = heard._replace(user_id="", joined_at=joined + dt.timedelta(seconds=2), left_at=left)
    other = listed._replace(name="Sancho Panza", email="", joined_at=joined + MINUTE)
    monkeypatch.setattr(sync, "past_participants", lambda meeting: [listed, other])
    attendance.complete(Session.objects.get(pk=session.pk))
    assert traces("quixote", EMAIL) == []
    assert list(Attendance.objects.order_by("pk").values_list("name", "left_at")) == [
        ("", left),
        ("Sancho Panza", left),
    ]


@pytest.mark.once
def test_every_link_ends_as_one_that_never_was(week, dulcinea):
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
def test_erased_a_second_time_is_a_clear_page_and_nothing_doubled(week, dulcinea):
    first, second = (Client().post(erase_page(dulcinea)) for _tab in range(2))
    assert (first.status_code, second.status_code) == (200, 404)
    assert b"Your data is erased" in first.content
    assert b"If you have just pressed the button, it is done" in second.content
    person = Registration.objects.get()
    assert erasure.erase(registration=dulcinea) is False
    assert Registration.objects.get().erased_at == person.erased_at
    never = Client().post(f"/me/{'x' * 32}/erase/")
    assert (never.status_code, never.content) == (404, second.content)


@pytest.mark.django_db(transaction=True)
def test_two_clicks_at_the_same_moment_erase_once(week):
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
def test_looking_at_the_page_erases_nothing_and_a_forged_form_neither(week, dulcinea):
    page = Client().get(erase_page(dulcinea))
    assert b"There is no way back" in page.content
    assert Client(enforce_csrf_checks=True).post(erase_page(dulcinea)).status_code == 403
    assert Registration.objects.get().erased_at is None


def test_registering_anew_with_the_same_address_works(week, dulcinea):
    erasure.erase(registration=dulcinea)
    Client().post(f"/{week.slug}/register/", filled_form(week, email=EMAIL, name=NAME))
    again = Registration.objects.active().get()
    assert (again.name, again.email, again.seats.count()) == (NAME, EMAIL, 6)
    erasure.erase(registration=again)
    assert Registration.objects.exclude(erased_at=None).count() == 2
    assert traces(*TRACES) == []


@pytest.mark.once
def test_earlier_registration_of_theirs_goes_too_and_a_later_one_stays(week, dulcinea):
    signup.cancel(registration=dulcinea)
    anew = sign_up(week, NAME, email=EMAIL)
    erasure.erase(registration=dulcinea)
    anew.refresh_from_db()
    assert (anew.name, anew.erased_at) == (NAME, None)
    signup.cancel(registration=anew)
    third = sign_up(week, NAME, email=EMAIL)
    erasure.erase(registration=third)
    assert traces(*TRACES) == []


@pytest.mark.once
def test_nobody_comes_back_after_it(week, dulcinea):
    erasure.erase(registration=dulcinea)
    assert signup.restore(registration=dulcinea) is False
    assert Registration.objects.active().count() == 0


@pytest.mark.once
def test_zoom_is_told_and_then_nothing_is_kept(week, zoom_account):
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
def test_link_that_zoom_was_never_told_of_goes_when_the_session_is_over(week, dulcinea):
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


@pytest.mark.once
@pytest.mark.parametrize("kind", ["account", "test"])
def test_account_of_the_address_goes_with_its_sign_ins_and_letters(week, dulcinea, kind):
    user = account()
    browser = Client()
    browser.force_login(user)
    session = browser.session
    session["authentication"] = EMAIL
    session.save()
    bystander = Client()
    bystander.force_login(account("sancho@donkey.example"))
    letter = StoredMessage.objects.create(
        recipient=EMAIL, subject="Your code", text="code-987", void_at=timezone.now()
    )
    mail = OutgoingMail.objects.create(key="letter/1", kind=kind, letter=letter)
    assert fetched(dulcinea)["accounts"][0]["addresses"] == [
        {"email": EMAIL, "verified": True, "primary": True}
    ]
    assert browser.post(erase_page(dulcinea)).status_code == 200
    assert traces(*TRACES, "code-987") == []
    mail.refresh_from_db()
    assert mail.state == "dropped"
    assert User.objects.count() == SignIn.objects.count() == 1


@pytest.mark.once
@pytest.mark.parametrize("about", [{"is_staff": True}, {"is_superuser": True, "is_staff": True}])
def test_account_of_an_organizer_stays(week, dulcinea, about):
    account(**about)
    erasure.erase(registration=dulcinea)
    assert User.objects.count() == EmailAddress.objects.count() == 1


@pytest.mark.once
@pytest.mark.parametrize("email", [EMAIL, "other@windmill.example"])
def test_account_stays_while_one_of_its_addresses_is_registered(week, dulcinea, email):
    user = account()
    EmailAddress.objects.get_or_create(user=user, email=email, defaults={"verified": True})
    other = Event.objects.create(name="Other week", slug="other", host="Us")
    elsewhere = sign_up(other, NAME, email=email.upper())
    erasure.erase(registration=dulcinea)
    assert User.objects.count() == 1
    erasure.erase(registration=elsewhere)
    assert User.objects.count() == 0


@pytest.mark.once
def test_someone_who_only_claims_the_address_is_not_shown_nor_deleted(week, dulcinea):
    user = account("sancho@donkey.example")
    EmailAddress.objects.create(user=user, email=EMAIL, verified=False)
    assert fetched(dulcinea)["accounts"] == []
    erasure.erase(registration=dulcinea)
    assert list(EmailAddress.objects.filter(user=user).values_list("email", flat=True)) == [
        "sancho@donkey.example"
    ]
    assert traces(*TRACES) == []


# By itself


def end_of(event: Event) -> dt.datetime:
    return event.sessions.aggregate(at=Max("ends_at"))["at"]


def erased() -> set[str]:
    return set(Registration.objects.exclude(erased_at=None).values_list("event__slug", flat=True))


@pytest.fixture
def small(week) -> Event:
    """Another week, of one session that ends half a year later."""
    event = Event.objects.create(name="Small", slug="small", host="Us", erase_after_days=7)
    starts_at = end_of(week) + 180 * DAY
    event.sessions.create(
        title="One", slug="one", starts_at=starts_at, ends_at=starts_at + 60 * MINUTE
    )
    return event


@pytest.mark.once
def test_each_event_is_erased_at_its_moment(week, small):
    empty = Event.objects.create(name="Empty", slug="empty", host="Us")
    for event in (week, small, empty):
        sign_up(event, sessions=[])
    moments = [
        (end_of(week) + 90 * DAY - MINUTE, set()),
        (end_of(week) + 90 * DAY, {week.slug}),
        (end_of(small) + 7 * DAY - MINUTE, {week.slug}),
        (end_of(small) + 7 * DAY, {week.slug, "small"}),
        (end_of(small) + 3000 * DAY, {week.slug, "small"}),
    ]
    for moment, expected in moments:
        assert erasure.erase_expired(moment) is False
        assert (moment, erased()) == (moment, expected)


@pytest.mark.once
def test_more_days_postpone_it(week, dulcinea):
    due = end_of(week) + 90 * DAY
    Event.objects.update(erase_after_days=91)
    erasure.erase_expired(due)
    assert erased() == set()
    erasure.erase_expired(due + DAY)
    assert erased() == {week.slug}


def test_event_that_was_over_long_before_leaves_time_to_look(week, dulcinea):
    long_ago = dt.timedelta(days=400)
    for session in week.sessions.all():
        session.starts_at, session.ends_at = (
            session.starts_at - long_ago,
            session.ends_at - long_ago,
        )
        session.save()
    floor = Event.objects.get(pk=week.pk).erase_not_before
    erasure.erase_expired(floor - dt.timedelta(seconds=1))
    assert erased() == set()
    erasure.erase_expired(floor)
    assert erased() == {week.slug}


def test_changing_the_number_of_days_leaves_a_week_to_look(admin_client, week):
    page = f"/admin/events/event/{week.pk}/change/"
    form = form_of(admin_client, page)
    with time_machine.travel("2030-01-01", tick=False):
        admin_client.force_login(User.objects.get(is_superuser=True))
        answer = admin_client.post(page, {**form, "erase_after_days": "7"})
        assert answer.status_code == 302, answer.context["errors"]
        week.refresh_from_db()
        assert week.erase_not_before == timezone.now() + 7 * DAY


def test_everyone_of_the_event_goes_and_a_second_time_changes_nothing(week, dulcinea, admin_user):
    logged(admin_user, dulcinea)
    gone, declined = sign_up(week, "Ana Quixote"), sign_up(week, "Eva Quixote")
    signup.cancel(registration=gone)
    signup.decline(registrations=[declined])
    # Nobody knows who it was.
    Attendance.objects.create(
        session=week.sessions.first(), uuid="x", participant="9", name="Maria Windmill"
    )
    now = end_of(week) + 90 * DAY
    erasure.erase_expired(now)
    assert Registration.objects.filter(erased_at=None).count() == 0
    assert traces(*TRACES) == []
    assert (Seat.objects.count(), Attendance.objects.count()) == (18, 4)
    before = list(Registration.objects.order_by("pk").values())
    assert erasure.erase_expired(now + DAY) is False
    assert list(Registration.objects.order_by("pk").values()) == before


@pytest.mark.once
def test_a_turn_erases_so_many_and_the_next_goes_on(week):
    for number in range(3):
        sign_up(week, f"P{number} Quixote", sessions=[])
    now = end_of(week) + 90 * DAY
    assert erasure.erase_expired(now, limit=2) is True
    assert Registration.objects.exclude(erased_at=None).count() == 2
    assert erasure.erase_expired(now, limit=2) is False
    assert traces("quixote") == []


@pytest.mark.once
def test_log_of_what_is_gone_is_looked_through_once_a_turn(week, admin_user):
    people = [
        known_to_us(week, f"P{number} Quixote", f"p{number}@windmill.example") for number in "12"
    ]
    for person in people:
        logged(admin_user, Answer.objects.get(registration=person))
    with CaptureQueriesContext(connection) as asked:
        erasure.erase_expired(end_of(week) + 90 * DAY)
    looks = [
        each for each in asked if "django_admin_log" in each["sql"] and "EXISTS" in each["sql"]
    ]
    assert len(looks) == len((Answer, AccessNeed, Seat))
    assert traces(*TRACES) == []


@pytest.mark.once
def test_what_fails_for_one_stops_no_other(week, monkeypatch):
    first, second = sign_up(week, "Ana Quixote"), sign_up(week, "Eva Quixote")
    forget = erasure._anonymize

    def fail_for_first(person: Registration) -> None:
        if person == first:
            raise ValueError("odd")
        forget(person)

    monkeypatch.setattr(erasure, "_anonymize", fail_for_first)
    assert erasure.erase_expired(end_of(week) + 90 * DAY) is False
    assert list(Registration.objects.exclude(erased_at=None)) == [second]
    assert Registration.objects.active().get() == first


@pytest.mark.once
def test_beat_asks_for_it(settings, week, dulcinea):
    names = {each["task"] for each in settings.CELERY_BEAT_SCHEDULE.values()}
    assert tasks.erase_expired.name in names
    tasks.erase_expired()
    assert erased() == set()
    with time_machine.travel(end_of(week) + 90 * DAY, tick=False):
        tasks.erase_expired()
    assert erased() == {week.slug}


# For organizers

PEOPLE = "/admin/registrations/registration/"
RETENTION = f"{PEOPLE}retention/"


def act(client: Client, action: str, *people: Registration, **more: Any) -> Any:
    ids = [person.pk for person in people]
    data = {"action": action, "_selected_action": ids, "index": 0, **more}
    return client.post(PEOPLE, data, follow=True)


def test_organizer_erases_people_after_a_second_look(admin_client, week, dulcinea):
    sancho = sign_up(week, "Sancho Panza")
    asked = act(admin_client, "erase", dulcinea)
    assert "Erase the personal data of 1 person?" in asked.content.decode()
    assert erased() == set()
    sure = sure_of(asked.content.decode())
    done = act(admin_client, "erase", dulcinea, sure=sure)
    assert "The personal data of 1 person is erased." in done.content.decode()
    assert traces("quixote", EMAIL) == []
    sancho.refresh_from_db()
    assert sancho.erased_at is None
    entry = LogEntry.objects.get()
    assert (entry.object_repr, entry.get_change_message()) == ("Erased", "Erased.")
    again = act(admin_client, "erase", dulcinea, sure=sure)
    assert "They are erased already." in again.content.decode()


def test_only_those_are_erased_whom_the_page_named(admin_client, week, dulcinea):
    """With everyone chosen one leaves and another enters before the button is pressed."""
    sancho = sign_up(week, "Sancho Panza")
    everyone = {"select_across": "1"}
    sure = sure_of(act(admin_client, "erase", dulcinea, **everyone).text)
    erasure.erase(registration=sancho)
    teresa = sign_up(week, "Teresa Panza")
    again = act(admin_client, "erase", dulcinea, sure=sure, **everyone)
    assert "What you chose has changed since. Please look again." in again.text
    assert f"<li>{escape(teresa)}" in again.text
    assert set(Registration.objects.filter(erased_at=None)) == {dulcinea, teresa}
    act(admin_client, "erase", dulcinea, sure=sure_of(again.text), **everyone)
    assert not Registration.objects.filter(erased_at=None).exists()


@pytest.mark.once
def test_so_many_at_once_would_take_too_long(admin_client, week, monkeypatch):
    monkeypatch.setattr("registrations.admin.retention.AT_ONCE", 1)
    crowd = [sign_up(week, f"P{number} Quixote", sessions=[]) for number in range(2)]
    said = act(admin_client, "erase", *crowd, sure="2").content.decode()
    assert "Choose at most 1 people at once." in said
    assert erased() == set()


@pytest.mark.once
def test_declined_person_is_erased_by_an_organizer(admin_client, week, dulcinea):
    signup.decline(registrations=[dulcinea])
    dulcinea.refresh_from_db()
    act_surely(admin_client, "erase", dulcinea)
    assert traces(*TRACES) == []


@pytest.mark.once
def test_erased_people_are_shown_as_such_and_cannot_be_edited(admin_client, week, dulcinea):
    erasure.erase(registration=dulcinea)
    page = admin_client.get(f"{PEOPLE}?coming=erased").content.decode()
    assert page.count("Erased</a>") >= 2
    assert "0 registrations" in admin_client.get(f"{PEOPLE}?coming=canceled").content.decode()
    url = f"{PEOPLE}{dulcinea.pk}/change/"
    assert 'name="email"' not in admin_client.get(url).content.decode()
    assert admin_client.post(url, {"name": "X", "email": "x@example.org"}).status_code == 403
    for other in ("attendance", "outgoingmail"):
        assert admin_client.get(f"/admin/registrations/{other}/").status_code == 200
    for button in ("approve", "send_links_again", "renew_links", "cancel"):
        act(admin_client, button, dulcinea)
    assert Registration.objects.get().name == ""
    assert not OutgoingMail.objects.filter(state="waiting").exists()


@pytest.mark.once
def test_preview_says_which_event_when_and_how_many(admin_client, admin_user, week, dulcinea):
    with time_machine.travel(end_of(week) + DAY, tick=False):
        admin_client.force_login(admin_user)
        page = " ".join(admin_client.get(RETENTION).content.decode().split())
    assert "1 person" in page
    assert "are erased in" not in page
    assert "is erased in <b>89 days</b>" in page
    erasure.erase(registration=dulcinea)
    assert "Nobody's personal data is held." in admin_client.get(RETENTION).content.decode()


@pytest.mark.once
def test_first_page_warns_in_the_last_week(client, admin_user, week, dulcinea):
    due = end_of(week) + 90 * DAY
    shown = {}
    for days in (8, 7, 6):
        with time_machine.travel(due - days * DAY - MINUTE, tick=False):
            client.force_login(admin_user)
            shown[days] = "postpone it" in client.get("/admin/").content.decode()
    assert shown == {8: False, 7: False, 6: True}


@pytest.mark.once
def test_preview_and_actions_are_for_those_who_may(client, admin_client, week, dulcinea):
    viewer = User.objects.create_user("viewer", "v@example.org", "x", is_staff=True)
    client.force_login(viewer)
    assert client.get(RETENTION).status_code == 403
    viewer.user_permissions.add(Permission.objects.get(codename="view_registration"))
    assert client.get(RETENTION).status_code == 200
    sure = sure_of(act(admin_client, "erase", dulcinea).text)
    act(client, "erase", dulcinea, sure=sure)
    assert erased() == set()
    assert act(client, "export_csv", dulcinea)["Content-Type"] == "text/csv; charset=utf-8"


@pytest.mark.once
def test_days_until_then_are_the_organizers_to_choose(admin_client, week):
    assert 'name="erase_after_days"' in (
        admin_client.get(f"/admin/events/event/{week.pk}/change/").content.decode()
    )


@pytest.mark.once
def test_export_is_a_table_that_a_spreadsheet_reads(admin_client, week, dulcinea):
    evil = sign_up(week, "=HYPERLINK(1)", email="+1@example.org", sessions=[])
    many = Question.objects.create(event=week, text="-Which days?", kind="choices")
    Answer.objects.create(registration=evil, question=many, value=["@Mon", "Tue"])
    signup.cancel(registration=evil)
    gone = sign_up(week, "Erased Already")
    erasure.erase(registration=gone)
    dulcinea.seats.filter(session__slug="opening").update(attended=True)
    file = act(admin_client, "export_csv", dulcinea, evil, gone)
    assert "no-store" in file["Cache-Control"]
    text = file.content.decode()
    assert text.startswith("\ufeffName,Email,")
    first, second = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))
    assert (first["Name"], first["Email"], first["State"]) == (NAME, EMAIL, "CA")
    assert (first["Attended"], first["Which hand?"]) == (
        week.sessions.get(slug="opening").title,
        "left-handed",
    )
    assert first["Access needs"] == "ASL; a chair by the door"
    assert len(first["Sessions"].split("; ")) == 6
    assert (second["Name"], second["Email"]) == ("'=HYPERLINK(1)", "'+1@example.org")
    assert second["'-Which days?"] == "'@Mon; Tue"
    assert second["Canceled (event's time)"]


@pytest.mark.once
def test_export_takes_the_same_queries_for_1_person_as_for_3(week):
    def queries(count: int) -> int:
        ids = list(Registration.objects.values_list("pk", flat=True)[:count])
        with CaptureQueriesContext(connection) as context:
            assert len(csv_of(ids).splitlines()) == count + 1
        return len(context)

    for name in ("Ana", "Bea", "Eva"):
        known_to_us(week, f"{name} Quixote", f"{name}@example.org")
    assert queries(1) == queries(3) == 5
