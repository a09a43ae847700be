"""Zoom's webhooks: checked, kept as a ZoomReport, and answered at once. Workers do the rest.

Nothing is believed, parsed or looked up before the signature is known to be Zoom's.
Source: https://developers.zoom.us/docs/api/webhooks/.
"""

import functools
import hashlib
import hmac
import json
import logging
import math
import re
import time
from typing import Any

from django.conf import settings
from django.db import transaction
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseNotAllowed,
    JsonResponse,
    UnreadablePostError,
)
from django.views.decorators.csrf import csrf_exempt

from events import background
from events.models import ZoomReport
from registrations.zoom import reports

logger = logging.getLogger(__name__)

URL_VALIDATION = "endpoint.url_validation"
# The largest that Zoom sends have a few thousand bytes.
MAX_BODY_BYTES = 64 * 1024
# How old a signature may be, or how far ahead Zoom's clock, in seconds.
MAX_AGE_SECONDS = 5 * 60
# Seconds in which reports are gathered, to be worked on together.
GATHER_SECONDS = 1
APPLY_TASK = "registrations.tasks.apply_zoom_reports"


class Rejected(Exception):
    """A webhook that is not taken; the words are for the log."""

    def __init__(self, words: str, *, status: int) -> None:
        super().__init__(words)
        self.status = status


@csrf_exempt
def zoom_webhook(request: HttpRequest) -> HttpResponse:
    secret = settings.ZOOM_WEBHOOK_SECRET
    if not secret:
        raise Http404
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    try:
        body = _body(request)
        _verify(request, body, secret)
        kind, payload = _read(body)
        if kind == URL_VALIDATION:
            return JsonResponse(_validation(payload, secret))
    except Rejected as refused:
        logger.warning("A webhook in Zoom's name was refused: %s", refused)
        return HttpResponse(status=refused.status)
    if kind in reports.KINDS:
        _store(kind, payload, key=hashlib.sha256(body).hexdigest())
    return HttpResponse(status=204)


def _body(request: HttpRequest) -> bytes:
    """The raw body, of which no more is read than may be."""
    try:
        body = request.read(MAX_BODY_BYTES + 1)
    except UnreadablePostError as error:
        raise Rejected("it broke off", status=400) from error
    if len(body) > MAX_BODY_BYTES:
        raise Rejected("it is too large", status=413)
    return body


def _verify(request: HttpRequest, body: bytes, secret: str) -> None:
    """Raise Refused unless Zoom signed this body within the last minutes."""
    timestamp = request.headers.get("x-zm-request-timestamp", "")
    if not re.fullmatch(r"[0-9]{1,12}", timestamp):
        raise Rejected("it has no moment", status=403)
    if abs(time.time() - int(timestamp)) > MAX_AGE_SECONDS:
        raise Rejected("it is not of the last minutes", status=403)
    given = request.headers.get("x-zm-signature", "")
    signature = f"v0={_hmac(secret, f'v0:{timestamp}:'.encode() + body)}"
    if not hmac.compare_digest(given.encode(), signature.encode()):
        raise Rejected("its signature is not Zoom's", status=403)


def _hmac(secret: str, message: bytes) -> str:
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()


def _read(body: bytes) -> tuple[str, dict[str, Any]]:
    """What happened, and Zoom's words on it. Raises Refused."""
    try:
        message = storable(json.loads(body))
    except (ValueError, RecursionError) as error:
        raise Rejected("it is no JSON", status=400) from error
    kind, payload = (
        (message.get("event"), message.get("payload")) if isinstance(message, dict) else ("", "")
    )
    if not isinstance(kind, str) or not isinstance(payload, dict):
        raise Rejected("it names no event, or says nothing of it", status=400)
    return kind, payload


def storable(value: Any) -> Any:
    """Parsed JSON, but for what PostgreSQL keeps in none: NUL, half a character, no number."""
    match value:
        case str():
            return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
        case dict():
            return {storable(name): storable(each) for name, each in value.items()}
        case list():
            return [storable(each) for each in value]
        case float() if not math.isfinite(value):
            return None
    return value


def _validation(payload: dict[str, Any], secret: str) -> dict[str, str]:
    """Proof for Zoom that this address knows the secret."""
    plain = payload.get("plainToken")
    if not isinstance(plain, str) or not plain:
        raise Rejected("it asks for a proof without a token", status=400)
    return {"plainToken": plain, "encryptedToken": _hmac(secret, plain.encode())}


def _store(kind: str, payload: dict[str, Any], key: str) -> None:
    """Keep a report for a worker. The same body again, which is the same report, is not kept."""
    report = ZoomReport(key=key, kind=kind, zoom_id=_zoom_id(payload), payload=payload)
    ZoomReport.objects.bulk_create([report], ignore_conflicts=True)
    transaction.on_commit(
        functools.partial(background.wake_workers, APPLY_TASK, delay_seconds=GATHER_SECONDS)
    )


def _zoom_id(payload: dict[str, Any]) -> int | None:
    """The meeting's number, which Zoom writes as a number or as digits."""
    about = payload.get("object")
    written = str(about.get("id")) if isinstance(about, dict) else ""
    return int(written) if re.fullmatch(r"[0-9]{1,18}", written) else None
