"""Announcements in the admin: writing, reviewing and sending them, and their progress."""

import datetime as dt
import html
import re
import threading
import time

import pytest
import time_machine
from celery import current_app
from django.contrib.auth.models import Permission
from django.contrib.messages import get_messages
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from kombu.exceptions import OperationalError

from events import background
from events.models import Event, Session, Track
from registrations import tasks
from registrations.admin.announcement_review import content_fingerprint
from registrations.mail import announcements, unsubscribe
from registrations.models import Announcement, OutgoingMail, Seat
from registrations.outbox import mail_queue
from tests.people import sign_up
from tests.services.process import eventually

pytestmark = pytest.mark.django_db

LIST = "/admin/registrations/announcement/"
ADD = f"{LIST}add/"
ODD = ["abc", "99999999999999999999", "-1", "1x"]

WAITING = {"state": "waiting", "waiting_since": dt.datetime(2021, 10, 1, tzinfo=dt.UTC)}


@pytest.fixture
def announce(week):
    """Create an announcement to everyone, or with other fields."""

    def announce(**fields) -> Announcement:
        defaults = {"event": week, "subject": "News", "body": "Dear {name}, **hello**."}
        return Announcement.objects.create(**defaults | fields)

    return announce


@pytest.fixture
def draft(announce) -> Announcement:
    return announce()


@pytest.fixture
def people(week):
    return [sign_up(week, name) for name in ("Alice A", "Bob B", "Charlie C", "Dora D")]


@pytest.fixture
def started(announce, people) -> Announcement:
    return start(announce())


@pytest.fixture
def viewer(client, django_user_model):
    """A client of someone who may only view announcements."""
    user = django_user_model.objects.create_user("viewer", "v@example.org", "x", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_announcement"))
    client.force_login(user)
    return client


def start(announcement: Announcement) -> Announcement:
    announcements.send_now(announcement=announcement)
    tasks.queue_due_mails()
    announcement.refresh_from_db()
    return announcement


def change_url(announcement: Announcement) -> str:
    return reverse("admin:registrations_announcement_change", args=[announcement.pk])


def review_url(announcement: Announcement) -> str:
    return reverse("admin:registrations_announcement_review", args=[announcement.pk])


def press(client, announcement: Announcement, do: str, **fields):
    """Press a button of the review page, which showed `announcement` as it is."""
    fields = {"do": do, "seen": content_fingerprint(announcement), **fields}
    answer = client.post(review_url(announcement), fields)
    announcement.refresh_from_db()
    return answer


def said(answer) -> list[str]:
    return [str(message) for message in get_messages(answer.wsgi_request)]


def text(answer) -> str:
    """Return a page's text, without tags."""
    page = re.sub(r"</?(a|b|span)\b[^>]*>", "", answer.content.decode())
    page = re.sub(r"<head>.*</head>|<[^>]+>", " ", page, flags=re.DOTALL)
    return " ".join(html.unescape(page).split())


def buttons(answer) -> list[str]:
    return re.findall(r'name="do" value="([^"]+)"', answer.content.decode())


def filled(week, **changes) -> dict:
    """Return what a browser posts when an organizer fills in the form."""
    fields = {"event": week.pk, "subject_en": "News", "body_en": "Hello", "audience": "all"}
    return {**fields, "session": "", "track": "", "organization": "", "us_state": "", **changes}


def errors(client, week, **changes) -> dict:
    """Return the form's errors for these values."""
    answer = client.post(ADD, filled(week, **changes))
    return answer.context["adminform"].form.errors if answer.status_code == 200 else {}


# Writing


@pytest.mark.once
def test_saving_leads_to_the_review_and_sends_nothing(admin_client, week):
    answer = admin_client.post(ADD, filled(week))
    announcement = Announcement.objects.get()
    assert (answer.status_code, answer["Location"]) == (302, review_url(announcement))
    assert (announcement.state, OutgoingMail.objects.count()) == ("draft", 0)


@pytest.mark.once
def test_saving_a_change_leads_to_the_review(admin_client, week, draft):
    answer = admin_client.post(change_url(draft), filled(week, subject_en="Other news"))
    draft.refresh_from_db()
    assert (answer["Location"], draft.subject) == (review_url(draft), "Other news")


@pytest.mark.once
def test_new_announcement_is_for_the_current_event(admin_client, week):
    form = admin_client.get(ADD).context["adminform"].form
    assert form["event"].value() == week.pk


@pytest.mark.once
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"audience": "session"},
            {"session": ["Choose a session. The people in it will get the announcement."]},
        ),
        (
            {"audience": "track"},
            {
                "track": [
                    "Choose a strategy. The people interested in it will get the announcement."
                ]
            },
        ),
        ({"subject_en": "One\ntwo"}, {"subject_en": ["Write the subject on one line."]}),
        (
            {"subject_en": "For {person}"},
            {
                "subject_en": [
                    "There's no placeholder {person} here. You can use: {name}, {event}, {host}."
                ]
            },
        ),
        (
            {"body_en": "At {when}"},
            {
                "body_en": [
                    "There's no placeholder {when} here. You can use: {name}, {event}, {host}."
                ]
            },
        ),
        (
            {"body_en": "\ue000name\ue000"},
            {"body_en": ["This text has an invisible character. Please retype it."]},
        ),
        (
            {"body_en": "[Come](https://example.org/{name})\n\n[Or here](example.org)"},
            {
                "body_en": [
                    "Links can't contain a placeholder.",
                    "Write links in full, like https://example.org/, not example.org.",
                ]
            },
        ),
        (
            {"audience": "session", "session": "abc"},
            {
                "session": [
                    "Select a valid choice. That choice is not one of the available choices."
                ]
            },
        ),
        (
            {"event": "99999999999999999999"},
            {"event": ["Select a valid choice. That choice is not one of the available choices."]},
        ),
    ],
)
def test_invalid_input_is_explained_at_the_field(admin_client, week, changes, expected):
    assert errors(admin_client, week, **changes) == expected


