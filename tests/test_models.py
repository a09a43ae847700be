"""Rules that database constraints and model validation enforce."""

import datetime as dt
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import override

import registrations.urls
from events.models import (
    RESERVED_SLUGS,
    AgendaItem,
    Event,
    Meeting,
    Session,
    SiteSettings,
    Speaker,
    Track,
)
from registrations.models import AccessNeed, Answer, OutgoingMail, Question, Registration, Seat
from strategyweek.urls import urlpatterns
from tests.people import sign_up

pytestmark = pytest.mark.django_db


@pytest.fixture
def event() -> Event:
    return Event.objects.create(name="Week", slug="week", host="Us", summary="S")


def session(event: Event, **changes) -> Session:
    starts = timezone.now()
    values = {"title": "T", "slug": "t", "starts_at": starts, "ends_at": starts + dt.timedelta(1)}
    return Session(event=event, **{**values, **changes})


def violates(name: str, *columns: str):
    """PostgreSQL reports the name of a constraint, SQLite the columns of a unique constraint."""
    return pytest.raises(IntegrityError, match="|".join([name, ", ".join(columns) or name]))


def test_session_must_end_after_it_starts(event):
    now = timezone.now()
    with violates("session_ends_after_it_starts"), transaction.atomic():
        session(event, starts_at=now, ends_at=now).save()


def test_session_slug_is_unique_in_an_event(event):
    session(event).save()
    with (
        violates("session_slug_once_per_event", "events_session.event_id", "events_session.slug"),
        transaction.atomic(),
    ):
        session(event).save()


def test_registration_must_close_after_it_opens(event):
    event.registration_opens_at = event.registration_closes_at = timezone.now()
    with violates("event_registration_closes_after_it_opens"), transaction.atomic():
        event.save()


def test_site_has_one_row_of_settings():
    SiteSettings.objects.create(pk=1)
    with violates("site_has_one_settings_row"), transaction.atomic():
        SiteSettings.objects.create(pk=2)


def test_published_event_has_a_contact(event):
    event.status = Event.Status.PUBLISHED
    with violates("published_event_has_a_contact"), transaction.atomic():
        event.save()
    event.contact_email = "week@example.org"
    event.save()


@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.parametrize("model", [Track, Speaker])
def test_track_and_speaker_names_are_unique_in_an_event(event, model, language):
    with override(language):
        model.objects.create(event=event, name="N")
        table = model._meta.db_table
        name = f"name_{language}"
        names = (f"{name}_once_per_event", f"{table}.event_id", f"{table}.{name}")
        with violates(*names), transaction.atomic():
            model.objects.create(event=event, name="N")


@pytest.fixture
def alice(week: Event) -> Registration:
    return sign_up(week)


def test_only_waiting_seats_have_waiting_since(alice):
    name = "seat_has_waiting_since_iff_waiting"
    with violates(name), transaction.atomic():
        alice.seats.update(state=Seat.State.WAITING)
    with violates(name), transaction.atomic():
        alice.seats.update(waiting_since=timezone.now())


def test_erased_registration_is_canceled_and_has_no_name(alice):
    name = "registration_erased_is_canceled_and_blank"
    now = timezone.now()
    nobody = {"name": "", "email": "", "organization": "", "us_state": ""}
    nobody |= dict.fromkeys(["search_key", "organization_search_key", "name_key", "zoom_email"], "")
    people = Registration.objects.filter(pk=alice.pk)
    named = [{**nobody, "canceled_at": now, field: "a"} for field in nobody]
    refused: list[dict[str, Any]] = [{"canceled_at": now}, nobody, *named]
    for changes in refused:
        with violates(name), transaction.atomic():
            people.update(erased_at=now, **changes)
    people.update(erased_at=now, canceled_at=now, **nobody)


def test_access_need_is_unique_for_a_seat_and_kind(alice):
    about = {"seat": alice.seats.first(), "kind": "other"}
    AccessNeed.objects.create(**about)
    table = AccessNeed._meta.db_table
    names = ("one_access_need_per_seat_and_kind", f"{table}.seat_id", f"{table}.kind")
    with violates(*names), transaction.atomic():
        AccessNeed.objects.create(**about)


@pytest.mark.parametrize(
    ("state", "arranged", "confirmed", "is_valid"),
    [
        ("requested", False, False, True),
        ("requested", True, False, False),
        ("arranged", True, False, True),
        ("arranged", False, False, False),
        ("arranged", True, True, False),
        ("confirmed", True, True, True),
        ("confirmed", False, True, False),
        ("confirmed", True, False, False),
    ],
)
def test_access_need_has_the_times_of_its_state(alice, state, arranged, confirmed, is_valid):
    now = timezone.now()
    need = AccessNeed(
        seat=alice.seats.first(),
        kind="asl",
        state=state,
        arranged_at=now if arranged else None,
        confirmed_at=now if confirmed else None,
    )
    if is_valid:
        need.save()
        return
    with violates("access_need_times_match_its_state"), transaction.atomic():
        need.save()


