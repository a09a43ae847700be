"""Sending an announcement now or later, and taking it back."""

import datetime as dt
import html

import pytest
import time_machine
from celery import current_app
from django.urls import reverse
from django.utils import timezone
from kombu.exceptions import OperationalError

from events import background
from registrations import tasks
from registrations.admin.announcement_review import content_fingerprint
from registrations.mail import announcements
from registrations.models import Announcement
from tests.registrations.admin.announcements.pages import (
    LIST,
    buttons,
    press,
    queued_tests,
    review_url,
    said,
    text,
)

pytestmark = pytest.mark.django_db


@pytest.mark.once
def test_sending_now_starts_with_the_next_periodic_run(admin_client, draft, people):
    answer = press(admin_client, draft, "now", people="4")
    assert said(answer) == ["We'll start sending it to 4 people within seconds."]
    page = admin_client.get(review_url(draft))
    assert (page.context["progress_text"], page["Refresh"]) == ("Starting", "5")
    assert buttons(page) == ["take back"]
    tasks.queue_due_mails()
    draft.refresh_from_db()
    assert (draft.state, draft.mails.count()) == ("sending", 4)


@pytest.mark.once
def test_changed_number_of_people_is_shown_before_sending(admin_client, draft, people):
    for seen in ({"people": "3"}, {"people": "5"}, {"people": ""}, {"people": "abc"}, {}):
        answer = press(admin_client, draft, "now", **seen)
        assert answer["Location"] == review_url(draft)
        assert said(answer)[-1] == (
            "Nothing was sent yet: it would now go to 4 people. "
            "If that's right, press the button again."
        )
        assert draft.state == "draft"


@pytest.mark.once
@pytest.mark.parametrize(
    "changes",
    [
        {"subject": "Other news"},
        {"body": "Other words"},
        {"audience": "not attended"},
        {"organization": "Families United"},
        {"us_state": "OH"},
    ],
)
def test_announcement_edited_since_the_review_is_not_sent(admin_client, draft, people, changes):
    later = (timezone.now() + dt.timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")
    page = admin_client.get(review_url(draft)).content.decode()
    seen = content_fingerprint(draft)
    assert page.count(f'name="seen" value="{seen}"') == 2
    Announcement.objects.filter(pk=draft.pk).update(**changes)
    for do in ("now", "later"):
        answer = press(admin_client, draft, do, people="4", send_at=later, seen=seen)
        assert answer["Location"] == review_url(draft)
        assert said(answer)[-1] == (
            "Nothing was sent yet: someone just changed the text or the recipients. Please check "
            "it again."
        )
        assert draft.state == "draft"


@pytest.mark.once
def test_announcement_without_recipients_is_not_sent(admin_client, draft):
    answer = press(admin_client, draft, "now", people="0")
    assert said(answer) == ["Nothing was sent: no one would get it right now."]
    assert draft.state == "draft"


@pytest.mark.once
def test_sending_later_uses_the_events_time_zone(admin_client, admin_user, draft):
    with time_machine.travel("2026-10-01T12:00Z", tick=False):
        admin_client.force_login(admin_user)
        answer = press(admin_client, draft, "later", send_at="2026-10-16T09:30")
        page = admin_client.get(review_url(draft))
    assert said(answer) == [
        "We'll send it on Oct 16, 2026, 9:30 AM PDT to everyone who matches then."
    ]
    assert draft.send_at == dt.datetime(2026, 10, 16, 16, 30, tzinfo=dt.UTC)
    assert draft.state == "scheduled"
    assert page.context["progress_text"] == "Scheduled for Oct 16, 2026, 9:30 AM PDT"
    assert 'value="2026-10-16T09:30"' in page.content.decode()
    assert "Refresh" not in page


@pytest.mark.once
@pytest.mark.parametrize(
    ("send_at", "expected"),
    [
        ("", "Choose a day and time."),
        ("soon", "Write it like 2026-10-16T09:00."),
        ("2020-10-16T09:00", "This time has passed. Choose a later one, or send it now."),
        ("9999-12-31T23:59", "This is more than a year away. Is it the right year?"),
    ],
)
def test_invalid_time_is_explained_at_the_field(admin_client, draft, send_at, expected):
    answer = press(admin_client, draft, "later", send_at=send_at)
    assert answer.context["later"].errors == {"send_at": [expected]}
    assert html.escape(expected) in answer.content.decode()
    assert (answer.status_code, draft.state) == (200, "draft")


@pytest.mark.once
def test_hour_skipped_by_daylight_saving_time_is_refused(admin_client, admin_user, draft):
    with time_machine.travel("2027-03-01T12:00Z", tick=False):
        admin_client.force_login(admin_user)
        answer = press(admin_client, draft, "later", send_at="2027-03-14T02:30")
    assert list(answer.context["later"].errors) == ["send_at"]


@pytest.mark.once
def test_taking_a_scheduled_announcement_back_makes_it_a_draft(admin_client, draft):
    announcements.schedule(announcement=draft, send_at=timezone.now() + dt.timedelta(days=1))
    assert "take back" in buttons(admin_client.get(review_url(draft)))
    press(admin_client, draft, "take back")
    assert (draft.state, draft.send_at) == ("draft", None)


@pytest.mark.once
def test_button_for_another_state_shows_a_friendly_message(admin_client, draft):
    for do in ("take back", "pause", "resume", "stop", "again"):
        answer = press(admin_client, draft, do)
        assert answer["Location"] == review_url(draft)
        assert said(answer)[-1] == (
            "Nothing was done: this announcement has just changed. Here's its status now."
        )
        assert draft.state == "draft"


@pytest.mark.once
def test_history_shows_who_pressed_which_button(admin_client, draft, people):
    press(admin_client, draft, "now", people="4")
    history = reverse("admin:registrations_announcement_history", args=[draft.pk])
    assert "Sent to 4 people." in admin_client.get(history).content.decode()


@pytest.mark.once
def test_history_uses_the_events_time_zone(admin_client, admin_user, week, draft, people):
    week.time_zone = "Pacific/Honolulu"
    week.save()
    with time_machine.travel("2026-10-16T12:34Z", tick=False):
        admin_client.force_login(admin_user)
        press(admin_client, draft, "now", people="4")
        history = reverse("admin:registrations_announcement_history", args=[draft.pk])
        page = text(admin_client.get(history))
    assert "Oct 16, 2026, 2:34 AM HST" in page
    assert admin_client.get(f"{LIST}0/history/").status_code == 302


@pytest.mark.once
def test_emails_wait_for_the_periodic_run_when_the_broker_is_down(
    admin_client, draft, people, monkeypatch, django_capture_on_commit_callbacks
):
    asked = []

    def dead(task, **options):
        asked.append(task)
        raise OperationalError("gone")

    monkeypatch.setattr(current_app, "send_task", dead)
    for do, fields in (("test", {}), ("now", {"people": "4"})):
        monkeypatch.setattr(background, "wake_ups", background.WakeUps())
        with django_capture_on_commit_callbacks(execute=True):
            assert press(admin_client, draft, do, **fields).status_code == 302
    assert asked == ["registrations.tasks.deliver_mails", "registrations.tasks.queue_due_mails"]
    assert [mail.state for mail in queued_tests()] == ["waiting"]
    assert draft.state == "scheduled"
