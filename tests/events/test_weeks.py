"""Creating a week from a pattern, and copying one to other dates."""

import datetime as dt
import uuid
import zoneinfo
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.db import IntegrityError, connection

from events import schedule, weeks
from events.images import storage
from events.images.processing import ProcessedImage
from events.languages import columns
from events.models import AgendaItem, Event, Meeting, Revision, Session, StoredImage
from events.weeks import PlannedSession, create_week
from registrations.models import Registration
from tests.people import in_english, sign_up, with_own_words

pytestmark = pytest.mark.django_db

EASTERN = "America/New_York"
BEFORE_SPRING, BEFORE_FALL = dt.date(2027, 3, 13), dt.date(2026, 10, 31)
PICTURE = ProcessedImage(b"RIFF", 1, 1)


def local(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


def utc(text: str) -> dt.datetime:
    return local(text).replace(tzinfo=dt.UTC)


def planned(starts: str, ends: str, title: str = "Kickoff") -> PlannedSession:
    return PlannedSession({"en": title}, "kickoff", local(starts), local(ends))


def by_pattern(pattern: str, first_day: dt.date, evenings: int = 4) -> list[PlannedSession]:
    return [
        PlannedSession(
            {"en": slot.title},
            slot.kind,
            dt.datetime.combine(first_day + dt.timedelta(slot.days), slot.starts),
            dt.datetime.combine(first_day + dt.timedelta(slot.days), slot.ends),
        )
        for slot in weeks.slots(pattern, evenings)
    ]


def create(
    *sessions: PlannedSession,
    zone: str = EASTERN,
    slug: str = "next",
    key: uuid.UUID | None = None,
    **fields: Any,
) -> weeks.Draft:
    texts = in_english(name="Next", summary="All of us")
    event = Event(slug=slug, host="Us", time_zone=zone, **texts | fields)
    return create_week(event=event, sessions=sessions, draft_key=key or uuid.uuid4())


def copy(event: Event, first_day: dt.date, slug: str = "copy", **options: Any) -> Event:
    options = {"names": in_english(name="A copy"), "draft_key": uuid.uuid4(), **options}
    return weeks.copy_week(event=event, first_day=first_day, slug=slug, **options).event


def times(event: Event) -> list[str]:
    """On clocks in the event's zone."""
    return [
        f"{session.starts_at.astimezone(event.zone):%a %m-%d %H:%M}-"
        f"{session.ends_at.astimezone(event.zone):%H:%M}"
        for session in event.sessions.all()
    ]


def starts(event: Event) -> list[str]:
    return [f"{session.starts_at:%m-%d %H:%M}" for session in event.sessions.all()]


# Creating


def test_a_week_has_a_kickoff_four_evenings_and_a_closing():
    event = create(*by_pattern("week", BEFORE_SPRING)).event
    assert times(event) == [
        "Sat 03-13 09:00-13:00",
        "Mon 03-15 18:00-20:00",
        "Tue 03-16 18:00-20:00",
        "Wed 03-17 18:00-20:00",
        "Thu 03-18 18:00-20:00",
        "Sat 03-20 09:00-12:00",
    ]
    kinds = ["kickoff", *["strategy"] * 4, "closing"]
    assert [session.kind for session in event.sessions.all()] == kinds


def test_a_series_of_evenings_and_a_single_day():
    event = create(*by_pattern("evenings", BEFORE_SPRING, evenings=3)).event
    assert times(event) == [
        "Sat 03-13 18:00-20:00",
        "Sun 03-14 18:00-20:00",
        "Mon 03-15 18:00-20:00",
    ]
    event = create(*by_pattern("day", BEFORE_SPRING), slug="day").event
    assert [session.kind for session in event.sessions.all()] == ["kickoff", "strategy", "closing"]
    assert {session.starts_at.date() for session in event.sessions.all()} == {BEFORE_SPRING}


def test_a_new_week_keeps_its_clock_times_when_clocks_change():
    spring = create(*by_pattern("week", BEFORE_SPRING)).event
    assert starts(spring)[:2] == ["03-13 14:00", "03-15 22:00"]
    fall = create(*by_pattern("week", BEFORE_FALL), slug="fall").event
    assert starts(fall)[:2] == ["10-31 13:00", "11-02 23:00"]


def test_a_time_that_clocks_skip_is_an_hour_later_and_one_they_show_twice_is_the_first():
    skipped = create(planned("2027-03-14 02:30", "2027-03-14 04:30")).event
    assert times(skipped) == ["Sun 03-14 03:30-04:30"]
    twice = create(planned("2026-11-01 01:30", "2026-11-01 04:00"), slug="fall").event
    assert twice.sessions.get().starts_at == utc("2026-11-01 05:30")


def test_a_note_names_the_session_whose_time_clocks_skip_or_show_twice():
    zone = zoneinfo.ZoneInfo(EASTERN)
    assert weeks.clock_note("Kickoff", local("2027-03-14 02:30"), zone) == (
        "“Kickoff”: clocks move forward on Sunday, March 14 and skip 2:30 AM. We used 3:30 AM."
    )
    assert weeks.clock_note("Closing", local("2026-11-01 01:30"), zone) == (
        "“Closing”: clocks move back on Sunday, November 1, so 1:30 AM comes twice. We used the "
        "first one."
    )
    for ordinary in ("2027-03-14 01:59", "2027-03-14 03:00", "2026-11-01 02:00"):
        assert weeks.clock_note("Kickoff", local(ordinary), zone) == ""


def test_a_new_week_is_a_draft_and_each_session_has_its_own_address():
    same = planned("2027-03-13 09:00", "2027-03-13 10:00")
    unnamed = planned("2027-03-13 09:00", "2027-03-13 10:00", title="第一")
    event = create(same, same, unnamed, status="published", contact_email="a@example.org").event
    assert event.status == "draft"
    slugs = [session.slug for session in event.sessions.all()]
    assert slugs == ["kickoff", "kickoff-2", "session"]


def test_an_unchanged_title_is_in_all_languages():
    (slot, *_others) = weeks.slots("week", 4)
    assert weeks.titles_in_all_languages(slot) == {"en": "Kickoff", "es": "Apertura"}


def test_a_form_that_is_sent_twice_creates_one_event(week):
    session, key = planned("2027-03-13 09:00", "2027-03-13 10:00"), uuid.uuid4()
    first = create(session, key=key)
    assert create(session, key=key, slug="next-2") == (first.event, False)
    assert first.created
    first = weeks.copy_week(
        event=week, first_day=BEFORE_SPRING, names={}, slug="copy", draft_key=uuid.uuid4()
    )
    assert copy(week, BEFORE_SPRING, "copy-2", draft_key=first.event.draft_key) == first.event
    assert Event.objects.count() == 3


def test_a_taken_address_is_reported_and_other_faults_are_raised(week):
    with pytest.raises(weeks.AddressTaken):
        create(planned("2027-03-13 09:00", "2027-03-13 10:00"), slug=week.slug)
    with pytest.raises(weeks.AddressTaken):
        copy(week, BEFORE_SPRING, week.slug)
    with pytest.raises(IntegrityError):
        create(planned("2027-03-13 09:00", "2027-03-13 09:00"))
    assert Event.objects.count() == 1


def test_a_draft_key_is_used_once():
    key = uuid.uuid4()
    Event.objects.create(slug="one", draft_key=key)
    with pytest.raises(IntegrityError, match="draft_key"):
        Event.objects.create(slug="two", draft_key=key)


@pytest.mark.django_db(transaction=True)
def test_two_presses_at_the_same_moment_create_one_event():
    key, barrier = uuid.uuid4(), Barrier(2)

    def press(slug: str) -> int:
        try:
            barrier.wait()
            session = planned("2027-03-13 09:00", "2027-03-13 10:00")
            return create(session, key=key, slug=slug).event.pk
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        assert len(set(pool.map(press, ["next", "next-2"]))) == 1
    assert (Event.objects.count(), Session.objects.count()) == (1, 1)


# Copying


def test_a_copy_keeps_weekdays_and_clock_times_when_clocks_change():
    summer = create(*by_pattern("week", dt.date(2026, 8, 1)), slug="summer").event
    spring = copy(summer, BEFORE_SPRING, "spring")
    assert times(spring) == [
        "Sat 03-13 09:00-13:00",
        "Mon 03-15 18:00-20:00",
        "Tue 03-16 18:00-20:00",
        "Wed 03-17 18:00-20:00",
        "Thu 03-18 18:00-20:00",
        "Sat 03-20 09:00-12:00",
    ]
    assert starts(spring)[:2] == ["03-13 14:00", "03-15 22:00"]
    fall = copy(summer, BEFORE_FALL, "fall")
    assert starts(fall)[:2] == ["10-31 13:00", "11-02 23:00"]
    assert [each[10:] for each in times(fall)] == [each[10:] for each in times(summer)]


def test_a_copied_time_that_the_zone_skips_is_later_and_as_long():
    # In Chile clocks skip the hour after midnight.
    night = (
        planned("2027-04-10 23:00", "2027-04-10 23:30"),
        planned("2027-04-11 00:30", "2027-04-11 02:00", "Night"),
    )
    event = create(*night, zone="America/Santiago").event
    assert times(copy(event, dt.date(2027, 9, 4))) == [
        "Sat 09-04 23:00-23:30",
        "Sun 09-05 01:30-03:00",
    ]
    (_first, moved) = weeks.moved_sessions(event, dt.date(2027, 9, 4))
    assert "skip 12:30 AM. We used 1:30 AM." in weeks.clock_note("N", moved.local, event.zone)


def test_a_copied_time_that_comes_twice_is_the_first_and_as_long():
    night = create(planned("2027-06-06 01:30", "2027-06-06 03:30")).event
    session = copy(night, dt.date(2026, 11, 1)).sessions.get()
    assert session.starts_at == utc("2026-11-01 05:30")
    assert session.ends_at - session.starts_at == dt.timedelta(hours=2)


def test_registration_opens_and_closes_as_long_before_the_copy():
    event = create(
        planned("2026-08-01 09:00", "2026-08-01 10:00"),
        registration_opens_at=utc("2026-07-01 13:00"),
        registration_closes_at=utc("2026-07-31 21:00"),
    ).event
    winter = copy(event, dt.date(2026, 12, 5))
    assert winter.registration_opens_at == utc("2026-11-04 14:00")
    assert winter.registration_closes_at == utc("2026-12-04 22:00")


def test_registration_stays_open_when_clocks_skip_all_of_it():
    event = create(
        planned("2027-06-07 09:00", "2027-06-07 10:00"),
        registration_opens_at=utc("2027-06-06 06:30"),
        registration_closes_at=utc("2027-06-06 07:15"),
    ).event
    spring = copy(event, dt.date(2027, 3, 15))
    assert spring.registration_opens_at == utc("2027-03-14 07:30")
    assert spring.registration_closes_at == utc("2027-03-14 08:15")


def test_a_copy_of_a_week_without_sessions_has_no_dates(week):
    week.sessions.all().delete()
    Event.objects.update(registration_opens_at=utc("2026-07-01 13:00"))
    week.refresh_from_db()
    new = copy(week, BEFORE_SPRING)
    assert (new.registration_opens_at, new.sessions.count()) == (None, 0)


def fields_of(row: Any, *left_out: str) -> dict[str, Any]:
    """All columns, but for these, the ids, and those of texts without a language."""
    ids = {each.attname for each in row._meta.concrete_fields if each.is_relation}
    names = {each.attname for each in row._meta.concrete_fields} - ids
    texts = {name.removesuffix("_en") for name in names if name.endswith("_en")}
    return {name: getattr(row, name) for name in names - texts - {"id", *left_out}}


def test_a_copy_has_all_that_organizers_prepared(week):
    Event.objects.update(requires_approval=True, settle_minutes=25, zoom_host="z@example.org")
    with_own_words(week)
    week.sessions.update(capacity=40)
    new = copy(week, BEFORE_SPRING)
    own = ("name_en", "name_es", "slug", "status", "created_at", "draft_key", "erase_not_before")
    assert fields_of(new, *own) == fields_of(week, *own)
    for name in ("tracks", "speakers"):
        rows, copies = (list(getattr(each, name).order_by("name_en")) for each in (week, new))
        assert [fields_of(row) for row in copies] == [fields_of(row) for row in rows]
    of_session = (
        *("uid", "created_at", "updated_at", "starts_at", "ends_at"),
        *columns("cancel_reason"),
    )
    for old, session in zip(week.sessions.all(), new.sessions.all(), strict=True):
        assert fields_of(session, *of_session) == fields_of(old, *of_session)
        assert getattr(session.track, "name", "") == getattr(old.track, "name", "")
        assert session.track is None or session.track.event == new
        assert [each.name for each in session.hosts.all()] == [
            each.name for each in old.hosts.all()
        ]
        assert {each.event for each in session.hosts.all()} <= {new}
        assert agenda(session) == agenda(old)
    assert {each.event for each in speakers_of(new)} == {new}


def agenda(session: Session) -> list[Any]:
    return [
        (fields_of(item), [each.name for each in item.speakers.all()])
        for item in session.agenda.all()
    ]


def speakers_of(event: Event) -> list[Any]:
    items = AgendaItem.objects.filter(session__event=event)
    return [speaker for item in items for speaker in item.speakers.all()]


def test_a_copy_is_a_draft_without_people_meetings_recordings_or_cancellations(week, opening):
    sign_up(week)
    week.sessions.update(
        recording_url="https://zoom.us/rec/1", notes_url="https://a.example", shows_recording=True
    )
    schedule.cancel_session(session=opening, reason={"en": "Storm"})
    new = copy(week, BEFORE_SPRING)
    assert new.status == "draft"
    assert Registration.objects.filter(event=new).count() == 0
    assert Meeting.objects.filter(session__event=new).count() == 0
    assert Revision.objects.filter(session__event=new).count() == 0
    for session in new.sessions.all():
        assert (session.recording_url, session.notes_url, session.shows_recording) == (
            "",
            "",
            False,
        )
        assert (session.canceled_at, session.revision, session.revised_at) == (None, 0, None)
        assert session.cancel_reason == ""
    assert Session.objects.values("uid").distinct().count() == 12


def test_a_copy_changes_nothing_of_the_original(week):
    before = [fields_of(week), *(fields_of(each) for each in week.sessions.all())]
    copy(week, BEFORE_SPRING)
    week.refresh_from_db()
    assert [fields_of(week), *(fields_of(each) for each in week.sessions.all())] == before


def test_a_photo_is_shared_and_stays_when_the_original_gets_another(week, opening):
    host = opening.hosts.get()
    storage.replace_images(owner=host, images={"photo": PICTURE})
    storage.replace_images(owner=week, images={"poster_wide": PICTURE, "poster_phone": PICTURE})
    new = copy(week, BEFORE_SPRING)
    shared = new.speakers.get(hosted_sessions__slug=opening.slug).photo_id
    assert shared == host.photo_id
    assert (new.poster_wide_id, new.poster_phone_id) == (week.poster_wide_id, week.poster_phone_id)
    storage.replace_images(owner=host, images={"photo": None})
    assert StoredImage.objects.filter(pk=shared).exists()


def test_copies_of_a_copy_are_complete(week):
    first = copy(week, BEFORE_SPRING, "one")
    second = copy(first, BEFORE_FALL, "two")
    assert [each.title for each in second.sessions.all()] == [
        each.title for each in week.sessions.all()
    ]
    assert Event.objects.values("slug").distinct().count() == 3
