"""Days and times in the reader's language and time zone."""

import datetime as dt
import json
import re
import zoneinfo

import pytest
from django.utils import translation
from django.utils.text import capfirst
from playwright.sync_api import expect

from events.models import Session, SessionSnapshot
from events.templatetags.times import (
    at_clock,
    clock,
    clocks,
    day,
    hours,
    long_dates,
    time_until,
    zone_name,
)
from events.timezones import COMMON_TIME_ZONES, all_time_zones, offered_time_zones, time_label
from tests.people import sign_up

PACIFIC = zoneinfo.ZoneInfo("America/Los_Angeles")
EASTERN = zoneinfo.ZoneInfo("America/New_York")
KICKOFF = dt.datetime(2021, 10, 16, 9, tzinfo=PACIFIC)


def snapshot(*, ends_at: dt.datetime) -> SessionSnapshot:
    return SessionSnapshot("opening", (), (), KICKOFF, ends_at, True, "", ())


@pytest.mark.parametrize(
    ("language", "texts"),
    [
        ("en", ("Saturday, October 16", "9:00 AM", "9:00 AM to 1:00 PM PDT")),
        (
            "es",
            (
                "sábado 16 de octubre",
                "9:00\xa0a.\xa0m.",
                "9:00\xa0a.\xa0m. a 1:00\xa0p.\xa0m. hora del Pacífico",
            ),
        ),
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
        ("es", "9:00\xa0a.\xa0m. a 1:00\xa0a.\xa0m. (domingo) hora del Pacífico"),
    ],
)
def test_hours_name_the_day_of_the_end_if_it_is_another(language, text):
    session = snapshot(ends_at=KICKOFF + dt.timedelta(hours=16))
    with translation.override(language):
        assert hours(session, PACIFIC) == text


@pytest.mark.parametrize(
    ("hour", "text", "spanish"),
    [
        (9, "at 9:00 AM", "a las 9:00 a. m."),
        (12, "at 12:00 PM", "a las 12:00 p. m."),
        (13, "at 1:00 PM", "a la 1:00 p. m."),
    ],
)
def test_time_in_a_sentence(hour, text, spanish):
    moment = KICKOFF.replace(hour=hour)
    assert at_clock(moment, PACIFIC) == text
    assert at_clock(moment, PACIFIC, "PDT") == f"{text} PDT"
    with translation.override("es"):
        assert at_clock(moment, PACIFIC).replace("\xa0", " ") == spanish


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
    starts = [each.starts_at for each in sessions]
    with translation.override("es"):
        when = long_dates(min(starts), max(starts), week.zone)
    assert f'<p class="poster__date">{when.capitalize()}</p>' in text


@pytest.mark.parametrize(
    ("first", "last", "english", "spanish"),
    [
        ("2021-10-16", "2021-10-23", "October 16–23, 2021", "del 16 al 23 de octubre de 2021"),
        (
            *("2021-10-30", "2021-11-06", "October 30–November 6, 2021"),
            "del 30 de octubre al 6 de noviembre de 2021",
        ),
        ("2021-12-31", "2022-01-01", "December 31–January 1, 2022", None),
        ("2021-10-16", "2021-10-16", "October 16, 2021", "16 de octubre de 2021"),
    ],
)
def test_dates_of_a_week_are_written_out(first, last, english, spanish):
    starts, ends = (dt.datetime.fromisoformat(f"{each}T20:00-07:00") for each in (first, last))
    assert long_dates(starts, ends, PACIFIC) == english
    with translation.override("es"):
        assert spanish in (long_dates(starts, ends, PACIFIC), None)


