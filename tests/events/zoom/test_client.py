"""The Zoom client, through zoomus, against a fake Zoom: every response that Zoom may send."""

import datetime as dt
import io
import json
import threading
import time
from typing import Any

import pytest
import requests

from events.zoom import client as zoom_client
from tests.fake_zoom import FakeZoom

pytestmark = pytest.mark.once

START = dt.datetime(2030, 10, 16, 9, tzinfo=dt.timezone(dt.timedelta(hours=-7)))
MARIA = zoom_client.NewRegistrant("maria@example.org", "María Luz Pérez")


def meeting_spec(**changes) -> zoom_client.Json:
    fields = {
        "topic": "Legislation",
        "type": 2,
        "start_time": "2030-10-16T16:00:00Z",
        "timezone": "UTC",
        "duration": 120,
        "agenda": "strategyweek:1",
        "settings": {"approval_type": 0, "waiting_room": True},
    }
    return fields | changes


@pytest.fixture
def meeting(zoom_account: FakeZoom) -> zoom_client.ZoomMeeting:
    return zoom_client.create_meeting("me", meeting_spec())


# Meetings


def test_meeting_is_created_as_specified(zoom_account, meeting):
    assert zoom_account.meetings[meeting.id].start_time == START
    assert (meeting.topic, meeting.minutes, meeting.starts_at) == ("Legislation", 120, START)
    assert meeting.join_url
    assert meeting.passcode
    assert meeting.options["waiting_room"] is True


def test_meeting_can_be_read_updated_listed_and_deleted(zoom_account, meeting):
    zoom_client.update_meeting("me", meeting.id, meeting_spec(topic="Resentencing", duration=90))
    found = zoom_client.get_meeting(meeting.id)
    assert (found.topic, found.minutes) == ("Resentencing", 90)
    assert [each.agenda for each in zoom_client.list_meetings("me")] == ["strategyweek:1"]
    zoom_client.delete_meeting(meeting.id)
    with pytest.raises(zoom_client.NotFound):
        zoom_client.get_meeting(meeting.id)


def test_list_has_all_pages(zoom_account):
    created = {
        zoom_client.create_meeting("me", meeting_spec(topic=f"{number}")).id for number in range(5)
    }
    assert {each.id for each in zoom_client.list_meetings("me", page_size=2)} == created


def test_captions_are_a_setting_of_the_host(zoom_account):
    zoom_client.enable_captions("me")
    assert zoom_account.count("update_user_settings") == 1


# Registrants


def test_each_registrant_gets_a_personal_link(zoom_account, meeting):
    people = [
        zoom_client.NewRegistrant(f"p{number}@example.org", f"P {number}") for number in range(30)
    ]
    added = zoom_client.add_registrants(meeting.id, people)
    assert [each.email for each in added] == [each.email for each in people]
    assert len({each.join_url for each in added}) == len({each.id for each in added}) == 30
    assert sorted(zoom_client.list_registrants(meeting.id)) == sorted(added)


def test_canceled_registrant_is_no_longer_listed(zoom_account, meeting):
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
def test_names_are_split_and_cut_to_zooms_limits(zoom_account, meeting, name, first, last):
    zoom_client.add_registrant(meeting.id, zoom_client.NewRegistrant("a@example.org", name))
    registrant = zoom_account.meetings[meeting.id].registrants["a@example.org"]
    assert (registrant.first_name, registrant.last_name) == (first, last)


def test_rejected_address_raises_zooms_message(zoom_account, meeting):
    with pytest.raises(zoom_client.ZoomRejected, match="Validation Failed") as rejected:
        zoom_client.add_registrant(
            meeting.id, zoom_client.NewRegistrant("x" * 130 + "@example.org", "X")
        )
    assert rejected.value.code == 300


def test_registration_for_an_unlicensed_host_is_rejected(zoom_account):
    zoom_account.add_user("free@example.org", licensed=False)
    unpaid = zoom_client.create_meeting("free@example.org", meeting_spec())
    with pytest.raises(zoom_client.ZoomRejected, match="Paid"):
        zoom_client.add_registrant(unpaid.id, MARIA)


