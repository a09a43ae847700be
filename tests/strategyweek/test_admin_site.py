"""The admin's own pages: its front page, accounts, and what can't be deleted."""

import re

import pytest
from django.contrib.auth.models import User

from events.models import Event
from tests.people import sign_up

pytestmark = pytest.mark.django_db


def test_front_page_lists_what_the_week_needs_first_and_accounts_last(admin_client):
    page = admin_client.get("/admin/").content.decode()
    assert re.findall(r'<div class="app-(\w+) module', page) == ["events", "registrations", "auth"]
    assert "Accounts" in page


def test_new_account_has_an_email_address_and_a_password(admin_client):
    form = {"username": "helper", "email": "helper@example.org"}
    answer = admin_client.post("/admin/auth/user/add/", form)
    assert {*answer.context["adminform"].form.errors} == {"password1", "password2"}
    passwords = {"password1": "mountain sky 42", "password2": "mountain sky 42"}
    answer = admin_client.post("/admin/auth/user/add/", {**form, **passwords})
    assert answer.status_code == 302, answer.context["adminform"].form.errors
    helper = User.objects.get(username="helper")
    assert helper.email == "helper@example.org"
    assert helper.check_password("mountain sky 42")


def test_page_to_delete_says_why_people_who_signed_up_keep_it(admin_client, week):
    sign_up(week)
    event, session = f"event/{week.pk}", f"session/{week.sessions.first().pk}"
    pages = [admin_client.get(f"/admin/events/{each}/delete/") for each in (event, session)]
    texts = [page.content.decode() for page in pages]
    assert ["People have signed up for" in text for text in texts] == [True, True]
    assert ["You can cancel it instead" in text for text in texts] == [False, True]
    admin_client.post(f"/admin/events/{event}/delete/", {"post": "yes"})
    assert Event.objects.get() == week


@pytest.mark.parametrize("page", ["", "password_change/", "password_change/done/"])
def test_links_at_the_top_are_the_same_on_each_page(admin_client, page):
    text = admin_client.get(f"/admin/{page}").content.decode()
    assert "Public site" in text
    assert 'hreflang="es"' in text
    assert "Log out" not in text
