"""The calls of Zoom's REST API that the site uses."""

import base64
import datetime as dt
import hmac
import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar
from urllib.parse import unquote

from django.http import HttpResponse, JsonResponse
from django.utils.functional import cached_property

from tests.fake_zoom import errors, serializers
from tests.fake_zoom.account import Account
from tests.fake_zoom.faults import Failure, Fault
from tests.fake_zoom.limits import Label
from tests.fake_zoom.serializers import Json
from tests.fake_zoom.server import Request

TOKEN = "token"
MAX_PAGE_SIZE = 300
PAGE_TOKEN_LIFETIME = dt.timedelta(minutes=15)
SCOPE = (
    "meeting:read:meeting:admin meeting:write:meeting:admin meeting:update:meeting:admin "
    "meeting:delete:meeting:admin meeting:read:list_meetings:admin "
    "meeting:read:list_past_instances:admin "
    "meeting:write:registrant:admin meeting:write:batch_registrants:admin "
    "meeting:read:list_registrants:admin meeting:update:registrant_status:admin "
    "report:read:list_meeting_participants:admin user:read:user:admin user:update:settings:admin"
)
WRONG_CLIENT = {"reason": "Invalid client_id or client_secret", "error": "invalid_client"}
ERROR_PAGE = (
    "<html>\r\n<head><title>Error {}</title></head>\r\n<body>Try later</body>\r\n</html>\r\n"
)

Item = TypeVar("Item")


class RecordedCall(NamedTuple):
    """A call that was received. Status 0 means that it got no response."""

    # A time.perf_counter() value: only differences are meaningful.
    received_at: float
    name: str
    status: int


class Call:
    """An API request with a valid token. `key` is the user, meeting or instance in its path."""

    def __init__(self, request: Request, key: str) -> None:
        self.account: Account = request.zoom.account
        self.key = key
        self.query = request.GET
        self._body = request.body

    @cached_property
    def body(self) -> Json:
        """The JSON object that was sent. Raises ApiError."""
        try:
            body = json.loads(self._body or "{}")
        except ValueError as error:
            raise errors.not_json() from error
        if not isinstance(body, dict):
            raise errors.not_json()
        return body


class Operation(NamedTuple):
    """A documented call: `do` returns a status and JSON or None, or raises ApiError."""

    name: str
    label: Label
    do: Callable[[Call], tuple[int, Json | None]]


# The names of all calls, for fault injection.
NAMES = [TOKEN]


def operation(label: Label) -> Callable[[Callable[[Call], tuple[int, Any]]], Operation]:
    """Make a function an operation with this rate limit label."""

    def make(do: Callable[[Call], tuple[int, Any]]) -> Operation:
        NAMES.append(do.__name__)
        return Operation(do.__name__, label, do)

    return make


# Users and meetings


@operation(Label.LIGHT)
def get_user(call: Call) -> tuple[int, Json]:
    return 200, serializers.user(call.account.user(call.key))


@operation(Label.MEDIUM)
def update_user_settings(call: Call) -> tuple[int, None]:
    call.account.update_user_settings(call.account.user(call.key), call.body)
    return 204, None


@operation(Label.MEDIUM)
def create_meeting(call: Call) -> tuple[int, Json]:
    meeting = call.account.create_meeting(call.account.user(call.key), call.body)
    return 201, serializers.meeting(call.account, meeting)


@operation(Label.MEDIUM)
def list_meetings(call: Call) -> tuple[int, Json]:
    account = call.account
    kind = call.query.get("type", "scheduled")
    page, paging = _page(call, account.list_meetings(account.user(call.key), kind))
    return 200, {**paging, "meetings": [serializers.listed_meeting(account, each) for each in page]}


@operation(Label.LIGHT)
def get_meeting(call: Call) -> tuple[int, Json]:
    return 200, serializers.meeting(call.account, call.account.meeting(call.key))


@operation(Label.LIGHT)
def update_meeting(call: Call) -> tuple[int, None]:
    call.account.update_meeting(call.account.meeting(call.key), call.body)
    return 204, None


