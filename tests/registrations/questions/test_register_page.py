"""The organizers' questions on the register page."""

import re

import pytest
import time_machine
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from events.models import Event
from registrations import questions
from registrations.models import Answer, Question, Registration
from tests.people import filled_form, published_event
from tests.registrations.questions.asking import HOSTILE, answers, ask, errors, field, post

pytestmark = pytest.mark.django_db


def test_answers_are_saved_as_entered(client, week):
    given = [
        ("short", "  From Bob  ", "From Bob", "From Bob"),
        ("short", "👩‍👧 <3 & 'x'", "👩‍👧 <3 & 'x'", "👩‍👧 <3 & 'x'"),
        ("long", "One.\r\n\r\nTwo.", "One.\n\nTwo.", "One.\n\nTwo."),
        ("choice", "Vegan", "Vegan", "Vegan"),
        ("choices", ["Meat", "Nothing, thanks"], ["Meat", "Nothing, thanks"], None),
        ("yes/no", "yes", True, "Yes"),
        ("yes/no", "no", False, "No"),
    ]
    asked = [ask(week, kind, is_required=True) for kind, *_rest in given]
    names = map(field, asked)
    entered = {name: text for name, (_kind, text, *_rest) in zip(names, given, strict=True)}
    post(client, week, **entered)
    saved = [each.answers.get() for each in asked]
    assert {answer.registration for answer in saved} == {Registration.objects.get()}
    assert [answer.value for answer in saved] == [kept for _kind, _entered, kept, _shown in given]
    assert [questions.answer_text(answer) for answer in saved] == [
        shown or "Meat; Nothing, thanks" for *_rest, shown in given
    ]


@pytest.mark.once
@pytest.mark.parametrize("blank", ["", "  \r\n ", None])
def test_blank_answers_are_not_saved(client, week, blank):
    asked = {kind: ask(week, kind) for kind in Question.Kind.values}
    texts = () if blank is None else (asked["short"], asked["long"])
    post(client, week, **{field(each): blank for each in texts})
    assert Registration.objects.count() == 1
    assert answers() == {}


@pytest.mark.once
def test_required_questions_must_be_answered(client, week):
    asked = [ask(week, kind, is_required=True) for kind in Question.Kind.values]
    response = post(client, week)
    missing = ["Please answer this question."]
    assert errors(response) == {field(each): missing for each in asked}
    assert "How did you hear of us?: Please answer this question." in response.content.decode()


@pytest.mark.once
def test_bad_answers_are_reported_at_their_fields_and_kept(client, week):
    bad = [
        ("short", "x" * 201),
        ("short", "one\ntwo"),
        ("short", "a\x00b"),
        ("short", "gnp.\u202eexe"),
        ("short", "\ue000name\ue000"),
        ("long", "x" * 2001),
        ("long", "a\x00b"),
        ("long", "a\u2028b"),
        ("choice", "Fish"),
        ("choice", "vegan"),
        ("choices", ["Meat", "Fish"]),
        ("choices", ["\x00"]),
        ("yes/no", "perhaps"),
        ("yes/no", "True"),
    ]
    asked, other = [ask(week, kind) for kind, _entered in bad], ask(week, text="And else?")
    form = {field(each): entered for each, (_kind, entered) in zip(asked, bad, strict=True)}
    response = post(client, week, **form, **{field(other): HOSTILE})
    assert list(errors(response)) == [field(each) for each in asked]
    page = response.content.decode()
    assert [each for each in asked if f'id="id_{field(each)}_error"' not in page] == []
    assert "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt; O&#x27;Brien &amp; Co {{ 7 }}" in page
    for kept in ("x" * 201, "one", "gnp.\u202eexe", "\ue000name\ue000"):
        assert f'value="{kept}' in page


@pytest.mark.once
def test_line_break_counts_as_one_character(client, week):
    """As in browsers: maxlength counts a line break as one character."""
    question = ask(week, "long")
    text = "\r\n".join(["x"] * 1000) + "y"
    post(client, week, **{field(question): text})
    assert len(Answer.objects.get().value) == 2000


@pytest.mark.once
def test_choices_stay_selected_after_an_error(client, week):
    one, many, yes = ask(week, "choice"), ask(week, "choices"), ask(week, "yes/no")
    page = post(
        client,
        week,
        name="",
        **{field(one): "Vegan", field(many): ["Meat", "Vegan"], field(yes): "no"},
    ).content.decode()
    chosen = re.findall(r'name="(question_\d+)" value="([^"]*)"[^>]* checked', page)
    assert chosen == [(field(many), "Meat"), (field(many), "Vegan"), (field(yes), "no")]
    assert re.findall(r'<option value="(\w+)" selected>Vegan', page) == ["Vegan"]


@pytest.mark.once
def test_html_in_questions_is_escaped(client, week):
    ask(week, "choices", HOSTILE, help_text=HOSTILE, choices=f"{HOSTILE}\nb")
    page = client.get(f"/{week.slug}/register/").content.decode()
    assert page.count("&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;") == 4
    assert "<script>alert" not in page


@pytest.mark.once
def test_questions_are_in_order_and_say_if_optional(client, week):
    ask(week, text="Second", position=2)
    ask(week, text="First", position=1, is_required=True, help_text="It matters.")
    ask(week, text="Never", is_asked=False)
    form = client.get(f"/{week.slug}/register/").content.decode()
    assert form.index("First") < form.index("It matters.") < form.index("Second")
    assert "Never" not in form
    assert re.search(r"First</label>", form)
    assert re.search(r'Second <span class="optional">\(optional\)</span></label>', form)
    inputs = re.findall(r'<input type="text" name="question_\d+" maxlength="200"[^>]*>', form)
    assert [" required" in each for each in inputs] == [True, False]


