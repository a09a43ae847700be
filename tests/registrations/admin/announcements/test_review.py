"""Reviewing an announcement: who gets it, and how it looks to each of them."""

import datetime as dt
import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from registrations.mail import unsubscribe
from registrations.models import Seat
from tests.people import sign_up
from tests.registrations.admin.announcements.pages import LIST, ODD, buttons, review_url, text

pytestmark = pytest.mark.django_db


WAITING = {"state": "waiting", "waiting_since": dt.datetime(2021, 10, 1, tzinfo=dt.UTC)}


def test_review_shows_how_many_people_get_it_and_who_is_left_out(admin_client, draft, people):
    unsubscribe.unsubscribe(registration=people[0])
    people[1].mails.update(state="bounced", sent_at=timezone.now())
    page = text(admin_client.get(review_url(draft)))
    assert "2 people would get it now. Everyone who's registered." in page
    assert "1 person who doesn't want announcements" in page
    assert "1 person our email doesn't reach" in page


@pytest.mark.once
def test_review_shows_the_limits_of_the_audience(admin_client, announce, week):
    session = week.sessions.get(slug="resentencing")
    announcement = announce(
        audience="session", session=session, organization="Families United", us_state="OH"
    )
    page = text(admin_client.get(review_url(announcement)))
    expected = f"People in one session: {session}; organization: Families United; state: Ohio."
    assert expected in page


@pytest.mark.once
def test_review_takes_the_same_queries_for_1_person_as_for_4(admin_client, draft, week):
    def queries() -> int:
        with CaptureQueriesContext(connection) as context:
            assert admin_client.get(review_url(draft)).status_code == 200
        return len(context)

    people = [sign_up(week, name) for name in ("Alice A", "Bob B")]
    two = queries()
    people += [sign_up(week, name) for name in ("Charlie C", "Dora D", "Eve E")]
    assert queries() == two


@pytest.mark.once
def test_preview_shows_the_email_of_the_chosen_person(admin_client, draft, people):
    page = admin_client.get(f"{review_url(draft)}?person={people[1].pk}")
    assert page.context["mail"].to == ["bob@example.org"]
    shown = page.content.decode()
    assert "<span>2 of 4</span>" in shown
    assert f'<a href="?person={people[0].pk}">&lsaquo; Previous person</a>' in shown
    assert f'<a href="?person={people[2].pk}">Next person &rsaquo;</a>' in shown
    assert "Dear Bob B, **hello**." in page.context["mail"].body
    mail = admin_client.get(page.context["html_url"])
    assert "Dear Bob B, <strong>hello</strong>." in mail.content.decode()


@pytest.mark.once
def test_person_outside_the_audience_cannot_be_chosen(admin_client, draft, people):
    unsubscribe.unsubscribe(registration=people[3])
    for chosen in ("", *ODD, people[3].pk):
        page = admin_client.get(f"{review_url(draft)}?person={chosen}")
        assert page.context["person"] == people[0]


@pytest.mark.once
def test_preview_contains_no_secret_links(admin_client, draft, people):
    page = admin_client.get(review_url(draft))
    mail = admin_client.get(page.context["html_url"]).content.decode()
    for shown in (page.content.decode(), mail):
        assert people[0].token not in shown


@pytest.mark.once
def test_preview_frame_allows_no_scripts(admin_client, draft, people):
    mail = admin_client.get(f"{review_url(draft)}mail/")
    assert mail["Content-Security-Policy"] == (
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; "
        "sandbox allow-popups allow-popups-to-escape-sandbox"
    )
    assert mail["X-Frame-Options"] == "SAMEORIGIN"


@pytest.mark.once
def test_unsafe_markdown_is_escaped(admin_client, announce, people):
    announcement = announce(
        body="<script>alert(1)</script>\n\n[click](javascript:alert(2))\n\n<img src=x onerror=y>"
    )
    mail = admin_client.get(f"{review_url(announcement)}mail/").content.decode()
    assert "<script>alert(1)" not in mail
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in mail
    assert not re.search(r'href="javascript:|<img[^>]+onerror', mail)


@pytest.mark.once
def test_preview_without_recipients_shows_a_made_up_person(admin_client, draft):
    page = admin_client.get(review_url(draft))
    assert "0 people No one matches, so there's no one to send it to." in text(page)
    assert "now" not in buttons(page)
    mail = admin_client.get(f"{review_url(draft)}mail/").content.decode()
    assert "Siobhán O&#x27;Brien &amp; Co" in mail


def test_odd_ids_are_not_found(admin_client, week):
    for odd in ODD:
        for url in (f"{LIST}{odd}/review/", f"{LIST}{odd}/review/mail/"):
            assert admin_client.get(url).status_code == 404
        assert admin_client.post(f"{LIST}{odd}/review/", {"do": "now"}).status_code == 404


@pytest.mark.once
def test_unknown_button_is_a_bad_request(admin_client, draft):
    assert admin_client.post(review_url(draft), {"do": "explode"}).status_code == 400
    assert admin_client.post(review_url(draft)).status_code == 400


def test_person_on_several_waitlists_is_counted_once(admin_client, announce, people, week):
    Seat.objects.filter(registration=people[0]).update(**WAITING)
    announcement = announce(audience="waiting")
    assert "1 person would get it now." in text(admin_client.get(review_url(announcement)))
