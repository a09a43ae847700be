"""Canceling a registration, and coming back."""

import pytest
from django.utils import timezone

from events.models import Event
from registrations import signup
from registrations.models import Registration
from tests.people import sign_up
from tests.registrations.views.my_page.pages import DAY, own, said, sent, words

pytestmark = [pytest.mark.django_db, pytest.mark.once]


def test_cancel_page_asks_first(client, alice):
    page = words(client.get(own(alice, "cancel/")))
    assert "Yes, cancel my registration" in page
    assert Registration.objects.get().canceled_at is None


def test_canceled_page_offers_to_restore_the_registration(client, alice):
    sent(alice)
    page = client.post(own(alice, "cancel/"), follow=True)
    assert "Your registration is canceled" in words(page)
    for closed in (own(alice, "calendar.ics"), f"/join/{alice.token}/opening/"):
        assert client.get(closed).status_code == 404
    for _press in range(2):
        answer = client.post(own(alice, "return/"))
        assert said(answer) == (f"{own(alice)}#status", "back")
    assert "Welcome back." in words(client.get(answer["Location"]))
    assert client.get(f"/join/{alice.token}/opening/").status_code == 200
    assert alice.seats.filter(state="seated").count() == 6
    kinds = alice.mails.order_by("pk").values_list("kind", flat=True)
    assert list(kinds) == ["links", "links", "schedule"]


def test_restoring_after_a_new_registration_is_explained(client, week, alice):
    signup.cancel(registration=alice)
    sign_up(week)
    answer = client.post(own(alice, "return/"), follow=True)
    assert "You've already registered again." in words(answer)
    assert f'href="/{week.slug}/find/"' in answer.content.decode()
    assert Registration.objects.active().count() == 1


def test_registration_is_not_restored_once_registration_is_closed(client, week, alice):
    signup.cancel(registration=alice)
    Event.objects.update(registration_closes_at=timezone.now())
    answer = client.post(own(alice, "return/"), follow=True)
    assert "Registration has closed, so you can't sign up again here." in words(answer)
    assert Registration.objects.active().count() == 0


def test_cancel_page_warns_when_it_is_final(client, alice):
    assert "you can sign up again while registration is open" in words(
        client.get(own(alice, "cancel/"))
    )
    Event.objects.update(registration_closes_at=timezone.now())
    assert "you won't be able to sign up again here" in words(client.get(own(alice, "cancel/")))


def test_registration_that_opens_again_later_is_not_called_closed(client, alice):
    Event.objects.update(registration_opens_at=timezone.now() + DAY)
    page = words(client.get(own(alice, "cancel/")))
    assert "you can only sign up again once it opens" in page
    change = words(client.get(own(alice, "change/")))
    assert "you can't add one or get it back until it opens" in change
    assert "Registration has closed" not in page + change
