"""Everything on this machine, for trying the product out: `make run`."""

import contextlib
import os
import secrets
import signal
import socket
import sys
import threading
import time
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import BaseCommand, CommandError, call_command
from honcho.manager import Manager

STARTED_WITHIN_SECONDS = 60


class Command(BaseCommand):
    help = "Migrate, load the Strategy Week, and run web, worker and beat until Ctrl-C."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        port = self.free_port(os.environ.get("PORT", "8000"))
        call_command("migrate", verbosity=0)
        call_command("load_strategy_week", stdout=self.stdout)
        self.make_organizer()
        self.supervise(port)

    def free_port(self, chosen: str) -> int:
        if not chosen.isdecimal() or not 0 < int(chosen) < 65536:
            raise CommandError(f"PORT must be a number from 1 to 65535, not {chosen!r}.")
        port = int(chosen)
        with contextlib.closing(socket.socket()) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                raise CommandError(
                    f"Port {port} is in use. Choose another: PORT={port + 1} make run"
                ) from error
        return port

    def make_organizer(self) -> None:
        users = get_user_model().objects
        if users.filter(is_superuser=True).exists():
            return
        password = secrets.token_urlsafe(9)
        users.create_superuser("organizer", "organizer@localhost", password)
        self.stdout.write(
            "An organizer account was made. Write the password down, it is shown only now:\n"
            f"    name: organizer    password: {password}\n"
        )

    def supervise(self, port: int) -> None:
        site = f"http://localhost:{port}"
        environment = {
            **os.environ,
            "SITE_URL": site,
            "PYTHONUNBUFFERED": "1",
            # This is for trying out, perhaps in a container as root; the words would only alarm.
            "DJANGO_RUNSERVER_HIDE_WARNING": "true",
            "PYTHONWARNINGS": "ignore:You're running the worker with superuser privileges",
        }
        celery = f"{sys.executable} -m celery --quiet -A strategyweek"
        manager = Manager()
        for name, command in {
            "web": f"{sys.executable} manage.py runserver --noreload 127.0.0.1:{port}",
            "worker": f"{celery} worker --pool threads --concurrency 2 --loglevel WARNING",
            "beat": f"{celery} beat --loglevel WARNING --pidfile=",
        }.items():
            manager.add_process(name, f"exec {command}", env=environment, cwd=settings.BASE_DIR)
        signal.signal(signal.SIGHUP, lambda *_: manager.terminate())
        threading.Thread(target=self.announce, args=[port, site], daemon=True).start()
        manager.loop()
        if manager.returncode not in (0, 130):
            sys.exit(manager.returncode)

    def announce(self, port: int, site: str) -> None:
        """Print the addresses once the site answers."""
        deadline = time.monotonic() + STARTED_WITHIN_SECONDS
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                self.stdout.write(
                    f"\n  The Strategy Week is running. Ctrl-C stops it.\n\n"
                    f"    site      {site}/\n"
                    f"    admin     {site}/admin/\n"
                    f"    mailbox   {site}/mailbox/\n"
                )
                self.stdout.flush()
                return
            time.sleep(0.1)
