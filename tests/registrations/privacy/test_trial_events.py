"""A trial event is deleted with everyone in it, once its name was typed."""

import pytest
from django.contrib.admin.models import DELETION, LogEntry
from django.contrib.auth.models import User

from events.models import Event, Meeting, Session
from events.zoom import sync
from registrations import signup
from registrations.models import (
    Announcement,
    Answer,
    Attendance,
    OutgoingMail,
    PersonalLink,
    Question,
    Registration,
    Seat,
)
from registrations.privacy import trial_events
from tests.admin_pages import messages_of
from tests.people import published_event, sign_up
from tests.registrations.privacy.people import TRACES, person_everywhere, traces
from tests.strategyweek.test_permissions import client_of, member

pytestmark = pytest.mark.django_db

PERMISSIONS = ("view_event", "delete_event", "view_registration", "delete_registration")


@pytest.fixture
def trial(week) -> Event:
    """A draft with someone in every table, someone who canceled, and an announcement."""
    person_everywhere(week)
    signup.cancel(registration=sign_up(week, "Bob B"))
    Announcement.objects.create(
        event=week, subject="S", body="B", audience="session", session=week.sessions.first()
    )
    Event.objects.filter(pk=week.pk).update(status="draft")
    return Event.objects.get(pk=week.pk)


def url(event: Event) -> str:
    return f"/admin/registrations/registration/delete-event/{event.pk}/"


def delete(client, event: Event, name: str) -> str:
    return client.post(url(event), {"name": name}, follow=True).content.decode()


def test_page_shows_what_vanishes_and_deletes_nothing(organizer, trial):
    answer = organizer.get(url(trial))
    assert answer.context["contents"] == trial_events.Contents(
        people=2, sessions=6, emails=OutgoingMail.objects.count(), meetings=0
    )
    assert trial.name in answer.content.decode()
    assert Registration.objects.count() == 2


@pytest.mark.parametrize("name", ["", "trial", "DROP LWOP STRATEGY WEEK", "Drop LWOP"])
def test_wrong_name_deletes_nothing(organizer, trial, name):
    page = delete(organizer, trial, name)
    assert ("Nothing was deleted." in page) == bool(name)
    assert (Event.objects.get(), Registration.objects.count()) == (trial, 2)


@pytest.mark.parametrize("column", ["name_en", "name_es"])
def test_name_in_any_language_deletes_everything_about_the_event(organizer, trial, column):
    other = published_event(name="Other", slug="other")
    person = sign_up(other, "Charlie C", sessions=[])
    page = delete(organizer, trial, getattr(trial, column))
    assert messages_of(page) == [("success", f"“{trial}” is deleted, with everyone in it.")]
    assert Event.objects.get() == other
    assert Registration.objects.get() == person
    models = (Session, Seat, Answer, Question, Announcement)
    assert [model.objects.count() for model in models] == [0] * len(models)
    assert {mail.registration for mail in OutgoingMail.objects.all()} == {person}


def test_deleting_leaves_no_trace_of_people_and_is_logged(organizer, trial):
    person = Registration.objects.get(canceled_at=None)
    user = User.objects.get(username="admin")
    stranger = Attendance.objects.create(
        session=trial.sessions.first(), name="Dulcinea Q", instance_uuid="u", participant_id="9"
    )
    for row in (person, person.seats.first(), stranger):
        LogEntry.objects.log_actions(user.pk, [row], 2, "Changed Dulcinea Quixote")
    delete(organizer, trial, trial.name)
    assert [trace for trace in TRACES if traces(trace)] == []
    entry = LogEntry.objects.get(action_flag=DELETION)
    assert (entry.user, entry.object_repr) == (user, str(trial))
    assert entry.details.event is None
    assert entry.change_message.startswith("Deleted as a trial. People: 2, sessions: 6, ")


def test_published_event_is_not_deleted(organizer, trial):
    Event.objects.update(status="published")
    assert "This event is published. Make it a draft first." in delete(organizer, trial, trial.name)
    with pytest.raises(trial_events.CannotDelete):
        trial_events.delete_trial(event=trial)
    assert Registration.objects.count() == 2


def test_event_with_many_people_is_no_trial(organizer, trial):
    people = [
        Registration(event=trial, name=f"P{n}", email=f"p{n}@example.org", email_key=f"p{n}")
        for n in range(100)
    ]
    Registration.objects.bulk_create(people)
    assert "More than 100 people are registered." in delete(organizer, trial, trial.name)
    assert Event.objects.get() == trial
    Registration.objects.filter(name="P0").delete()
    Registration.objects.filter(name="P1").delete()
    delete(organizer, trial, trial.name)
    assert not Event.objects.exists()


@pytest.mark.parametrize("missing", PERMISSIONS[1:])
def test_deleting_needs_each_permission(trial, missing):
    client = client_of(member(*sorted({*PERMISSIONS} - {missing})))
    assert client.get(url(trial)).status_code == 403
    assert client.post(url(trial), {"name": trial.name}).status_code == 403
    assert Event.objects.get() == trial
    client = client_of(member(*PERMISSIONS, name="owner"))
    delete(client, trial, trial.name)
    assert not Event.objects.exists()


def test_meetings_are_deleted_at_zoom(zoom_account, trial):
    Event.objects.filter(pk=trial.pk).update(zoom_mode="personal")
    Meeting.objects.all().delete()
    sync.sync_meetings()
    meeting = Meeting.objects.at_zoom().first()
    assert meeting.zoom_id in zoom_account.meetings
    seat = Registration.objects.get(canceled_at=None).seats.get(session=meeting.session)
    PersonalLink.objects.create(
        seat=seat, meeting=meeting, zoom_id=meeting.zoom_id, email="dulcinea@windmill.example"
    )
    assert trial_events.contents(trial).meetings == 6
    trial_events.delete_trial(event=trial)
    sync.sync_meetings()
    assert zoom_account.meetings == {}
    assert (Meeting.objects.count(), PersonalLink.objects.count()) == (0, 0)


def test_page_of_an_event_that_does_not_exist(organizer, trial):
    for odd in ("abc", "99999999999999999999", "-1"):
        answer = organizer.get(f"/admin/registrations/registration/delete-event/{odd}/")
        assert answer.status_code == 404
