"""A server in Zoom's place, for trying the product out."""

import contextlib
import os
import signal
import threading
from pathlib import Path
from typing import Any

from django.core.management import BaseCommand, CommandError, CommandParser

from events.zoom_stand_in import StandIn
from events.zoom_stand_in.limits import PLANS
from events.zoom_stand_in.state import StateFile


class Command(BaseCommand):
    help = "Run a server in Zoom's place until Ctrl-C, with the credentials the product is given."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, default=8001)
        parser.add_argument("--plan", choices=PLANS, default="business")
        parser.add_argument("--state", type=Path, help="A file to keep meetings in.")

    def handle(self, *args: Any, **options: Any) -> None:
        zoom = StandIn(
            port=options["port"],
            plan=options["plan"],
            account_id=self.required("ZOOM_ACCOUNT_ID"),
            client_id=self.required("ZOOM_CLIENT_ID"),
            client_secret=self.required("ZOOM_CLIENT_SECRET"),
            webhook_secret=self.required("ZOOM_WEBHOOK_SECRET"),
            webhook_url=f"{self.required('SITE_URL').rstrip('/')}/webhooks/zoom/",
        )
        ended = threading.Event()
        for sign in (signal.SIGINT, signal.SIGTERM):
            signal.signal(sign, lambda *_: ended.set())
        try:
            with contextlib.ExitStack() as stack:
                if options["state"]:
                    stack.enter_context(StateFile(options["state"], zoom))
                stack.enter_context(zoom)
                self.stdout.write(f"A stand-in for Zoom listens at {zoom.site}/")
                self.stdout.flush()
                ended.wait()
        except (OSError, ValueError) as error:
            raise CommandError(str(error)) from error

    def required(self, name: str) -> str:
        if value := os.environ.get(name):
            return value
        raise CommandError(f"{name} is not set. Give the stand-in what the product is given.")
