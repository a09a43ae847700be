"""Answers on a person's own page, and changing them there."""

import re

import pytest
import time_machine
from django.db import transaction
from django.test import Client
from django.utils import timezone

from events.models import Session
from registrations import questions, signup
from registrations.forms import RegistrationForm
from registrations.models import Question, Registration
from tests.people import sign_up
from tests.registrations.questions.asking import HOSTILE, answers, ask, field

pytestmark = pytest.mark.django_db


def test_change_saves_answers_and_deletes_those_that_are_none(week):
    first, second, third = ask(week), ask(week, text="And?"), ask(week, text="Else?")
    alice = sign_up(week, answers={first: "a", second: "b"})
    ours = sign_up(week, "Bob B", answers={first: "bob"})
    with transaction.atomic():
        questions.save_answers(registration=alice, answers={first: "c", second: None, third: "d"})
    assert dict(alice.answers.values_list("question", "value")) == {first.pk: "c", third.pk: "d"}
    assert [answer.value for answer in ours.answers.all()] == ["bob"]


def change(person: Registration, sessions, **details) -> None:
    offered = person.event.sessions.all()
    signup.change(registration=person, offered=offered, sessions=sessions, strategies=[], **details)


def test_answer_is_deleted_with_the_last_of_its_sessions(week, opening, later):
    both, one, always = (
        ask(week, sessions=[opening, later]),
        ask(week, sessions=[opening]),
        ask(week),
    )
    alice = sign_up(week, answers={both: "both", one: "one", always: "always"})
    bob = sign_up(week, "Bob B", answers={one: "bob"})
    change(alice, [later])
    assert set(alice.answers.values_list("value", flat=True)) == {"both", "always"}
    change(alice, week.sessions.all()[2:])
    assert set(alice.answers.values_list("value", flat=True)) == {"always"}
    assert bob.answers.count() == 1


def test_change_without_answers_keeps_them(week):
    alice = sign_up(week, answers={ask(week): "a"})
    change(alice, week.sessions.all(), name="Alice B")
    assert alice.answers.count() == 1


def post_change(client: Client, person: Registration, chosen: list[Session], **entered):
    had = person.sessions.filter(ends_at__gt=timezone.now())
    fields = {
        "name": person.name,
        "time_zone": person.time_zone,
        "sessions": [session.pk for session in chosen],
        "had": [session.pk for session in had],
        **entered,
    }
    return client.post(f"/me/{person.token}/change/", fields)


def test_answers_can_be_changed_on_the_change_page(client, week, opening, later):
    name, lunch = ask(week, text="Which name tag?", sessions=[opening]), ask(week, "choice")
    alice = sign_up(week, answers={name: "Alice", lunch: "Meat"})
    page = client.get(f"/me/{alice.token}/change/").content.decode()
    assert 'value="Alice"' in page
    assert '<option value="Meat" selected>' in page
    assert "data-sessions" in page
    post_change(client, alice, [opening, later], **{field(name): "Al", field(lunch): ""})
    assert answers() == {name.pk: "Al"}
    post_change(client, alice, [later], **{field(name): "Alicia", field(lunch): "Vegan"})
    assert answers() == {lunch.pk: "Vegan"}


@pytest.mark.once
def test_required_question_added_since_is_asked_on_the_change_page(client, week):
    alice = sign_up(week)
    question = ask(week, is_required=True)
    page = post_change(client, alice, list(week.sessions.all()), name="Alicia")
    assert list(page.context["form"].errors) == [field(question)]
    alice.refresh_from_db()
    assert (alice.name, answers()) == ("Alice Adams", {})


def test_answer_about_a_session_that_is_over_stays(client, week, opening, later):
    past, both = ask(week, text="Past?", sessions=[opening]), ask(week, sessions=[opening, later])
    alice = sign_up(week, answers={past: "p", both: "b"})
    with time_machine.travel(opening.ends_at):
        page = client.get(f"/me/{alice.token}/change/").content.decode()
        post_change(client, alice, list(week.sessions.all())[2:])
    assert later not in alice.sessions.all()
    assert "Past?" not in page
    assert answers() == {past.pk: "p", both.pk: "b"}


def test_form_starts_with_the_saved_answers(week):
    kinds = {kind: ask(week, kind) for kind in Question.Kind.values}
    given = {
        kinds["short"]: "s",
        kinds["long"]: "a\nb",
        kinds["choice"]: "Vegan",
        kinds["choices"]: ["Meat"],
        kinds["yes/no"]: False,
    }
    alice = sign_up(week, answers=given)
    initial = questions.initial_values(alice)
    form = RegistrationForm(event=week, sessions=list(week.sessions.all()), initial=initial)
    begun = {kind: form[field(question)].value() for kind, question in kinds.items()}
    assert begun == {
        "short": "s",
        "long": "a\nb",
        "choice": "Vegan",
        "choices": ["Meat"],
        "yes/no": "no",
    }


@pytest.mark.once
def test_own_page_shows_the_answers(client, week):
    alice = sign_up(week, answers={ask(week, text="Q & A?"): HOSTILE, ask(week, "yes/no"): False})
    sign_up(week, "Bob B", answers={ask(week): "of Bob"})
    page = client.get(f"/me/{alice.token}/").content.decode()
    assert "Q &amp; A?" in page
    assert "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;" in page
    assert re.search(r"<dd[^>]*>No</dd>", page)
    assert "of Bob" not in page
