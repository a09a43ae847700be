"""An event that's over can be archived: lists and choosers leave it out, and no emails go out."""

import datetime as dt
import re
import uuid

import pytest
from django.contrib.admin.models import LogEntry
from django.utils import timezone

from events import weeks
from events.models import Event, Session
from events.weeks import NotOver
from tests.admin_pages import form_of, messages_of, path, post_twice
from tests.people import a_saturday_ahead, published_event, sign_up
from tests.strategyweek.test_permissions import client_of, member

pytestmark = pytest.mark.django_db

HOUR = dt.timedelta(hours=1)


@pytest.fixture
def over(week) -> Event:
    """The week, which ended two days ago."""
    sign_up(week)
    ended = timezone.now() - 48 * HOUR
    Session.objects.update(starts_at=ended - HOUR, ends_at=ended)
    return week


@pytest.fixture
def archived(over) -> Event:
    weeks.archive(event=over)
    return over


@pytest.fixture
def other(db) -> Event:
    return published_event(name="Next week", slug="next", summary="S")


def press(client, event: Event, do: str):
    return client.post(path(event).replace("/change/", "/archive/"), {"do": do}, follow=True)


def is_archived(event: Event) -> bool:
    return Event.objects.get(pk=event.pk).archived_at is not None


def test_button_archives_and_takes_out_again_and_both_are_logged(organizer, over):
    page = organizer.get(path(over)).content.decode()
    assert "<b>This week is over.</b>" in page
    said = messages_of(press(organizer, over, "archive").content.decode())
    assert said == [("success", f"“{over}” is archived.")]
    assert is_archived(over)
    page = organizer.get(path(over)).content.decode()
    assert "<b>Archived.</b>" in page
    press(organizer, over, "unarchive")
    assert not is_archived(over)
    logged = LogEntry.objects.order_by("pk").values_list("change_message", flat=True)
    assert list(logged) == ["Archived.", "Taken out of the archive."]


def test_event_with_a_session_ahead_is_not_archived(organizer, week):
    assert "Archive this week" not in organizer.get(path(week)).content.decode()
    said = messages_of(press(organizer, week, "archive").content.decode())
    assert said == [("error", "Nothing was done: it still has sessions ahead.")]
    with pytest.raises(NotOver):
        weeks.archive(event=week)
    assert not is_archived(week)


@pytest.mark.parametrize("status", ["draft", "published"])
def test_event_without_sessions_can_be_archived(organizer, other, status):
    Event.objects.filter(pk=other.pk).update(status=status)
    page = organizer.get(path(other)).content.decode()
    assert "<b>This week has no sessions.</b>" in page
    assert "This week is over" not in page
    assert "Archive this week" in page
    press(organizer, other, "archive")
    assert is_archived(other)


@pytest.mark.parametrize("status", ["draft", "published"])
def test_drafts_that_are_ahead_keep_it_from_the_archive(organizer, week, status):
    week.sessions.update(status="draft")
    Event.objects.update(status=status)
    assert "Archive this week" not in organizer.get(path(week)).content.decode()
    week.sessions.update(canceled_at=timezone.now())
    assert "Archive this week" in organizer.get(path(week)).content.decode()


def test_archiving_needs_permission_and_a_post(organizer, over):
    url = path(over).replace("/change/", "/archive/")
    assert client_of(member("view_event")).post(url, {"do": "archive"}).status_code == 403
    assert organizer.get(url).status_code == 405
    assert not is_archived(over)


def test_archiving_twice_changes_nothing(over):
    assert weeks.archive(event=over)
    assert not weeks.archive(event=over)
    assert weeks.unarchive(event=over)
    assert not weeks.unarchive(event=over)


def test_list_of_events_has_it_only_when_asked(organizer, archived, other):
    names = {True: str(archived), False: str(other)}
    for query, expected in (("", {False}), ("?archived=yes", {True})):
        page = organizer.get(f"/admin/events/event/{query}").content.decode()
        (table,) = re.findall(r'<table id="result_list">(.*?)</table>', page, re.DOTALL)
        assert {is_in for is_in, name in names.items() if name in table} == expected


def test_other_lists_leave_it_out_unless_it_is_chosen(organizer, archived, other):
    for url in ("events/session", "registrations/registration", "registrations/outgoingmail"):
        counts = [
            organizer.get(f"/admin/{url}/{query}").context["cl"].result_count
            for query in ("", f"?{field_of(url)}__id__exact={archived.pk}")
        ]
        assert counts[0] == 0
        assert counts[1] > 0
    # Someone who asks us to erase their data is found.
    found = organizer.get("/admin/registrations/registration/?q=alice").context["cl"]
    assert found.result_count == 1


def field_of(url: str) -> str:
    return "registration__event" if "outgoingmail" in url else "event"


def test_choosers_leave_it_out(organizer, archived, other):
    for url in (
        "/admin/",
        "/admin/events/session/",
        "/admin/events/session/add/",
        "/admin/registrations/question/add/",
        "/admin/registrations/announcement/add/",
        "/admin/registrations/mailtext/add/",
        "/admin/registrations/seat/",
        f"/admin/?event={other.pk}",
    ):
        page = organizer.get(url).content.decode()
        assert str(archived) not in page, url


def test_its_own_session_can_still_be_saved(organizer, archived):
    session = archived.sessions.first()
    form = form_of(organizer, path(session)) | {"title_en": "Another"}
    post_twice(organizer, path(session), form)
    session.refresh_from_db()
    assert session.title_en == "Another"


def test_desk_without_another_week_offers_to_create_one(organizer, archived):
    assert "There's no week yet" in organizer.get("/admin/").content.decode()
    assert str(archived) in organizer.get(f"/admin/?event={archived.pk}").content.decode()


def test_its_public_page_stays(client, archived):
    assert client.get(archived.get_absolute_url()).status_code == 200


def test_copy_of_an_archived_week_is_not_archived(archived):
    archived.refresh_from_db()
    copy = weeks.copy_week(
        event=archived,
        first_day=a_saturday_ahead(),
        names={"name_en": "Again"},
        slug="again",
        draft_key=uuid.uuid4(),
    ).event
    assert Event.objects.get(pk=copy.pk).archived_at is None
