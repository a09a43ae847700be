"""THE Zoom client: HTTP to Zoom, and what can go wrong with it. It knows no models.

zoomus is the door. What it leaves open is closed here: its token comes from a cache that all
processes share, every call has a timeout, every answer that is not what was asked for is an
error of ours, and all workers together stay below the rates that Zoom allows.

Source: https://developers.zoom.us/docs/api/meetings/ and .../docs/api/rate-limits/.
"""

import base64
import contextlib
import datetime as dt
import hashlib
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote

import requests
from django.conf import settings
from django.core.cache import caches
from redis import RedisError
from urllib3.exceptions import NewConnectionError
from zoomus import ZoomClient
from zoomus.util import API_VERSION_2, ApiClient

# Registrants in one call, and rows in a page of a list.
BATCH = 30
PAGE = 300
# Characters that Zoom takes.
LONGEST_TOPIC = 200
LONGEST_NAME = 64
# An error's words, as organizers read them.
LONGEST_WORDS = 300
# Calls a second by the account's plan, for each "Rate Limit Label" of the documentation.
RATES = {
    "light": {"free": 4, "pro": 30, "business": 80},
    "medium": {"free": 2, "pro": 20, "business": 60},
    "heavy": {"free": 1, "pro": 10, "business": 40},
}
# Calls do not arrive as evenly as they leave.
SHARE = 0.96
# "Try again" within so many seconds is waited for here.
SHORT_WAIT = 3
SHORT_WAITS = 3
TOKEN_MARGIN = 60
REGISTRANT = "registrant_id"
# Zoom's codes: for a field that it does not take, a meeting that is not there, a missing scope.
INVALID, NO_MEETING, NO_SCOPE = 300, 3001, 4711

Json = dict[str, Any]
T = TypeVar("T")

_renewing = threading.Lock()
_booking = threading.Lock()
_booked: dict[str, int] = {}


class ZoomError(Exception):
    """Zoom did not do what it was asked. The words are for organizers: Zoom's own if it had any."""


class SettingsError(ZoomError):
    """Zoom does not accept our credentials. No call will do better."""


class TryLater(ZoomError):
    """Zoom is away, or has had enough of us.

    `retry_at` is the moment that it named, if it did. `may_be_done`: the answer was lost, so
    that the work may be done nevertheless; look before it is asked for again.
    """

    def __init__(
        self, words: str, *, retry_at: dt.datetime | None = None, may_be_done: bool = False
    ) -> None:
        super().__init__(words)
        self.retry_at, self.may_be_done = retry_at, may_be_done


class Rejected(ZoomError):
    """Zoom answered no, and would again. `code` is Zoom's own."""

    def __init__(self, words: str, *, code: int) -> None:
        super().__init__(words)
        self.code = code


class MissingScope(Rejected):
    """Our app may not make this call; others it may."""


class NotFound(Rejected):
    """The meeting that the call was about is not there."""


@dataclass(frozen=True)
class MeetingSpec:
    """A meeting as it should be. `starts_at` is aware; `minutes` is its length.

    `agenda` is shown to nobody but the host; `options` are fields of Zoom's `settings`.
    """

    topic: str
    starts_at: dt.datetime
    minutes: int
    agenda: str
    options: Mapping[str, Any]

    def as_json(self) -> Json:
        # zoomus would write any zone's hours with a Z behind them.
        return {
            "topic": self.topic[:LONGEST_TOPIC],
            "type": 2,
            "start_time": f"{self.starts_at.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%SZ}",
            "timezone": "UTC",
            "duration": self.minutes,
            "agenda": self.agenda,
            "settings": dict(self.options),
        }


class Meeting(NamedTuple):
    """A meeting as Zoom has it. `passcode` and `options` are unknown ("", {}) in lists."""

    id: int
    topic: str
    starts_at: dt.datetime | None
    minutes: int
    agenda: str
    join_url: str
    passcode: str
    options: Mapping[str, Any]


class Person(NamedTuple):
    """Someone to register."""

    email: str
    name: str


class Registrant(NamedTuple):
    """Someone who is registered: `join_url` lets in this person and nobody else.

    It is "" while Zoom waits for the host's yes.
    """

    id: str
    email: str
    join_url: str


class Participant(NamedTuple):
    """Someone's presence in an instance of a meeting, of `registrant_id` "" if unregistered."""

    registrant_id: str
    user_id: str
    name: str
    email: str
    joined_at: dt.datetime | None
    left_at: dt.datetime | None


