"""Zoom's HTTP API: calls, typed results and errors. Knows no models but the site's settings.

zoomus builds the requests. This module adds what it lacks: an access token shared by all
processes, a timeout on every call, errors of our own for every unexpected response, and a rate
limit over all workers together.

Each function names its page of https://developers.zoom.us/docs/api/meetings/. Rate limits:
https://developers.zoom.us/docs/api/rate-limits/.
"""

import contextlib
import datetime as dt
import hashlib
import logging
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote

import requests
from django.conf import settings
from django.core.cache import caches
from django.utils import timezone
from django.utils.translation import gettext as _
from redis import RedisError
from urllib3.exceptions import NewConnectionError
from zoomus import ZoomClient
from zoomus.util import API_VERSION_2, ApiClient

from events import site_settings
from events.phone import numbers
from events.phone.dial_in import is_dialable
from events.text import parsing

logger = logging.getLogger(__name__)

# Zoom's own limits.
REGISTRANTS_PER_CALL = 30
ROWS_PER_PAGE = 300
MAX_TOPIC_CHARACTERS = 200
MAX_NAME_CHARACTERS = 64
# What we can store of Zoom's own values.
MAX_ID_CHARACTERS, MAX_PASSCODE_CHARACTERS, MAX_PHONE_PASSCODE_DIGITS = 100, 40, 10
MAX_NUMBER_CHARACTERS, MAX_PLACE_CHARACTERS = 40, 60
MAX_URL_CHARACTERS, MAX_PERSONAL_URL_CHARACTERS = 500, 900
# Calls per second by the account's plan, for each "Rate Limit Label" of the documentation.
CALLS_PER_SECOND = {
    "light": {"free": 4, "pro": 30, "business": 80},
    "medium": {"free": 2, "pro": 20, "business": 60},
    "heavy": {"free": 1, "pro": 10, "business": 40},
}
# Below Zoom's limit, because calls arrive less evenly than they leave.
RATE_FACTOR = 0.96
# A slot booked further ahead than this is a clock error; its cache entry lasts as long.
SLOT_LIFETIME_SECONDS = 60
# When Zoom asks for a pause of up to this many seconds, `_call` waits and retries.
SHORT_WAIT_SECONDS = 3
MAX_SHORT_WAITS = 3
# A token is replaced this long before it expires.
TOKEN_MARGIN_SECONDS, MAX_TOKEN_SECONDS = 60, 24 * 60 * 60
# Zoom's longest limits are per day.
MAX_RETRY_AFTER = dt.timedelta(hours=25)
# Zoom's error codes (https://developers.zoom.us/docs/api/meetings/, "Error codes").
PAID_PLAN_NEEDED, MEETING_NOT_FOUND, HOST_CANNOT_REGISTER, SCOPE_MISSING = 200, 3001, 3027, 4711
MEETING_FULL = 3043

Json = dict[str, Any]
T = TypeVar("T")

_token_lock = threading.Lock()
_slot_lock = threading.Lock()
_last_slots: dict[str, int] = {}


class ZoomError(Exception):
    """A call failed. The message is for organizers: Zoom's own if it sent one."""


class SettingsError(ZoomError):
    """The credentials are missing or rejected, so every call would fail."""


class TryLater(ZoomError):
    """Zoom is unavailable, or a rate limit is reached.

    `retry_at` is when Zoom said to retry, if it did. `may_be_done`: Zoom may have done the work
    although its response was lost; check before you ask again.
    """

    def __init__(
        self, message: str, *, retry_at: dt.datetime | None = None, may_be_done: bool = False
    ) -> None:
        super().__init__(message)
        self.retry_at, self.may_be_done = retry_at, may_be_done


class RateLimited(TryLater):
    """Zoom had too many calls."""


class ZoomRejected(ZoomError):
    """Zoom rejected the call; a retry would fail too. `code` is Zoom's, or the HTTP status."""

    def __init__(self, message: str, *, code: int) -> None:
        super().__init__(message)
        self.code = code


class MeetingFull(ZoomRejected):
    """The meeting has no room for another registrant, until someone's link is canceled."""


class NotFound(ZoomRejected):
    """The meeting does not exist at Zoom."""


class ZoomMeeting(NamedTuple):
    """A meeting as it is at Zoom. Lists leave out what follows `join_url`: it's empty.

    `phone_passcode` has digits only. `dial_in` is one phone number a line, such as
    "+1 669 900 6833 US (San Jose)".
    """

    id: int
    topic: str
    starts_at: dt.datetime | None
    minutes: int
    agenda: str
    join_url: str
    passcode: str
    phone_passcode: str
    dial_in: str
    options: Mapping[str, Any]


