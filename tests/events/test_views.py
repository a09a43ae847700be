"""The public site: what visitors see, and what they must not see."""

import datetime as dt
import re

import pytest
import time_machine
from django.utils import timezone
from icalendar import Calendar

from events.load_week import load_strategy_week
from events.models import Event, Session
from events.schedule import cancel_session, edit_session, restore_session
from events.templatetags.times import dates
from tests.people import DIAL_IN

pytestmark = pytest.mark.django_db


def page(client, path: str) -> str:
    response = client.get(path)
    assert response.status_code == 200
    return response.content.decode()


def public_paths(week) -> list[str]:
    sessions = [session.get_absolute_url() for session in week.sessions.all()]
    paths = ["/", f"/{week.slug}/", f"/{week.slug}/register/", f"/{week.slug}/calendar.ics"]
    return paths + sessions


def test_home_is_the_current_event(client, week):
    assert week.summary in page(client, "/").replace("&#x27;", "'")


@pytest.mark.once
def test_home_works_without_an_event(client):
    page = client.get("/")
    assert page.status_code == 200
    assert page.context.get("event") is None
    # "Planeando" and "estrategia" must fit on a phone.
    assert '<h1 class="poster__long-words">' in page.content.decode()


def test_current_event_is_the_running_or_next_one(db):
    current = Event.objects.current
    first = load_strategy_week(starting=dt.date(2021, 10, 16)).event
    second = load_strategy_week(starting=dt.date(2022, 10, 15)).event
    ends = second.sessions.last().ends_at
    assert current(first.sessions.first().starts_at - dt.timedelta(days=99)) == first
    assert current(first.sessions.last().ends_at) == first
    assert current(first.sessions.last().ends_at + dt.timedelta(seconds=1)) == second
    assert current(ends + dt.timedelta(days=99)) == second
    Event.objects.filter(pk=second.pk).update(status="draft")
    assert current(ends) == first


@pytest.mark.once
def test_event_page_has_the_overview(client, week):
    text = page(client, f"/{week.slug}/").replace("&#x27;", "'")
    for session in week.sessions.all():
        assert session.title in text
        assert session.get_absolute_url() in text
    for track in week.tracks.all():
        assert track.name in text.replace("\u200b", "")
    assert week.host in text
    assert f"/{week.slug}/register/" in text
    assert "9:00 AM to 1:00 PM P" in text


@pytest.mark.once
def test_public_pages_show_neither_links_nor_the_detailed_schedule(client, week):
    Session.objects.update(shows_outline=False)
    Session.hosts.through.objects.all().delete()
    secrets = ["zoom.example", "secret1", "812 3456", "code-1", *DIAL_IN.splitlines()]
    for session in week.sessions.with_details():
        for item in session.agenda.all():
            secrets += [item.title, *(speaker.name for speaker in item.speakers.all())]
    # Text that is also public proves nothing.
    public = f"{week.introduction} {week.summary} {week.host} Questions?"
    public += " ".join(f"{s.title} {s.summary}" for s in week.sessions.all())
    public += " ".join(f"{t.name} {t.description}" for t in week.tracks.all())
    secrets = [secret for secret in secrets if secret not in public]
    assert len(secrets) > 30
    for path in public_paths(week):
        text = page(client, path).replace("\r\n ", "")
        assert [secret for secret in secrets if secret in text] == []


@pytest.mark.once
def test_drafts_are_visible_to_organizers_only(client, admin_client, week):
    draft = week.sessions.get(slug="das")
    Session.objects.filter(pk=draft.pk).update(status="draft")
    for path in (draft.get_absolute_url(), f"/{week.slug}/"):
        assert draft.title in admin_client.get(path).content.decode()
    assert client.get(draft.get_absolute_url()).status_code == 404
    assert draft.title not in page(client, f"/{week.slug}/")
    assert draft.title not in page(client, f"/{week.slug}/calendar.ics").replace("\r\n ", "")
    Event.objects.update(status="draft")
    for path in (f"/{week.slug}/", draft.get_absolute_url()):
        assert client.get(path).status_code == 404
        assert admin_client.get(path).status_code == 200


@pytest.fixture(autouse=True)
def _fresh_pages(settings):
    settings.CACHES = {
        **settings.CACHES,
        "pages": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"},
    }


def test_calendar_is_offered_until_the_week_is_over(client, week):
    closes_at, last = week.sessions.first().starts_at, week.sessions.last()
    Event.objects.update(registration_closes_at=closes_at)
    found = []
    for now in (closes_at - dt.timedelta(minutes=1), closes_at, last.ends_at):
        with time_machine.travel(now, tick=False):
            text = page(client, f"/{week.slug}/").replace("&#x27;", "'")
            dates = page(client, last.get_absolute_url())
        own = "You'll get your own calendar with links when you register." in text
        found.append(("Save the dates" in text, "#calendar" in text, own, "Download" in dates))
    assert found == [(True, True, True, True), (True, True, False, True), (False,) * 4]


def test_long_strategy_breaks_after_its_slash(client, week):
    week.tracks.filter(name_en__contains="/").update(name_en="<b>Influencing/Countering DAs")
    text = page(client, f"/{week.slug}/")
    assert "&lt;b&gt;Influencing/\u200bCountering DAs</h3>" in text


