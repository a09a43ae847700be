"""The questions in the admin: asking, changing and deleting them, and what people answered."""

import pytest

from events.models import Event, Session
from registrations import questions, signup
from registrations.models import Question
from tests.people import sign_up
from tests.registrations.questions.asking import (
    ADD,
    HOSTILE,
    admin_errors,
    ask,
    edited,
    entered,
    page_of,
)

pytestmark = pytest.mark.django_db


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
    assert (
        organizer.post(page_of(question), edited(organizer, question, kind="choices")).status_code
        == 302
    )
    question.refresh_from_db()
    sign_up(week, answers={question: ["Meat"]})
    found = admin_errors(
        organizer.post(page_of(question), edited(organizer, question, kind="short"))
    )
    assert list(found) == ["kind"]
    assert "Uncheck “asked”" in found["kind"][0]
    question.refresh_from_db()
    assert question.kind == "choices"


@pytest.mark.parametrize(("kind", "given"), [("choice", "Meat"), ("choices", ["Meat", "Vegan"])])
def test_chosen_choice_cannot_be_removed(organizer, week, kind, given):
    question = ask(week, kind)
    sign_up(week, answers={question: given})
    fewer = edited(organizer, question, kind=kind, choices_en="Fish\nVegan")
    found = admin_errors(organizer.post(page_of(question), fewer))
    assert found == {"choices_en": ["People have chosen this, so it can't change: “Meat”"]}
    more = edited(organizer, question, kind=kind, choices_en="Fish\nMeat\nVegan")
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
