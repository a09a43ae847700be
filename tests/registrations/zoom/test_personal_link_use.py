"""Personal links in emails and on the join page."""

import datetime as dt
import email.policy
from collections.abc import Iterator
from email import message_from_bytes
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from django.core.mail import EmailMessage
from django.test import Client
from django.utils import timezone
from django.utils.html import escape

from events.models import Event, Meeting, ZoomAccount
from registrations import seats, signup
from registrations.mail import writer
from registrations.models import OutgoingMail, PersonalLink, Seat
from tests.people import sign_up
from tests.registrations.zoom.registrants import links_of, sync_now

pytestmark = [pytest.mark.django_db, pytest.mark.once]


# Emails


def written(mail: OutgoingMail) -> EmailMessage:
    return writer.writer_for([mail])(mail)


def test_email_contains_only_the_persons_own_links(personal, zoom_account):
    alice, bob = sign_up(personal, "Alice Adams"), sign_up(personal, "Bob Brown")
    sync_now()
    mail = written(alice.mails.get())
    sent = message_from_bytes(mail.message().as_bytes(), policy=email.policy.default)
    text = sent.get_body(("plain",)).get_content()
    html = sent.get_body(("html",)).get_content()
    for link in links_of(alice):
        assert f"\n{link.join_url}\n" in text
        assert f'href="{escape(link.join_url)}"' in html
    for link in links_of(bob):
        assert link.registrant_id not in text
        assert parse_qs(urlsplit(link.join_url).query)["tk"][0] not in text + html
    assert text.count(f"/join/{alice.token}/") == 2
    assert "Passcode" not in text + html
    assert mail.body.replace("\r\n", "\n") in text.replace("\r\n", "\n")


def test_email_without_zoom_links_has_only_our_own(personal):
    alice = sign_up(personal)
    mail = written(alice.mails.get())
    assert "out of reach" not in mail.body
    assert "\ue000" not in mail.body
    assert mail.body.count(f"/join/{alice.token}/") == 2


def test_email_waits_for_links_up_to_20_seconds(personal, zoom_account):
    alice = sign_up(personal)
    wait = alice.mails.get().due_at - timezone.now()
    assert dt.timedelta(seconds=15) < wait <= dt.timedelta(seconds=20)
    sync_now()
    assert alice.mails.get().due_at <= timezone.now()


def test_email_waits_until_the_person_has_all_links(personal, zoom_account):
    alice = sign_up(personal)
    zoom_account.fail("500", call="add_registrants")
    sync_now()
    assert alice.mails.get().due_at > timezone.now()
    sync_now(2)
    assert alice.mails.get().due_at <= timezone.now()


def test_email_does_not_wait_for_a_refused_link(personal, zoom_account):
    bad = sign_up(personal, "Bad Adams", email="x" * 125 + "@example.org")
    sync_now()
    assert bad.mails.get().due_at <= timezone.now()


@pytest.mark.parametrize(
    "prevent",
    [
        lambda settings: Event.objects.update(zoom_mode="shared"),
        lambda settings: setattr(settings, "ZOOM_CLIENT_ID", ""),
        lambda settings: ZoomAccount.objects.update_or_create(
            pk=1, defaults={"resumes_at": timezone.now() + dt.timedelta(minutes=1)}
        ),
    ],
)
def test_email_does_not_wait_when_no_link_will_come_soon(personal, settings, prevent):
    prevent(settings)
    personal.refresh_from_db()
    assert sign_up(personal).mails.get().due_at <= timezone.now()


def test_email_has_no_link_of_an_earlier_address(personal, zoom_account):
    alice = sign_up(personal)
    sync_now()
    ZoomAccount.objects.update_or_create(
        pk=1, defaults={"resumes_at": timezone.now() + dt.timedelta(minutes=1)}
    )
    signup.correct_email(registration=alice, email="right@example.org")
    mail = alice.mails.order_by("-pk").first()
    assert mail.due_at <= timezone.now()
    assert "out of reach" not in written(mail).body


def test_email_to_someone_with_all_links_does_not_wait(personal, zoom_account):
    alice = sign_up(personal)
    sync_now()
    OutgoingMail.objects.update(created_at=timezone.now() - dt.timedelta(hours=1), state="failed")
    signup.resend_links(registrations=[alice])
    assert alice.mails.order_by("-pk").first().due_at <= timezone.now()


