"""What Zoom reports by webhook: who is let in at that door, and what shows on the session."""

import datetime as dt
import hashlib
import hmac
import io
import json
import time

import pytest
import time_machine
from django.core.handlers.wsgi import WSGIRequest
from django.db import OperationalError
from django.utils import timezone

from events import background
from events.models import Event, Meeting, Session, ZoomReport
from events.zoom import sync
from registrations.models import Attendance, Seat
from registrations.zoom import attendance, reports, webhooks
from tests.people import sign_up
from tests.services import eventually

pytestmark = pytest.mark.django_db

SECRET = "webhook-secret"
URL = "/webhooks/zoom/"
ZOOM_ID = 81234567890
UUID = "4444AAAiAAAAAiAiAiiAii=="


@pytest.fixture(autouse=True)
def _secret(settings):
    settings.ZOOM_WEBHOOK_SECRET = SECRET


@pytest.fixture
def opening(db) -> Session:
    """A session with its meeting at Zoom; the only one of a small week."""
    event = Event.objects.create(name="Small week", slug="small", host="Us", status="published")
    starts_at = timezone.now() + dt.timedelta(days=3)
    ends_at = starts_at + dt.timedelta(hours=4)
    session = event.sessions.create(
        title="Opening session", slug="opening", starts_at=starts_at, ends_at=ends_at
    )
    Meeting.objects.create(session=session, zoom_id=ZOOM_ID, state="made")
    return session


def hexed(secret: str, message: bytes) -> str:
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()


def signed(body: bytes, *, secret: str = SECRET, timestamp: object = None) -> dict[str, str]:
    timestamp = str(int(time.time())) if timestamp is None else str(timestamp)
    signature = "v0=" + hexed(secret, f"v0:{timestamp}:".encode() + body)
    return {"x-zm-request-timestamp": timestamp, "x-zm-signature": signature}


def written(moment: dt.datetime) -> str:
    return f"{moment.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%SZ}"


def message(event: str, **details) -> bytes:
    about = {"id": str(ZOOM_ID), "uuid": UUID, "topic": "Opening session", **details}
    said = {"event": event, "event_ts": 1634400000123, "payload": {"object": about}}
    return json.dumps(said).encode()


JOINED = message(
    "meeting.participant_joined",
    participant={
        "user_id": "16778240",
        "user_name": "Alice Adams",
        "id": "",
        "participant_uuid": "67C1A429-1476-BE1C-7324-EDCA76B69406",
        "email": "alice@example.org",
        "join_time": "2021-10-16T16:02:03Z",
    },
)


@pytest.fixture
def post(client):
    """Post a body; returns the answer's status."""

    def post(body: bytes, headers: dict[str, str] | None = None) -> int:
        headers = signed(body) if headers is None else headers
        answer = client.post(URL, body, content_type="application/json", headers=headers)
        return answer.status_code

    return post


def heed(event: str, **details) -> None:
    """Have a worker work on a report; another than those before, as the clock would make it."""
    body = message(event, **details)
    payload = json.loads(body)["payload"]
    key = str(ZoomReport.objects.count())
    ZoomReport.objects.create(key=key, kind=event, zoom_id=ZOOM_ID, payload=payload)
    attendance.apply_reports()


# The door


@pytest.mark.once
def test_zoom_is_shown_that_we_know_the_secret(client):
    body = b'{"event":"endpoint.url_validation","payload":{"plainToken":"qgg8vlvZRS6UYooatFL8Aw"}}'
    answer = client.post(URL, body, content_type="application/json", headers=signed(body))
    assert (answer.status_code, answer.json()) == (
        200,
        {
            "plainToken": "qgg8vlvZRS6UYooatFL8Aw",
            "encryptedToken": hexed(SECRET, b"qgg8vlvZRS6UYooatFL8Aw"),
        },
    )


