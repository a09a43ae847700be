"""The stand-in itself: what a test holds in its hand."""

import base64
import datetime as dt
import hmac
import json
import socket
import threading
import time
from types import TracebackType
from typing import NamedTuple, Self
from urllib.parse import parse_qs, urlsplit

from . import api, errors, pages, shapes
from .account import Account, Meeting, Participant, User
from .faults import ANY, Failure, Fault, Faults
from .limits import Clock
from .listening import Answer, Asked, Server
from .webhooks import Sender, Webhook

TOKEN_PATH = "/oauth/token"  # noqa: S105
SCOPE = (
    "meeting:read:meeting:admin meeting:write:meeting:admin meeting:update:meeting:admin "
    "meeting:delete:meeting:admin meeting:read:list_meetings:admin "
    "meeting:write:registrant:admin meeting:write:batch_registrants:admin "
    "meeting:read:list_registrants:admin meeting:update:registrant_status:admin "
    "meeting:read:list_past_participants:admin report:read:list_meeting_participants:admin "
    "user:read:user:admin user:update:settings:admin"
)
# How soon a client that gave up is noticed, in seconds.
LOOK_EVERY = 0.02


class CallMade(NamedTuple):
    """A call that came in. Status 0: its answer was never given."""

    # In seconds, of time.perf_counter(): only differences have a meaning.
    moment: float
    name: str
    status: int


def utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


