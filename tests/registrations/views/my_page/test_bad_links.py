"""Links that don't work, or no longer: what they show, and that they do nothing."""

import re

import pytest
import time_machine
from django.utils import timezone

from events.models import Event
from registrations import signup
from registrations.models import OutgoingMail, Registration, new_token
from tests.people import sign_up
from tests.registrations.views.my_page.pages import DAY, own

pytestmark = [pytest.mark.django_db, pytest.mark.once]


def erased(person: Registration) -> None:
    fields = ("name", "email", "email_key", "organization", "us_state")
    blank = dict.fromkeys(
        (*fields, "search_key", "organization_search_key", "name_key", "zoom_email"), ""
    )
    now = timezone.now()
    Registration.objects.filter(pk=person.pk).update(canceled_at=now, erased_at=now, **blank)


PATHS = ("", "change/", "renew/", "cancel/", "calendar.ics")


def test_invalid_links_of_every_kind_get_the_same_friendly_page(client, week):
    alice, bob, charlie = (sign_up(week, name) for name in ("Alice A", "Bob B", "Charlie C"))
    erased(alice)
    signup.decline(registrations=[bob])
    signup.renew_links(registrations=[charlie])
    bad = [new_token(), charlie.token[:-1], alice.token, bob.token, charlie.token, "x"]
    answers = [client.get(f"/me/{token}/{path}") for token in bad for path in PATHS]
    answers.append(client.get(f"/join/{new_token()}/opening/"))
    assert {answer.status_code for answer in answers} == {404}
    (page,) = {answer.content for answer in answers}
    assert b"This link no longer works" in page
    assert f'href="/{week.slug}/find/"'.encode() in page


def test_invalid_links_get_that_page_in_debug_mode_too(client, week, settings):
    page = client.get("/me/x/").content
    settings.DEBUG = True
    for path in ("/me/x/", "/join/x/opening/", "/calendar/x.ics"):
        same = client.get(path)
        assert (same.status_code, same.content) == (404, page)
        assert same["Cache-Control"] == "no-store"
    # Of other addresses Django tells what it looked for.
    assert b"You\xe2\x80\x99re seeing this error because" in client.get("/nothing/").content


def test_invalid_links_do_nothing(client, alice):
    erased(alice)
    for path in ("change/", "resend/", "renew/", "cancel/", "return/"):
        assert client.post(own(alice, path)).status_code == 404
        assert client.post(f"/me/{new_token()}/{path}").status_code == 404
    assert OutgoingMail.objects.count() == 1


def test_other_missing_pages_do_not_mention_a_link(client, week):
    assert b"This link no longer works" not in client.get("/nothing/here/").content


def test_missing_page_names_the_events_that_it_may_belong_to(client, week):
    Event.objects.create(name="Draft", slug="draft-week", host="H", summary="S")
    page = client.get("/me/x/").content.decode()
    assert re.findall(r'href="/([\w-]+)/find/"', page) == [week.slug]
    with time_machine.travel(timezone.now() + 400 * DAY):
        assert b"/find/" not in client.get("/me/x/").content
    Event.objects.update(status="draft")
    assert b"/find/" not in client.get("/me/x/").content
