"""Adding and leaving sessions, also those that are full, over or canceled."""

import re

import pytest
import time_machine
from django.utils import timezone

from events.models import Event, Session
from events.schedule import cancel_session
from tests.people import sign_up
from tests.registrations.views.my_page.pages import (
    HOUR,
    MINUTE,
    form_of,
    offered,
    over,
    own,
    said,
    save,
    sent,
    titles,
    week_session,
    without,
    words,
)

pytestmark = [pytest.mark.django_db, pytest.mark.once]


def test_changed_sessions_are_emailed(client, week, opening):
    alice = sign_up(week, sessions=week.sessions.all()[:2])
    sent(alice)
    form = form_of(client, alice)
    closing = week_session(opening, 5)
    answer = save(client, alice, form, sessions=[*without(form, opening), closing.pk])
    assert said(answer) == (f"{own(alice)}#status", "sessions")
    assert titles(alice) == [week_session(opening, 1).slug, closing.slug]
    assert alice.mails.filter(kind="links", state="waiting").count() == 1


@pytest.mark.parametrize("become", [over, lambda session: cancel_session(session=session)])
@pytest.mark.parametrize("wish", ["add", "leave"])
def test_session_that_is_gone_is_named_at_the_field_and_input_is_kept(
    client, week, opening, become, wish
):
    alice = sign_up(
        week, sessions=[s for s in week.sessions.all() if wish == "leave" or s != opening]
    )
    form = form_of(client, alice)
    form["sessions"] = (
        without(form, opening) if wish == "leave" else [*form["sessions"], opening.pk]
    )
    become(opening)
    answer = save(client, alice, form, name="Alice O'Brien")
    assert answer.status_code == 200
    page = words(answer)
    assert "You can't change these anymore" in page
    assert f"“{opening.title}”" in page
    assert 'value="Alice O&#x27;Brien"' in answer.content.decode()
    alice.refresh_from_db()
    assert (alice.name, alice.seats.count()) == ("Alice Adams", 6 if wish == "leave" else 5)
    # Pressed again, the form as it is shown now is taken.
    shown = answer.content.decode()
    form["sessions"] = re.findall(r'name="sessions" value="(\d+)" checked', shown) or without(
        form, opening
    )
    form["had"] = re.findall(r'name="had" value="(\d+)"', shown)
    assert str(opening.pk) not in form["had"]
    assert save(client, alice, form, name="Alice O'Brien").status_code == 302


@pytest.mark.parametrize("become", [over, lambda session: cancel_session(session=session)])
def test_session_that_is_gone_but_was_not_changed_does_not_block_saving(
    client, alice, opening, become
):
    form = form_of(client, alice)
    become(opening)
    answer = save(client, alice, form, name="Alice O'Brien")
    assert said(answer) == (f"{own(alice)}#status", "saved")
    assert alice.seats.count() == 6


def test_session_that_has_started_can_still_be_added_and_left(client, week, opening):
    alice = sign_up(week, sessions=week.sessions.exclude(pk=opening.pk))
    form = form_of(client, alice)
    with time_machine.travel(opening.starts_at + HOUR):
        save(client, alice, form, sessions=[*form["sessions"], opening.pk])
        assert alice.seats.count() == 6
        form = form_of(client, alice)
        save(client, alice, form, sessions=without(form, opening))
    assert alice.seats.count() == 5


def test_attended_session_cannot_be_left_once_it_has_started(client, alice, opening):
    stale = form_of(client, alice)
    was_there = alice.seats.filter(session=opening, attended=True)
    alice.seats.filter(session=opening).update(attended=True)
    # Come early, one may still change one's mind.
    with time_machine.travel(opening.starts_at - MINUTE):
        assert str(opening.pk) in offered(client, alice)
    with time_machine.travel(opening.starts_at, tick=False):
        assert str(opening.pk) not in offered(client, alice)
        assert "neither are ones you've been to" in words(client.get(own(alice, "change/")))
        answer = save(client, alice, stale, sessions=without(stale, opening))
        assert "You can't change these anymore" in words(answer)
        assert f"“{opening.title}”" in words(answer)
        assert was_there.exists()
        # The others are left as ever.
        save(client, alice, form_of(client, alice), sessions=[])
    assert titles(alice) == [opening.slug]
    assert was_there.exists()


