"""What a mail provider reports afterwards: mails that came back, and complaints about spam."""

import logging
import re
from typing import Any

from django.utils import timezone

from registrations.mail import unsubscribe
from registrations.models import OutgoingMail
from registrations.outbox import mail_queue

logger = logging.getLogger(__name__)

State = OutgoingMail.State

# Anymail's names (its "normalized tracking events") for what says that a mail was not read.
ENDS = {
    "bounced": State.BOUNCED,
    "rejected": State.BOUNCED,
    "failed": State.BOUNCED,
    "complained": State.COMPLAINED,
}


def record(sender: Any, event: Any, esp_name: str, **kwargs: Any) -> None:
    """Take one of Anymail's tracking events; the same again, or one of no mail, is harmless.

    Whoever complains gets no more announcements.
    """
    state = ENDS.get(event.event_type)
    if state is None:
        return
    words = f"{esp_name}: {event.description or event.reject_reason or event.event_type}"
    mail = _mail_of(event)
    if mail is None:
        logger.warning("%s reports %s of a mail that is none of ours", esp_name, event.event_type)
        return
    came_through = [State.WAITING, State.SENT, State.BOUNCED]
    OutgoingMail.objects.filter(pk=mail.pk, state__in=came_through).update(
        state=state,
        last_error=words.replace("\0", "\ufffd")[:1000],
        sent_at=mail.sent_at or timezone.now(),
    )
    if state == State.COMPLAINED and mail.registration:
        unsubscribe.unsubscribe(registration=mail.registration)


def _mail_of(event: Any) -> OutgoingMail | None:
    """The mail that an event is about: by the Message-ID that we gave it, or the provider's.

    A mail that was sent again since has another of both: old reports are of the old one.
    """
    ours = str((event.metadata or {}).get("mail", ""))
    number = re.match(r"<(\d{1,18})\.", ours)
    mails = OutgoingMail.objects.select_related("registration")
    if number:
        mail = mails.filter(pk=number[1]).first()
        return mail if mail and mail_queue.message_id(mail) == ours else None
    return mails.filter(provider_id=event.message_id).first() if event.message_id else None
