"""The personal data of an event is erased some time after it has ended."""

import datetime as dt

import pytest
import time_machine
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from events.models import Event
from registrations import signup, tasks
from registrations.models import AccessNeed, Answer, Attendance, Registration, Seat
from registrations.privacy import erasure
from tests.admin_pages import form_of
from tests.people import sign_up
from tests.registrations.privacy.people import (
    TRACES,
    end_of,
    erased,
    logged,
    person_everywhere,
    traces,
)

pytestmark = pytest.mark.django_db

DAY = dt.timedelta(days=1)
MINUTE = dt.timedelta(minutes=1)


@pytest.fixture
def small(week) -> Event:
    """Another event, whose only session ends half a year later."""
    event = Event.objects.create(name="Small", slug="small", host="Us", erase_after_days=7)
    starts_at = end_of(week) + 180 * DAY
    event.sessions.create(
        title="One", slug="one", starts_at=starts_at, ends_at=starts_at + 60 * MINUTE
    )
    return event


@pytest.mark.once
def test_each_event_is_erased_when_it_is_due(week, small):
    empty = Event.objects.create(name="Empty", slug="empty", host="Us")
    for event in (week, small, empty):
        sign_up(event, sessions=[])
    cases = [
        (end_of(week) + 90 * DAY - MINUTE, set()),
        (end_of(week) + 90 * DAY, {week.slug}),
        (end_of(small) + 7 * DAY - MINUTE, {week.slug}),
        (end_of(small) + 7 * DAY, {week.slug, "small"}),
        (end_of(small) + 3000 * DAY, {week.slug, "small"}),
    ]
    for now, expected in cases:
        assert erasure.erase_expired(now) is False
        assert (now, erased()) == (now, expected)


@pytest.mark.once
def test_more_days_postpone_erasing(week, dulcinea):
    due = end_of(week) + 90 * DAY
    Event.objects.update(erase_after_days=91)
    erasure.erase_expired(due)
    assert erased() == set()
    erasure.erase_expired(due + DAY)
    assert erased() == {week.slug}


def test_event_that_ended_long_ago_leaves_time_to_check(week, dulcinea):
    long_ago = dt.timedelta(days=400)
    for session in week.sessions.all():
        session.starts_at, session.ends_at = (
            session.starts_at - long_ago,
            session.ends_at - long_ago,
        )
        session.save()
    floor = Event.objects.get(pk=week.pk).erase_not_before
    erasure.erase_expired(floor - dt.timedelta(seconds=1))
    assert erased() == set()
    erasure.erase_expired(floor)
    assert erased() == {week.slug}


def test_changing_the_number_of_days_leaves_a_week_to_check(admin_client, week):
    page = f"/admin/events/event/{week.pk}/change/"
    form = form_of(admin_client, page)
    with time_machine.travel("2030-01-01", tick=False):
        admin_client.force_login(User.objects.get(is_superuser=True))
        answer = admin_client.post(page, {**form, "erase_after_days": "7"})
        assert answer.status_code == 302, answer.context["errors"]
        week.refresh_from_db()
        assert week.erase_not_before == timezone.now() + 7 * DAY


def test_everyone_in_the_event_is_erased_once(week, dulcinea, admin_user):
    logged(admin_user, dulcinea)
    canceled, declined = sign_up(week, "Ana Quixote"), sign_up(week, "Eva Quixote")
    signup.cancel(registration=canceled)
    signup.decline(registrations=[declined])
    # Not matched to anyone.
    Attendance.objects.create(
        session=week.sessions.first(), instance_uuid="x", participant_id="9", name="Maria Windmill"
    )
    now = end_of(week) + 90 * DAY
    erasure.erase_expired(now)
    assert Registration.objects.filter(erased_at=None).count() == 0
    assert traces(*TRACES) == []
    assert (Seat.objects.count(), Attendance.objects.count()) == (18, 4)
    before = list(Registration.objects.order_by("pk").values())
    assert erasure.erase_expired(now + DAY) is False
    assert list(Registration.objects.order_by("pk").values()) == before


@pytest.mark.once
def test_run_stops_at_its_limit_and_the_next_continues(week):
    for number in range(3):
        sign_up(week, f"P{number} Quixote", sessions=[])
    now = end_of(week) + 90 * DAY
    assert erasure.erase_expired(now, limit=2) is True
    assert Registration.objects.exclude(erased_at=None).count() == 2
    assert erasure.erase_expired(now, limit=2) is False
    assert traces("quixote") == []


@pytest.mark.once
def test_log_of_deleted_rows_is_searched_once_per_run(week, admin_user):
    people = [
        person_everywhere(week, f"P{number} Quixote", f"p{number}@windmill.example")
        for number in "12"
    ]
    for person in people:
        logged(admin_user, Answer.objects.get(registration=person))
    with CaptureQueriesContext(connection) as queries:
        erasure.erase_expired(end_of(week) + 90 * DAY)
    searches = [
        each for each in queries if "django_admin_log" in each["sql"] and "EXISTS" in each["sql"]
    ]
    assert len(searches) == len((Answer, AccessNeed, Seat))
    assert traces(*TRACES) == []


@pytest.mark.once
def test_error_for_one_person_stops_no_other(week, monkeypatch):
    first, second = sign_up(week, "Ana Quixote"), sign_up(week, "Eva Quixote")
    cancel = signup.cancel

    def fail_for_first(*, registration: Registration) -> bool:
        if registration == first:
            raise ValueError("odd")
        return cancel(registration=registration)

    monkeypatch.setattr(signup, "cancel", fail_for_first)
    assert erasure.erase_expired(end_of(week) + 90 * DAY) is False
    assert list(Registration.objects.exclude(erased_at=None)) == [second]
    assert Registration.objects.active().get() == first


@pytest.mark.once
def test_erasing_is_scheduled(settings, week, dulcinea):
    names = {each["task"] for each in settings.CELERY_BEAT_SCHEDULE.values()}
    assert tasks.erase_expired.name in names
    tasks.erase_expired()
    assert erased() == set()
    with time_machine.travel(end_of(week) + 90 * DAY, tick=False):
        tasks.erase_expired()
    assert erased() == {week.slug}
