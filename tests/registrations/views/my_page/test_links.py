"""Getting the links again, and new ones."""

import pytest
import time_machine
from django.utils import timezone

from events.models import Event
from registrations import signup
from registrations.models import Registration, new_token
from tests.people import sign_up
from tests.registrations.views.my_page.pages import MINUTE, own, said, sent, words

pytestmark = [pytest.mark.django_db, pytest.mark.once]


def test_links_are_resent_at_most_every_ten_minutes(client, alice):
    sent(alice)
    later = timezone.now() + 11 * MINUTE
    for minutes, notice, count in ((0, "mailed", 2), (1, "mailed-before", 2), (11, "mailed", 3)):
        with time_machine.travel(later + minutes * MINUTE, tick=False):
            answer = client.post(own(alice, "resend/"))
            sent(alice)
        assert said(answer) == (f"{own(alice)}#status", notice)
        assert alice.mails.count() == count


def test_renew_page_explains_first_and_changes_nothing(client, alice):
    page = words(client.get(own(alice, "renew/")))
    assert "All the links in our earlier emails will stop working" in page
    assert "calendar" in page
    assert Registration.objects.get().token == alice.token


def test_renewing_leads_to_the_new_page_and_ends_the_old_one(client, alice):
    sent(alice)
    answer = client.post(own(alice, "renew/"))
    renewed = Registration.objects.get()
    assert renewed.token != alice.token
    assert said(answer) == (f"{own(renewed)}#status", "renewed")
    assert "You have a new private link." in words(client.get(answer["Location"]))
    assert alice.mails.filter(kind="links", state="waiting").count() == 1
    unknown = client.get(f"/me/{new_token()}/").content
    for old in (own(alice), own(alice, "calendar.ics"), f"/join/{alice.token}/opening/"):
        gone = client.get(old)
        assert (gone.status_code, gone.content) == (404, unknown)


def test_pending_person_can_renew_their_link(client, week):
    Event.objects.update(requires_approval=True)
    alice = sign_up(Event.objects.get())
    assert f'href="{own(alice, "renew/")}"' in client.get(own(alice)).content.decode()
    page = words(client.get(own(alice, "renew/")))
    assert [word for word in ("calendar", "Zoom", "join") if word in page] == []
    answer = client.post(own(alice, "renew/"))
    renewed = Registration.objects.get()
    assert renewed.token != alice.token
    assert said(answer) == (f"{own(renewed)}#status", "renewed")
    assert client.get(own(alice)).status_code == 404
    mailed = alice.mails.order_by("pk").values_list("kind", "state")
    assert list(mailed) == [("received", "dropped"), ("received", "waiting")]


def test_renewing_by_a_declined_person_does_nothing(client, alice):
    signup.decline(registrations=[alice])
    alice.refresh_from_db()
    assert client.post(own(alice, "renew/"))["Location"] == own(alice)
    assert Registration.objects.get().token == alice.token


def test_renewing_twice_renews_once(client, alice):
    client.post(own(alice, "renew/"))
    token = Registration.objects.get().token
    assert client.post(own(alice, "renew/")).status_code == 404
    assert Registration.objects.get().token == token
