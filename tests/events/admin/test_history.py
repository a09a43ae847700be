"""The History pages: who changed what, when, from what to what."""

import datetime as dt
import json
import re
from html import unescape

import pytest
import time_machine
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.test.utils import CaptureQueriesContext

from events import history
from events.models import AgendaItem, Event, HistoryEntry, Session
from registrations.models import OutgoingMail
from tests.admin_pages import act_surely, form_of, path, post_twice
from tests.people import in_english, sign_up
from tests.strategyweek.test_permissions import client_of, member

pytestmark = pytest.mark.django_db

# 4:04 PM in Los Angeles.
NOW = dt.datetime(2026, 9, 1, 23, 4, tzinfo=dt.UTC)


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOW, tick=False) as clock:
        yield clock


def save(client, thing, **changes: str) -> None:
    assert client.post(path(thing), form_of(client, path(thing)) | changes).status_code == 302


def history_of(client, thing, **query: str):
    return client.get(path(thing).replace("/change/", "/history/"), query)


def words(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


def entries(client, thing, **query: str) -> list[str]:
    """The text of each entry, the newest first."""
    page = history_of(client, thing, **query).content.decode()
    (found,) = re.findall(r'<ol class="history">(.*?)</ol>', page, re.DOTALL) or [""]
    return [words(each) for each in found.split('<li class="panel">')[1:]]


def values(thing) -> list[tuple]:
    """The field, old and new value of each change of the last entry about this row."""
    own_type = ContentType.objects.get_for_model(thing)
    entry = LogEntry.objects.filter(content_type=own_type, object_id=thing.pk).latest("pk")
    return [(each["field"], each["old"], each["new"]) for each in entry.details.changes]


def stored() -> str:
    """All that the history stores."""
    rows = HistoryEntry.objects.values_list("changes", "sealed", "log__change_message")
    return json.dumps(list(rows), ensure_ascii=False)


# What is recorded


def test_entry_says_who_when_and_both_values(organizer, opening):
    Session.objects.filter(pk=opening.pk).update(**in_english(title="Kickoff"))
    save(organizer, opening, title_en="Welcome", capacity="50")
    assert entries(organizer, opening) == [
        "admin · Sep 1, 2026, 4:04 PM PDT Session “Welcome” Changed: "
        "Title (English) Before Kickoff After Welcome Spots Before empty After 50 "
        "Revert… Session “Welcome”, Sep 1, 2026, 4:04 PM PDT"
    ]


def test_times_are_in_the_events_zone_and_choices_have_their_names(organizer, week, opening):
    start = dt.datetime(2026, 10, 17, 16, tzinfo=dt.UTC)
    Session.objects.filter(pk=opening.pk).update(
        starts_at=start, ends_at=start + dt.timedelta(hours=4)
    )
    form = form_of(organizer, path(opening)) | {"starts_at_1": "9:30", "kind": "closing"}
    post_twice(organizer, path(opening), form)
    (entry,) = entries(organizer, opening)
    assert "Starts Before Oct 17, 2026, 9:00 AM PDT After Oct 17, 2026, 9:30 AM PDT" in entry
    assert "Kind Before Kickoff After Closing session" in entry
    Event.objects.update(time_zone="America/New_York")
    (entry,) = entries(organizer, opening)
    assert entry.startswith("admin · Sep 1, 2026, 7:04 PM EDT")
    assert "Starts Before Oct 17, 2026, 12:00 PM EDT" in entry


def test_agenda_is_recorded_row_by_row(organizer, opening):
    first, second = opening.agenda.all()[:2]
    old = first.title_en
    save(organizer, opening, **{"agenda-0-title_en": "Hello", "agenda-1-DELETE": "on"})
    found = values(opening)
    assert ("title_en", old, "Hello") in found
    assert ("minutes", second.minutes, None) in found
    (entry,) = entries(organizer, opening)
    assert f"Agenda item “Hello” Title (English) Before {old} After Hello" in entry
    assert f"Agenda item “{second.title_en}”" in entry
    assert not AgendaItem.objects.filter(pk=second.pk).exists()


def test_added_agenda_item_is_recorded(organizer, opening):
    count = opening.agenda.count()
    form = {
        "agenda-TOTAL_FORMS": str(count + 1),
        f"agenda-{count}-position": "900",
        f"agenda-{count}-minutes": "20",
        f"agenda-{count}-title_en": "A song",
    }
    save(organizer, opening, **form)
    assert ("title_en", None, "A song") in values(opening)


def test_secrets_of_the_meeting_are_hidden(organizer, opening):
    save(
        organizer,
        opening,
        **{
            "meeting-0-join_url": "https://zoom.us/j/81234567890?pwd=Verysecret",
            "meeting-0-passcode": "Alsosecret",
            "meeting-0-meeting_id": "812 3456 7890",
        },
    )
    (entry,) = entries(organizer, opening)
    assert (
        "Zoom meeting Zoom link Before https://zoom.example/j/1?... "
        "After https://zoom.us/j/81234567890?..." in entry
    )
    assert "Passcode Before hidden After hidden" in entry
    assert "Meeting ID Before 812 3456 7891 After 812 3456 7890" in entry
    for secret in ("Verysecret", "Alsosecret", "secret1", "code-1"):
        assert secret not in stored()
        assert secret not in history_of(organizer, opening).content.decode()


def test_strategies_of_an_event_are_recorded(organizer, week):
    track = week.tracks.first()
    old = track.name_en
    save(organizer, week, **{"tracks-0-name_en": "Laws"})
    assert values(week) == [("name_en", old, "Laws")]


def test_cancellation_with_its_reason_is_recorded(organizer, opening):
    url = path(opening).replace("/change/", "/cancel/")
    organizer.post(url, {"cancel_reason_en": "Our speaker is ill."})
    assert values(opening) == [
        ("canceled_at", None, NOW.isoformat()),
        ("cancel_reason_en", None, "Our speaker is ill."),
    ]
    organizer.post(path(opening).replace("/change/", "/restore/"))
    assert values(opening)[0] == ("canceled_at", NOW.isoformat(), None)


def test_sessions_canceled_and_restored_from_the_list_are_recorded(organizer, opening):
    act_surely(organizer, "cancel", opening)
    assert values(opening) == [("canceled_at", None, NOW.isoformat())]
    act_surely(organizer, "restore", opening)
    assert values(opening) == [("canceled_at", NOW.isoformat(), None)]


def test_held_released_and_undone_notices_are_recorded(organizer, week, opening):
    sign_up(week)
    long_ago = NOW - dt.timedelta(hours=1)
    OutgoingMail.objects.update(state="sent", sent_at=long_ago, claimed_at=long_ago)
    save(organizer, opening, title_en="Another")
    revision = Session.objects.get(pk=opening.pk).revision
    url = f"/admin/events/session/notices/{week.pk}/"
    for do, done in (
        ("hold", "Emails about changes are on hold."),
        ("release", "Emails about changes are no longer on hold."),
        ("undo", "The title, time, summary, address and status are what people were last told."),
    ):
        organizer.post(url, {"do": do, "session": opening.pk, "revision": revision})
        assert done in entries(organizer, opening)[0]
    assert values(opening) == [("title_en", "Another", opening.title)]


def test_sessions_that_move_with_the_time_zone_are_recorded(organizer, week, opening):
    form = form_of(organizer, path(week)) | {"time_zone": "America/New_York"}
    page = organizer.post(path(week), form).content.decode()
    asked = unescape(re.search(r'name="asked" value="([^"]*)"', page)[1])
    form |= {"asked": asked, "sessions_in_zone": "clock_times"}
    assert organizer.post(path(week), form).status_code == 302
    assert [field for field, _old, _new in values(opening)] == ["starts_at", "ends_at"]
    assert "Moved along with the event's time zone." in entries(organizer, opening)[0]


def test_edit_that_only_asks_is_not_in_the_history(organizer, opening):
    form = form_of(organizer, path(opening)) | {"starts_at_1": "1:00"}
    assert organizer.post(path(opening), form).status_code == 200
    assert not HistoryEntry.objects.exists()


def test_save_without_a_change_is_not_in_the_history(organizer, opening):
    save(organizer, opening)
    assert not LogEntry.objects.exists()


def test_kinds_of_rows_that_are_gone_have_plain_names(organizer, week, opening):
    save(organizer, opening, **{"agenda-0-title_en": "Hello", "capacity": "50"})
    entry = HistoryEntry.objects.get()
    for change in entry.changes:
        if change["row"]:
            change["model"] = "events.talk"
    entry.save()
    (found,) = entries(organizer, week)
    assert "Hello Title_en Before" in found
    url = path(opening).replace("/change/", f"/history/{entry.pk}/")
    page = words(organizer.get(url).content.decode())
    assert "Spots Now 50 After reverting empty" in page
    assert "Hello" not in page


def test_deleted_session_is_in_the_weeks_history(organizer, week, opening):
    organizer.post(path(opening).replace("/change/", "/delete/"), {"post": "yes"})
    (entry,) = entries(organizer, week)
    assert f"Session “{opening.title}” Deleted." in entry
    assert f"Title (English) Before {opening.title_en} After empty" in entry
    assert "Revert" not in entry


def test_long_texts_are_folded_and_complete(organizer, week):
    text = "Every word counts. " * 30
    save(organizer, week, introduction_en=text.strip())
    page = history_of(organizer, week).content.decode()
    assert '<details class="more"><summary lang="en">Every word counts.' in page
    assert text.strip() in page


def test_texts_are_escaped(organizer, opening):
    save(organizer, opening, title_en="<b>O'Brien & Co</b>")
    page = history_of(organizer, opening).content.decode()
    assert "&lt;b&gt;O&#x27;Brien &amp; Co&lt;/b&gt;" in page
    assert "<b>O'Brien" not in page


def test_history_is_read_in_the_readers_language(organizer, opening):
    save(organizer, opening, status="draft", title_en="Welcome")
    page = history_of(organizer, opening, language="es")
    page = history_of(organizer, opening).content.decode()
    assert "(inglés)" in words(page)


# The page of a whole event


def test_events_history_has_all_that_belongs_to_it(organizer, week, opening, later):
    save(organizer, opening, capacity="50")
    save(organizer, week, host="Another host")
    other = Event.objects.create(**in_english(name="Other", summary="S"), slug="other")
    save(organizer, other, host="Someone")
    found = entries(organizer, week)
    assert [each.split("PDT ")[1].split(" Changed")[0] for each in found] == [
        f"Event “{week}”",
        f"Session “{opening}”",
    ]
    assert len(entries(organizer, opening)) == 1
    assert entries(organizer, later) == []


def test_pages_link_to_each_other(organizer, week, opening):
    own = path(opening).replace("/change/", "/history/")
    assert f'href="{own}"' in organizer.get(path(opening)).content.decode()
    whole = path(week).replace("/change/", "/history/")
    assert f'href="{whole}"' in history_of(organizer, opening).content.decode()
    assert f'href="{whole}"' in organizer.get(path(week)).content.decode()


def test_history_is_filtered_by_person(organizer, week, opening, later):
    helper = member("view_session", "change_session", "view_event", name="helper")
    save(organizer, opening, capacity="50")
    save(client_of(helper), later, capacity="60")
    (entry,) = entries(organizer, week, by=str(helper.pk))
    assert entry.startswith("helper · ")
    assert len(entries(organizer, week)) == 2
    assert len(entries(organizer, week, by="nonsense")) == 2


def test_filter_has_everyone_who_changed_something(organizer, opening):
    helper = member("view_session", "change_session", name="helper")
    attendee = User.objects.create_user("attendee")
    save(client_of(helper), opening, capacity="50")
    User.objects.filter(pk=helper.pk).update(is_staff=False)
    page = history_of(organizer, opening).content.decode()
    assert f'<option value="{helper.pk}">helper</option>' in page
    assert f'value="{attendee.pk}"' not in page


def test_newest_come_first_and_older_ones_on_the_next_page(organizer, admin_user, week, opening):
    for number in range(51):
        history.log(admin_user.pk, [opening], CHANGE, f"Number {number}.")
    first = entries(organizer, week)
    assert len(first) == 50
    assert first[0].endswith("Number 50.")
    page = history_of(organizer, week).content.decode()
    older = re.search(r'href="\?before=(\d+)"', page)[1]
    (last,) = entries(organizer, week, before=older)
    assert last.endswith("Number 0.")
    assert "Newest" in history_of(organizer, week, before=older).content.decode()


def test_page_takes_the_same_queries_for_any_number_of_entries(organizer, admin_user, week):
    sessions = list(week.sessions.all())
    counts = []
    for times in (1, 5):
        for each in sessions * times:
            history.log(admin_user.pk, [each], CHANGE, "Changed.")
        with CaptureQueriesContext(connection) as queries:
            history_of(organizer, week)
        counts.append(len(queries))
    assert counts[0] == counts[1]


# Who may see it


def test_history_needs_permission_to_view_the_row(organizer, week, opening):
    stranger = client_of(member("view_group"))
    assert history_of(stranger, opening).status_code == 403
    assert history_of(stranger, week).status_code == 403


def test_events_history_leaves_out_what_someone_may_not_view(organizer, week, opening):
    save(organizer, opening, capacity="50")
    save(organizer, week, host="Another host")
    client = client_of(member("view_event"))
    (entry,) = entries(client, week)
    assert f"Event “{week}”" in entry
    assert "Revert" not in entry


@pytest.mark.parametrize(
    ("permission", "is_shown"), [("view_event", False), ("view_meeting", True)]
)
def test_meeting_is_shown_only_to_those_who_may_view_it(
    organizer, week, opening, permission, is_shown
):
    save(organizer, opening, capacity="50", **{"meeting-0-meeting_id": "812 3456 7890"})
    client = client_of(member("view_session", "change_session", permission))
    (entry,) = entries(client, opening)
    assert "After 50" in entry
    assert ("812 3456 7890" in entry) == is_shown
    if permission == "view_event":
        (entry,) = entries(client, week)
        assert "812 3456 7890" not in entry


def test_missing_row_leads_back(organizer, opening):
    url = path(opening).replace("/change/", "/history/").replace(str(opening.pk), "0")
    assert organizer.get(url).status_code == 302


def test_entry_of_a_deleted_account_is_gone_with_it(organizer, opening):
    helper = member("view_session", "change_session", name="helper")
    save(client_of(helper), opening, capacity="50")
    User.objects.filter(pk=helper.pk).delete()
    assert not HistoryEntry.objects.exists()
