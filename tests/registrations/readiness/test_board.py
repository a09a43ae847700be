"""Who is on the readiness board, its numbers, and looking people up."""

from collections import Counter

import pytest
import time_machine
from django.utils import timezone

from events.models import Session
from events.schedule import cancel_session
from registrations import readiness, signup
from registrations.models import Registration, Seat
from registrations.readiness import EmailStatus, LinkStatus, Progress, Tally
from tests.people import sign_up
from tests.registrations.readiness.people import (
    HOUR,
    MINUTE,
    board,
    issue,
    lacking,
    mail,
    mailed,
    names,
    seat_of,
)

pytestmark = pytest.mark.django_db


# Who is on the board


def test_only_attendees_are_on_the_board(week, opening):
    people = [sign_up(week, name) for name in ("Alice A", "Bob B", "Charlie C", "Dora D", "Eve E")]
    _alice, bob, charlie, dora, eve = people
    signup.cancel(registration=bob)
    signup.decline(registrations=[charlie])
    Registration.objects.filter(pk=dora.pk).update(approval="pending")
    eve.seats.update(state="waiting", waiting_since=timezone.now())
    assert lacking(opening) == ["Alice A"]
    assert board(week).tallies()[opening.pk].seated == 1
    assert names(board(week).people()) == ["Alice A"]


def test_only_sessions_that_take_place_are_on_the_board(week, opening, second):
    sign_up(week)
    cancel_session(session=opening)
    Session.objects.filter(pk=second.pk).update(status="draft")
    others = set(week.sessions.values_list("pk", flat=True)) - {opening.pk, second.pk}
    assert set(board(week).tallies()) == others
    assert {seat.session_id for seat in board(week).seats} == others
    sign_up(week, "Bob B", sessions=[opening, second])
    assert names(board(week).people()) == ["Alice Adams"]


def test_next_session_is_the_first_that_is_not_over(week, opening, second):
    sessions = list(week.sessions.all())
    assert readiness.next_session(sessions, timezone.now()) == opening
    assert readiness.next_session(sessions, opening.ends_at - MINUTE) == opening
    assert readiness.next_session(sessions, opening.ends_at) == second
    assert readiness.next_session(sessions, sessions[-1].ends_at) is None


def test_nobody_needs_a_link_for_a_past_session(week, opening):
    sign_up(week, sessions=[opening])
    assert lacking(opening) == ["Alice Adams"]
    with time_machine.travel(opening.ends_at + HOUR):
        assert lacking(opening) == []


# Numbers


def test_tally_counts_the_progress_of_people(personal, opening):
    alice, bob, charlie, dora, eve = (
        sign_up(personal, name) for name in ("Alice A", "Bob B", "Charlie C", "Dora D", "Eve E")
    )
    for person, state in ((alice, "sent"), (bob, "sent"), (charlie, "bounced"), (dora, "failed")):
        mailed(person, state)
    for person in (alice, bob, eve):
        issue(person, opening)
    issue(charlie, opening, "refused")
    Seat.objects.update(link_fetched_at=timezone.now())
    alice.seats.filter(session=opening).update(opened_at=timezone.now(), attended=True)
    bob.seats.filter(session=opening).update(opened_at=timezone.now())
    assert board(personal).tallies()[opening.pk] == Tally(
        seated=5,
        issued=3,
        accepted=2,
        unreached=2,
        opened=2,
        attended=1,
        without_link=3,
        reasons=Counter(
            {
                str(EmailStatus.CAME_BACK.label): 1,
                str(EmailStatus.REFUSED.label): 1,
                str(EmailStatus.ON_ITS_WAY.label): 1,
                str(LinkStatus.REFUSED.label): 1,
                str(LinkStatus.WANTED.label): 1,
            }
        ),
    )


def test_empty_session_has_a_tally(week, opening):
    assert board(week).tallies()[opening.pk] == Tally(0, 0, 0, 0, 0, 0, 0, reasons=Counter())


# Looking people up


@pytest.fixture
def four(week, opening, second):
    """Alice has come, Bob has opened the page, Charlie's mail came back, Dora is in the second.

    A mail scanner has fetched everyone's links.
    """
    alice, bob, charlie = (
        mailed(sign_up(week, name, sessions=[opening])) for name in ("Alice A", "Bob B", "Cha C")
    )
    mailed(sign_up(week, "Dora D", sessions=[second], email="dora.bobson@example.org"))
    mailed(charlie, "bounced")
    Seat.objects.update(link_fetched_at=timezone.now())
    bob.seats.update(opened_at=timezone.now())
    alice.seats.update(opened_at=timezone.now(), attended=True)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, ["Alice A", "Bob B", "Cha C", "Dora D"]),
        ({"session": "opening"}, ["Alice A", "Bob B", "Cha C"]),
        ({"progress": Progress.NO_LINK}, ["Cha C"]),
        ({"progress": Progress.UNREACHED}, ["Cha C"]),
        ({"progress": Progress.NOT_OPENED}, ["Cha C", "Dora D"]),
        ({"progress": Progress.NOT_OPENED, "session": "opening"}, ["Cha C"]),
        ({"progress": Progress.ATTENDED}, ["Alice A"]),
        ({"search": "BOB"}, ["Bob B", "Dora D"]),
        ({"search": "bob example"}, ["Bob B", "Dora D"]),
        ({"search": "bob", "session": "opening"}, ["Bob B"]),
        ({"search": "nobody"}, []),
    ],
)
def test_people_can_be_filtered_and_searched(week, four, asked, expected):
    if "session" in asked:
        asked = {**asked, "session": week.sessions.get(slug=asked["session"])}
    assert names(board(week).people(**asked)) == expected


def test_seat_shows_the_last_error_of_what_its_status_is_about(week, opening):
    alice = mailed(sign_up(week), "failed")
    alice.mails.update(last_error="550 No such user")
    assert seat_of(alice, opening).reasons == {str(EmailStatus.REFUSED.label): "550 No such user"}
    mail(alice, state="waiting", last_error="451 Later")
    assert seat_of(alice, opening).reasons == {str(EmailStatus.ON_ITS_WAY.label): "451 Later"}
    mail(alice, state="bounced", last_error="Mailbox full")
    assert seat_of(alice, opening).reasons == {str(EmailStatus.CAME_BACK.label): "Mailbox full"}