class StandIn:
    """A server in Zoom's place, on a port of 127.0.0.1 while it is used as a context manager.

    `port` 0 takes a free one. `plan` is free, pro or business. `clock` decides about hours and
    days: when tokens expire, when daily limits begin anew, when things happened. Limits for each
    second are of real time.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        plan: str = "business",
        account_id: str = "account-id",
        client_id: str = "client-id",
        client_secret: str = "client-secret",  # noqa: S107
        webhook_url: str = "",
        webhook_secret: str = "webhook-secret",  # noqa: S107
        clock: Clock = utc_now,
    ) -> None:
        self.port = port
        self.clock = clock
        self.account = Account(
            plan=plan,
            account_id=account_id,
            client_id=client_id,
            client_secret=client_secret,
            clock=clock,
        )
        self.webhooks = Sender(webhook_url, webhook_secret, clock)
        self.faults = Faults()
        # Every call that has come in, in the order of the answers.
        self.calls: list[CallMade] = []
        # Held by whoever looks at the account or changes it.
        self.lock = threading.RLock()
        # Called after each change of the account, the lock held.
        self.on_change = lambda: None
        self._server: Server | None = None
        self._stopped = threading.Event()
        self._kept_port: socket.socket | None = None

    def __enter__(self) -> Self:
        self.up()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def site(self) -> str:
        """The address of its pages."""
        return f"http://localhost:{self.port}"

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v2"

    @property
    def oauth_url(self) -> str:
        return f"http://127.0.0.1:{self.port}{TOKEN_PATH}"

    def up(self) -> None:
        """Listen, on the same port as before."""
        if self._server:
            return
        if self._kept_port:
            self._kept_port.close()
            self._kept_port = None
        self._stopped = threading.Event()
        self._server = Server(self.port, self._answer)
        self.port = self._server.server_address[1]
        self.account.site = self.site
        threading.Thread(target=self._server.serve_forever, args=[0.02], daemon=True).start()

    def down(self) -> None:
        """Refuse connections and cut those there are; the port is kept from others."""
        self.close()
        self._kept_port = socket.socket()
        self._kept_port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._kept_port.bind(("127.0.0.1", self.port))

    def close(self) -> None:
        self._stopped.set()
        if self._server:
            self._server.close()
            self._server = None
        if self._kept_port:
            self._kept_port.close()
            self._kept_port = None

    # What has come

    def count(self, name: str) -> int:
        """How many calls of that name have come, "token" too."""
        return sum(call.name == name for call in list(self.calls))

    @property
    def meetings(self) -> dict[int, Meeting]:
        """By id; each holds its registrants by address, in lower case."""
        return self.account.meetings

    @property
    def sent(self) -> list[Webhook]:
        """Every webhook that was sent, in order."""
        return self.webhooks.sent

    def add_user(self, email: str, *, licensed: bool = True) -> User:
        with self.lock:
            return self.account.add_user(email, licensed=licensed)

    # Being told to fail

    def fail(
        self,
        fault: Fault | str,
        *,
        call: str = ANY,
        times: int | None = 1,
        retry_after: float | None = None,
        hang_seconds: float | None = None,
    ) -> None:
        """Fail the next `times` calls of that name ("create_meeting", "token"), or any.

        With `times` None until `heal()`. A 429 names the moment `retry_after` seconds ahead in
        its Retry-After, if that is given. A timeout ends after `hang_seconds` with a cut
        connection, or lasts as long as the client waits.
        """
        if call not in (ANY, *api.NAMES):
            raise ValueError(f"There is no call {call!r}.")
        self.faults.order(Failure(Fault(fault), call, times, retry_after, hang_seconds))

    def fail_at_random(self, rate: float, seed: int, *, hang_seconds: float = 1.0) -> None:
        """Let every call fail with this probability in a random way, until `heal()`."""
        self.faults.at_random(rate, seed, hang_seconds)

    def heal(self) -> None:
        """Fail no longer."""
        self.faults.heal()

    # What people do at Zoom. Zoom reports it: these return the status that the webhook's
    # receiver answered with, 0 for none. They raise CannotJoin, or errors.Refused where Zoom
    # would refuse.

    def start(self, meeting_id: int) -> int:
        """The host comes in; this instance of the meeting gets a new uuid."""
        with self.lock:
            meeting = self.meetings[meeting_id]
            payload = shapes.started(meeting, self.account.start(meeting))
            self.on_change()
        return self._report("meeting.started", payload)

    def join(self, where: int | str, *, name: str = "Guest", email: str = "") -> Participant:
        """Come in by a join link, or as anybody by the meeting's id.

        Whoever has a personal link comes as its registrant, whatever the name.
        """
        with self.lock:
            meeting_id, registrant = where, None
            if isinstance(where, str):
                link = urlsplit(where)
                query = {key: values[0] for key, values in parse_qs(link.query).items()}
                meeting_id = int(link.path.rpartition("/")[2])
                registrant = self.account.admit(meeting_id, query.get("pwd", ""), query.get("tk"))
            meeting = self.meetings[int(meeting_id)]
            participant = self.account.join(meeting, registrant, name, email)
            _, instance = self.account.instance_of(participant)
            payload = shapes.participant_joined(meeting, instance, participant)
            self.on_change()
        self._report("meeting.participant_joined", payload)
        return participant

    def leave(self, participant: Participant) -> int:
        with self.lock:
            meeting, instance = self.account.instance_of(participant)
            self.account.leave(participant)
            payload = shapes.participant_left(meeting, instance, participant)
            self.on_change()
        return self._report("meeting.participant_left", payload)

    def end(self, meeting_id: int) -> int:
        """The host ends the meeting for all: whoever is in it leaves first."""
        with self.lock:
            meeting = self.meetings[meeting_id]
            live = meeting.live
            inside = [each for each in live.participants if not each.leave_time] if live else []
            instance = self.account.end(meeting)
            left = [shapes.participant_left(meeting, instance, each) for each in inside]
            payload = shapes.ended(meeting, instance)
            self.on_change()
        for each in left:
            self._report("meeting.participant_left", each)
        return self._report("meeting.ended", payload)

    def recording_ready(self, meeting_id: int, *, share_url: str = "", password: str = "") -> int:
        """The recording of the last instance is ready to be watched."""
        with self.lock:
            meeting, instance = self.account.ended_instance(str(meeting_id))
            share_url = share_url or f"{self.site}/rec/share/{meeting_id}"
            payload = shapes.recording(self.account, meeting, instance, share_url, password)
        return self._report("recording.completed", payload)

    def delete_by_hand(self, meeting_id: int) -> int:
        """An organizer deletes it in Zoom's own pages."""
        with self.lock:
            meeting = self.meetings[meeting_id]
            self.account.delete_meeting(meeting)
            payload = shapes.deleted(meeting)
            owner = self.account.owner
            self.on_change()
        return self._report("meeting.deleted", payload, operator=owner.email, operator_id=owner.id)

    def validate_webhook(self) -> bool:
        """Does the receiver know the secret?"""
        return self.webhooks.validate()

    def deliver_again(self, webhook: Webhook) -> int:
        """Send it again as Zoom does after a failure: signed anew."""
        return self.webhooks.deliver_again(webhook).status

    def replay(self, webhook: Webhook) -> int:
        """Send it again as someone who listened would, byte for byte."""
        return self.webhooks.replay(webhook).status

    def _report(self, event: str, payload: shapes.Json, **more: str) -> int:
        message = {"account_id": self.account.id, **more, "object": payload}
        return self.webhooks.send(event, message).status

    # Answering

    def _answer(self, asked: Asked) -> Answer | None:
        if asked.path == TOKEN_PATH or asked.path.startswith("/v2/"):
            return self._answer_call(asked)
        return pages.answer(self, asked)

    def _answer_call(self, asked: Asked) -> Answer | None:
        """Do a call and note it, or fail as ordered."""
        moment = time.perf_counter()
        found = api.find(asked.method, asked.path)
        name = api.TOKEN if asked.path == TOKEN_PATH else found[0].name if found else "unknown"
        failure = self.faults.draw(name)
        fault = failure.fault if failure else None
        if fault in (Fault.TIMEOUT, Fault.CUT):
            self.calls.append(CallMade(moment, name, 0))
            if fault == Fault.TIMEOUT:
                self._hang(asked, failure.hang_seconds if failure else None)
            return None
        if failure and failure.fault.status:
            answer = self._failed(asked, name, failure)
        else:
            answer = self._token(asked) if name == api.TOKEN else self._call(asked, found)
        lost = fault == Fault.LOST_ANSWER
        self.calls.append(CallMade(moment, name, 0 if lost else answer.status))
        return None if lost else answer

    def _hang(self, asked: Asked, seconds: float | None) -> None:
        until = None if seconds is None else time.perf_counter() + seconds
        while not asked.has_gone() and not self._stopped.wait(LOOK_EVERY):
            if until and time.perf_counter() > until:
                return

    def _token(self, asked: Asked) -> Answer:
        """Source: https://developers.zoom.us/docs/internal-apps/s2s-oauth/."""
        given = f"{asked.headers.get('Authorization')}"
        own = base64.b64encode(":".join(self.account.client).encode()).decode()
        # Zoom takes them from the query as well.
        form = {**asked.query, **asked.form()}
        if asked.method != "POST":
            return _json(405, {"reason": "Method Not Allowed", "error": "invalid_request"})
        if not hmac.compare_digest(given.encode(), f"Basic {own}".encode()):
            return _json(401, WRONG_CLIENT)
        if form.get("grant_type") != "account_credentials":
            wrong = {"reason": "unsupported grant type", "error": "unsupported_grant_type"}
            return _json(400, wrong)
        if form.get("account_id") != self.account.id:
            return _json(400, {"reason": "Bad Request", "error": "invalid_request"})
        with self.lock:
            token = self.account.new_token()
        return _json(
            200,
            {
                "access_token": token,
                "token_type": "bearer",
                "expires_in": 3599,
                "scope": SCOPE,
                "api_url": self.api_url.removesuffix("/v2"),
            },
        )

    def _call(self, asked: Asked, found: tuple[api.Call, str] | None) -> Answer:
        headers: dict[str, str] = {}
        try:
            with self.lock:
                self.account.check_token(_bearer(asked))
                if found is None:
                    raise errors.unknown_call()
                call, key = found
                headers = self.account.rate.take(call.label)
                request = api.Request(self.account, key, asked.query, _body(asked))
                status, body = call.do(request)
                if asked.method != "GET":
                    self.on_change()
        except errors.Refused as refused:
            return _json(refused.status, refused.body, headers | refused.headers)
        return Answer(status, headers=headers) if body is None else _json(status, body, headers)

    def _failed(self, asked: Asked, name: str, failure: Failure) -> Answer:
        """An answer with which no work was done."""
        status = failure.fault.status
        if failure.fault == Fault.UNAUTHORIZED and name == api.TOKEN:
            return _json(401, WRONG_CLIENT)
        if failure.fault == Fault.UNAUTHORIZED:
            with self.lock:
                self.account.revoke(_bearer(asked))
            return _json(401, errors.invalid_token().body)
        if failure.fault == Fault.TOO_MANY:
            headers = {"X-RateLimit-Type": "QPS", "X-RateLimit-Remaining": "0"}
            if failure.retry_after is not None:
                until = self.clock() + dt.timedelta(seconds=failure.retry_after)
                headers["Retry-After"] = shapes.moment(until)
            return _json(429, errors.too_many().body, headers)
        if failure.fault.value.endswith("html"):
            return Answer(status, ERROR_PAGE % (b"%d" % status), "text/html")
        return _json(status, {"code": status, "message": "Internal error. Try again later."})


WRONG_CLIENT = {"reason": "Invalid client_id or client_secret", "error": "invalid_client"}
ERROR_PAGE = (
    b"<html>\r\n<head><title>Error %s</title></head>\r\n<body>Try later</body>\r\n</html>\r\n"
)


def _json(status: int, body: shapes.Json, headers: dict[str, str] | None = None) -> Answer:
    return Answer(status, json.dumps(body).encode(), headers=headers or {})


def _bearer(asked: Asked) -> str:
    kind, _, token = asked.headers.get("Authorization", "").partition(" ")
    return token if kind == "Bearer" else ""


def _body(asked: Asked) -> shapes.Json:
    """The fields that a call was given. Raises errors.Refused."""
    if not asked.body:
        return {}
    try:
        body = json.loads(asked.body)
    except ValueError as error:
        raise errors.not_json() from error
    if not isinstance(body, dict):
        raise errors.not_json()
    return body
