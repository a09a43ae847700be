"""Emails as files, and pages that show them: used instead of a mail server in development.

The pages exist only under DEBUG.
"""

import email
import email.policy
from collections.abc import Sequence
from email.message import EmailMessage as ParsedMessage
from time import time_ns
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage, EmailMultiAlternatives
from django.core.mail.backends.base import BaseEmailBackend
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path, reverse
from django.utils import timezone

from events import site_settings
from events.models import Event
from registrations.mail import kinds, previews
from registrations.mail_kinds import MailKind


class EmailBackend(BaseEmailBackend):
    """Write each email to its own file in MAIL_DIR. The names sort by time."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        settings.MAIL_DIR.mkdir(parents=True, exist_ok=True)
        for message in email_messages:
            unfinished = settings.MAIL_DIR / f"{time_ns()}.unfinished"
            unfinished.write_bytes(message.message().as_bytes())
            unfinished.rename(unfinished.with_suffix(".eml"))
        return len(email_messages)


def index(request: HttpRequest) -> HttpResponse:
    """All emails, newest first, and the kinds that can be previewed."""
    files = sorted(settings.MAIL_DIR.glob("*.eml"), reverse=True)[:200]
    context = {
        "emails": [(file.stem, _parse(file.read_bytes())) for file in files],
        "kinds": [(kind, kind.label) for kind in kinds.COMPOSERS],
        "previewable": Event.objects.published().exists(),
    }
    return render(request, "mailbox/index.html", context)


def show(request: HttpRequest, name: str) -> HttpResponse:
    parsed = _read(name)
    files = [(file.get_filename(), file.get_content_type()) for file in parsed.iter_attachments()]
    html_url = reverse("mailbox_html", args=[name]) if parsed.get_body(("html",)) else ""
    context = _context(parsed) | {"name": name, "files": files, "html_url": html_url}
    return render(request, "mailbox/email.html", context)


def show_html(request: HttpRequest, name: str) -> HttpResponse:
    if body := _read(name).get_body(("html",)):
        return previews.preview_response(body.get_content())
    raise Http404


def show_file(request: HttpRequest, name: str, number: int) -> HttpResponse:
    files = list(_read(name).iter_attachments())
    if number >= len(files):
        raise Http404
    file = files[number]
    response = HttpResponse(file.get_content(), content_type=file.get_content_type())
    response["Content-Disposition"] = f'attachment; filename="{file.get_filename()}"'
    return response


def preview(request: HttpRequest, kind: str) -> HttpResponse:
    """A kind of email as a made-up attendee of the current event gets it.

    With `?on_waitlist` the attendee is on the waiting list of its first session.
    """
    context = _context(_parse(_sample(request, kind).message().as_bytes())) | {
        "kind": MailKind(kind).label,
        "html_url": f"{reverse('mail_preview_html', args=[kind])}?{request.GET.urlencode()}",
    }
    return render(request, "mailbox/preview.html", context)


def preview_html(request: HttpRequest, kind: str) -> HttpResponse:
    return previews.preview_response(str(_sample(request, kind).alternatives[0][0]))


def _sample(request: HttpRequest, kind: str) -> EmailMultiAlternatives:
    event = Event.objects.current(timezone.now())
    if event is None or kind not in kinds.COMPOSERS:
        raise Http404
    try:
        message = previews.sample(MailKind(kind), event, on_waitlist="on_waitlist" in request.GET)
    except LookupError as error:
        raise Http404(str(error)) from error
    message.from_email = site_settings.sender()
    return message


def _read(name: str) -> ParsedMessage:
    try:
        return _parse((settings.MAIL_DIR / f"{name}.eml").read_bytes())
    except FileNotFoundError as error:
        raise Http404 from error


def _parse(raw: bytes) -> ParsedMessage:
    return email.message_from_bytes(raw, policy=email.policy.default)


def _context(parsed: ParsedMessage) -> dict[str, Any]:
    """What the pages show. A template can't look up a header whose name has a dash."""
    body = parsed.get_body(("plain",))
    text = body.get_content() if body else ""
    return {"email": parsed, "reply_to": parsed["Reply-To"], "text": text}


urlpatterns = [
    path("", index, name="mailbox"),
    path("preview/<slug:kind>/", preview, name="mail_preview"),
    path("preview/<slug:kind>/html/", preview_html, name="mail_preview_html"),
    path("<int:name>/", show, name="mailbox_email"),
    path("<int:name>/html/", show_html, name="mailbox_html"),
    path("<int:name>/<int:number>/", show_file, name="mailbox_file"),
]
