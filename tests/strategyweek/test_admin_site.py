"""The admin's own pages: its front page and accounts."""

import re

import pytest
from django.contrib.auth.models import User

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


@pytest.mark.parametrize("page", ["", "password_change/", "password_change/done/"])
def test_links_at_the_top_are_the_same_on_each_page(admin_client, page):
    text = admin_client.get(f"/admin/{page}").content.decode()
    assert "Public site" in text
    assert 'hreflang="es"' in text
    assert "Log out" not in text
