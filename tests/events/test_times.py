"""Days and times in the reader's language and time zone."""

import datetime as dt
import zoneinfo

import pytest
from django.utils import translation
from playwright.sync_api import expect

from events.models import SessionSnapshot
from events.templatetags.times import clock, day, hours, zone_name

PACIFIC = zoneinfo.ZoneInfo("America/Los_Angeles")
KICKOFF = dt.datetime(2021, 10, 16, 9, tzinfo=PACIFIC)


def snapshot(*, ends_at: dt.datetime) -> SessionSnapshot:
    return SessionSnapshot("opening", "Opening", "", KICKOFF, ends_at, True, "", "")


@pytest.mark.parametrize(
    ("language", "texts"),
    [
        ("en", ("Saturday, October 16", "9:00 AM", "9:00 AM to 1:00 PM PDT")),
        ("es", ("sábado 16 de octubre", "9:00 a.\xa0m.", "9:00 a.\xa0m. a 1:00 p.\xa0m. PDT")),
    ],
)
def test_times_are_in_the_active_language(language, texts):
    session = snapshot(ends_at=KICKOFF + dt.timedelta(hours=4))
    with translation.override(language):
        assert (day(KICKOFF, PACIFIC), clock(KICKOFF, PACIFIC), hours(session, PACIFIC)) == texts


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "9:00 AM to 1:00 AM (Sunday) PDT"),
        ("es", "9:00 a.\xa0m. a 1:00 a.\xa0m. (domingo) PDT"),
    ],
)
def test_hours_name_the_day_of_the_end_if_it_is_another(language, text):
    session = snapshot(ends_at=KICKOFF + dt.timedelta(hours=16))
    with translation.override(language):
        assert hours(session, PACIFIC) == text


def test_zone_names_are_in_the_active_language():
    with translation.override("es"):
        assert zone_name(PACIFIC) == "Pacífico (Los Ángeles)"
    assert zone_name(PACIFIC) == "Pacific (Los Angeles)"


@pytest.mark.django_db
@pytest.mark.parametrize("is_one_day", [True, False])
def test_event_page_says_in_spanish_when_the_week_is(client, week, is_one_day):
    sessions = week.sessions.order_by("starts_at")
    if is_one_day:
        week.sessions.exclude(pk=sessions.first().pk).delete()
    with translation.override("es"):
        text = client.get("/", headers={"accept-language": "es"}).content.decode()
        days = [day(each.starts_at, week.zone) for each in sessions]
    year = sessions.last().starts_at.astimezone(week.zone).year
    when = days[0].capitalize() if is_one_day else f"Del {days[0]} al {days[-1]}"
    assert f"{when} de {year}. En línea, por Zoom." in text


@pytest.mark.once
@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "{starts} to {ends} your time (E{season}T)"),
        ("es", "{starts} a {ends}, tu hora (E{season}T)"),
    ],
)
def test_visitors_read_their_own_time_in_their_language(week, new_page, language, text):
    session, eastern = week.sessions.first(), zoneinfo.ZoneInfo("America/New_York")
    page = new_page(timezone_id=eastern.key, locale=language)
    page.goto(session.get_absolute_url())
    season = "D" if session.starts_at.astimezone(eastern).dst() else "S"
    with translation.override(language):
        starts, ends = clock(session.starts_at, eastern), clock(session.ends_at, eastern)
    expect(page.locator(".yours")).to_have_text(
        text.format(starts=starts, ends=ends, season=season)
    )
