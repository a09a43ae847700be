"""Records what an email provider reports later: deliveries, bounces and spam complaints."""

import json
import logging
import re
from typing import Any

from django.utils import timezone

from events.text import parsing
from registrations.mail import unsubscribe
from registrations.models import OutgoingMail
from registrations.outbox import mail_queue
from registrations.outbox.connection import has_no_such_address

logger = logging.getLogger(__name__)

# What providers call a bounce for good, in the different fields of their reports.
HARD = re.compile(
    r'"hard_bounce": true|: "((activity\.)?hard_?bounced?|invalid_email|permanent)"', re.IGNORECASE
)

MAY_HAVE_BEEN_SENT = ("waiting", "sent", "bounced")
# By Anymail's names for them ("normalized tracking events").
STATES = {
    **dict.fromkeys(("bounced", "rejected", "failed"), OutgoingMail.State.BOUNCED),
    "complained": OutgoingMail.State.COMPLAINED,
}


def record(sender: Any, event: Any, esp_name: str, **kwargs: Any) -> None:
    """Record one of Anymail's tracking events. Repeated and unknown ones are harmless.

    Someone who reports spam is unsubscribed from announcements. A delivery clears the bounces of
    the person's earlier emails; see `RegistrationQuerySet.with_last_outcome`.
    """
    state = STATES.get(event.event_type)
    if state is None and event.event_type != "delivered":
        return
    reason = f"{esp_name}: {event.description or event.reject_reason or event.event_type}"
    mail = _mail_of(event)
    if mail is None:
        logger.warning("%s reports %s for an email that isn't ours", esp_name, event.event_type)
        return
    if state is None:
        OutgoingMail.objects.filter(pk=mail.pk).update(delivered_at=timezone.now())
        return
    OutgoingMail.objects.filter(pk=mail.pk, state__in=MAY_HAVE_BEEN_SENT).update(
        state=state,
        is_hard_bounce=state == OutgoingMail.State.BOUNCED and _is_hard(event),
        last_error=parsing.text(reason, 1000),
        sent_at=mail.sent_at or timezone.now(),
    )
    if state == OutgoingMail.State.COMPLAINED and mail.registration:
        unsubscribe.unsubscribe(registration=mail.registration)


def _is_hard(event: Any) -> bool:
    """Whether an address doesn't exist. If a report doesn't say so clearly: no."""
    if event.event_type != "bounced" and event.reject_reason != "invalid":
        return False
    # The mail server's own answer says more.
    is_absent = has_no_such_address(f"{event.mta_response} {event.description}")
    if is_absent is not None:
        return is_absent
    is_named_hard = HARD.search(json.dumps(event.esp_event, default=str))
    return event.reject_reason == "invalid" or bool(is_named_hard)


def _mail_of(event: Any) -> OutgoingMail | None:
    """The email that an event is about, by our Message-ID or by the provider's.

    An email that was sent again has new ones, so old reports no longer match.
    """
    ours = parsing.text(parsing.mapping(event.metadata).get("mail"))
    mails = OutgoingMail.objects.select_related("registration")
    if number := re.match(r"<(\d{1,18})\.", ours):
        mail = mails.filter(pk=number[1]).first()
        return mail if mail and mail_queue.message_id(mail) == ours else None
    theirs = parsing.text(event.message_id)
    return mails.filter(provider_id=theirs).first() if theirs else None