def test_promotion_email_waits_too(personal, zoom_account):
    alice = sign_up(personal)
    alice.seats.update(state="waiting", waiting_since=timezone.now())
    seats.promote(seat=alice.seats.first())
    mail = alice.mails.get(kind="promoted")
    assert mail.due_at > timezone.now()
    sync_now()
    mail.refresh_from_db()
    assert mail.due_at <= timezone.now()


# The join page


@pytest.fixture
def open_seat(personal) -> Iterator[Seat]:
    """Alice's seat in the first session, whose doors are open. It has no link yet."""
    alice = sign_up(personal)
    seat = alice.seats.order_by("session__starts_at").first()
    with time_machine.travel(seat.session.starts_at - dt.timedelta(minutes=5), tick=True):
        yield seat


def join(client: Client, seat: Seat) -> Any:
    """Send the form of the join page."""
    return client.post(f"/join/{seat.registration.token}/{seat.session.slug}/")


def test_join_page_leads_to_the_persons_link(client, open_seat):
    sync_now()
    link = PersonalLink.objects.get(seat=open_seat)
    page = client.get(f"/join/{open_seat.registration.token}/{open_seat.session.slug}/").text
    assert "Join on Zoom" in page
    assert urlsplit(link.join_url).netloc not in page
    # Neither would the meeting's ID let them in.
    assert "Zoom meeting ID" not in page
    assert join(client, open_seat).headers["Location"] == link.join_url
    open_seat.refresh_from_db()
    assert open_seat.opened_at is not None


def test_join_page_waits_for_a_link_until_the_start(client, open_seat):
    page = join(client, open_seat)
    assert "Your Zoom link is on its way" in page.content.decode()
    open_seat.refresh_from_db()
    assert open_seat.opened_at is None
    with time_machine.travel(open_seat.session.starts_at, tick=False):
        shared = Meeting.objects.get(session=open_seat.session).join_url
        assert join(client, open_seat).headers["Location"] == shared


def test_join_page_sends_refused_people_to_zooms_form(client, open_seat):
    sync_now()
    PersonalLink.objects.update(state="refused")
    shared = Meeting.objects.get(session=open_seat.session).join_url
    assert join(client, open_seat).headers["Location"] == shared


def test_join_page_ignores_links_of_a_deleted_meeting(client, open_seat):
    sync_now()
    Meeting.objects.filter(session=open_seat.session).update(state="gone")
    assert "Almost ready" in join(client, open_seat).content.decode()
    Meeting.objects.filter(session=open_seat.session).update(state="made", zoom_id=1)
    assert "Almost ready" in join(client, open_seat).content.decode()


@pytest.mark.parametrize("how", ["head", "get", "prefetch", "closed"])
def test_seat_is_opened_only_by_a_redirect(client, open_seat, how):
    sync_now()
    address = f"/join/{open_seat.registration.token}/{open_seat.session.slug}/"
    if how == "head":
        client.head(address)
    elif how == "get":
        client.get(address)
    elif how == "prefetch":
        client.get(address, headers={"Sec-Purpose": "prefetch"})
    else:
        with time_machine.travel(open_seat.session.starts_at - dt.timedelta(hours=2)):
            client.get(address)
            join(client, open_seat)
    open_seat.refresh_from_db()
    assert open_seat.opened_at is None


def test_host_is_told_how_to_get_in(personal, zoom_account, client):
    host = sign_up(personal, "Host Adams", email=zoom_account.account.owner.email)
    session = personal.sessions.first()
    sync_now()
    zoom_url = Meeting.objects.get(session=session).join_url
    help_text = f"Sign in to Zoom as {host.email}"
    assert help_text in client.get(host.get_absolute_url()).content.decode()
    for method in (client.get, client.post):
        with time_machine.travel(session.starts_at, tick=False):
            response = method(f"/join/{host.token}/{session.slug}/")
        assert response.status_code == 200
        page = response.content.decode()
        assert help_text in page
        assert f'href="{escape(zoom_url)}"' in page
        assert "Join on Zoom" not in page
