"""Registering: the registration, its seats, and the queued email."""

import datetime as dt
import re
import threading
import unicodedata

import pytest
import time_machine
from django.db import IntegrityError, connection, transaction
from django.db.models import QuerySet
from django.test import Client
from django.utils import timezone

from events.models import Event, Session
from events.schedule import cancel_session
from registrations import signup
from registrations.mail import writer
from registrations.models import OutgoingMail, Registration, Seat, email_key, email_key_or_blank
from registrations.outbox import delivery
from registrations.views.register import CSRF_PLACEHOLDER
from tests.people import filled_form, published_event, sign_up, without_token

pytestmark = pytest.mark.django_db


def post(client: Client, week: Event, **changes):
    return client.post(f"/{week.slug}/register/", filled_form(week, **changes), follow=True)


def counts() -> tuple[int, int, int]:
    return (Registration.objects.count(), Seat.objects.count(), OutgoingMail.objects.count())


def offered(client, week: Event) -> list[int]:
    """The sessions on the register page, which must all be ticked."""
    page = client.get(f"/{week.slug}/register/").content.decode()
    boxes = re.findall(r'name="sessions" value="(\d+)"( checked)?', page)
    assert all(ticked for _pk, ticked in boxes)
    return [int(pk) for pk, _ticked in boxes]


def test_register_page_offers_every_session_ticked(client, week):
    assert offered(client, week) == [session.pk for session in week.sessions.all()]


def test_cached_page_gives_each_visitor_their_own_csrf_token(week):
    tokens = set()
    for _visitor in range(2):
        visitor = Client(enforce_csrf_checks=True)
        page = visitor.get(f"/{week.slug}/register/")
        token = re.search(r'csrfmiddlewaretoken" value="(\w+)"', page.content.decode())[1]
        tokens.add(token)
        fields = filled_form(week, csrfmiddlewaretoken=token)
        assert visitor.post(f"/{week.slug}/register/", fields).status_code == 302
        assert CSRF_PLACEHOLDER not in page.content.decode()
    assert len(tokens) == 2
    assert Registration.objects.count() == 1


def test_registering_saves_what_was_entered(client, week):
    first, second = week.sessions.all()[:2]
    track = week.tracks.first()
    answer = post(
        client,
        week,
        name="  Siobhán O'Brien & Co ",
        email=" Siobhan@Example.org ",
        sessions=[first.pk, second.pk, second.pk],
        organization="Families & Friends",
        us_state="CA",
        strategies=[track.pk],
        needs=["asl"],
        time_zone="America/Chicago",
    )
    assert answer.status_code == 200
    registration = Registration.objects.get()
    assert registration.name == "Siobhán O'Brien & Co"
    assert registration.email == "Siobhan@Example.org"
    assert registration.organization == "Families & Friends"
    assert registration.us_state == "CA"
    assert registration.time_zone == "America/Chicago"
    assert list(registration.sessions.all()) == [first, second]
    assert list(registration.strategies.all()) == [track]
    assert registration.needs == ["asl"]
    mails = OutgoingMail.objects.filter(registration=registration, state="waiting")
    assert [mail.kind for mail in mails.order_by("pk")] == ["links", "schedule"]


def test_registered_page_names_the_address(client, week):
    assert "alice@example.org" in post(client, week).content.decode()


@pytest.mark.parametrize(
    ("email", "name"),
    [
        ("ALICE@example.ORG", "alice adams"),
        ("  alice@example.org ", " Alice   ADAMS"),
        ("Alice@EXAMPLE.org", "Alíce Adams"),
    ],
)
def test_registering_again_makes_no_second_registration(client, week, email, name):
    post(client, week)
    before = Registration.objects.values().get(), counts()
    post(client, week, email=email, name=name, sessions=[week.sessions.first().pk])
    assert (Registration.objects.values().get(), counts()) == before


def test_registering_again_shows_the_same_page(client, week):
    first = without_token(post(client, week))
    with time_machine.travel(timezone.now() + dt.timedelta(minutes=11)):
        assert without_token(post(client, week)) == first
    assert without_token(post(client, week)) == first


def test_registering_again_emails_the_links_at_most_once_in_ten_minutes(client, week):
    start = timezone.now()
    with time_machine.travel(start, tick=False):
        post(client, week)
    OutgoingMail.objects.update(state="sent", sent_at=start)
    for minutes, mails in [(9, 1), (11, 2), (12, 2)]:
        with time_machine.travel(start + dt.timedelta(minutes=minutes), tick=False):
            post(client, week)
        OutgoingMail.objects.update(state="sent", sent_at=start)
        assert OutgoingMail.objects.filter(kind="links").count() == mails
    assert OutgoingMail.objects.filter(kind="schedule").count() == 1