@pytest.mark.parametrize(
    ("zone", "winter", "summer"),
    [
        ("America/Los_Angeles", "PST", "PDT"),
        ("America/New_York", "EST", "EDT"),
        ("America/Indiana/Knox", "CST", "CDT"),
        ("America/Anchorage", "AKST", "AKDT"),
        ("Pacific/Honolulu", "HST", "HST"),
        ("US/Hawaii", "HST", "HST"),
        # The same time all year as in the US.
        ("America/Toronto", "EST", "EDT"),
        # The same abbreviations, at other times or only in winter.
        ("Asia/Manila", "Manila time", "Manila time"),
        ("America/Havana", "Havana time", "Havana time"),
        ("America/Phoenix", "Phoenix time", "Phoenix time"),
        ("America/Mexico_City", "Mexico City time", "Mexico City time"),
        ("Asia/Shanghai", "Shanghai time", "Shanghai time"),
        ("America/Puerto_Rico", "Puerto Rico time", "Puerto Rico time"),
        # Their abbreviations are numbers.
        ("America/Sao_Paulo", "São Paulo time", "São Paulo time"),
        ("America/Bogota", "Bogotá time", "Bogotá time"),
        ("America/Argentina/Buenos_Aires", "Buenos Aires time", "Buenos Aires time"),
        # Named after no place, or not clearly. The sign of these is the wrong way around.
        ("Etc/GMT+5", "GMT-5", "GMT-5"),
        ("Etc/GMT-14", "GMT+14", "GMT+14"),
        ("Australia/South", "GMT+10:30", "GMT+9:30"),
        ("Canada/Newfoundland", "GMT-3:30", "GMT-2:30"),
        ("PRC", "GMT+8", "GMT+8"),
        ("EST", "GMT-5", "GMT-5"),
        ("UTC", "UTC", "UTC"),
    ],
)
def test_label_of_a_zone_is_clear(zone, winter, summer):
    days = [dt.datetime(2027, month, 10, 12, tzinfo=dt.UTC) for month in (1, 7)]
    assert [time_label(each, zoneinfo.ZoneInfo(zone)) for each in days] == [winter, summer]


def test_form_offers_a_zone_with_its_real_offset():
    offered = offered_time_zones("Etc/GMT+5", "America/Detroit", "Mars/Olympus")
    assert [(name, title) for name, title in offered if (name, title) not in COMMON_TIME_ZONES] == [
        ("Etc/GMT+5", "Etc/GMT+5 (GMT-5)"),
        ("America/Detroit", "America/Detroit"),
    ]


@pytest.mark.parametrize("month", [1, 7])
@pytest.mark.parametrize("language", ["en", "es"])
def test_two_zones_with_one_label_have_the_same_time(language, month):
    moment = dt.datetime(2027, month, 10, 12, tzinfo=dt.UTC)
    offsets: dict[str, set[dt.timedelta | None]] = {}
    with translation.override(language):
        for name in all_time_zones():
            zone = zoneinfo.ZoneInfo(name)
            label = time_label(moment, zone)
            assert not re.match("[+-]|$", label)
            offsets.setdefault(label, set()).add(moment.astimezone(zone).utcoffset())
    assert [label for label, several in offsets.items() if len(several) > 1] == []


@pytest.mark.parametrize(
    ("zone", "language", "hour", "text"),
    [
        (*("America/Los_Angeles", "en", 18), "6 PM Pacific · 7 Mountain · 8 Central · 9 Eastern"),
        (*("America/Los_Angeles", "es", 18), "6:00 p. m. Pacífico · 7 Montaña · 8 Centro · 9 Este"),
        (
            *("America/Los_Angeles", "en", 9),
            "9 AM Pacific · 10 Mountain · 11 Central · 12 PM Eastern",
        ),
        (
            *("America/Los_Angeles", "en", 21),
            "9 PM Pacific · 10 Mountain · 11 Central · 12 AM Eastern (Sun)",
        ),
        (
            *("America/New_York", "en", 21.5),
            "12:30 AM Eastern · 9:30 PM Pacific (Sat) · 10:30 Mountain (Sat) · 11:30 Central (Sat)",
        ),
        (
            *("Asia/Manila", "en", 18),
            "9 AM Manila · 6 PM Pacific (Sat) · 7 Mountain (Sat) · 8 Central (Sat) "
            "· 9 Eastern (Sat)",
        ),
    ],
)
def test_one_line_has_the_clocks_of_everyone(zone, language, hour, text):
    moment = dt.datetime(2021, 10, 16, tzinfo=PACIFIC) + dt.timedelta(hours=hour)
    with translation.override(language):
        shown = clocks(moment, zoneinfo.ZoneInfo(zone))
    assert shown.replace("\xa0", " ") == text
    # A line may break after a dot, but not before it.
    assert [part[-1] for part in shown.split(" ")[:-1]] == ["·"] * shown.count("·")