def test_lost_link_page_tells_weeks_of_the_same_name_apart(client, week):
    another = load_strategy_week(starting=dt.date(2035, 10, 6)).event
    text = client.get("/me/x/").content.decode()
    week_dates = dates(week.sessions.first().starts_at, week.sessions.last().ends_at, week.zone)
    assert re.findall(r"/([\w-]+)/find/\">([^<]+)", text) == [
        (week.slug, f"Email me my links: {week.name} ({week_dates})"),
        (another.slug, f"Email me my links: {week.name} (Oct 6–13)"),
    ]


@pytest.mark.parametrize(
    "path", ["/nothing/", "/drop/sessions/x/", "/x/calendar.ics", "/x/register/"]
)
def test_unknown_address_is_a_friendly_404(client, week, path):
    response = client.get(path)
    assert response.status_code == 404
    assert "register" in response.content.decode().lower()


@pytest.mark.parametrize("sessions", [1, 6])
def test_event_page_takes_the_same_queries_for_1_session_as_for_6(
    client, week, sessions, django_assert_num_queries
):
    Session.objects.exclude(pk__in=week.sessions.all()[:sessions]).delete()
    with django_assert_num_queries(3):
        client.get(f"/{week.slug}/")


@pytest.mark.once
def test_public_pages_send_a_strict_policy_and_no_cookie(client, week):
    for path in public_paths(week):
        response = client.get(path)
        policy = response["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        if "register" not in path:
            assert response.cookies == {}
            # For browsers' caches. The server's own cache tells languages apart.
            assert response["Vary"] == "Accept-Language, Cookie"


@pytest.mark.once
@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/", {"cookie": 'sessionid="\\000\\000\\000\\000\\000\\000\\000\\000"'}),
        ("/%00/", {}),
        ("/?x=%00", {}),
        ("/admin/?q=%00", {}),
        ("/", {"content-type": "application/x-www-form-urlencoded; charset=utf-16"}),
    ],
)
def test_malformed_requests_are_rejected(client, week, path, headers):
    response = client.get(path, headers=headers)
    assert response.status_code == 400
    assert "Strategy Week" in response.content.decode()


# The calendar


def calendar_of(client, week) -> Calendar:
    return Calendar.from_ical(client.get(f"/{week.slug}/calendar.ics").content)


@pytest.mark.once
def test_calendar_has_every_session_and_no_secret(client, week):
    entries = calendar_of(client, week).events
    for entry, session in zip(entries, week.sessions.all(), strict=True):
        assert str(entry["SUMMARY"]) == session.title
        assert (entry.start, entry.end) == (session.starts_at, session.ends_at)
        assert str(entry["URL"]) == f"http://localhost{session.get_absolute_url()}"


@pytest.mark.once
def test_unchanged_calendar_is_a_304(client, week):
    path = f"/{week.slug}/calendar.ics"
    etag = client.get(path)["ETag"]
    assert client.get(path, headers={"If-None-Match": etag}).status_code == 304
    with edit_session(week.sessions.first().pk) as session:
        session.title = "Renamed"
        session.save()
    assert client.get(path, headers={"If-None-Match": etag}).status_code == 200


@pytest.mark.once
def test_moved_or_canceled_session_replaces_its_entry(client, week):
    def entry():
        return calendar_of(client, week).events[0]

    session = week.sessions.first()
    uid = str(entry()["UID"])
    seen = [(entry()["SEQUENCE"], str(entry()["STATUS"]))]
    with edit_session(session.pk) as session:
        session.ends_at += dt.timedelta(minutes=30)
        session.save()
    seen.append((entry()["SEQUENCE"], str(entry()["STATUS"])))
    cancel_session(session=session)
    seen.append((entry()["SEQUENCE"], str(entry()["STATUS"])))
    restore_session(session=session)
    seen.append((entry()["SEQUENCE"], str(entry()["STATUS"])))
    assert seen == [(0, "CONFIRMED"), (1, "CONFIRMED"), (2, "CANCELLED"), (3, "CONFIRMED")]
    assert str(entry()["UID"]) == uid


def test_edit_that_attendees_do_not_see_creates_no_revision(week):
    with edit_session(week.sessions.first().pk) as session:
        session.kind, session.track = "closing", None
        session.save()
    assert week.sessions.first().revision == 0


# Cached pages


@pytest.mark.once
@pytest.mark.parametrize("path", ["/", "/{}/", "/{}/sessions/opening/", "/{}/calendar.ics"])
def test_pages_are_cached_for_five_seconds_except_for_organizers(
    client, admin_client, week, settings, path
):
    settings.CACHES = {
        **settings.CACHES,
        "pages": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": path},
    }
    path = path.format(week.slug)
    with time_machine.travel(timezone.now(), tick=False) as clock:
        before = client.get(path).content
        week.sessions.filter(slug="opening").update(title="Renamed")
        assert client.get(path).content == before
        assert b"Renamed" in admin_client.get(path).content
        clock.shift(6)
        assert b"Renamed" in client.get(path).content


@pytest.mark.once
def test_drafts_shown_to_an_organizer_are_not_cached_for_visitors(
    client, admin_client, week, settings
):
    settings.CACHES = {
        **settings.CACHES,
        "pages": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "d"},
    }
    Event.objects.update(status="draft")
    assert admin_client.get(f"/{week.slug}/").status_code == 200
    assert client.get(f"/{week.slug}/").status_code == 404
