"""MAIL_PER_MINUTE: how many emails all workers together may send in a minute."""

import datetime as dt

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from registrations.models import MailThrottle

MINUTE = dt.timedelta(minutes=1)


def next_slot(*, until: dt.datetime) -> dt.datetime:
    """Reserve the next free time to send an email, and return it.

    Slots are evenly spaced. A slot later than `until` is returned but not reserved.
    """
    now = timezone.now()
    if not settings.MAIL_PER_MINUTE:
        return now
    with transaction.atomic():
        MailThrottle.objects.get_or_create(pk=1)
        throttle = MailThrottle.objects.select_for_update().get(pk=1)
        # No one reserves that far ahead: it was written by a clock that was wrong.
        free_at = throttle.free_at if throttle.free_at < now + 2 * MINUTE else now
        slot = max(now, free_at)
        if slot <= until:
            throttle.free_at = slot + MINUTE / settings.MAIL_PER_MINUTE
            throttle.save(update_fields=["free_at"])
    return slot