def test_past_participants_are_listed_registered_or_not(zoom_account, meeting):
    maria = zoom_client.add_registrant(meeting.id, MARIA)
    zoom_account.start(meeting.id)
    for target, name in ((maria.join_url, "x"), (meeting.id, "Stranger")):
        zoom_account.leave(zoom_account.join(target, name=name))
    zoom_account.end(meeting.id)
    known, stranger = zoom_client.past_participants(meeting.id)
    assert (known.registrant_id, known.email) == (maria.id, MARIA.email)
    assert (stranger.registrant_id, stranger.name) == ("", "Stranger")
    assert known.joined_at <= known.left_at


def test_past_participants_include_a_person_who_was_alone(zoom_account, meeting):
    zoom_account.start(meeting.id)
    zoom_account.join(meeting.id, name="Alone")
    zoom_account.end(meeting.id)
    (instance,) = [each.uuid for each in zoom_account.meetings[meeting.id].instances]
    for key in (meeting.id, instance):
        assert [each.name for each in zoom_client.past_participants(key)] == ["Alone"]


@pytest.mark.parametrize("uuid", ["/abc==", "a//b==", "a/b+c=="])
def test_instance_uuid_may_contain_slashes(zoom_account, meeting, uuid):
    zoom_account.start(meeting.id)
    zoom_account.meetings[meeting.id].live.uuid = uuid
    zoom_account.join(meeting.id, name="Alone")
    zoom_account.end(meeting.id)
    assert [each.name for each in zoom_client.past_participants(uuid)] == ["Alone"]


# Token


def test_token_is_shared_by_all_calls(zoom_account, meeting):
    zoom_client.get_meeting(meeting.id)
    assert zoom_account.count("token") == 1


def test_expired_token_is_renewed_once(zoom_account, meeting):
    zoom_account.fail("401")
    assert zoom_client.get_meeting(meeting.id).id == meeting.id
    assert zoom_account.count("token") == 2


def test_token_renewed_by_another_process_is_used(zoom_account):
    first = zoom_client.access_token()
    renewed = zoom_client.access_token(expired=first)
    assert renewed != first
    assert zoom_client.access_token(expired=first) == renewed
    assert zoom_account.count("token") == 2


def test_call_fails_when_a_new_token_is_rejected_too(zoom_account, meeting):
    zoom_account.fail("401", times=None)
    with pytest.raises(zoom_client.SettingsError, match="credentials"):
        zoom_client.get_meeting(meeting.id)


def test_wrong_or_missing_credentials_raise_settings_error(zoom_account, settings):
    settings.ZOOM_CLIENT_SECRET = "wrong"
    with pytest.raises(zoom_client.SettingsError, match="Invalid client_id or client_secret"):
        zoom_client.new_token()
    settings.ZOOM_CLIENT_SECRET = ""
    with pytest.raises(zoom_client.SettingsError, match="no Zoom credentials"):
        zoom_client.create_meeting("me", meeting_spec())


def test_html_in_place_of_a_token_means_try_later(zoom_account):
    zoom_account.fail("503 html", call="token")
    with pytest.raises(zoom_client.TryLater, match="503"):
        zoom_client.new_token()


def test_token_request_times_out(zoom_account, settings):
    settings.ZOOM_TIMEOUT = 1
    zoom_account.fail("timeout", call="token")
    started = time.monotonic()
    with pytest.raises(zoom_client.TryLater):
        zoom_client.new_token()
    assert time.monotonic() - started < 3


# Failures


@pytest.mark.parametrize("fault", ["500", "502", "503", "500 html", "502 html", "503 html"])
def test_server_error_may_be_done(zoom_account, meeting, fault):
    zoom_account.fail(fault)
    with pytest.raises(zoom_client.TryLater) as later:
        zoom_client.get_meeting(meeting.id)
    assert later.value.may_be_done


@pytest.mark.parametrize("fault", ["timeout", "cut", "lost answer"])
def test_call_without_a_response_may_be_done(zoom_account, settings, fault):
    settings.ZOOM_TIMEOUT = 1
    zoom_client.new_token()
    zoom_account.fail(fault, call="create_meeting")
    with pytest.raises(zoom_client.TryLater) as later:
        zoom_client.create_meeting("me", meeting_spec())
    assert later.value.may_be_done
    assert len(zoom_account.meetings) == (1 if fault == "lost answer" else 0)


def test_call_that_was_never_sent_is_not_done(zoom_account, meeting):
    zoom_account.down()
    with pytest.raises(zoom_client.TryLater) as later:
        zoom_client.get_meeting(meeting.id)
    assert not later.value.may_be_done


