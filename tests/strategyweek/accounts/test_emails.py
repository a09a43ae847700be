"""Account emails are sent first, and their text is deleted."""

from types import SimpleNamespace
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from registrations import tasks
from registrations.mail import bounces, stored_messages, writer
from registrations.models import OutgoingMail
from registrations.outbox import delivery, mail_queue
from tests.people import sign_up
from tests.strategyweek.accounts.sign_in import MAILS, MINUTE

pytestmark = pytest.mark.django_db


def queue(**changes: Any) -> OutgoingMail:
    fields = {"recipient": "alice@example.org", "subject": "Your code", "text": "ABCD-EFGH"}
    stored_messages.queue(**{**fields, "valid_for": 15 * MINUTE, **changes})
    return OutgoingMail.objects.latest("pk")


def test_account_email_is_sent_first_and_its_text_deleted(mailoutbox):
    mail = queue(html="<p>ABCD-EFGH</p>")
    assert mail.priority == OutgoingMail.Priority.URGENT
    delivery.deliver_due(writer.writer_for)
    (sent,) = mailoutbox
    assert (sent.to, sent.subject, sent.body) == (["alice@example.org"], "Your code", "ABCD-EFGH")
    assert sent.alternatives[0][0] == "<p>ABCD-EFGH</p>"
    assert sent.extra_headers["Auto-Submitted"] == "auto-generated"
    tasks.queue_due_mails()
    mail.refresh_from_db()
    assert (mail.state, mail.message, str(mail)) == ("sent", None, "Account to a deleted address")


def test_expired_account_email_is_dropped(mailoutbox):
    mail = queue()
    with time_machine.travel(timezone.now() + 16 * MINUTE):
        delivery.deliver_due(writer.writer_for)
        tasks.queue_due_mails()
    mail.refresh_from_db()
    assert (mail.state, mailoutbox, mail.message) == ("dropped", [], None)


def test_waiting_account_email_keeps_its_text(mailoutbox):
    queue()
    tasks.queue_due_mails()
    delivery.deliver_due(writer.writer_for)
    assert len(mailoutbox) == 1


def test_account_emails_and_others_are_sent_in_one_run(week, mailoutbox):
    sign_up(week)
    queue()
    delivery.deliver_due(writer.writer_for)
    assert sorted(mail.subject[:15] for mail in mailoutbox) == ["Your Zoom links", "Your code"]


@pytest.mark.parametrize(("event", "state"), [("bounced", "bounced"), ("complained", "complained")])
def test_bounce_of_an_account_email_is_recorded(mailoutbox, event, state):
    mail = queue()
    delivery.deliver_due(writer.writer_for)
    reported = SimpleNamespace(
        event_type=event,
        description="",
        mta_response="",
        esp_event={},
        reject_reason="",
        message_id="",
        metadata={"mail": mail_queue.message_id(mail)},
    )
    bounces.record(None, reported, "Postmark")
    mail.refresh_from_db()
    assert mail.state == state


def test_organizers_see_account_emails_without_their_text(admin_client):
    mail = queue()
    pages = [
        admin_client.get(url).content.decode()
        for url in (MAILS, f"{MAILS}{mail.pk}/change/", f"{MAILS}?q=alice", f"{MAILS}status/")
    ]
    assert ["alice@example.org" in page for page in pages] == [True, True, True, False]
    assert ["Account" in page for page in pages] == [True] * 4
    assert [text for text in ("ABCD", "Your code") for page in pages if text in page] == []