@operation(Label.LIGHT)
def delete_meeting(call: Call) -> tuple[int, None]:
    call.account.delete_meeting(call.account.meeting(call.key))
    return 204, None


# Registrants


@operation(Label.LIGHT)
def add_registrant(call: Call) -> tuple[int, Json]:
    meeting = call.account.meeting(call.key)
    registrant = call.account.add_registrant(meeting, call.body)
    return 201, serializers.added_registrant(call.account, meeting, registrant)


@operation(Label.HEAVY)
def add_registrants(call: Call) -> tuple[int, Json]:
    account, meeting = call.account, call.account.meeting(call.key)
    added = account.add_registrants(meeting, call.body)
    return 201, {
        "registrants": [serializers.batch_registrant(account, meeting, each) for each in added]
    }


@operation(Label.MEDIUM)
def list_registrants(call: Call) -> tuple[int, Json]:
    account, meeting = call.account, call.account.meeting(call.key)
    status = call.query.get("status", "approved")
    page, paging = _page(call, account.list_registrants(meeting, status))
    rows = [serializers.listed_registrant(account, meeting, each) for each in page]
    return 200, {**paging, "registrants": rows}


@operation(Label.MEDIUM)
def update_registrants(call: Call) -> tuple[int, None]:
    call.account.update_registrants(call.account.meeting(call.key), call.body)
    return 204, None


# Attendance


@operation(Label.MEDIUM)
def past_instances(call: Call) -> tuple[int, Json]:
    meeting = call.account.meeting(call.key)
    ended = [each for each in meeting.instances if each.end_time]
    return 200, {"meetings": [serializers.past_instance(each) for each in ended]}


@operation(Label.HEAVY)
def report_participants(call: Call) -> tuple[int, Json]:
    if call.account.plan == "free":
        raise errors.paid_only(call.account.id)
    _, instance = call.account.ended_instance(call.key)
    page, paging = _page(call, instance.participants)
    rows = [serializers.past_participant(each) for each in page]
    if call.query.get("include_fields") != "registrant_id":
        for row in rows:
            del row["registrant_id"]
    return 200, {**paging, "participants": rows}


# Pages of a list


