"""manage.py load_strategy_week [--starting YYYY-MM-DD]"""

import argparse
import datetime as dt
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from events.load_week import SATURDAY, default_start, load_strategy_week, unfinished_week


def saturday(text: str) -> dt.date:
    """Read a Saturday's date, written YYYY-MM-DD."""
    try:
        day = dt.date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a date. Write it like 2021-10-16."
        ) from None
    if day.weekday() != SATURDAY:
        raise argparse.ArgumentTypeError(f"{text} is a {day:%A}. A week starts on a Saturday.")
    return day


class Command(BaseCommand):
    help = (
        "Create the Drop LWOP Coalition's Strategy Week: its strategies, six sessions and "
        "agendas. If the week already exists, nothing changes."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--starting",
            type=saturday,
            metavar="YYYY-MM-DD",
            help="The Saturday of the kickoff. Default: the first Saturday at least two weeks "
            "from today, unless a week is upcoming or under way.",
        )

    def handle(self, *args: Any, starting: dt.date | None, **options: Any) -> None:
        now = timezone.now()
        event = None if starting else unfinished_week(now)
        created = False
        if event is None:
            starting = starting or default_start(now)
            event, created = load_strategy_week(starting=starting)
        address = event.get_absolute_url()
        if created:
            self.stdout.write(f"Created {event}, starting on {starting:%A %Y-%m-%d}, at {address}")
            self.stdout.write(
                f"Its contact is {event.contact_email}. You can change it in the admin."
                if event.contact_email
                else "It's a draft. Enter a contact email in the admin, and publish it."
            )
        else:
            self.stdout.write(f"{event} already exists, at {address}. Nothing was changed.")