@pytest.mark.once
def test_whoever_does_not_know_the_secret_is_shown_nothing(client):
    body = b'{"event":"endpoint.url_validation","payload":{"plainToken":"v0:1:{}"}}'
    headers = signed(body, secret="guessed")
    answer = client.post(URL, body, content_type="application/json", headers=headers)
    assert (answer.status_code, answer.content) == (403, b"")


def test_report_is_kept_and_a_worker_told(
    post, monkeypatch, django_capture_on_commit_callbacks, django_assert_num_queries
):
    told: list[str] = []
    monkeypatch.setattr(background, "wake_workers", lambda task, delay_seconds: told.append(task))
    with (
        django_capture_on_commit_callbacks(execute=True),
        django_assert_num_queries(1),
    ):
        assert post(JOINED) == 204
    assert told == ["registrations.tasks.apply_zoom_reports"]
    report = ZoomReport.objects.get()
    assert (report.kind, report.zoom_id) == ("meeting.participant_joined", ZOOM_ID)
    assert report.payload == json.loads(JOINED)["payload"]
    assert (report.key, report.done_at) == (hashlib.sha256(JOINED).hexdigest(), None)


NOW = 1_900_000_000


@pytest.mark.once
@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({}, "it has no moment"),
        (signed(JOINED, timestamp=""), "it has no moment"),
        (signed(JOINED, timestamp="soon"), "it has no moment"),
        (signed(JOINED, timestamp="-5"), "it has no moment"),
        (signed(JOINED, timestamp=f"{NOW}.0"), "it has no moment"),
        (signed(JOINED, timestamp="1" * 13), "it has no moment"),
        (signed(JOINED, timestamp=NOW - 301), "it is not of the last minutes"),
        (signed(JOINED, timestamp=NOW + 301), "it is not of the last minutes"),
        (signed(JOINED, timestamp=0), "it is not of the last minutes"),
        (signed(JOINED, timestamp=NOW, secret="guessed"), "its signature is not Zoom's"),
        (signed(JOINED + b" ", timestamp=NOW), "its signature is not Zoom's"),
        ({"x-zm-request-timestamp": str(NOW)}, "its signature is not Zoom's"),
        (
            {**signed(JOINED, timestamp=NOW), "x-zm-request-timestamp": str(NOW + 1)},
            "its signature is not Zoom's",
        ),
        (
            {**signed(JOINED, timestamp=NOW), "x-zm-signature": "v0=\xe9\xe9"},
            "its signature is not Zoom's",
        ),
    ],
)
def test_forged_and_old_ones_are_refused_without_a_query(
    post, caplog, django_assert_num_queries, headers, words
):
    with time_machine.travel(NOW, tick=False), django_assert_num_queries(0):
        assert post(JOINED, headers) == 403
    logged = [
        each.getMessage() for each in caplog.records if each.name == "registrations.zoom.webhooks"
    ]
    assert logged == [f"A webhook in Zoom's name was refused: {words}"]
    assert not ZoomReport.objects.exists()


@pytest.mark.once
@pytest.mark.parametrize("seconds", [-300, 300])
def test_five_minutes_either_way_are_taken(post, seconds):
    with time_machine.travel(NOW, tick=False):
        assert post(JOINED, signed(JOINED, timestamp=NOW + seconds)) == 204


@pytest.mark.once
@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "it is no JSON"),
        (b"{", "it is no JSON"),
        (b"\xff\xfe{}", "it is no JSON"),
        (b"[" * 30_000, "it is no JSON"),
        (b"1" * 5_000, "it is no JSON"),
        (b"[]", "it names no event, or says nothing of it"),
        (b'"meeting.started"', "it names no event, or says nothing of it"),
        (b"{}", "it names no event, or says nothing of it"),
        (b'{"event":"meeting.started"}', "it names no event, or says nothing of it"),
        (b'{"event":"meeting.started","payload":[]}', "it names no event, or says nothing of it"),
        (b'{"event":5,"payload":{}}', "it names no event, or says nothing of it"),
        (
            b'{"event":"endpoint.url_validation","payload":{"plainToken":5}}',
            "it asks for a proof without a token",
        ),
    ],
)
def test_malformed_ones_are_refused_without_a_query(
    post, caplog, django_assert_num_queries, body, words
):
    with django_assert_num_queries(0):
        assert post(body) == 400
    assert f"A webhook in Zoom's name was refused: {words}" in caplog.messages