def test_registering_again_adds_no_email_while_the_first_is_waiting(client, week):
    post(client, week)
    with time_machine.travel(timezone.now() + dt.timedelta(hours=1)):
        post(client, week)
    assert sorted(OutgoingMail.objects.values_list("kind", flat=True)) == ["links", "schedule"]


def test_registering_again_after_a_failed_email_sends_another(client, week):
    post(client, week)
    OutgoingMail.objects.update(state="failed")
    post(client, week)
    assert OutgoingMail.objects.filter(state="waiting").count() == 1


def test_registering_after_canceling_is_a_new_registration(week):
    first = sign_up(week)
    signup.cancel(registration=first)
    second = sign_up(week)
    assert second.pk != first.pk
    assert second.token != first.token


def test_another_event_has_its_own_registrations(week):
    other = published_event(name="Next", slug="next")
    assert sign_up(week).pk != sign_up(other).pk


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize(
    "name",
    [
        "María José Ñúñez",
        "Nguyễn Thị Ánh",
        "Łukasz Żółć",
        "Зоя Ковальчук",
        "李小龍",
        "김민준",
        "محمد علی",
        "می\u200cخواهم",
        "नेहा शर्मा",
        "ᏣᎳᎩ",
        "‘Ōiwi Kānaka",
        "X",
    ],
)
def test_name_in_any_script_is_kept_as_typed(client, week, mailoutbox, name, form):
    typed = unicodedata.normalize(form, name)
    post(client, week, name=typed)
    registration = Registration.objects.get()
    assert registration.name == typed
    assert typed in client.get(registration.get_absolute_url()).content.decode()
    delivery.deliver_due(writer.writer_for)
    assert f"Hello {typed}," in mailoutbox[0].body


def test_email_key_has_the_ascii_form_of_the_domain():
    assert email_key("alice@Bücher.example") == email_key("alice@xn--bcher-kva.example")


@pytest.mark.parametrize("address", ["alice@example.org", "ÀLICE@example.org"])
def test_email_key_ignores_case_spaces_and_unicode_form(address):
    for form in ("NFC", "NFD"):
        typed = f" {unicodedata.normalize(form, address).upper()} "
        assert email_key(typed) == email_key(address)


@pytest.mark.parametrize(
    ("address", "lookalike"),
    [
        ("maria@faß.de", "maria@fass.de"),
        ("maria@βόλος.com", "maria@βόλοσ.com"),
        ("maria@نامه\u200cای.com", "maria@نامهای.com"),
        ("maria@gıthub.com", "maria@github.com"),
        ("straße@example.org", "strasse@example.org"),
        ("ﬁona@example.org", "fiona@example.org"),
    ],
)
def test_email_key_keeps_lookalikes_apart(address, lookalike):
    assert email_key_or_blank(address) != email_key(lookalike)


def test_address_with_a_lookalike_domain_is_another_person(client, week):
    post(client, week, email="maria@faß.de")
    post(client, week, email="maria@fass.de")
    keys = list(Registration.objects.values_list("email_key", flat=True))
    assert sorted(keys) == ["maria@fass.de", "maria@xn--fa-hia.de"]


def test_database_rejects_a_second_active_registration(week):
    alice = sign_up(week)
    with pytest.raises(IntegrityError, match=r"(?i)unique"), transaction.atomic():
        Registration.objects.create(
            event=week, name="A", email="x@y.z", email_key=alice.email_key, time_zone="UTC"
        )


def test_database_rejects_a_second_seat_in_a_session(week):
    seat = sign_up(week).seats.first()
    with pytest.raises(IntegrityError, match=r"(?i)unique"), transaction.atomic():
        Seat.objects.create(registration=seat.registration, session=seat.session)


def test_canceled_and_draft_sessions_are_not_offered(client, week):
    canceled, draft, *others = week.sessions.all()
    cancel_session(session=canceled)
    Session.objects.filter(pk=draft.pk).update(status="draft")
    assert offered(client, week) == [session.pk for session in others]


def test_sessions_that_are_over_are_not_offered(client, week):
    first, *others = week.sessions.all()
    with time_machine.travel(first.ends_at, tick=False):
        assert offered(client, week) == [session.pk for session in others]


@pytest.mark.parametrize(
    ("opens", "closes", "open_now"),
    [(None, None, True), (-1, None, True), (1, None, False), (None, 1, True), (-2, -1, False)],
)
def test_registration_opens_and_closes_by_date(client, week, opens, closes, open_now):
    now = timezone.now()
    week.registration_opens_at = opens and now + dt.timedelta(hours=opens)
    week.registration_closes_at = closes and now + dt.timedelta(hours=closes)
    week.save()
    post(client, week)
    assert Registration.objects.exists() is open_now


