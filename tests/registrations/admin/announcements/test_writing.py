"""Writing announcements: the form, what it refuses, and when it's too late."""

import datetime as dt
import threading
import time

import pytest
from django.db import connection, transaction
from django.urls import reverse
from django.utils import timezone

from events.models import Event, Session, Track
from registrations.mail import announcements
from registrations.models import Announcement, OutgoingMail
from tests.admin_pages import form_of
from tests.registrations.admin.announcements.pages import (
    ADD,
    LIST,
    change_url,
    errors,
    filled,
    review_url,
    said,
)

pytestmark = pytest.mark.django_db


@pytest.mark.once
def test_saving_leads_to_the_review_and_sends_nothing(admin_client, week):
    answer = admin_client.post(ADD, filled(week))
    announcement = Announcement.objects.get()
    assert (answer.status_code, answer["Location"]) == (302, review_url(announcement))
    assert (announcement.state, OutgoingMail.objects.count()) == ("draft", 0)


@pytest.mark.once
def test_saving_a_change_leads_to_the_review(admin_client, week, draft):
    form = form_of(admin_client, change_url(draft)) | {"subject_en": "Other news"}
    answer = admin_client.post(change_url(draft), form)
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
    form = form_of(admin_client, change_url(draft)) | {"subject_en": "Better"}
    admin_client.post(change_url(draft), form)
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