@pytest.mark.once
def test_session_and_strategy_of_another_event_are_refused(admin_client, week):
    other = Event.objects.create(name="Other", slug="other", host="Us")
    times = {"starts_at": timezone.now(), "ends_at": timezone.now() + dt.timedelta(hours=1)}
    session = Session.objects.create(event=other, title="T", slug="t", **times)
    assert errors(admin_client, week, audience="session", session=session.pk) == {
        "session": ["This session belongs to another event."]
    }
    track = Track.objects.create(event=other, name="T")
    assert errors(admin_client, week, audience="track", track=track.pk) == {
        "track": ["This strategy belongs to another event."]
    }


@pytest.mark.once
def test_session_and_strategy_without_effect_are_refused(admin_client, week):
    session, track = week.sessions.first().pk, week.tracks.first().pk
    assert list(errors(admin_client, week, session=session)) == ["session"]
    assert list(errors(admin_client, week, track=track)) == ["track"]
    assert errors(admin_client, week, audience="waiting", session=session) == {}
    assert errors(admin_client, week, audience="track", track=track) == {}


@pytest.mark.once
def test_form_offers_only_sessions_of_the_event(admin_client, week, draft):
    other = Event.objects.create(name="Other", slug="other", host="Us")
    times = {"starts_at": timezone.now(), "ends_at": timezone.now() + dt.timedelta(hours=1)}
    Session.objects.create(event=other, title="Elsewhere", slug="t", **times)
    form = admin_client.get(change_url(draft)).context["adminform"].form
    offered = [label for _value, label in form.fields["session"].widget.choices]
    assert offered == ["Any", *(session.title for session in week.sessions.all())]


@pytest.mark.once
def test_started_announcement_is_read_only(admin_client, week, started):
    page = admin_client.get(change_url(started))
    assert (page.status_code, b'name="subject_en"' in page.content) == (200, False)
    answer = admin_client.post(change_url(started), filled(week, subject_en="Late"))
    assert answer["Location"] == review_url(started)
    assert said(answer) == [
        "Sending started while you were editing, so your changes weren't saved."
    ]
    started.refresh_from_db()
    assert (started.subject, started.state) == ("News", "sending")


@pytest.mark.once
def test_scheduled_announcement_can_be_edited_and_stays_scheduled(admin_client, week, draft):
    announcements.schedule(announcement=draft, send_at=timezone.now() + dt.timedelta(days=1))
    admin_client.post(change_url(draft), filled(week, subject_en="Better"))
    draft.refresh_from_db()
    assert (draft.subject, draft.state) == ("Better", "scheduled")


@pytest.mark.once
@pytest.mark.django_db(transaction=True)
def test_edit_during_the_start_is_not_saved(admin_client, week, draft):
    announcements.schedule(announcement=draft, send_at=timezone.now() + dt.timedelta(days=1))
    has_begun = threading.Event()

    def begin() -> None:
        with transaction.atomic():
            held = Announcement.objects.select_for_update().filter(pk=draft.pk)
            assert list(held) == [draft]
            held.update(state="sending", started_at=timezone.now())
            has_begun.set()
            time.sleep(0.5)
        connection.close()

    worker = threading.Thread(target=begin)
    worker.start()
    has_begun.wait()
    answer = admin_client.post(change_url(draft), filled(week, subject_en="Late"))
    worker.join()
    draft.refresh_from_db()
    assert (answer["Location"], draft.state, draft.subject) == (
        review_url(draft),
        "sending",
        "News",
    )


