"""The fake Zoom, as a test uses it."""

import datetime as dt
import socket
import threading
from collections.abc import Callable
from typing import Self
from urllib.parse import parse_qsl, urlsplit

from tests.fake_zoom import api, serializers
from tests.fake_zoom.account import Account
from tests.fake_zoom.faults import ANY, Failure, Fault, Faults
from tests.fake_zoom.limits import Clock
from tests.fake_zoom.records import Meeting, Participant, Registrant, User
from tests.fake_zoom.server import Server
from tests.fake_zoom.webhooks import Sender, Webhook


def utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


class FakeZoom:
    """A Zoom account on a server of its own; a context manager that listens while it is entered.

    `port` 0 picks a free one. `plan` is free, pro or business. `clock` is used for token expiry,
    daily limits and all recorded times; limits per second use real time.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        plan: str = "business",
        account_id: str = "account-id",
        client_id: str = "client-id",
        client_secret: str = "client-secret",
        webhook_url: str = "",
        webhook_secret: str = "webhook-secret",
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
        # Every call received, in the order of the responses.
        self.calls: list[api.RecordedCall] = []
        # Protects the account.
        self.lock = threading.RLock()
        # Called after each change of the account, while the lock is held.
        self.on_change: Callable[[], None] = lambda: None
        self.stopped = threading.Event()
        self._server: Server | None = None
        self._reserved_port: socket.socket | None = None

    def __enter__(self) -> Self:
        self.up()
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def site(self) -> str:
        """The base URL of the pages."""
        return f"http://localhost:{self.port}"

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v2"

    @property
    def oauth_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/oauth/token"

    def up(self) -> None:
        """Start listening, on the same port as before."""
        if self._server:
            return
        self.close()
        self.stopped = threading.Event()
        self._server = Server(self.port, self)
        self.port = self._server.server_port
        self.account.site = self.site
        threading.Thread(target=self._server.serve_forever, args=[0.02], daemon=True).start()

    def down(self) -> None:
        """Refuse connections, but reserve the port."""
        self.close()
        self._reserved_port = socket.socket()
        self._reserved_port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._reserved_port.bind(("127.0.0.1", self.port))

    def close(self) -> None:
        """Stop listening."""
        self.stopped.set()
        # Two threads may close it at once.
        server, self._server = self._server, None
        if server:
            server.shutdown()
            server.server_close()
        if self._reserved_port:
            self._reserved_port.close()
            self._reserved_port = None

    # What happened

    def count(self, name: str) -> int:
        """Return how many calls of that name were received; "token" counts token requests."""
        return sum(call.name == name for call in list(self.calls))

    @property
    def meetings(self) -> dict[int, Meeting]:
        """The account's meetings by id."""
        return self.account.meetings

    @property
    def sent(self) -> list[Webhook]:
        """Every webhook that was sent, in order."""
        return self.webhooks.sent

    def add_user(self, email: str, *, licensed: bool = True) -> User:
        with self.lock:
            return self.account.add_user(email, licensed=licensed)

    # Fault injection

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

        With `times=None`, fail until `heal()`. A 429 has a Retry-After header `retry_after`
        seconds ahead, if given. A timeout closes the connection after `hang_seconds`, or lasts
        until the client gives up.
        """
        if call not in (ANY, *api.NAMES):
            raise ValueError(f"There is no call {call!r}.")
        self.faults.add(Failure(Fault(fault), call, times, retry_after, hang_seconds))

    def fail_at_random(self, rate: float, seed: int, *, hang_seconds: float = 1.0) -> None:
        """Fail each call with probability `rate` in a random way, until `heal()`."""
        self.faults.at_random(rate, seed, hang_seconds)

    def heal(self) -> None:
        """Stop failing."""
        self.faults.clear()

    # What people do in Zoom. Each sends its webhook; methods that return an int return the
    # status of the receiver's response, 0 if there was none. They raise CannotJoin, or
    # errors.ApiError where Zoom would reject the action.

    def start(self, meeting_id: int) -> int:
        """The host starts the meeting; its new instance gets a new uuid."""
        with self.lock:
            meeting = self.meetings[meeting_id]
            payload = serializers.started(meeting, self.account.start(meeting))
            self.on_change()
        return self._send("meeting.started", payload)

    def admit(self, link: str) -> tuple[Meeting, Registrant | None]:
        """Check a join link; return its meeting, and its registrant if it is a personal link.

        Raises CannotJoin.
        """
        url = urlsplit(link)
        query = dict(parse_qsl(url.query))
        meeting_id = int(url.path.rpartition("/")[2])
        registrant = self.account.admit(meeting_id, query.get("pwd", ""), query.get("tk"))
        return self.meetings[meeting_id], registrant

    def join(self, where: int | str, *, name: str = "Guest", email: str = "") -> Participant:
        """Join by a link, or as a guest by the meeting's id.

        With a personal link, name and email address are the registrant's.
        """
        with self.lock:
            registrant = None
            if isinstance(where, str):
                meeting, registrant = self.admit(where)
            else:
                meeting = self.meetings[where]
            participant = self.account.join(meeting, registrant, name, email)
            _, instance = self.account.instance_of(participant)
            payload = serializers.participant_joined(meeting, instance, participant)
            self.on_change()
        self._send("meeting.participant_joined", payload)
        return participant

    def leave(self, participant: Participant) -> int:
        with self.lock:
            meeting, instance = self.account.instance_of(participant)
            self.account.leave(participant)
            payload = serializers.participant_left(meeting, instance, participant)
            self.on_change()
        return self._send("meeting.participant_left", payload)

    def end(self, meeting_id: int) -> int:
        """The host ends the meeting for everyone."""
        with self.lock:
            meeting = self.meetings[meeting_id]
            present = meeting.live.present if meeting.live else []
            instance = self.account.end(meeting)
            left = [serializers.participant_left(meeting, instance, each) for each in present]
            payload = serializers.ended(meeting, instance)
            self.on_change()
        for each in left:
            self._send("meeting.participant_left", each)
        return self._send("meeting.ended", payload)

    def recording_ready(self, meeting_id: int, *, share_url: str = "", password: str = "") -> int:
        """The recording of the last instance becomes available."""
        with self.lock:
            meeting, instance = self.account.ended_instance(str(meeting_id))
            share_url = share_url or f"{self.site}/rec/share/{meeting_id}"
            payload = serializers.recording(self.account, meeting, instance, share_url, password)
        return self._send("recording.completed", payload)

    def delete_by_hand(self, meeting_id: int) -> int:
        """An organizer deletes the meeting on Zoom's own pages."""
        with self.lock:
            meeting = self.meetings[meeting_id]
            self.account.delete_meeting(meeting)
            payload = serializers.deleted(meeting)
            owner = self.account.owner
            self.on_change()
        return self._send("meeting.deleted", payload, operator=owner.email, operator_id=owner.id)

    def validate_webhook(self) -> bool:
        """Check that the webhook URL answers with the right secret, as Zoom does."""
        return self.webhooks.validate()

    def deliver_again(self, webhook: Webhook) -> int:
        """Send a webhook again with a new signature, as Zoom does after a failure."""
        return self.webhooks.deliver_again(webhook).status

    def replay(self, webhook: Webhook) -> int:
        """Send a webhook again unchanged, as an attacker would."""
        return self.webhooks.replay(webhook).status

    def _send(self, event: str, payload: serializers.Json, **fields: str) -> int:
        message = {"account_id": self.account.id, **fields, "object": payload}
        return self.webhooks.send(event, message).status
