"""How many emails visitors and people with a link can cause to one mailbox.

The requests are counted, whether or not they send an email: otherwise the limit would reveal who is
registered. What organizers, reminders and changed sessions send isn't counted, and never refused.
"""

import datetime as dt

from django.db import transaction
from django.utils import timezone
from django.utils.crypto import salted_hmac

from registrations.models import MailboxUse, email_key_or_blank

DAY = dt.timedelta(days=1)
# A family can share a mailbox, and someone can change their choices many times in an evening.
LIMITS = [(dt.timedelta(hours=1), 30), (DAY, 60)]


@transaction.atomic
def allow(email: str, *, emails: int = 1) -> bool:
    """Count emails that a request is about to cause. Returns False if it must not cause them.

    That is if the mailbox has reached a limit. Just below it, several `emails` are still allowed.
    """
    now = timezone.now()
    use = MailboxUse(mailbox=_hashed_mailbox(email), last_at=now)
    # Creates or locks the row with the same statement, so that the time reveals nothing.
    MailboxUse.objects.bulk_create(
        [use], update_conflicts=True, unique_fields=["mailbox"], update_fields=["last_at"]
    )
    use.refresh_from_db(fields=["times"])
    for period, most in LIMITS:
        if len(_since(now - period, use)) >= most:
            return False
    use.times = [*_since(now - DAY, use), *[now.timestamp()] * emails]
    use.save(update_fields=["times"])
    return True


def _since(moment: dt.datetime, use: MailboxUse) -> list[float]:
    return [each for each in use.times if each > moment.timestamp()]


def _hashed_mailbox(email: str) -> str:
    """The same for all addresses of a mailbox: what follows a + before the @ doesn't count."""
    local, _at, domain = email_key_or_blank(email).rpartition("@")
    mailbox = f"{local.partition('+')[0]}@{domain}"
    return salted_hmac("mailbox", mailbox, algorithm="sha256").hexdigest()


def forget_old(now: dt.datetime) -> None:
    """Delete what no longer counts."""
    MailboxUse.objects.filter(last_at__lte=now - DAY).delete()