@pytest.mark.once
def test_only_drafts_can_be_deleted(admin_client, announce, started):
    draft = announce()
    for announcement in (draft, started):
        url = reverse("admin:registrations_announcement_delete", args=[announcement.pk])
        admin_client.post(url, {"post": "yes"})
    assert list(Announcement.objects.all()) == [started]
    assert b"delete_selected" not in admin_client.get(LIST).content


# The list


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


# The review


def test_review_shows_how_many_people_get_it_and_who_is_left_out(admin_client, draft, people):
    unsubscribe.unsubscribe(registration=people[0])
    people[1].mails.update(state="bounced", sent_at=timezone.now())
    page = text(admin_client.get(review_url(draft)))
    assert "2 people would get it now. Everyone who's registered." in page
    assert "1 person who doesn't want announcements" in page
    assert "1 person our email doesn't reach" in page


@pytest.mark.once
def test_review_shows_the_limits_of_the_audience(admin_client, announce, week):
    session = week.sessions.get(slug="resentencing")
    announcement = announce(
        audience="session", session=session, organization="Families United", us_state="OH"
    )
    page = text(admin_client.get(review_url(announcement)))
    expected = f"People in one session: {session}; organization: Families United; state: Ohio."
    assert expected in page


@pytest.mark.once
def test_review_takes_the_same_queries_for_1_person_as_for_4(admin_client, draft, week):
    def queries() -> int:
        with CaptureQueriesContext(connection) as context:
            assert admin_client.get(review_url(draft)).status_code == 200
        return len(context)

    people = [sign_up(week, name) for name in ("Alice A", "Bob B")]
    two = queries()
    people += [sign_up(week, name) for name in ("Charlie C", "Dora D", "Eve E")]
    assert queries() == two


@pytest.mark.once
def test_preview_shows_the_email_of_the_chosen_person(admin_client, draft, people):
    page = admin_client.get(f"{review_url(draft)}?person={people[1].pk}")
    assert page.context["mail"].to == ["bob@example.org"]
    shown = page.content.decode()
    assert "<span>2 of 4</span>" in shown
    assert f'<a href="?person={people[0].pk}">&lsaquo; Previous person</a>' in shown
    assert f'<a href="?person={people[2].pk}">Next person &rsaquo;</a>' in shown
    assert "Dear Bob B, **hello**." in page.context["mail"].body
    mail = admin_client.get(page.context["html_url"])
    assert "Dear Bob B, <strong>hello</strong>." in mail.content.decode()


@pytest.mark.once
def test_person_outside_the_audience_cannot_be_chosen(admin_client, draft, people):
    unsubscribe.unsubscribe(registration=people[3])
    for chosen in ("", *ODD, people[3].pk):
        page = admin_client.get(f"{review_url(draft)}?person={chosen}")
        assert page.context["person"] == people[0]


@pytest.mark.once
def test_preview_contains_no_secret_links(admin_client, draft, people):
    page = admin_client.get(review_url(draft))
    mail = admin_client.get(page.context["html_url"]).content.decode()
    for shown in (page.content.decode(), mail):
        assert people[0].token not in shown


@pytest.mark.once
def test_preview_frame_allows_no_scripts(admin_client, draft, people):
    mail = admin_client.get(f"{review_url(draft)}mail/")
    assert mail["Content-Security-Policy"] == (
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; "
        "sandbox allow-popups allow-popups-to-escape-sandbox"
    )
    assert mail["X-Frame-Options"] == "SAMEORIGIN"


@pytest.mark.once
def test_unsafe_markdown_is_escaped(admin_client, announce, people):
    announcement = announce(
        body="<script>alert(1)</script>\n\n[click](javascript:alert(2))\n\n<img src=x onerror=y>"
    )
    mail = admin_client.get(f"{review_url(announcement)}mail/").content.decode()
    assert "<script>alert(1)" not in mail
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in mail
    assert not re.search(r'href="javascript:|<img[^>]+onerror', mail)


@pytest.mark.once
def test_preview_without_recipients_shows_a_made_up_person(admin_client, draft):
    page = admin_client.get(review_url(draft))
    assert "0 people No one matches, so there's no one to send it to." in text(page)
    assert "now" not in buttons(page)
    mail = admin_client.get(f"{review_url(draft)}mail/").content.decode()
    assert "Siobhán O&#x27;Brien &amp; Co" in mail


def test_odd_ids_are_not_found(admin_client, week):
    for odd in ODD:
        for url in (f"{LIST}{odd}/review/", f"{LIST}{odd}/review/mail/"):
            assert admin_client.get(url).status_code == 404
        assert admin_client.post(f"{LIST}{odd}/review/", {"do": "now"}).status_code == 404


