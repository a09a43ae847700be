"""The admin's pages of events and sessions: times, links and what a save does."""

import datetime as dt
import re

import pytest

from events.models import AgendaItem, Event, Meeting, Session
from tests.admin_pages import form_of, path, post_twice

pytestmark = pytest.mark.django_db


@pytest.mark.once
def test_times_are_shown_and_entered_in_the_events_zone(admin_client, opening):
    page = admin_client.get(path(opening)).content.decode()
    assert re.search(r'name="starts_at_1" value="09:00 AM"', page)
    assert "Pacific (Los Angeles)" in page
    form = form_of(admin_client, path(opening))
    form["starts_at_1"] = "10:30 am"
    post_twice(admin_client, path(opening), form)
    opening.refresh_from_db()
    assert opening.starts_at.astimezone(opening.event.zone).time() == dt.time(10, 30)


@pytest.mark.once
def test_new_event_uses_the_zone_chosen_in_its_form(admin_client):
    form = {
        "name_en": "Next",
        "slug": "next",
        "status": "draft",
        "host": "Us",
        "summary_en": "S",
        "time_zone": "America/New_York",
        "doors_open_minutes": "15",
        "remind_minutes_before": "60",
        "settle_minutes": "10",
        "late_spots": "promote",
        "erase_after_days": "90",
        "zoom_mode": "pasted",
        "poster": "hills",
        "colors": "sunrise",
        "registration_opens_at_0": "10/16/2027",
        "registration_opens_at_1": "9 AM",
    }
    for inline in ("tracks", "speakers"):
        form |= {f"{inline}-TOTAL_FORMS": "0", f"{inline}-INITIAL_FORMS": "0"}
    assert "Pacific (Los Angeles)" in admin_client.get(path(Event, "add")).content.decode()
    answer = admin_client.post(path(Event, "add"), form)
    assert answer.status_code == 302, answer.context["errors"]
    opens = Event.objects.get().registration_opens_at
    assert opens == dt.datetime(2027, 10, 16, 13, tzinfo=dt.UTC)


@pytest.mark.once
def test_changing_the_zone_keeps_the_times_and_says_so(admin_client, week):
    before = list(week.sessions.values_list("starts_at", flat=True))
    form = form_of(admin_client, path(week))
    answer = post_twice(admin_client, path(week), {**form, "time_zone": "America/Chicago"})
    assert "their times look different in the new time zone" in answer.content.decode()
    assert list(week.sessions.values_list("starts_at", flat=True)) == before


def test_invalid_ids_cause_no_server_error(admin_client, week):
    for odd in ("abc", "1x", "99999999999999999999", "-1"):
        for model in ("event", "session"):
            change = f"/admin/events/{model}/{odd}/change/"
            assert admin_client.get(change).status_code in {302, 404}
        assert admin_client.get(f"/admin/events/session/add/?event={odd}").status_code == 200


@pytest.mark.once
def test_form_opens_without_the_times_that_its_address_names(admin_client, week):
    opened = {"event": "registration_opens_at", "session": "starts_at"}
    for model, field in opened.items():
        page = admin_client.get(f"/admin/events/{model}/add/?{field}=2026-10-16&slug=next")
        form = page.context["adminform"].form
        assert (form[field].value(), form["slug"].value()) == (None, "next")


@pytest.mark.once
def test_editing_a_session_creates_a_revision_and_pasting_a_link_does_not(admin_client, opening):
    form = form_of(admin_client, path(opening))
    form["meeting-0-join_url"] = "https://zoom.us/j/99"
    before = opening.updated_at
    admin_client.post(path(opening), form)
    opening.refresh_from_db()
    assert (opening.meeting.join_url, opening.revision) == ("https://zoom.us/j/99", 0)
    # Calendars take the entry with the newer stamp, and with it the new meeting ID.
    assert opening.updated_at > before
    admin_client.post(path(opening), {**form, "title_en": "Renamed"})
    opening.refresh_from_db()
    assert (opening.title, opening.revision) == ("Renamed", 1)


@pytest.mark.once
def test_invalid_link_is_explained_at_the_field(admin_client, opening):
    form = form_of(admin_client, path(opening))
    answer = admin_client.post(path(opening), {**form, "meeting-0-join_url": "zoom 123"})
    assert "Paste the whole link, starting with https://." in answer.content.decode()


@pytest.mark.once
def test_missing_link_causes_a_warning(admin_client, week, opening):
    events = admin_client.get(path(Event, "changelist")).content.decode()
    assert ("Ready" in events, "missing" in events) == (True, False)
    Meeting.objects.filter(session=opening).update(join_url="")
    assert "Missing" in admin_client.get(path(Session, "changelist")).content.decode()
    assert "1 missing" in admin_client.get(path(Event, "changelist")).content.decode()
    form = form_of(admin_client, path(opening))
    saved = admin_client.post(path(opening), form, follow=True).content.decode()
    assert "has no Zoom link yet" in saved


@pytest.mark.once
def test_agenda_longer_than_the_session_causes_a_warning(admin_client, opening):
    AgendaItem.objects.filter(session=opening).update(minutes=600)
    form = form_of(admin_client, path(opening))
    saved = admin_client.post(path(opening), form, follow=True).content.decode()
    assert re.search(r"takes \d+ minutes, but the session is 240", saved)