@pytest.mark.parametrize(
    ("left", "text", "spanish"),
    [
        (dt.timedelta(seconds=10), "in 1 minute", "en 1 minuto"),
        (dt.timedelta(minutes=45), "in 45 minutes", "en 45 minutos"),
        (dt.timedelta(minutes=62), "in 1 hour", "en 1 hora"),
        (dt.timedelta(hours=3, minutes=10), "in 3 hours", "en 3 horas"),
        # After midnight, but not called tomorrow yet.
        (dt.timedelta(hours=11), "in 11 hours", "en 11 horas"),
        (dt.timedelta(hours=14), "in 14 hours", "en 14 horas"),
        (dt.timedelta(hours=16), "tomorrow", "mañana"),
        (dt.timedelta(hours=38), "tomorrow", "mañana"),
        (dt.timedelta(hours=40), "in 2 days", "en 2 días"),
        (dt.timedelta(days=20, hours=5), "in 20 days", "en 20 días"),
    ],
)
def test_time_until_is_said_as_people_do(left, text, spanish):
    now = KICKOFF  # 9 AM.
    assert time_until(now + left, now, PACIFIC) == text
    with translation.override("es"):
        assert time_until(now + left, now, PACIFIC) == spanish


def test_tomorrow_is_by_the_readers_clock():
    now = dt.datetime(2021, 10, 16, 20, tzinfo=PACIFIC)
    start = now + dt.timedelta(hours=12)
    assert time_until(start, now, PACIFIC) == "tomorrow"
    assert time_until(start, now, zoneinfo.ZoneInfo("Asia/Manila")) == "in 12 hours"


def date_of(session, zone):
    return day(session.starts_at, zone)


def written(session, zone, language="en"):
    with translation.override(language):
        return capfirst(f"{date_of(session, zone)}, {hours(session, zone)}")


def written_below(session, zone, language="en"):
    """The event's time below the person's."""
    with translation.override(language):
        date, theirs = date_of(session, PACIFIC), hours(session, PACIFIC)
        if (date, theirs) == (date_of(session, zone), hours(session, zone)):
            return ""
        return theirs if date == date_of(session, zone) else capfirst(f"{date}, {theirs}")


@pytest.fixture
def late_session(week):
    """The week's first session, at 9 PM Pacific time."""
    session = week.sessions.order_by("starts_at").first()
    local = session.starts_at.astimezone(PACIFIC).replace(hour=21)
    Session.objects.filter(pk=session.pk).update(
        starts_at=local, ends_at=local + dt.timedelta(hours=2)
    )
    session.refresh_from_db()
    return session


@pytest.mark.once
@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.parametrize(
    "zone", ["America/New_York", "Asia/Manila", "America/Mexico_City", "Etc/GMT+5"]
)
def test_visitors_read_their_own_time_first(late_session, new_page, zone, language):
    page = new_page(timezone_id=zone, locale=language)
    page.goto(late_session.get_absolute_url())
    own = zoneinfo.ZoneInfo(zone)
    expect(page.locator(".when")).to_have_text(written(late_session, own, language))
    expect(page.locator(".yours")).to_have_text(written_below(late_session, own, language))
    expect(page.locator(".zones")).to_be_hidden()
    # The date next to it is the visitor's, too.
    number = late_session.starts_at.astimezone(own).day
    expect(page.locator(".slot__date b")).to_have_text(str(number))
    expect(page.locator(".week time").first).to_contain_text(str(number))
    page.emulate_media(media="print")
    expect(page.locator(".zones")).to_be_visible()


