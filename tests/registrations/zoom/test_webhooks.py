"""Zoom's webhooks: which are accepted, and what they change."""

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
from tests.registrations.zoom.conftest import UUID, ZOOM_ID
from tests.services.process import eventually

pytestmark = pytest.mark.django_db

SECRET = "webhook-secret"
URL = "/webhooks/zoom/"


@pytest.fixture(autouse=True)
def _secret(settings):
    settings.ZOOM_WEBHOOK_SECRET = SECRET


def hexed(secret: str, message: bytes) -> str:
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()


def signed(body: bytes, *, secret: str = SECRET, timestamp: object = None) -> dict[str, str]:
    timestamp = str(int(time.time())) if timestamp is None else str(timestamp)
    signature = "v0=" + hexed(secret, f"v0:{timestamp}:".encode() + body)
    return {"x-zm-request-timestamp": timestamp, "x-zm-signature": signature}


def written(moment: dt.datetime) -> str:
    return f"{moment.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%SZ}"


def message(event: str, **changes) -> bytes:
    details = {"id": str(ZOOM_ID), "uuid": UUID, "topic": "Opening session", **changes}
    body = {"event": event, "event_ts": 1634400000123, "payload": {"object": details}}
    return json.dumps(body).encode()


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
    """Post a body, signed unless headers are given. Returns the status of the answer."""

    def post(body: bytes, headers: dict[str, str] | None = None) -> int:
        headers = signed(body) if headers is None else headers
        answer = client.post(URL, body, content_type="application/json", headers=headers)
        return answer.status_code

    return post


def apply(event: str, **details) -> None:
    """Save and apply a report. It has its own key, as one sent at another time would."""
    body = message(event, **details)
    payload = json.loads(body)["payload"]
    key = str(ZoomReport.objects.count())
    ZoomReport.objects.create(key=key, kind=event, zoom_id=ZOOM_ID, payload=payload)
    attendance.apply_reports()


# Receiving


@pytest.mark.once
def test_url_validation_proves_that_we_know_the_secret(client):
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
def test_url_validation_needs_a_valid_signature(client):
    body = b'{"event":"endpoint.url_validation","payload":{"plainToken":"v0:1:{}"}}'
    headers = signed(body, secret="guessed")
    answer = client.post(URL, body, content_type="application/json", headers=headers)
    assert (answer.status_code, answer.content) == (403, b"")


def test_report_is_saved_and_a_worker_woken(
    post, monkeypatch, django_capture_on_commit_callbacks, django_assert_num_queries
):
    woken: list[str] = []
    monkeypatch.setattr(background, "wake_workers", lambda task, delay_seconds: woken.append(task))
    with django_capture_on_commit_callbacks(execute=True), django_assert_num_queries(1):
        assert post(JOINED) == 204
    assert woken == ["registrations.tasks.apply_zoom_reports"]
    report = ZoomReport.objects.get()
    assert (report.kind, report.zoom_id) == ("meeting.participant_joined", ZOOM_ID)
    assert report.payload == json.loads(JOINED)["payload"]
    assert (report.key, report.done_at) == (hashlib.sha256(JOINED).hexdigest(), None)


NOW = 1_900_000_000


@pytest.mark.once
@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({}, "no valid timestamp"),
        (signed(JOINED, timestamp=""), "no valid timestamp"),
        (signed(JOINED, timestamp="soon"), "no valid timestamp"),
        (signed(JOINED, timestamp="-5"), "no valid timestamp"),
        (signed(JOINED, timestamp=f"{NOW}.0"), "no valid timestamp"),
        (signed(JOINED, timestamp="1" * 13), "no valid timestamp"),
        (signed(JOINED, timestamp=NOW - 301), "the timestamp is too far from now"),
        (signed(JOINED, timestamp=NOW + 301), "the timestamp is too far from now"),
        (signed(JOINED, timestamp=0), "the timestamp is too far from now"),
        (signed(JOINED, timestamp=NOW, secret="guessed"), "wrong signature"),
        (signed(JOINED + b" ", timestamp=NOW), "wrong signature"),
        ({"x-zm-request-timestamp": str(NOW)}, "wrong signature"),
        (
            {**signed(JOINED, timestamp=NOW), "x-zm-request-timestamp": str(NOW + 1)},
            "wrong signature",
        ),
        ({**signed(JOINED, timestamp=NOW), "x-zm-signature": "v0=\xe9\xe9"}, "wrong signature"),
    ],
)
def test_forged_and_old_webhooks_are_rejected_without_a_query(
    post, caplog, django_assert_num_queries, headers, reason
):
    with time_machine.travel(NOW, tick=False), django_assert_num_queries(0):
        assert post(JOINED, headers) == 403
    logged = [
        each.getMessage() for each in caplog.records if each.name == "registrations.zoom.webhooks"
    ]
    assert logged == [f"Rejected a Zoom webhook: {reason}"]
    assert not ZoomReport.objects.exists()