class NewRegistrant(NamedTuple):
    """Someone to register."""

    email: str
    name: str


class Registrant(NamedTuple):
    """A registered person. `join_url` is theirs alone; "" while the host has to approve them."""

    id: str
    email: str
    join_url: str


class Run(NamedTuple):
    """One run of a meeting, from start to end: Zoom's "instance"."""

    uuid: str
    started_at: dt.datetime | None


class Token(NamedTuple):
    """An access token, and the scopes that Zoom says it has."""

    value: str
    scopes: frozenset[str]


class Participant(NamedTuple):
    """One stay of one person in a meeting. `registrant_id` is "" if they did not register."""

    registrant_id: str
    user_id: str
    name: str
    email: str
    joined_at: dt.datetime | None
    left_at: dt.datetime | None


def is_configured() -> bool:
    """Whether the site has all credentials for a Zoom account."""
    credentials = site_settings.zoom_credentials()
    return bool(credentials and credentials.is_complete)


# Meetings


def create_meeting(host: str, spec: Json) -> ZoomMeeting:
    """Create a meeting for this host: an email address, or "me" for the owner of the credentials.

    `spec` is the JSON of the meeting's fields. Docs: Meetings, "Create a meeting".
    """
    path = _user_path(host, "meetings")
    created = _call("medium", "post", path, data=spec, daily_limit=host)
    return _read(_meeting, created)


def get_meeting(meeting_id: int) -> ZoomMeeting:
    """Raises NotFound. Docs: Meetings, "Get a meeting"."""
    return _read(_meeting, _call("light", "get", f"/meetings/{meeting_id}"))


def update_meeting(host: str, meeting_id: int, spec: Json) -> None:
    """Update one of this host's meetings. Raises NotFound. Docs: Meetings, "Update a meeting"."""
    _call("light", "patch", f"/meetings/{meeting_id}", data=spec, daily_limit=host)


def delete_meeting(meeting_id: int) -> None:
    """Raises NotFound if it was deleted before. Docs: Meetings, "Delete a meeting"."""
    _call("light", "delete", f"/meetings/{meeting_id}")


def list_meetings(host: str, *, page_size: int = ROWS_PER_PAGE) -> list[ZoomMeeting]:
    """This host's unexpired meetings, with only the first 250 characters of each agenda.

    Docs: Meetings, "List meetings".
    """
    path = _user_path(host, "meetings")
    rows = _pages("medium", path, "meetings", type="scheduled", page_size=page_size)
    return _read_rows(_meeting, rows)


def enable_captions(host: str) -> None:
    """Allow live captions in all meetings of this host; Zoom has no such setting per meeting.

    Docs: Users, "Update user settings".
    """
    body = {"in_meeting": {"closed_captioning": {"enable": True, "auto_transcribing": True}}}
    _call("medium", "patch", _user_path(host, "settings"), data=body)


def _user_path(host: str, suffix: str) -> str:
    return f"/users/{quote(host, safe='@')}/{suffix}"


def _meeting(fields: Json) -> ZoomMeeting:
    meeting_id = parsing.integer(fields.get("id"), 0)
    if not meeting_id:
        raise ValueError("no meeting ID")
    options = parsing.mapping(fields.get("settings"))
    phone_passcode = parsing.text(fields.get("pstn_password"))
    if not is_dialable(phone_passcode) or len(phone_passcode) > MAX_PHONE_PASSCODE_DIGITS:
        phone_passcode = ""
    dial_in = map(_dial_in_line, parsing.rows(options.get("global_dial_in_numbers")))
    return ZoomMeeting(
        id=meeting_id,
        topic=parsing.text(fields.get("topic")),
        starts_at=parsing.time(fields.get("start_time")),
        minutes=parsing.integer(fields.get("duration"), 0),
        agenda=parsing.text(fields.get("agenda")),
        join_url=parsing.url(fields.get("join_url"), MAX_URL_CHARACTERS),
        passcode=parsing.text(fields.get("password"), MAX_PASSCODE_CHARACTERS),
        phone_passcode=phone_passcode,
        dial_in="\n".join(filter(None, dial_in)),
        options=options,
    )


def _dial_in_line(fields: Json) -> str:
    """+1 669 900 6833 US (San Jose); "" without a number"""
    number = numbers.read_number(parsing.text(fields.get("number"), MAX_NUMBER_CHARACTERS))
    if number is None:
        return ""
    country = fields.get("country_name") or fields.get("country")
    words = [numbers.international(number), parsing.text(country, MAX_PLACE_CHARACTERS)]
    if city := parsing.text(fields.get("city"), MAX_PLACE_CHARACTERS):
        words.append(f"({city})")
    if fields.get("type") == "tollfree":
        words.append("Toll-free")
    return " ".join(" ".join(words).split())