@pytest.mark.once
def test_unknown_button_is_a_bad_request(admin_client, draft):
    assert admin_client.post(review_url(draft), {"do": "explode"}).status_code == 400
    assert admin_client.post(review_url(draft)).status_code == 400


# Sending


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
def test_sending_a_started_announcement_shows_a_friendly_message(admin_client, started):
    later = (timezone.now() + dt.timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")
    for do, fields in (("now", {"people": "4"}), ("later", {"send_at": later})):
        answer = press(admin_client, started, do, **fields)
        assert said(answer)[-1].startswith("Nothing was done:")
        assert started.state == "sending"


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
    assert "Oct. 16, 2026, 2:34 a.m." in page
    assert admin_client.get(f"{LIST}0/history/").status_code == 302


# Test emails


def queued_tests() -> list[OutgoingMail]:
    return list(OutgoingMail.objects.filter(kind="test"))


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


# During sending, and afterwards


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


def test_person_on_several_waitlists_is_counted_once(admin_client, announce, people, week):
    Seat.objects.filter(registration=people[0]).update(**WAITING)
    announcement = announce(audience="waiting")
    assert "1 person would get it now." in text(admin_client.get(review_url(announcement)))


# Permissions


@pytest.mark.once
def test_viewers_see_the_pages_without_buttons(viewer, draft, started):
    for announcement in (draft, started):
        page = viewer.get(review_url(announcement))
        assert (page.status_code, buttons(page)) == (200, [])
    assert viewer.get(f"{review_url(draft)}mail/").status_code == 200
    assert viewer.get(change_url(draft)).status_code == 200


@pytest.mark.once
def test_names_are_hidden_from_people_who_may_not_view_registrations(
    viewer, draft, started, people
):
    for url in (review_url(draft), f"{review_url(draft)}?person={people[1].pk}"):
        page = viewer.get(url)
        shown = page.content.decode() + viewer.get(page.context["html_url"]).content.decode()
        assert "Preview with a sample person" in shown
        assert "4 people would get it now." in text(page)
        assert (page.context["previous"], page.context["following"]) == (None, None)
        assert not re.search("(alice|bob)( |@)", shown, re.IGNORECASE)
    for announcement in (draft, started):
        url = f"{review_url(announcement)}mail/?person={people[1].pk}"
        assert "Dear Siobhán" in viewer.get(url).content.decode()


@pytest.mark.once
def test_test_email_of_people_who_may_not_view_registrations_names_no_one(
    viewer, draft, people, django_user_model
):
    writer = django_user_model.objects.get(username="viewer")
    writer.user_permissions.add(Permission.objects.get(codename="change_announcement"))
    press(viewer, draft, "test", person=people[1].pk)
    (mail,) = queued_tests()
    assert mail.recipient == "v@example.org"
    assert "Dear Siobhán" in mail.message["text"]


@pytest.mark.once
def test_names_are_shown_to_people_who_may_view_registrations(
    viewer, draft, people, django_user_model
):
    looker = django_user_model.objects.get(username="viewer")
    looker.user_permissions.add(Permission.objects.get(codename="view_registration"))
    page = viewer.get(f"{review_url(draft)}?person={people[1].pk}")
    assert "Preview for Bob B" in text(page)


@pytest.mark.once
def test_viewers_cannot_press_buttons(viewer, started):
    for do in ("test", "now", "later", "take back", "pause", "resume", "stop", "again"):
        assert press(viewer, started, do, people="4").status_code == 403
        assert started.state == "sending"


@pytest.mark.once
def test_viewers_cannot_write_or_delete(viewer, week, draft, started):
    for url in (ADD, change_url(draft), change_url(started)):
        assert viewer.post(url, filled(week)).status_code == 403
    delete = reverse("admin:registrations_announcement_delete", args=[draft.pk])
    assert viewer.post(delete, {"post": "yes"}).status_code == 403


@pytest.mark.once
def test_announcements_are_hidden_from_people_who_may_not_view_them(
    client, django_user_model, draft
):
    stranger = django_user_model.objects.create_user("s", "s@example.org", "x", is_staff=True)
    client.force_login(stranger)
    for url in (LIST, review_url(draft), f"{review_url(draft)}mail/"):
        assert client.get(url).status_code == 403


@pytest.mark.once
def test_buttons_need_a_csrf_token(draft, django_user_model, people):
    client = Client(enforce_csrf_checks=True)
    client.force_login(django_user_model.objects.create_superuser("o", "o@example.org", "x"))
    assert press(client, draft, "now", people="4").status_code == 403
    assert draft.state == "draft"