def test_short_rate_limit_is_waited_out(zoom_account, meeting):
    zoom_account.fail("429", times=1)
    assert zoom_client.get_meeting(meeting.id).id == meeting.id


def test_long_rate_limit_raises_the_time_to_retry(zoom_account, meeting):
    zoom_account.fail("429", retry_after=900, call="get_meeting")
    with pytest.raises(zoom_client.TryLater) as later:
        zoom_client.get_meeting(meeting.id)
    seconds = (later.value.retry_at - dt.datetime.now(dt.UTC)).total_seconds()
    assert 890 < seconds <= 900
    assert not later.value.may_be_done


def test_changes_stop_once_the_daily_limit_is_reached(zoom_account, meeting):
    zoom_account.fail("429", retry_after=9000, call="update_meeting")
    for _attempt in range(3):
        with pytest.raises(zoom_client.TryLater):
            zoom_client.update_meeting("me", meeting.id, meeting_spec(topic="Other"))
    assert zoom_account.count("update_meeting") == 1
    zoom_client.get_meeting(meeting.id)


def test_errors_contain_no_secret(zoom_account, meeting, settings):
    zoom_account.down()
    with pytest.raises(zoom_client.TryLater) as later:
        zoom_client.new_token()
    assert settings.ZOOM_CLIENT_SECRET not in str(later.value)


def test_missing_scope_raises_zooms_message():
    response = requests.Response()
    response.status_code = 400
    response.raw = io.BytesIO(b'{"code": 4711, "message": "No scopes:x."}')
    with pytest.raises(zoom_client.ZoomRejected, match="No scopes:x"):
        zoom_client.parse_response(response)


# Answers that are not as documented

GARBAGE = [
    None,
    True,
    "soon",
    "",
    "\0\ud800",
    -1,
    1.5,
    10**40,
    float("nan"),
    [],
    ["x"],
    {},
    {"a": 1},
]


def answer(content: Any, *, status: int = 200, **headers: str) -> requests.Response:
    response = requests.Response()
    response.status_code = status
    response.raw = io.BytesIO(json.dumps(content).encode())
    response.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    return response


@pytest.fixture
def answers(zoom_account, monkeypatch):
    """Let every call get this answer."""
    zoom_client.access_token()

    def set_answer(content: Any) -> None:
        for method in ("get", "post"):
            monkeypatch.setattr(requests, method, lambda *args, **kwargs: answer(content))

    return set_answer


@pytest.mark.parametrize("expires_in", GARBAGE)
def test_token_with_any_lifetime_can_be_used(zoom_account, monkeypatch, expires_in):
    content = {"access_token": "token", "expires_in": expires_in}
    monkeypatch.setattr(requests, "post", lambda *args, **kwargs: answer(content))
    assert zoom_client.access_token() == "token"


@pytest.mark.parametrize("token", [value for value in GARBAGE if not isinstance(value, str)])
def test_answer_without_a_token_means_try_later(zoom_account, monkeypatch, token):
    content = {"access_token": token, "expires_in": 3599}
    monkeypatch.setattr(requests, "post", lambda *args, **kwargs: answer(content))
    with pytest.raises(zoom_client.TryLater):
        zoom_client.access_token()


@pytest.mark.parametrize("value", GARBAGE)
@pytest.mark.parametrize(
    "field", ["id", "topic", "start_time", "duration", "agenda", "join_url", "password", "settings"]
)
def test_meeting_with_any_field_wrong_is_read_or_tried_later(answers, field, value):
    answers({"id": 81234567890, "join_url": "https://zoom.us/j/8", "password": "p", field: value})
    if field == "id" and value != 1.5:
        with pytest.raises(zoom_client.TryLater) as later:
            zoom_client.get_meeting(81234567890)
        assert later.value.may_be_done
        return
    meeting = zoom_client.get_meeting(81234567890)
    assert 0 < meeting.id < 2**63
    assert meeting.minutes >= 0
    assert meeting.join_url == ("" if field == "join_url" else "https://zoom.us/j/8")
    assert "\0" not in meeting.topic + meeting.agenda + meeting.passcode
    assert isinstance(meeting.options, dict)
    assert not (field == "start_time" and meeting.starts_at)


