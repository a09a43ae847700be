"""A form that was opened before something else changed undoes nothing of it."""

import re

import pytest

from events.schedule import cancel_session, restore_session
from registrations import access_needs, signup
from registrations.models import AccessNeed, Registration
from tests.people import sign_up
from tests.registrations.views.my_page.pages import (
    NEEDS,
    form_of,
    own,
    posted_of,
    said,
    save,
    sent,
    without,
    words,
)

pytestmark = [pytest.mark.django_db, pytest.mark.once]


def test_saving_twice_sends_one_email(client, alice, opening):
    sent(alice)
    form = form_of(client, alice)
    for notice in ("sessions", "saved"):
        answer = save(client, alice, form, sessions=without(form, opening))
        assert said(answer) == (f"{own(alice)}#status", notice)
    assert alice.seats.count() == 5
    assert alice.mails.count() == 2


def test_second_tab_does_not_undo_session_changes(client, alice, opening):
    """It was opened before the other one was saved, and only changes the name."""
    first = form_of(client, alice)
    second = form_of(client, alice)
    save(client, alice, second, sessions=without(second, opening))
    save(client, alice, first, name="Alice O'Brien")
    alice.refresh_from_db()
    assert (alice.name, alice.seats.count()) == ("Alice O'Brien", 5)


def test_second_tab_does_not_undo_details_strategies_or_answers(client, week, opening, lunch):
    """An organizer has meanwhile arranged what was requested in the other tab."""
    alice = sign_up(week, sessions=week.sessions.exclude(pk=opening.pk))
    story = week.questions.create(text="Your story?", kind="long")
    first, second = form_of(client, alice), form_of(client, alice)
    entered = {"needs": ["asl"], "needs_other": "Large print", "us_state": "NY"}
    answers = {f"question_{lunch.pk}": ["Vegan"], f"question_{story.pk}": "Long"}
    chosen = [each.pk for each in week.tracks.all()[:2]]
    save(client, alice, second, strategies=chosen, **entered, **answers)
    access_needs.arrange(needs=AccessNeed.objects.all())
    save(client, alice, first, sessions=[*first["sessions"], opening.pk], name="Alice O'Brien")
    alice.refresh_from_db()
    assert (alice.name, alice.us_state, alice.needs) == ("Alice O'Brien", "NY", ["asl"])
    assert alice.needs_other == "Large print"
    assert alice.strategies.count() == 2
    assert set(alice.seats.values_list("access_needs__kind", flat=True)) == {"asl", "other"}
    assert AccessNeed.objects.filter(state="arranged").count() == 10
    assert dict(alice.answers.values_list("question", "value")) == {
        lunch.pk: ["Vegan"],
        story.pk: "Long",
    }


def test_second_tab_does_not_restore_what_was_removed(client, week, lunch):
    story = week.questions.create(text="Your story?", kind="long")
    answers = {lunch: ["Meat", "Soup"], story: "Long\n\n& true"}
    alice = sign_up(week, needs=["asl"], strategies=week.tracks.all(), answers=answers)
    first = form_of(client, alice)
    Registration.objects.update(needs=[])
    alice.strategies.clear()
    alice.answers.all().delete()
    save(client, alice, first, name="Alice O'Brien")
    alice.refresh_from_db()
    assert (alice.name, alice.needs) == ("Alice O'Brien", [])
    assert (alice.strategies.count(), alice.answers.count()) == (0, 0)


def test_second_tab_keeps_the_needs_checked_in_the_first(client, week):
    """Each kind of need is merged separately."""
    alice = sign_up(week, needs=["captions", "dial-in"])
    first, second = form_of(client, alice), form_of(client, alice)
    save(client, alice, second, needs=["captions", "asl"])
    save(client, alice, first, needs=["dial-in", "interpretation"])
    alice.refresh_from_db()
    assert alice.needs == ["asl", "interpretation"]


def test_form_with_errors_still_knows_its_initial_values(client, week, lunch):
    """Values are compared with the first form that was shown, also where it was empty."""
    alice = sign_up(week)
    form = form_of(client, alice)
    first, second, *_others = week.tracks.all()
    entered = {"organization": "Friends", "strategies": [first.pk], f"question_{lunch.pk}": "Soup"}
    answer = save(client, alice, form, **entered, needs=NEEDS, name="")
    assert "aria-" not in "".join(re.findall(r'<input type="hidden"[^>]*>', answer.text))
    again = posted_of(answer.content.decode())
    assert {name: value for name, value in again.items() if name.startswith("initial-")} == {
        name: value for name, value in form.items() if name.startswith("initial-")
    }
    Registration.objects.update(us_state="NY")
    alice.strategies.add(second)
    save(client, alice, again, name="Alice O'Brien")
    alice.refresh_from_db()
    assert alice.needs == NEEDS
    assert (alice.name, alice.organization, alice.us_state) == ("Alice O'Brien", "Friends", "NY")
    assert list(alice.strategies.all()) == [first]
    assert alice.answers.get().value == ["Soup"]


def test_post_without_initial_values_is_saved_as_it_is(client, week):
    alice = sign_up(week, needs=["asl"], strategies=week.tracks.all(), organization="Friends")
    form = form_of(client, alice)
    fields = {name: value for name, value in form.items() if not name.startswith("initial-")}
    del fields["needs"]
    save(client, alice, fields, strategies=[], organization="")
    alice.refresh_from_db()
    assert (alice.needs, alice.organization, alice.strategies.count()) == ([], "", 0)


def test_form_without_a_session_does_not_drop_it(client, alice, opening):
    """The form was opened while the session was canceled."""
    cancel_session(session=opening)
    form = form_of(client, alice)
    assert str(opening.pk) not in form["sessions"]
    restore_session(session=opening)
    save(client, alice, form, name="Alice O'Brien")
    assert alice.seats.count() == 6


def test_change_after_canceling_in_another_tab_leads_to_the_canceled_page(client, alice):
    form = form_of(client, alice)
    signup.cancel(registration=alice)
    answer = client.post(own(alice, "change/"), {**form, "name": "Alice O'Brien"}, follow=True)
    assert "Your registration is canceled" in words(answer)
    alice.refresh_from_db()
    assert alice.name == "Alice Adams"
