"""The page of all weeks that someone has registered for, and signing out."""

import datetime as dt
import re

import pytest
from allauth.account.models import EmailAddress
from django.contrib.auth.models import User
from django.utils import timezone

from events.load_week import load_strategy_week
from events.models import Event
from tests.axe import findings
from tests.browser import overflow
from tests.people import sign_up
from tests.strategyweek.accounts.sign_in import (
    CODE_PAGE,
    WEEKS,
    is_signed_in,
    main_text,
    newest_code,
    sign_in,
)

pytestmark = pytest.mark.django_db


def test_weeks_require_sign_in(client):
    assert client.get(WEEKS)["Location"] == f"{CODE_PAGE}?next=/me/"


def test_weeks_show_only_the_persons_own_registrations(week, client):
    alice, _bob = sign_up(week), sign_up(week, "Bob B")
    page = sign_in(client).content.decode()
    assert re.findall(r'href="(/me/[^"]+/)"', page) == [f"/me/{alice.token}/"]
    assert client.get(WEEKS)["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("address", "lookalike"),
    [("maria@fass.de", "maria@faß.de"), ("maria@github.com", "maria@gıthub.com")],
)
def test_weeks_of_a_lookalike_domain_are_not_shown(week, client, address, lookalike):
    sign_up(week, email=address)
    page = sign_in(client, lookalike)
    assert is_signed_in(client)
    assert "We couldn't find a registration for" in main_text(page)
    mine = sign_up(week, email=lookalike)
    assert f"/me/{mine.token}/" in client.get(WEEKS).content.decode()


def test_weeks_page_survives_an_address_that_nobody_can_register(client):
    user = User.objects.create(username="x")
    EmailAddress.objects.create(user=user, email="a@💩.la", verified=True)
    client.force_login(user)
    assert client.get(WEEKS).status_code == 200


def test_next_week_comes_first_and_past_ones_last(week, client):
    starts = (2040, 2012, 2018, 2035)
    years = [load_strategy_week(starting=dt.date(year, 10, 6)).event for year in starts]
    tokens = {event: sign_up(event).token for event in (week, *years)}
    page = sign_in(client).content.decode()
    order = [week, years[3], years[0], years[2], years[1]]
    assert re.findall(r'href="/me/([^"]+)/"', page) == [tokens[event] for event in order]


def test_weeks_that_are_drafts_are_not_shown(week, client):
    sign_up(week)
    Event.objects.update(status=Event.Status.DRAFT)
    assert "We couldn't find a registration for" in main_text(sign_in(client))


def test_weeks_of_an_unverified_address_are_not_shown(week, client):
    sign_up(week, "Bob B")
    sign_in(client)
    EmailAddress.objects.create(user=User.objects.get(), email="bob@example.org")
    assert "Drop LWOP" not in main_text(client.get(WEEKS))
    EmailAddress.objects.filter(email="bob@example.org").update(verified=True)
    assert "Drop LWOP" in main_text(client.get(WEEKS))


@pytest.mark.parametrize(
    "changes",
    [{"approval": "declined", "decided_at": timezone.now()}, {"canceled_at": timezone.now()}],
    ids=["declined", "canceled"],
)
def test_weeks_page_is_empty_after_canceling_or_being_declined(week, client, changes):
    alice = sign_up(week)
    type(alice).objects.update(**changes)
    page = sign_in(client)
    assert "We couldn't find a registration for alice@example.org." in main_text(page)
    assert alice.token not in page.content.decode()


def test_signing_out(week, client):
    sign_in(client)
    response = client.post("/accounts/logout/", follow=True)
    assert response.redirect_chain == [("/accounts/signed-out/", 302)]
    assert not is_signed_in(client)


@pytest.mark.once
@pytest.mark.parametrize(("width", "javascript"), [(320, True), (1280, False)])
def test_walk_from_the_footer_to_the_weeks_and_sign_out(week, new_page, javascript, width):
    sign_up(week)
    page = new_page(viewport={"width": width, "height": 800}, java_script_enabled=javascript)
    page.goto("/")
    page.get_by_role("link", name="Your weeks").click()
    page.get_by_label("Email address").fill("alice@example.org")
    page.get_by_role("button", name="Email me a code").click()
    page.get_by_label("Code").fill(newest_code())
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="Drop LWOP Strategy Week").click()
    page.get_by_role("heading", name="Your sessions").wait_for()
    page.go_back()
    page.get_by_role("button", name="Sign out").wait_for()
    assert overflow(page) == 0
    assert not javascript or findings(page) == []
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("heading", name="You're signed out").wait_for()
