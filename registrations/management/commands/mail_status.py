"""manage.py mail_status: whether mail flows, for an operator at 3 am and for a monitor."""

import sys
from collections.abc import Iterable
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from registrations import monitoring
from registrations.formatting import ago_and_when, current_zone, mails, moment


class Command(BaseCommand):
    help = (
        "Tell whether mail flows: what waits, what failed and why, and whether worker and beat "
        "are alive. The exit status is 1 when something needs looking at, and 0 otherwise."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        zone = current_zone(now)
        found = monitoring.mail_status(now)
        self.stdout.write(f"Mail on {moment(now, zone)}")
        self.stdout.write("\n".join(found.complaints or ["All is well."]))
        self.part(
            "Who is alive, by their last sign",
            ((part.label, ago_and_when(when, now, zone)) for part, when in found.seen.items()),
        )
        self.part("Mails so far", ((label, f"{count:,}") for label, count in found.counts.items()))
        self.part(
            "What waits, and the oldest since when",
            (
                (f"{mails(each.count)}: {each.kind}", ago_and_when(each.since, now, zone))
                for each in found.waiting
            ),
        )
        self.part(
            f"What failed in the last {monitoring.FAILED_WITHIN.days} days, and why",
            ((mails(count), words or "no reason was given") for words, count in found.failures),
        )
        self.part(
            "What the last tries came to, of mails that wait",
            ((mails(count), words) for words, count in found.troubles),
        )
        if found.complaints:
            sys.exit(1)

    def part(self, title: str, lines: Iterable[tuple[str, str]]) -> None:
        """A title and its lines in two columns; "nothing" when there are none."""
        rows = list(lines)
        width = max((len(left) for left, _right in rows), default=0)
        self.stdout.write(f"\n{title}")
        for left, right in rows or [("nothing", "")]:
            self.stdout.write(f"  {left:<{width}}  {' '.join(right.split())}".rstrip())