def test_events_do_not_share_questions(client, week):
    other = published_event(name="Other", slug="other")
    question = ask(other, is_required=True)
    post(client, week, **{field(question): "Here"})
    assert (Registration.objects.count(), answers()) == (1, {})


# Only for some sessions


@pytest.mark.once
def test_questions_about_a_session_are_for_people_who_choose_it(client, week, opening, later):
    asked = [ask(week, kind, is_required=True, sessions=[opening]) for kind in Question.Kind.values]
    response = post(client, week, sessions=[opening.pk])
    assert list(errors(response)) == [field(each) for each in asked]
    assert f"If you come to “{opening}”" in response.content.decode()
    post(client, week, sessions=[later.pk])
    assert Registration.objects.count() == 1


@pytest.mark.once
def test_question_about_two_sessions_applies_with_one_of_them(client, week, opening, later):
    third = week.sessions.all()[2]
    question = ask(week, sessions=[opening, later], is_required=True)
    assert list(errors(post(client, week, sessions=[later.pk, third.pk]))) == [field(question)]


@pytest.mark.once
@pytest.mark.parametrize("entered", ["Something", "x" * 201])
def test_answer_that_does_not_apply_is_ignored_even_if_invalid(
    client, week, opening, later, entered
):
    question = ask(week, sessions=[opening])
    post(client, week, sessions=[later.pk], **{field(question): entered})
    assert (Registration.objects.count(), answers()) == (1, {})


@pytest.mark.once
def test_question_without_an_open_session_is_not_asked(client, week, opening):
    ask(week, sessions=[opening], text="About the opening")
    with time_machine.travel(opening.ends_at):
        assert "About the opening" not in client.get(f"/{week.slug}/register/").content.decode()


# A form that was open for a while


@pytest.mark.once
def test_required_question_added_since_is_reported_at_its_field(client, week):
    entered = filled_form(week)
    question = ask(week, is_required=True)
    response = client.post(f"/{week.slug}/register/", entered)
    assert errors(response) == {field(question): ["Please answer this question."]}


@pytest.mark.once
def test_answer_to_a_question_no_longer_asked_is_ignored(client, week):
    question = ask(week, is_required=True)
    Question.objects.update(is_asked=False)
    post(client, week, **{field(question): "Here"})
    assert (Registration.objects.count(), answers()) == (1, {})


@pytest.mark.once
@pytest.mark.parametrize("change", [{"text": "Do you eat fish?"}, {"help_text": "Not meat."}])
def test_question_with_new_text_is_asked_again(client, week, change):
    question = ask(week, text="Do you eat meat?")
    page = client.get(f"/{week.slug}/register/").content.decode()
    (version,) = re.findall(rf'name="{field(question)}_version" value="(\w+)"', page)
    Question.objects.update(**change)
    entered = {field(question): "Yes", f"{field(question)}_version": version}
    assert errors(post(client, week, **entered)) == {field(question): [str(questions.CHANGED)]}
    entered[f"{field(question)}_version"] = questions.version(Question.objects.get())
    post(client, week, **entered)
    assert answers() == {question.pk: "Yes"}


@pytest.mark.once
def test_question_whose_choice_was_removed_is_asked_again(client, week):
    question = ask(week, "choice")
    Question.objects.update(choices="Meat\nFish")
    response = post(client, week, **{field(question): "Vegan"})
    message = "Choose from the list. It has changed since you opened the page."
    assert errors(response) == {field(question): [message]}


def test_registering_again_changes_no_answer(client, week):
    question = ask(week)
    post(client, week, **{field(question): "From Bob"})
    post(client, week, **{field(question): "From Mallory"})
    assert answers() == {question.pk: "From Bob"}


@pytest.mark.parametrize("count", [1, 3])
def test_register_page_takes_the_same_queries_for_any_number_of_questions(
    client, week, opening, later, count, django_assert_num_queries
):
    for number in range(count):
        ask(week, "choices", f"Q{number}", sessions=[opening, later])
    # Event, sessions, strategies; questions and their sessions.
    with django_assert_num_queries(5):
        client.get(f"/{week.slug}/register/")


@pytest.mark.parametrize("count", [1, 3])
def test_answers_take_one_more_query_for_any_number(client, week, count, django_assert_num_queries):
    asked = [ask(week, text=f"Q{number}") for number in range(count)]
    entered = filled_form(week, **{field(each): "a" for each in asked})
    # As without questions, but for their sessions and the answers.
    with django_assert_num_queries(14):
        client.post(f"/{week.slug}/register/", entered)
    assert Answer.objects.count() == count


@pytest.mark.once
@pytest.mark.django_db(transaction=True)
def test_browser_hides_questions_about_sessions_that_are_not_ticked(
    live_server: LiveServer, phone: Page, week: Event
):
    opening, later, *_others = week.sessions.all()
    ask(week, text="About both", sessions=[opening, later])
    ask(week, text="Of everyone")
    phone.goto(f"/{week.slug}/register/")
    both, everyone = phone.get_by_label("About both"), phone.get_by_label("Of everyone")
    expect(both).to_be_visible()
    boxes = [phone.locator(f"input[name=sessions][value='{each.pk}']") for each in (opening, later)]
    boxes[0].uncheck()
    expect(both).to_be_visible()
    boxes[1].uncheck()
    expect(both).to_be_hidden()
    expect(everyone).to_be_visible()
    boxes[0].check()
    both.fill("We bring a friend")
    phone.get_by_label("Name", exact=True).fill("Alice Adams")
    phone.get_by_role("textbox", name="Email").fill("alice@example.org")
    phone.get_by_role("button", name="Register").click()
    expect(phone.get_by_role("heading", name="Check your email")).to_be_visible()
    assert [answer.value for answer in Answer.objects.all()] == ["We bring a friend"]
