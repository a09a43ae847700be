"""After a change organizers read who gets an email, and when. If it's right away, we ask first."""

import datetime as dt

import pytest
import time_machine
from django.contrib.admin.models import LogEntry
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from events import schedule
from events.languages import texts
from events.models import Event, Session
from registrations import tasks
from registrations.models import OutgoingMail, Registration
from tests.admin_pages import act_surely, form_of, messages_of, path
from tests.events.images.pictures import picture
from tests.people import sign_up

pytestmark = pytest.mark.django_db

# 4:04 PM in Los Angeles.
NOW = dt.datetime(2026, 9, 1, 23, 4, tzinfo=dt.UTC)
NO_ONE = ("info", "No one gets an email about this.")
IN_TEN_MINUTES = (
    "info",
    "2 people get an email about this at 4:14 PM PDT, unless you undo it first.",
)


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOW, tick=False) as clock:
        yield clock


def all_sent() -> None:
    sent_at = NOW - dt.timedelta(minutes=1)
    OutgoingMail.objects.update(state="sent", sent_at=sent_at, claimed_at=sent_at)


@pytest.fixture
def two(week):
    people = [sign_up(week, name) for name in ("Alice Adams", "Bob B")]
    all_sent()
    return people


def save(client, session: Session, **changes: str):
    form = form_of(client, path(session)) | changes
    return client.post(path(session), form, follow=True)


def said(answer) -> list[tuple[str, str]]:
    return said_on(answer.content.decode())


def said_on(page: str) -> list[tuple[str, str]]:
    """The color and the text of what is said about emails, without the link."""
    found = [each for each in messages_of(page) if "about this" in each[1]]
    return [(color, text.partition(" <a ")[0]) for color, text in found]


def title_of(session: Session) -> tuple[str | None, ...]:
    return texts(Session.objects.get(pk=session.pk), "title")


def starts_soon(session: Session) -> None:
    times = {"starts_at": NOW + dt.timedelta(hours=2), "ends_at": NOW + dt.timedelta(hours=6)}
    Session.objects.filter(pk=session.pk).update(**times)


def test_saved_change_says_who_gets_an_email_and_when(organizer, opening, two):
    assert said(save(organizer, opening, title_en="New title")) == [IN_TEN_MINUTES]


def test_message_links_to_the_pending_notices(organizer, week, opening, two):
    page = save(organizer, opening, title_en="New title").content.decode()
    link = f'<a href="/admin/events/session/notices/{week.pk}/">See it, hold it or undo the change'
    assert link in page


def test_change_of_a_held_session_says_that_it_is_on_hold(organizer, opening, two):
    schedule.hold_notices(session=opening)
    on_hold = "The emails about this to 2 people are on hold until you release them."
    assert said(save(organizer, opening, title_en="New title")) == [("info", on_hold)]


def test_change_of_a_held_session_that_starts_soon_is_not_asked_about(organizer, opening, two):
    starts_soon(opening)
    Event.objects.update(settle_minutes=0)
    schedule.hold_notices(session=opening)
    save(organizer, opening, title_en="New title")
    assert title_of(opening)[0] == "New title"


def test_time_of_another_day_has_the_day(organizer, opening, two):
    Event.objects.update(settle_minutes=10 * 60)
    (message,) = said(save(organizer, opening, title_en="New title"))
    assert "on Wednesday, September 2 at 2:04 AM PDT, unless" in message[1]


def test_change_back_reaches_no_one(organizer, opening, two):
    (title, _other) = texts(opening, "title")
    save(organizer, opening, title_en="New title")
    assert said(save(organizer, opening, title_en=title)) == [NO_ONE]


def test_change_that_attendees_do_not_see_says_nothing(organizer, opening, two):
    assert said(save(organizer, opening, capacity="50")) == []


def test_session_that_starts_soon_is_saved_only_when_confirmed(organizer, opening, two):
    starts_soon(opening)
    answer = save(organizer, opening, title_en="New title")
    page = answer.content.decode()
    assert "2 people would get an email about this right away." in page
    assert 'value="New title"' in page
    # Nothing was saved, logged or said.
    assert title_of(opening) == texts(opening, "title")
    assert Session.objects.get(pk=opening.pk).revision == 0
    assert not LogEntry.objects.exists()
    assert messages_of(page) == []
    tasks.queue_due_mails()
    assert not OutgoingMail.objects.filter(kind="changed").exists()

    assert '<input type="hidden" name="notify_now" value="yes">' in page
    answer = save(organizer, opening, title_en="New title", notify_now="yes")
    assert said(answer) == [("info", "2 people get an email about this right away.")]
    assert title_of(opening)[0] == "New title"
    tasks.queue_due_mails()
    assert OutgoingMail.objects.filter(kind="changed").count() == 2


def test_more_spots_are_saved_only_when_confirmed_if_people_wait(organizer, week, opening):
    Session.objects.filter(pk=opening.pk).update(capacity=1)
    opening.refresh_from_db()
    for name in ("Alice Adams", "Bob B", "Charlie C", "Dana D"):
        sign_up(week, name, sessions=[opening])
    page = save(organizer, opening, capacity="3").content.decode()
    text = "2 people on the waitlist would get a spot and an email about it right away."
    assert text in page
    assert Session.objects.get(pk=opening.pk).capacity == 1
    answer = save(organizer, opening, capacity="3", notify_now="yes")
    gets = "2 people on the waitlist get a spot and an email about it."
    assert ("info", gets) in messages_of(answer.content.decode())
    tasks.queue_due_mails()
    assert OutgoingMail.objects.filter(kind="promoted").count() == 2