def is_configured() -> bool:
    """Whether the site was given an account's credentials."""
    return all((settings.ZOOM_ACCOUNT_ID, settings.ZOOM_CLIENT_ID, settings.ZOOM_CLIENT_SECRET))


def check_credentials() -> None:
    """Ask Zoom for a token. Raises SettingsError when it gives none, TryLater when it is away."""
    _new_token()


# Meetings


def create_meeting(host: str, wish: MeetingSpec) -> Meeting:
    """Make a meeting of this user ("me": whose credentials we have)."""
    path = f"/users/{quote(host, safe='@')}/meetings"
    made = _call("medium", "post", path, body=wish.as_json(), door=f"changes/{host}")
    return _read(_meeting, made)


def get_meeting(meeting_id: int) -> Meeting:
    """Raises NotFound."""
    return _read(_meeting, _call("light", "get", f"/meetings/{meeting_id}"))


def update_meeting(host: str, meeting_id: int, wish: MeetingSpec) -> None:
    """Make a meeting of this host as it should be. Raises NotFound."""
    path = f"/meetings/{meeting_id}"
    _call("light", "patch", path, body=wish.as_json(), door=f"changes/{host}")


def delete_meeting(meeting_id: int) -> None:
    """Raises NotFound when somebody did so before."""
    _call("light", "delete", f"/meetings/{meeting_id}")


def list_meetings(host: str) -> list[Meeting]:
    """This user's meetings that are not over; of an agenda only the first 250 characters."""
    path = f"/users/{quote(host, safe='@')}/meetings"
    return [_read(_meeting, each) for each in _pages("medium", path, "meetings", type="scheduled")]


def enable_captions(host: str) -> None:
    """Let meetings of this user have live captions; Zoom knows no such setting of one meeting."""
    captions = {"enable": True, "auto_transcribing": True}
    body = {"in_meeting": {"closed_captioning": captions}}
    _call("medium", "patch", f"/users/{quote(host, safe='@')}/settings", body=body)


def _meeting(found: Json) -> Meeting:
    return Meeting(
        id=int(found["id"]),
        topic=found.get("topic", ""),
        starts_at=parse_time(found.get("start_time")),
        minutes=int(found.get("duration") or 0),
        agenda=found.get("agenda", ""),
        join_url=found.get("join_url", ""),
        passcode=found.get("password", ""),
        options=found.get("settings") or {},
    )


# Registrants


def add_registrant(meeting_id: int, person: Person) -> Registrant:
    """Register someone for a meeting; whoever is registered already stays so."""
    path = f"/meetings/{meeting_id}/registrants"
    # Whoever registers by Zoom's own form has to wait for the host's yes.
    added = _call("light", "post", path, body={**_as_json(person), "auto_approve": True})
    return _read(_registrant, {"email": person.email, **added})


def add_registrants(meeting_id: int, people: Sequence[Person]) -> list[Registrant]:
    """Register at most 30 people in one call; one whom Zoom refuses, and it takes none."""
    body = {
        "auto_approve": True,
        "registrants_confirmation_email": False,
        "registrants": list(map(_as_json, people)),
    }
    added = _call("heavy", "post", f"/meetings/{meeting_id}/batch_registrants", body=body)
    return [_read(_registrant, each) for each in added.get("registrants") or []]


def list_registrants(meeting_id: int) -> list[Registrant]:
    """Everyone who has a link."""
    path = f"/meetings/{meeting_id}/registrants"
    return [
        _read(_registrant, {"registrant_id": each.get("id"), **each})
        for each in _pages("medium", path, "registrants", status="approved")
    ]


def cancel_registrants(meeting_id: int, registrants: Sequence[Registrant]) -> None:
    """Take links away, of at most 30 people."""
    who = [{"id": registrant.id, "email": registrant.email} for registrant in registrants]
    body = {"action": "cancel", "registrants": who}
    _call("medium", "put", f"/meetings/{meeting_id}/registrants/status", body=body)


def _registrant(found: Json) -> Registrant:
    return Registrant(str(found["registrant_id"]), found["email"], found.get("join_url") or "")


def _as_json(person: Person) -> Json:
    first, _space, last = person.name.strip().rpartition(" ")
    first, last = (first, last) if first else (last, "")
    return {
        "email": person.email,
        "first_name": first[:LONGEST_NAME],
        "last_name": last[:LONGEST_NAME],
    }


