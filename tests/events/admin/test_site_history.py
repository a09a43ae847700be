"""The history of the whole site: also of what belongs to no week, or was deleted with its week."""

import re

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType

from events import history
from events.models import Event, SiteSettings
from tests.events.admin.test_history import words
from tests.people import in_english
from tests.strategyweek.test_permissions import client_of, member

pytestmark = pytest.mark.django_db

PAGE = "/admin/admin/logentry/"
LINK = f'href="{PAGE}"'


@pytest.fixture
def entries(week, opening, admin_user) -> list[str]:
    """Entries of a week, of one that was deleted, and of what belongs to none."""
    gone = Event.objects.create(**in_english(name="Last year", summary="S"), slug="last-year")
    history.log(admin_user.pk, [gone], CHANGE, "Changed an old week.")
    gone.delete()
    history.log(admin_user.pk, [opening], CHANGE, "Changed a session.")
    history.log(admin_user.pk, [SiteSettings.objects.create(pk=1)], CHANGE, "Changed the sender.")
    history.log(admin_user.pk, [User.objects.first()], CHANGE, "Changed an account.")
    unknown = ContentType.objects.create(app_label="events", model="talk")
    LogEntry.objects.create(
        user=admin_user,
        content_type=unknown,
        object_id="1",
        object_repr="Hello",
        action_flag=CHANGE,
        change_message="Changed a talk.",
    )
    return ["a talk", "an account", "the sender", "a session", "an old week"]


def changed(answer) -> list[str]:
    return re.findall(r"Changed ([\w ]+)\.", answer.content.decode())


def test_everything_is_on_the_page_of_the_whole_site(organizer, entries):
    answer = organizer.get(PAGE)
    assert changed(answer) == entries
    page = words(answer.content.decode())
    assert "Talk “Hello” Changed a talk." in page
    assert "User “admin” Changed an account." in page
    assert "Back to" not in page


def test_page_is_filtered_by_person(organizer, entries, opening):
    helper = member(name="helper")
    history.log(helper.pk, [opening], CHANGE, "Changed by a helper.")
    assert changed(organizer.get(PAGE, {"by": helper.pk})) == ["by a helper"]
    assert changed(organizer.get(PAGE)) == ["by a helper", *entries]


def test_page_needs_a_permission_and_leaves_out_what_someone_may_not_view(entries):
    assert client_of(member("view_session")).get(PAGE).status_code == 403
    client = client_of(member("view_session", "view_logentry", name="trusted"))
    assert changed(client.get(PAGE)) == ["a session"]
    assert client.post(PAGE).status_code == 405


def test_front_page_links_to_it_for_those_who_may_see_it(organizer, week):
    assert LINK in organizer.get("/admin/").content.decode()
    assert LINK not in client_of(member("view_session")).get("/admin/").content.decode()