def test_spots_that_no_one_gets_are_saved_at_once(organizer, week, opening):
    Session.objects.filter(pk=opening.pk).update(capacity=1)
    opening.refresh_from_db()
    for name in ("Alice Adams", "Bob B"):
        sign_up(week, name, sessions=[opening])
    # Someone who waits for approval gets a spot, but no email.
    Registration.objects.filter(name="Bob B").update(approval="pending")
    for capacity in ("1", "5"):
        page = save(organizer, opening, capacity=capacity).content.decode()
        assert "waitlist" not in " ".join(text for _color, text in messages_of(page))
        assert Session.objects.get(pk=opening.pk).capacity == int(capacity)


def test_session_that_starts_soon_is_saved_at_once_if_no_one_is_told(organizer, week, opening):
    starts_soon(opening)
    assert said(save(organizer, opening, title_en="New title")) == [NO_ONE]
    sign_up(week)
    save(organizer, opening, capacity="50")
    assert Session.objects.get(pk=opening.pk).capacity == 50


def test_invalid_form_is_not_asked_about(organizer, opening, two):
    starts_soon(opening)
    page = save(organizer, opening, title_en="", title_es="").content.decode()
    assert "Write this in at least one language." in page
    assert "right away" not in page


def test_canceling_and_restoring_say_who_gets_an_email(organizer, opening, two):
    url = path(opening)
    canceled = organizer.post(url.replace("change", "cancel"), follow=True)
    assert said(canceled) == [IN_TEN_MINUTES]
    assert said(organizer.post(url.replace("change", "restore"), follow=True)) == [NO_ONE]


@pytest.mark.once
def test_actions_of_the_list_count_each_person_once(organizer, week, opening, later, two):
    sign_up(week, "Charlie C", sessions=[later])
    all_sent()
    starts_soon(later)
    page = act_surely(organizer, "cancel", opening, later)
    assert sorted(said_on(page)) == sorted(
        [IN_TEN_MINUTES, ("info", "3 people get an email about this right away.")]
    )
    page = act_surely(organizer, "restore", opening, later)
    assert NO_ONE in messages_of(page)
    assert timezone.now() == NOW


# Events


def personal(client, week: Event, **more):
    """Save the event so that people can't join with a meeting ID any more."""
    form = form_of(client, path(week)) | {"zoom_mode": "personal"} | more
    return client.post(path(week), form, follow=True)


@pytest.fixture
def zoom_is_set_up(settings):
    settings.ZOOM_ACCOUNT_ID = settings.ZOOM_CLIENT_ID = settings.ZOOM_CLIENT_SECRET = "x"


def test_change_of_the_event_says_nothing_if_it_is_not_about_sessions(organizer, week, two):
    form = form_of(organizer, path(week)) | {"host": "Others", "name_en": "New name"}
    assert said(organizer.post(path(week), form, follow=True)) == []


def test_new_way_to_join_all_sessions_says_who_gets_an_email(organizer, week, two, zoom_is_set_up):
    assert said(personal(organizer, week)) == [IN_TEN_MINUTES]
    assert {each.revision for each in week.sessions.all()} == {1}


def test_renamed_speaker_says_who_gets_an_email(organizer, week, opening, two):
    speaker = week.speakers.create(name_en="Dora")
    item = opening.agenda.create(title_en="Welcome")
    item.speakers.add(speaker)
    form = form_of(organizer, path(week))
    (name,) = [key for key, value in form.items() if value == "Dora" and key.endswith("name_en")]
    assert said(organizer.post(path(week), form | {name: "Dora Dee"}, follow=True)) == [
        IN_TEN_MINUTES
    ]


def test_event_is_saved_only_when_confirmed_if_people_hear_right_away(
    organizer, week, opening, two, zoom_is_set_up
):
    starts_soon(opening)
    photo = SimpleUploadedFile("poster.jpg", picture().getvalue(), "image/jpeg")
    page = personal(organizer, week, poster_upload=photo).content.decode()
    assert "2 people would get an email about this right away." in page
    assert "Choose the picture again, too." in page
    assert "too large" not in page
    assert messages_of(page) == []
    assert Event.objects.get().zoom_mode == "pasted"
    assert not LogEntry.objects.exists()
    answer = personal(organizer, week, notify_now="yes")
    assert ("info", "2 people get an email about this right away.") in said(answer)
    assert Event.objects.get().zoom_mode == "personal"


def test_held_session_of_an_event_is_said_to_be_on_hold(
    organizer, week, opening, two, zoom_is_set_up
):
    starts_soon(opening)
    schedule.hold_notices(session=opening)
    answer = personal(organizer, week)
    assert Event.objects.get().zoom_mode == "personal"
    assert sorted(said(answer)) == sorted(
        [
            IN_TEN_MINUTES,
            ("info", "The emails about this to 2 people are on hold until you release them."),
        ]
    )