# Afterwards


def past_participants(meeting: int | str) -> list[Participant]:
    """Who was there: in the meeting's last instance by its id, in any by the instance's uuid.

    By Zoom's report: the list of past participants leaves out whoever was there alone.
    """
    key = quote(str(meeting), safe="")
    if str(meeting).startswith("/") or "//" in str(meeting):
        key = quote(key, safe="")
    rows = _pages(
        "heavy", f"/report/meetings/{key}/participants", "participants", include_fields=REGISTRANT
    )
    return [
        Participant(
            registrant_id=each.get(REGISTRANT) or "",
            user_id=str(each.get("user_id") or ""),
            name=each.get("name") or "",
            email=each.get("user_email") or "",
            joined_at=parse_time(each.get("join_time")),
            left_at=parse_time(each.get("leave_time")),
        )
        for each in rows
    ]


# Calls


class Client(ZoomClient):
    """zoomus's, given a token: by itself it would fetch one without a timeout."""

    def __init__(self, token: str) -> None:
        ApiClient.__init__(self, base_uri=settings.ZOOM_API_URL, timeout=settings.ZOOM_TIMEOUT)
        self.config = {"token": token, "version": API_VERSION_2}


def _read(make: Callable[[Json], T], found: Json) -> T:
    """What an answer is about. Raises TryLater when it is not of the documented shape."""
    try:
        return make(found)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        words = "Zoom answered in a way that we do not understand."
        raise TryLater(words, may_be_done=True) from error


def _pages(label: str, path: str, rows: str, **params: Any) -> Iterator[Json]:
    """The rows of all pages of a list."""
    token = ""
    while True:
        page = _call(
            label, "get", path, params={**params, "page_size": PAGE, "next_page_token": token}
        )
        yield from page.get(rows, [])
        token = page.get("next_page_token") or ""
        if not token:
            return


def _call(
    label: str,
    method: str,
    path: str,
    *,
    params: Mapping[str, Any] | None = None,
    body: Json | None = None,
    door: str = "",
) -> Json:
    """Make a call, and return what Zoom answered. Raises ZoomError.

    A new token is asked for once when ours is not valid any more. A wait that is short is
    waited for. Behind a `door` that Zoom has closed until some later moment nobody calls again
    before it: the limits of a day.
    """
    if not is_configured():
        raise SettingsError("The site has no Zoom credentials.")
    if door and (until := _shared("get", f"door/{door}")):
        raise TryLater(until[0], retry_at=until[1])
    given: dict[str, Any] = {"params": params} if method == "get" else {"data": body}
    token, waits = _token(), 0
    renewed = False
    while True:
        _wait_for_turn(label)
        response = _send(getattr(Client(token), f"{method}_request"), path, **given)
        if response.status_code == 401 and not renewed:
            token, renewed = _token(stale=token), True
            continue
        try:
            return _answer(response)
        except TryLater as error:
            wait = (error.retry_at - _now()).total_seconds() if error.retry_at else math.inf
            if not error.may_be_done and wait <= SHORT_WAIT and waits < SHORT_WAITS:
                waits += 1
                time.sleep(max(wait, 0))
                continue
            if door and error.retry_at and wait > SHORT_WAIT:
                _shared("set", f"door/{door}", (str(error), error.retry_at), timeout=wait)
            raise


def _send(request: Callable[..., requests.Response], *args: Any, **given: Any) -> requests.Response:
    """Send a request. Raises TryLater when there is no answer."""
    try:
        return request(*args, **given)
    except requests.RequestException as error:
        reason = getattr(error.args[0] if error.args else None, "reason", None)
        never_sent = isinstance(error, requests.ConnectTimeout) or isinstance(
            reason, NewConnectionError
        )
        words = "in time" if isinstance(error, requests.Timeout) else ""
        raise TryLater(
            f"Zoom did not answer {words}".strip() + ".", may_be_done=not never_sent
        ) from error