@pytest.mark.once
@pytest.mark.parametrize("seconds", [-300, 300])
def test_timestamp_may_be_five_minutes_off(post, seconds):
    with time_machine.travel(NOW, tick=False):
        assert post(JOINED, signed(JOINED, timestamp=NOW + seconds)) == 204


@pytest.mark.once
@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff\xfe{}", "not JSON"),
        (b"[" * 30_000, "not JSON"),
        (b"1" * 5_000, "not JSON"),
        (b"[]", "no event or no payload"),
        (b'"meeting.started"', "no event or no payload"),
        (b"{}", "no event or no payload"),
        (b'{"event":"meeting.started"}', "no event or no payload"),
        (b'{"event":"meeting.started","payload":[]}', "no event or no payload"),
        (b'{"event":5,"payload":{}}', "no event or no payload"),
        (
            b'{"event":"endpoint.url_validation","payload":{"plainToken":5}}',
            "a validation without a token",
        ),
    ],
)
def test_malformed_webhooks_are_rejected_without_a_query(
    post, caplog, django_assert_num_queries, body, reason
):
    with django_assert_num_queries(0):
        assert post(body) == 400
    assert f"Rejected a Zoom webhook: {reason}" in caplog.messages


def padded(size: int) -> bytes:
    return JOINED + b" " * (size - len(JOINED))


@pytest.mark.once
def test_large_body_is_rejected(post, caplog, django_assert_num_queries):
    assert post(padded(64 * 1024)) == 204
    ZoomReport.objects.all().delete()
    with django_assert_num_queries(0):
        assert post(padded(64 * 1024 + 1)) == 413
    assert "Rejected a Zoom webhook: the body is too large" in caplog.messages
    assert not ZoomReport.objects.exists()


class Endless(io.RawIOBase):
    """An endless body that counts the bytes read."""

    read_bytes = 0

    def read(self, size: int = -1) -> bytes:
        self.read_bytes += size
        return b"x" * size


class Broken(io.RawIOBase):
    def read(self, size: int = -1) -> bytes:
        raise OSError("connection reset")