# Registrants


def add_registrant(meeting_id: int, person: NewRegistrant) -> Registrant:
    """Register and approve one person. Repeating the call for the same address is harmless.

    Docs: Meetings, "Add a meeting registrant".
    """
    # Without auto_approve the host would have to approve each person.
    body = {**_person_fields(person), "auto_approve": True}
    added = _call("light", "post", f"/meetings/{meeting_id}/registrants", data=body)
    return _read(_registrant, {"email": person.email, **added})


def add_registrants(meeting_id: int, people: Sequence[NewRegistrant]) -> list[Registrant]:
    """Register up to REGISTRANTS_PER_CALL people. If Zoom rejects one, it registers none.

    Docs: Meetings, "Perform batch registration".
    """
    body = {
        "auto_approve": True,
        "registrants_confirmation_email": False,
        "registrants": [_person_fields(person) for person in people],
    }
    added = _call("heavy", "post", f"/meetings/{meeting_id}/batch_registrants", data=body)
    return _read_rows(_registrant, parsing.rows(added.get("registrants")))


def list_registrants(meeting_id: int) -> list[Registrant]:
    """All approved registrants. Docs: Meetings, "List meeting registrants"."""
    path = f"/meetings/{meeting_id}/registrants"
    rows = _pages("medium", path, "registrants", status="approved")
    return _read_rows(_registrant, ({"registrant_id": row.get("id"), **row} for row in rows))


def cancel_registrants(meeting_id: int, registrants: Sequence[Registrant]) -> None:
    """Cancel the links of up to REGISTRANTS_PER_CALL people.

    Docs: Meetings, "Update registrant's status".
    """
    people = [{"id": registrant.id, "email": registrant.email} for registrant in registrants]
    body = {"action": "cancel", "registrants": people}
    _call("medium", "put", f"/meetings/{meeting_id}/registrants/status", data=body)


def _registrant(fields: Json) -> Registrant:
    registrant_id = parsing.text(fields.get("registrant_id"), MAX_ID_CHARACTERS)
    email = parsing.text(fields.get("email"))
    if not registrant_id or not email:
        raise ValueError("no registrant ID or no address")
    join_url = parsing.url(fields.get("join_url"), MAX_PERSONAL_URL_CHARACTERS)
    return Registrant(registrant_id, email, join_url)


def _person_fields(person: NewRegistrant) -> Json:
    first, _space, last = person.name.strip().rpartition(" ")
    first, last = (first, last) if first else (last, "")
    return {
        "email": person.email,
        "first_name": first[:MAX_NAME_CHARACTERS],
        "last_name": last[:MAX_NAME_CHARACTERS],
    }


# Reports


def past_runs(meeting_id: int) -> list[Run]:
    """The runs of a meeting that have ended. Docs: Meetings, "List past meeting instances"."""
    listed = _call("medium", "get", f"/past_meetings/{meeting_id}/instances")
    runs = [
        Run(parsing.text(row.get("uuid")), parsing.time(row.get("start_time")))
        for row in parsing.rows(listed.get("meetings"))
    ]
    return [run for run in runs if run.uuid]


def past_participants(meeting: int | str) -> list[Participant]:
    """Who attended: the last instance of a meeting ID, or the instance with this UUID.

    The endpoint "Get past meeting participants" leaves out a person who was there alone, so
    this uses the report. Docs: Reports, "Get meeting participant reports".
    """
    key = quote(str(meeting), safe="")
    if str(meeting).startswith("/") or "//" in str(meeting):
        # Zoom wants such a UUID encoded twice.
        key = quote(key, safe="")
    path = f"/report/meetings/{key}/participants"
    rows = _pages("heavy", path, "participants", include_fields="registrant_id")
    return [
        Participant(
            registrant_id=parsing.text(row.get("registrant_id")),
            user_id=parsing.text(row.get("user_id")),
            name=parsing.text(row.get("name")),
            email=parsing.text(row.get("user_email")),
            joined_at=parsing.time(row.get("join_time")),
            left_at=parsing.time(row.get("leave_time")),
        )
        for row in rows
    ]


# Calls


class Client(ZoomClient):
    """zoomus's client with a given token; its own code requests tokens without a timeout."""

    def __init__(self, token: str) -> None:
        ApiClient.__init__(self, base_uri=settings.ZOOM_API_URL, timeout=settings.ZOOM_TIMEOUT)
        self.config = {"token": token, "version": API_VERSION_2}


