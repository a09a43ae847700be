"""What a mail provider reports afterwards: mails that came back, and complaints about spam."""

import logging
from typing import Any

from django.db.models import Q
from django.utils import timezone

from . import unsubscribing
from .models import OutgoingMail, OutgoingMailQuerySet

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
    reached = _mails_of(event).filter(state__in=[State.WAITING, State.SENT, State.BOUNCED])
    words = f"{esp_name}: {event.description or event.reject_reason or event.event_type}"
    mail = reached.select_related("registration").first()
    if mail is None:
        logger.warning("%s reports %s of a mail that is none of ours", esp_name, event.event_type)
        return
    reached.filter(pk=mail.pk).update(
        state=state,
        last_error=words.replace("\0", "\ufffd")[:1000],
        sent_at=mail.sent_at or timezone.now(),
    )
    if state == State.COMPLAINED:
        unsubscribing.unsubscribe(registration=mail.registration)


def _mails_of(event: Any) -> OutgoingMailQuerySet:
    """The mail that an event is about: by our own number, or else by the provider's."""
    number = str((event.metadata or {}).get("mail", ""))
    known = Q(pk=number) if number.isdecimal() and len(number) < 19 else Q()
    if not known and event.message_id:
        known = Q(provider_id=event.message_id)
    return OutgoingMail.objects.filter(known) if known else OutgoingMail.objects.none()
