"""The list of announcements."""

import datetime as dt

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from registrations.mail import announcements
from registrations.models import OutgoingMail
from tests.registrations.admin.announcements.pages import LIST, change_url, review_url, start

pytestmark = pytest.mark.django_db


def test_list_shows_the_progress_of_each_announcement(admin_client, announce, people, week):
    send_at = dt.datetime(2099, 10, 16, 16, tzinfo=dt.UTC)
    announce()
    announce(state="scheduled", send_at=send_at)
    for verb in (lambda announcement: None, announcements.pause, announcements.stop):
        under_way = start(announce())
        sent = OutgoingMail.objects.filter(pk=under_way.mails.first().pk)
        sent.update(state="sent", sent_at=timezone.now())
        verb(announcement=under_way)
    done = start(announce())
    done.mails.update(state="sent", sent_at=timezone.now())
    none, all_but_one = start(announce()), start(announce())
    start(announce(us_state="OH"))
    announce(state="scheduled", send_at=timezone.now())
    none.mails.update(state="failed")
    all_but_one.mails.update(state="sent", sent_at=timezone.now())
    failed = OutgoingMail.objects.filter(pk=all_but_one.mails.first().pk)
    failed.update(state="failed", sent_at=None)
    rows = admin_client.get(LIST).context["cl"].result_list
    model_admin = admin_client.get(LIST).context["cl"].model_admin
    assert [model_admin.progress(row) for row in rows] == [
        "Starting",
        '<b class="warning">Sent to no one</b>',
        '<b class="warning">Sent to 3, 1 failed</b>',
        '<b class="warning">Sent to no one, 4 failed</b>',
        "Sent",
        "Stopped at 1 of 4",
        "Paused at 1 of 4",
        "Sending 1 of 4",
        "Scheduled for Oct 16, 2099, 9:00 AM PDT",
        "Draft",
    ]
    assert [model_admin.sent(row) for row in rows] == [
        *("", "0", "3", "0", "4"),
        *("1", "1", "1", "", ""),
    ]


def test_list_takes_the_same_queries_for_1_row_as_for_4(admin_client, announce, people, week):
    def queries() -> int:
        with CaptureQueriesContext(connection) as context:
            assert admin_client.get(LIST).status_code == 200
        return len(context)

    session = week.sessions.first()
    start(announce(audience="session", session=session))
    one = queries()
    for _number in range(3):
        start(announce(audience="session", session=session))
    assert queries() == one


@pytest.mark.once
def test_list_links_drafts_to_the_form_and_others_to_the_review(admin_client, draft, started):
    page = admin_client.get(LIST).content.decode()
    assert f'href="{change_url(draft)}"' in page
    assert f'href="{review_url(started)}"' in page
