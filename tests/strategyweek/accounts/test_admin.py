"""Organizers' accounts in the admin."""

import re
from html import unescape

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User

from events import history
from tests.admin_pages import act, path
from tests.strategyweek.test_permissions import member

pytestmark = pytest.mark.django_db

DELETE = {"post": "yes", "action": "delete_selected"}


def text(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


@pytest.fixture
def helper(opening) -> User:
    """Someone who changed a session."""
    helper = member("view_session")
    history.log(helper.pk, [opening], CHANGE, "Changed.")
    return helper


def test_account_with_a_history_is_not_deleted(admin_client, helper):
    url = path(helper).replace("/change/", "/delete/")
    page = text(admin_client.get(url).content.decode())
    assert "This account can't be deleted, because the history says what it changed: helper" in page
    assert "Open the account and uncheck “Active” instead." in page
    admin_client.post(url, DELETE)
    assert LogEntry.objects.get(user=helper).change_message == "Changed."


def test_accounts_with_a_history_are_not_deleted_from_the_list(admin_client, helper):
    other = member(name="other")
    page = act(admin_client, User, "delete_selected", helper, other)
    assert "This account can't be deleted" in text(page)
    form = DELETE | {"_selected_action": [helper.pk, other.pk]}
    admin_client.post(path(User, "changelist"), form)
    assert User.objects.filter(pk__in=[helper.pk, other.pk]).count() == 2
    assert LogEntry.objects.filter(user=helper).exists()


def test_account_that_changed_nothing_is_deleted(admin_client, helper):
    other = member(name="other")
    admin_client.post(path(other).replace("/change/", "/delete/"), DELETE)
    assert not User.objects.filter(pk=other.pk).exists()