@pytest.mark.once
def test_large_body_is_not_read_to_the_end():
    body = Endless()
    environ = {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": str(10**10), "wsgi.input": body}
    assert webhooks.zoom_webhook(WSGIRequest(environ)).status_code == 413
    assert body.read_bytes <= 64 * 1024 + 1


@pytest.mark.once
def test_broken_connection_is_rejected():
    environ = {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": "10", "wsgi.input": Broken()}
    assert webhooks.zoom_webhook(WSGIRequest(environ)).status_code == 400


@pytest.mark.once
def test_log_contains_nothing_that_was_sent(post, caplog):
    post(JOINED, signed(JOINED, secret="guessed"))
    post(b'{"event": "alice@example.org"}')
    assert len(caplog.records) > 1
    for secret in ("alice", SECRET, signed(JOINED, secret="guessed")["x-zm-signature"]):
        assert secret not in caplog.text


@pytest.mark.once
def test_webhook_without_a_secret_is_not_found(client, settings):
    settings.ZOOM_WEBHOOK_SECRET = ""
    headers = signed(JOINED, secret="")
    posted = client.post(URL, JOINED, content_type="application/json", headers=headers)
    assert (posted.status_code, client.get(URL).status_code) == (404, 404)


@pytest.mark.once
def test_get_is_not_allowed(client):
    assert client.get(URL).status_code == 405


def test_repeated_report_changes_nothing(post, opening):
    alice = sign_up(opening.event)
    headers = signed(JOINED)
    assert post(JOINED, headers) == 204
    attendance.apply_reports()
    kept, there = ZoomReport.objects.get(), Attendance.objects.get()
    assert there.seat.registration == alice
    Seat.objects.update(attended=False)
    # As someone who intercepted it would, and as Zoom does if it gets no answer.
    assert post(JOINED, headers) == 204
    assert post(JOINED, signed(JOINED, timestamp=int(time.time()) + 60)) == 204
    attendance.apply_reports()
    assert (ZoomReport.objects.get().done_at, Attendance.objects.get().pk) == (
        kept.done_at,
        there.pk,
    )
    assert not Seat.objects.filter(attended=True).exists()


def test_unused_event_is_answered_and_not_saved(post):
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
def test_meeting_number_is_parsed(post, written, zoom_id):
    assert post(message("meeting.started", id=written)) == 204
    assert ZoomReport.objects.get().zoom_id == zoom_id


@pytest.mark.parametrize("payload", [{}, {"object": []}, {"object": None}, {"object": "x"}])
def test_report_without_a_meeting_changes_nothing(post, opening, payload):
    before = Meeting.objects.values_list("pk", "started_at", "state")
    expected = set(before)
    assert post(json.dumps({"event": "meeting.started", "payload": payload}).encode()) == 204
    attendance.apply_reports()
    assert ZoomReport.objects.get().done_at
    assert set(before.all()) == expected


def test_text_that_postgresql_cannot_store_is_replaced(post, opening):
    """PostgreSQL rejects NUL, lone surrogates and infinity."""
    body = (
        b'{"event":"meeting.participant_joined","payload":{"big":1e999,"not":NaN,"object":{"id":%d,'
        b'"uuid":"u","participant":{"user_id":"1","user_name":"A\\u0000l\\ud800i\\ud83d\\ude00",'
        b'"\\u0000":["\\u0000"]}}}}' % ZOOM_ID
    )
    assert post(body) == 204
    attendance.apply_reports()
    assert Attendance.objects.get().name == "A\ufffdl?i\U0001f600"


# Applying

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
        # Zoom's two reports of one start can differ by a second.
        ([started(NINE), ended(TEN, A_SECOND_EARLIER)], (A_SECOND_EARLIER, TEN)),
        ([ended(TEN, A_SECOND_EARLIER), started(NINE)], (A_SECOND_EARLIER, TEN)),
    ],
)
def test_start_and_end_arrive_in_any_order(opening, reports, expected):
    for kind, details in [*reports, *reports]:
        apply(kind, **details)
    assert times(opening) == expected


def test_missing_start_time_is_when_the_report_arrived(opening):
    with time_machine.travel(NINE, tick=False):
        apply("meeting.started", start_time="yesterday")
    assert times(opening) == (NINE, None)


def test_other_meetings_of_the_account_are_ignored(opening):
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
    """The session's recording URL after this report."""
    apply(
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
        ({"share_url": ["x"]}, ""),
        ({"share_url": 5, "recording_play_passcode": "x"}, ""),
        ({"recording_play_passcode": ["x"]}, SHARE),
        ({"duration": "soon"}, SHARE),
        ({"duration": 10**30}, SHARE),
    ],
)
def test_recording_url_is_saved(opening, details, expected):
    assert recorded(opening, **details) == expected


def test_recording_url_from_an_organizer_is_kept(opening):
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
        # Started early, and continued into the session.
        (dt.timedelta(minutes=-60), 46, True),
        (dt.timedelta(hours=3), 90, True),
        (dt.timedelta(hours=5), 60, False),
    ],
)
def test_recording_of_a_rehearsal_is_ignored(opening, begins, minutes, counts):
    start = written(opening.starts_at + begins)
    assert recorded(opening, start_time=start, duration=minutes) == (SHARE if counts else "")


