"""Test emails of an announcement."""

import pytest

from registrations.outbox import mail_queue
from tests.registrations.admin.announcements.pages import press, queued_tests, review_url, said
from tests.services.process import eventually

pytestmark = pytest.mark.django_db


@pytest.mark.once
def test_test_email_goes_to_the_organizer_as_the_shown_person_gets_it(admin_client, draft, people):
    answer = press(admin_client, draft, "test", person=people[2].pk)
    assert answer["Location"] == f"{review_url(draft)}?person={people[2].pk}&in=en"
    assert said(answer) == ["A test is on its way to admin@example.com."]
    (mail,) = queued_tests()
    assert (mail.recipient, mail.state, mail.priority) == ("admin@example.com", "waiting", 0)
    assert mail.message["subject"] == "[Test] News"
    assert "Dear Charlie C" in mail.message["text"]
    assert "Dear Charlie C" in mail.message["html"]
    assert (draft.state, draft.mails.count()) == ("draft", 0)


@pytest.mark.once
def test_test_email_without_recipients_shows_a_made_up_person(admin_client, draft):
    press(admin_client, draft, "test")
    (mail,) = queued_tests()
    assert "Siobhán O'Brien & Co" in mail.message["text"]


@pytest.mark.once
def test_test_email_needs_an_address_and_links_to_where_to_enter_it(
    client, draft, django_user_model
):
    organizer = django_user_model.objects.create_superuser("organizer", "", "x")
    client.force_login(organizer)
    assert said(press(client, draft, "test")) == [
        "Your account has no email address to send a test to. "
        f'<a href="/admin/auth/user/{organizer.pk}/change/#id_email">Enter it here</a>.'
    ]
    assert queued_tests() == []


def test_test_email_reaches_the_mail_server_within_seconds(admin_client, draft, smtp_sink, worker):
    worker()
    press(admin_client, draft, "test")
    (received,) = smtp_sink.wait_for(1)
    eventually(lambda: [mail.state for mail in queued_tests()] == ["sent"], "recorded")
    (mail,) = queued_tests()
    assert received.recipients == ["admin@example.com"]
    assert received.message["Subject"] == "[Test] News"
    assert received.message["Message-ID"] == mail_queue.message_id(mail)
    assert [part.get_content_type() for part in received.message.iter_parts()] == [
        "text/plain",
        "text/html",
    ]
