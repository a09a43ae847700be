"""The counts of a session's people by the database, next to those of the board.

`lacking` compares them too, in all states of links and emails that other tests know.
"""

import pytest
from django.utils import timezone

from events.models import Meeting, Session
from registrations import readiness
from registrations.models import Seat
from registrations.readiness import Summary
from tests.people import sign_up
from tests.registrations.readiness.people import crowd, issue, mail, mailed, queries

pytestmark = pytest.mark.django_db


def summary(session: Session) -> Summary:
    found = Session.objects.select_related("event", "meeting").get(pk=session.pk)
    return readiness.summary(found)


def test_people_without_an_email_have_no_working_link(week, opening):
    mailed(sign_up(week))
    sign_up(week, "Bob B")
    mailed(sign_up(week, "Charlie C"), "bounced")
    Seat.objects.filter(registration__name="Alice Adams").update(opened_at=timezone.now())
    assert summary(opening) == Summary(expected=3, opened=1, without_link=2)


def test_new_links_on_their_way_count_as_none(week, opening):
    alice = mailed(sign_up(week))
    assert summary(opening).without_link == 0
    mail(alice, state="waiting")
    assert summary(opening).without_link == 1
    mail(alice)
    assert summary(opening).without_link == 0


def test_people_whose_later_email_came_back_have_no_working_link(week, opening):
    mail(mailed(sign_up(week)), kind="reminder", state="bounced")
    assert summary(opening).without_link == 1


def test_nobody_has_a_link_while_the_session_has_none(week, opening):
    mailed(sign_up(week))
    Meeting.objects.filter(session=opening).update(join_url="")
    assert summary(opening) == Summary(1, 0, 1)


def test_personal_links_are_counted_when_they_are_issued(personal, opening):
    alice, bob = mailed(sign_up(personal)), mailed(sign_up(personal, "Bob B"))
    issue(alice, opening)
    issue(bob, opening, "refused")
    assert summary(opening) == Summary(2, 0, 1)


def test_summary_takes_the_same_queries_for_any_number_of_people(week, opening):
    crowd(week, 3)
    few = queries(lambda: summary(opening))
    crowd(week, 60)
    assert queries(lambda: summary(opening)) == few == 3
    assert summary(opening) == Summary(60, 0, 40)
