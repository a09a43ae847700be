"""What mail providers report afterwards, as they send it, to the webhook."""

import base64
import datetime as dt
import json

import pytest
from django.test import Client, override_settings
from django.urls import include, path
from django.utils import timezone

from registrations.mail import writer
from registrations.models import OutgoingMail
from registrations.outbox import delivery, mail_queue
from tests.people import sign_up

pytestmark = pytest.mark.django_db

SECRET = "provider:s3cret"


def urlpatterns_with_webhooks():
    from strategyweek.urls import bounce_urls, urlpatterns

    reports = include((bounce_urls("postmark"), "anymail"))
    return [path("webhooks/mail/", reports), *urlpatterns]


@pytest.fixture
def report(settings, week):
    """Post a report of Postmark's about a mail; returns the answer's status."""
    urls = type("Urls", (), {"urlpatterns": urlpatterns_with_webhooks()})
    settings.ANYMAIL = {"WEBHOOK_SECRET": SECRET}

    def report(payload: dict, secret: str = SECRET) -> int:
        authorization = base64.b64encode(secret.encode()).decode()
        with override_settings(ROOT_URLCONF=urls):
            return (
                Client()
                .post(
                    "/webhooks/mail/postmark/tracking/",
                    json.dumps(payload),
                    content_type="application/json",
                    headers={"Authorization": f"Basic {authorization}"},
                )
                .status_code
            )

    return report


def sent_mail(week, **fields) -> OutgoingMail:
    mail = sign_up(week).mails.get()
    mail.state, mail.sent_at = "sent", timezone.now()
    for name, value in fields.items():
        setattr(mail, name, value)
    mail.save()
    return mail


def bounce(mail: OutgoingMail, **fields) -> dict:
    return {
        "RecordType": "Bounce",
        "Type": "HardBounce",
        "MessageID": "883953f4-6105-42a2-a16a-77a8eac79483",
        "Description": "The server was unable to deliver your message (ex: unknown user).",
        "Email": mail.registration.email,
        "BouncedAt": "2026-11-05T16:33:54Z",
        "Metadata": {"mail": mail_queue.message_id(mail)},
        **fields,
    }


def test_bounce_marks_the_email_and_its_reader_as_unreachable(week, report):
    mail = sent_mail(week)
    assert report(bounce(mail)) == 200
    mail.refresh_from_db()
    assert mail.state == "bounced"
    assert "unable to deliver" in mail.last_error
    assert list(week.registrations.unreachable()) == [mail.registration]


def test_repeated_report_is_harmless(week, report):
    mail = sent_mail(week)
    assert [report(bounce(mail)), report(bounce(mail))] == [200, 200]
    mail.refresh_from_db()
    assert mail.state == "bounced"


def test_complaint_unsubscribes(week, report):
    mail = sent_mail(week)
    complaint = bounce(mail, RecordType="SpamComplaint", Type="SpamComplaint", TypeCode=512)
    assert report(complaint) == 200
    mail.refresh_from_db()
    assert mail.state == "complained"
    mail.registration.refresh_from_db()
    assert mail.registration.unsubscribed_at is not None


def test_email_is_also_found_by_the_providers_id(week, report):
    mail = sent_mail(week, provider_id="883953f4-6105-42a2-a16a-77a8eac79483")
    assert report(bounce(mail, Metadata={})) == 200
    mail.refresh_from_db()
    assert mail.state == "bounced"


def test_report_received_before_the_outcome_is_recorded_is_kept(week, report):
    sign_up(week)

    def writer_for(mails):
        write = writer.writer_for(mails)

        def write_and_report(mail):
            message = write(mail)
            assert report(bounce(mail)) == 200
            return message

        return write_and_report

    delivery.deliver_due(writer_for)
    assert OutgoingMail.objects.get().state == "bounced"


@pytest.mark.parametrize(
    "metadata", [{"mail": "<0.x@y>"}, {"mail": "x"}, {"mail": f"<{'9' * 30}.1@y>"}, {}]
)
def test_report_about_an_unknown_email_changes_nothing(week, report, metadata):
    mail = sent_mail(week)
    assert report(bounce(mail, Metadata=metadata)) == 200
    mail.refresh_from_db()
    assert mail.state == "sent"


