"""The organizers' own questions, on the public pages and in the admin."""

import re

import pytest
import time_machine
from django.db import transaction
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from events.models import Event, Session
from registrations import questions, signup
from registrations.forms import RegistrationForm
from registrations.models import Answer, Question, Registration
from tests.people import filled_form, sign_up

pytestmark = pytest.mark.django_db

HOSTILE = "<script>alert('x')</script> O'Brien & Co {{ 7 }} {name}"


def ask(week: Event, kind: str = "short", text: str = "How did you hear of us?", **fields):
    only = fields.pop("sessions", [])
    if kind in ("choice", "choices"):
        fields.setdefault("choices", "Meat\nVegan\nNothing, thanks")
    question = Question.objects.create(event=week, kind=kind, text=text, **fields)
    question.sessions.set(only)
    return question


def post(client: Client, week: Event, **changes):
    return client.post(f"/{week.slug}/register/", filled_form(week, **changes))


def field(question: Question) -> str:
    return f"question_{question.pk}"


def answers() -> dict[int, object]:
    return dict(Answer.objects.values_list("question", "value"))


def errors(response) -> dict[str, list[str]]:
    assert not Registration.objects.exists()
    return {name: list(messages) for name, messages in response.context["form"].errors.items()}


# Asking


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
    other = Event.objects.create(name="Other", slug="other", host="They", status="published")
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


# Answers


def test_registering_again_changes_no_answer(client, week):
    question = ask(week)
    post(client, week, **{field(question): "From Bob"})
    post(client, week, **{field(question): "From Mallory"})
    assert answers() == {question.pk: "From Bob"}


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


# For organizers

ADD = "/admin/registrations/question/add/"


def entered(week: Event, **changes) -> dict:
    return {
        "event": week.pk,
        "text_en": "Lunch?",
        "kind": "choice",
        "choices_en": "Meat\r\n\r\n  Vegan ",
        "help_text_en": "",
        "is_asked": "on",
        "position": "0",
        **changes,
    }


def admin_errors(response) -> dict[str, list[str]]:
    return {
        name: list(messages) for name, messages in response.context["adminform"].form.errors.items()
    }


def page_of(question: Question) -> str:
    return f"/admin/registrations/question/{question.pk}/change/"


def test_organizer_adds_a_question(organizer, week, opening):
    answer = organizer.post(ADD, entered(week, sessions=[opening.pk], is_required="on"))
    assert answer.status_code == 302
    question = Question.objects.get()
    assert questions.lines(question.choices) == ["Meat", "Vegan"]
    assert list(question.sessions.all()) == [opening]
    assert (question.event, question.is_required) == (week, True)


@pytest.mark.once
@pytest.mark.parametrize(
    ("changes", "at"),
    [
        ({"choices_en": ""}, "choices_en"),
        ({"choices_en": "Meat"}, "choices_en"),
        ({"kind": "choices", "choices_en": "Meat\n\n"}, "choices_en"),
        ({"choices_en": "Meat\nmeat"}, "choices_en"),
        ({"choices_en": f"Meat\n{'x' * 201}"}, "choices_en"),
        ({"choices_en": "Meat\nVe\u202egan"}, "choices_en"),
        ({"text_en": ""}, "text_en"),
        ({"text_en": "x" * 201}, "text_en"),
        ({"text_en": "a\u202eb"}, "text_en"),
        ({"help_text_en": "a\u202eb"}, "help_text_en"),
        ({"kind": "essay"}, "kind"),
        ({"sessions": ["0"]}, "sessions"),
        ({"position": "-1"}, "position"),
        ({"event": "9999"}, "event"),
    ],
)
def test_invalid_question_is_reported_at_its_field(organizer, week, changes, at):
    assert list(admin_errors(organizer.post(ADD, entered(week, **changes)))) == [at]
    assert not Question.objects.exists()


@pytest.mark.once
def test_text_questions_need_no_choices(organizer, week):
    organizer.post(ADD, entered(week, kind="long", choices_en=""))
    assert Question.objects.get().kind == "long"


@pytest.mark.once
def test_session_of_another_event_is_rejected(organizer, week, opening):
    other = Event.objects.create(name="Other", slug="other", host="They")
    foreign = Session.objects.create(
        event=other,
        title="Theirs",
        slug="theirs",
        starts_at=opening.starts_at,
        ends_at=opening.ends_at,
    )
    found = admin_errors(organizer.post(ADD, entered(week, sessions=[foreign.pk])))
    assert list(found) == ["sessions"]
    assert found["sessions"][0].startswith("Choose sessions of the same event.")
    assert "Theirs" not in organizer.get(ADD).content.decode()


def test_kind_cannot_change_once_people_have_answered(organizer, week):
    question = ask(week, "choice")
    assert organizer.post(page_of(question), entered(week, kind="choices")).status_code == 302
    question.refresh_from_db()
    sign_up(week, answers={question: ["Meat"]})
    found = admin_errors(organizer.post(page_of(question), entered(week, kind="short")))
    assert list(found) == ["kind"]
    assert "Uncheck “asked”" in found["kind"][0]
    question.refresh_from_db()
    assert question.kind == "choices"