def _read(build: Callable[[Json], T], fields: Json) -> T:
    """Build a result. Raises TryLater if the response is not as documented."""
    try:
        return build(fields)
    except ValueError as error:
        message = _("Zoom sent an answer we don't understand.")
        raise TryLater(message, may_be_done=True) from error


def _read_rows(build: Callable[[Json], T], rows: Iterable[Json]) -> list[T]:
    """Build the results of a list. A row that is not as documented is left out."""
    results = []
    for row in rows:
        try:
            results.append(build(row))
        except ValueError:
            logger.warning("Zoom listed something without its ID or address")
    return results


def _pages(
    label: str, path: str, rows: str, *, page_size: int = ROWS_PER_PAGE, **params: Any
) -> Iterator[Json]:
    """The rows of every page of a list; `rows` is the name of the field they are in."""
    params |= {"page_size": page_size, "next_page_token": ""}
    while True:
        page = _call(label, "get", path, params=params)
        yield from parsing.rows(page.get(rows))
        previous = params["next_page_token"]
        params["next_page_token"] = parsing.text(page.get("next_page_token"))
        if params["next_page_token"] in ("", previous):
            return


def _call(label: str, method: str, path: str, *, daily_limit: str = "", **payload: Any) -> Json:
    """Call Zoom with this `params` or `data`, and return its JSON. Raises ZoomError.

    Renews an expired token once, and waits out short rate limits. `daily_limit` names the host
    whose changes Zoom counts by the day: once the limit is reached, such calls fail here until
    the time that Zoom named.
    """
    _credentials()
    limit_key = f"daily_limit/{daily_limit}"
    if daily_limit and (reached := _shared_cache("get", limit_key)):
        raise TryLater(reached[0], retry_at=reached[1])
    token, renewed, waits = access_token(), False, 0
    while True:
        _wait_for_slot(label)
        response = _send(getattr(Client(token), f"{method}_request"), path, **payload)
        if response.status_code == 401 and not renewed:
            token, renewed = access_token(expired=token), True
            continue
        try:
            return parse_response(response)
        except TryLater as error:
            wait = _seconds_to_wait(error)
            is_short = wait <= SHORT_WAIT_SECONDS
            if daily_limit and error.retry_at and not is_short:
                _shared_cache("set", limit_key, (str(error), error.retry_at), timeout=wait)
            if error.may_be_done or not is_short or waits == MAX_SHORT_WAITS:
                raise
            waits += 1
            time.sleep(max(wait, 0))


def _seconds_to_wait(error: TryLater) -> float:
    """Until a retry. A rate limit whose end Zoom doesn't say may be one per second."""
    if error.retry_at:
        return (error.retry_at - timezone.now()).total_seconds()
    return 1 if isinstance(error, RateLimited) else math.inf


def _send(
    request: Callable[..., requests.Response], *args: Any, **kwargs: Any
) -> requests.Response:
    """Send a request. Raises TryLater if there is no response."""
    try:
        return request(*args, **kwargs)
    except requests.RequestException as error:
        causes = (error, getattr(error.args[0] if error.args else None, "reason", None))
        never_sent = any(
            isinstance(cause, (requests.ConnectTimeout, NewConnectionError)) for cause in causes
        )
        message = _("Zoom didn't answer.")
        if isinstance(error, requests.Timeout):
            message = _("Zoom didn't answer in time.")
        raise TryLater(message, may_be_done=not never_sent) from error


def parse_response(response: requests.Response) -> Json:
    """The JSON of a successful response, {} if it has no content. Raises ZoomError otherwise."""
    content: Json = {}
    with contextlib.suppress(ValueError, RecursionError):
        content = parsing.mapping(response.json())
    if response.ok and (content or not response.content):
        return content
    message, status = _error_message(content), response.status_code
    code = parsing.integer(content.get("code"), status)
    if status == 429:
        message = message or _("Zoom is getting too many requests from us.")
        raise RateLimited(message, retry_at=_retry_at(response))
    if code == SCOPE_MISSING:
        text = _("The Zoom app is missing a scope: %(message)s") % {"message": message}
        raise ZoomRejected(text, code=code)
    if status == 401:
        raise SettingsError(_credentials_rejected(message or status))
    if response.ok or status >= 500:
        text = _("Zoom is having problems (%(status)s).") % {"status": status}
        raise TryLater(f"{text} {message}".strip(), may_be_done=True)
    error = {MEETING_NOT_FOUND: NotFound, MEETING_FULL: MeetingFull}.get(code, ZoomRejected)
    raise error(message or _("Zoom answered %(status)s.") % {"status": status}, code=code)


