"""MAIL_PER_MINUTE: how many emails all workers together may send in a minute."""

import datetime as dt

from django.conf import settings
from django.db import transaction

from events.clock import Now
from registrations.models import MailThrottle

MINUTE = dt.timedelta(minutes=1)


def next_slot(*, patience: dt.timedelta) -> dt.timedelta:
    """Reserve the next free time to send an email, and return how far away it is.

    Slots are evenly spaced, by the database's time. One that is further away than `patience` is
    not reserved.
    """
    if not settings.MAIL_PER_MINUTE:
        return dt.timedelta()
    with transaction.atomic():
        MailThrottle.objects.get_or_create(pk=1)
        throttle = MailThrottle.objects.select_for_update().annotate(now=Now()).get(pk=1)
        now = throttle.now
        # No one reserves that far ahead: it was written by a clock that was wrong.
        free_at = throttle.free_at if throttle.free_at < now + 2 * MINUTE else now
        slot = max(now, free_at)
        if slot - now <= patience:
            throttle.free_at = slot + MINUTE / settings.MAIL_PER_MINUTE
            throttle.save(update_fields=["free_at"])
    return slot - now
