"""An event's own words for its kinds of sessions and its strategies, in the admin."""

import re
from html import unescape

import pytest
from django.contrib.auth.models import Permission
from django.core.exceptions import ValidationError
from django.utils.translation import override

from events.models import Event, Session
from tests.admin_pages import form_of, path, questions_of
from tests.people import OWN_WORDS, in_english, published_event, with_own_words

pytestmark = pytest.mark.django_db

PAIR = ["Write the word for one and for several."]


@pytest.fixture(autouse=True)
def _english():
    """Requests leave their language behind."""
    with override("en"):
        yield


@pytest.fixture
def viewer(client, django_user_model):
    """A client of someone who may view everything, and change nothing."""
    user = django_user_model.objects.create_user("viewer", "v@example.org", "x", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    client.force_login(user)
    return client


def save(client, week: Event, **changes: str):
    """Post the event's form with these changes, and return the errors."""
    answer = client.post(path(week), {**form_of(client, path(week)), **changes})
    week.refresh_from_db()
    return {} if answer.status_code == 302 else answer.context["adminform"].form.errors


def seen(page: str) -> str:
    """The words on a page."""
    return " ".join(unescape(re.sub("<[^>]+>", " ", page)).split())


def kinds_in(page: str) -> list[str]:
    select = re.search(r'<select name="kind".*?</select>', page, re.DOTALL)[0]
    return re.findall("<option[^>]*>(.*?)</option>", select)


def label(page: str, field: str) -> str:
    return re.search(rf'<label[^>]* for="id_{field}"[^>]*>\s*(.*?)</label>', page)[1].strip(":")


def test_words_are_saved_and_taken_back(admin_client, week):
    assert save(admin_client, week, **OWN_WORDS) == {}
    assert {name: getattr(week, name) for name in OWN_WORDS} == OWN_WORDS
    assert save(admin_client, week, **dict.fromkeys(OWN_WORDS, "")) == {}
    assert {getattr(week, name) for name in OWN_WORDS} == {None}


def test_section_is_closed_until_something_is_wrong_in_it(admin_client, week):
    def section(page: str) -> str:
        return re.search(r"<details>\s*<summary>\s*<h2[^>]*>\s*Your own words|$", page)[0]

    page = admin_client.get(path(week)).content.decode()
    assert section(page)
    form = form_of(admin_client, path(week)) | {"word_for_track_en": "Group"}
    assert not section(admin_client.post(path(week), form).content.decode())


@pytest.mark.parametrize("code", ["en", "es"])
def test_the_word_for_one_and_for_several_belong_together(admin_client, week, code):
    one, several = f"word_for_track_{code}", f"word_for_tracks_{code}"
    assert save(admin_client, week, **{one: "Group"}) == {several: PAIR}
    assert save(admin_client, week, **{several: "Groups"}) == {one: PAIR}
    assert save(admin_client, week, **{one: "Group", several: "Groups"}) == {}


def test_words_are_short(admin_client, week):
    errors = save(admin_client, week, name_of_kickoff_en="x" * 41)
    assert [*errors] == ["name_of_kickoff_en"]


def test_a_missing_language_is_named_after_saving(admin_client, week):
    form = form_of(admin_client, path(week)) | {"name_of_kickoff_en": "Welcome day"}
    page = admin_client.post(path(week), form, follow=True).content.decode()
    assert "Not in Spanish yet: name of the kickoff." in page


def test_events_form_lists_its_strategies_by_their_word(admin_client, week):
    headings = re.compile(r'<h2 id="tracks-heading"[^>]*>\s*(.*?)\s*</h2>', re.DOTALL)
    assert headings.findall(admin_client.get(path(week)).content.decode()) == ["Strategies"]
    with_own_words(week)
    page = admin_client.get(path(week)).content.decode()
    assert headings.findall(page) == ["Working groups"]
    assert "Add another Working group" in unescape(page)
    # Only there.
    page = admin_client.get(path(published_event(name="Other", slug="other"))).content.decode()
    assert headings.findall(page) == ["Strategies"]


def test_form_of_a_session_has_the_words_of_its_event(admin_client, week, opening):
    page = admin_client.get(path(opening)).content.decode()
    assert kinds_in(page) == ["Kickoff", "Strategy session", "Closing session"]
    assert label(page, "track") == "Strategy"
    assert "Leave this empty if the session is about all strategies." in page
    with_own_words(week)
    for url in (path(opening), f"{path(Session, 'add')}?event={week.pk}"):
        page = admin_client.get(url).content.decode()
        assert kinds_in(page) == ["Welcome day", "Evening talk", "Assembly"]
        assert label(page, "track") == "Working group"
        assert "Leave this empty if the session is about all of them." in page


def test_new_session_has_the_words_of_the_event_chosen_for_it(admin_client, week):
    with_own_words(week)
    other = published_event(**in_english(name="Other"), slug="other")
    url = path(Session, "add")
    page = admin_client.get(f"{url}?event={other.pk}").content.decode()
    assert kinds_in(page) == ["Kickoff", "Strategy session", "Closing session"]
    page = admin_client.get(f"{url}?event={week.pk}").content.decode()
    text = "The time zone, “Working groups” and hosts below are those of:"
    assert f"For another event? {text}" in page


@pytest.mark.parametrize(("renamed", "says"), [(False, "the strategies and hosts"), (True, "")])
def test_another_event_asks_in_its_words(admin_client, week, renamed, says):
    other = published_event(**in_english(name="Other"), slug="other")
    if renamed:
        with_own_words(other)
    form = form_of(admin_client, f"{path(Session, 'add')}?event={week.pk}")
    form |= {"event": str(other.pk), "shown_event": str(week.pk)}
    page = admin_client.post(path(Session, "add"), form).content.decode()
    text = questions_of(page)[0]
    assert text.startswith("You chose another event. Times are now Pacific (Los Angeles), and ")
    assert (says in text, "strategies" in text) == (True, not renamed)


def test_track_of_another_event_is_refused_in_its_words(week):
    other = published_event(**in_english(name="Other"), slug="other")
    session = Session(event=other, track=week.tracks.first())
    assert wrong_track(session) == ["This strategy belongs to another event."]
    with_own_words(other)
    assert wrong_track(session) == ["This one belongs to another event."]


def wrong_track(session: Session) -> list[str]:
    with pytest.raises(ValidationError, match="belongs to another event") as refused:
        session.clean()
    return refused.value.message_dict["track"]


def test_list_of_sessions_names_their_kinds(admin_client, week):
    url = path(Session, "changelist")
    cell = re.compile('<td class="field-kind_name">(.*?)</td>')
    page = admin_client.get(url).content.decode()
    assert cell.findall(page) == ["Kickoff", *["Strategy session"] * 4, "Closing session"]
    with_own_words(week)
    page = admin_client.get(url).content.decode()
    assert cell.findall(page) == ["Welcome day", *["Evening talk"] * 4, "Assembly"]


def test_filter_by_kind_has_the_words_of_the_event_in_the_list(admin_client, week):
    with_own_words(week)
    other = published_event(**in_english(name="Other"), slug="other")

    def choices(**filters: object) -> list[str]:
        answer = admin_client.get(path(Session, "changelist"), filters)
        (found,) = (each for each in answer.context["cl"].filter_specs if each.title == "kind")
        return [str(choice["display"]) for choice in found.choices(answer.context["cl"])]

    assert choices() == ["All", "Kickoff", "Strategy session", "Closing session"]
    assert choices(event__id__exact=other.pk) == choices()
    own = ["All", "Welcome day", "Evening talk", "Assembly"]
    assert choices(event__id__exact=week.pk) == own
    assert choices(event__id__exact=week.pk, kind__exact="closing") == own
    found = admin_client.get(
        path(Session, "changelist"), {"event__id__exact": week.pk, "kind__exact": "closing"}
    )
    assert found.context["cl"].result_count == 1


def test_people_who_may_only_look_see_the_words_too(viewer, week, opening):
    with_own_words(week)
    page = seen(viewer.get(path(opening)).content.decode()).replace("Strategy Week", "")
    assert "Welcome day" in page
    assert "Working group" in page
    assert ("Kickoff" in page, "Strategy" in page) == (False, False)


def test_page_to_copy_a_week_has_its_words(admin_client, week):
    url = f"/admin/events/event/{week.pk}/copy/"
    assert "agendas, speakers, strategies, texts" in admin_client.get(url).content.decode()
    with_own_words(week)
    text = "The copy has the sessions, agendas, speakers, “Working groups”, texts, questions,"
    assert text in admin_client.get(url).content.decode()
