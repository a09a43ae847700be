"""Mails of the accounts': written when they are asked for, kept until they have left or are void.

A code that lets someone in is worth nothing once it has expired: it is dropped then, not sent
late. Only here is a letter's text read.
"""

import datetime as dt
import uuid

from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from . import outbox
from .models import Letter, OutgoingMail

Kind = OutgoingMail.Kind


@transaction.atomic
def queue(
    *, recipient: str, subject: str, text: str, html: str = "", void_after: dt.timedelta
) -> None:
    """Owe someone this mail at once; `void_after` so long nobody needs it any more."""
    letter = Letter.objects.create(
        recipient=recipient,
        subject=subject,
        text=text,
        html=html,
        void_at=timezone.now() + void_after,
    )
    key = f"{Kind.ACCOUNT}/{uuid.uuid4()}"
    outbox.queue([OutgoingMail(key=key, kind=Kind.ACCOUNT, letter=letter)])


def write(mail: OutgoingMail) -> EmailMultiAlternatives | None:
    """The letter as it leaves; None when it is void."""
    letter = Letter.objects.filter(mail=mail, void_at__gt=timezone.now()).first()
    if letter is None:
        return None
    message = EmailMultiAlternatives(
        subject=letter.subject,
        body=letter.text,
        to=[letter.recipient],
        headers={"Auto-Submitted": "auto-generated"},
    )
    if letter.html:
        message.attach_alternative(letter.html, "text/html")
    return message


def delete_done(now: dt.datetime) -> None:
    """Delete letters that have left or are void; of their mails the rows stay."""
    left = Q(mail__sent_at__isnull=False)
    Letter.objects.filter(left | Q(void_at__lte=now)).delete()
