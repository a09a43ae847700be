"""manage.py mail_status: whether email is sent, for operators and for monitoring."""

import sys
from collections.abc import Iterable
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from registrations import monitoring
from registrations.formatting import ago_and_when, current_zone, emails, moment


class Command(BaseCommand):
    help = (
        "Show whether email is being sent: what's waiting, what failed and why, and whether the "
        "worker and the scheduler (beat) are running. The exit status is 1 if something needs "
        "attention, and 0 otherwise."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        zone = current_zone(now)
        status = monitoring.mail_status(now)
        self.stdout.write(f"Email status on {moment(now, zone)}")
        self.stdout.write("\n".join(status.complaints or ["All is well."]))
        self.section(
            "Last seen",
            (
                (str(process.label), ago_and_when(at, now, zone))
                for process, at in status.seen.items()
            ),
        )
        self.section(
            "Emails so far", ((label, f"{count:,}") for label, count in status.counts.items())
        )
        self.section(
            "Waiting, and when the oldest was queued",
            (
                (f"{emails(each.count)}: {each.kind}", ago_and_when(each.since, now, zone))
                for each in status.waiting
            ),
        )
        self.section(
            f"What failed in the last {monitoring.FAILED_WITHIN.days} days and why",
            ((emails(count), error or "no reason given") for error, count in status.failures),
        )
        self.section(
            "What went wrong in the last tries of waiting emails",
            ((emails(count), error) for error, count in status.troubles),
        )
        if status.complaints:
            sys.exit(1)

    def section(self, title: str, lines: Iterable[tuple[str, str]]) -> None:
        """Write a title and lines in two columns, or "nothing" if there are none."""
        rows = list(lines)
        width = max((len(left) for left, _right in rows), default=0)
        self.stdout.write(f"\n{title}")
        for left, right in rows or [("nothing", "")]:
            self.stdout.write(f"  {left:<{width}}  {' '.join(right.split())}".rstrip())