def test_recording_without_a_start_time_is_ignored(opening):
    assert recorded(opening, start_time="") == ""


def state_of(session: Session) -> tuple[str, str]:
    meeting = Meeting.objects.get(session=session)
    return meeting.state, meeting.problem


def test_meeting_deleted_by_hand_is_marked(opening):
    Event.objects.update(zoom_mode="shared")
    apply("meeting.deleted")
    assert state_of(opening) == ("gone", sync.GONE_MESSAGE)


@pytest.mark.parametrize("state", ["pasted", "wanted", "gone"])
def test_deletion_is_ignored_unless_the_meeting_existed(opening, state):
    Meeting.objects.filter(session=opening).update(state=state)
    apply("meeting.deleted")
    assert state_of(opening) == (state, "")


def test_deletion_for_a_canceled_session_is_ignored(opening):
    Session.objects.filter(pk=opening.pk).update(canceled_at=timezone.now())
    apply("meeting.deleted")
    assert state_of(opening) == ("made", "")


# Workers


def save_report(number: int, kind: str = "meeting.started", **payload) -> ZoomReport:
    payload = payload or {"object": {"start_time": written(NINE)}}
    return ZoomReport.objects.create(key=str(number), kind=kind, zoom_id=ZOOM_ID, payload=payload)


def test_bad_report_blocks_no_other(opening, caplog):
    save_report(1, "meeting.participant_joined", object={"uuid": "u", "participant": "Alice Adams"})
    save_report(2)
    attendance.apply_reports()
    assert times(opening) == (NINE, None)
    assert not ZoomReport.objects.filter(done_at=None).exists()
    (logged,) = (each for each in caplog.records if each.levelname == "ERROR")
    assert "meeting.participant_joined, could not be applied" in logged.getMessage()
    caplog.clear()
    attendance.apply_reports()
    assert caplog.records == []


def test_report_is_kept_when_the_database_fails(opening, monkeypatch):
    def fail(*args):
        raise OperationalError("deadlock detected")

    save_report(1)
    with monkeypatch.context() as patch:
        patch.setitem(reports.HANDLERS, "meeting.started", fail)
        with pytest.raises(OperationalError):
            attendance.apply_reports()
    assert ZoomReport.objects.get().done_at is None
    attendance.apply_reports()
    assert times(opening) == (NINE, None)


def test_run_that_reaches_its_limit_wakes_a_worker(opening, monkeypatch):
    woken: list[str] = []
    monkeypatch.setattr(background, "wake_workers", woken.append)
    for number in range(3):
        save_report(number)
    attendance.apply_reports(limit=2)
    assert ZoomReport.objects.filter(done_at=None).count() == 1
    assert woken == ["registrations.tasks.apply_zoom_reports"]
    attendance.apply_reports(limit=2)
    assert len(woken) == 1


def test_applied_reports_are_deleted_after_a_day(opening):
    """They contain names, also of people who aren't registered."""
    save_report(1)
    attendance.apply_reports()
    now = timezone.now()
    attendance.apply_reports(now=now + dt.timedelta(hours=23))
    assert ZoomReport.objects.exists()
    attendance.apply_reports(now=now + dt.timedelta(hours=25))
    assert not ZoomReport.objects.exists()


def test_reports_travel_from_zoom_to_the_seat(
    transactional_db, week, zoom_account, live_server, worker
):
    """The fake Zoom sends reports to the site, and a real worker applies them."""
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
    eventually(lambda: not ZoomReport.objects.filter(done_at=None).exists(), "all are applied")

    session.refresh_from_db()
    assert session.recording_url == f"http://localhost:{zoom.port}/rec/share/{made.id}?pwd=pass"
    assert None not in times(session)
    assert [
        (each.name, each.seat and each.seat.registration, bool(each.joined_at), bool(each.left_at))
        for each in Attendance.objects.order_by("name")
    ] == [("Alice A.", alice, True, True), ("Tablet", None, True, True)]
    assert [seat.session for seat in alice.seats.filter(attended=True)] == [session]
