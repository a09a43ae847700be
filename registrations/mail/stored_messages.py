"""Emails to an address without a registration: sign-in codes, and tests of announcements.

Each is stored with its row until it's sent, dropped or expired. A code is worthless once it has
expired, so it's not sent late. No page shows the text.
"""

import datetime as dt
import uuid
from collections.abc import Mapping

from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.db.models import Q

from events.clock import database_time
from events.text.addresses import ascii_address
from events.text.search import search_key
from registrations.mail_kinds import MailKind
from registrations.models import OutgoingMail
from registrations.outbox import mail_queue
from registrations.outbox.prebuilt import AUTOMATIC


@transaction.atomic
def queue(
    *,
    kind: MailKind = MailKind.ACCOUNT,
    recipient: str,
    subject: str,
    text: str,
    html: str = "",
    headers: Mapping[str, str] | None = None,
    valid_for: dt.timedelta,
) -> str:
    """Queue this email to be sent at once, or not at all after this time. Returns its key."""
    message = {
        "recipient": recipient,
        "search_key": search_key(recipient),
        "subject": subject,
        "text": text,
        "html": html,
        "headers": dict(headers or {}),
        "expires": (database_time() + valid_for).timestamp(),
    }
    key = f"{kind}/{uuid.uuid4()}"
    mail_queue.queue([OutgoingMail(key=key, kind=kind, message=message)])
    return key


def write(mail: OutgoingMail) -> EmailMultiAlternatives | None:
    """The stored message; None if it has expired or was erased."""
    now = database_time().timestamp()
    # Read now, because the row may have been claimed a while ago.
    current = OutgoingMail.objects.filter(pk=mail.pk, message__expires__gt=now)
    message = current.values_list("message", flat=True).first()
    if message is None:
        return None
    headers = {**AUTOMATIC, **message["headers"]}
    # Django wants it as an argument, and doesn't send it as a header.
    reply_to = headers.pop("Reply-To", None)
    email = EmailMultiAlternatives(
        subject=message["subject"],
        body=message["text"],
        to=[ascii_address(message["recipient"])],
        reply_to=[reply_to] if reply_to else None,
        headers=headers,
    )
    if message["html"]:
        email.attach_alternative(message["html"], "text/html")
    return email


def clear_finished(now: dt.datetime) -> None:
    """Delete the messages that were sent, dropped or have expired. Their rows stay."""
    OutgoingMail.objects.filter(
        Q(sent_at__isnull=False)
        | Q(state=OutgoingMail.State.DROPPED)
        | Q(message__expires__lte=now.timestamp()),
        message__isnull=False,
    ).update(message=None)
