"""How many mails may leave in a minute: MAIL_PER_MINUTE, for all workers together."""

import datetime as dt

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from registrations.models import MailThrottle

MINUTE = dt.timedelta(minutes=1)


def next_slot(*, until: dt.datetime) -> dt.datetime:
    """Take the next free moment to send a mail, and return it.

    Moments are an even share of a minute apart. One that is later than `until` is only told,
    not taken.
    """
    now = timezone.now()
    if not settings.MAIL_PER_MINUTE:
        return now
    with transaction.atomic():
        MailThrottle.objects.get_or_create(pk=1)
        pace = MailThrottle.objects.select_for_update().get(pk=1)
        # What is further ahead than anyone reserves was written by a clock that was wrong.
        free_at = pace.free_at if pace.free_at < now + 2 * MINUTE else now
        moment = max(now, free_at)
        if moment <= until:
            pace.free_at = moment + MINUTE / settings.MAIL_PER_MINUTE
            pace.save(update_fields=["free_at"])
    return moment
