"""The client, through zoomus, against the fake Zoom: every answer that Zoom may give."""

import datetime as dt
import threading
import time
from typing import Any

import pytest
import requests
from django.core.cache import caches

from events.zoom import client as zoom_client
from tests.fake_zoom import FakeZoom

pytestmark = pytest.mark.once

START = dt.datetime(2030, 10, 16, 9, tzinfo=dt.timezone(dt.timedelta(hours=-7)))
MARIA = zoom_client.Person("maria@example.org", "María Luz Pérez")


def wished(**changes) -> zoom_client.MeetingSpec:
    fields: dict[str, Any] = {
        "topic": "Legislation",
        "starts_at": START,
        "minutes": 120,
        "agenda": "strategyweek:1",
        "options": {"approval_type": 0, "waiting_room": True},
    }
    return zoom_client.MeetingSpec(**fields | changes)


@pytest.fixture
def meeting(zoom_account: FakeZoom) -> zoom_client.Meeting:
    return zoom_client.create_meeting("me", wished())


# Meetings


def test_meeting_is_made_in_utc_whatever_its_zone(zoom_account, meeting):
    assert zoom_account.meetings[meeting.id].start_time == START
    assert (meeting.topic, meeting.minutes, meeting.starts_at) == ("Legislation", 120, START)
    assert meeting.join_url
    assert meeting.passcode
    assert meeting.options["waiting_room"] is True


def test_meeting_is_read_changed_listed_and_deleted(zoom_account, meeting):
    zoom_client.update_meeting("me", meeting.id, wished(topic="Resentencing", minutes=90))
    read = zoom_client.get_meeting(meeting.id)
    assert (read.topic, read.minutes) == ("Resentencing", 90)
    assert [each.agenda for each in zoom_client.list_meetings("me")] == ["strategyweek:1"]
    zoom_client.delete_meeting(meeting.id)
    with pytest.raises(zoom_client.NotFound):
        zoom_client.get_meeting(meeting.id)


def test_list_has_all_pages(zoom_account, monkeypatch):
    monkeypatch.setattr(zoom_client, "PAGE", 2)
    made = {zoom_client.create_meeting("me", wished(topic=f"{number}")).id for number in range(5)}
    assert {each.id for each in zoom_client.list_meetings("me")} == made


def test_captions_are_a_setting_of_the_host(zoom_account):
    zoom_client.enable_captions("me")
    assert zoom_account.count("update_user_settings") == 1


# Registrants


def test_each_gets_a_link_of_their_own(zoom_account, meeting):
    people = [zoom_client.Person(f"p{number}@example.org", f"P {number}") for number in range(30)]
    added = zoom_client.add_registrants(meeting.id, people)
    assert [each.email for each in added] == [each.email for each in people]
    assert len({each.join_url for each in added}) == len({each.id for each in added}) == 30
    assert sorted(zoom_client.list_registrants(meeting.id)) == sorted(added)


def test_one_whose_link_is_taken_away_is_listed_no_more(zoom_account, meeting):
    maria = zoom_client.add_registrant(meeting.id, MARIA)
    zoom_client.cancel_registrants(meeting.id, [maria])
    assert zoom_client.list_registrants(meeting.id) == []


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("María Luz Pérez", "María Luz", "Pérez"),
        ("Prince", "Prince", ""),
        ("x" * 100, "x" * 64, ""),
        ("a" * 70 + " " + "b" * 70, "a" * 64, "b" * 64),
    ],
)
def test_names_fit_what_zoom_takes(zoom_account, meeting, name, first, last):
    zoom_client.add_registrant(meeting.id, zoom_client.Person("a@example.org", name))
    registrant = zoom_account.meetings[meeting.id].registrants["a@example.org"]
    assert (registrant.first_name, registrant.last_name) == (first, last)


