"""The Strategy Week that ships with the product, and the command that loads it."""

import datetime as dt
import zoneinfo
from io import StringIO
from typing import Any

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.db import IntegrityError, models

from events.load_week import WEEK, default_start, load_strategy_week, unfinished_week
from events.models import AgendaItem, Event, Meeting, Session, Speaker, Track

pytestmark = pytest.mark.django_db

LOS_ANGELES = zoneinfo.ZoneInfo("America/Los_Angeles")
OCTOBER = dt.date(2021, 10, 16)
NOVEMBER = dt.date(2021, 11, 6)
MODELS: list[type[models.Model]] = [
    Event,
    Track,
    Speaker,
    Session,
    AgendaItem,
    AgendaItem.speakers.through,
    Session.hosts.through,
    Meeting,
]


def all_rows() -> dict[str, list[dict[str, Any]]]:
    """Every row of the week's models, with every column."""
    return {
        model.__name__: list(model._default_manager.order_by("pk").values()) for model in MODELS
    }


def local_times(event: Event) -> list[tuple[str, str, str, str, str]]:
    rows = []
    for session in event.sessions.all():
        starts = session.starts_at.astimezone(LOS_ANGELES)
        ends = session.ends_at.astimezone(LOS_ANGELES)
        assert starts.date() == ends.date()
        rows.append(
            (session.slug, f"{starts:%a}", f"{starts:%Y-%m-%d}", f"{starts:%H:%M}", f"{ends:%H:%M}")
        )
    return rows