def padded(size: int) -> bytes:
    return JOINED + b" " * (size - len(JOINED))


@pytest.mark.once
def test_giant_ones_are_refused(post, caplog, django_assert_num_queries):
    assert post(padded(64 * 1024)) == 204
    ZoomReport.objects.all().delete()
    with django_assert_num_queries(0):
        assert post(padded(64 * 1024 + 1)) == 413
    assert "A webhook in Zoom's name was refused: it is too large" in caplog.messages
    assert not ZoomReport.objects.exists()


class Endless(io.RawIOBase):
    """A body without end, which counts what is read of it."""

    read_bytes = 0

    def read(self, size: int = -1) -> bytes:
        self.read_bytes += size
        return b"x" * size


class Broken(io.RawIOBase):
    def read(self, size: int = -1) -> bytes:
        raise OSError("connection reset")


@pytest.mark.once
def test_giant_ones_are_not_read_to_the_end():
    body = Endless()
    environ = {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": str(10**10), "wsgi.input": body}
    assert webhooks.zoom_webhook(WSGIRequest(environ)).status_code == 413
    assert body.read_bytes <= 64 * 1024 + 1


@pytest.mark.once
def test_one_that_breaks_off_is_refused():
    environ = {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": "10", "wsgi.input": Broken()}
    assert webhooks.zoom_webhook(WSGIRequest(environ)).status_code == 400


@pytest.mark.once
def test_the_log_holds_nothing_of_what_was_sent(post, caplog):
    post(JOINED, signed(JOINED, secret="guessed"))
    post(b'{"event": "alice@example.org"}')
    assert len(caplog.records) > 1
    for secret in ("alice", SECRET, signed(JOINED, secret="guessed")["x-zm-signature"]):
        assert secret not in caplog.text


@pytest.mark.once
def test_without_a_secret_there_is_no_such_page(client, settings):
    settings.ZOOM_WEBHOOK_SECRET = ""
    headers = signed(JOINED, secret="")
    posted = client.post(URL, JOINED, content_type="application/json", headers=headers)
    assert (posted.status_code, client.get(URL).status_code) == (404, 404)


@pytest.mark.once
def test_browsers_are_told_that_it_is_not_for_them(client):
    assert client.get(URL).status_code == 405


def test_the_same_report_again_changes_nothing(post, opening):
    alice = sign_up(opening.event)
    headers = signed(JOINED)
    assert post(JOINED, headers) == 204
    attendance.apply_reports()
    kept, there = ZoomReport.objects.get(), Attendance.objects.get()
    assert there.seat.registration == alice
    Seat.objects.update(attended=False)
    # As whoever listened would send it, and as Zoom does when it heard no answer.
    assert post(JOINED, headers) == 204
    assert post(JOINED, signed(JOINED, timestamp=int(time.time()) + 60)) == 204
    attendance.apply_reports()
    assert (ZoomReport.objects.get().done_at, Attendance.objects.get().pk) == (
        kept.done_at,
        there.pk,
    )
    assert not Seat.objects.filter(attended=True).exists()


def test_what_is_of_no_use_is_answered_and_not_kept(post):
    assert post(message("meeting.sharing_started")) == 204
    assert post(b'{"event":"app_deauthorized","payload":{}}') == 204
    assert not ZoomReport.objects.exists()


@pytest.mark.parametrize(
    ("written", "zoom_id"),
    [
        (ZOOM_ID, ZOOM_ID),
        (str(ZOOM_ID), ZOOM_ID),
        (f" {ZOOM_ID}", None),
        ("1" * 19, None),
        ("٣", None),
        (-5, None),
        (True, None),
        (None, None),
    ],
)
def test_meeting_is_told_by_its_number(post, written, zoom_id):
    assert post(message("meeting.started", id=written)) == 204
    assert ZoomReport.objects.get().zoom_id == zoom_id


@pytest.mark.parametrize("payload", [{}, {"object": []}, {"object": None}, {"object": "x"}])
def test_report_of_nothing_is_kept_and_changes_nothing(post, opening, payload):
    before = Meeting.objects.values_list("pk", "started_at", "state")
    expected = set(before)
    assert post(json.dumps({"event": "meeting.started", "payload": payload}).encode()) == 204
    attendance.apply_reports()
    assert ZoomReport.objects.get().done_at
    assert set(before.all()) == expected


def test_names_that_no_database_keeps_are_kept_readably(post, opening):
    """PostgreSQL refuses NUL, halves of surrogate pairs and infinity."""
    body = (
        b'{"event":"meeting.participant_joined","payload":{"big":1e999,"not":NaN,"object":{"id":%d,'
        b'"uuid":"u","participant":{"user_id":"1","user_name":"A\\u0000l\\ud800i\\ud83d\\ude00",'
        b'"\\u0000":["\\u0000"]}}}}' % ZOOM_ID
    )
    assert post(body) == 204
    attendance.apply_reports()
    assert Attendance.objects.get().name == "A\ufffdl?i\U0001f600"


# What shows on the session

NINE = dt.datetime(2021, 10, 16, 16, tzinfo=dt.UTC)
TEN, ELEVEN, NOON = (NINE + dt.timedelta(hours=hours) for hours in (1, 2, 3))

A_SECOND_EARLIER = NINE - dt.timedelta(seconds=1)


def times(session: Session) -> tuple[dt.datetime | None, dt.datetime | None]:
    meeting = Meeting.objects.get(session=session)
    return meeting.started_at, meeting.ended_at


def started(at: dt.datetime) -> tuple[str, dict]:
    return "meeting.started", {"start_time": written(at)}


def ended(at: dt.datetime, began: dt.datetime) -> tuple[str, dict]:
    return "meeting.ended", {"start_time": written(began), "end_time": written(at)}


@pytest.mark.parametrize(
    ("reports", "expected"),
    [
        ([started(NINE)], (NINE, None)),
        ([started(NINE), ended(TEN, NINE)], (NINE, TEN)),
        ([ended(TEN, NINE), started(NINE)], (NINE, TEN)),
        ([ended(TEN, NINE)], (NINE, TEN)),
        ([started(NINE), ended(TEN, NINE), started(ELEVEN)], (ELEVEN, None)),
        ([started(NINE), started(ELEVEN), ended(TEN, NINE)], (ELEVEN, None)),
        ([started(ELEVEN), started(NINE), ended(TEN, NINE)], (ELEVEN, None)),
        ([ended(NOON, ELEVEN), ended(TEN, NINE), started(NINE)], (ELEVEN, NOON)),
        # Zoom's two words on one start can be a second apart.
        ([started(NINE), ended(TEN, A_SECOND_EARLIER)], (A_SECOND_EARLIER, TEN)),
        ([ended(TEN, A_SECOND_EARLIER), started(NINE)], (A_SECOND_EARLIER, TEN)),
    ],
)
def test_started_and_ended_show_in_whatever_order_they_come(opening, reports, expected):
    for kind, details in [*reports, *reports]:
        heed(kind, **details)
    assert times(opening) == expected


def test_start_without_a_moment_is_when_it_was_reported(opening):
    with time_machine.travel(NINE, tick=False):
        heed("meeting.started", start_time="yesterday")
    assert times(opening) == (NINE, None)


def test_other_meetings_of_the_account_are_let_alone(opening):
    pasted = opening.event.sessions.create(
        title="Pasted", slug="pasted", starts_at=opening.starts_at, ends_at=opening.ends_at
    )
    Meeting.objects.create(session=pasted, join_url="https://zoom.example/j/1")
    ZoomReport.objects.create(
        key="other", kind="meeting.started", zoom_id=555, payload={"object": {}}
    )
    ZoomReport.objects.create(key="none", kind="meeting.started", payload={"object": {}})
    attendance.apply_reports()
    assert not Meeting.objects.exclude(started_at=None).exists()
    assert not ZoomReport.objects.filter(done_at=None).exists()


SHARE = "https://us02web.zoom.us/rec/share/Fz_Ab-12"


def recorded(session: Session, **details) -> str:
    """Where the session's recording is watched after this report."""
    heed(
        "recording.completed",
        **{
            "start_time": written(session.starts_at),
            "duration": 120,
            "share_url": SHARE,
            "password": "W3t!$00v",
            **details,
        },
    )
    return Session.objects.get(pk=session.pk).recording_url


@pytest.mark.parametrize(
    ("details", "expected"),
    [
        ({}, SHARE),
        ({"recording_play_passcode": "oBGM_-4"}, f"{SHARE}?pwd=oBGM_-4"),
        ({"recording_play_passcode": "a&b=c"}, f"{SHARE}?pwd=a%26b%3Dc"),
        ({"share_url": f"{SHARE}?s=1", "recording_play_passcode": "x"}, f"{SHARE}?s=1&pwd=x"),
        ({"share_url": ""}, ""),
        ({"share_url": None}, ""),
        ({"share_url": "javascript:alert(1)"}, ""),
        ({"share_url": f"{SHARE}{'x' * 500}"}, ""),
    ],
)
def test_recording_can_be_watched_from_the_session(opening, details, expected):
    assert recorded(opening, **details) == expected


def test_recording_that_an_organizer_entered_stays(opening):
    Session.objects.update(recording_url="https://video.example/ours")
    assert recorded(opening) == "https://video.example/ours"


def test_second_recording_does_not_replace_the_first(opening):
    assert recorded(opening) == SHARE
    assert recorded(opening, share_url="https://zoom.us/rec/share/2") == SHARE


@pytest.mark.parametrize(
    ("begins", "minutes", "counts"),
    [
        # The evening before: a rehearsal.
        (dt.timedelta(hours=-14), 60, False),
        (dt.timedelta(minutes=-60), 44, False),
        # Begun early, and gone on into the session.
        (dt.timedelta(minutes=-60), 46, True),
        (dt.timedelta(hours=3), 90, True),
        (dt.timedelta(hours=5), 60, False),
    ],
)
def test_recording_of_a_rehearsal_is_let_alone(opening, begins, minutes, counts):
    start = written(opening.starts_at + begins)
    assert recorded(opening, start_time=start, duration=minutes) == (SHARE if counts else "")


def test_recording_of_nobody_knows_when_is_let_alone(opening):
    assert recorded(opening, start_time="") == ""


def standing(session: Session) -> tuple[str, str]:
    meeting = Meeting.objects.get(session=session)
    return meeting.state, meeting.problem


def test_meeting_deleted_by_hand_is_said(opening):
    Event.objects.update(zoom_mode="shared")
    heed("meeting.deleted")
    assert standing(opening) == ("gone", sync.GONE_MESSAGE)


@pytest.mark.parametrize("state", ["pasted", "wanted", "gone"])
def test_deleting_says_something_only_of_a_meeting_that_was_there(opening, state):
    Meeting.objects.filter(session=opening).update(state=state)
    heed("meeting.deleted")
    assert standing(opening) == (state, "")


def test_deleting_for_a_canceled_session_is_our_own(opening):
    Session.objects.filter(pk=opening.pk).update(canceled_at=timezone.now())
    heed("meeting.deleted")
    assert standing(opening) == ("made", "")


# The workers


def keep(number: int, kind: str = "meeting.started", **payload) -> ZoomReport:
    payload = payload or {"object": {"start_time": written(NINE)}}
    return ZoomReport.objects.create(key=str(number), kind=kind, zoom_id=ZOOM_ID, payload=payload)


def test_report_that_cannot_be_worked_on_holds_up_no_other(opening, caplog):
    keep(1, "meeting.participant_joined", object={"uuid": "u", "participant": "Alice Adams"})
    keep(2)
    attendance.apply_reports()
    assert times(opening) == (NINE, None)
    assert not ZoomReport.objects.filter(done_at=None).exists()
    (logged,) = (each for each in caplog.records if each.levelname == "ERROR")
    assert "meeting.participant_joined, could not be worked on" in logged.getMessage()
    caplog.clear()
    attendance.apply_reports()
    assert caplog.records == []


def test_report_waits_while_the_database_is_in_trouble(opening, monkeypatch):
    def trouble(*args):
        raise OperationalError("deadlock detected")

    keep(1)
    with monkeypatch.context() as patch:
        patch.setitem(reports.HANDLERS, "meeting.started", trouble)
        with pytest.raises(OperationalError):
            attendance.apply_reports()
    assert ZoomReport.objects.get().done_at is None
    attendance.apply_reports()
    assert times(opening) == (NINE, None)


def test_turn_that_ends_before_the_reports_asks_for_another(opening, monkeypatch):
    told: list[str] = []
    monkeypatch.setattr(background, "wake_workers", told.append)
    for number in range(3):
        keep(number)
    attendance.apply_reports(limit=2)
    assert ZoomReport.objects.filter(done_at=None).count() == 1
    assert told == ["registrations.tasks.apply_zoom_reports"]
    attendance.apply_reports(limit=2)
    assert len(told) == 1


def test_reports_are_forgotten_a_day_after_they_were_worked_on(opening):
    """They hold names of people, of whom some are none of ours."""
    keep(1)
    attendance.apply_reports()
    now = timezone.now()
    attendance.apply_reports(now=now + dt.timedelta(hours=23))
    assert ZoomReport.objects.exists()
    attendance.apply_reports(now=now + dt.timedelta(hours=25))
    assert not ZoomReport.objects.exists()


def test_whole_way_from_zoom_to_the_seat(transactional_db, week, zoom_account, live_server, worker):
    """A server in Zoom's place reports to the site, and a real worker works on it."""
    zoom = zoom_account
    zoom.webhooks.url = f"{live_server.url}{URL}"
    assert zoom.validate_webhook()
    session = week.sessions.get(slug="opening")
    Session.objects.filter(pk=session.pk).update(starts_at=timezone.now())
    made = zoom.account.create_meeting(zoom.account.owner, {"topic": "Opening session"})
    Meeting.objects.filter(session=session).update(zoom_id=made.id, state="made")
    alice = sign_up(week)
    worker()

    assert zoom.start(made.id) == 204
    someone = zoom.join(made.id, name="Alice A.", email="Alice@Example.org")
    zoom.join(made.id, name="Tablet")
    assert zoom.leave(someone) == 204
    assert zoom.replay(zoom.sent[-1]) == zoom.deliver_again(zoom.sent[-1]) == 204
    assert zoom.end(made.id) == 204
    assert zoom.recording_ready(made.id, password="pass") == 204
    eventually(lambda: Session.objects.get(pk=session.pk).recording_url, "the recording shows")
    eventually(lambda: not ZoomReport.objects.filter(done_at=None).exists(), "all is worked on")

    session.refresh_from_db()
    assert session.recording_url == f"http://localhost:{zoom.port}/rec/share/{made.id}?pwd=pass"
    assert None not in times(session)
    assert [
        (each.name, each.seat and each.seat.registration, bool(each.joined_at), bool(each.left_at))
        for each in Attendance.objects.order_by("name")
    ] == [("Alice A.", alice, True, True), ("Tablet", None, True, True)]
    assert [seat.session for seat in alice.seats.filter(attended=True)] == [session]
