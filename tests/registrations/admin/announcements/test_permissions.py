"""What people see and may do who may only view announcements, or not even that."""

import re

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from tests.registrations.admin.announcements.pages import (
    ADD,
    LIST,
    buttons,
    change_url,
    filled,
    press,
    queued_tests,
    review_url,
    text,
)

pytestmark = pytest.mark.django_db


@pytest.mark.once
def test_viewers_see_the_pages_without_buttons(viewer, draft, started):
    for announcement in (draft, started):
        page = viewer.get(review_url(announcement))
        assert (page.status_code, buttons(page)) == (200, [])
    assert viewer.get(f"{review_url(draft)}mail/").status_code == 200
    assert viewer.get(change_url(draft)).status_code == 200


@pytest.mark.once
def test_names_are_hidden_from_people_who_may_not_view_registrations(
    viewer, draft, started, people
):
    for url in (review_url(draft), f"{review_url(draft)}?person={people[1].pk}"):
        page = viewer.get(url)
        shown = page.content.decode() + viewer.get(page.context["html_url"]).content.decode()
        assert "Preview with a sample person" in shown
        assert "4 people would get it now." in text(page)
        assert (page.context["previous"], page.context["following"]) == (None, None)
        assert not re.search("(alice|bob)( |@)", shown, re.IGNORECASE)
    for announcement in (draft, started):
        url = f"{review_url(announcement)}mail/?person={people[1].pk}"
        assert "Dear Siobhán" in viewer.get(url).content.decode()


@pytest.mark.once
def test_test_email_of_people_who_may_not_view_registrations_names_no_one(
    viewer, draft, people, django_user_model
):
    writer = django_user_model.objects.get(username="viewer")
    writer.user_permissions.add(Permission.objects.get(codename="change_announcement"))
    press(viewer, draft, "test", person=people[1].pk)
    (mail,) = queued_tests()
    assert mail.recipient == "v@example.org"
    assert "Dear Siobhán" in mail.message["text"]


@pytest.mark.once
def test_names_are_shown_to_people_who_may_view_registrations(
    viewer, draft, people, django_user_model
):
    looker = django_user_model.objects.get(username="viewer")
    looker.user_permissions.add(Permission.objects.get(codename="view_registration"))
    page = viewer.get(f"{review_url(draft)}?person={people[1].pk}")
    assert "Preview for Bob B" in text(page)


@pytest.mark.once
def test_viewers_cannot_press_buttons(viewer, started):
    for do in ("test", "now", "later", "take back", "pause", "resume", "stop", "again"):
        assert press(viewer, started, do, people="4").status_code == 403
        assert started.state == "sending"


@pytest.mark.once
def test_viewers_cannot_write_or_delete(viewer, week, draft, started):
    for url in (ADD, change_url(draft), change_url(started)):
        assert viewer.post(url, filled(week)).status_code == 403
    delete = reverse("admin:registrations_announcement_delete", args=[draft.pk])
    assert viewer.post(delete, {"post": "yes"}).status_code == 403


@pytest.mark.once
def test_announcements_are_hidden_from_people_who_may_not_view_them(
    client, django_user_model, draft
):
    stranger = django_user_model.objects.create_user("s", "s@example.org", "x", is_staff=True)
    client.force_login(stranger)
    for url in (LIST, review_url(draft), f"{review_url(draft)}mail/"):
        assert client.get(url).status_code == 403


@pytest.mark.once
def test_buttons_need_a_csrf_token(draft, django_user_model, people):
    client = Client(enforce_csrf_checks=True)
    client.force_login(django_user_model.objects.create_superuser("o", "o@example.org", "x"))
    assert press(client, draft, "now", people="4").status_code == 403
    assert draft.state == "draft"
