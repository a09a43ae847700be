"""The agenda on a session's page: clock times, an order of 1, 2, 3, and speakers typed in there."""

import re
from html import unescape

import pytest
import time_machine

from events.languages import texts
from events.models import AgendaItem, Session
from tests.admin_pages import form_of, path
from tests.people import in_english
from tests.strategyweek.test_permissions import client_of, member

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _in_summer():
    with time_machine.travel("2027-09-24T19:00:00Z", tick=False):
        yield


@pytest.fixture
def talk(later) -> Session:
    """6:00 PM to 8:00 PM: three items, whose stored places aren't 1, 2, 3."""
    later.agenda.all().delete()
    for number, (title, minutes) in enumerate((("A", 10), ("B", 30), ("C", 5))):
        AgendaItem.objects.create(
            session=later, position=10 * number, minutes=minutes, **in_english(title=title)
        )
    return later


def times_on(page: str) -> list[str]:
    found = re.findall(r'field-time.*?<div class="readonly">(.*?)</div>', page, re.DOTALL)
    return [unescape(each) for each in found]


def order(client, talk: Session, **places: str) -> str:
    """Enter these places of items, by title, and return the titles in their new order."""
    form = form_of(client, path(talk))
    for number, item in enumerate(talk.agenda.all()):
        form |= {f"agenda-{number}-position": places[item.title]} if item.title in places else {}
    assert client.post(path(talk), form).status_code == 302
    items = [*talk.agenda.all()]
    if places:
        assert [each.position for each in items] == [*range(1, len(items) + 1)]
    return "".join(each.title for each in items)


def with_new_item(client, talk: Session, **fields: str) -> dict[str, str]:
    form, count = form_of(client, path(talk)), talk.agenda.count()
    form |= {"agenda-TOTAL_FORMS": str(count + 1), f"agenda-{count}-minutes": "15"}
    return form | {f"agenda-{count}-{name}": value for name, value in fields.items()}


def test_each_item_has_its_clock_time(organizer, talk):
    page = organizer.get(path(talk)).content.decode()
    assert times_on(page)[:3] == [
        "6:00 PM to 6:10 PM PDT",
        "6:10 PM to 6:40 PM PDT",
        "6:40 PM to 6:45 PM PDT",
    ]
    assert times_on(page)[3] == "You'll see it after you save."


def test_number_of_minutes_that_is_far_too_large_is_refused(organizer, talk):
    form = form_of(organizer, path(talk)) | {"agenda-0-minutes": "9" * 30}
    page = organizer.post(path(talk), form).content.decode()
    assert "Ensure this value is less than or equal to 1440." in page
    assert times_on(page)[0] == "6:00 PM to 6:10 PM PDT"


def test_places_are_numbered_from_one_without_a_change(organizer, talk):
    form = form_of(organizer, path(talk))
    assert [str(form[f"agenda-{number}-position"]) for number in range(3)] == ["1", "2", "3"]
    assert order(organizer, talk) == "ABC"
    assert Session.objects.get(pk=talk.pk).revision == 0


@pytest.mark.parametrize(
    ("places", "titles"),
    [
        ({"C": "1"}, "CAB"),
        ({"C": "2"}, "ACB"),
        ({"A": "2"}, "BAC"),
        ({"A": "3"}, "BCA"),
        ({"A": "3", "C": "1"}, "CBA"),
        ({"B": "0"}, "BAC"),
        ({"A": ""}, "BCA"),
    ],
)
def test_item_goes_to_the_place_that_was_entered(organizer, talk, places, titles):
    assert order(organizer, talk, **places) == titles
    # People see another agenda.
    assert Session.objects.get(pk=talk.pk).revision == 1


def test_new_item_goes_to_the_end_or_to_its_place(organizer, talk):
    organizer.post(path(talk), with_new_item(organizer, talk, title_en="D"))
    assert [each.title for each in talk.agenda.all()] == ["A", "B", "C", "D"]
    organizer.post(path(talk), with_new_item(organizer, talk, title_en="E", position="1"))
    assert [each.title for each in talk.agenda.all()] == ["E", "A", "B", "C", "D"]