@pytest.mark.parametrize(("kind", "given"), [("choice", "Meat"), ("choices", ["Meat", "Vegan"])])
def test_chosen_choice_cannot_be_removed(organizer, week, kind, given):
    question = ask(week, kind)
    sign_up(week, answers={question: given})
    found = admin_errors(
        organizer.post(page_of(question), entered(week, kind=kind, choices_en="Fish\nVegan"))
    )
    assert found == {"choices_en": ["People have chosen this, so it can't change: “Meat”"]}
    more = entered(week, kind=kind, choices_en="Fish\nMeat\nVegan")
    assert organizer.post(page_of(question), more).status_code == 302
    question.refresh_from_db()
    assert questions.lines(question.choices) == ["Fish", "Meat", "Vegan"]


def test_answered_question_cannot_be_deleted(organizer, week):
    question = ask(week, text=HOSTILE)
    sign_up(week, answers={question: "a"})
    page = organizer.get(f"/admin/registrations/question/{question.pk}/delete/").content.decode()
    assert "1 person answered" in page
    assert "uncheck “asked”" in page
    assert "<script>alert" not in page
    organizer.post(f"/admin/registrations/question/{question.pk}/delete/", {"post": "yes"})
    action = {"action": "delete_selected", "_selected_action": [question.pk], "post": "yes"}
    organizer.post("/admin/registrations/question/", action)
    assert Question.objects.count() == 1


@pytest.mark.once
def test_unanswered_question_can_be_deleted(organizer, week):
    question = ask(week)
    organizer.post(f"/admin/registrations/question/{question.pk}/delete/", {"post": "yes"})
    assert not Question.objects.exists()


def test_answers_are_counted_for_organizers(organizer, week):
    one, many, yes, text = (
        ask(week, "choice", "One?"),
        ask(week, "choices", "Many?"),
        ask(week, "yes/no", "Yes?"),
        ask(week, "long", "Say?"),
    )
    sign_up(week, answers={one: "Meat", many: ["Meat", "Vegan"], yes: True, text: HOSTILE})
    sign_up(week, "Bob B", answers={one: "Meat", many: ["Vegan"], yes: False})
    gone = sign_up(week, "Carol C", answers={one: "Vegan", many: ["Meat"], yes: False, text: "no"})
    signup.cancel(registration=gone)
    declined = sign_up(week, "Dan D", answers={one: "Vegan", text: "not counted"})
    signup.decline(registrations=[declined])
    assert questions.tally(one) == [("Meat", 2), ("Vegan", 0), ("Nothing, thanks", 0)]
    assert questions.tally(many) == [("Meat", 1), ("Vegan", 2), ("Nothing, thanks", 0)]
    assert questions.tally(yes) == [("Yes", 1), ("No", 1)]
    assert questions.tally(text) == []
    page = organizer.get(f"/admin/registrations/question/{text.pk}/answers/").content.decode()
    assert "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;" in page
    assert "1 person answered" in page
    assert "not counted" not in page
    page = organizer.get(f"/admin/registrations/question/{one.pk}/answers/").content.decode()
    assert "<dt>2</dt><dd>Meat</dd>" in page


@pytest.mark.parametrize("count", [1, 3])
def test_answers_page_takes_the_same_queries_for_any_number_of_answers(
    organizer, week, count, django_assert_num_queries
):
    question = ask(week, "choice")
    for number in range(count):
        sign_up(week, f"P{number} X", answers={question: "Meat"})
    with django_assert_num_queries(7):
        organizer.get(f"/admin/registrations/question/{question.pk}/answers/")


@pytest.mark.once
def test_questions_are_for_organizers_only(client, django_user_model, week):
    question = ask(week)
    pages = [f"{question.pk}/{page}/" for page in ("change", "answers", "delete")]
    addresses = [f"/admin/registrations/question/{path}" for path in ("", "add/", *pages)]
    assert {client.get(address).status_code for address in addresses} == {302}
    client.force_login(django_user_model.objects.create_user("helper", password="x", is_staff=True))
    assert {client.get(address).status_code for address in addresses} == {403}


@pytest.mark.once
def test_answers_of_an_unknown_question_are_not_found(organizer, week):
    for odd in ("0", "x", "9" * 40):
        assert organizer.get(f"/admin/registrations/question/{odd}/answers/").status_code in (
            302,
            404,
        )


@pytest.mark.once
def test_admin_page_of_a_person_shows_their_answers(organizer, week):
    alice = sign_up(week, answers={ask(week): HOSTILE, ask(week, "yes/no", "Yes?"): False})
    page = organizer.get(f"/admin/registrations/registration/{alice.pk}/change/").content.decode()
    assert "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;" in page
    assert "<b>Yes?</b><br>No</p>" in page


# In the browser


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
    phone.get_by_label("Name").fill("Alice Adams")
    phone.get_by_role("textbox", name="Email").fill("alice@example.org")
    phone.get_by_role("button", name="Register").click()
    expect(phone.get_by_role("heading", name="Check your email")).to_be_visible()
    assert [answer.value for answer in Answer.objects.all()] == ["We bring a friend"]