def test_answer_is_unique_for_a_question_and_registration(alice):
    question = Question.objects.create(event=alice.event, text="How did you hear of us?")
    Answer.objects.create(registration=alice, question=question, value="A friend")
    table = Answer._meta.db_table
    columns = (f"{table}.registration_id", f"{table}.question_id")
    with violates("one_answer_per_registration_and_question", *columns), transaction.atomic():
        Answer.objects.create(registration=alice, question=question, value="A poster")


def test_mail_has_a_registration_or_a_message(alice):
    for changes in (
        {"kind": "account", "registration": alice},
        {"kind": "test", "registration": alice},
        {"kind": "links"},
        {"kind": "links", "registration": alice, "message": {"recipient": "o@example.org"}},
    ):
        with violates("mail_has_a_registration_or_a_message"), transaction.atomic():
            OutgoingMail.objects.create(key="k", **changes)


@pytest.mark.parametrize("slug", sorted(RESERVED_SLUGS))
def test_event_slug_cannot_be_reserved(event, slug):
    event.slug = slug
    with pytest.raises(ValidationError, match="The site uses this address itself"):
        event.full_clean()


def test_every_url_prefix_of_the_site_is_reserved():
    patterns: list[Any] = [*urlpatterns, *registrations.urls.urlpatterns]
    prefixes = {str(each.pattern).split("/")[0] for each in patterns}
    assert {prefix for prefix in prefixes if prefix[:1] not in ("", "<")} <= RESERVED_SLUGS


def test_event_time_zone_must_exist(event):
    event.time_zone = "Mars/Olympus"
    with pytest.raises(ValidationError) as error:
        event.full_clean()
    assert list(error.value.message_dict) == ["time_zone"]


def test_session_rejects_a_track_of_another_event(event):
    other = Event.objects.create(name="Other", slug="other", host="They")
    foreign = Track.objects.create(event=other, name="Theirs")
    with pytest.raises(ValidationError) as error:
        session(event, track=foreign).full_clean()
    assert error.value.message_dict == {"track": ["This strategy belongs to another event."]}


@pytest.mark.parametrize(
    "url", ["http://zoom.us/j/1", "javascript:alert(1)", "zoom.us/j/1", "ftp://x"]
)
def test_meeting_accepts_only_https_links(event, url):
    with pytest.raises(ValidationError) as error:
        Meeting(session=session(event), join_url=url).clean_fields(exclude=["session"])
    assert list(error.value.message_dict) == ["join_url"]


@pytest.mark.parametrize(
    ("passcode", "phone_passcode", "keyed"),
    [("123456", "", "123456"), ("aB3", "4711", "4711"), ("aB3", "", ""), ("", "", "")],
)
def test_phones_dial_a_passcode_of_digits_only(passcode, phone_passcode, keyed):
    meeting = Meeting(passcode=passcode, phone_passcode=phone_passcode, dial_in="+1 669 900 6833")
    assert meeting.keyed_passcode == keyed
    assert meeting.lacks_keyed_passcode == bool(passcode and not keyed)


@pytest.mark.parametrize("passcode", ["12 34", "12a4", "#1", "١٢"])
def test_passcode_for_phones_takes_digits_only(event, passcode):
    meeting = Meeting(session=session(event), phone_passcode=passcode)
    with pytest.raises(ValidationError, match="Enter digits only"):
        meeting.clean_fields(exclude=["session"])


@pytest.mark.parametrize("number", ["12345", "Ask Maria", "+1 000 000 0000", "911", "call 6"])
def test_contact_phone_that_is_no_phone_number_is_rejected(event, number):
    event.contact_phone = number
    with pytest.raises(ValidationError, match="This isn't a phone number"):
        event.clean_fields()


def test_agenda_times_follow_from_the_sessions_start(event):
    talk = session(event)
    talk.save()
    for position, minutes in enumerate((10, 30, 5)):
        AgendaItem.objects.create(session=talk, position=position, minutes=minutes, title="A")
    offsets = [(begins - talk.starts_at).seconds // 60 for begins, _item in talk.timed_agenda()]
    assert offsets == [0, 10, 40]
    talk.starts_at += dt.timedelta(days=1)
    assert talk.timed_agenda()[0][0] == talk.starts_at


def test_new_agenda_item_goes_to_the_end(week, opening):
    AgendaItem.objects.create(session=opening, title="One more")
    assert opening.agenda.last().title == "One more"
