"""What holds for all of a person's pages: only buttons change anything, no cache keeps them."""

import pytest
from django.test import Client

from registrations import signup
from registrations.models import OutgoingMail, Registration, Seat, new_token
from tests.registrations.views.my_page.pages import own

pytestmark = [pytest.mark.django_db, pytest.mark.once]


@pytest.mark.parametrize("is_canceled", [False, True])
def test_get_of_a_post_only_page_redirects_to_my_page(client, alice, is_canceled):
    if is_canceled:
        signup.cancel(registration=alice)
    for path in ("resend/", "return/"):
        assert client.get(own(alice, path))["Location"] == own(alice)
        assert client.get(f"/me/{new_token()}/{path}").status_code == 404


def test_opening_every_page_changes_nothing(client, week, alice):
    """An email scanner opens every link, and then every link on the page."""

    def everything():
        return [
            list(model.objects.order_by("pk").values())
            for model in (Registration, Seat, OutgoingMail)
        ]

    paths = ("", "change/", "resend/", "renew/", "cancel/", "return/", "calendar.ics")
    pages = [own(alice, path) for path in paths]
    pages += [f"/join/{alice.token}/opening/", f"/{week.slug}/find/?email={alice.email}"]
    before = everything()
    for page in pages:
        client.get(page)
        client.head(page)
    assert everything() == before


def test_every_change_needs_a_csrf_token(alice):
    strict = Client(enforce_csrf_checks=True)
    for path in ("change/", "resend/", "renew/", "cancel/", "return/"):
        assert strict.post(own(alice, path)).status_code == 403
    assert strict.post(f"/{alice.event.slug}/find/", {"email": alice.email}).status_code == 403


def test_my_pages_are_kept_out_of_caches_referrers_and_search_engines(client, week, alice):
    """Each button does what it's for: a new link comes last."""
    answers = [client.get(f"/{week.slug}/find/"), client.post(f"/{week.slug}/find/")]
    for path in ("", "change/", "resend/", "cancel/", "return/", "renew/"):
        answers += [client.get(own(alice, path)), client.post(own(alice, path))]
    shown = [200, 200, 200, 405, 200, 200, 302, 302, 200, 302, 302, 302, 200, 302]
    assert [answer.status_code for answer in answers] == shown
    for answer in answers:
        headers = ("Cache-Control", "Referrer-Policy", "X-Robots-Tag")
        assert [answer[name] for name in headers] == ["no-store", "no-referrer", "noindex"]
