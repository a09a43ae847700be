"""Who will get an email about the last edits of a session, and when: what will then happen."""

import datetime as dt

import pytest
from django.utils import timezone

from events.forecasts import forecasts
from events.models import AgendaItem, Event, Session
from events.schedule import cancel_session, edit_session, restore_session
from registrations import signup
from registrations.mail import change_notices
from registrations.models import OutgoingMail
from tests.people import sign_up
from tests.registrations.mail.change_notices.edits import MINUTE, NOW, move, rename, send_all

pytestmark = pytest.mark.django_db

HOUR = dt.timedelta(hours=1)


def foreseen(session: Session) -> list[tuple[int, dt.timedelta]]:
    """How many people, and how long from now, to the second."""
    now = timezone.now()
    return sorted(
        (len(each.people), dt.timedelta(seconds=round((each.due_at - now).total_seconds())))
        for each in forecasts(session, now)
    )


def start_in(session: Session, **ahead: float) -> None:
    starts_at = NOW + dt.timedelta(**ahead)
    times = {"starts_at": starts_at, "ends_at": starts_at + 2 * HOUR}
    Session.objects.filter(pk=session.pk).update(**times)


def test_session_that_was_not_edited_has_no_forecast(week, opening, two):
    assert foreseen(opening) == []


@pytest.mark.parametrize(
    "edit", [cancel_session, lambda session: move(session, hours=1)], ids=["canceled", "moved"]
)
def test_forecast_is_what_happens(week, opening, two, settled, edit):
    sign_up(week, "Charlie C", sessions=list(week.sessions.exclude(pk=opening.pk)))
    signup.cancel(registration=sign_up(week, "Dana D"))
    send_all()
    before = OutgoingMail.objects.count()
    edit(session=opening) if edit is cancel_session else edit(opening)
    assert foreseen(opening) == [(2, 10 * MINUTE)]
    assert settled(9) == []
    assert foreseen(opening) == [(2, MINUTE)]
    settled(1)
    assert OutgoingMail.objects.count() - before == 2
    assert foreseen(opening) == []


def test_undone_edit_reaches_no_one(week, opening, two):
    title = opening.title
    rename(opening, "A")
    assert foreseen(opening) == [(2, 10 * MINUTE)]
    rename(opening, title)
    assert foreseen(opening) == []
    cancel_session(session=opening)
    restore_session(session=opening)
    assert foreseen(opening) == []


def test_edit_that_no_email_is_about_reaches_no_one(week, opening, two):
    with edit_session(opening.pk) as current:
        current.summary = "Another one"
        current.save()
    assert Session.objects.get(pk=opening.pk).revision == 1
    assert foreseen(opening) == []


def test_session_that_starts_soon_is_announced_right_away(week, opening, two, settled):
    start_in(opening, hours=2)
    move(opening, minutes=5)
    assert foreseen(opening) == [(2, 0 * MINUTE)]
    assert len(settled(0)) == 2


def test_session_that_no_longer_starts_soon_is_announced_right_away(week, opening, two):
    start_in(opening, hours=2)
    move(opening, days=5)
    assert foreseen(opening) == [(2, 0 * MINUTE)]


def test_new_agenda_is_for_people_with_a_spot_once_it_has_settled(week, opening, two):
    Session.objects.filter(pk=opening.pk).update(capacity=2)
    sign_up(week, "Charlie C")
    start_in(opening, hours=2)
    with edit_session(opening.pk):
        AgendaItem.objects.create(session=opening, title="More", minutes=5)
    assert foreseen(opening) == [(2, 10 * MINUTE)]


def test_people_whose_schedule_is_on_its_way_get_no_update(week, opening, two):
    sign_up(week, "Charlie C", with_schedule=True)
    with edit_session(opening.pk):
        AgendaItem.objects.create(session=opening, title="More", minutes=5)
    assert foreseen(opening) == [(2, 10 * MINUTE)]


def test_draft_and_past_sessions_reach_no_one(week, opening, two):
    start_in(opening, hours=-5)
    cancel_session(session=opening)
    assert foreseen(opening) == []
    later = week.sessions.last()
    cancel_session(session=later)
    assert foreseen(later) == [(2, 10 * MINUTE)]
    Event.objects.update(status="draft")
    assert foreseen(later) == []


def test_wait_before_a_cancellation_is_announced(week, opening):
    def wait() -> dt.timedelta | None:
        session = Session.objects.select_related("event").get(pk=opening.pk)
        return change_notices.cancellation_wait(session, timezone.now())

    assert wait() == 10 * MINUTE
    start_in(opening, hours=2)
    assert wait() == 0 * MINUTE
    start_in(opening, hours=-2)
    assert wait() is None
    start_in(opening, days=2)
    Session.objects.filter(pk=opening.pk).update(status="draft")
    assert wait() is None
    Session.objects.filter(pk=opening.pk).update(status="published")
    Event.objects.update(status="draft")
    assert wait() is None