def _answer(response: requests.Response) -> Json:
    """What an answer says. Raises ZoomError when it is not what was asked for."""
    content: Any = {}
    with contextlib.suppress(ValueError):
        content = response.json() if response.content else {}
        content = content if isinstance(content, dict) else {}
    if response.ok and (content or not response.content):
        return content
    words = str(content.get("message") or content.get("reason") or "")[:LONGEST_WORDS]
    errors = content.get("errors")
    fields = [
        str(each.get("message", ""))
        for each in (errors if isinstance(errors, list) else [])
        if isinstance(each, dict)
    ]
    words = " ".join([words, *fields])[:LONGEST_WORDS].strip()
    status, code = response.status_code, content.get("code")
    code = code if isinstance(code, int) else status
    if status == 429:
        raise TryLater(words or "Zoom had too many calls.", retry_at=_retry_at(response))
    if code == NO_SCOPE:
        raise MissingScope(f"The Zoom app lacks a scope: {words}", code=code)
    if status == 401:
        raise SettingsError(f"Zoom does not accept our credentials: {words or status}")
    if response.ok or status >= 500:
        raise TryLater(f"Zoom is in trouble ({status}). {words}".strip(), may_be_done=True)
    error = NotFound if code == NO_MEETING else Rejected
    raise error(words or f"Zoom answered {status}.", code=code)


def _retry_at(response: requests.Response) -> dt.datetime:
    """When Zoom wants to be asked again: it names an ISO moment, or it is a limit of a second."""
    named = response.headers.get("Retry-After", "")
    if named.isdecimal():
        return _now() + dt.timedelta(seconds=int(named))
    if named_moment := parse_time(named):
        return named_moment
    if response.headers.get("X-RateLimit-Type", "").lower().startswith("daily"):
        tomorrow = _now().date() + dt.timedelta(days=1)
        return dt.datetime.combine(tomorrow, dt.time(), dt.UTC)
    return _now() + dt.timedelta(seconds=1)


def parse_time(written: Any) -> dt.datetime | None:
    """A moment as Zoom writes it, 2021-10-16T16:00:00Z; None for anything else."""
    try:
        found = dt.datetime.fromisoformat(written)
    except (TypeError, ValueError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=dt.UTC)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


# What all workers share


def _token(stale: str = "") -> str:
    """The token that all processes share; a new one when there is none, or only the stale one."""
    with _renewing:
        token: str | None = _shared("get", _token_key())
        if token is None or token == stale:
            token, seconds = _new_token()
            _shared("set", _token_key(), token, timeout=seconds - TOKEN_MARGIN)
    return token


def _token_key() -> str:
    whose = f"{settings.ZOOM_OAUTH_URL} {settings.ZOOM_ACCOUNT_ID} {settings.ZOOM_CLIENT_ID}"
    return f"token/{hashlib.sha256(whose.encode()).hexdigest()}"


def _new_token() -> tuple[str, int]:
    """Ask Zoom for a token; it is valid for so many seconds (Server-to-Server OAuth)."""
    if not is_configured():
        raise SettingsError("The site has no Zoom credentials.")
    pair = f"{settings.ZOOM_CLIENT_ID}:{settings.ZOOM_CLIENT_SECRET}"
    response = _send(
        requests.post,
        settings.ZOOM_OAUTH_URL,
        data={"grant_type": "account_credentials", "account_id": settings.ZOOM_ACCOUNT_ID},
        headers={"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"},
        timeout=settings.ZOOM_TIMEOUT,
    )
    try:
        answer = _answer(response)
    except Rejected as error:
        raise SettingsError(f"Zoom does not accept our credentials: {error}") from error
    token = answer.get("access_token")
    if not isinstance(token, str) or not token:
        raise TryLater("Zoom gave no token.")
    return token, max(int(answer.get("expires_in") or 0), 2 * TOKEN_MARGIN)


def _wait_for_turn(label: str) -> None:
    """Wait for the next moment that no other call of this label has booked, in any process.

    Moments are numbered, as far apart as the rate asks for; whoever first writes a number down
    in the shared cache has it.
    """
    rate = RATES[label][settings.ZOOM_PLAN] * SHARE
    with _booking:
        first = math.ceil(time.time() * rate)
        booked = _booked.get(label, 0)
        # One that is further ahead than anyone books was booked by a clock that was wrong.
        number = max(first, booked + 1) if booked < first + 60 * rate else first
        while not _shared("add", f"turn/{label}/{rate}/{number}", 1, timeout=60):
            number += 1
        _booked[label] = number
    time.sleep(max(0.0, number / rate - time.time()))


def _shared(verb: str, key: str, *args: Any, **options: Any) -> Any:
    """Use the cache that all workers share. Raises TryLater when it is away."""
    try:
        return getattr(caches["shared"], verb)(f"zoom/{key}", *args, **options)
    except (OSError, RedisError) as error:
        raise TryLater("The workers' shared memory (Redis) is away.") from error