def test_page_says_when_registration_opens_in_all_zones_of_the_mainland(client, week):
    Event.objects.update(registration_opens_at=dt.datetime(2031, 1, 6, 18, tzinfo=dt.UTC))
    page = " ".join(client.get(f"/{week.slug}/register/").content.decode().split())
    assert (
        "<strong>Registration opens Monday, January 6:</strong> "
        "10 AM Pacific · 11 Mountain · 12 PM Central · 1 Eastern"
    ) in page


@pytest.mark.parametrize("opens_in_days", [-1, 1])
def test_event_and_register_pages_say_once_where_to_write(client, week, opens_in_days):
    opens_at = timezone.now() + dt.timedelta(days=opens_in_days)
    Event.objects.update(contact_email="week@example.org", registration_opens_at=opens_at)
    for path in (f"/{week.slug}/", f"/{week.slug}/register/"):
        assert client.get(path).content.decode().count("mailto:week") == 1


def test_answer_says_once_where_to_write(client, week):
    Event.objects.update(contact_email="week@example.org")
    assert post(client, week).content.decode().count("mailto:week") == 1


def test_states_are_in_the_order_of_their_names(client, week):
    for language, names in {
        "en": ["New Hampshire", "New Jersey", "New Mexico", "New York", "North Carolina"],
        "es": ["Nueva Jersey", "Nueva York", "Nuevo Hampshire", "Nuevo México", "Ohio", "Oklahoma"],
    }.items():
        headers = {"accept-language": language}
        page = client.get(f"/{week.slug}/register/", headers=headers).content.decode()
        states = re.findall(r'<option value="[A-Z]{2}">([^<]+)</option>', page)
        assert len(states) == 56
        first = states.index(names[0])
        assert states[first : first + len(names)] == names


def test_registration_is_closed_when_every_session_is_over(client, week):
    with time_machine.travel(week.sessions.last().ends_at, tick=False):
        answer = post(client, week)
    assert answer.context["phase"] == Event.Phase.CLOSED
    assert not Registration.objects.exists()


def test_draft_event_has_no_register_page(client, week):
    Event.objects.update(status="draft")
    assert post(client, week).status_code == 404
    assert counts() == (0, 0, 0)


def test_registering_requires_a_csrf_token(week):
    strict = Client(enforce_csrf_checks=True)
    assert post(strict, week).status_code == 403
    assert counts() == (0, 0, 0)


@pytest.mark.parametrize("others", [60, 600])
def test_registering_takes_the_same_queries_however_many_are_registered(
    client, week, others, django_assert_num_queries
):
    people = [
        Registration(event=week, name="N", email=f"{n}@x.org", email_key=f"{n}@x.org", token=n)
        for n in range(others)
    ]
    Registration.objects.bulk_create(people)
    fields = filled_form(week, strategies=[week.tracks.first().pk])
    # Event, sessions, questions, strategies; two transactions' two each; the mailbox's limit; the
    # registration and the look whether it is ours; seats and their transaction's two, strategies,
    # who gets the schedule, the time, outbox.
    with django_assert_num_queries(14):
        client.post(f"/{week.slug}/register/", fields)


@pytest.mark.django_db(transaction=True)
def test_six_simultaneous_requests_make_one_registration(week):
    """Each thread has its own database connection, and all start at once."""
    start = threading.Barrier(6)
    failures = []

    def register() -> None:
        try:
            start.wait()
            sign_up(week)
        except Exception as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=register) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert counts() == (1, 6, 1)


@pytest.mark.django_db(transaction=True)
def test_registering_while_the_earlier_one_is_canceled_succeeds(week):
    """The earlier registration may be canceled between the insert and the query after it."""
    failures = []

    def again_and_again(work) -> None:
        try:
            for _round in range(15):
                work()
        except Exception as error:
            failures.append(error)
        finally:
            connection.close()

    def cancel_all() -> None:
        for registration in Registration.objects.active():
            signup.cancel(registration=registration)

    works = [lambda: sign_up(week)] * 2 + [cancel_all] * 2
    threads = [threading.Thread(target=again_and_again, args=[work]) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert Registration.objects.active().count() <= 1


def test_person_whose_registration_was_just_canceled_gets_a_new_one(week, monkeypatch):
    first = sign_up(week)
    insert = QuerySet.bulk_create

    def canceled_after(self, objects, **options):
        created = insert(self, objects, **options)
        if self.model is Registration:
            Registration.objects.filter(pk=first.pk).update(canceled_at=timezone.now())
        return created

    monkeypatch.setattr(QuerySet, "bulk_create", canceled_after)
    second = sign_up(week)
    assert second.pk != first.pk
    assert second.seats.count() == 6
