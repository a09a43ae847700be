"""The calls of Zoom's API that the stand-in knows, by name: what is asked, what is answered."""

import base64
import datetime as dt
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar
from urllib.parse import unquote

from . import errors, shapes
from .account import Account
from .limits import Label
from .shapes import Json

LARGEST_PAGE = 300
PAGE_TOKEN_LIFE = dt.timedelta(minutes=15)

Item = TypeVar("Item")


class Request(NamedTuple):
    account: Account
    # What the path names: a user, a meeting or an instance.
    key: str
    query: dict[str, str]
    body: Json


class Call(NamedTuple):
    """One of the documented calls. Its work raises errors.Refused."""

    name: str
    method: str
    path: re.Pattern[str]
    label: Label
    do: Callable[[Request], tuple[int, Json | None]]


def find(method: str, path: str) -> tuple[Call, str] | None:
    """The call at a path as it was sent, still encoded, and what the path names.

    The path is decoded once and then taken apart, as gateways do. That is why a uuid which
    begins with / or holds // must be encoded twice.
    """
    decoded = unquote(path)
    for call in CALLS:
        if call.method == method and (match := call.path.fullmatch(decoded)):
            key = match[1]
            if key.startswith("/") or "//" in key:
                return None
            return call, unquote(key)
    return None


def get_user(request: Request) -> tuple[int, Json]:
    return 200, shapes.user(request.account.user(request.key))


def update_user_settings(request: Request) -> tuple[int, None]:
    request.account.update_user_settings(request.account.user(request.key), request.body)
    return 204, None


def create_meeting(request: Request) -> tuple[int, Json]:
    account = request.account
    meeting = account.create_meeting(account.user(request.key), request.body)
    return 201, shapes.meeting(account, meeting)


def list_meetings(request: Request) -> tuple[int, Json]:
    account = request.account
    kind = request.query.get("type", "scheduled")
    meetings = account.list_meetings(account.user(request.key), kind)
    page, about = _page(request, meetings)
    return 200, {**about, "meetings": [shapes.listed_meeting(account, each) for each in page]}


def get_meeting(request: Request) -> tuple[int, Json]:
    account = request.account
    return 200, shapes.meeting(account, account.meeting(request.key))


def update_meeting(request: Request) -> tuple[int, None]:
    request.account.update_meeting(request.account.meeting(request.key), request.body)
    return 204, None


def delete_meeting(request: Request) -> tuple[int, None]:
    request.account.delete_meeting(request.account.meeting(request.key))
    return 204, None


def add_registrant(request: Request) -> tuple[int, Json]:
    account = request.account
    meeting = account.meeting(request.key)
    registrant = account.add_registrant(meeting, request.body)
    return 201, shapes.added_registrant(account, meeting, registrant)


def add_registrants(request: Request) -> tuple[int, Json]:
    account = request.account
    meeting = account.meeting(request.key)
    added = account.add_registrants(meeting, request.body)
    return 201, {"registrants": [shapes.batch_registrant(account, meeting, each) for each in added]}


def list_registrants(request: Request) -> tuple[int, Json]:
    account = request.account
    meeting = account.meeting(request.key)
    status = request.query.get("status", "approved")
    page, about = _page(request, account.list_registrants(meeting, status))
    shown = [shapes.listed_registrant(account, meeting, each) for each in page]
    return 200, {**about, "registrants": shown}


def update_registrants(request: Request) -> tuple[int, None]:
    request.account.update_registrants(request.account.meeting(request.key), request.body)
    return 204, None


def past_participants(request: Request) -> tuple[int, Json]:
    """Of someone who was alone in a meeting it tells nothing, as documented."""
    account = request.account
    if account.plan == "free":
        raise errors.unpaid(account.id)
    _, instance = account.ended_instance(request.key)
    people = instance.participants if len(instance.participants) > 1 else []
    page, about = _page(request, people)
    return 200, {**about, "participants": [shapes.past_participant(each) for each in page]}


def report_participants(request: Request) -> tuple[int, Json]:
    account = request.account
    if account.plan == "free":
        raise errors.unpaid(account.id)
    _, instance = account.ended_instance(request.key)
    page, about = _page(request, instance.participants)
    shown = [shapes.past_participant(each) for each in page]
    if request.query.get("include_fields") != "registrant_id":
        for each in shown:
            del each["registrant_id"]
    return 200, {**about, "participants": shown}


def _page(request: Request, items: Sequence[Item]) -> tuple[Sequence[Item], Json]:
    """The page that is asked for, and what every list says about its pages."""
    written = request.query.get("page_size", "30")
    if not written.isdecimal() or not 0 < int(written) <= LARGEST_PAGE:
        raise errors.invalid("page_size")
    size, now = int(written), request.account.clock()
    start = 0
    if token := request.query.get("next_page_token"):
        start, issued = _read_page_token(token)
        if now - issued > PAGE_TOKEN_LIFE:
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
        start, issued = base64.urlsafe_b64decode(token).decode().split()
        return int(start), dt.datetime.fromtimestamp(float(issued), dt.UTC)
    except ValueError as error:
        raise errors.invalid_page() from error


def _call(label: Label, method: str, path: str, do: Callable[[Request], tuple[int, Any]]) -> Call:
    pattern = re.compile(f"/v2{path}")
    return Call(do.__name__, method, pattern, label, do)


CALLS = (
    _call(Label.LIGHT, "GET", "/users/([^/]+)", get_user),
    _call(Label.MEDIUM, "PATCH", "/users/([^/]+)/settings", update_user_settings),
    _call(Label.MEDIUM, "POST", "/users/([^/]+)/meetings", create_meeting),
    _call(Label.MEDIUM, "GET", "/users/([^/]+)/meetings", list_meetings),
    _call(Label.LIGHT, "GET", "/meetings/([^/]+)", get_meeting),
    _call(Label.LIGHT, "PATCH", "/meetings/([^/]+)", update_meeting),
    _call(Label.LIGHT, "DELETE", "/meetings/([^/]+)", delete_meeting),
    _call(Label.LIGHT, "POST", "/meetings/([^/]+)/registrants", add_registrant),
    _call(Label.HEAVY, "POST", "/meetings/([^/]+)/batch_registrants", add_registrants),
    _call(Label.MEDIUM, "GET", "/meetings/([^/]+)/registrants", list_registrants),
    _call(Label.MEDIUM, "PUT", "/meetings/([^/]+)/registrants/status", update_registrants),
    _call(Label.MEDIUM, "GET", "/past_meetings/(.+)/participants", past_participants),
    _call(Label.HEAVY, "GET", "/report/meetings/(.+)/participants", report_participants),
)
TOKEN = "token"  # noqa: S105  # The name of a call.
NAMES = (TOKEN, *(call.name for call in CALLS))