def utc(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def load(*arguments: str) -> str:
    out = StringIO()
    call_command("load_strategy_week", *arguments, stdout=out)
    return out.getvalue()


# Content


def test_week_has_the_coalitions_dates_and_times() -> None:
    event, created = load_strategy_week(starting=OCTOBER)
    assert created is True
    assert local_times(event) == [
        ("opening", "Sat", "2021-10-16", "09:00", "13:00"),
        ("legislation", "Mon", "2021-10-18", "18:00", "20:00"),
        ("commutations", "Tue", "2021-10-19", "18:00", "20:00"),
        ("resentencing", "Wed", "2021-10-20", "18:00", "20:00"),
        ("das", "Thu", "2021-10-21", "18:00", "20:00"),
        ("closing", "Sat", "2021-10-23", "09:00", "12:00"),
    ]


def test_week_has_the_coalitions_titles_kinds_and_strategies() -> None:
    event = load_strategy_week(starting=OCTOBER).event
    assert list(event.sessions.values_list("kind", "track__name", "title")) == [
        (
            "kickoff",
            None,
            "Opening session: ways to reduce and end LWOP, opportunities and obstacles, "
            "efforts throughout the country",
        ),
        ("strategy", "Legislation", "Legislation and Policy (discussion and brainstorming)"),
        ("strategy", "Commutations", "Increasing Commutations (discussion and brainstorming)"),
        ("strategy", "Resentencing", "Resentencing (discussion and brainstorming)"),
        (
            "strategy",
            "Influencing/Countering DAs",
            "Influencing and Countering DAs (discussion and brainstorming)",
        ),
        (
            "closing",
            None,
            "Bringing the week's ideas together: tactics, goals, coordination, "
            "how everyone can get involved",
        ),
    ]
    assert [track.name for track in event.tracks.all()] == [
        "Legislation",
        "Commutations",
        "Resentencing",
        "Influencing/Countering DAs",
    ]


def test_week_is_published_with_the_date_in_its_address() -> None:
    event = load_strategy_week(starting=OCTOBER).event
    assert event.slug == "drop-lwop-2021-10-16"
    assert event.host == "Drop LWOP Coalition"
    assert event.time_zone == "America/Los_Angeles"
    # The address that our emails come from.
    assert event.contact_email == "week@example.org"
    assert event.status == Event.Status.PUBLISHED
    assert event.sessions.published().count() == 6


def test_week_of_a_site_without_a_sender_is_a_draft(settings) -> None:
    settings.DEFAULT_FROM_EMAIL = ""
    said = load("--starting", "2021-10-16")
    assert said.endswith("It's a draft. Enter a contact email in the admin, and publish it.\n")
    event = Event.objects.get()
    assert (event.status, event.contact_email) == (Event.Status.DRAFT, "")


def test_week_in_october_is_stored_in_utc() -> None:
    event = load_strategy_week(starting=OCTOBER).event
    opening = event.sessions.get(slug="opening")
    legislation = event.sessions.get(slug="legislation")
    assert (opening.starts_at, opening.ends_at) == (
        utc("2021-10-16T16:00"),
        utc("2021-10-16T20:00"),
    )
    assert (legislation.starts_at, legislation.ends_at) == (
        utc("2021-10-19T01:00"),
        utc("2021-10-19T03:00"),
    )


def test_week_across_the_end_of_daylight_saving_keeps_its_local_times() -> None:
    event = load_strategy_week(starting=NOVEMBER).event
    assert local_times(event) == [
        ("opening", "Sat", "2021-11-06", "09:00", "13:00"),
        ("legislation", "Mon", "2021-11-08", "18:00", "20:00"),
        ("commutations", "Tue", "2021-11-09", "18:00", "20:00"),
        ("resentencing", "Wed", "2021-11-10", "18:00", "20:00"),
        ("das", "Thu", "2021-11-11", "18:00", "20:00"),
        ("closing", "Sat", "2021-11-13", "09:00", "12:00"),
    ]
    assert event.sessions.get(slug="opening").starts_at == utc("2021-11-06T16:00")
    assert event.sessions.get(slug="legislation").starts_at == utc("2021-11-09T02:00")
    assert event.sessions.get(slug="closing").ends_at == utc("2021-11-13T20:00")


def test_week_across_the_start_of_daylight_saving_keeps_its_local_times() -> None:
    event = load_strategy_week(starting=dt.date(2022, 3, 12)).event
    assert event.sessions.get(slug="opening").starts_at == utc("2022-03-12T17:00")
    assert event.sessions.get(slug="legislation").starts_at == utc("2022-03-15T01:00")


def test_agenda_fills_each_session_exactly() -> None:
    event = load_strategy_week(starting=NOVEMBER).event
    ends = {}
    for session in event.sessions.with_details():
        begins, last = session.timed_agenda()[-1]
        ends[session.slug] = begins + dt.timedelta(minutes=last.minutes)
    assert ends == {session.slug: session.ends_at for session in event.sessions.all()}
    assert len(ends) == 6


def test_week_gives_each_session_an_empty_meeting() -> None:
    event = load_strategy_week(starting=OCTOBER).event
    meetings = Meeting.objects.filter(session__event=event)
    assert (
        list(meetings.values_list("join_url", "meeting_id", "passcode", "dial_in"))
        == [("", "", "", "")] * 6
    )


def test_week_passes_the_models_validation() -> None:
    load_strategy_week(starting=OCTOBER)
    for model in MODELS:
        for row in model._default_manager.all():
            row.full_clean()


def test_week_uses_every_speaker() -> None:
    load_strategy_week(starting=OCTOBER)
    assert not Speaker.objects.filter(agenda_items=None).exists()


# Loading again


def test_week_loaded_again_changes_nothing() -> None:
    first = load_strategy_week(starting=OCTOBER)
    before = all_rows()
    assert load_strategy_week(starting=OCTOBER) == (first.event, False)
    assert all_rows() == before


def test_week_on_another_saturday_is_another_event() -> None:
    first = load_strategy_week(starting=OCTOBER).event
    next_week = load_strategy_week(starting=OCTOBER + dt.timedelta(days=7))
    assert next_week.created is True
    assert next_week.event.slug == "drop-lwop-2021-10-23"
    assert (first.sessions.count(), next_week.event.sessions.count()) == (6, 6)


def test_week_loaded_again_keeps_organizers_changes() -> None:
    event = load_strategy_week(starting=OCTOBER).event
    Event.objects.update(name="Our week", status=Event.Status.DRAFT, introduction="")
    event.sessions.filter(slug="das").update(title="Talking with DAs", slug="talking")
    opening = event.sessions.get(slug="opening")
    opening.starts_at += dt.timedelta(days=1)
    opening.ends_at += dt.timedelta(days=1)
    opening.save()
    opening.agenda.all()[2].delete()
    event.sessions.get(slug="resentencing").delete()
    event.speakers.get(name="Week hosts").delete()
    event.tracks.get(name="Commutations").delete()
    Meeting.objects.filter(session__slug="closing").update(join_url="https://zoom.us/j/1")
    before = all_rows()
    load_strategy_week(starting=OCTOBER)
    assert all_rows() == before
    assert event.sessions.count() == 5


def test_week_loaded_again_is_recognized_at_a_new_address() -> None:
    event = load_strategy_week(starting=OCTOBER).event
    Event.objects.update(slug="our-week")
    before = all_rows()
    assert load_strategy_week(starting=OCTOBER) == (event, False)
    assert all_rows() == before


def test_week_that_fails_half_way_creates_nothing() -> None:
    *sessions, closing = WEEK["sessions"]
    ends_before_it_starts = {**closing, "ends": dt.time(8)}
    with pytest.raises(IntegrityError):
        load_strategy_week(
            starting=OCTOBER, week={**WEEK, "sessions": [*sessions, ends_before_it_starts]}
        )
    assert all_rows() == {model.__name__: [] for model in MODELS}


def test_week_cannot_start_on_a_sunday() -> None:
    with pytest.raises(ValueError, match="2021-10-17 is not one"):
        load_strategy_week(starting=dt.date(2021, 10, 17))
    assert not Event.objects.exists()


# The default date


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2026-11-09T20:00", "2026-11-28"),  # a Monday in Los Angeles
        ("2026-11-11T20:00", "2026-11-28"),  # Wednesday
        ("2026-11-13T20:00", "2026-11-28"),  # Friday
        ("2026-11-14T20:00", "2026-11-28"),  # Saturday: exactly two weeks
        ("2026-11-15T07:59", "2026-11-28"),  # Sunday in UTC, Saturday still in Los Angeles
        ("2026-11-15T08:00", "2026-12-05"),  # Sunday there too: a week more
    ],
)
def test_default_start_is_a_saturday_two_weeks_away_or_more(now: str, expected: str) -> None:
    start = default_start(utc(now))
    assert start == dt.date.fromisoformat(expected)
    assert f"{start:%A}" == "Saturday"
    assert (start - utc(now).astimezone(LOS_ANGELES).date()).days >= 14


