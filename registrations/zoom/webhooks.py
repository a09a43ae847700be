"""Zoom's webhooks: verified, saved as a ZoomReport, and answered at once. Workers do the rest.

Nothing is parsed or looked up before the signature is verified.
Source: https://developers.zoom.us/docs/api/webhooks/.
"""

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
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse
from django.http.request import UnreadablePostError
from django.views.decorators.csrf import csrf_exempt

from events import background
from events.models import ZoomReport
from events.text import parsing
from registrations.zoom import reports

logger = logging.getLogger(__name__)

# Zoom's largest webhooks have a few thousand bytes.
MAX_BODY_BYTES = 64 * 1024
# How far a signature's timestamp may be from our clock, either way.
MAX_AGE_SECONDS = 5 * 60
APPLY_TASK = "registrations.tasks.apply_zoom_reports"


class InvalidWebhook(Exception):
    """A webhook isn't accepted. `reason` is for the log, `status` for the answer."""

    def __init__(self, reason: str, *, status: int) -> None:
        super().__init__(reason)
        self.status = status


@csrf_exempt
def zoom_webhook(request: HttpRequest) -> HttpResponse:
    secret = settings.ZOOM_WEBHOOK_SECRET
    if not secret:
        raise Http404
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    try:
        body = _read_body(request)
        _verify_signature(request, body, secret)
        kind, payload = _parse(body)
        if kind == "endpoint.url_validation":
            return JsonResponse(_validation_answer(payload, secret))
    except InvalidWebhook as error:
        logger.warning("Rejected a Zoom webhook: %s", error)
        return HttpResponse(status=error.status)
    if kind in reports.KINDS:
        _save(kind, payload, key=hashlib.sha256(body).hexdigest())
    return HttpResponse(status=204)


def _read_body(request: HttpRequest) -> bytes:
    """The raw body. Reads at most one byte more than is allowed."""
    try:
        body = request.read(MAX_BODY_BYTES + 1)
    except UnreadablePostError as error:
        raise InvalidWebhook("the connection broke off", status=400) from error
    if len(body) > MAX_BODY_BYTES:
        raise InvalidWebhook("the body is too large", status=413)
    return body


def _verify_signature(request: HttpRequest, body: bytes, secret: str) -> None:
    """Raise InvalidWebhook unless Zoom signed this body within the last minutes."""
    timestamp = request.headers.get("x-zm-request-timestamp", "")
    if not re.fullmatch(r"[0-9]{1,12}", timestamp):
        raise InvalidWebhook("no valid timestamp", status=403)
    if abs(time.time() - int(timestamp)) > MAX_AGE_SECONDS:
        raise InvalidWebhook("the timestamp is too far from now", status=403)
    signature = request.headers.get("x-zm-signature", "")
    expected = f"v0={_hmac(secret, f'v0:{timestamp}:'.encode() + body)}"
    if not hmac.compare_digest(signature.encode(), expected.encode()):
        raise InvalidWebhook("wrong signature", status=403)


def _hmac(secret: str, message: bytes) -> str:
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()


def _parse(body: bytes) -> tuple[str, dict[str, Any]]:
    """The kind of report and its payload. Raises InvalidWebhook."""
    try:
        match storable(json.loads(body)):
            case {"event": str(kind), "payload": dict(payload)}:
                return kind, payload
    except (ValueError, RecursionError) as error:
        raise InvalidWebhook("not JSON", status=400) from error
    raise InvalidWebhook("no event or no payload", status=400)


def storable(value: Any) -> Any:
    """Parsed JSON without what PostgreSQL can't store: NUL, lone surrogates, NaN and infinity."""
    match value:
        case str():
            return parsing.text(value)
        case dict():
            return {storable(name): storable(item) for name, item in value.items()}
        case list():
            return [storable(item) for item in value]
        case float() if not math.isfinite(value):
            return None
    return value


def _validation_answer(payload: dict[str, Any], secret: str) -> dict[str, str]:
    """Proves to Zoom that this URL knows the secret."""
    token = payload.get("plainToken")
    if not isinstance(token, str) or not token:
        raise InvalidWebhook("a validation without a token", status=400)
    return {"plainToken": token, "encryptedToken": _hmac(secret, token.encode())}


def _save(kind: str, payload: dict[str, Any], key: str) -> None:
    """Save a report for a worker, unless the same body was saved before."""
    number = parsing.integer(parsing.mapping(payload.get("object")).get("id"), 0)
    report = ZoomReport(key=key, kind=kind, zoom_id=number or None, payload=payload)
    ZoomReport.objects.bulk_create([report], ignore_conflicts=True)
    # A second later, so that reports are applied together.
    transaction.on_commit(lambda: background.wake_workers(APPLY_TASK, delay_seconds=1))
