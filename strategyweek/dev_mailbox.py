"""Mails as files, and pages that show them: the embedded default's stand-in for a mail server.

The pages exist under DEBUG only.
"""

import email
import email.policy
from collections.abc import Sequence
from email.message import EmailMessage as ParsedMessage
from pathlib import Path
from time import time_ns
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage, EmailMultiAlternatives
from django.core.mail.backends.base import BaseEmailBackend
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path, reverse
from django.utils import timezone

from events.models import Event
from registrations.mail import kinds, previews
from registrations.mail.previews import preview_response
from registrations.models import OutgoingMail


class EmailBackend(BaseEmailBackend):
    """Write each mail whole to a file of its own in MAIL_DIR; its name sorts by time."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        settings.MAIL_DIR.mkdir(parents=True, exist_ok=True)
        for message in email_messages:
            unfinished = settings.MAIL_DIR / f"{time_ns()}.unfinished"
            unfinished.write_bytes(message.message().as_bytes())
            unfinished.rename(unfinished.with_suffix(".eml"))
        return len(email_messages)


def index(request: HttpRequest) -> HttpResponse:
    """Every mail that was written, the newest first."""
    files = sorted(settings.MAIL_DIR.glob("*.eml"), reverse=True)[:200]
    letters = [(file.stem, _parsed(file)) for file in files]
    context = {
        "letters": letters,
        "kinds": [(kind, kind.label) for kind in kinds.COMPOSERS],
        "previewable": Event.objects.published().exists(),
    }
    return render(request, "mailbox/index.html", context)


def letter(request: HttpRequest, name: str) -> HttpResponse:
    parsed = _parsed(_file(name))
    files = [(file.get_filename(), file.get_content_type()) for file in _files(parsed)]
    html_url = reverse("letter_html", args=[name]) if parsed.get_body(("html",)) else ""
    context = _shown(parsed) | {"name": name, "files": files, "html_url": html_url}
    return render(request, "mailbox/letter.html", context)


def letter_html(request: HttpRequest, name: str) -> HttpResponse:
    body = _parsed(_file(name)).get_body(("html",))
    if body is None:
        raise Http404
    return preview_response(body.get_content())


def letter_file(request: HttpRequest, name: str, number: int) -> HttpResponse:
    files = _files(_parsed(_file(name)))
    if number >= len(files):
        raise Http404
    content = files[number].get_content()
    response = HttpResponse(content, content_type=files[number].get_content_type())
    response["Content-Disposition"] = f'attachment; filename="{files[number].get_filename()}"'
    return response


def preview(request: HttpRequest, kind: str) -> HttpResponse:
    """A kind of mail as a made-up attendee of the current event gets it.

    With `?on_waitlist` the attendee waits for a place in its first session.
    """
    context = _shown(_parse(_sample(request, kind).message().as_bytes())) | {
        "kind": OutgoingMail.Kind(kind).label,
        "html_url": f"{reverse('mail_preview_html', args=[kind])}?{request.GET.urlencode()}",
    }
    return render(request, "mailbox/preview.html", context)


def preview_html(request: HttpRequest, kind: str) -> HttpResponse:
    return preview_response(str(_sample(request, kind).alternatives[0][0]))


def _sample(request: HttpRequest, kind: str) -> EmailMultiAlternatives:
    event = Event.objects.current(timezone.now())
    if event is None or kind not in kinds.COMPOSERS:
        raise Http404
    try:
        return previews.sample(
            OutgoingMail.Kind(kind), event, on_waitlist="on_waitlist" in request.GET
        )
    except LookupError as error:
        raise Http404(str(error)) from error


def _file(name: str) -> Path:
    file = settings.MAIL_DIR / f"{name}.eml"
    if not file.is_file():
        raise Http404
    return file


def _parsed(file: Path) -> ParsedMessage:
    return _parse(file.read_bytes())


def _parse(raw: bytes) -> ParsedMessage:
    return email.message_from_bytes(raw, policy=email.policy.default)


def _shown(parsed: ParsedMessage) -> dict[str, Any]:
    """What pages show of any mail. A template cannot look up a header whose name has a dash."""
    return {"letter": parsed, "reply_to": parsed["Reply-To"], "text": _text(parsed)}


def _text(parsed: ParsedMessage) -> str:
    body = parsed.get_body(("plain",))
    return body.get_content() if body else ""


def _files(parsed: ParsedMessage) -> list[ParsedMessage]:
    return list(parsed.iter_attachments())


urlpatterns = [
    path("", index, name="mailbox"),
    path("preview/<slug:kind>/", preview, name="mail_preview"),
    path("preview/<slug:kind>/html/", preview_html, name="mail_preview_html"),
    path("<int:name>/", letter, name="letter"),
    path("<int:name>/html/", letter_html, name="letter_html"),
    path("<int:name>/<int:number>/", letter_file, name="letter_file"),
]