def test_address_that_zoom_refuses_is_told_in_its_words(zoom_account, meeting):
    with pytest.raises(zoom_client.Rejected, match="Validation Failed") as refused:
        zoom_client.add_registrant(meeting.id, zoom_client.Person("x" * 130 + "@example.org", "X"))
    assert refused.value.code == 300


def test_host_without_a_licence_is_refused(zoom_account):
    zoom_account.add_user("free@example.org", licensed=False)
    unpaid = zoom_client.create_meeting("free@example.org", wished())
    with pytest.raises(zoom_client.Rejected, match="Paid"):
        zoom_client.add_registrant(unpaid.id, MARIA)


def test_those_who_were_there_are_told_afterwards(zoom_account, meeting):
    maria = zoom_client.add_registrant(meeting.id, MARIA)
    zoom_account.start(meeting.id)
    for where, name in ((maria.join_url, "x"), (meeting.id, "Stranger")):
        zoom_account.leave(zoom_account.join(where, name=name))
    zoom_account.end(meeting.id)
    known, stranger = zoom_client.past_participants(meeting.id)
    assert (known.registrant_id, known.email) == (maria.id, MARIA.email)
    assert (stranger.registrant_id, stranger.name) == ("", "Stranger")
    assert known.joined_at <= known.left_at


def test_someone_who_was_there_alone_is_told_of_too(zoom_account, meeting):
    zoom_account.start(meeting.id)
    zoom_account.join(meeting.id, name="Alone")
    zoom_account.end(meeting.id)
    (instance,) = [each.uuid for each in zoom_account.meetings[meeting.id].instances]
    for key in (meeting.id, instance):
        assert [each.name for each in zoom_client.past_participants(key)] == ["Alone"]


@pytest.mark.parametrize("uuid", ["/abc==", "a//b==", "a/b+c=="])
def test_uuid_of_an_instance_may_hold_slashes(zoom_account, meeting, uuid):
    zoom_account.start(meeting.id)
    zoom_account.meetings[meeting.id].live.uuid = uuid
    zoom_account.join(meeting.id, name="Alone")
    zoom_account.end(meeting.id)
    assert [each.name for each in zoom_client.past_participants(uuid)] == ["Alone"]


# Token


def test_one_token_serves_all_calls_and_processes(zoom_account, meeting):
    zoom_client.get_meeting(meeting.id)
    assert zoom_account.count("token") == 1


def test_token_is_renewed_once_when_it_is_not_valid_any_more(zoom_account, meeting):
    zoom_account.fail("401")
    assert zoom_client.get_meeting(meeting.id).id == meeting.id
    assert zoom_account.count("token") == 2


def test_token_that_another_process_renewed_is_taken(zoom_account, meeting):
    key = zoom_client._token_key()
    ours = caches["shared"].get(f"zoom/{key}")
    assert zoom_client._token(stale=ours) != ours
    assert zoom_client._token(stale=ours) != ours
    assert zoom_account.count("token") == 2


def test_refused_for_good_after_one_new_token(zoom_account, meeting):
    zoom_account.fail("401", times=None)
    with pytest.raises(zoom_client.SettingsError, match="credentials"):
        zoom_client.get_meeting(meeting.id)


def test_wrong_credentials_are_said_to_be_wrong(zoom_account, settings):
    settings.ZOOM_CLIENT_SECRET = "wrong"
    with pytest.raises(zoom_client.SettingsError, match="Invalid client_id or client_secret"):
        zoom_client.check_credentials()
    settings.ZOOM_CLIENT_SECRET = ""
    with pytest.raises(zoom_client.SettingsError, match="no Zoom credentials"):
        zoom_client.create_meeting("me", wished())


def test_token_in_html_is_no_token(zoom_account):
    zoom_account.fail("503 html", call="token")
    with pytest.raises(zoom_client.TryLater, match="503"):
        zoom_client.check_credentials()


def test_token_is_not_waited_for_in_vain(zoom_account, settings):
    settings.ZOOM_TIMEOUT = 1
    zoom_account.fail("timeout", call="token")
    began = time.monotonic()
    with pytest.raises(zoom_client.TryLater):
        zoom_client.check_credentials()
    assert time.monotonic() - began < 3