def test_invalid_sessions_are_rejected(client, week, alice, opening):
    times = {"starts_at": opening.starts_at, "ends_at": opening.ends_at}
    draft = week.sessions.create(title="D", slug="d", status="draft", **times)
    other = Event.objects.create(name="Other", slug="other", host="H", summary="S")
    foreign = other.sessions.create(title="O", slug="o", **times)
    form = form_of(client, alice)
    for odd in ("0", "-1", "abc", "99999999999999999999", "١", str(draft.pk), str(foreign.pk)):
        answer = save(client, alice, form, sessions=[*form["sessions"], odd])
        assert answer.status_code == 200
        assert "is no longer open" in words(answer)
        assert save(client, alice, form, had=[*form["had"], odd]).status_code == 302
    assert alice.seats.count() == 6


def test_leaving_every_session_is_rejected_and_canceling_offered(client, alice):
    form = form_of(client, alice)
    answer = save(client, alice, form, sessions=[], name="Alice O'Brien")
    assert "Keep at least one session." in words(answer)
    assert f'href="{own(alice, "cancel/")}">Cancel my registration</a>' in answer.content.decode()
    assert alice.seats.count() == 6


def test_person_who_attended_a_session_can_leave_the_rest(client, alice, opening):
    over(opening)
    form = form_of(client, alice)
    save(client, alice, form, sessions=[])
    assert titles(alice) == ["opening"]


def test_details_can_be_changed_without_sessions_to_choose(client, alice, week):
    for session in week.sessions.all():
        cancel_session(session=session)
    form = form_of(client, alice)
    assert form["sessions"] == []
    assert save(client, alice, form, name="Alice O'Brien").status_code == 302


def test_closed_registration_allows_leaving_but_not_adding_sessions(client, week, opening):
    alice = sign_up(week, sessions=week.sessions.all()[:2])
    stale = form_of(client, alice)
    Event.objects.update(registration_closes_at=timezone.now())
    assert offered(client, alice) == [str(each.pk) for each in alice.sessions.order_by("starts_at")]
    closing = week_session(opening, 5)
    answer = save(client, alice, stale, sessions=[*stale["sessions"], closing.pk])
    assert f"“{closing.title}”" in words(answer)
    assert alice.seats.count() == 2
    save(client, alice, stale, sessions=without(stale, opening))
    assert titles(alice) == [week_session(opening, 1).slug]


def test_full_session_is_marked_and_joined_on_its_waitlist(client, week, opening):
    Session.objects.filter(pk=opening.pk).update(capacity=1)
    opening.refresh_from_db()
    bob = sign_up(week, "Bob B", sessions=[opening])
    alice = sign_up(week, sessions=week.sessions.exclude(pk=opening.pk))
    form = form_of(client, alice)
    assert "Full. We'll put you on the waitlist" in words(client.get(own(alice, "change/")))
    assert "Full." not in words(client.get(own(bob, "change/")))
    save(client, alice, form, sessions=[*form["sessions"], opening.pk])
    assert alice.seats.get(session=opening).state == "waiting"
    assert "You're on the waitlist." in words(client.get(own(alice, "change/")))


def test_answers_about_a_past_session_are_kept(client, week, opening):
    """The question is also about another session, for which Alice is not registered."""
    alice = sign_up(week, sessions=week.sessions.all()[:2])
    question = week.questions.create(text="Where do you sit?")
    question.sessions.add(opening, week_session(opening, 5))
    alice.answers.create(question=question, value="In front")
    over(opening)
    assert save(client, alice, form_of(client, alice), name="Alice O'Brien").status_code == 302
    assert alice.answers.get().value == "In front"
