"""How many emails visitors and people with a link can cause to one mailbox.

The requests are counted, whether or not they send an email: otherwise the limit would reveal who is
registered. What organizers, reminders and changed sessions send isn't counted, and never refused.
"""

import datetime as dt

from django.utils import timezone
from django.utils.crypto import salted_hmac

from registrations.models import MailboxUse, email_key_or_blank

DAY = dt.timedelta(days=1)
# A family can share a mailbox, and someone can change their choices many times in an evening.
LIMITS = [(dt.timedelta(hours=1), 45), (DAY, 90)]


def allow(email: str, *, emails: int = 1) -> bool:
    """Count emails that a request is about to cause. Returns False if it must not cause them.

    That is if the mailbox has reached a limit. Just below it, several `emails` are still allowed.
    """
    now, mailbox = timezone.now(), _hashed_mailbox(email)
    # Counted before looking: of requests at the same time, each sees the others.
    use = MailboxUse.objects.create(mailbox=mailbox, at=now, emails=emails)
    uses = list(MailboxUse.objects.filter(mailbox=mailbox, at__gt=now - DAY))
    is_allowed = all(
        sum(each.emails for each in uses if each.at > now - period and each != use) < most
        for period, most in LIMITS
    )
    if not is_allowed:
        use.delete()
    return is_allowed


def _hashed_mailbox(email: str) -> str:
    """The same for all addresses of a mailbox: what follows a + before the @ doesn't count."""
    local, _at, domain = email_key_or_blank(email).rpartition("@")
    mailbox = f"{local.partition('+')[0]}@{domain}"
    return salted_hmac("mailbox", mailbox, algorithm="sha256").hexdigest()


def forget_old(now: dt.datetime) -> None:
    """Delete what no longer counts."""
    MailboxUse.objects.filter(at__lte=now - DAY).delete()
