"""An announcement that is being sent, or was: its progress, and the buttons to pause or stop it."""

import datetime as dt
import html
import re

import pytest
from django.utils import timezone

from registrations.mail import announcements
from registrations.models import OutgoingMail
from tests.people import sign_up
from tests.registrations.admin.announcements.pages import buttons, press, review_url, said, text

pytestmark = pytest.mark.django_db


@pytest.mark.once
def test_sending_a_started_announcement_shows_a_friendly_message(admin_client, started):
    later = (timezone.now() + dt.timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")
    for do, fields in (("now", {"people": "4"}), ("later", {"send_at": later})):
        answer = press(admin_client, started, do, **fields)
        assert said(answer)[-1].startswith("Nothing was done:")
        assert started.state == "sending"


@pytest.mark.once
def test_progress_page_refreshes(admin_client, started):
    sent, failed, *_rest = started.mails.order_by("pk")
    OutgoingMail.objects.filter(pk=sent.pk).update(state="sent", sent_at=timezone.now())
    OutgoingMail.objects.filter(pk=failed.pk).update(state="failed")
    page = admin_client.get(review_url(started))
    assert page["Refresh"] == "5"
    assert '<progress class="bar" max="4" value="2"' in page.content.decode()
    assert "Sent 1 Waiting 2 Failed 1 No longer needed 0" in text(page)
    assert "2 emails to go, a moment left." in text(page)
    assert buttons(page) == ["pause", "again"]


@pytest.mark.once
def test_failures_are_an_alarm_once_sending_is_over(admin_client, started):
    started.mails.update(state="sent", sent_at=timezone.now())
    failed = started.mails.first()
    OutgoingMail.objects.filter(pk=failed.pk).update(state="failed", sent_at=None)
    page = admin_client.get(review_url(started))
    assert '<span class="badge badge--alarm">Sent to 3, 1 failed</span>' in page.content.decode()
    assert 'class="panel panel--alarm"' in page.content.decode()
    assert "Sent to 3 people, 1 failed" in text(page)
    OutgoingMail.objects.filter(pk=failed.pk).update(state="dropped")
    page = admin_client.get(review_url(started))
    assert '<span class="badge badge--sending">Sent</span>' in page.content.decode()
    assert '<progress class="bar" max="3" value="3"' in page.content.decode()


@pytest.mark.once
def test_stopped_announcement_shows_how_many_were_sent(admin_client, started):
    sent, failed, *_rest = started.mails.order_by("pk")
    OutgoingMail.objects.filter(pk=sent.pk).update(state="sent", sent_at=timezone.now())
    OutgoingMail.objects.filter(pk=failed.pk).update(state="failed")
    announcements.stop(announcement=started)
    page = admin_client.get(review_url(started))
    assert '<progress class="bar" max="4" value="1"' in page.content.decode()
    assert "Stopped at 1 of 4" in text(page)
    assert "25%" in text(page)
    assert "Sent 1 Waiting 0 Failed 1 Not sent 2" in text(page)


@pytest.mark.once
def test_stopping_is_confirmed_on_a_page_that_does_not_refresh(admin_client, started):
    assert 'href="?stop=1"' in admin_client.get(review_url(started)).content.decode()
    page = admin_client.get(f"{review_url(started)}?stop=1")
    assert ("Refresh" in page, buttons(page)) == (False, ["pause", "stop"])
    assert f'<a href="{review_url(started)}">Go back</a>' in page.content.decode()
    started.mails.update(state="sent", sent_at=timezone.now())
    assert buttons(admin_client.get(f"{review_url(started)}?stop=1")) == []


@pytest.mark.once
def test_failed_emails_are_linked(admin_client, started):
    started.mails.filter(pk=started.mails.first().pk).update(state="failed")
    page = admin_client.get(review_url(started)).content.decode()
    url = re.search(r'href="([^"]+announcement__id__exact[^"]+)"', page)[1]
    listed = admin_client.get(html.unescape(url)).context["cl"].result_list
    assert [mail.state for mail in listed] == ["failed"]


@pytest.mark.once
def test_page_of_a_sent_announcement_does_not_refresh(admin_client, started):
    started.mails.update(state="sent", sent_at=timezone.now())
    page = admin_client.get(review_url(started))
    assert ("Refresh" in page, buttons(page)) == (False, [])
    assert "Sent to 4 people" in text(page)


@pytest.mark.once
def test_pausing_resuming_and_stopping(admin_client, started):
    said_then = "A few emails that were already on their way may still arrive."
    assert said(press(admin_client, started, "pause")) == [f"Paused. {said_then}"]
    assert (started.state, set(started.mails.values_list("state", flat=True))) == (
        "paused",
        {"paused"},
    )
    paused = admin_client.get(review_url(started))
    assert ("Refresh" in paused, buttons(paused)) == (False, ["resume"])
    press(admin_client, started, "resume")
    assert set(started.mails.values_list("state", flat=True)) == {"waiting"}
    assert said(press(admin_client, started, "stop"))[-1] == f"Stopped. {said_then}"
    assert (started.state, set(started.mails.values_list("state", flat=True))) == (
        "stopped",
        {"dropped"},
    )
    assert buttons(admin_client.get(review_url(started))) == []


def test_failed_emails_are_sent_again_but_not_spam_complaints(admin_client, started):
    states = ["failed", "bounced", "complained", "sent"]
    for mail, state in zip(started.mails.all(), states, strict=True):
        sent_at = None if state == "failed" else timezone.now()
        OutgoingMail.objects.filter(pk=mail.pk).update(state=state, sent_at=sent_at)
    assert "Resend 2 failed emails" in text(admin_client.get(review_url(started)))
    assert said(press(admin_client, started, "again")) == [
        "2 emails will be sent again within seconds."
    ]
    assert sorted(started.mails.values_list("state", flat=True)) == [
        "complained",
        "sent",
        "waiting",
        "waiting",
    ]


@pytest.mark.once
def test_email_of_a_started_announcement_is_shown_for_its_first_recipient(
    admin_client, started, people
):
    sign_up(started.event, "Eve E")
    mail = admin_client.get(f"{review_url(started)}mail/").content.decode()
    assert "Dear Alice A" in mail