def _credentials_rejected(reason: object) -> str:
    return _("Zoom doesn't accept our credentials: %(reason)s") % {"reason": reason}


def _error_message(content: Json) -> str:
    """Zoom's own message: the general one, then one per rejected field."""
    message = parsing.text(content.get("message")) or parsing.text(content.get("reason"))
    details = [parsing.text(error.get("message")) for error in parsing.rows(content.get("errors"))]
    return " ".join([message, *details])[:300].strip()


def _retry_at(response: requests.Response) -> dt.datetime | None:
    """When to retry after a 429: Retry-After, else tomorrow if the limit is said to be daily."""
    header, now = response.headers.get("Retry-After", ""), timezone.now()
    seconds = parsing.integer(header, -1)
    if seconds >= 0:
        return now + min(dt.timedelta(seconds=min(seconds, 10**9)), MAX_RETRY_AFTER)
    if moment := parsing.time(header):
        return min(moment, now + MAX_RETRY_AFTER)
    if response.headers.get("X-RateLimit-Type", "").lower().startswith("daily"):
        return dt.datetime.combine(now.date() + dt.timedelta(days=1), dt.time(), dt.UTC)
    return None


# Shared by all workers: the access token and the rate limit


def access_token(expired: str = "") -> str:
    """The token that all processes share. A new one if there is none, or only the expired one."""
    with _token_lock:
        token: str | None = _shared_cache("get", _token_key())
        return new_token().value if token in (None, expired) else token


def _token_key() -> str:
    credentials = _credentials()
    ids = f"{settings.ZOOM_OAUTH_URL} {credentials.account_id} {credentials.client_id}"
    return f"token/{hashlib.sha256(ids.encode()).hexdigest()}"


def new_token() -> Token:
    """Request a token, which all processes share from then on.

    Raises SettingsError if Zoom rejects the credentials. Docs:
    https://developers.zoom.us/docs/internal-apps/s2s-oauth/
    """
    credentials = _credentials()
    response = _send(
        requests.post,
        settings.ZOOM_OAUTH_URL,
        data={"grant_type": "account_credentials", "account_id": credentials.account_id},
        auth=(credentials.client_id, credentials.client_secret),
        timeout=settings.ZOOM_TIMEOUT,
    )
    try:
        content = parse_response(response)
    except ZoomRejected as error:
        raise SettingsError(_credentials_rejected(error)) from error
    token = content.get("access_token")
    if not isinstance(token, str) or not token:
        raise TryLater(_("Zoom gave us no token."))
    lifetime = parsing.integer(content.get("expires_in"), 0) - TOKEN_MARGIN_SECONDS
    lifetime = min(max(lifetime, TOKEN_MARGIN_SECONDS), MAX_TOKEN_SECONDS - TOKEN_MARGIN_SECONDS)
    _shared_cache("set", _token_key(), token, timeout=lifetime)
    scopes = parsing.text(content.get("scope")).replace(",", " ").split()
    return Token(token, frozenset(scopes))


def _credentials() -> site_settings.ZoomCredentials:
    """Raises SettingsError if one is missing."""
    credentials = site_settings.zoom_credentials()
    if credentials is None or not credentials.is_complete:
        raise SettingsError(_("The site has no Zoom credentials."))
    return credentials


def _wait_for_slot(label: str) -> None:
    """Wait for the next free time slot of this rate limit, across all processes.

    Slots are numbered, and 1/rate seconds apart. The process that first adds a slot's key to the
    shared cache owns it.
    """
    rate = CALLS_PER_SECOND[label][settings.ZOOM_PLAN] * RATE_FACTOR
    with _slot_lock:
        current = math.ceil(time.time() * rate)
        slot = _last_slots.get(label, 0) + 1
        is_plausible = current <= slot <= current + SLOT_LIFETIME_SECONDS * rate
        slot = slot if is_plausible else current
        while not _shared_cache(
            "add", f"slot/{label}/{rate}/{slot}", 1, timeout=SLOT_LIFETIME_SECONDS
        ):
            slot += 1
        _last_slots[label] = slot
    time.sleep(max(0.0, slot / rate - time.time()))


def _shared_cache(method: str, key: str, *args: Any, **kwargs: Any) -> Any:
    """Use the cache that all workers share. Raises TryLater if it is unavailable."""
    try:
        return getattr(caches["shared"], method)(f"zoom/{key}", *args, **kwargs)
    except (OSError, RedisError) as error:
        raise TryLater(_("The workers' shared memory (Redis) is down.")) from error
