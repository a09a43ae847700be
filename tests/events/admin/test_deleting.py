"""Sessions and events that people have registered for aren't deleted: the page says what to do."""

import datetime as dt

import pytest
from django.utils import timezone

from events.models import Event, Session
from events.schedule import cancel_session
from registrations import signup
from registrations.models import Registration
from tests.admin_pages import path
from tests.people import sign_up
from tests.strategyweek.test_permissions import client_of, member

pytestmark = pytest.mark.django_db


def delete(client, thing) -> str:
    answer = client.post(path(thing).replace("change", "delete"), {"post": "yes"}, follow=True)
    return " ".join(answer.content.decode().split())


def delete_selected(client, *things) -> str:
    fields = {"action": "delete_selected", "_selected_action": [each.pk for each in things]}
    url = path(type(things[0]), "changelist")
    answer = client.post(url, {**fields, "post": "yes"}, follow=True)
    return " ".join(answer.content.decode().split())


def test_session_with_people_is_not_deleted_but_can_be_canceled(organizer, week, opening):
    sign_up(week)
    sign_up(week, "Bob B")
    page = delete(organizer, opening)
    assert f"2 people are registered.</b> So “{opening}” can't be deleted." in page
    assert "Cancel it instead." in page
    assert f'href="/admin/events/session/{opening.pk}/cancel/"' in page
    cancel_session(session=opening)
    page = delete(organizer, opening)
    assert "It's canceled, and its page says so." in page
    assert "Cancel it instead." not in page
    assert Session.objects.filter(pk=opening.pk).exists()


def test_action_of_the_list_deletes_no_session_with_people(organizer, week, opening, later):
    sign_up(week, sessions=[opening])
    page = delete_selected(organizer, opening, later)
    assert f"1 person is registered.</b> So “{opening}” can't be deleted." in page
    assert f"“{later}” can't be deleted" not in page
    assert Session.objects.filter(pk__in=[opening.pk, later.pk]).count() == 2
    delete_selected(organizer, later)
    assert not Session.objects.filter(pk=later.pk).exists()


def test_session_with_people_that_is_over_stays_and_is_not_canceled(organizer, week, opening):
    sign_up(week)
    ended = timezone.now() - dt.timedelta(hours=1)
    times = {"starts_at": ended - dt.timedelta(hours=1), "ends_at": ended}
    Session.objects.filter(pk=opening.pk).update(**times)
    page = delete(organizer, opening)
    assert "It's over, and it stays in your numbers." in page
    assert "Cancel" not in page.partition("can't be deleted")[2].partition("</section>")[0]
    assert Session.objects.filter(pk=opening.pk).exists()


def test_session_of_people_who_canceled_stays_for_the_numbers(organizer, week, opening):
    signup.cancel(registration=sign_up(week))
    page = delete(organizer, opening)
    assert "People were registered." in page
    assert "Cancel it instead." in page
    assert Session.objects.filter(pk=opening.pk).exists()


def test_session_without_people_is_deleted(organizer, week, opening):
    assert "Are you sure" in organizer.get(path(opening).replace("change", "delete")).text
    delete(organizer, opening)
    assert not Session.objects.filter(pk=opening.pk).exists()


def test_published_event_with_people_is_not_deleted(organizer, week):
    sign_up(week)
    for page in (delete(organizer, week), delete_selected(organizer, week)):
        assert f"1 person is registered.</b> So “{week}” can't be deleted." in page
        assert "Make it a draft first." in page
        assert "Delete this trial event…" not in page
    assert Event.objects.get() == week


def test_draft_with_people_can_be_deleted_on_another_page_by_those_who_may(organizer, week):
    sign_up(week)
    Event.objects.update(status="draft")
    link = f"/admin/registrations/registration/delete-event/{week.pk}/"
    assert link in delete(organizer, week)
    client = client_of(member("view_event", "delete_event", "view_registration"))
    assert link not in delete(client, week)
    assert Event.objects.get() == week


def test_event_without_people_is_deleted(organizer, week):
    delete(organizer, week)
    assert not Event.objects.exists()


def test_registration_is_not_deleted(organizer, week):
    url = path(sign_up(week)).replace("change", "delete")
    assert organizer.post(url, {"post": "yes"}).status_code == 403
    assert Registration.objects.count() == 1