def test_unfinished_week_lasts_until_its_last_session_ends() -> None:
    event = load_strategy_week(starting=OCTOBER).event
    assert unfinished_week(utc("2021-10-01T12:00")) == event
    assert unfinished_week(utc("2021-10-23T18:59")) == event
    assert unfinished_week(utc("2021-10-23T19:00")) is None


def test_unfinished_week_may_be_renamed_a_draft_or_empty() -> None:
    event = load_strategy_week(starting=OCTOBER).event
    Event.objects.update(slug="our-week", status=Event.Status.DRAFT)
    Session.objects.all().delete()
    assert unfinished_week(utc("2021-10-01T12:00")) == event


def test_unfinished_week_of_another_host_is_ignored() -> None:
    load_strategy_week(starting=OCTOBER)
    Event.objects.update(slug="film-night", host="Someone else")
    assert unfinished_week(utc("2021-10-01T12:00")) is None


# The command


def test_command_creates_the_week_on_the_saturday_given() -> None:
    assert load("--starting", "2021-10-16") == (
        "Created Drop LWOP Strategy Week, starting on Saturday 2021-10-16, "
        "at /drop-lwop-2021-10-16/\n"
        "Its contact is week@example.org. You can change it in the admin.\n"
    )
    assert Event.objects.get().slug == "drop-lwop-2021-10-16"


def test_command_reports_an_existing_week() -> None:
    load("--starting", "2021-10-16")
    before = all_rows()
    assert load("--starting", "2021-10-16") == (
        "Drop LWOP Strategy Week already exists, at /drop-lwop-2021-10-16/. Nothing was changed.\n"
    )
    assert all_rows() == before


def test_command_without_a_date_creates_the_next_week_once_the_last_is_over() -> None:
    with time_machine.travel(utc("2026-11-14T20:00"), tick=False):
        assert "/drop-lwop-2026-11-28/" in load()
    before = all_rows()
    with time_machine.travel(utc("2026-11-23T20:00"), tick=False):
        assert load() == (
            "Drop LWOP Strategy Week already exists, at /drop-lwop-2026-11-28/. "
            "Nothing was changed.\n"
        )
    assert all_rows() == before
    with time_machine.travel(utc("2026-12-06T20:00"), tick=False):
        assert "Created" in load()
    assert Event.objects.count() == 2


def test_command_with_a_date_creates_a_second_week() -> None:
    with time_machine.travel(utc("2026-11-14T20:00"), tick=False):
        load()
        load("--starting", "2027-01-16")
    assert set(Event.objects.values_list("slug", flat=True)) == {
        "drop-lwop-2026-11-28",
        "drop-lwop-2027-01-16",
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("2021-10-17", "2021-10-17 is a Sunday. A week starts on a Saturday."),
        ("2021-02-30", "'2021-02-30' is not a date. Write it like 2021-10-16."),
        ("next Saturday", "'next Saturday' is not a date. Write it like 2021-10-16."),
        ("", "'' is not a date. Write it like 2021-10-16."),
    ],
)
def test_command_rejects_a_bad_date(text: str, message: str) -> None:
    with pytest.raises(CommandError) as error:
        load(f"--starting={text}")
    assert str(error.value) == f"Error: argument --starting: {message}"
    assert not Event.objects.exists()
