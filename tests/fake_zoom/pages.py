"""Pages that show the account and its meetings, with buttons for what people do in Zoom."""

import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.http import HttpResponse, HttpResponseRedirect, QueryDict
from django.template import Engine

from tests.fake_zoom import api, serializers
from tests.fake_zoom.errors import ApiError
from tests.fake_zoom.faults import ANY, Fault
from tests.fake_zoom.records import CannotJoin
from tests.fake_zoom.server import Request

if TYPE_CHECKING:
    from tests.fake_zoom.zoom import FakeZoom

HERE = Path(__file__).parent
ENGINE = Engine(dirs=[str(HERE / "templates")], libraries={"tz": "django.templatetags.tz"})
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
ROWS = 20


def page(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Show errors as a page, set security headers, and reject forms from other sites."""

    @functools.wraps(view)
    def wrapper(request: Request, **kwargs: str) -> HttpResponse:
        sender = request.headers.get("Sec-Fetch-Site", "none")
        try:
            if request.method == "POST" and sender not in ("same-origin", "none"):
                raise ValueError("Another site sent this form.")
            response = view(request, **kwargs)
        except CannotJoin as error:
            # Zoom's own page about it has status 200, too.
            response = message("Unable to join", str(error))
        except (ApiError, ValueError) as error:
            response = message("This did not work", str(error), 400)
        for name, value in HEADERS.items():
            response[name] = value
        return response

    return wrapper


def render(template: str, status: int = 200, **context: Any) -> HttpResponse:
    return HttpResponse(ENGINE.render_to_string(template, context), status=status)


def message(title: str, text: str, status: int = 200) -> HttpResponse:
    return render("message.html", status, title=title, text=text)


@page
def account(request: Request) -> HttpResponse:
    """Show the account; on POST, do what a button says."""
    zoom = request.zoom
    if request.method == "POST":
        return _act(zoom, request.POST) or HttpResponseRedirect("/")
    seconds, now = time.perf_counter(), zoom.clock()
    with zoom.lock:
        meetings = sorted(zoom.meetings.values(), key=lambda each: each.start_time)
        calls, webhooks = zoom.calls[: -ROWS - 1 : -1], zoom.sent[: -ROWS - 1 : -1]
        return render(
            "account.html",
            zoom=zoom,
            meetings=[(each, serializers.join_url(zoom.account, each)) for each in meetings],
            faults=list(Fault),
            names=[ANY, *api.NAMES],
            percent=round(zoom.faults.rate * 100),
            calls=[(each.name, each.status, seconds - each.received_at) for each in calls],
            webhooks=[
                (each.event, each.status, (now - each.sent_at).total_seconds()) for each in webhooks
            ],
        )


def _act(zoom: "FakeZoom", form: QueryDict) -> HttpResponse | None:
    match form.get("do"):
        case "start" | "end" | "recording_ready" | "delete_by_hand" as action:
            getattr(zoom, action)(zoom.account.meeting(form.get("meeting", "")).id)
        case "fail":
            times, retry_after = form.get("times"), form.get("retry_after")
            zoom.fail(
                form.get("fault", ""),
                call=form.get("call", ANY),
                times=int(times) if times else None,
                retry_after=float(retry_after) if retry_after else None,
            )
        case "fail_at_random":
            zoom.fail_at_random(float(form.get("percent") or 0) / 100, seed=time.time_ns())
        case "heal":
            zoom.heal()
        case "validate_webhook":
            is_valid = zoom.validate_webhook()
            return message("Webhook URL", "It is valid." if is_valid else "It is not valid.")
    return None


@page
def meeting(request: Request) -> HttpResponse:
    """Show the meeting of a join link; on POST, start, join or leave it. Raises CannotJoin."""
    zoom, link, uuid = request.zoom, request.get_full_path(), request.GET.get("in")
    with zoom.lock:
        meeting, registrant = zoom.admit(link)
        present = meeting.live.present if meeting.live else []
        stay = next((each for each in present if each.uuid == uuid), None)
        if request.method != "POST":
            return render(
                "meeting.html",
                meeting=meeting,
                registrant=registrant,
                stay=stay,
                has_joined=bool(uuid),
            )
    action = request.POST.get("do")
    if action == "start":
        zoom.start(meeting.id)
    elif action == "join":
        name, email = request.POST.get("name") or "Guest", request.POST.get("email", "")
        stay = zoom.join(link, name=name, email=email)
    elif action == "leave" and stay:
        zoom.leave(stay)
    query = request.GET.copy()
    if stay:
        query["in"] = stay.uuid
    return HttpResponseRedirect(f"{request.path}?{query.urlencode()}")


@page
def registration(request: Request) -> HttpResponse:
    return message("Registration", "People register on the site, not here.")


@page
def recording(request: Request, key: str) -> HttpResponse:
    return message(request.zoom.account.meeting(key).topic, "The recording would play here.")


@page
def not_found(request: Request) -> HttpResponse:
    return message("Not found", "There is no such page.", 404)


def stylesheet(request: Request) -> HttpResponse:
    return HttpResponse((HERE / "pages.css").read_bytes(), content_type="text/css")