# Failures


@pytest.mark.parametrize("fault", ["500", "502", "503", "500 html", "502 html", "503 html"])
def test_zoom_in_trouble_is_asked_again_later(zoom_account, meeting, fault):
    zoom_account.fail(fault)
    with pytest.raises(zoom_client.TryLater) as later:
        zoom_client.get_meeting(meeting.id)
    assert later.value.may_be_done


@pytest.mark.parametrize("fault", ["timeout", "cut", "lost answer"])
def test_what_is_not_answered_may_be_done(zoom_account, settings, fault):
    settings.ZOOM_TIMEOUT = 1
    zoom_client.check_credentials()
    zoom_account.fail(fault, call="create_meeting")
    with pytest.raises(zoom_client.TryLater) as later:
        zoom_client.create_meeting("me", wished())
    assert later.value.may_be_done
    assert len(zoom_account.meetings) == (1 if fault == "lost answer" else 0)


def test_what_was_never_sent_is_not_done(zoom_account, meeting):
    zoom_account.down()
    with pytest.raises(zoom_client.TryLater) as later:
        zoom_client.get_meeting(meeting.id)
    assert not later.value.may_be_done


def test_a_short_wait_is_waited_for(zoom_account, meeting):
    zoom_account.fail("429", times=1)
    assert zoom_client.get_meeting(meeting.id).id == meeting.id


def test_retry_after_is_a_moment(zoom_account, meeting):
    zoom_account.fail("429", retry_after=900, call="get_meeting")
    with pytest.raises(zoom_client.TryLater) as later:
        zoom_client.get_meeting(meeting.id)
    seconds = (later.value.retry_at - dt.datetime.now(dt.UTC)).total_seconds()
    assert 890 < seconds <= 900
    assert not later.value.may_be_done


def test_nobody_asks_again_on_a_day_whose_changes_are_used_up(zoom_account, meeting):
    zoom_account.fail("429", retry_after=9000, call="update_meeting")
    for _again in range(3):
        with pytest.raises(zoom_client.TryLater):
            zoom_client.update_meeting("me", meeting.id, wished(topic="Other"))
    assert zoom_account.count("update_meeting") == 1
    zoom_client.get_meeting(meeting.id)


def test_secrets_are_in_no_error(zoom_account, meeting, settings):
    zoom_account.down()
    with pytest.raises(zoom_client.TryLater) as later:
        zoom_client.check_credentials()
    assert settings.ZOOM_CLIENT_SECRET not in str(later.value)


def test_words_of_an_error_are_read_from_its_body():
    response = requests.Response()
    response.status_code, response._content = 400, b'{"code": 4711, "message": "No scopes:x."}'
    with pytest.raises(zoom_client.MissingScope, match="No scopes:x"):
        zoom_client._answer(response)


# Rates


def test_all_threads_together_stay_below_the_rate(zoom_account, settings):
    settings.ZOOM_PLAN = zoom_account.account.plan = "pro"
    made = zoom_client.create_meeting("me", wished())
    people = [zoom_client.Person(f"p{number}@example.org", "P") for number in range(15)]

    def register(person: zoom_client.Person) -> None:
        zoom_client.add_registrants(made.id, [person])

    threads = [threading.Thread(target=register, args=[person]) for person in people]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(zoom_client.list_registrants(made.id)) == len(people)
    assert 429 not in [call.status for call in zoom_account.calls]
    assert time.monotonic() - began < 15 / 10 * 1.3 + 0.5


def test_redis_that_is_away_is_a_reason_to_wait(zoom_account, settings):
    settings.CACHES = settings.CACHES | {
        "shared": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": "redis://127.0.0.1:1/0",
        }
    }
    with pytest.raises(zoom_client.TryLater, match="Redis"):
        zoom_client.get_meeting(1)