@pytest.mark.parametrize(
    "fields",
    [
        {"MessageID": "\0\ud800", "Metadata": {}},
        {"MessageID": ["x"], "Metadata": {"mail": ["x"]}},
        {"MessageID": 7, "Metadata": {"mail": None}},
    ],
)
def test_report_with_fields_of_other_types_is_accepted(week, report, fields):
    mail = sent_mail(week)
    assert report(bounce(mail, **fields)) == 200
    mail.refresh_from_db()
    assert mail.state == "sent"


def test_reason_that_no_database_can_store_is_saved_without_it(week, report):
    mail = sent_mail(week)
    assert report(bounce(mail, Description="Unknown\0user\ud800")) == 200
    mail.refresh_from_db()
    assert mail.last_error == "Postmark: Unknown\ufffduser?"


def test_old_report_does_not_match_an_email_that_was_sent_again(week, report):
    mail = sent_mail(week)
    old = bounce(mail)
    report(old)
    assert mail_queue.resend(OutgoingMail.objects.all()) == 1
    assert report(old) == 200
    mail.refresh_from_db()
    assert mail.state == "waiting"


def delivery_of(mail: OutgoingMail) -> dict:
    return bounce(mail, RecordType="Delivery", DeliveredAt="2026-11-05T16:33:54Z")


def test_delivery_and_opening_do_not_change_the_state(week, report):
    mail = sent_mail(week)
    opening = bounce(mail, RecordType="Open", ReceivedAt="2026-11-05T16:33:54Z")
    assert [report(delivery_of(mail)), report(opening)] == [200, 200]
    mail.refresh_from_db()
    assert mail.state == "sent"


def newer_mail(mail: OutgoingMail, **fields) -> OutgoingMail:
    """Another email to the same person, sent a minute later."""
    details = {"kind": "schedule", "state": "sent", **fields}
    sent_at = details.pop("sent_at", mail.sent_at + dt.timedelta(minutes=1))
    return mail.registration.mails.create(key="newer", sent_at=sent_at, **details)


def test_delivery_of_a_newer_email_clears_a_bounce(week, report):
    mail = sent_mail(week)
    newer = newer_mail(mail)
    report(bounce(mail, Type="SoftBounce"))
    assert list(week.registrations.unreachable()) == [mail.registration]
    report(delivery_of(newer))
    assert list(week.registrations.unreachable()) == []
    report(bounce(newer, Type="SoftBounce"))
    assert list(week.registrations.unreachable()) == [mail.registration]


def test_delivery_reported_before_the_bounce_of_an_older_email_clears_it_too(week, report):
    mail = sent_mail(week)
    report(delivery_of(newer_mail(mail)))
    report(bounce(mail, Type="SoftBounce"))
    assert list(week.registrations.unreachable()) == []


@pytest.mark.parametrize("case", ["same email", "older email", "sent again", "complaint"])
def test_other_deliveries_do_not_make_someone_reachable(week, report, case):
    mail = sent_mail(week)
    if case == "same email":
        report(delivery_of(mail))
    elif case == "older email":
        report(delivery_of(newer_mail(mail, sent_at=mail.sent_at - dt.timedelta(minutes=1))))
    elif case == "sent again":
        newer = newer_mail(mail, state="bounced")
        report(delivery_of(newer))
        mail_queue.resend(OutgoingMail.objects.filter(pk=newer.pk))
    else:
        report(delivery_of(newer_mail(mail)))
        report(bounce(mail, RecordType="SpamComplaint", Type="SpamComplaint", TypeCode=512))
    if case != "complaint":
        report(bounce(mail))
    assert list(week.registrations.unreachable()) == [mail.registration]


@pytest.mark.parametrize("secret", ["provider:wrong", "x:s3cret", ":"])
def test_wrong_secret_is_rejected(week, report, secret):
    mail = sent_mail(week)
    assert report(bounce(mail), secret=secret) == 400
    mail.refresh_from_db()
    assert mail.state == "sent"


def test_webhook_does_not_exist_without_a_secret(client, week):
    mail = sent_mail(week)
    address = "/webhooks/mail/postmark/tracking/"
    answer = client.post(address, json.dumps(bounce(mail)), content_type="application/json")
    assert answer.status_code == 404
