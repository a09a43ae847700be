"""`make run`: the whole site on this machine, to try it out."""

import contextlib
import os
import secrets
import shlex
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

from strategyweek.settings import boolean

START_TIMEOUT_SECONDS = 60


class Command(BaseCommand):
    help = (
        "Migrate, load the Strategy Week, and run web, worker, beat and a fake Zoom until Ctrl-C. "
        "With ZOOM_CLIENT_ID set, the real Zoom is used. With EMPTY=1, no week is loaded."
    )
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        port = self.free_port(os.environ.get("PORT", "8000"))
        call_command("migrate", verbosity=0)
        if boolean("EMPTY"):
            self.stdout.write("No week was loaded. Sign in to the admin, and it shows what to do.")
        else:
            call_command("load_strategy_week", stdout=self.stdout)
        self.make_organizer()
        self.supervise(port)

    def free_port(self, chosen: str) -> int:
        if not chosen.isdecimal() or not 0 < int(chosen) < 65536:
            raise CommandError(f"PORT must be a number from 1 to 65535, not {chosen!r}.")
        port = int(chosen)
        if not self.is_free(port):
            raise CommandError(f"Port {port} is in use. Choose another: PORT={port + 1} make run")
        return port

    def is_free(self, port: int) -> bool:
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return True
        return False

    def make_organizer(self) -> None:
        users = get_user_model().objects
        if users.filter(is_superuser=True).exists():
            return
        password = secrets.token_urlsafe(9)
        users.create_superuser("organizer", "organizer@localhost", password)
        self.stdout.write(
            "We made an organizer account. Write down the password now: you won't see it again.\n"
            f"    name: organizer    password: {password}\n"
        )

    def supervise(self, port: int) -> None:
        site = f"http://localhost:{port}"
        environment = {
            **os.environ,
            "SITE_URL": site,
            "PYTHONUNBUFFERED": "1",
            # These warnings are about production, and this is not.
            "DJANGO_RUNSERVER_HIDE_WARNING": "true",
            "PYTHONWARNINGS": "ignore:You're running the worker with superuser privileges",
        }
        celery = f"{sys.executable} -m celery --quiet -A strategyweek"
        commands = {
            "web": f"{sys.executable} manage.py runserver --noreload 127.0.0.1:{port}",
            "worker": f"{celery} worker --pool threads --concurrency 2 --loglevel WARNING",
            "beat": f"{celery} beat --loglevel WARNING --pidfile=",
        }
        addresses = {"site": f"{site}/", "admin": f"{site}/admin/", "mailbox": f"{site}/mailbox/"}
        ports = [port]
        if zoom_port := self.fake_zoom_port(port):
            environment |= self.fake_zoom_settings(zoom_port)
            state = shlex.quote(str(settings.VAR_DIR / "fake-zoom.json"))
            fake_zoom = f"{sys.executable} -m tests.fake_zoom"
            commands["zoom"] = f"{fake_zoom} --port {zoom_port} --state {state}"
            ports.append(zoom_port)
            addresses["zoom"] = f"http://localhost:{zoom_port}/   (test mode: not real Zoom)"
        manager = Manager()
        for name, command in commands.items():
            manager.add_process(name, f"exec {command}", env=environment, cwd=settings.BASE_DIR)
        signal.signal(signal.SIGHUP, lambda *_: manager.terminate())
        threading.Thread(target=self.announce, args=[ports, addresses], daemon=True).start()
        manager.loop()
        if manager.returncode not in (0, 130):
            sys.exit(manager.returncode)

    def fake_zoom_port(self, port: int) -> int | None:
        """Return a free port for the fake Zoom; None if it is not used."""
        if os.environ.get("ZOOM_CLIENT_ID"):
            return None
        if not (settings.BASE_DIR / "tests" / "fake_zoom").is_dir():
            self.stdout.write("There's no fake Zoom here: the tests/ folder isn't installed.")
            return None
        return next(filter(self.is_free, [*range(port + 1, 65536), *range(1024, port)]))

    def fake_zoom_settings(self, port: int) -> dict[str, str]:
        """Settings that the site and the fake Zoom share, with new random secrets."""
        names = ("ACCOUNT_ID", "CLIENT_ID", "CLIENT_SECRET", "WEBHOOK_SECRET")
        return {
            **{f"ZOOM_{name}": secrets.token_urlsafe(16) for name in names},
            "ZOOM_API_URL": f"http://127.0.0.1:{port}/v2",
            "ZOOM_OAUTH_URL": f"http://127.0.0.1:{port}/oauth/token",
        }

    def announce(self, ports: list[int], addresses: dict[str, str]) -> None:
        """Print the addresses once all servers accept connections."""
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                for port in ports:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                self.stdout.write("\n  Strategy Week is running. Press Ctrl-C to stop it.\n\n")
                for name, address in addresses.items():
                    self.stdout.write(f"    {name:<9} {address}")
                self.stdout.flush()
                return
            time.sleep(0.1)