def test_item_that_is_deleted_leaves_no_gap(organizer, talk):
    organizer.post(path(talk), form_of(organizer, path(talk)) | {"agenda-0-DELETE": "on"})
    found = [(each.position, each.title) for each in talk.agenda.all()]
    assert found == [(1, "B"), (2, "C")]


# Speakers


def test_host_who_is_typed_in_becomes_a_speaker_of_the_event(organizer, talk):
    before = [*talk.hosts.all()]
    form = form_of(organizer, path(talk)) | {"new_speaker": "Ana Ruiz, Families United, Ohio"}
    organizer.post(path(talk), form)
    ana = talk.event.speakers.get(name_en="Ana Ruiz")
    assert texts(ana, "affiliation") == ("Families United, Ohio", None)
    assert {*talk.hosts.all()} == {*before, ana}


def test_speaker_of_an_item_is_typed_in_and_people_see_a_new_agenda(organizer, talk):
    form = form_of(organizer, path(talk)) | {"agenda-1-new_speaker": "Ana Ruiz"}
    organizer.post(path(talk), form)
    speakers = [[each.name for each in item.speakers.all()] for item in talk.agenda.all()]
    assert speakers == [[], ["Ana Ruiz"], []]
    assert Session.objects.get(pk=talk.pk).revision == 1


def test_new_item_gets_the_speaker_who_is_typed_in(organizer, talk):
    organizer.post(path(talk), with_new_item(organizer, talk, title_en="D", new_speaker="Ana Ruiz"))
    assert [each.name for each in talk.agenda.last().speakers.all()] == ["Ana Ruiz"]


def test_someone_who_may_not_add_speakers_only_chooses_them(talk):
    names = [f"{do}_{what}" for do in ("view", "change") for what in ("session", "agendaitem")]
    client = client_of(member(*names))
    assert "new_speaker" not in client.get(path(talk)).content.decode()
    form = form_of(client, path(talk))
    assert "agenda-0-minutes" in form
    typed = {"new_speaker": "Ana Ruiz", "agenda-1-new_speaker": "Ana Ruiz", "title_en": "New"}
    client.post(path(talk), form | typed)
    assert Session.objects.get(pk=talk.pk).title == "New"
    assert not talk.event.speakers.filter(name_en="Ana Ruiz").exists()
    may_add = client_of(member(*names, "add_speaker", name="other"))
    assert 'name="agenda-1-new_speaker"' in may_add.get(path(talk)).content.decode()


def test_speaker_whom_the_event_has_is_not_doubled(organizer, talk):
    ana = talk.event.speakers.create(**in_english(name="Ana Ruiz"))
    form = form_of(organizer, path(talk))
    form |= {"new_speaker": "ana ruiz, Ohio", "agenda-0-new_speaker": "Ana Ruiz"}
    organizer.post(path(talk), form)
    assert [*talk.agenda.first().speakers.all()] == [ana]
    assert ana in talk.hosts.all()
    assert texts(talk.event.speakers.get(pk=ana.pk), "affiliation") == (None, None)


def test_name_that_is_too_long_is_refused(organizer, talk):
    form = form_of(organizer, path(talk)) | {"new_speaker": "A" * 121}
    page = unescape(organizer.post(path(talk), form).content.decode())
    assert "Ensure this value has at most 120 characters (it has 121)." in page
    assert not talk.event.speakers.filter(name_en__startswith="AAA").exists()


def test_event_has_its_speakers_without_a_new_one(organizer, talk):
    before = talk.event.speakers.count()
    organizer.post(path(talk), form_of(organizer, path(talk)) | {"title_en": "New"})
    organizer.post(path(talk), form_of(organizer, path(talk)) | {"new_speaker": " , Ohio"})
    assert talk.event.speakers.count() == before
