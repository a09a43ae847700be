"""Mails of the accounts, and tests: written when asked for, kept until they have left or are void.

A code that lets someone in is worth nothing once it has expired: it is dropped then, not sent
late. Only here is a letter's text read.
"""

import datetime as dt
import uuid
from collections.abc import Mapping

from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from registrations.models import OutgoingMail, StoredMessage
from registrations.outbox import mail_queue

Kind = OutgoingMail.Kind


@transaction.atomic
def queue(
    *,
    kind: Kind = Kind.ACCOUNT,
    recipient: str,
    subject: str,
    text: str,
    html: str = "",
    headers: Mapping[str, str] | None = None,
    void_after: dt.timedelta,
) -> None:
    """Owe someone this mail at once; `void_after` so long nobody needs it any more."""
    letter = StoredMessage.objects.create(
        recipient=recipient,
        subject=subject,
        text=text,
        html=html,
        headers=headers or {},
        void_at=timezone.now() + void_after,
    )
    mail_queue.queue([OutgoingMail(key=f"{kind}/{uuid.uuid4()}", kind=kind, letter=letter)])


def write(mail: OutgoingMail) -> EmailMultiAlternatives | None:
    """The letter as it leaves; None when it is void."""
    letter = StoredMessage.objects.filter(mail=mail, void_at__gt=timezone.now()).first()
    if letter is None:
        return None
    headers = {"Auto-Submitted": "auto-generated"} | letter.headers
    # Django leaves it out of the headers that it is given.
    reply_to = headers.pop("Reply-To", None)
    message = EmailMultiAlternatives(
        subject=letter.subject,
        body=letter.text,
        to=[letter.recipient],
        reply_to=[reply_to] if reply_to else None,
        headers=headers,
    )
    if letter.html:
        message.attach_alternative(letter.html, "text/html")
    return message


def delete_done(now: dt.datetime) -> None:
    """Delete letters that have left or are void; of their mails the rows stay."""
    left = Q(mail__sent_at__isnull=False)
    StoredMessage.objects.filter(left | Q(void_at__lte=now)).delete()