def _page(call: Call, items: Sequence[Item]) -> tuple[Sequence[Item], Json]:
    """Return the requested page of a list, and the fields that describe the paging."""
    page_size = call.query.get("page_size", "30")
    if not page_size.isdecimal() or not 0 < int(page_size) <= MAX_PAGE_SIZE:
        raise errors.invalid("page_size")
    size, now, start = int(page_size), call.account.clock(), 0
    if token := call.query.get("next_page_token"):
        start, issued_at = _read_page_token(token)
        if now - issued_at > PAGE_TOKEN_LIFETIME:
            raise errors.invalid_page()
    end = start + size
    return items[start:end], {
        "page_count": -(-len(items) // size),
        "page_size": size,
        "total_records": len(items),
        "next_page_token": _page_token(end, now) if end < len(items) else "",
    }


def _page_token(start: int, now: dt.datetime) -> str:
    return base64.urlsafe_b64encode(f"{start} {now.timestamp()}".encode()).decode()


def _read_page_token(token: str) -> tuple[int, dt.datetime]:
    try:
        start, issued_at = base64.urlsafe_b64decode(token).decode().split()
        return int(start), dt.datetime.fromtimestamp(float(issued_at), dt.UTC)
    except ValueError as error:
        raise errors.invalid_page() from error


# Views


def endpoint(**operations: Operation) -> Callable[..., HttpResponse]:
    """Make a view that runs an operation by HTTP method."""

    def view(request: Request, key: str = "") -> HttpResponse:
        found = operations.get(request.method or "")
        # The path has been decoded once, as by Zoom's gateway. So a uuid with / at the start
        # or with // must be encoded twice.
        if key.startswith("/") or "//" in key:
            found = None
        name = found.name if found else "unknown"
        return _respond(request, name, lambda: _run(request, found, unquote(key)))

    return view


def token(request: Request) -> HttpResponse:
    """Issue an access token.

    Source: https://developers.zoom.us/docs/internal-apps/s2s-oauth/.
    """
    return _respond(request, TOKEN, lambda: _new_token(request))


def _respond(request: Request, name: str, work: Callable[[], HttpResponse]) -> HttpResponse:
    """Do the work and record the call, or fail as ordered."""
    received_at = time.perf_counter()
    failure = request.zoom.faults.draw(name)
    response = None
    match failure.fault if failure else None:
        case None | Fault.LOST_ANSWER:
            response = work()
        case Fault.TIMEOUT | Fault.CUT:
            pass
        case _:
            response = _fail(request, name, failure)
    if response and not (failure and failure.fault == Fault.LOST_ANSWER):
        request.zoom.calls.append(RecordedCall(received_at, name, response.status_code))
        return response
    request.zoom.calls.append(RecordedCall(received_at, name, 0))
    if failure.fault == Fault.TIMEOUT:
        request.hang(failure.hang_seconds)
    request.cut()


def _run(request: Request, found: Operation | None, key: str) -> HttpResponse:
    zoom, headers = request.zoom, {}
    try:
        with zoom.lock:
            zoom.account.check_token(_bearer_token(request))
            if found is None:
                raise errors.unknown_call()
            headers = zoom.account.rate.count(found.label)
            status, data = found.do(Call(request, key))
            if request.method != "GET":
                zoom.on_change()
    except errors.ApiError as error:
        return _json(error.status, error.body, headers | error.headers)
    if data is None:
        return HttpResponse(status=status, headers=headers)
    return _json(status, data, headers)


def _new_token(request: Request) -> HttpResponse:
    account = request.zoom.account
    expected = base64.b64encode(":".join(account.client).encode())
    given = request.headers.get("Authorization", "")
    # Zoom accepts the fields in the query, too.
    form = {**request.GET.dict(), **request.POST.dict()}
    if request.method != "POST":
        return _json(405, {"reason": "Method Not Allowed", "error": "invalid_request"})
    if not hmac.compare_digest(given.encode(), b"Basic " + expected):
        return _json(401, WRONG_CLIENT)
    if form.get("grant_type") != "account_credentials":
        return _json(400, {"reason": "unsupported grant type", "error": "unsupported_grant_type"})
    if form.get("account_id") != account.id:
        return _json(400, {"reason": "Bad Request", "error": "invalid_request"})
    with request.zoom.lock:
        access_token = account.new_token()
    return _json(
        200,
        {
            "access_token": access_token,
            "token_type": "bearer",
            "expires_in": 3599,
            "scope": SCOPE,
            "api_url": request.zoom.api_url.removesuffix("/v2"),
        },
    )


def _fail(request: Request, name: str, failure: Failure) -> HttpResponse:
    """Return an error without doing any work."""
    status = failure.fault.status
    if failure.fault == Fault.UNAUTHORIZED and name == TOKEN:
        return _json(401, WRONG_CLIENT)
    if failure.fault == Fault.UNAUTHORIZED:
        with request.zoom.lock:
            request.zoom.account.revoke(_bearer_token(request))
        return _json(401, errors.invalid_token().body)
    if failure.fault == Fault.TOO_MANY:
        headers = {"X-RateLimit-Type": "QPS", "X-RateLimit-Remaining": "0"}
        if failure.retry_after is not None:
            retry_at = request.zoom.clock() + dt.timedelta(seconds=failure.retry_after)
            headers["Retry-After"] = serializers.timestamp(retry_at)
        return _json(429, errors.too_many().body, headers)
    if failure.fault.value.endswith("html"):
        return HttpResponse(ERROR_PAGE.format(status), status=status, content_type="text/html")
    return _json(status, {"code": status, "message": "Internal error. Try again later."})


def _json(status: int, data: Json, headers: Mapping[str, str] | None = None) -> HttpResponse:
    return JsonResponse(data, status=status, headers=headers)


def _bearer_token(request: Request) -> str:
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    return token if kind == "Bearer" else ""
