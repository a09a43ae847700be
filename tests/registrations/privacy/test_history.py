"""Erasing someone, or deleting a trial event, blanks what the history says about it."""

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType

from events.models import Event, HistoryEntry
from registrations.models import AccessNeed, Attendance
from registrations.privacy import erasure, trial_events
from tests.admin_pages import act, form_of, path
from tests.events.admin.test_history import entries
from tests.people import sign_up
from tests.registrations.privacy.people import EMAIL, NAME, person_everywhere, traces

pytestmark = pytest.mark.django_db


def save(client, thing, **changes) -> None:
    form = form_of(client, path(thing)) | changes
    assert client.post(path(thing), form).status_code == 302


@pytest.fixture
def dulcinea(week):
    return person_everywhere(week)


def about_people() -> list:
    """What the history says was changed of anything but the event and its sessions."""
    types = ContentType.objects.filter(app_label="registrations")
    rows = HistoryEntry.objects.filter(log__content_type__in=types)
    return [change for row in rows for change in row.changes]


def test_erasing_blanks_old_and_new_values(organizer, week, dulcinea):
    save(organizer, dulcinea, organization="Windmill Guild", name="Dulcinea Q")
    need = AccessNeed.objects.filter(seat__registration=dulcinea).first()
    act(organizer, AccessNeed, "arrange", need)
    assert about_people()
    assert any(each["old"] == NAME for each in about_people())
    assert traces("guild")
    dulcinea.refresh_from_db()
    erasure.erase(registration=dulcinea)
    assert about_people() == []
    assert [trace for trace in ("guild", EMAIL) if traces(trace)] == []
    found = entries(organizer, week)
    assert len(found) == 2
    assert all("“Erased”" in each for each in found)


def test_erasing_one_person_keeps_the_others_history(organizer, week, dulcinea):
    sancho = sign_up(week, "Sancho Panza")
    save(organizer, sancho, organization="Donkeys")
    erasure.erase(registration=dulcinea)
    assert [each["new"] for each in about_people()] == ["Donkeys"]


def test_history_of_attendance_names_no_one(organizer, week, dulcinea):
    """Someone may be erased after their attendance was given to someone else."""
    sancho = sign_up(week, "Sancho Panza")
    session = week.sessions.first()
    stranger = Attendance.objects.create(
        session=session, name="Someone", instance_uuid="u", participant_id="9"
    )
    for person in (dulcinea, sancho):
        seat = person.seats.get(session=session)
        organizer.post(path(stranger), {"seat": seat.pk})
    assert Attendance.objects.get(pk=stranger.pk).seat.registration == sancho
    assert about_people() == []


def test_deleting_a_trial_event_blanks_its_history(organizer, week):
    session = week.sessions.first()
    save(organizer, session, title_en="Windmills")
    url = path(session).replace("/change/", "/cancel/")
    organizer.post(url, {"cancel_reason_en": "Windmills again"})
    Event.objects.update(status="draft")
    trial_events.delete_trial(event=Event.objects.get())
    assert traces("windmills") == []
    assert set(LogEntry.objects.values_list("object_repr", "change_message")) == {("Erased", "")}