@pytest.mark.once
@pytest.mark.parametrize("zone", ["Etc/Unknown", "Mars/Olympus", None])
def test_pages_stay_as_they_are_in_a_browser_with_an_odd_zone(late_session, new_page, zone):
    page = new_page()
    options = f"{{...options.call(this), timeZone: {json.dumps(zone) if zone else 'undefined'}}}"
    page.add_init_script(
        "const options = Intl.DateTimeFormat.prototype.resolvedOptions;"
        f"Intl.DateTimeFormat.prototype.resolvedOptions = function () {{ return ({options}); }};"
    )
    page.goto(late_session.get_absolute_url())
    expect(page.locator(".when")).to_have_text(written(late_session, PACIFIC))
    expect(page.locator(".zones")).to_have_text(clocks(late_session.starts_at, PACIFIC))
    expect(page.locator(".zones")).to_be_visible()


@pytest.mark.once
def test_new_yorker_reads_eastern_time_first_everywhere(week, new_page):
    session = week.sessions.order_by("starts_at").first()
    eastern = written(session, EASTERN)
    page = new_page(timezone_id=EASTERN.key)
    for path in (f"/{week.slug}/", session.get_absolute_url(), f"/{week.slug}/register/"):
        page.goto(path)
        expect(page.locator(".when").first).to_have_text(eastern)
        expect(page.locator(".yours").first).to_have_text(hours(session, PACIFIC))
    expect(page.locator("select[name=time_zone]")).to_have_value(EASTERN.key)
    alice = sign_up(week, time_zone=EASTERN.key)
    for path in ("", "change/"):
        page.goto(f"/me/{alice.token}/{path}")
        expect(page.locator(".when").first).to_have_text(eastern)
        expect(page.locator(".yours").first).to_contain_text(hours(session, PACIFIC))


@pytest.mark.once
def test_without_javascript_everyone_finds_their_time(week, new_page):
    session = week.sessions.order_by("starts_at").first()
    page = new_page(timezone_id=EASTERN.key, java_script_enabled=False)
    for path in (f"/{week.slug}/", session.get_absolute_url(), f"/{week.slug}/register/"):
        page.goto(path)
        expect(page.locator(".when").first).to_have_text(written(session, PACIFIC))
        expect(page.locator(".zones").first).to_have_text(clocks(session.starts_at, PACIFIC))
        expect(page.locator(".zones").first).to_be_visible()
    # The browser asks for the zone.
    select = page.locator("select[name=time_zone]")
    expect(select).to_have_value("")
    assert select.get_attribute("required") is not None
    alice = sign_up(week, time_zone=EASTERN.key)
    page.goto(f"/me/{alice.token}/")
    expect(page.locator(".when").first).to_have_text(written(session, EASTERN))


@pytest.mark.once
@pytest.mark.parametrize("is_registered", [False, True])
def test_choosing_a_zone_changes_the_times_on_the_form(late_session, new_page, is_registered):
    week = late_session.event
    path = f"/{week.slug}/register/"
    if is_registered:
        path = f"/me/{sign_up(week, time_zone=PACIFIC.key).token}/change/"
    page = new_page(timezone_id=PACIFIC.key)
    page.goto(path)
    when = page.locator(f".when[datetime^='{late_session.starts_at:%Y-%m-%dT%H:%M}']")
    expect(when).to_have_text(written(late_session, PACIFIC))
    # These cover the labels, too: the script and the server write the same.
    # (Of Vancouver, which keeps daylight saving time from 2026 on, not every Python knows that.)
    names = [name for name, _title in COMMON_TIME_ZONES if name != "America/Vancouver"]
    for name in names:
        zone = zoneinfo.ZoneInfo(name)
        page.locator("select[name=time_zone]").select_option(name)
        expect(when).to_have_text(written(late_session, zone))
        expect(when.locator("+ .yours")).to_have_text(written_below(late_session, zone))


def test_line_of_clocks_never_breaks_before_a_dot():
    assert "\xa0· " in clocks(KICKOFF, PACIFIC)
    assert " ·" not in clocks(KICKOFF, PACIFIC)