@pytest.mark.parametrize("value", [*GARBAGE, "12a4", "+1 0", "١٢", "1" * 11])
@pytest.mark.parametrize("field", ["number", "country_name", "city", "type", "pstn_password"])
def test_wrong_details_for_phones_are_left_out(answers, field, value):
    number = {
        **{"country": "US", "country_name": "US", "city": "San Jose"},
        **{"number": "+1 6699006833", "type": "tollfree", field: value},
    }
    numbers = [number, value, {"number": "+1 6465588656"}]
    rest = {"pstn_password": value} if field == "pstn_password" else {}
    answers({"id": 81234567890, "settings": {"global_dial_in_numbers": numbers}, **rest})
    meeting = zoom_client.get_meeting(81234567890)
    assert meeting.phone_passcode == ""
    first, *_others, last = ["", *meeting.dial_in.splitlines()][-2:]
    assert last == "+1 646 558 8656"
    assert not first or first.startswith("+1 669 900 6833 ")
    assert "\0" not in meeting.dial_in


@pytest.mark.parametrize("value", GARBAGE)
@pytest.mark.parametrize("field", ["registrants", "registrant_id", "id", "email", "join_url"])
def test_registrants_with_any_field_wrong_leave_the_others(answers, field, value):
    good = {"registrant_id": "a", "id": "a", "email": "a@example.org", "join_url": "https://z/1"}
    rows = [{**good, field: value}, good, value]
    answers({"registrants": value if field == "registrants" else rows, "next_page_token": value})
    for found in (zoom_client.add_registrants(1, [MARIA]), zoom_client.list_registrants(1)):
        assert all(each.id and each.email for each in found)
        expected = zoom_client.Registrant("a", "a@example.org", "https://z/1")
        assert field == "registrants" or expected in found


@pytest.mark.parametrize("value", GARBAGE)
@pytest.mark.parametrize(
    "field", ["registrant_id", "user_id", "name", "user_email", "join_time", "leave_time"]
)
def test_participants_with_any_field_wrong_are_read(answers, field, value):
    answers({"participants": [{field: value}, value]})
    (person, *_others) = zoom_client.past_participants(1)
    assert all(isinstance(each, str) for each in person[:4])
    assert person.joined_at is person.left_at is None


@pytest.mark.parametrize("value", GARBAGE)
@pytest.mark.parametrize("field", ["code", "message", "reason", "errors"])
def test_error_with_any_field_wrong_is_an_error_of_ours(field, value):
    with pytest.raises(zoom_client.ZoomRejected) as rejected:
        zoom_client.parse_response(answer({field: value}, status=400))
    assert isinstance(rejected.value.code, int)
    str(rejected.value).encode()


@pytest.mark.parametrize(
    "retry_after", ["soon", "-5", "9" * 5000, "٣", "9999-12-31T23:59:59-23:00", "0001-01-01T00:00"]
)
def test_any_retry_after_is_at_most_about_a_day_ahead(retry_after):
    with pytest.raises(zoom_client.TryLater) as later:
        zoom_client.parse_response(answer({}, status=429, Retry_After=retry_after))
    retry_at = later.value.retry_at
    assert retry_at is None or retry_at < dt.datetime.now(dt.UTC) + dt.timedelta(hours=26)


def test_deeply_nested_answer_means_try_later():
    response = answer({})
    response.raw = io.BytesIO(b'{"a":' + b"[" * 100_000)
    with pytest.raises(zoom_client.TryLater):
        zoom_client.parse_response(response)


# Rates


def test_all_threads_together_stay_below_the_rate_limit(zoom_account, settings):
    settings.ZOOM_PLAN = zoom_account.account.plan = "pro"
    meeting = zoom_client.create_meeting("me", meeting_spec())
    people = [zoom_client.NewRegistrant(f"p{number}@example.org", "P") for number in range(15)]

    def register(person: zoom_client.NewRegistrant) -> None:
        zoom_client.add_registrants(meeting.id, [person])

    threads = [threading.Thread(target=register, args=[person]) for person in people]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(zoom_client.list_registrants(meeting.id)) == len(people)
    assert 429 not in [call.status for call in zoom_account.calls]
    # 10 a second take 1.5 seconds; the rest is for a machine that does other work.
    assert time.monotonic() - started < 5


def test_unavailable_redis_means_try_later(zoom_account, settings):
    settings.CACHES = settings.CACHES | {
        "shared": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": "redis://127.0.0.1:1/0",
        }
    }
    with pytest.raises(zoom_client.TryLater, match="Redis"):
        zoom_client.get_meeting(1)
